/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known addresses, of pods and nodes: their classes and their rows. Kept sorted, so that a changed block
 * finds the addresses inside it. Called by pod.c, node.c, kin.c and block.c.
 */
#include <stdlib.h>

#include "compile/state.h"
#include "seam/class.h"

static int addr_order(const struct addr *a, const struct addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

static int known_cmp(const void *a, const void *b)
{
	const struct known_addr *const *x = a, *const *y = b;
	return addr_order(&(*x)->a, &(*y)->a);
}

static void sort(struct compiler *c)
{
	if (!c->addrs_sorted && c->addrs.len)
		qsort(c->addrs.items, c->addrs.len, sizeof(*c->addrs.items), known_cmp);
	c->addrs_sorted = true;
	c->addrs_added = 0;
}

/* Index of the first address not below a. */
static size_t lower(const struct compiler *c, const struct addr *a)
{
	size_t lo = 0, hi = c->addrs.len;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (addr_order(&c->addrs.items[mid]->a, a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void addr_dirty(struct compiler *c, struct known_addr *a)
{
	if (!a->listed || a->dirty)
		return;
	a->dirty = true;
	PUSH(c, &c->dirty_addrs, a);
}

void addr_add_known(struct compiler *c, struct known_addr *a)
{
	enum { ONE_BY_ONE = 64 };
	size_t n = c->addrs.len;
	if (vec_push(&c->addrs, a)) {
		c->failed = true;
		return;
	}
	if (c->addrs_sorted && c->addrs_added < ONE_BY_ONE) {
		c->addrs.len--;
		size_t at = lower(c, &a->a);
		memmove(&c->addrs.items[at + 1], &c->addrs.items[at], (n - at) * sizeof(*c->addrs.items));
		c->addrs.items[at] = a;
		c->addrs.len++;
		c->addrs_added++;
	} else {
		c->addrs_sorted = false;
	}
	a->listed = true;
	addr_dirty(c, a);
}

void addr_remove_known(struct compiler *c, struct known_addr *a)
{
	if (!a->listed)
		return;
	sort(c);
	size_t at = lower(c, &a->a);
	while (c->addrs.items[at] != a)
		at++;
	vec_remove(&c->addrs, at);
	a->listed = false;
	if (a->dirty)
		CUT(&c->dirty_addrs, a);
	a->dirty = false;
	if (a->class)
		class_unref(c, a->class);
	a->class = NULL;
	struct prow *r = row_find(&c->rows, ROW_MAP, PLAN_MAP_address, &a->a);
	if (r)
		row_drop(&c->rows, a->pod ? &a->pod->addresses : &a->node->addresses, r);
}

void addrs_in_dirty(struct compiler *c, const struct prefix *p)
{
	sort(c);
	for (size_t i = lower(c, &p->addr); i < c->addrs.len; i++) {
		struct addr masked = c->addrs.items[i]->a; /* IPv4 stands in the midst of ::/0 */
		prefix_mask(&masked, p->len);
		if (!addr_eq(&masked, &p->addr))
			break;
		addr_dirty(c, c->addrs.items[i]);
	}
}

/* Named ports of egress rules mean what the destination declares: that number becomes part of its class. */
static void add_named(struct compiler *c, struct atoms *atoms, const struct kin *k)
{
	VEC_EACH (&c->demands, it) {
		struct policy_rule *r = *it;
		bool hit = r->any_peer;
		VEC_EACH (&r->peers, peer)
			hit = hit || atoms_have(atoms, *peer);
		if (!hit)
			continue;
		VEC_EACH (&r->ports, rp) {
			uint16_t n = rp->name.n ? kin_port(k, rp->proto, rp->name) : 0;
			struct atom *a = n ? atom_of_named(c, rp->proto, rp->name, n) : NULL;
			if (!a)
				continue;
			atoms_add(c, atoms, a);
			atom_unref(c, a); /* holders of the class keep it */
		}
	}
}

static void add_node_atoms(struct compiler *c, struct atoms *atoms, const struct cnode *n)
{
	if (!n->o)
		return;
	VEC_EACH (&c->live_atoms[ATOM_NODES], a)
		if (selector_matches((*a)->nodes, &n->o->meta.labels))
			atoms_add(c, atoms, *a);
}

static void classify(struct compiler *c, struct known_addr *a)
{
	struct atoms atoms = {0};
	const struct kin *k = a->pod ? a->pod->kin : NULL;
	if (k) {
		VEC_EACH (&k->atoms.list, it)
			PUSH(c, &atoms.list, *it);
	}
	const struct block *b = block_of(&c->blocks, &a->a, 255);
	if (b) {
		VEC_EACH (&b->atoms.list, it)
			atoms_add(c, &atoms, *it);
	}
	if (a->node)
		add_node_atoms(c, &atoms, a->node);
	if (k && k->ports.len)
		add_named(c, &atoms, k);
	struct pclass *was = a->class;
	a->class = class_get(c, &atoms);
	if (was)
		class_unref(c, was);
	vec_free(&atoms.list);
	if (!a->class)
		return;
	struct address_value v = {.class = a->class->id};
	struct owner *ow = a->pod ? &a->pod->addresses : &a->node->addresses;
	if (a->pod) {
		v.node = pod_node_number(c, a->pod);
		v.flags = ADDRESS_POD | (a->pod->dns ? ADDRESS_DNS : 0);
		v.owner = a->pod->owner;
		if (a->pod->self && a->class != was) /* what its sets say of itself */
			pod_dirty(c, a->pod);
	} else {
		v.node = a->node->self ? 0 : a->node->number;
		v.flags = a->node->self ? ADDRESS_SELF : ADDRESS_NODE;
		v.owner = owner_number(a->node->name);
	}
	put_map(c, ow, PLAN_MAP_address, &a->a, &v, ow->src, NULL);
}

void addrs_classify(struct compiler *c)
{
	sort(c);
	VEC_EACH (&c->dirty_addrs, a) {
		(*a)->dirty = false;
		classify(c, *a);
	}
	c->dirty_addrs.len = 0;
}
