/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions: the addresses outside of the cluster, cut along every block that a policy names, so that no policy
 * tells two addresses of a region apart. A region is a prefix without the prefixes below it.
 */
#ifndef WEFT_REASON_REGION_H
#define WEFT_REASON_REGION_H

#include "base/addr.h"
#include "base/vec.h"
#include "store/store.h"

enum region_kind {
	REGION_OUTSIDE,
	REGION_CLUSTER, /* pods', nodes' and Services' addresses and ranges: not outside */
	REGION_EMPTY	/* the prefixes below it leave nothing */
};
struct region {
	struct prefix prefix;
	enum region_kind kind;
	struct addr sample; /* an address of it; not when empty */
	size_t parent;	    /* the region around it, (size_t)-1: none */
	bool has_named;	    /* a policy, or the caller, named this prefix (not 0.0.0.0/0 and ::/0 of ours) */
};
struct regions {
	VEC(struct region) list; /* sorted by address, then length: a region stands after its parent */
};

/* Adds what the store's policies, nodes and pods name. Call for each store, then regions_settle(). */
int regions_add_store(struct regions *rs, const struct store *s);
int regions_add(struct regions *rs, const struct prefix *p, enum region_kind kind);
int regions_settle(struct regions *rs); /* adds 0.0.0.0/0 and ::/0, sorts, finds parents and samples */
void regions_fini(struct regions *rs);
/* The smallest region that has the address. */
size_t region_of(const struct regions *rs, const struct addr *a);

/* Appends the addresses of the regions for which in[i] is set, as prefixes: "10.0.0.0/8 except 10.1.0.0/16,
 * fd00::/8". Regions of the cluster and empty ones count as set where it makes the text shorter. "outside"
 * when that is all. */
void regions_print(struct buf *b, const struct regions *rs, const bool *in);

#endif
