/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules that change nothing: whose peers match nobody, that other rules cover, that rules before them decide.
 * Exact over all groups of ends and all ports. Names, learned at run time, are left out of it.
 */
#include <stdlib.h>

#include "base/own.h"
#include "reason/checks.h"

struct covers { /* rules that take part in covering */
	VEC(size_t) list;
};

static int note(struct covers *c, size_t rule)
{
	VEC_EACH (&c->list, i)
		if (*i == rule)
			return 0;
	return vec_push(&c->list, rule);
}

/* Group g is the pod that a policy selects, h the other end. */
static const struct group *destination(const struct check_run *c, const struct rule_view *r, size_t g,
				       size_t h)
{
	return &c->ends.groups.items[r->egress ? h : g];
}

static bool judged(const struct check_run *c, const struct rule_view *r, size_t g, size_t h)
{
	const struct group *a = &c->ends.groups.items[g], *b = &c->ends.groups.items[h];

	return groups_pairs(&c->ends, r->egress ? a : b, r->egress ? b : a) > 0;
}

/* Other rules for which `candidate` says yes take away from what r allows between g and h. */
static bool covered_pair(struct check_run *c, size_t at, size_t g, size_t h, int family,
			 bool (*candidate)(const struct check_run *, size_t, size_t, size_t),
			 struct covers *by)
{
	const struct rule_view *r = &c->rules.items[at];
	const struct group *dst = destination(c, r, g, h);
	struct span_list left = {0};
	int e = rule_spans(c, r, dst, &left);

	for (size_t i = 0; i < c->rules.len && left.list.len && !e; i++) {
		const struct rule_view *o = &c->rules.items[i];
		if (i == at || o->egress != r->egress || !o->subject[g] || !(o->match[h] & (1u << family)) ||
		    !candidate(c, at, i, g))
			continue;
		struct span_list theirs = {0};
		size_t before = left.list.len;
		uint32_t first = before ? left.list.items[0].low : 0,
			 last = before ? left.list.items[0].high : 0;
		e = rule_spans(c, o, dst, &theirs);
		e = e ? e : spans_subtract(&left, &theirs);
		if (!e && (left.list.len != before || left.list.items[0].low != first ||
			   left.list.items[0].high != last))
			e = note(by, i);
		vec_free(&theirs.list);
	}
	bool covered = !left.list.len;
	vec_free(&left.list);
	c->error = e ? e : c->error;
	return covered && !e;
}

enum cover { COVER_NOBODY, COVER_NO, COVER_YES };

static enum cover cover_of(struct check_run *c, size_t at,
			   bool (*candidate)(const struct check_run *, size_t, size_t, size_t),
			   struct covers *by)
{
	const struct rule_view *r = &c->rules.items[at];
	bool any = false;

	for (size_t g = 0; g < c->ends.groups.len; g++)
		for (size_t h = 0; r->subject[g] && h < c->ends.groups.len; h++)
			for (int f = 0; f < FAMILIES; f++) {
				if (!(r->match[h] & (1u << f)) || !c->ends.groups.items[g].has[f] ||
				    !judged(c, r, g, h))
					continue;
				any = true;
				if (!covered_pair(c, at, g, h, f, candidate, by))
					return COVER_NO;
			}
	return any ? COVER_YES : COVER_NOBODY;
}

static void names_of(struct buf *b, const struct check_run *c, const struct covers *by)
{
	for (size_t i = 0; i < by->list.len; i++) {
		buf_addz(b, i ? "; " : "");
		rule_name(b, &c->rules.items[by->list.items[i]]);
	}
}

static bool selects_any(const struct check_run *c, const struct rule_view *r)
{
	for (size_t g = 0; g < c->ends.groups.len; g++)
		if (r->subject[g])
			return true;
	return false;
}

static bool matches_any(const struct check_run *c, const struct rule_view *r)
{
	for (size_t g = 0; g < c->ends.groups.len; g++)
		if (r->match[g])
			return true;
	return false;
}

/* Another NetworkPolicy's rule that is not redundant itself. */
static bool allows(const struct check_run *c, size_t at, size_t i, size_t g)
{
	const struct rule_view *o = &c->rules.items[i];
	(void)at;
	(void)g;
	return !o->cluster && !o->redundant;
}

static void check_policy_rule(struct check_run *c, size_t at)
{
	struct rule_view *r = &c->rules.items[at];
	struct covers by = {0};

	if (selects_any(c, r) && !matches_any(c, r)) {
		finding_add(c->out, CHECK_rule_matches_nobody, rule_pos(r), NULL,
			    "this rule allows nobody now: its peers match no pod and no address");
	} else if (cover_of(c, at, allows, &by) == COVER_YES && by.list.len) {
		AUTO_BUF names = {0};
		names_of(&names, c, &by);
		r->redundant = true;
		finding_add(c->out, CHECK_rule_redundant, rule_pos(r), NULL,
			    "this rule allows nothing more: all of it is allowed by %s", names.p);
	}
	vec_free(&by.list);
}

static bool isolated(const struct check_run *c, size_t g, bool egress)
{
	const struct group *x = &c->ends.groups.items[g];

	(void)egress;
	for (size_t i = 0; i < c->rules.len; i++)
		if (!c->rules.items[i].cluster && c->rules.items[i].egress == egress &&
		    c->rules.items[i].subject[g])
			return true;
	return x->kind != END_POD;
}

/* A rule of the same tier before it, whatever it does; for Baseline also an Admin rule that decides, where no
 * Admin Pass rule could come before that. */
static bool comes_before(const struct check_run *c, size_t at, size_t i, size_t g)
{
	const struct rule_view *r = &c->rules.items[at], *o = &c->rules.items[i];

	if (!o->cluster || o->opaque || i > at)
		return false;
	if (o->admin == r->admin)
		return true;
	if (o->action == ACTION_PASS)
		return false;
	for (size_t k = 0; k < i; k++)
		if (c->rules.items[k].cluster && c->rules.items[k].admin &&
		    c->rules.items[k].action == ACTION_PASS && c->rules.items[k].egress == o->egress &&
		    c->rules.items[k].subject[g])
			return false;
	return true;
}

static void check_cluster_rule(struct check_run *c, size_t at)
{
	const struct rule_view *r = &c->rules.items[at];
	struct covers by = {0};
	bool asked = r->admin;

	if (r->opaque || !selects_any(c, r))
		return;
	if (!matches_any(c, r)) {
		finding_add(c->out, CHECK_rule_matches_nobody, rule_pos(r), NULL,
			    "this rule means nobody now: its peers match no pod, node or address");
		return;
	}
	for (size_t g = 0; g < c->ends.groups.len; g++)
		asked |= r->subject[g] && !isolated(c, g, r->egress);
	if (!asked) {
		finding_add(c->out, CHECK_cluster_rule_covered, rule_pos(r),
			    "the Baseline tier speaks only for pods that no NetworkPolicy isolates",
			    "this rule is never asked: NetworkPolicies isolate every pod that it is about");
	} else if (cover_of(c, at, comes_before, &by) == COVER_YES && by.list.len) {
		AUTO_BUF names = {0};
		names_of(&names, c, &by);
		finding_add(c->out, CHECK_cluster_rule_covered, rule_pos(r), NULL,
			    "this rule is never asked: all that it matches is decided before by %s", names.p);
	}
	vec_free(&by.list);
}

void check_rules(struct check_run *c)
{
	for (size_t i = c->rules.len; i-- > 0;) { /* of two equal ones the later is told */
		if (c->rules.items[i].cluster)
			check_cluster_rule(c, i);
		else
			check_policy_rule(c, i);
	}
}
