/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services: from Service and EndpointSlice objects to addresses and lists of backends. Slices carry numbers,
 * so named target ports are their maker's matter. Called by compile.c.
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "compile/state.h"
#include "seam/service.h"

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

void service_tell(struct compiler *c, struct str key, const struct object *o)
{
	struct cservice *s = o ? service_get(c, key) : hash_get(&c->services, key);
	if (!s)
		return;
	s->o = s->src.o = o;
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

struct backends {
	VEC(struct backend_value) list;
};

static int backend_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct backend_value));
}

/* What a caller wants of the endpoints of a Service's port. */
struct want {
	const struct service_port *port;
	bool four;   /* family */
	bool local;  /* of this node only (traffic policy Local) */
	bool ending; /* SV04: those that end and still serve, when no other is ready */
};

static bool wanted(const struct compiler *c, const struct endpoint *e, const struct want *w, struct addr *a)
{
	const struct endpoint_conditions *cond = e->conditions;
	bool ready = !cond || !cond->ready.set || cond->ready.v;
	bool ending = cond && cond->terminating.v && cond->serving.v;
	if (w->ending ? !ending : !ready)
		return false;
	if (w->local && !str_eq(e->node_name, c->cfg.node))
		return false;
	return e->addresses.len && !addr_parse(e->addresses.items[0], a) && addr_is4(a) == w->four;
}

static void add_endpoints(struct compiler *c, const struct endpointslice *es, const struct want *w,
			  int64_t port, struct backends *out)
{
	for (size_t i = 0; i < es->endpoints.len; i++) {
		struct addr a;
		if (!wanted(c, &es->endpoints.items[i], w, &a))
			continue;
		struct backend_value v = {.port = htons((uint16_t)port)};
		memcpy(&v.addr, &a, sizeof(v.addr));
		PUSH(c, &out->list, v);
	}
}

static void add_slices(struct compiler *c, const struct cservice *s, const struct want *w,
		       struct backends *out)
{
	VEC_EACH (&s->slices, it) {
		const struct endpointslice *es = (*it)->endpointslice;
		if (!str_eqz(es->address_type, w->four ? "IPv4" : "IPv6"))
			continue;
		for (size_t i = 0; i < es->ports.len; i++) {
			const struct endpoint_port *ep = &es->ports.items[i];
			if (ep->port.set && str_eq(ep->name, w->port->name) &&
			    proto_number(ep->protocol) == proto_number(w->port->protocol))
				add_endpoints(c, es, w, ep->port.v, out);
		}
	}
}

/* Usable endpoints of one port and family, sorted, each once. */
static void gather(struct compiler *c, const struct cservice *s, struct want w, struct backends *out)
{
	add_slices(c, s, &w, out);
	w.ending = true;
	if (!out->list.len)
		add_slices(c, s, &w, out);
	if (out->list.len < 2)
		return;
	qsort(out->list.items, out->list.len, sizeof(*out->list.items), backend_cmp);
	size_t n = 1;
	for (size_t i = 1; i < out->list.len; i++)
		if (backend_cmp(&out->list.items[i], &out->list.items[n - 1]))
			out->list.items[n++] = out->list.items[i];
	out->list.len = n;
}

/* Lists are found by their hash: a second copy of what they hold would cost megabytes. */
static struct str place_of(const uint64_t *at)
{
	return (struct str){(const char *)at, sizeof(*at)};
}

static struct backend_list *list_get(struct compiler *c, const struct backends *b)
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

static void list_unref(struct compiler *c, struct backend_list *l)
{
	if (--l->refs)
		return;
	hash_del(&c->lists, place_of(&l->at));
	id_drop(&c->list_ids, l->id);
	free((void *)(uintptr_t)l->key.p);
	free(l);
}

struct offer { /* one port of a Service in one family */
	const struct service_port *port;
	struct service_value value;
};

static void put_backends(struct compiler *c, struct cservice *s, const struct backends *b,
			 const struct offer *of)
{
	for (uint32_t i = 0; i < b->list.len; i++) {
		struct backend_key k = {.list = of->value.list, .slot = i};
		put_map(c, &s->owner, PLAN_MAP_backend, &k, &b->list.items[i], &s->src, of->port);
	}
}

