/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes: their addresses, ranges, routes and numbers, and the settings row of this node. Called by compile.c;
 * pod.c asks for numbers.
 */
#include <stdlib.h>

#include "compile/state.h"
#include "seam/class.h"
#include "seam/config.h"

struct cnode *node_get(struct compiler *c, struct str name)
{
	struct cnode *n = hash_get(&c->nodes, name);
	if (n)
		return n;
	n = calloc(1, sizeof(*n));
	if (!n || hash_set(&c->nodes, name, n, NULL)) {
		free(n);
		c->failed = true;
		return NULL;
	}
	n->name = key_copy(c, name);
	n->number = id_take(&c->node_ids, hash_bytes(name.p, name.n, 0), n);
	c->failed |= !n->number;
	n->owner.src = n->addresses.src = &n->src;
	n->owner.listed = true;
	if (str_eq(name, c->cfg.node)) {
		n->self = true;
		c->self = n;
	}
	return n;
}

uint32_t pod_mtu(const struct compiler *c)
{
	uint32_t up = c->cfg.mtu ? c->cfg.mtu : 1500;
	if (c->cfg.mode != MODE_VXLAN)
		return up;
	bool over6 = c->self && addr_is_zero(&c->self->v4) && !addr_is_zero(&c->self->v6);
	return up - (over6 ? 70 : 50);
}

static void put_route(struct compiler *c, struct owner *ow, const struct prefix *to,
		      const struct route_value *v, const struct src *src, const void *member)
{
	struct route_key k = {.to = *to};
	row_put(&c->rows, ow, ROW_ROUTE, 0, &k, v, src, member);
}

static void put_range(struct compiler *c, struct owner *ow, const struct prefix *p, uint32_t kind,
		      uint32_t node, const struct src *src, const void *member)
{
	struct block_key k = {.len = p->len};
	memcpy(&k.addr, &p->addr, sizeof(k.addr));
	struct range_value v = {.kind = kind, .node = node};
	put_map(c, ow, PLAN_MAP_range, &k, &v, src, member);
}

/* The way to a node's pods. */
static void put_way(struct compiler *c, struct cnode *n, const struct prefix *to, const void *member)
{
	struct route_value v = {0};
	const struct addr *via = addr_is4(&to->addr) ? &n->v4 : &n->v6;
	if (n->self) {
		v.way = ROUTE_UNREACHABLE;
	} else if (c->cfg.mode == MODE_VXLAN) {
		v.way = ROUTE_TUNNEL;
		v.mtu = pod_mtu(c);
	} else if (!addr_is_zero(via)) {
		v.way = ROUTE_VIA;
		v.mtu = pod_mtu(c);
		v.via = *via;
	} else {
		return;
	}
	put_route(c, &n->owner, to, &v, &n->src, member);
}

/* Direct return names a pod by the lower half of its address. */
bool node_is_wide6(const struct cnode *n)
{
	VEC_EACH (&n->ranges, p)
		if (!addr_is4(&p->addr) && p->len < 64)
			return true;
	return false;
}

static void own_half6(const struct cnode *n, uint32_t half[2])
{
	VEC_EACH (&n->ranges, p)
		if (!addr_is4(&p->addr) && p->len >= 64)
			memcpy(half, &p->addr, 2 * sizeof(*half));
}

static void node_rows(struct compiler *c, struct cnode *n)
{
	owner_begin(&n->owner);
	if (n->o) {
		const struct node_spec *spec = n->o->node->spec;
		VEC_EACH (&n->ranges, p) {
			put_range(c, &n->owner, p, RANGE_POD, n->self ? 0 : n->number, &n->src,
				  &spec->pod_cidrs);
			put_way(c, n, p, &spec->pod_cidrs);
		}
		if (!n->self) {
			struct node_value v;
			memcpy(&v.v4, &n->v4, sizeof(v.v4));
			memcpy(&v.v6, &n->v6, sizeof(v.v6));
			v.flags = node_is_wide6(n) ? NODE_WIDE6 : 0;
			put_map(c, &n->owner, PLAN_MAP_node, &n->number, &v, &n->src, &n->o->node->status);
		}
	}
	owner_end(&c->rows, &n->owner);
}

static void addrs_drop(struct compiler *c, struct cnode *n)
{
	VEC_EACH (&n->addrs, a) {
		addr_remove_known(c, *a);
		free(*a);
	}
	n->addrs.len = 0;
}

static void add_range(struct compiler *c, struct cnode *n, struct str text)
{
	struct prefix p;
	if (text.n && !prefix_parse(text, &p))
		PUSH(c, &n->ranges, p);
}

static void read_ranges(struct compiler *c, struct cnode *n)
{
	n->ranges.len = 0;
	const struct node_spec *spec = n->o ? n->o->node->spec : NULL;
	if (!spec)
		return;
	for (size_t i = 0; i < spec->pod_cidrs.len; i++)
		add_range(c, n, spec->pod_cidrs.items[i]);
	if (!n->ranges.len)
		add_range(c, n, spec->pod_cidr);
}

static void add_addr(struct compiler *c, struct cnode *n, const struct addr *a)
{
	VEC_EACH (&n->addrs, have)
		if (addr_eq(&(*have)->a, a))
			return;
	struct known_addr *k = calloc(1, sizeof(*k));
	if (!k || vec_push(&n->addrs, k)) {
		free(k);
		c->failed = true;
		return;
	}
	k->a = *a;
	k->node = n;
	addr_add_known(c, k);
}

