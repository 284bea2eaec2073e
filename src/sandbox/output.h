/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output: what containers print, kept in bounded files in their pod's folder: NAME.log and NAME.log.1 of the
 * instance that runs or ran last, NAME.previous.log and NAME.previous.log.1 of the one before. A line is
 * "TIME stdout|stderr F|P text" (P: the line goes on in the next record of that stream), as container
 * runtimes have it. The oldest is dropped and counted; the program never waits for a file or for a reader.
 * output.c writes, log.c reads.
 */
#ifndef WEFT_SANDBOX_OUTPUT_H
#define WEFT_SANDBOX_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/str.h"

struct container;
struct output;

enum { OUTPUT_TIME = 30 }; /* bytes of "2026-01-02T03:04:05.000000006Z" */
enum { OUTPUT_FILE = 1 << 20 };

/* A new instance begins: its files are made, the last one's are the previous ones now. fds: what becomes its
 * stdout and stderr, owned by the caller; `apart`: two pipes, else fds[1] is -1. 0 or -errno. */
int output_open(struct container *c, bool apart, int fds[2]);
/* The instance has ended: takes what is left in the pipes. */
void output_end(struct container *c);
void output_free(struct container *c);
/* Bytes that are kept nowhere: of rotated files, and what the disk did not take. */
uint64_t output_lost(const struct container *c);
/* ns since 1970 as records bear it, into out[OUTPUT_TIME + 1]. */
void output_time(int64_t ns, char *out);

/* log.c */
struct log_reader;
struct log_ask {
	bool follow, previous, timestamps, apart; /* apart: each stream by itself, see log_read() */
	int64_t tail, limit;			  /* lines and bytes; -1: all */
	int64_t since_ns;			  /* 0: from the beginning */
	void (*more)(void *ctx); /* there may be something to read; never from within log_read() */
	void *ctx;
};
/* 0, -ENOENT (no such instance), -ENOMEM or another -errno. Must be dropped before its container is freed. */
int log_open_reader(struct log_reader **out, struct container *c, const struct log_ask *ask);
/* Appends at most about `room` bytes. 1: go on; 0: nothing at the moment, more() will be called; -1: that was
 * all. apart: one stream's bytes only, *err says which. */
int log_read(struct log_reader *r, struct buf *out, size_t room, bool *err);
void log_drop_reader(struct log_reader **r);

/* For log.c. */
struct output_place {
	char path[400]; /* of the current file */
	unsigned instance, rotations;
	bool ended;
};
void output_where(const struct container *c, struct output_place *p);
struct output_ear {
	struct output_ear *next;
	void (*fn)(void *ctx);
	void *ctx;
};
void output_listen(struct container *c, struct output_ear *e);
void output_unlisten(struct container *c, struct output_ear *e);

#endif
