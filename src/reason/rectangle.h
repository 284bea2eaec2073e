/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rectangles: pairs (source, destination) of groups with one word each, joined so that few rectangles of
 * sources × destinations say all of them and nothing else. Private to reason/.
 */
#ifndef WEFT_REASON_RECTANGLE_H
#define WEFT_REASON_RECTANGLE_H

#include "reason/ends.h"

struct rectangle {
	uint32_t cell;
	VEC(uint32_t) sources, destinations; /* groups, sorted */
};
struct rectangles {
	VEC(struct rectangle) list;
};

struct grid {
	struct rectangles columns; /* one for each (cell, destination) */
	size_t open;		   /* first column of the destination at hand */
};
/* Destination after destination, and for each source after source, rising. 0 or -ENOMEM. */
int grid_put(struct grid *g, uint32_t cell, uint32_t source, uint32_t destination);
/* Pairs of groups between which nothing is judged may lie in any rectangle. */
int grid_rectangles(struct grid *g, const struct ends *e, struct rectangles *out);
void grid_fini(struct grid *g);
void rectangles_fini(struct rectangles *r);

#endif
