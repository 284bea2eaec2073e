/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of each kind and what stands in them. Private to table.c and cells.c. */
#ifndef WEFT_SERVE_CELLS_H
#define WEFT_SERVE_CELLS_H

#include "object/object.h"

struct column {
	const char *name, *type, *format;
	int priority; /* 1: only with -o wide */
};
struct cells {
	struct buf *b;
	int64_t now;
	bool any;
};

void cell(struct cells *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cell_int(struct cells *c, int64_t v);
/* Age of the object, "<unknown>" without a time. */
void cell_age(struct cells *c, const struct object *o);
/* How long ago that was: RFC 3339. */
void cell_since(struct cells *c, struct str when);
/* Text, or `none` where it is empty. */
void cell_str(struct cells *c, struct str s, const char *none);

/* Columns and cells of a kind, after Name. */
struct cell_table {
	const struct column *columns;
	size_t n;
	void (*fill)(struct cells *c, const struct object *o);
};
const struct cell_table *cells_of(enum kind k);

#endif
