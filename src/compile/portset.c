/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port sets: what a policy set says of a class where one word does not do, and the fewest rows that say so:
 * the commonest verdict of a protocol is one row, and what differs from it a few prefixes. Called by set.c
 * and bridge.c.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "compile/state.h"

static struct piece default_of(bool open)
{
	return (struct piece){.allow = open};
}

void ports_key(struct buf *key, const struct ports *p)
{
	buf_addc(key, '|');
	VEC_EACH (&p->list, it) {
		uint16_t n[4] = {it->proto, it->low, it->high, it->allow};
		uint32_t ids[2] = {it->rule ? it->rule->id : RULE_NONE, it->names ? it->names->id : 0};
		buf_add(key, n, sizeof(n));
		buf_add(key, ids, sizeof(ids));
	}
}

static void lens_of(void *ctx, const struct port_key *k, const struct port_value *v, const struct rule *rule)
{
	(void)v;
	(void)rule;
	*(uint32_t *)ctx |= 1u << k->len;
}

static struct portset *portset_get(struct compiler *c, const struct ports *p, bool open)
{
	AUTO_BUF key = {0};
	buf_addc(&key, open ? '1' : '0');
	ports_key(&key, p);
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
		s->open = open;
		s->owner.listed = true;
		c->failed |= !s->id;
		ports_copy(c, p, &s->ports);
		VEC_EACH (&s->ports.list, it) {
			rule_ref(it->rule);
			if (it->names)
				nameset_ref(it->names);
		}
		portset_rows(s, lens_of, &s->lens);
	}
	s->refs++;
	return s;
}

/* The rule that is shown as the cause of the rows. */
static const struct rule *speaker(const struct ports *p)
{
	VEC_EACH (&p->list, it)
		if (it->rule)
			return it->rule;
	VEC_EACH (&p->list, it)
		for (const struct nameset *n = it->names; n; n = n->both[1])
			if (n->list.len)
				return n->list.items[0].rule;
	return NULL;
}

/* One port that is allowed while the rest is the default. */
static const struct piece *lone_port(const struct ports *p, bool open)
{
	const struct piece *lone = NULL, rest = default_of(open);
	VEC_EACH (&p->list, it) {
		if (piece_like(it, &rest))
			continue;
		if (lone || !it->allow || !it->proto || it->low != it->high)
			return NULL;
		lone = it;
	}
	return lone;
}

static bool uniform(const struct ports *p)
{
	VEC_EACH (&p->list, it)
		if (!piece_like(it, p->list.items) || it->names)
			return false;
	return p->list.len;
}

bool cell_of(struct compiler *c, const struct ports *p, bool open, struct cell *out)
{
	const struct piece rest = default_of(open), *first = p->list.items, *lone;
	*out = (struct cell){.by = speaker(p)};
	if (uniform(p)) {
		if (piece_like(first, &rest))
			return false;
		out->v.portset = first->allow ? PORTSET_ALL : PORTSET_NONE;
		out->v.rule = first->rule ? first->rule->id : RULE_NONE;
		return true;
	}
	lone = lone_port(p, open);
	if (lone) {
		out->v = (struct policy_value){.portset = PORTSET_ONE,
					       .rule = lone->rule ? lone->rule->id : RULE_NONE,
					       .proto = lone->proto,
					       .port = htons(lone->low)};
		return true;
	}
	out->portset = p->list.len ? portset_get(c, p, open) : NULL;
	if (!out->portset)
		return false;
	out->v.portset = out->portset->id;
	out->v.lens = out->portset->lens;
	return true;
}

/* The largest aligned power of two of ports that begins at `at` and ends by `high`. */
static unsigned block_bits(uint32_t at, uint32_t high)
{
	unsigned bits = 16;
	while ((at & ((1u << bits) - 1)) || at + (1u << bits) - 1 > high)
		bits--;
	return bits;
}

static unsigned blocks_in(const struct piece *p)
{
	unsigned n = 0;
	for (uint32_t at = p->low; at <= p->high; n++)
		at += 1u << block_bits(at, p->high);
	return n;
}

