/* SPDX-License-Identifier: Apache-2.0 */
/* What the checks share. Private to reason/. */
#ifndef WEFT_REASON_CHECKS_H
#define WEFT_REASON_CHECKS_H

#include "reason/check.h"
#include "reason/ends.h"

struct span_list {
	VEC(struct port_span) list;
};

enum action { ACTION_ALLOW, ACTION_DENY, ACTION_PASS };
struct rule_view { /* a rule of either kind of policy */
	const struct object *o;
	const void *member; /* the rule in its object */
	size_t index;
	bool egress, cluster, admin;
	enum action action;
	bool opaque; /* asks for names, or for what is not known here: neither covers nor is judged */
	bool any_port, named;
	struct span_list spans; /* by number */
	uint8_t *match;		/* by group: families of the peer that match, as bits */
	bool *subject;		/* by group: the policy selects its pods */
	bool redundant;
};
struct check_run {
	const struct store *s;
	const struct engine_options *opt;
	struct ends ends;
	VEC(struct rule_view) rules; /* NetworkPolicies by namespace and name; cluster rules in their order */
	struct findings *out;
	int error;
};

/* rules_view.c: all rules with what they match */
int rules_view(struct check_run *c);
void rules_view_fini(struct check_run *c);
/* Ports that the rule means for a destination (a group's pods declare the same names), appended. */
int rule_spans(const struct check_run *c, const struct rule_view *r, const struct group *dst,
	       struct span_list *out);
/* Takes `less` out of `from`. */
int spans_subtract(struct span_list *from, const struct span_list *less);
void rule_name(struct buf *b, const struct rule_view *r); /* "NetworkPolicy shop/web ingress[0], file:1:2" */
struct pos rule_pos(const struct rule_view *r);

void check_rules(struct check_run *c);	  /* redundant, covered, matches nobody */
void check_policies(struct check_run *c); /* what one policy says */
void check_blocks(struct check_run *c);
void check_traffic(struct check_run *c); /* DNS, probes */

#endif
