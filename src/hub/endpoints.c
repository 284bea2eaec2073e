/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EndpointSlices of Services with a selector: one slice for each family and set of resolved ports, so that
 * pods which give a named port different numbers stand in different slices. Slices made by hand are never
 * touched. Called by cluster_pass().
 */
#include <errno.h>

#include "base/own.h"
#include "hub/condition.h"
#include "hub/copy.h"
#include "hub/names.h"
#include "hub/podmake.h"

enum { SLICE_MAX = 1000 };

struct group {	   /* pods whose Service ports have the same numbers */
	char *key; /* "http/TCP/8080,…" of the resolved ports */
	VEC(const struct object *) pods;
};
struct groups {
	VEC(struct group) list;
};

static void groups_fini(struct groups *g)
{
	VEC_EACH (&g->list, it) {
		free(it->key);
		vec_free(&it->pods);
	}
	vec_free(&g->list);
}

static struct str protocol_of(struct str p)
{
	return p.n ? p : STR("TCP");
}

static int64_t named_port(const struct container_list *l, bool sidecars_only, struct str name,
			  struct str protocol)
{
	for (size_t i = 0; i < l->len; i++) {
		if (sidecars_only && !str_eqz(l->items[i].restart_policy, "Always"))
			continue;
		for (size_t j = 0; j < l->items[i].ports.len; j++) {
			const struct container_port *p = &l->items[i].ports.items[j];
			if (str_eq(p->name, name) && str_eq(protocol_of(p->protocol), protocol))
				return p->container_port.v;
		}
	}
	return 0;
}

/* Number of a Service port on this pod; 0: the pod does not declare that name. */
static int64_t resolve(const struct service_port *sp, const struct object *pod)
{
	if (sp->target_port.type == INTSTR_INT && sp->target_port.i)
		return sp->target_port.i;
	if (sp->target_port.type != INTSTR_STR)
		return sp->port.v;
	struct str protocol = protocol_of(sp->protocol);
	int64_t n = named_port(&pod->pod->spec->containers, false, sp->target_port.s, protocol);
	return n ? n : named_port(&pod->pod->spec->init_containers, true, sp->target_port.s, protocol);
}

static void resolve_all(const struct service_spec *spec, const struct object *pod, struct buf *key)
{
	for (size_t i = 0; i < spec->ports.len; i++) {
		int64_t n = resolve(&spec->ports.items[i], pod);
		if (n)
			buf_printf(key, "%zu=%lld,", i, (long long)n);
	}
}

static bool pod_has_family(const struct object *pod, bool v6, struct str *ip)
{
	const struct pod_status *st = pod->pod->status;
	for (size_t i = 0; st && i < st->pod_ips.len; i++) {
		struct addr a;
		if (!addr_parse(st->pod_ips.items[i].ip, &a) && addr_is4(&a) != v6) {
			*ip = st->pod_ips.items[i].ip;
			return true;
		}
	}
	return false;
}

static int group_add(struct groups *g, const char *key, const struct object *pod)
{
	size_t i = 0;
	while (i < g->list.len && strcmp(g->list.items[i].key, key) < 0)
		i++;
	if (i == g->list.len || strcmp(g->list.items[i].key, key)) {
		struct group fresh = {.key = strdup(key)};
		if (!fresh.key || vec_push(&g->list, fresh)) {
			free(fresh.key);
			return -ENOMEM;
		}
		memmove(&g->list.items[i + 1], &g->list.items[i], (g->list.len - 1 - i) * sizeof(fresh));
		g->list.items[i] = fresh;
	}
	return vec_push(&g->list.items[i].pods, pod);
}

/* Pods behind the Service, found through the rarest label of its selector, in order of their names. */
static int select_pods(struct cluster *c, const struct object *svc, struct keys *names)
{
	const struct strmap *sel = &svc->service->spec->selector;
	const struct keyset *best = NULL;
	for (size_t i = 0; i < sel->len; i++) {
		const struct keyset *s = labelindex_get(&c->pods_by, svc->meta.ns, &sel->items[i]);
		if (!s)
			return 0;
		if (!best || s->set.len < best->set.len)
			best = s;
	}
	return best ? keyset_list(best, names) : 0;
}

