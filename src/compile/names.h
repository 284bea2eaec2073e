/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids → words: a policy set is named by its policies, a class by what its addresses match, a port set by its
 * ports, a list by its first backend. Borrowed from the compiler that made the ids; an id that is no longer
 * in force prints as hexadecimal digits. With names NULL all ids print so.
 */
#ifndef WEFT_COMPILE_NAMES_H
#define WEFT_COMPILE_NAMES_H

#include "compile/plan.h"

struct compiler;
struct plan_names {
	const struct compiler *c;
};

void name_set(struct buf *b, const struct plan_names *n, uint32_t id);
void name_class(struct buf *b, const struct plan_names *n, uint32_t id);
void name_portset(struct buf *b, const struct plan_names *n, uint32_t id);
void name_rule(struct buf *b, const struct plan_names *n, uint32_t id);	   /* "shop/web/ingress/0" */
void name_domain(struct buf *b, const struct plan_names *n, uint32_t id);  /* name class: "*.example.org" */
void name_nameset(struct buf *b, const struct plan_names *n, uint32_t id); /* "<example.org *.example.net>" */
void name_list(struct buf *b, const struct plan_names *n, uint32_t id);
void name_node(struct buf *b, const struct plan_names *n, uint32_t number); /* 0: this node */

/* Where a rule stands: the policy as "NetworkPolicy shop/web" with its position, {0} for reserved and unknown
 * ids. */
struct origin name_rule_origin(const struct plan_names *n, uint32_t id);

/* Steps and changes, one a line: "+ row", "~ row", "- row". */
void plan_delta_print(struct buf *b, const struct plan_delta *d, const struct plan_names *names);

#endif
