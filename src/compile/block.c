/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CIDR blocks: the prefixes that live ipBlocks speak of (cidr and except), each with the atoms that hold for
 * an address inside it and in no longer one. Called by compile.c when an ipBlock came or went.
 */
#include <stdlib.h>

#include "compile/state.h"
#include "seam/class.h"
#include "seam/config.h"

struct edge { /* a prefix begins here that an atom's cidr (or except) is */
	struct prefix p;
	struct atom *a;
	bool except;
};
struct edges {
	VEC(struct edge) list;
};

static bool is4(const struct prefix *p)
{
	return p->len >= 96 && addr_is4(&p->addr);
}

/* Containing blocks come right before what they contain; IPv4 is not contained in ::/0, so it stands apart.
 */
static int edge_cmp(const void *x, const void *y)
{
	const struct edge *a = x, *b = y;
	if (is4(&a->p) != is4(&b->p))
		return is4(&a->p) ? -1 : 1;
	int r = memcmp(&a->p.addr, &b->p.addr, sizeof(a->p.addr));
	return r ? r : (a->p.len > b->p.len) - (a->p.len < b->p.len);
}

int block_order(const struct block *a, const struct block *b)
{
	if (a->p.len != b->p.len)
		return a->p.len > b->p.len ? -1 : 1;
	return memcmp(&a->p.addr, &b->p.addr, sizeof(a->p.addr));
}

static int block_cmp(const void *x, const void *y)
{
	return block_order(x, y);
}

static void edges_of(struct compiler *c, struct edges *e)
{
	VEC_EACH (&c->live_atoms[ATOM_BLOCK], it) {
		struct atom *a = *it;
		PUSH(c, &e->list, (struct edge){a->cidr, a, false});
		VEC_EACH (&a->except, x)
			PUSH(c, &e->list, (struct edge){*x, a, true});
	}
	if (e->list.len)
		qsort(e->list.items, e->list.len, sizeof(*e->list.items), edge_cmp);
}

/* The first rule, by name, that made this prefix one: it is shown as the origin. */
static void block_origin(struct block *b, const struct atom *a, const struct rule **first)
{
	VEC_EACH (&a->users, u) {
		const struct rule *r = (*u)->rule;
		if (*first && strcmp((*first)->text, r->text) <= 0)
			continue;
		*first = r;
		b->src = &r->src;
		b->member = r->member;
	}
}

static void build(struct compiler *c, const struct edges *e)
{
	VEC(size_t) open = {0}; /* indexes of the blocks around the present one */
	for (size_t i = 0; i < e->list.len;) {
		struct block b = {.p = e->list.items[i].p};
		const struct rule *first = NULL;
		while (open.len && !prefix_covers(&c->blocks.list.items[open.items[open.len - 1]].p, &b.p))
			open.len--;
		if (open.len) {
			VEC_EACH (&c->blocks.list.items[open.items[open.len - 1]].atoms.list, a)
				PUSH(c, &b.atoms.list, *a);
		}
		for (; i < e->list.len && !edge_cmp(&e->list.items[i], &(struct edge){.p = b.p}); i++) {
			const struct edge *at = &e->list.items[i];
			if (at->except)
				atoms_remove(&b.atoms, at->a);
			else
				atoms_add(c, &b.atoms, at->a);
			block_origin(&b, at->a, &first);
		}
		b.class = class_get(c, &b.atoms);
		if (vec_push(&open, c->blocks.list.len) || vec_push(&c->blocks.list, b)) {
			vec_free(&b.atoms.list);
			c->failed = true;
			break;
		}
	}
	vec_free(&open);
}

const struct block *block_of(const struct blocks *bs, const struct addr *a, unsigned shorter_than)
{
	size_t i = 0;
	while (i < bs->list.len) {
		unsigned len = bs->list.items[i].p.len;
		size_t lo = i, hi = bs->list.len, end;
		while (lo < hi) { /* the end of the run of this length */
			size_t mid = (lo + hi) / 2;
			if (bs->list.items[mid].p.len == len)
				lo = mid + 1;
			else
				hi = mid;
		}
		end = lo;
		struct block want = {.p = {.addr = *a, .len = (uint8_t)len}};
		prefix_mask(&want.p.addr, len);
		const struct block *hit =
		    len < shorter_than ? bsearch(&want, &bs->list.items[i], end - i, sizeof(want), block_cmp)
				       : NULL;
		if (hit && prefix_has(&hit->p, a))
			return hit;
		i = end;
	}
	return NULL;
}