static int gather(struct cluster *c, const struct object *svc, bool v6, const struct keys *names,
		  struct groups *g)
{
	const struct service_spec *spec = svc->service->spec;
	VEC_EACH (&names->list, name) {
		const struct object *pod = store_get(c->store, KIND_pod, svc->meta.ns, str_of(*name));
		struct str ip;
		if (!pod || !pod->pod->spec || !strmap_contains(&pod->meta.labels, &spec->selector) ||
		    pod_is_finished(pod) || !pod_has_family(pod, v6, &ip))
			continue;
		AUTO_BUF key = {0};
		resolve_all(spec, pod, &key);
		if (spec->ports.len && !key.n)
			continue;
		if (key.failed || group_add(g, key.p ? key.p : "", pod))
			return -ENOMEM;
	}
	return 0;
}

static int hint(struct arena *a, struct for_name_list *l, struct str name)
{
	l->items = arena_new(a, struct for_name);
	if (!l->items)
		return -ENOMEM;
	l->items->name = name;
	l->len = 1;
	l->set = true;
	return 0;
}

/* Who should use a ready endpoint: its own zone, and its own node where that is asked for (SV32, SV33). */
static int fill_hints(struct arena *a, struct endpoint *e, const struct service_spec *spec)
{
	struct str d = spec->traffic_distribution;
	bool node = str_eqz(d, "PreferSameNode");
	bool zone = node || str_eqz(d, "PreferClose") || str_eqz(d, "PreferSameZone");
	if (!zone || (!e->zone.n && !node))
		return 0;
	e->hints = arena_new(a, struct endpoint_hints);
	if (!e->hints)
		return -ENOMEM;
	int r = e->zone.n ? hint(a, &e->hints->for_zones, e->zone) : 0;
	return r || !node ? r : hint(a, &e->hints->for_nodes, e->node_name);
}

static int fill_endpoint(struct cluster *c, struct object *o, struct endpoint *e, const struct object *svc,
			 const struct object *pod, bool v6)
{
	struct arena *a = &o->arena;
	const struct pod_spec *spec = pod->pod->spec;
	struct str ip;
	pod_has_family(pod, v6, &ip);
	e->conditions = arena_new(a, struct endpoint_conditions);
	e->target_ref = arena_new(a, struct object_reference);
	if (!e->conditions || !e->target_ref || strlist_add(a, &e->addresses, ip))
		return -ENOMEM;
	bool serving = pod_is_ready(pod), terminating = pod->meta.deletion_timestamp.n;
	bool publish = svc->service->spec->publish_not_ready_addresses.v;
	e->conditions->ready = bool_of(publish || (serving && !terminating));
	e->conditions->serving = bool_of(serving);
	e->conditions->terminating = bool_of(terminating);
	if (spec->hostname.n && str_eq(spec->subdomain, svc->meta.name))
		e->hostname = arena_str(a, spec->hostname);
	e->target_ref->kind = arena_str(a, STR("Pod"));
	e->target_ref->ns = arena_str(a, pod->meta.ns);
	e->target_ref->name = arena_str(a, pod->meta.name);
	e->target_ref->uid = arena_str(a, pod->meta.uid);
	e->node_name = arena_str(a, spec->node_name);
	const struct object *node = store_get(c->store, KIND_node, STR(""), spec->node_name);
	const struct str *zone =
	    node ? strmap_get(&node->meta.labels, STR("topology.kubernetes.io/zone")) : NULL;
	if (zone)
		e->zone = arena_str(a, *zone);
	return !e->node_name.p ? -ENOMEM : e->conditions->ready.v ? fill_hints(a, e, svc->service->spec) : 0;
}

static int fill_ports(struct object *o, const struct service_spec *spec, const struct object *pod)
{
	struct arena *a = &o->arena;
	struct endpoint_port_list *l = &o->endpointslice->ports;
	l->items = arena_array(a, struct endpoint_port, spec->ports.len);
	l->set = true;
	if (spec->ports.len && !l->items)
		return -ENOMEM;
	for (size_t i = 0; i < spec->ports.len; i++) {
		int64_t n = resolve(&spec->ports.items[i], pod);
		if (!n)
			continue;
		struct endpoint_port *p = &l->items[l->len++];
		p->name = arena_str(a, spec->ports.items[i].name);
		p->protocol = arena_str(a, protocol_of(spec->ports.items[i].protocol));
		p->port = int_of(n);
		p->app_protocol = text_keep(a, spec->ports.items[i].app_protocol);
	}
	return 0;
}

