/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows seen since the start: (initiator, responder, protocol, responder's port), gathered from the
 * connection tables by looking often enough that no answered connection comes and goes unseen (weft_gc keeps
 * closed ones for 10 s). Bounded: what finds no room is counted.
 */
#ifndef WEFT_OBSERVE_SEEN_H
#define WEFT_OBSERVE_SEEN_H

#include "observe/kernel.h"

enum { SEEN_FLOWS_MAX = 65536, SEEN_SWEEP_MS = 4000 };

struct flow {
	struct addr from, to; /* after translation */
	uint16_t port;	      /* of `to`, host order; 0 for protocols without */
	uint8_t proto;
	bool answered;	      /* one of its connections was */
	uint32_t live;	      /* connections in the last sweep */
	uint64_t first, last; /* monotonic ns of its first connection's start, of its last packet */
};

struct flows;
int flows_new(struct flows **out); /* 0 or -ENOMEM */
void flows_free(struct flows **f);
/* Looks at the tables once. 0 or -errno; what was seen before stays. */
int flows_sweep(struct flows *f, const struct observed *o);
/* Calls fn for each flow, in no order; stops when it returns non-0 (returned). */
int flows_each(const struct flows *f, int (*fn)(void *ctx, const struct flow *flow), void *ctx);
uint64_t flows_lost(const struct flows *f); /* for which there was no room: connections */
uint64_t
flows_since(const struct flows *f); /* monotonic ns: connections that ended 10 s before are not known */

#endif
