/* SPDX-License-Identifier: Apache-2.0 */
/* The partition of addresses outside, see region.h. Judges nothing. Called by ends.c and by the programs that
 * print. */
#include "reason/region.h"

#include <errno.h>
#include <stdlib.h>

#define NO_PARENT ((size_t)-1)

int regions_add(struct regions *rs, const struct prefix *p, enum region_kind kind)
{
	return vec_push(&rs->list,
			(struct region){.prefix = *p, .kind = kind, .parent = NO_PARENT, .has_named = true});
}

static int add_text(struct regions *rs, struct str text, enum region_kind kind)
{
	struct prefix p;
	struct addr a;

	if (text.n && prefix_parse(text, &p) != -EINVAL)
		return regions_add(rs, &p, kind);
	if (text.n && !addr_parse(text, &a))
		return regions_add(rs, &(struct prefix){.addr = a, .len = 128}, kind);
	return 0;
}

static int add_block(struct regions *rs, const struct ip_block *b)
{
	int r = b ? add_text(rs, b->cidr, REGION_OUTSIDE) : 0;

	for (size_t i = 0; b && !r && i < b->except.len; i++)
		r = add_text(rs, b->except.items[i], REGION_OUTSIDE);
	return r;
}

static int add_policy(struct regions *rs, const struct object *o)
{
	const struct networkpolicy_spec *spec = o->networkpolicy->spec;
	int r = 0;

	for (size_t i = 0; spec && i < spec->ingress.len; i++)
		for (size_t j = 0; !r && j < spec->ingress.items[i].from.len; j++)
			r = add_block(rs, spec->ingress.items[i].from.items[j].ip_block);
	for (size_t i = 0; spec && i < spec->egress.len; i++)
		for (size_t j = 0; !r && j < spec->egress.items[i].to.len; j++)
			r = add_block(rs, spec->egress.items[i].to.items[j].ip_block);
	return r;
}

static int add_cluster_policy(struct regions *rs, const struct object *o)
{
	const struct clusternetworkpolicy_spec *spec = o->clusternetworkpolicy->spec;
	int r = 0;

	for (size_t i = 0; spec && i < spec->egress.len; i++)
		for (size_t j = 0; j < spec->egress.items[i].to.len; j++) {
			const struct strlist *l = &spec->egress.items[i].to.items[j].networks;
			for (size_t k = 0; !r && k < l->len; k++)
				r = add_text(rs, l->items[k], REGION_OUTSIDE);
		}
	return r;
}

static int add_node(struct regions *rs, const struct object *o)
{
	const struct node_spec *spec = o->node->spec;
	const struct node_status *st = o->node->status;
	int r = spec ? add_text(rs, spec->pod_cidr, REGION_CLUSTER) : 0;

	for (size_t i = 0; spec && !r && i < spec->pod_cidrs.len; i++)
		r = add_text(rs, spec->pod_cidrs.items[i], REGION_CLUSTER);
	for (size_t i = 0; st && !r && i < st->addresses.len; i++)
		r = add_text(rs, st->addresses.items[i].address, REGION_CLUSTER);
	return r;
}

/* Only pods whose address lies in no node's range need a region of their own. */
static int add_pod(struct regions *rs, const struct object *o, size_t ranges)
{
	const struct pod_status *st = o->pod->status;

	for (size_t i = 0; st && i < st->pod_ips.len; i++) {
		struct addr a;
		bool inside = false;
		if (addr_parse(st->pod_ips.items[i].ip, &a))
			continue;
		for (size_t k = 0; k < ranges && !inside; k++)
			inside = rs->list.items[k].kind == REGION_CLUSTER &&
				 prefix_has(&rs->list.items[k].prefix, &a);
		if (!inside && regions_add(rs, &(struct prefix){.addr = a, .len = 128}, REGION_CLUSTER))
			return -ENOMEM;
	}
	return 0;
}

int regions_add_store(struct regions *rs, const struct store *s)
{
	static const enum kind kinds[] = {KIND_node, KIND_pod, KIND_networkpolicy, KIND_clusternetworkpolicy};
	int r = 0;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]) && !r; k++) {
		struct object_refs refs = {0};
		size_t before = rs->list.len;
		r = store_list(s, kinds[k], STR(""), &refs);
		VEC_EACH (&refs.list, o) {
			if (r)
				break;
			r = kinds[k] == KIND_node	     ? add_node(rs, *o)
			    : kinds[k] == KIND_pod	     ? add_pod(rs, *o, before)
			    : kinds[k] == KIND_networkpolicy ? add_policy(rs, *o)
							     : add_cluster_policy(rs, *o);
		}
		vec_free(&refs.list);
	}
	return r;
}