static void put(const struct portset *s, const struct piece *p, uint32_t at, uint8_t len, portset_fn *fn,
		void *ctx)
{
	struct port_key k = {.portset = s->id, .proto = p->proto, .len = len, .port = htons((uint16_t)at)};
	struct port_value v = {.verdict = p->allow ? VERDICT_ALLOW : VERDICT_DENY,
			       .rule = p->rule ? p->rule->id : RULE_NONE,
			       .names = p->names ? p->names->id : 0};
	const struct nameset *n = p->names;
	while (n && n->both[1])
		n = n->both[1];
	fn(ctx, &k, &v, p->rule ? p->rule : n && n->list.len ? n->list.items[0].rule : speaker(&s->ports));
}

/* Rows that a protocol needs beside a row (or default) that says `base` for all of its ports. */
static unsigned beside(const struct piece *p, size_t n, const struct piece *base)
{
	unsigned rows = 0;
	for (size_t i = 0; i < n; i++)
		if (!piece_like(&p[i], base))
			rows += blocks_in(&p[i]);
	return rows;
}

/* Which piece stands for the whole protocol; NULL: what holds without a row of its own. */
static const struct piece *base_of(const struct piece *p, size_t n, const struct piece *without)
{
	enum { TRIED = 16 };
	const struct piece *best = NULL;
	unsigned least = beside(p, n, without);
	for (size_t i = 0; i < n && i < TRIED; i++) {
		unsigned rows = piece_like(&p[i], without) ? least : 1 + beside(p, n, &p[i]);
		if (rows >= least)
			continue;
		least = rows;
		best = &p[i];
	}
	return best;
}

/* Pieces 0 … n-1 are all of one protocol. */
static void proto_rows(const struct portset *s, const struct piece *p, size_t n, const struct piece *without,
		       portset_fn *fn, void *ctx)
{
	const struct piece *base = base_of(p, n, without);
	if (base)
		put(s, base, 0, PORT_LEN(0), fn, ctx);
	for (size_t i = 0; i < n; i++) {
		if (piece_like(&p[i], base ? base : without))
			continue;
		for (uint32_t at = p[i].low; at <= p[i].high;) {
			unsigned bits = block_bits(at, p[i].high);
			put(s, &p[i], at, (uint8_t)PORT_LEN(16 - bits), fn, ctx);
			at += 1u << bits;
		}
	}
}

void portset_rows(const struct portset *s, portset_fn *fn, void *ctx)
{
	const struct piece rest = default_of(s->open), *p = s->ports.list.items;
	const struct piece *others = p; /* of protocols without ports: always the first, and one */
	size_t n = s->ports.list.len;
	if (!piece_like(others, &rest))
		put(s, others, 0, PORT_LEN_ANY, fn, ctx);
	for (size_t i = 1, end; i < n; i = end) {
		for (end = i; end < n && p[end].proto == p[i].proto;)
			end++;
		proto_rows(s, p + i, end - i, others, fn, ctx);
	}
}

struct show {
	struct compiler *c;
	struct portset *s;
};

static void show_row(void *ctx, const struct port_key *k, const struct port_value *v, const struct rule *rule)
{
	struct show *sh = ctx;
	put_map(sh->c, &sh->s->owner, PLAN_MAP_port, k, v, rule ? &rule->src : &sh->c->settings_src,
		rule ? rule->member : NULL);
}

static void use_names(struct compiler *c, const struct portset *s, bool use)
{
	VEC_EACH (&s->ports.list, it)
		if (it->names)
			nameset_use(c, it->names, use);
}

void portset_show(struct compiler *c, struct portset *s)
{
	if (s->shown == c->run)
		return;
	if (!s->shown)
		use_names(c, s, true);
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
		if (s->refs || !s->shown)
			continue;
		owner_clear(&c->rows, &s->owner);
		use_names(c, s, false);
		s->shown = 0;
	}
}

static void portset_free(struct compiler *c, struct portset *s)
{
	VEC_EACH (&s->ports.list, it) {
		rule_unref(c, it->rule);
		if (it->names)
			nameset_unref(c, it->names);
	}
	owner_fini(&s->owner);
	ports_fini(&s->ports);
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
