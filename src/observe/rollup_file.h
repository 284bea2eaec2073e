/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roll-ups on disk: an SQLite file with a table of each level, kept below a size. When it is full the oldest
 * of the finest level makes room, then of the next. What cannot be written stays with the caller; a file that
 * cannot be read is put aside and begun anew. Used by one thread at a time.
 */
#ifndef WEFT_OBSERVE_ROLLUP_FILE_H
#define WEFT_OBSERVE_ROLLUP_FILE_H

#include "observe/rollup.h"

enum { ROLLUP_FILE_LEAST = 4 << 20 };

struct rollup_file;
/* Opens or makes the file and tells r what it knows. limit: bytes, write-ahead log included. now: ns since
 * 1970, for a new file; mono: see rollup_begins(). aside: whether an unreadable one was put aside, as
 * PATH.corrupt. 0 or -errno, with the cause in why. */
int rollup_file_open(struct rollup_file **out, const char *path, uint64_t limit, int64_t now, uint64_t mono,
		     struct rollup *r, bool *aside, struct buf *why);
void rollup_file_close(struct rollup_file **f);

/* All of it, or nothing: 0, -ENOSPC, -EUCLEAN (the file is broken: close it and open again, which puts it
 * aside), or another -errno; rollup_file_error() has the words. */
int rollup_file_write(struct rollup_file *f, const struct rollup_batch *batch);
const char *rollup_file_error(const struct rollup_file *f);
/* The next open puts it aside. */
void rollup_file_condemn(struct rollup_file *f);

struct rollup_query {
	int64_t since, until; /* seconds since 1970: buckets that begin in [since, until) */
	enum rollup_level level;
	/* Whether rows of the key count; *tag comes back with each. Asked once, before the first of them, of
	 * keys that have one of that time. The key is valid during the call. */
	bool (*want)(void *ctx, const struct rollup_key *key, void **tag);
	void (*row)(void *ctx, void *tag, enum rollup_level level, int64_t t,
		    const uint64_t v[ROLLUP_SUM_COUNT]);
	/* A time, in ns, of which the node's records are known. */
	void (*known)(void *ctx, struct str node, int64_t from, int64_t to);
	void *ctx;
};
/* Where the level does not reach back so far, the next coarser one answers. 0 or -errno. */
int rollup_file_query(struct rollup_file *f, const struct rollup_query *q);

struct rollup_file_state {
	int64_t began;		      /* ns since 1970: nothing before is known */
	int64_t kept[ROLLUP_LEVELS];  /* seconds: older buckets made room; 0: none did */
	uint64_t gone[ROLLUP_LEVELS]; /* rows that made room */
	uint64_t bytes, limit;
};
struct rollup_file_state rollup_file_state(const struct rollup_file *f);

#endif
