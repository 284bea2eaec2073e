/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tiers folded into one verdict: what a policy set says of a class, for each protocol and port. Admin
 * rules are asked in their order, then NetworkPolicies, then Baseline rules, as the specification has it; the
 * result is a list of pieces that knows no tier any more. Called by set.c and bridge.c.
 */
#include <netinet/in.h>
#include <stdlib.h>

#include "compile/state.h"

enum { PROTO_EVERY = 255 }; /* of a claim */

/* A rule that matches the class, on some ports. */
struct claim {
	uint8_t proto, tier;
	bool by_name; /* only for destinations under the rule's names */
	uint16_t low, high;
	const struct policy_rule *by;
};

struct fold {
	VEC(struct claim) claims; /* in the order in which they judge */
	VEC(uint32_t) cuts;
	VEC(const struct policy_rule *) names;
	struct piece otherwise; /* the default */
	bool ended;		/* no further claim can count */
};

static const uint8_t protos[] = {0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

void ports_fini(struct ports *p)
{
	vec_free(&p->list);
}

void fold_fini(struct compiler *c)
{
	if (!c->fold)
		return;
	vec_free(&c->fold->claims);
	vec_free(&c->fold->cuts);
	vec_free(&c->fold->names);
	free(c->fold);
	c->fold = NULL;
}

bool piece_like(const struct piece *a, const struct piece *b)
{
	return a->allow == b->allow && a->rule == b->rule && a->names == b->names;
}

/* Appends what holds up to p->high; neighbours that say the same become one. */
static void append(struct compiler *c, struct ports *out, const struct piece *p)
{
	struct piece *last = out->list.len ? &out->list.items[out->list.len - 1] : NULL;
	if (last && last->proto == p->proto && piece_like(last, p))
		last->high = p->high;
	else
		PUSH(c, &out->list, *p);
}

static void everywhere(struct compiler *c, const struct piece *p, struct ports *out)
{
	if (vec_reserve(&out->list, ARRAY_LEN(protos))) {
		c->failed = true;
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		struct piece at = *p;
		at.proto = protos[i];
		at.low = 0;
		at.high = protos[i] ? 65535 : 0;
		out->list.items[out->list.len++] = at;
	}
}

void ports_all(struct compiler *c, struct ports *out)
{
	*out = (struct ports){0};
	everywhere(c, &(struct piece){.allow = true}, out);
}

void ports_copy(struct compiler *c, const struct ports *p, struct ports *out)
{
	*out = (struct ports){0};
	VEC_EACH (&p->list, it)
		PUSH(c, &out->list, *it);
}

static bool applies(const struct policy_rule *r, const struct pclass *k)
{
	if (r->any_peer)
		return true;
	VEC_EACH (&r->peers, a)
		if (atoms_have(&k->atoms, *a))
			return true;
	return false;
}

static void claim_named(struct compiler *c, const struct pset *s, const struct pclass *k,
			const struct rule_port *rp, struct claim claim)
{
	if (s->dir == DIR_INGRESS) {
		VEC_EACH (&s->named, n) {
			if (n->proto != rp->proto || !str_eq(n->name, rp->name))
				continue;
			claim.low = claim.high = n->low;
			PUSH(c, &c->fold->claims, claim);
		}
		return;
	}
	VEC_EACH (&k->atoms.list, it) {
		const struct atom *a = *it;
		if (a->kind != ATOM_NAMED || a->proto != rp->proto || !str_eq(a->name, rp->name))
			continue;
		claim.low = claim.high = a->number;
		PUSH(c, &c->fold->claims, claim);
	}
}

/* A rule that matches for sure, or (by_name) perhaps. */
static void claim_rule(struct compiler *c, const struct pset *s, const struct pclass *k, enum tier tier,
		       const struct policy_rule *r, bool by_name)
{
	struct claim claim = {
	    .proto = PROTO_EVERY, .tier = (uint8_t)tier, .by_name = by_name, .high = 65535, .by = r};
	if (r->any_port) {
		PUSH(c, &c->fold->claims, claim);
		return;
	}
	VEC_EACH (&r->ports, rp) {
		claim.proto = rp->proto;
		claim.low = rp->low;
		claim.high = rp->high;
		if (rp->name.n)
			claim_named(c, s, k, rp, claim);
		else
			PUSH(c, &c->fold->claims, claim);
	}
}

/* The first rule that settles every port: what stands behind it in its tier never counts. */
static bool settles(const struct policy_rule *r)
{
	return r->any_port && r->action != ACTION_PASS;
}

/* Cluster policies of one tier, from part i on. Returns the first part that is not of the tier. */
static size_t claim_tier(struct compiler *c, const struct pset *s, const struct pclass *k, enum tier tier,
			 size_t i)
{
	bool over = false, passes = false;
	for (; i < s->parts.len && s->parts.items[i]->tier == tier; i++) {
		VEC_EACH (&s->parts.items[i]->rules, r) {
			if (over)
				break;
			bool hit = applies(r, k);
			if (!hit && !r->domains.len)
				continue;
			claim_rule(c, s, k, tier, r, !hit);
			over = hit && r->any_port;
			passes |= hit && r->action == ACTION_PASS;
			c->fold->ended |= hit && settles(r) && !passes;
		}
	}
	return i;
}

/* NetworkPolicies: the union of what they allow. One rule that allows everything says it all. */
static size_t claim_networks(struct compiler *c, const struct pset *s, const struct pclass *k, size_t i)
{
	size_t mark = c->fold->claims.len;
	bool over = false;
	for (; i < s->parts.len && s->parts.items[i]->tier == TIER_NETWORK; i++) {
		VEC_EACH (&s->parts.items[i]->rules, r) {
			if (over || !applies(r, k))
				continue;
			over = r->any_port;
			if (over)
				c->fold->claims.len = mark;
			claim_rule(c, s, k, TIER_NETWORK, r, false);
		}
	}
	return i;
}

static void claim_all(struct compiler *c, const struct pset *s, const struct pclass *k, bool self)
{
	struct fold *f = c->fold;
	f->claims.len = 0;
	f->ended = false;
	f->otherwise =
	    (struct piece){.allow = s->open || self, .rule = self && !s->open ? &c->self_rule : NULL};
	size_t i = claim_tier(c, s, k, TIER_ADMIN, 0);
	if (f->ended)
		return;
	if (!self)
		i = claim_networks(c, s, k, i);
	while (i < s->parts.len && s->parts.items[i]->tier == TIER_NETWORK)
		i++;
	if (s->open || self) /* who is isolated meets no Baseline rule */
		claim_tier(c, s, k, TIER_BASELINE, i);
}

/* What the claims say of one port, or (proto 0) of protocols without. */
static void judge(struct compiler *c, uint8_t proto, uint32_t port, struct piece *out)
{
	struct fold *f = c->fold;
	int passed = -1;
	f->names.len = 0;
	*out = f->otherwise;
	VEC_EACH (&f->claims, cl) {
		bool here =
		    cl->proto == PROTO_EVERY || (cl->proto == proto && cl->low <= port && port <= cl->high);
		if (!here || cl->tier == passed)
			continue;
		if (cl->by_name) {
			PUSH(c, &f->names, cl->by);
			continue;
		}
		if (cl->by->action == ACTION_PASS) {
			passed = cl->tier;
			continue;
		}
		out->allow = cl->by->action == ACTION_ACCEPT;
		out->rule = cl->by->rule;
		break;
	}
	if (!out->allow && f->names.len)
		out->names = nameset_of(c, f->names.items, f->names.len);
}

static int cut_cmp(const void *x, const void *y)
{
	const uint32_t *a = x, *b = y;
	return (*a > *b) - (*a < *b);
}

/* Between two neighbouring bounds of claims one verdict holds. */
static void judge_proto(struct compiler *c, uint8_t proto, struct ports *out)
{
	struct fold *f = c->fold;
	f->cuts.len = 0;
	PUSH(c, &f->cuts, 0);
	VEC_EACH (&f->claims, cl) {
		if (cl->proto != proto)
			continue;
		PUSH(c, &f->cuts, cl->low);
		PUSH(c, &f->cuts, cl->high + 1u);
	}
	PUSH(c, &f->cuts, 65536);
	if (c->failed)
		return;
	qsort(f->cuts.items, f->cuts.len, sizeof(*f->cuts.items), cut_cmp);
	for (size_t i = 0; i + 1 < f->cuts.len; i++) {
		struct piece p;
		uint32_t low = f->cuts.items[i], end = f->cuts.items[i + 1];
		if (low == end)
			continue;
		judge(c, proto, low, &p);
		p.proto = proto;
		p.low = (uint16_t)low;
		p.high = (uint16_t)(end - 1);
		append(c, out, &p);
	}
}

static void eval(struct compiler *c, const struct pset *s, const struct pclass *k, bool self,
		 struct ports *out)
{
	*out = (struct ports){0};
	if (!c->fold)
		c->fold = calloc(1, sizeof(*c->fold));
	if (!c->fold) {
		c->failed = true;
		return;
	}
	claim_all(c, s, k, self);
	const struct fold *f = c->fold;
	const struct claim *first = f->claims.len ? f->claims.items : NULL;
	struct piece p;
	if (!first || (first->proto == PROTO_EVERY && !first->by_name && settles(first->by))) {
		judge(c, 0, 0, &p);
		everywhere(c, &p, out);
		return;
	}
	judge(c, 0, 0, &p);
	p.proto = 0;
	p.low = p.high = 0;
	append(c, out, &p);
	for (size_t i = 1; i < ARRAY_LEN(protos); i++)
		judge_proto(c, protos[i], out);
}

void ports_eval(struct compiler *c, const struct pset *s, const struct pclass *k, struct ports *out)
{
	eval(c, s, k, false, out);
}

void ports_eval_self(struct compiler *c, const struct pset *s, const struct pclass *k, struct ports *out)
{
	eval(c, s, k, true, out);
}

/* What both allow, in words of the second where they can be told. */
static struct piece both(struct compiler *c, const struct piece *x, const struct piece *y)
{
	if (x->allow && y->allow)
		return (struct piece){.allow = true, .rule = y->rule ? y->rule : x->rule};
	if (x->allow || y->allow)
		return x->allow ? *y : *x;
	struct piece out = {.rule = y->rule};
	if (x->names && y->names)
		out.names = nameset_both(c, x->names, y->names);
	return out;
}

void ports_and(struct compiler *c, const struct ports *a, const struct ports *b, struct ports *out)
{
	*out = (struct ports){0};
	for (size_t i = 0, j = 0; i < a->list.len && j < b->list.len;) {
		const struct piece *x = &a->list.items[i], *y = &b->list.items[j];
		struct piece p = both(c, x, y);
		p.proto = x->proto;
		p.low = x->low > y->low ? x->low : y->low;
		p.high = x->high < y->high ? x->high : y->high;
		append(c, out, &p);
		i += x->high == p.high;
		j += y->high == p.high;
	}
}
