/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services: from Service and EndpointSlice objects to the addresses under which they are taken, inside and
 * from outside. Slices carry numbers, so named target ports are their maker's matter. Called by compile.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "compile/service.h"

static struct cservice *service_get(struct compiler *c, struct str key)
{
	struct cservice *s = hash_get(&c->services, key);
	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s || hash_set(&c->services, key, s, NULL)) {
		free(s);
		c->failed = true;
		return NULL;
	}
	AUTO_BUF text = {0};
	buf_printf(&text, "Service " STR_FMT, STR_ARG(key));
	s->src.text = (char *)(uintptr_t)key_copy(c, built(c, &text)).p;
	s->owner.src = &s->src;
	s->owner.listed = true;
	return s;
}

static void service_dirty(struct compiler *c, struct cservice *s)
{
	if (!s || s->dirty)
		return;
	s->dirty = true;
	PUSH(c, &c->dirty_services, s);
}

/* Balancers ask this node whether it has endpoints of it. */
static bool checked(const struct cservice *s)
{
	const struct service_spec *spec = s->o ? s->o->service->spec : NULL;
	return spec && spec->health_check_node_port.v && str_eqz(spec->type, "LoadBalancer") &&
	       str_eqz(spec->external_traffic_policy, "Local");
}

void service_tell(struct compiler *c, struct str key, const struct object *o)
{
	struct cservice *s = o ? service_get(c, key) : hash_get(&c->services, key);
	if (!s)
		return;
	bool was = checked(s);
	s->o = s->src.o = o;
	if (was && !checked(s))
		CUT(&c->checked_services, s);
	if (!was && checked(s))
		PUSH(c, &c->checked_services, s);
	service_dirty(c, s);
}

/* The Service that a slice says it belongs to; made when it is not known yet. */
static struct cservice *service_of_slice(struct compiler *c, const struct object *slice)
{
	const struct str *name = strmap_get(&slice->meta.labels, STR("kubernetes.io/service-name"));
	if (!name || !name->n)
		return NULL;
	AUTO_BUF key = {0};
	buf_printf(&key, STR_FMT "/" STR_FMT, STR_ARG(slice->meta.ns), STR_ARG(*name));
	return built(c, &key).n && !key.failed ? service_get(c, buf_str(&key)) : NULL;
}

void slice_tell(struct compiler *c, struct str key, const struct object *now)
{
	const struct object *was = hash_get(&c->slices, key);
	struct cservice *s;
	if (was && (s = service_of_slice(c, was))) {
		CUT(&s->slices, was);
		service_dirty(c, s);
	}
	if (!now) {
		hash_del(&c->slices, key);
		return;
	}
	if (hash_set(&c->slices, key, (void *)(uintptr_t)now, NULL))
		c->failed = true;
	s = service_of_slice(c, now);
	if (s) {
		PUSH(c, &s->slices, now);
		service_dirty(c, s);
	}
}

/* Headless, ExternalName, and what another proxy serves: no rows. */
bool service_served(const struct cservice *s)
{
	const struct service_spec *spec = s->o ? s->o->service->spec : NULL;
	if (!spec || str_eqz(spec->type, "ExternalName") || str_eqz(spec->cluster_ip, "None"))
		return false;
	return !strmap_get(&s->o->meta.labels, STR("service.kubernetes.io/service-proxy-name")) &&
	       !strmap_get(&s->o->meta.labels, STR("service.kubernetes.io/headless"));
}

bool service_address(struct str text, struct addr *out)
{
	return text.n && !addr_parse(text, out) && !addr_is_zero(out);
}

bool service_is_proxied(const struct balancer_ingress *in)
{
	return str_eqz(in->ip_mode, "Proxy");
}

/* Its cluster addresses, one by one; false behind the last. */
static bool vip_at(const struct cservice *s, size_t i, struct addr *out)
{
	const struct service_spec *spec = s->o->service->spec;
	struct str text = spec->cluster_ips.len > i ? spec->cluster_ips.items[i]
			  : i			    ? STR("")
						    : spec->cluster_ip;
	return service_address(text, out);
}

