/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remarks: what a person is told about an input: error, warning or hint, with position and advice.
 * A run collects them all, sorts them by position and prints each with the line and the span underlined.
 * `limit` bounds the number kept (0: 1,000); what is over it is counted in `dropped`.
 */
#ifndef WEFT_BASE_REMARK_H
#define WEFT_BASE_REMARK_H

#include <stdio.h>

#include "base/pos.h"
#include "base/vec.h"

enum remark_level { REMARK_ERROR, REMARK_WARNING, REMARK_HINT };

struct remark {
	enum remark_level level;
	struct file *file; /* owned reference, or NULL */
	uint32_t line, col, len;
	char *text; /* owned: what is wrong */
	char *hint; /* owned or NULL: what to do */
};

struct remarks {
	VEC(struct remark) list;
	size_t limit, dropped;
	size_t errors; /* of them, also those over the limit */
};

/* Adds a remark; hint may be NULL. Out of memory counts as dropped. */
void remark_add(struct remarks *rs, enum remark_level level, struct pos at, const char *hint, const char *fmt,
		...) __attribute__((format(printf, 5, 6)));
void remarks_sort(struct remarks *rs);
/* Moves all of src to the end of dst. */
void remarks_move(struct remarks *dst, struct remarks *src);
void remarks_fini(struct remarks *rs);

/* One remark as people see it, e.g.
 *   shop/policy.yaml:14:9: error: port "htpp" is declared by no container that this policy selects
 *      14 |       port: htpp
 *         |             ^^^^
 *      hint: did you mean "http"?
 */
void remark_print(struct buf *b, const struct remark *r, bool colour);
void remarks_print(FILE *to, const struct remarks *rs, bool colour);

#endif
