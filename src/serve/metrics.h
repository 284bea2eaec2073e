/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus' text format, joined: texts of several nodes become one in which each family stands once. Reads
 * foreign text, so it is checked: a node can only speak of itself.
 */
#ifndef WEFT_SERVE_METRICS_H
#define WEFT_SERVE_METRICS_H

#include "base/str.h"
#include "base/vec.h"

enum { METRICS_TEXT_MAX = 1 << 20, METRICS_LINE_MAX = 2048, METRICS_FAMILIES_MAX = 500 };

/* Each line is a comment of HELP or TYPE, or a sample of the family before it whose first label is
 * node="NODE". 0, or -EINVAL with `why` (static). */
int metrics_check(struct str text, struct str node, const char **why);

struct metrics_family {
	struct str name; /* lies in the first text that has it */
	struct buf head, samples;
};
struct metrics_join {
	VEC(struct metrics_family) families;
	bool failed;
};
/* Adds a checked text, which must stay until the end. */
void metrics_join_add(struct metrics_join *j, struct str text);
void metrics_join_print(const struct metrics_join *j, struct buf *out);
void metrics_join_fini(struct metrics_join *j);

#endif
