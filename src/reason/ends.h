/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends: whatever sends or receives (a pod, a node, a region outside), and groups of ends that every engine
 * judges alike. Questions are then asked for pairs of groups, not of pods.
 */
#ifndef WEFT_REASON_ENDS_H
#define WEFT_REASON_ENDS_H

#include "reason/engine.h"
#include "reason/match.h"
#include "reason/region.h"

enum { FAMILIES = 2, ENGINES = 2 }; /* family 0 is IPv4 */
enum end_kind { END_POD, END_NODE, END_OUTSIDE };

struct end {
	enum end_kind kind;
	const struct object *o[ENGINES];     /* Pod or Node of each store; NULL: not there, or outside */
	struct str ns, name, workload;	     /* borrowed; outside: empty */
	struct str node;		     /* where a pod runs */
	struct addr addr[ENGINES][FAMILIES]; /* in each store; a node's first; a region's sample */
	bool has[FAMILIES];
	size_t region, group;
};

struct judged_as { /* by one engine */
	uint32_t ingress, egress, class[FAMILIES];
};
struct group {
	enum end_kind kind;
	bool has[FAMILIES];
	struct judged_as by[ENGINES];
	VEC(uint32_t) ends; /* indexes, in the order of the ends */
};

struct ends {
	struct engine *engines[ENGINES];
	size_t n_engines;
	struct port_fns *fns;
	struct regions regions;
	VEC(struct end) list; /* pods by namespace, workload and name; nodes; regions */
	VEC(struct group) groups;
	size_t only[ENGINES]; /* pods that only that store has; they are no ends */
};

/* All ends that both stores know (pods by `pairs`), or one store's (n 1; pairs NULL). Blocks beyond those of
 * the policies can be put into `extra` (may be NULL). 0 or -ENOMEM. */
int ends_new(struct ends *out, struct engine *const *engines, size_t n, struct port_fns *fns,
	     const struct pod_pairs *pairs, const struct regions *extra);
void ends_fini(struct ends *e);

/* Whether packets between the two ends are judged at all, and not the same end or a node's own pod. */
static inline bool ends_judged(const struct end *src, const struct end *dst)
{
	if (src == dst || (src->kind != END_POD && dst->kind != END_POD))
		return false;
	return !(src->kind == END_NODE && str_eq(dst->node, src->name));
}
/* How many judged pairs two groups make. */
uint64_t groups_pairs(const struct ends *e, const struct group *src, const struct group *dst);
/* The two sides' functions by engine i in a family: of the source's egress, of the destination's ingress. */
int groups_fns(const struct ends *e, size_t i, const struct group *src, const struct group *dst, int family,
	       uint32_t *egress, uint32_t *ingress);

#endif