/* Addresses in blocks whose atoms are others now get their class again. */
static void spread(struct compiler *c, const struct blocks *from, const struct blocks *to)
{
	VEC_EACH (&from->list, b) {
		const struct block *t =
		    to->list.len ? bsearch(b, to->list.items, to->list.len, sizeof(*b), block_cmp) : NULL;
		if (!t || t->class != b->class)
			addrs_in_dirty(c, &b->p);
	}
}

void blocks_build(struct compiler *c)
{
	blocks_fini(&c->blocks_was);
	if (!c->blocks_changed)
		return;
	c->blocks_was = c->blocks;
	c->blocks_rebuilt = c->run;
	c->blocks = (struct blocks){0};
	struct edges e = {0};
	edges_of(c, &e);
	build(c, &e);
	vec_free(&e.list);
	if (c->failed)
		return;
	if (c->blocks.list.len)
		qsort(c->blocks.list.items, c->blocks.list.len, sizeof(struct block), block_cmp);
	VEC_EACH (&c->blocks_was.list, b)
		class_unref(c, b->class); /* it stays until the end of the run */
	spread(c, &c->blocks_was, &c->blocks);
	spread(c, &c->blocks, &c->blocks_was);
	c->settings_changed = true;
}

uint32_t blocks_lens(const struct blocks *b, uint8_t lens4[BLOCK_LENS], uint8_t lens6[BLOCK_LENS])
{
	unsigned n4 = 0, n6 = 0, last4 = 255, last6 = 255;
	memset(lens4, 0, BLOCK_LENS);
	memset(lens6, 0, BLOCK_LENS);
	VEC_EACH (&b->list, it) {
		unsigned *last = is4(&it->p) ? &last4 : &last6, *n = is4(&it->p) ? &n4 : &n6;
		uint8_t *lens = is4(&it->p) ? lens4 : lens6;
		if (*last == it->p.len)
			continue;
		*last = it->p.len;
		if (*n == BLOCK_LENS) {
			memset(lens4, 0, BLOCK_LENS);
			memset(lens6, 0, BLOCK_LENS);
			return 1;
		}
		lens[(*n)++] = it->p.len ? it->p.len : 255;
	}
	return 0;
}

static void put_block(struct compiler *c, enum plan_map table, const struct block *b)
{
	struct block_key k = {.len = b->p.len};
	memcpy(&k.addr, &b->p.addr, sizeof(k.addr));
	struct block_value v = {.class = b->class ? b->class->id : CLASS_WORLD};
	put_map(c, &c->block_owner, table, &k, &v, b->src, b->member);
}

/* In the trie a short IPv6 prefix would hold IPv4 addresses too: 0.0.0.0/0 stands before it. */
bool blocks_shield(const struct blocks *b, struct prefix *out)
{
	bool leak = false, shut = false;
	*out = (struct prefix){.len = 96};
	out->addr.b[10] = out->addr.b[11] = 0xff;
	VEC_EACH (&b->list, it) {
		struct addr masked = out->addr;
		prefix_mask(&masked, it->p.len);
		leak |= it->p.len < 96 && addr_eq(&masked, &it->p.addr);
		shut |= it->p.len == 96 && is4(&it->p);
	}
	return leak && !shut;
}

void blocks_rows(struct compiler *c)
{
	if (!c->blocks_changed)
		return;
	c->blocks_changed = false;
	uint8_t lens4[BLOCK_LENS], lens6[BLOCK_LENS];
	bool trie = blocks_lens(&c->blocks, lens4, lens6);
	enum plan_map table = trie ? PLAN_MAP_block_trie : PLAN_MAP_block;
	struct block shield = {.src = &c->settings_src};
	owner_begin(&c->block_owner);
	VEC_EACH (&c->blocks.list, b)
		put_block(c, table, b);
	if (trie && blocks_shield(&c->blocks, &shield.p))
		put_block(c, table, &shield);
	owner_end(&c->rows, &c->block_owner);
}

void blocks_fini(struct blocks *b)
{
	VEC_EACH (&b->list, it)
		vec_free(&it->atoms.list);
	vec_free(&b->list);
}