static void read_addresses(struct compiler *c, struct cnode *n)
{
	static const char *const types[] = {"InternalIP", "ExternalIP"};
	addrs_drop(c, n);
	n->v4 = n->v6 = (struct addr){0};
	const struct node_status *st = n->o ? n->o->node->status : NULL;
	for (size_t t = 0; st && t < 2; t++) {
		for (size_t i = 0; i < st->addresses.len; i++) {
			struct addr a;
			if (!str_eqz(st->addresses.items[i].type, types[t]) ||
			    addr_parse(st->addresses.items[i].address, &a))
				continue;
			add_addr(c, n, &a);
			struct addr *first = addr_is4(&a) ? &n->v4 : &n->v6;
			if (addr_is_zero(first))
				*first = a;
		}
	}
}

/* This node's own ranges and addresses are in other rows too. */
static void self_changed(struct compiler *c)
{
	c->settings_changed = c->nodeports_changed = true;
	HASH_EACH (&c->pods, s) {
		struct cpod *p = s->value;
		if (p->local)
			pod_dirty(c, p);
	}
	HASH_EACH (&c->nodes, s)
		node_rows(c, s->value);
}

static uint64_t fingerprint(const struct cnode *n)
{
	uint64_t h = hash_bytes(n->ranges.items, n->ranges.len * sizeof(*n->ranges.items), 0);
	VEC_EACH (&n->addrs, a)
		h = hash_bytes(&(*a)->a, sizeof((*a)->a), h);
	return h;
}

static bool is_ready(const struct node_status *st)
{
	for (size_t i = 0; st && i < st->conditions.len; i++)
		if (str_eqz(st->conditions.items[i].type, "Ready"))
			return str_eqz(st->conditions.items[i].status, "True");
	return true; /* nobody watches over it */
}

/* What Services look at: whether it may announce their addresses, and this node's zone. */
static void read_topology(struct compiler *c, struct cnode *n)
{
	bool was = n->answers, excluded = n->excluded;
	const struct strmap *labels = n->o ? &n->o->meta.labels : NULL;
	n->excluded =
	    labels && strmap_get(labels, STR("node.kubernetes.io/exclude-from-external-load-balancers"));
	n->answers = n->o && !n->excluded && is_ready(n->o->node->status);
	c->answers_changed |= was != n->answers || excluded != n->excluded;
	if (!n->self)
		return;
	const struct str *zone = labels ? strmap_get(labels, STR("topology.kubernetes.io/zone")) : NULL;
	struct str now = zone ? *zone : STR("");
	c->zone_changed |= !str_eq(now, c->zone);
	c->zone = now;
}

void node_tell(struct compiler *c, struct str key, const struct object *o)
{
	struct cnode *n = node_get(c, key);
	if (!n)
		return;
	uint64_t was = fingerprint(n);
	bool known = n->o;
	n->o = n->src.o = o;
	read_topology(c, n);
	if (o && !n->src.text)
		n->src.text = src_text(c, o);
	if (!n->src.text)
		return;
	read_ranges(c, n);
	read_addresses(c, n);
	if (n->self && (was != fingerprint(n) || known != (o != NULL)))
		self_changed(c);
	else
		node_rows(c, n);
}

static void put_config(struct compiler *c)
{
	static const uint8_t gateway[6] = {0x02, 0x57, 0x45, 0x46, 0x54, 0x01};
	struct config_value v = {.uplink = c->cfg.uplink,
				 .tunnel = c->cfg.mode == MODE_VXLAN ? c->cfg.tunnel : 0,
				 .mode = c->cfg.mode,
				 .mtu = pod_mtu(c),
				 .snat_low = 10000,
				 .snat_high = 29999,
				 .vni = 22341};
	memcpy(v.gateway_mac, gateway, sizeof(gateway));
	memcpy(v.uplink_mac, c->cfg.uplink_mac, sizeof(v.uplink_mac));
	if (c->self) {
		memcpy(&v.node4, &c->self->v4, sizeof(v.node4));
		memcpy(&v.node6, &c->self->v6, sizeof(v.node6));
		own_half6(c->self, v.pods6);
	}
	v.flags = c->names_live ? CONFIG_NAMES : 0;
	v.block_trie = blocks_lens(&c->blocks, v.block_lens4, v.block_lens6);
	uint32_t key = 0;
	const struct src *src = c->self && c->self->o ? &c->self->src : &c->settings_src;
	put_map(c, &c->settings, PLAN_MAP_config, &key, &v, src, NULL);
}

void settings_rows(struct compiler *c)
{
	if (!c->settings_changed)
		return;
	c->settings_changed = false;
	owner_begin(&c->settings);
	put_config(c);
	const struct prefix *services[] = {&c->cfg.services4, &c->cfg.services6};
	for (int i = 0; i < 2; i++) {
		if (!services[i]->len)
			continue;
		struct route_value v = {.way = ROUTE_UNREACHABLE};
		put_range(c, &c->settings, services[i], RANGE_SERVICE, 0, &c->settings_src, NULL);
		put_route(c, &c->settings, services[i], &v, &c->settings_src, NULL);
	}
	owner_end(&c->rows, &c->settings);
}

void nodes_fini(struct compiler *c)
{
	HASH_EACH (&c->nodes, s) {
		struct cnode *n = s->value;
		VEC_EACH (&n->addrs, a)
			free(*a);
		vec_free(&n->addrs);
		vec_free(&n->ranges);
		owner_fini(&n->owner);
		owner_fini(&n->addresses);
		retire(c, n->src.text);
		free((void *)(uintptr_t)n->name.p);
		retire(c, n);
	}
	hash_fini(&c->nodes);
	ids_fini(&c->node_ids);
}