static int fill_labels(struct object *o, const struct object *svc)
{
	struct arena *a = &o->arena;
	int r = map_copy(a, &o->meta.labels, &svc->meta.labels);
	if (!r)
		r = strmap_set(a, &o->meta.labels, STR("kubernetes.io/service-name"),
			       arena_str(a, svc->meta.name));
	if (!r)
		r = strmap_set(a, &o->meta.labels, STR("endpointslice.kubernetes.io/managed-by"),
			       STR("endpointslice-controller.weft.network"));
	if (!r && str_eqz(svc->service->spec->cluster_ip, "None"))
		r = strmap_set(a, &o->meta.labels, STR("service.kubernetes.io/headless"), STR(""));
	return r ? r : own_object(o, svc);
}

/* When what the slice tells of began, for measuring how long it took to reach the nodes. */
static int set_trigger(struct cluster *c, struct object *o, const struct object *old, bool news)
{
	struct str key = STR("endpoints.kubernetes.io/last-change-trigger-time");
	const struct str *was = old ? strmap_get(&old->meta.annotations, key) : NULL;
	const char *now = *c->trigger ? c->trigger : c->now;
	struct str value = news ? str_of(now) : was ? *was : (struct str){0};
	struct arena *a = &o->arena;
	return value.n ? strmap_set(a, &o->meta.annotations, arena_str(a, key), arena_str(a, value)) : 0;
}

/* One slice of pods that resolve their ports alike. */
static int make_slice(struct cluster *c, const struct object *svc, bool v6, const struct object *const *pods,
		      size_t n, struct str name)
{
	struct object *o = NULL;
	int r = object_new(&o, &kind_table[KIND_endpointslice], svc->meta.ns, name);
	if (r)
		return r;
	struct endpointslice *es = o->endpointslice;
	es->address_type = arena_str(&o->arena, v6 ? STR("IPv6") : STR("IPv4"));
	es->endpoints.items = arena_array(&o->arena, struct endpoint, n);
	es->endpoints.set = true;
	r = es->endpoints.items ? fill_labels(o, svc) : -ENOMEM;
	if (!r)
		r = fill_ports(o, svc->service->spec, pods[0]);
	for (size_t i = 0; i < n && !r; i++) {
		r = fill_endpoint(c, o, &es->endpoints.items[i], svc, pods[i], v6);
		es->endpoints.len++;
	}
	o->pos = svc->pos;
	file_ref((struct file *)(uintptr_t)o->pos.file);
	const struct object *old = store_get(c->store, KIND_endpointslice, svc->meta.ns, name);
	struct remarks none = {0};
	if (!r)
		r = cluster_admit(c, o, old, true, &none);
	remarks_fini(&none);
	if (!r)
		r = set_trigger(c, o, old, false);
	if (!r && !(old && object_same(o, old)))
		r = set_trigger(c, o, old, true);
	if (r || (old && object_same(o, old))) {
		object_unref(&o);
		return r;
	}
	return store_put(c->store, o, NULL);
}

struct bins { /* slices to be, each at its place */
	VEC(struct group) list;
};

static void bins_fini(struct bins *b)
{
	VEC_EACH (&b->list, it)
		vec_free(&it->pods);
	vec_free(&b->list);
}

static int slice_name(struct buf *name, const struct object *svc, bool v6, const char *key, size_t index)
{
	uint64_t salt[2] = {v6, index * SLICE_MAX};
	char suffix[6];
	uint64_t h = hash_bytes(key, strlen(key), hash_bytes(salt, sizeof(salt), 0));
	name_suffix(suffix, 5, hash_bytes(svc->meta.uid.p, svc->meta.uid.n, h));
	buf_clear(name);
	buf_printf(name, STR_FMT "-%s", STR_ARG(svc->meta.name), suffix);
	return name->failed ? -ENOMEM : 0;
}

