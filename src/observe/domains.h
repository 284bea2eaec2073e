/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which name an address had for whom: what DNS answers told pods of this node. For each pod that asked, and
 * for the node as a whole, an address has the last few names with their times, so that a connection gets the
 * name by which it was called, not one that came later. A name is kept beyond its TTL, as callers do.
 * Bounded: what was told longest ago makes room, and is unknown then. Times are monotonic ns.
 */
#ifndef WEFT_OBSERVE_DOMAINS_H
#define WEFT_OBSERVE_DOMAINS_H

#include "base/addr.h"

enum { DOMAINS_MAX = 32768, DOMAINS_NAMES = 4 };

struct domains;
int domains_new(struct domains **out, size_t most); /* 0 or -ENOMEM */
void domains_free(struct domains **d);
/* `asker` was told at that time that the name has the address. */
void domains_learn(struct domains *d, const struct addr *asker, const struct addr *a, struct str name,
		   uint64_t at);
/* The name that `asker`, else some pod of the node, was told last for the address before that time; empty:
 * not known. Borrowed until the next call that changes something. */
struct str domains_at(const struct domains *d, const struct addr *asker, const struct addr *a, uint64_t at);

struct domains_size {
	size_t addresses;   /* pairs of asker (or none) and address */
	uint64_t made_room; /* pairs, since the start */
	uint64_t lost;	    /* for want of memory */
};
struct domains_size domains_size(const struct domains *d);

#endif
