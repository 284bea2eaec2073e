/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of objects sorted by namespace, then name: a skip list, so that a write costs O(log n) whatever the
 * order. Holds no references: its owner does. Private to store/.
 */
#ifndef WEFT_STORE_ORDERED_H
#define WEFT_STORE_ORDERED_H

#include "object/object.h"

enum { ORDERED_LEVELS = 16 };

struct ordered_node {
	const struct object *object;
	struct ordered_node *next[]; /* as many as its level */
};

struct ordered {
	struct ordered_node *first[ORDERED_LEVELS];
	size_t len;
};

const struct object *ordered_get(const struct ordered *s, struct str ns, struct str name);
/* Adds o, or puts it in the place of the one with its name; *old (may be NULL) gets that one. 0 or -ENOMEM.
 */
int ordered_put(struct ordered *s, const struct object *o, const struct object **old);
/* NULL when there was none. */
const struct object *ordered_remove(struct ordered *s, struct str ns, struct str name);
/* The first node that is not before (ns, name). */
const struct ordered_node *ordered_seek(const struct ordered *s, struct str ns, struct str name);
void ordered_fini(struct ordered *s);

#endif
