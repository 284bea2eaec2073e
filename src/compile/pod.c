/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods: which of them have addresses that count, which are wired here, and the rows of the wired ones. Called
 * by compile.c; set.c gives a wired pod its policy sets before its rows are made.
 */
#include <stdlib.h>

#include "compile/state.h"
#include "seam/endpoint.h"

static struct str uid_of(const struct cpod *p)
{
	return p->o->meta.uid;
}

struct cpod *pod_by_uid(const struct compiler *c, struct str uid)
{
	return hash_get(&c->pods_by_uid, uid);
}

uint32_t pod_node_number(const struct compiler *c, const struct cpod *p)
{
	(void)c;
	return p->node && !p->node->self ? p->node->number : 0;
}

void pod_dirty(struct compiler *c, struct cpod *p)
{
	if (p->dirty)
		return;
	p->dirty = true;
	PUSH(c, &c->dirty_pods, p);
}

static bool finished(const struct pod_status *st)
{
	return str_eqz(st->phase, "Succeeded") || str_eqz(st->phase, "Failed");
}

static void add_address(struct cpod *p, struct str text)
{
	struct addr a;
	if (!text.n || addr_parse(text, &a))
		return;
	struct known_addr *k = &p->addr[addr_is4(&a) ? 0 : 1];
	if (addr_is_zero(&k->a))
		k->a = a;
}

static void read_addresses(struct cpod *p)
{
	p->addr[0].a = p->addr[1].a = (struct addr){0};
	const struct pod_status *st = p->o->pod->status;
	const struct pod_spec *spec = p->o->pod->spec;
	if (!st || finished(st) || (spec && spec->host_network.v))
		return;
	for (size_t i = 0; i < st->pod_ips.len; i++)
		add_address(p, st->pod_ips.items[i].ip);
	add_address(p, st->pod_ip);
}

static void unset(struct compiler *c, struct cpod *p)
{
	for (int f = 0; f < 2; f++)
		addr_remove_known(c, &p->addr[f]);
	kin_leave(c, p);
	VEC_EACH (&p->policies, pol)
		policy_select(c, *pol, -1);
	p->policies.len = 0;
	if (!p->local)
		return;
	CUT(&p->home->locals, p);
	p->local = false;
	pod_dirty(c, p);
}

uint32_t owner_number(struct str name)
{
	uint64_t h = hash_bytes(name.p, name.n, 0);
	uint32_t n = (uint32_t)(h ^ (h >> 32));
	return n ? n : 1;
}

/* Pods whose answers teach names: the cluster's own DNS. */
static bool serves_dns(const struct cpod *p)
{
	if (!str_eqz(p->home->name, "kube-system"))
		return false;
	const struct str *app = strmap_get(&p->o->meta.labels, STR("k8s-app"));
	return app && str_eqz(*app, "kube-dns");
}

static void set(struct compiler *c, struct cpod *p, const struct object *o)
{
	p->o = p->src.o = o;
	p->owner = owner_number(o->meta.uid);
	p->dns = serves_dns(p);
	const struct pod_spec *spec = o->pod->spec;
	p->node = spec && spec->node_name.n ? node_get(c, spec->node_name) : NULL;
	read_addresses(p);
	bool counts = false;
	for (int f = 0; f < 2; f++)
		counts |= !addr_is_zero(&p->addr[f].a);
	if (!counts)
		return;
	kin_join(c, p);
	for (int f = 0; f < 2; f++) {
		if (!addr_is_zero(&p->addr[f].a))
			addr_add_known(c, &p->addr[f]);
	}
	p->wired = c->wire_all || hash_get(&c->wired, uid_of(p));
	if (!p->wired || !p->node || !p->node->self)
		return;
	p->local = true;
	PUSH(c, &p->home->locals, p);
	policy_check_pod(c, p);
	pod_dirty(c, p);
}

static struct cpod *pod_make(struct compiler *c, struct str key, const struct object *o)
{
	struct cpod *p = calloc(1, sizeof(*p));
	if (!p || hash_set(&c->pods, key, p, NULL)) {
		free(p);
		c->failed = true;
		return NULL;
	}
	p->src.text = src_text(c, o);
	p->home = home_get(c, o->meta.ns);
	p->addresses.src = p->link.src = &p->src;
	p->link.listed = true;
	p->addr[0].pod = p->addr[1].pod = p;
	return p;
}

static void uid_forget(struct compiler *c, struct cpod *p)
{
	if (p->o && pod_by_uid(c, uid_of(p)) == p)
		hash_del(&c->pods_by_uid, uid_of(p));
}

void pod_tell(struct compiler *c, struct str key, const struct object *o)
{
	struct cpod *p = hash_get(&c->pods, key);
	if (!p) {
		p = o ? pod_make(c, key, o) : NULL;
		if (!p || !p->src.text || !p->home)
			return;
	}
	unset(c, p);
	uid_forget(c, p);
	if (!o) {
		hash_del(&c->pods, key);
		p->gone = true;
		pod_dirty(c, p);
		return;
	}
	if (o->meta.uid.n && hash_set(&c->pods_by_uid, o->meta.uid, p, NULL))
		c->failed = true;
	set(c, p, o);
}

