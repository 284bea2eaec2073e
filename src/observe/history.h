/* SPDX-License-Identifier: Apache-2.0 */
/*
 * History: records of flows and drops, the newest kept in memory, asked with a filter. Connections that are
 * open have one record each, which grows; when one ends it moves into a ring, where the oldest makes room.
 * Each record that was pushed out, or found no room, is counted. Names are those that the ends had at the
 * record's first packet. Used by one thread.
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
/* What is open at that node ended without a word (it restarted, or was lost): moved to the ring as it was
 * last seen. */
void history_end_node(struct history *h, const char *node);

struct history_query {
	const struct filter *filter; /* NULL: all */
	int64_t since, until; /* ns since 1970: records with a packet in [since, until); until 0: now */
	uint32_t limit;	      /* 0: none */
	bool open_only;
	bool again; /* also records of connections that the caller's node has one of */
};
/* Calls fn with each, newest end first (open ones before all); stops when it returns non-0 (returned). The
 * record is valid during the call, in which the history may not change. -ENOMEM before any call. */
int history_query(const struct history *h, const struct history_query *q,
		  int (*fn)(void *ctx, const struct record *r), void *ctx);

struct history_size {
	uint64_t ended, open;		   /* kept now */
	uint64_t put, pushed_out, no_room; /* since the start: taken in; made room for newer; found none */
	int64_t
	    since; /* before it records are missing: the last packet of the newest one pushed out; 0: none */
	size_t bytes;
};
struct history_size history_size(const struct history *h);

#endif