static void put_service(struct compiler *c, struct cservice *s, const struct addr *a, int64_t port,
			const struct offer *of, uint32_t flags)
{
	struct service_key k = {.port = htons((uint16_t)port), .proto = proto_number(of->port->protocol)};
	memcpy(&k.addr, a, sizeof(k.addr));
	struct service_value v = of->value;
	v.flags = flags;
	put_map(c, &s->owner, PLAN_MAP_service, &k, &v, &s->src, of->port);
}

/* The list of a port's endpoints, with its rows; empty: list 0. */
static struct offer make_offer(struct compiler *c, struct cservice *s, const struct want *w)
{
	struct offer of = {.port = w->port};
	struct backends b = {0};
	gather(c, s, *w, &b);
	struct backend_list *l = b.list.len ? list_get(c, &b) : NULL;
	if (l) {
		PUSH(c, &s->lists, l);
		of.value.list = l->id;
		of.value.count = l->count;
		put_backends(c, s, &b, &of);
	}
	vec_free(&b.list);
	return of;
}

static void put_port(struct compiler *c, struct cservice *s, const struct service_port *sp,
		     const struct addr *vip)
{
	const struct service_spec *spec = s->o->service->spec;
	struct want w = {
	    .port = sp, .four = addr_is4(vip), .local = str_eqz(spec->internal_traffic_policy, "Local")};
	struct offer of = make_offer(c, s, &w);
	put_service(c, s, vip, sp->port.v, &of, 0);
	if (!sp->node_port.v || !c->self || str_eqz(spec->type, "ClusterIP"))
		return;
	w.local = str_eqz(spec->external_traffic_policy, "Local");
	of = make_offer(c, s, &w);
	of.value.out_list = of.value.list;
	of.value.out_count = of.value.count;
	VEC_EACH (&c->self->addrs, a)
		if (addr_is4(&(*a)->a) == w.four)
			put_service(c, s, &(*a)->a, sp->node_port.v, &of, SERVICE_OUTSIDE_TOO);
}

/* Headless, ExternalName, and what another proxy serves: no rows. */
static bool served(const struct cservice *s)
{
	const struct service_spec *spec = s->o ? s->o->service->spec : NULL;
	if (!spec || str_eqz(spec->type, "ExternalName") || str_eqz(spec->cluster_ip, "None"))
		return false;
	return !strmap_get(&s->o->meta.labels, STR("service.kubernetes.io/service-proxy-name")) &&
	       !strmap_get(&s->o->meta.labels, STR("service.kubernetes.io/headless"));
}

static void put_vip(struct compiler *c, struct cservice *s, struct str text)
{
	struct addr vip;
	if (addr_parse(text, &vip))
		return;
	const struct service_port_list *ports = &s->o->service->spec->ports;
	for (size_t i = 0; i < ports->len; i++)
		put_port(c, s, &ports->items[i], &vip);
}

static void service_free(struct compiler *c, struct cservice *s)
{
	VEC_EACH (&s->lists, l)
		list_unref(c, *l);
	vec_free(&s->lists);
	vec_free(&s->slices);
	owner_fini(&s->owner);
	retire(c, s->src.text);
	retire(c, s);
}

static void service_rows(struct compiler *c, struct cservice *s)
{
	__typeof__(s->lists) was = s->lists;
	memset(&s->lists, 0, sizeof(s->lists));
	owner_begin(&s->owner);
	if (served(s)) {
		const struct service_spec *spec = s->o->service->spec;
		for (size_t i = 0; i < spec->cluster_ips.len; i++)
			put_vip(c, s, spec->cluster_ips.items[i]);
		if (!spec->cluster_ips.len)
			put_vip(c, s, spec->cluster_ip);
	}
	owner_end(&c->rows, &s->owner);
	VEC_EACH (&was, l)
		list_unref(c, *l);
	vec_free(&was);
}

void services_settle(struct compiler *c)
{
	if (c->nodeports_changed) {
		HASH_EACH (&c->services, s)
			service_dirty(c, s->value);
	}
	c->nodeports_changed = false;
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
	vec_free(&c->dirty_services);
}