static int by_prefix(const void *pa, const void *pb)
{
	const struct region *a = pa, *b = pb;
	int d = memcmp(&a->prefix.addr, &b->prefix.addr, sizeof(a->prefix.addr));

	if (d)
		return d;
	if (a->prefix.len != b->prefix.len)
		return a->prefix.len < b->prefix.len ? -1 : 1;
	return (int)b->kind - (int)a->kind; /* of the cluster first: it stays */
}

/* In order, q and all that follows lie behind p. IPv4 stands in the middle of ::/0 and is no part of it. */
static bool past(const struct prefix *p, const struct prefix *q)
{
	return !prefix_covers(p, q) && !(p->len < 96 && addr_is4(&q->addr));
}

/* The region around a prefix: i, or one around it, or one before the IPv4 regions, which lie in the middle of
 * the others' order and in none of them. */
static size_t around(const struct regions *rs, const struct prefix *p, size_t i)
{
	const struct region *list = rs->list.items;

	while (i != NO_PARENT && !prefix_covers(&list[i].prefix, p)) {
		bool steps_out = list[i].parent == NO_PARENT && i;
		i = steps_out ? i - 1 : list[i].parent;
	}
	return i;
}

static void find_parents(struct regions *rs)
{
	for (size_t i = 0; i < rs->list.len; i++) {
		struct region *r = &rs->list.items[i];
		size_t up = around(rs, &r->prefix, i ? i - 1 : NO_PARENT);
		r->parent = up;
		if (up != NO_PARENT && rs->list.items[up].kind == REGION_CLUSTER)
			r->kind = REGION_CLUSTER;
	}
}

/* The first address after a prefix; false when there is none. */
static bool after(const struct prefix *p, struct addr *out)
{
	struct addr a = p->addr;

	for (unsigned bit = p->len; bit-- > 0;) {
		uint8_t mask = (uint8_t)(0x80 >> (bit & 7));
		a.b[bit >> 3] ^= mask;
		if (a.b[bit >> 3] & mask) {
			*out = a;
			return true;
		}
	}
	return false;
}

/* An address of region i that none below it has: the first one that the children, in order, leave. */
static void find_sample(struct regions *rs, size_t i)
{
	struct region *r = &rs->list.items[i];
	static const struct prefix mapped = {.addr = {.b = {[10] = 0xff, [11] = 0xff}}, .len = 96};
	struct addr a = r->prefix.addr;
	bool left = true;

	for (size_t k = i + 1; k < rs->list.len && left; k++) {
		const struct region *c = &rs->list.items[k];
		if (past(&r->prefix, &c->prefix))
			break;
		if (c->parent == i && prefix_has(&c->prefix, &a))
			left = after(&c->prefix, &a);
	}
	if (left && r->prefix.len < 96 && prefix_has(&mapped, &a))
		left = after(&mapped, &a);
	if (!left || !prefix_has(&r->prefix, &a))
		r->kind = REGION_EMPTY;
	else
		r->sample = a;
}

/* An empty region with nothing outside below it is not outside either. */
static void mark_hollow(struct regions *rs, size_t i)
{
	struct region *r = &rs->list.items[i];

	if (r->kind != REGION_EMPTY)
		return;
	for (size_t k = i + 1; k < rs->list.len; k++) {
		if (past(&r->prefix, &rs->list.items[k].prefix))
			break;
		if (rs->list.items[k].kind != REGION_CLUSTER)
			return;
	}
	r->kind = REGION_CLUSTER;
}

/* People know these: the sandbox's outside host has them, so that a packet can be replayed. */
static void prefer_samples(struct regions *rs)
{
	static const char *const known[] = {"203.0.113.10", "2001:db8:113::10"};

	for (int i = 0; i < 2; i++) {
		struct addr a;
		size_t at = addr_parse(str_of(known[i]), &a) ? NO_PARENT : region_of(rs, &a);
		if (at != NO_PARENT && rs->list.items[at].kind == REGION_OUTSIDE)
			rs->list.items[at].sample = a;
	}
}

