/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of backends: which endpoints of a Service's port new connections may go to, by readiness, traffic
 * policy and hints, and the lists that Services with equal endpoints share. Called by service.c.
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "compile/service.h"

struct candidate {
	struct backend_value v;
	bool ready; /* else it ends and still serves */
	bool local;
	bool node_hints, node_hit; /* has hints; one names this node */
	bool zone_hints, zone_hit;
};
struct candidates {
	VEC(struct candidate) list;
};

bool endpoint_ready(const struct endpoint *e)
{
	return !e->conditions || !e->conditions->ready.set || e->conditions->ready.v;
}

bool endpoint_ending(const struct endpoint *e)
{
	return e->conditions && e->conditions->terminating.v && e->conditions->serving.v;
}

static bool names(const struct for_name_list *l, struct str name)
{
	for (size_t i = 0; i < l->len && name.n; i++)
		if (str_eq(l->items[i].name, name))
			return true;
	return false;
}

static void add_endpoint(struct compiler *c, const struct endpoint *e, bool four, int64_t port,
			 struct candidates *out)
{
	struct candidate x = {.ready = endpoint_ready(e), .v.port = htons((uint16_t)port)};
	struct addr a;
	if (!x.ready && !endpoint_ending(e)) /* SV05 */
		return;
	if (!e->addresses.len || addr_parse(e->addresses.items[0], &a) || addr_is4(&a) != four)
		return;
	memcpy(&x.v.addr, &a, sizeof(x.v.addr));
	x.local = str_eq(e->node_name, c->cfg.node);
	if (e->hints) {
		x.node_hints = e->hints->for_nodes.len;
		x.node_hit = names(&e->hints->for_nodes, c->cfg.node);
		x.zone_hints = e->hints->for_zones.len;
		x.zone_hit = names(&e->hints->for_zones, c->zone);
	}
	PUSH(c, &out->list, x);
}

static void gather(struct compiler *c, const struct cservice *s, const struct service_port *sp, bool four,
		   struct candidates *out)
{
	VEC_EACH (&s->slices, it) {
		const struct endpointslice *es = (*it)->endpointslice;
		if (!str_eqz(es->address_type, four ? "IPv4" : "IPv6"))
			continue;
		for (size_t i = 0; i < es->ports.len; i++) {
			const struct endpoint_port *ep = &es->ports.items[i];
			if (!ep->port.set || !str_eq(ep->name, sp->name) ||
			    proto_number(ep->protocol) != proto_number(sp->protocol))
				continue;
			for (size_t e = 0; e < es->endpoints.len; e++)
				add_endpoint(c, &es->endpoints.items[e], four, ep->port.v, out);
		}
	}
}

enum near { NEAR_ANY, NEAR_NODE, NEAR_ZONE };

/* SV32, SV33: hints count only where every ready endpoint has them and one or more fit. */
static enum near nearness(const struct candidates *all)
{
	bool node_hints = true, node_hit = false, zone_hints = true, zone_hit = false;
	VEC_EACH (&all->list, x) {
		if (!x->ready)
			continue;
		node_hints &= x->node_hints;
		node_hit |= x->node_hit;
		zone_hints &= x->zone_hints;
		zone_hit |= x->zone_hit;
	}
	if (node_hints && node_hit)
		return NEAR_NODE;
	return zone_hints && zone_hit ? NEAR_ZONE : NEAR_ANY;
}

static bool fits(const struct candidate *x, enum near near)
{
	return near == NEAR_ANY || (near == NEAR_NODE ? x->node_hit : x->zone_hit);
}

static int backend_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct backend_value));
}

/* Sorted, each once (SV18). */
static void tidy(struct backends *b)
{
	if (b->list.len < 2)
		return;
	qsort(b->list.items, b->list.len, sizeof(*b->list.items), backend_cmp);
	size_t n = 1;
	for (size_t i = 1; i < b->list.len; i++)
		if (backend_cmp(&b->list.items[i], &b->list.items[n - 1]))
			b->list.items[n++] = b->list.items[i];
	b->list.len = n;
}

/* The ready ones; where there is none, those that end and still serve (SV04). */
static void choose(struct compiler *c, const struct candidates *all, bool local, struct backends *out)
{
	enum near near = local ? NEAR_ANY : nearness(all); /* SV34 */
	for (int ready = 1; ready >= 0 && !out->list.len; ready--)
		VEC_EACH (&all->list, x)
			if (x->ready == ready && (x->local || !local) && (!ready || fits(x, near)))
				PUSH(c, &out->list, x->v);
	tidy(out);
}

/* Lists are found by their hash: a second copy of what they hold would cost megabytes. */
static struct str place_of(const uint64_t *at)
{
	return (struct str){(const char *)at, sizeof(*at)};
}

struct backend_list *list_take(struct compiler *c, const struct backends *b)
{
	struct str key = {(const char *)b->list.items, b->list.len * sizeof(*b->list.items)};
	uint64_t h = hash_bytes(key.p, key.n, 0), at = h;
	struct backend_list *l;
	while ((l = hash_get(&c->lists, place_of(&at))) && !str_eq(l->key, key))
		at++; /* another list has the same hash */
	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l || hash_set(&c->lists, place_of(&at), l, NULL)) {
			free(l);
			c->failed = true;
			return NULL;
		}
		l->at = at;
		l->key = key_copy(c, key);
		l->count = (uint32_t)b->list.len;
		l->id = id_take(&c->list_ids, h, l);
		c->failed |= !l->id;
	}
	l->refs++;
	return l;
}

void list_unref(struct compiler *c, struct backend_list *l)
{
	if (--l->refs)
		return;
	hash_del(&c->lists, place_of(&l->at));
	id_drop(&c->list_ids, l->id);
	free((void *)(uintptr_t)l->key.p);
	free(l);
}

void list_rows(struct compiler *c, struct owner *ow, const struct backend_list *l, const struct src *src,
	       const void *member)
{
	for (uint32_t i = 0; i < l->count && l->key.p; i++) {
		struct backend_key k = {.list = l->id, .slot = i};
		put_map(c, ow, PLAN_MAP_backend, &k, l->key.p + i * sizeof(struct backend_value), src,
			member);
	}
}

static struct backend_list *make_list(struct compiler *c, struct cservice *s, const struct service_port *sp,
				      const struct candidates *all, bool local)
{
	struct backends b = {0};
	struct backend_list *l = NULL;
	choose(c, all, local, &b);
	if (b.list.len && maglev_wanted(s->o))
		maglev_table(c, &b);
	if (b.list.len)
		l = list_take(c, &b);
	vec_free(&b.list);
	if (!l)
		return NULL;
	if (vec_push(&s->lists, l)) {
		list_unref(c, l);
		c->failed = true;
		return NULL;
	}
	list_rows(c, &s->owner, l, &s->src, sp);
	return l;
}

struct picked endpoints_pick(struct compiler *c, struct cservice *s, const struct service_port *sp, bool four,
			     unsigned which)
{
	struct candidates all = {0};
	struct picked p = {0};
	gather(c, s, sp, four, &all);
	VEC_EACH (&all.list, x)
		s->hinted |= x->zone_hints;
	p.any = all.list.len;
	if (which & PICK_ALL)
		p.all = make_list(c, s, sp, &all, false);
	if (which & PICK_LOCAL)
		p.local = make_list(c, s, sp, &all, true);
	vec_free(&all.list);
	return p;
}