bool service_has_family(const struct cservice *s, bool four)
{
	struct addr a;
	for (size_t i = 0; vip_at(s, i, &a); i++)
		if (addr_is4(&a) == four)
			return true;
	return false;
}

struct offer { /* one port of a Service in one family */
	const struct service_port *port;
	bool four;
	struct service_value inside, outside;
};

static void put_service(struct compiler *c, struct cservice *s, const struct addr *a, int64_t port,
			const struct offer *of, const struct service_value *v)
{
	struct service_key k = {.port = htons((uint16_t)port), .proto = proto_number(of->port->protocol)};
	memcpy(&k.addr, a, sizeof(k.addr));
	put_map(c, &s->owner, PLAN_MAP_service, &k, v, &s->src, of->port);
}

/* SV44: the address is somebody's; what it has no port for is refused, and so it is for clients from outside
 * where it is put on the uplink, lest sockets of the node answer under it. */
static void put_marker(struct compiler *c, struct cservice *s, const struct addr *a, bool outside)
{
	struct service_value v = {.flags = outside ? SERVICE_OUTSIDE_TOO : 0};
	struct service_key k = {.port = 0};
	memcpy(&k.addr, a, sizeof(k.addr));
	put_map(c, &s->owner, PLAN_MAP_service, &k, &v, &s->src, NULL);
}

/* Clients and source ranges are found by it, so it is then its own. */
static uint32_t service_id(struct compiler *c, struct cservice *s, const struct service_port *sp, bool own)
{
	uint64_t h = hash_bytes(s->src.text, strlen(s->src.text), proto_number(sp->protocol));
	h = hash_bytes(sp->name.p, sp->name.n, h);
	uint32_t id = (uint32_t)(h ^ (h >> 32));
	if (!own)
		return id ? id : 1;
	id = id_take(&c->service_ids, h, s);
	if (id)
		PUSH(c, &s->ids, id);
	c->failed |= !id;
	return id;
}

static uint32_t affinity_of(const struct service_spec *spec)
{
	enum { USUAL = 10800 };
	if (!str_eqz(spec->session_affinity, "ClientIP"))
		return 0;
	const struct affinity_config *conf = spec->session_affinity_config;
	int64_t v = conf && conf->client_ip ? conf->client_ip->timeout_seconds.v : 0;
	return v > 0 && v <= UINT32_MAX ? (uint32_t)v : USUAL;
}

static void set_list(uint32_t *list, uint32_t *count, const struct backend_list *l)
{
	*list = l ? l->id : 0;
	*count = l ? l->count : 0;
}

static bool ranged(const struct service_spec *spec)
{
	return str_eqz(spec->type, "LoadBalancer") && spec->load_balancer_source_ranges.len;
}

static bool has_node_ports(const struct service_spec *spec)
{
	return str_eqz(spec->type, "NodePort") || str_eqz(spec->type, "LoadBalancer");
}

static bool taken_outside(const struct service_spec *spec)
{
	return has_node_ports(spec) || spec->external_ips.len;
}

bool service_is_outside(const struct cservice *s)
{
	return taken_outside(s->o->service->spec);
}

static struct offer make_offer(struct compiler *c, struct cservice *s, const struct service_port *sp,
			       bool four)
{
	const struct service_spec *spec = s->o->service->spec;
	bool in_local = str_eqz(spec->internal_traffic_policy, "Local"),
	     out_local = str_eqz(spec->external_traffic_policy, "Local");
	bool outside = taken_outside(spec);
	unsigned which =
	    (!in_local || outside ? PICK_ALL : 0u) | (in_local || (outside && out_local) ? PICK_LOCAL : 0u);
	struct picked p = endpoints_pick(c, s, sp, four, which);
	struct offer of = {.port = sp, .four = four};
	struct service_value v = {.affinity = affinity_of(spec)};
	v.service = service_id(c, s, sp, v.affinity || ranged(spec));
	v.flags = maglev_wanted(s->o) ? SERVICE_MAGLEV : 0;
	of.inside = of.outside = v;
	set_list(&of.inside.list, &of.inside.count, in_local ? p.local : p.all);
	/* SV07, SV08: without any endpoint it is refused, as SV06 has it. */
	if (in_local && !p.local && p.any)
		of.inside.flags |= SERVICE_DROP;
	set_list(&of.outside.list, &of.outside.count, p.all); /* SV09 */
	set_list(&of.outside.out_list, &of.outside.out_count, out_local ? p.local : p.all);
	of.outside.flags |= SERVICE_OUTSIDE_TOO;
	if (outside && direct_is_on(c, s))
		of.outside.flags |= SERVICE_DIRECT;
	if (out_local && !p.local && p.any)
		of.outside.flags |= SERVICE_DROP_OUT;
	return of;
}