int regions_settle(struct regions *rs)
{
	const struct prefix roots[] = {{.len = 0}, {.addr = addr_from4(0), .len = 96}};
	size_t n = 0;

	for (int i = 0; i < 2; i++)
		if (vec_push(&rs->list, (struct region){.prefix = roots[i], .parent = NO_PARENT}))
			return -ENOMEM;
	qsort(rs->list.items, rs->list.len, sizeof(*rs->list.items), by_prefix);
	for (size_t i = 0; i < rs->list.len; i++) {
		const struct region *r = &rs->list.items[i];
		const struct region *last = n ? &rs->list.items[n - 1] : NULL;
		if (last && last->prefix.len == r->prefix.len && addr_eq(&last->prefix.addr, &r->prefix.addr))
			continue;
		rs->list.items[n++] = *r;
	}
	rs->list.len = n;
	find_parents(rs);
	for (size_t i = rs->list.len; i-- > 0;) {
		find_sample(rs, i);
		mark_hollow(rs, i);
	}
	prefer_samples(rs);
	return 0;
}

void regions_fini(struct regions *rs)
{
	vec_free(&rs->list);
}

size_t region_of(const struct regions *rs, const struct addr *a)
{
	const struct prefix one = {.addr = *a, .len = 128};
	size_t lo = 0, hi = rs->list.len;

	while (lo < hi) { /* the first that is not before the address */
		size_t mid = lo + (hi - lo) / 2;
		if (memcmp(&rs->list.items[mid].prefix.addr, a, sizeof(*a)) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return around(rs, &one, lo ? lo - 1 : NO_PARENT);
}

/* Whether a region counts as in: an empty one when all below it are. */
static bool is_in(const struct regions *rs, const bool *in, size_t i)
{
	if (rs->list.items[i].kind != REGION_EMPTY)
		return rs->list.items[i].kind == REGION_OUTSIDE && in[i];
	for (size_t k = i + 1; k < rs->list.len; k++) {
		const struct region *r = &rs->list.items[k];
		if (past(&rs->list.items[i].prefix, &r->prefix))
			break;
		if (r->kind == REGION_OUTSIDE && prefix_covers(&rs->list.items[i].prefix, &r->prefix) &&
		    !in[k])
			return false;
	}
	return true;
}

static void print_one(struct buf *b, const struct prefix *p)
{
	char text[PREFIX_TEXT];

	prefix_print(p, text);
	buf_addz(b, text);
}

struct region_printer {
	struct buf *b;
	const struct regions *rs;
	const bool *in;
	size_t printed;
};

/* What is below region i: first what to except, then, apart, what to add. */
static void print_below(struct region_printer *p, size_t i)
{
	bool word = is_in(p->rs, p->in, i);
	size_t excepts = 0;

	for (size_t turn = 0; turn < 2; turn++) {
		for (size_t k = i + 1; k < p->rs->list.len; k++) {
			const struct region *r = &p->rs->list.items[k];
			if (past(&p->rs->list.items[i].prefix, &r->prefix))
				break;
			if (r->parent != i || r->kind == REGION_CLUSTER)
				continue;
			bool own = is_in(p->rs, p->in, k);
			if (turn && own && !word) {
				buf_addz(p->b, p->printed++ ? ", " : "");
				print_one(p->b, &r->prefix);
			}
			if (turn) {
				print_below(p, k);
			} else if (word && !own) {
				buf_addz(p->b, excepts++ ? ", " : " except ");
				print_one(p->b, &r->prefix);
			}
		}
	}
}

void regions_print(struct buf *b, const struct regions *rs, const bool *in)
{
	struct region_printer p = {.b = b, .rs = rs, .in = in};
	bool all = true;

	for (size_t i = 0; i < rs->list.len; i++)
		all &= rs->list.items[i].kind != REGION_OUTSIDE || in[i];
	if (all) {
		buf_addz(b, "outside");
		return;
	}
	buf_addz(b, "outside ");
	for (int turn = 0; turn < 2; turn++) /* IPv4 first */
		for (size_t i = 0; i < rs->list.len; i++) {
			const struct prefix *root = &rs->list.items[i].prefix;
			if (rs->list.items[i].parent != NO_PARENT || addr_is4(&root->addr) != (turn == 0))
				continue;
			if (is_in(rs, in, i)) {
				buf_addz(b, p.printed++ ? ", " : "");
				print_one(b, root);
			}
			print_below(&p, i);
		}
}