/* Where each pod is already: uid to number of the slice, plus 1. */
static int known_places(struct cluster *c, const struct object *svc, bool v6, const struct group *g,
			size_t slices, struct hash *places)
{
	AUTO_BUF name = {0};
	int r = 0;
	for (size_t k = 0; k < slices && !r; k++) {
		r = slice_name(&name, svc, v6, g->key, k);
		const struct object *old =
		    r ? NULL : store_get(c->store, KIND_endpointslice, svc->meta.ns, buf_str(&name));
		for (size_t i = 0; old && i < old->endpointslice->endpoints.len && !r; i++) {
			const struct object_reference *ref =
			    old->endpointslice->endpoints.items[i].target_ref;
			if (ref && ref->uid.n)
				r = hash_set(places, ref->uid, (void *)(uintptr_t)(k + 1), NULL);
		}
	}
	return r;
}

/* A pod stays in the slice where it is, so that no change of another moves it (SV19); new ones go where room
 * is. */
static int fill_bins(const struct group *g, const struct hash *places, struct bins *b)
{
	size_t room = 0;
	for (int turn = 0; turn < 2; turn++)
		VEC_EACH (&g->pods, p) {
			size_t at = (size_t)(uintptr_t)hash_get(places, (*p)->meta.uid);
			if (!at != (turn == 1))
				continue;
			while (!at && room < b->list.len && b->list.items[room].pods.len >= SLICE_MAX)
				room++;
			size_t k = at ? at - 1 : room;
			while (k >= b->list.len)
				if (vec_push(&b->list, (struct group){0}))
					return -ENOMEM;
			if (vec_push(&b->list.items[k].pods, *p))
				return -ENOMEM;
		}
	return 0;
}

static int make_group(struct cluster *c, const struct object *svc, bool v6, const struct group *g,
		      struct keyset *kept)
{
	__attribute__((cleanup(bins_fini))) struct bins bins = {0};
	struct hash places = {0};
	AUTO_BUF name = {0};
	int r = known_places(c, svc, v6, g, g->pods.len / SLICE_MAX + 8, &places);
	if (!r)
		r = fill_bins(g, &places, &bins);
	hash_fini(&places);
	for (size_t k = 0; k < bins.list.len && !r; k++) {
		const struct group *bin = &bins.list.items[k];
		if (!bin->pods.len)
			continue;
		r = slice_name(&name, svc, v6, g->key, k);
		if (!r)
			r = keyset_add(kept, buf_str(&name));
		if (!r)
			r = make_slice(c, svc, v6, bin->pods.items, bin->pods.len, buf_str(&name));
	}
	return r;
}

static int make_family(struct cluster *c, const struct object *svc, bool v6, struct keyset *kept)
{
	AUTO_KEYS names = {0};
	__attribute__((cleanup(groups_fini))) struct groups groups = {0};
	int r = select_pods(c, svc, &names);
	if (!r)
		r = gather(c, svc, v6, &names, &groups);
	VEC_EACH (&groups.list, g)
		if (!r)
			r = make_group(c, svc, v6, g, kept);
	return r;
}

/* Slices of ours that no pod is in any more; after the new ones are there, so that no endpoint is missing
 * between. */
static int drop_stale(struct cluster *c, const struct object *svc, const struct keyset *kept)
{
	struct object_refs slices = {0};
	int r = store_owned_by(c->store, KIND_endpointslice, svc->meta.uid, &slices);
	VEC_EACH (&slices.list, s)
		*s = object_ref(*s);
	VEC_EACH (&slices.list, s) {
		struct object *held = (struct object *)(uintptr_t)*s;
		if (!r && !keyset_has(kept, held->meta.name))
			r = store_delete(c->store, KIND_endpointslice, held->meta.ns, held->meta.name);
		if (r == -ENOENT)
			r = 0;
		object_unref(&held);
	}
	vec_free(&slices.list);
	return r;
}

int endpoints_run(struct cluster *c, const struct object *svc)
{
	const struct service_spec *spec = svc->service->spec;
	struct keyset kept = {0};
	int r = 0;
	bool derive = spec && spec->selector.len && !str_eqz(spec->type, "ExternalName");
	for (size_t i = 0; derive && i < spec->ip_families.len && !r; i++)
		r = make_family(c, svc, str_eqz(spec->ip_families.items[i], "IPv6"), &kept);
	if (!r)
		r = drop_stale(c, svc, &kept);
	keyset_fini(&kept);
	return r;
}
