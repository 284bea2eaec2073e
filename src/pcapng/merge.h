/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merge: several pcapng streams, each sorted by time, become one sorted by time. A packet waits until every
 * other stream has shown a later one, or for a bounded time: a stream that says nothing holds nobody up for
 * longer. Interfaces are numbered anew; one of the same name and link in a later section of the same stream
 * stays the same one. Pure: the caller says what time it is.
 */
#ifndef WEFT_PCAPNG_MERGE_H
#define WEFT_PCAPNG_MERGE_H

#include "pcapng/read.h"

struct pcapng_merge;

struct pcapng_merge_options {
	unsigned streams;
	uint64_t delay; /* ns that a packet waits at most for other streams */
	size_t waiting; /* bytes of waiting blocks after which the oldest goes on at once; 0: 64 MiB */
};
int pcapng_merge_new(struct pcapng_merge **out, const struct pcapng_merge_options *o); /* 0 or -ENOMEM */
void pcapng_merge_free(struct pcapng_merge **m);

/* Bytes of a stream, as they come; now: ns of any clock that does not jump. 0; -EPROTO with what is wrong in
 * *why (static): the stream counts as ended; -ENOMEM. */
int pcapng_merge_feed(struct pcapng_merge *m, unsigned stream, struct str bytes, uint64_t now,
		      const char **why);
/* A stream begins anew, with a section: its connection broke. What it brought still comes out. */
void pcapng_merge_again(struct pcapng_merge *m, unsigned stream);
void pcapng_merge_end(struct pcapng_merge *m, unsigned stream);

/* The next block that is due, with its interface's number in the merged stream; borrowed until the next call.
 * *stream (may be NULL) is where it came from. Sections are not handed on. 1; 0: none is due; *wait (may be
 * NULL) is then after how many ns one is due without anything coming, UINT64_MAX: never. -ENOMEM. */
int pcapng_merge_next(struct pcapng_merge *m, uint64_t now, struct pcapng_block *out, unsigned *stream,
		      uint64_t *wait);

struct pcapng_merge_totals {
	uint64_t packets;
	uint64_t late; /* came after a later one had gone on: in their place, out of order */
};
void pcapng_merge_totals(const struct pcapng_merge *m, struct pcapng_merge_totals *out);

#endif