static void put_node_port(struct compiler *c, struct cservice *s, const struct offer *of)
{
	const struct service_spec *spec = s->o->service->spec;
	if (!of->port->node_port.v || !c->self || !has_node_ports(spec))
		return;
	VEC_EACH (&c->self->addrs, a)
		if (addr_is4(&(*a)->a) == of->four)
			put_service(c, s, &(*a)->a, of->port->node_port.v, of, &of->outside);
}

/* SV42: clients that no range of any family holds stay out. */
static void put_ranges(struct compiler *c, struct cservice *s, const struct offer *of)
{
	const struct strlist *l = &s->o->service->spec->load_balancer_source_ranges;
	for (size_t i = 0; i < l->len; i++) {
		struct source_key k = {.service = of->outside.service};
		struct source_value allow = {.allow = 1};
		struct prefix p;
		int e = prefix_parse(l->items[i], &p);
		if ((e && e != -EDOM) || addr_is4(&p.addr) != of->four)
			continue;
		k.prefixlen = 32u + p.len;
		memcpy(&k.addr, &p.addr, sizeof(k.addr));
		put_map(c, &s->owner, PLAN_MAP_source_range, &k, &allow, &s->src, &l->items[i]);
	}
}

static const struct balancer_ingress_list *balancer_of(const struct cservice *s)
{
	static const struct balancer_ingress_list none;
	const struct service_status *st = s->o->service->status;
	if (!str_eqz(s->o->service->spec->type, "LoadBalancer") || !st || !st->load_balancer)
		return &none;
	return &st->load_balancer->ingress;
}

static void put_balancer(struct compiler *c, struct cservice *s, const struct offer *of)
{
	const struct balancer_ingress_list *l = balancer_of(s);
	struct service_value v = of->outside;
	struct addr a;
	if (ranged(s->o->service->spec) && l->len) {
		v.flags |= SERVICE_RANGES;
		put_ranges(c, s, of);
	}
	for (size_t i = 0; i < l->len; i++) {
		struct service_value one = v;
		if (!service_address(l->items[i].ip, &a) || addr_is4(&a) != of->four)
			continue;
		if (service_is_proxied(&l->items[i])) /* SV43 */
			one.flags |= SERVICE_INSIDE_NOT;
		put_service(c, s, &a, of->port->port.v, of, &one);
	}
}

/* Cluster addresses are given out by the API: nobody takes one of others that way. */
bool service_takes_external(const struct compiler *c, const struct addr *a)
{
	const struct prefix *services[] = {&c->cfg.services4, &c->cfg.services6};
	for (int i = 0; i < 2; i++)
		if (services[i]->len && prefix_has(services[i], a))
			return false;
	return !c->cfg.no_external_ips;
}

/* SV45 */
static void put_external(struct compiler *c, struct cservice *s, const struct offer *of)
{
	const struct strlist *l = &s->o->service->spec->external_ips;
	struct addr a;
	for (size_t i = 0; i < l->len; i++)
		if (service_address(l->items[i], &a) && addr_is4(&a) == of->four &&
		    service_takes_external(c, &a))
			put_service(c, s, &a, of->port->port.v, of, &of->outside);
}