static uint32_t host_part(const struct compiler *c, const struct addr *a, const struct cpod *p)
{
	uint32_t low =
	    addr_is4(a) ? addr_to4(a) : ((uint32_t)a->b[13] & 0xf) << 16 | (uint32_t)a->b[14] << 8 | a->b[15];
	if (!addr_is4(a))
		return low;
	VEC_EACH (&p->node->ranges, r) {
		if (!prefix_has(r, a))
			continue;
		unsigned bits = 128u - r->len;
		return bits >= 20 ? low & 0xfffff : low & ((1u << bits) - 1);
	}
	(void)c;
	return 0x100000 | (low & 0xfffff); /* outside of the node's range */
}

static uint32_t ifindex_of(const struct compiler *c, const struct cpod *p)
{
	const struct addr *a = addr_is_zero(&p->addr[0].a) ? &p->addr[1].a : &p->addr[0].a;
	return 10000 + host_part(c, a, p);
}

static void mac_of(const struct cpod *p, uint8_t mac[6])
{
	uint64_t h = hash_bytes(uid_of(p).p, uid_of(p).n, 0);
	mac[0] = 0x02;
	mac[1] = 0x57;
	memcpy(mac + 2, &h, 4);
}

void pod_link_row(const struct compiler *c, const struct cpod *p, struct link_key *key,
		  struct link_value *value)
{
	static const uint8_t gateway[6] = {0x02, 0x57, 0x45, 0x46, 0x54, 0x01};
	*key = (struct link_key){.ifindex = ifindex_of(c, p)};
	*value = (struct link_value){.v4 = p->addr[0].a, .v6 = p->addr[1].a, .mtu = pod_mtu(c)};
	mac_of(p, value->mac);
	memcpy(value->gateway_mac, gateway, sizeof(gateway));
	size_t n = uid_of(p).n < sizeof(value->uid) - 1 ? uid_of(p).n : sizeof(value->uid) - 1;
	memcpy(value->uid, uid_of(p).p, n);
}

static uint32_t set_id(const struct cpod *p, int stage, int dir)
{
	return p->set[stage][dir] ? p->set[stage][dir]->id : SET_NONE;
}

/* A policy that is only staged cuts nothing. */
static uint32_t flags_of(const struct compiler *c, const struct cpod *p)
{
	bool strict = c->cfg.strict;
	VEC_EACH (&p->policies, pol)
		strict |= (*pol)->strict && !(*pol)->staged;
	return (strict ? ENDPOINT_STRICT : 0) | (p->self ? ENDPOINT_SELF : 0);
}

static void put_pod_rows(struct compiler *c, struct cpod *p)
{
	struct link_key lk;
	struct link_value lv;
	pod_link_row(c, p, &lk, &lv);
	p->ifindex = lk.ifindex;
	row_put(&c->rows, &p->link, ROW_LINK, 0, &lk, &lv, &p->src, NULL);
	struct iface_value iv = {.ingress_set = set_id(p, IN_FORCE, DIR_INGRESS),
				 .egress_set = set_id(p, IN_FORCE, DIR_EGRESS),
				 .flags = flags_of(c, p),
				 .staged_ingress = set_id(p, STAGED, DIR_INGRESS),
				 .staged_egress = set_id(p, STAGED, DIR_EGRESS)};
	memcpy(&iv.v4, &p->addr[0].a, sizeof(iv.v4));
	memcpy(&iv.v6, &p->addr[1].a, sizeof(iv.v6));
	memcpy(iv.mac, lv.mac, sizeof(iv.mac));
	put_map(c, &p->link, PLAN_MAP_iface, &lk.ifindex, &iv, &p->src, NULL);
	for (int f = 0; f < 2; f++) {
		const struct addr *a = &p->addr[f].a;
		if (addr_is_zero(a))
			continue;
		struct endpoint_value ev = {.ifindex = lk.ifindex,
					    .ingress_set = iv.ingress_set,
					    .egress_set = iv.egress_set,
					    .flags = iv.flags,
					    .staged_ingress = iv.staged_ingress,
					    .staged_egress = iv.staged_egress};
		memcpy(ev.mac, lv.mac, sizeof(ev.mac));
		put_map(c, &p->link, PLAN_MAP_endpoint, a, &ev, &p->src, NULL);
		struct route_key rk = {.to = {.addr = *a, .len = 128}};
		struct route_value rv = {.way = ROUTE_POD, .ifindex = lk.ifindex, .mtu = lv.mtu};
		row_put(&c->rows, &p->link, ROW_ROUTE, 0, &rk, &rv, &p->src, NULL);
	}
	host_ports_rows(c, p);
}

static void pod_free(struct compiler *c, struct cpod *p)
{
	owner_fini(&p->addresses);
	owner_fini(&p->link);
	host_ports_release(c, host_ports_begin(p));
	vec_free(&p->policies);
	retire(c, p->src.text);
	retire(c, p); /* rows on their way out still name it */
}

void pods_links(struct compiler *c)
{
	VEC_EACH (&c->dirty_pods, it) {
		struct cpod *p = *it;
		struct hostports *was = host_ports_begin(p);
		p->dirty = false;
		owner_begin(&p->link);
		if (p->local)
			put_pod_rows(c, p);
		owner_end(&c->rows, &p->link);
		host_ports_release(c, was);
		if (p->gone)
			pod_free(c, p);
	}
	c->dirty_pods.len = 0;
}

void pods_fini(struct compiler *c)
{
	VEC_EACH (&c->dirty_pods, p)
		if ((*p)->gone)
			pod_free(c, *p);
	HASH_EACH (&c->pods, s)
		pod_free(c, s->value);
	hash_fini(&c->pods);
	hash_fini(&c->pods_by_uid);
	kins_fini(c);
}
