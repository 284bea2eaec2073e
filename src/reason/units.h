/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Units: pods of a namespace that labels can select together and apart from the others. A unit is a workload,
 * or several that no label tells apart. Private to reason/.
 */
#ifndef WEFT_REASON_UNITS_H
#define WEFT_REASON_UNITS_H

#include "base/addr.h"
#include "base/hash.h"
#include "base/vec.h"
#include "store/store.h"

struct unit {
	struct str ns, name; /* of the (first) workload; borrowed from the store */
	VEC(const struct object *) pods;
	VEC(struct strpair) labels; /* select exactly these pods; none: all of the namespace */
	bool dead;		    /* merged into another one */
};
struct units {
	VEC(struct unit) list;	/* by namespace and name */
	struct hash by_address; /* pods' → index + 1 */
	struct hash nodes;	/* nodes' addresses → Node */
};
int units_new(struct units *out, const struct store *s); /* 0 or -ENOMEM */
void units_fini(struct units *u);
/* Index of the unit that has the address, or -1. */
long unit_of(const struct units *u, const struct addr *a);

#endif