static void put_port(struct compiler *c, struct cservice *s, const struct service_port *sp, bool four)
{
	struct offer of = make_offer(c, s, sp, four);
	struct addr vip;
	for (size_t i = 0; vip_at(s, i, &vip); i++)
		if (addr_is4(&vip) == four)
			put_service(c, s, &vip, sp->port.v, &of, &of.inside);
	put_node_port(c, s, &of);
	put_balancer(c, s, &of);
	put_external(c, s, &of);
}

/* What an address has whatever its ports are. External IPs may be those of nodes, which serve other ports. */
static void put_addresses(struct compiler *c, struct cservice *s)
{
	const struct balancer_ingress_list *l = balancer_of(s);
	struct addr a;
	for (size_t i = 0; vip_at(s, i, &a); i++)
		put_marker(c, s, &a, false);
	for (size_t i = 0; i < l->len; i++) {
		const struct balancer_ingress *in = &l->items[i];
		if (!service_address(in->ip, &a) || !service_has_family(s, addr_is4(&a)) ||
		    service_is_proxied(in))
			continue;
		put_marker(c, s, &a, announce_rows(c, s, &a));
	}
}

static void service_free(struct compiler *c, struct cservice *s)
{
	VEC_EACH (&s->lists, l)
		list_unref(c, *l);
	vec_free(&s->lists);
	vec_free(&s->slices);
	vec_free(&s->ids);
	owner_fini(&s->owner);
	retire(c, s->src.text);
	retire(c, s);
}

static void put_rows(struct compiler *c, struct cservice *s)
{
	const struct service_port_list *ports = &s->o->service->spec->ports;
	for (int four = 1; four >= 0; four--) {
		if (!service_has_family(s, four))
			continue;
		for (size_t i = 0; i < ports->len; i++)
			put_port(c, s, &ports->items[i], four);
	}
	put_addresses(c, s);
}

static void drop_ids(struct compiler *c, struct cservice *s, const uint32_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool kept = false;
		VEC_EACH (&s->ids, id)
			kept |= *id == ids[i];
		if (!kept)
			id_drop(&c->service_ids, ids[i]);
	}
}

static void service_rows(struct compiler *c, struct cservice *s)
{
	__typeof__(s->lists) was = s->lists;
	__typeof__(s->ids) ids = s->ids;
	memset(&s->lists, 0, sizeof(s->lists));
	memset(&s->ids, 0, sizeof(s->ids));
	s->hinted = s->balanced = false;
	owner_begin(&s->owner);
	if (service_served(s))
		put_rows(c, s);
	owner_end(&c->rows, &s->owner);
	VEC_EACH (&was, l)
		list_unref(c, *l);
	drop_ids(c, s, ids.items, ids.len);
	vec_free(&was);
	vec_free(&ids);
}

/* What changed besides Services and slices, and whom it concerns. */
static void mark_concerned(struct compiler *c)
{
	bool announced = c->answers_changed || c->pools_changed;
	if (c->pools_changed)
		pools_read(c);
	if (c->nodeports_changed || c->zone_changed || announced) {
		HASH_EACH (&c->services, h) {
			struct cservice *s = h->value;
			if (c->nodeports_changed || (c->zone_changed && s->hinted) ||
			    (announced && s->balanced))
				service_dirty(c, s);
		}
	}
	c->nodeports_changed = c->zone_changed = c->answers_changed = c->pools_changed = false;
}

void services_settle(struct compiler *c)
{
	mark_concerned(c);
	VEC_EACH (&c->dirty_services, it) {
		struct cservice *s = *it;
		s->dirty = false;
		service_rows(c, s);
		if (!s->o && !s->slices.len) {
			hash_del(&c->services, str_of(s->src.text + strlen("Service ")));
			service_free(c, s);
		}
	}
	c->dirty_services.len = 0;
}

void services_fini(struct compiler *c)
{
	HASH_EACH (&c->services, s)
		service_free(c, s->value);
	hash_fini(&c->services);
	hash_fini(&c->slices);
	hash_fini(&c->lists);
	ids_fini(&c->list_ids);
	ids_fini(&c->service_ids);
	vec_free(&c->dirty_services);
	vec_free(&c->checked_services);
	vec_free(&c->pools);
}
