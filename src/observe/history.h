/* SPDX-License-Identifier: Apache-2.0 */
/*
 * History: records of flows and drops, the newest kept in memory, asked with a filter. Connections that are
 * open have one record each, which grows; when one ends it moves into a ring, where the oldest makes room.
 * Answered connections have a ring of their own (three quarters of the room), and half the room of the open
 * ones, so that a flood of what nobody answers pushes out only its like; DNS questions have one of a quarter
 * of the room beside it, and are found only by filters that ask for them. Each record that was pushed out, or
 * found no room, is counted. Names are those that the ends had at the record's first packet. Used by one
 * thread.
 */
#ifndef WEFT_OBSERVE_HISTORY_H
#define WEFT_OBSERVE_HISTORY_H

#include "filter/filter.h"
#include "observe/identity.h"

struct history;
/* ended: room for records that are over; open: for those that are not. ids outlives the history. */
int history_new(struct history **out, struct identities *ids, uint32_t ended, uint32_t open);
void history_free(struct history **h);

/* Takes a record in (copies). An earlier one of the same node and id (not 0) that is not ended is replaced.
 * The ends' `who` and service may be NULL: they are looked up by address and time. 0, or -ENOMEM, -ENOSPC
 * (counted). */
int history_put(struct history *h, const struct record *r);
/* What is known of the record's connection before it is put: 1 with *out (valid until the next change), 0: it
 * is new, -ENOSPC: it is new and will find no room. */
int history_before(const struct history *h, const struct record *r, struct record *out);
/* What is open at that node may be over: it restarted, or lost word of ends. What it does not tell again
 * before history_end_doubted() ended without a word, and is moved to its ring as it was last seen. */
void history_doubt(struct history *h, const char *node);
void history_end_doubted(struct history *h, const char *node);
/* The same for unanswered ones that are silent since that time: their entries made room for others. */
void history_end_silent(struct history *h, int64_t before);

/* fn is called with each that ends so, before it is moved; NULL: nobody is. */
void history_on_silent_end(struct history *h, void (*fn)(void *ctx, const struct record *r), void *ctx);

struct history_query {
	const struct filter *filter; /* NULL: all */
	int64_t since, until; /* ns since 1970: records with a packet in [since, until); until 0: now */
	uint32_t limit;	      /* the newest so many; 0: all */
	uint64_t
	    news; /* only what began, ended or took another state since it was the number of the newest */
	bool open_only, drops_only;
	bool again; /* also records of connections that the caller's node has one of */
	/* Where not NULL: takes away of a record what the asker may not know, before the filter is asked;
	 * false: he may not know of it. An end of one name and address always becomes the same. */
	bool (*view)(const void *ctx, struct record *r);
	const void *view_ctx;
	uint64_t
	    *judged; /* where not NULL: set to the records of that time that the filter was asked about */
};
/* Calls fn with each, newest last packet first; stops when it returns non-0 (returned). The record is valid
 * during the call, in which the history may not change. -ENOMEM before any call. */
int history_query(const struct history *h, const struct history_query *q,
		  int (*fn)(void *ctx, const struct record *r), void *ctx);

/* Ended records in about the order in which they ended, each once: a reader keeps its place. */
enum { HISTORY_RINGS = 3 };
struct history_place {
	uint64_t at[HISTORY_RINGS]; /* in each ring: records that ever entered it before */
};
struct history_follow {
	const struct filter *filter; /* NULL: all */
	bool again;		     /* as in history_query */
	uint32_t limit;
	struct history_place at, to; /* from here (moves on), to there at most */
	uint64_t lost;		     /* set: records from `at` on that made room for others */
};
/* Of those that are kept; after the last one. For that filter: DNS questions have no place where it does not
 * ask for them. */
struct history_place history_oldest(const struct history *h, const struct filter *filter);
struct history_place history_newest(const struct history *h, const struct filter *filter);
/* Calls fn as history_query() does, oldest first. It looks at a bounded number of records: f->at says how far
 * it came. */
int history_follow(const struct history *h, struct history_follow *f,
		   int (*fn)(void *ctx, const struct record *r), void *ctx);

struct history_sum { /* of ended records of a node since the start, of one kind */
	const char *node;
	enum record_kind kind;
	bool again;
	uint64_t records, packets[2], bytes[2];
};
void history_each_sum(const struct history *h, void (*fn)(void *ctx, const struct history_sum *s), void *ctx);

struct history_size {
	uint64_t ended, open;		   /* kept now */
	uint64_t put, pushed_out, no_room; /* since the start: taken in; made room for newer; found none */
	/* before it records are missing: the last packet of the newest one pushed out; 0: none */
	int64_t since;	      /* of the answered */
	int64_t since_lesser; /* of drops and the unanswered */
	int64_t since_dns;
	uint64_t news; /* number of the newest, see history_query */
	size_t bytes;
};
struct history_size history_size(const struct history *h);

#endif
