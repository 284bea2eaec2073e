/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port sets: what a policy set lets a class do, as ranges in a canonical form, and their rows, in which a
 * range is a few prefixes. Called by set.c and transition.c.
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "compile/state.h"

void ports_fini(struct ports *p)
{
	vec_free(&p->list);
}

static void gather(struct compiler *c, struct ports *out, const struct rule_port *rp, uint16_t low,
		   uint16_t high, struct rule *rule)
{
	PUSH(c, &out->list,
	     (struct portset_entry){.proto = rp->proto, .low = low, .high = high, .rule = rule});
}

static void named_ports(struct compiler *c, const struct pset *s, const struct pclass *k,
			const struct rule_port *rp, struct rule *rule, struct ports *out)
{
	if (s->dir == DIR_INGRESS) {
		VEC_EACH (&s->named, n)
			if (n->proto == rp->proto && str_eq(n->name, rp->name))
				gather(c, out, rp, n->low, n->high, rule);
		return;
	}
	VEC_EACH (&k->atoms.list, it) {
		const struct atom *a = *it;
		if (a->kind == ATOM_NAMED && a->proto == rp->proto && str_eq(a->name, rp->name))
			gather(c, out, rp, a->number, a->number, rule);
	}
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

static int entry_cmp(const void *x, const void *y)
{
	const struct portset_entry *a = x, *b = y;
	if (a->proto != b->proto)
		return a->proto < b->proto ? -1 : 1;
	return (a->low > b->low) - (a->low < b->low);
}

/* The first rule that covers the port, in the order in which the rules stand. */
static const struct portset_entry *covering(const struct ports *p, uint8_t proto, uint32_t port)
{
	VEC_EACH (&p->list, e)
		if (e->proto == proto && e->low <= port && port <= e->high)
			return e;
	return NULL;
}

struct cut { /* a place where what covers a port may change */
	uint8_t proto;
	uint32_t at;
};

static int cut_cmp(const void *x, const void *y)
{
	const struct cut *a = x, *b = y;
	if (a->proto != b->proto)
		return a->proto < b->proto ? -1 : 1;
	return (a->at > b->at) - (a->at < b->at);
}

/* Overlapping ranges in the order of rules → disjoint ones in the order of ports. */
static void canonical(struct compiler *c, struct ports *p)
{
	if (p->list.len < 2)
		return;
	VEC(struct cut) cuts = {0};
	VEC_EACH (&p->list, e) {
		PUSH(c, &cuts, (struct cut){e->proto, e->low});
		PUSH(c, &cuts, (struct cut){e->proto, e->high + 1u});
	}
	if (cuts.len)
		qsort(cuts.items, cuts.len, sizeof(*cuts.items), cut_cmp);
	struct ports out = {0};
	for (size_t i = 0; i + 1 < cuts.len; i++) {
		const struct cut *a = &cuts.items[i], *b = a + 1;
		if (a->proto != b->proto || a->at == b->at)
			continue;
		const struct portset_entry *by = covering(p, a->proto, a->at);
		if (!by)
			continue;
		struct portset_entry *last = out.list.len ? &out.list.items[out.list.len - 1] : NULL;
		if (last && last->proto == a->proto && last->rule == by->rule && last->high + 1u == a->at)
			last->high = (uint16_t)(b->at - 1);
		else
			gather(c, &out, &(struct rule_port){.proto = a->proto}, (uint16_t)a->at,
			       (uint16_t)(b->at - 1), by->rule);
	}
	vec_free(&cuts);
	ports_fini(p);
	p->list.items = out.list.items;
	p->list.len = out.list.len;
	p->list.cap = out.list.cap;
}

void ports_eval(struct compiler *c, const struct pset *s, const struct pclass *k, struct ports *out)
{
	*out = (struct ports){0};
	VEC_EACH (&s->parts, part) {
		VEC_EACH (&(*part)->rules, r) {
			if (!applies(r, k))
				continue;
			if (r->any_port) {
				vec_free(&out->list);
				out->all = r->rule;
				return;
			}
			VEC_EACH (&r->ports, rp) {
				if (rp->name.n)
					named_ports(c, s, k, rp, r->rule, out);
				else
					gather(c, out, rp, rp->low, rp->high, r->rule);
			}
		}
	}
	canonical(c, out);
}

static void copy(struct compiler *c, const struct ports *from, struct ports *out)
{
	out->all = from->all;
	VEC_EACH (&from->list, e)
		PUSH(c, &out->list, *e);
}

void ports_and(struct compiler *c, const struct ports *a, const struct ports *b, struct ports *out)
{
	*out = (struct ports){0};
	if (a->all || b->all) {
		copy(c, b->all ? a : b, out);
		if (a->all && b->all)
			out->all = b->all;
		return;
	}
	VEC_EACH (&a->list, x) {
		VEC_EACH (&b->list, y) {
			uint16_t low = x->low > y->low ? x->low : y->low;
			uint16_t high = x->high < y->high ? x->high : y->high;
			if (x->proto == y->proto && low <= high)
				gather(c, out, &(struct rule_port){.proto = x->proto}, low, high, y->rule);
		}
	}
	if (out->list.len)
		qsort(out->list.items, out->list.len, sizeof(*out->list.items), entry_cmp);
}

struct portset *portset_get(struct compiler *c, const struct ports *p)
{
	AUTO_BUF key = {0};
	VEC_EACH (&p->list, e) {
		uint16_t n[3] = {e->proto, e->low, e->high};
		buf_add(&key, n, sizeof(n));
		buf_add(&key, &e->rule->id, sizeof(e->rule->id));
	}
	struct portset *s = key.failed ? NULL : hash_get(&c->portsets, buf_str(&key));
	if (!s) {
		s = key.failed ? NULL : calloc(1, sizeof(*s));
		if (!s || hash_set(&c->portsets, buf_str(&key), s, NULL)) {
			free(s);
			c->failed = true;
			return NULL;
		}
		s->key = key_copy(c, buf_str(&key));
		s->id = id_take(&c->portset_ids, hash_bytes(key.p, key.n, 0), s);
		s->owner.listed = true;
		c->failed |= !s->id;
		VEC_EACH (&p->list, e) {
			PUSH(c, &s->list, *e);
			e->rule->refs++;
		}
	}
	s->refs++;
	return s;
}

/* A range is the few aligned powers of two that it is made of: at most 30. */
static void range_rows(const struct portset *s, const struct portset_entry *e, portset_fn *fn, void *ctx)
{
	for (uint32_t at = e->low; at <= e->high;) {
		unsigned size = 16;
		while ((at & ((1u << size) - 1)) || at + (1u << size) - 1 > e->high)
			size--;
		struct port_key k = {.prefixlen = 48 + 16 - size,
				     .portset = s->id,
				     .proto = e->proto,
				     .port = htons((uint16_t)at)};
		struct port_value v = {.verdict = VERDICT_ALLOW, .rule = e->rule->id};
		fn(ctx, &k, &v, e->rule);
		at += 1u << size;
	}
}

void portset_rows(const struct portset *s, portset_fn *fn, void *ctx)
{
	VEC_EACH (&s->list, e)
		range_rows(s, e, fn, ctx);
}

struct show {
	struct compiler *c;
	struct portset *s;
};

static void show_row(void *ctx, const struct port_key *k, const struct port_value *v, const struct rule *rule)
{
	struct show *sh = ctx;
	put_map(sh->c, &sh->s->owner, PLAN_MAP_port, k, v, &rule->src, rule->member);
}

void portset_show(struct compiler *c, struct portset *s)
{
	if (s->shown == c->run)
		return;
	s->shown = c->run;
	struct show sh = {c, s};
	owner_begin(&s->owner);
	portset_rows(s, show_row, &sh);
	owner_end(&c->rows, &s->owner);
}

void portset_unref(struct compiler *c, struct portset *s)
{
	if (--s->refs || s->dying)
		return;
	s->dying = true;
	PUSH(c, &c->dying_portsets, s);
}

void portsets_settle(struct compiler *c)
{
	VEC_EACH (&c->dying_portsets, it) {
		struct portset *s = *it;
		if (s->refs)
			continue;
		owner_clear(&c->rows, &s->owner);
		s->shown = 0;
	}
}

static void portset_free(struct compiler *c, struct portset *s)
{
	VEC_EACH (&s->list, e)
		rule_unref(c, e->rule);
	owner_fini(&s->owner);
	vec_free(&s->list);
	free((void *)(uintptr_t)s->key.p);
	free(s);
}

void portsets_bury(struct compiler *c)
{
	VEC_EACH (&c->dying_portsets, it) {
		struct portset *s = *it;
		s->dying = false;
		if (s->refs)
			continue;
		hash_del(&c->portsets, s->key);
		id_drop(&c->portset_ids, s->id);
		portset_free(c, s);
	}
	c->dying_portsets.len = 0;
}

void portsets_fini(struct compiler *c)
{
	HASH_EACH (&c->portsets, s)
		portset_free(c, s->value);
	hash_fini(&c->portsets);
	ids_fini(&c->portset_ids);
	vec_free(&c->dying_portsets);
}
