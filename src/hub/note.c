/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an event of the store makes dirty, and the counts and indexes that follow objects: nodes' loads, label
 * indexes, addresses in use. Called synchronously by the store; never writes to it. See note.h.
 */
#include "hub/note.h"

#include "hub/balancer.h"
#include "hub/copy.h"
#include "hub/nodelife.h"
#include "hub/podmake.h"
#include "hub/podstatus.h"
#include "hub/schedule.h"

static void must(struct cluster *c, int r)
{
	if (r)
		c->failed = true;
}

void note_workload(struct cluster *c, const struct object *o)
{
	AUTO_BUF b = {0};
	buf_printf(&b, "%s/" STR_FMT, o->desc->name, STR_ARG(object_key(o)));
	must(c, b.failed || keyset_add(&c->workloads, buf_str(&b)));
}

void note_later(struct cluster *c, const struct object *o)
{
	AUTO_BUF b = {0};
	buf_printf(&b, "%s/" STR_FMT, o->desc->name, STR_ARG(object_key(o)));
	must(c, b.failed || keyset_add(&c->later, buf_str(&b)));
}

static void note_owner(struct cluster *c, const struct object *o)
{
	const struct owner_reference *ref = object_controller(o);
	if (!ref)
		return;
	AUTO_BUF b = {0};
	buf_printf(&b, STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(ref->kind), STR_ARG(o->meta.ns),
		   STR_ARG(ref->name));
	must(c, b.failed || keyset_add(&c->workloads, buf_str(&b)));
}

static void count(struct cluster *c, struct hash *t, struct str key, int by)
{
	uintptr_t n = (uintptr_t)hash_get(t, key);
	if (by < 0 && n <= 1)
		hash_del(t, key);
	else
		must(c, hash_set(t, key, (void *)(n + (uintptr_t)(intptr_t)by), NULL));
}

static void load_pod(struct cluster *c, const struct object *o, int by)
{
	const struct pod_spec *spec = o->pod->spec;
	if (!spec || !spec->node_name.n || pod_is_finished(o))
		return;
	struct node_load *load = hash_get(&c->loads, spec->node_name);
	if (!load) {
		load = calloc(1, sizeof(*load));
		if (!load || hash_set(&c->loads, spec->node_name, load, NULL)) {
			free(load);
			c->failed = true;
			return;
		}
	}
	load->pods += (size_t)(ptrdiff_t)by;
	const struct owner_reference *owner = object_controller(o);
	if (owner)
		count(c, &load->owners, owner->uid, by);
	const struct container_list *lists[] = {&spec->containers, &spec->init_containers};
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < lists[k]->len; i++)
			for (size_t j = 0; j < lists[k]->items[i].ports.len; j++) {
				const struct container_port *p = &lists[k]->items[i].ports.items[j];
				AUTO_BUF b = {0};
				if (p->host_port.v)
					count(c, &load->host_ports, schedule_port_key(&b, p), by);
			}
}

/* Services whose selector names one of these labels and matches them all. */
static void note_services_of(struct cluster *c, const struct object *pod)
{
	for (size_t i = 0; i < pod->meta.labels.len; i++) {
		const struct keyset *names =
		    labelindex_get(&c->services_by, pod->meta.ns, &pod->meta.labels.items[i]);
		if (!names)
			continue;
		HASH_EACH (&names->set, slot) {
			const struct object *svc = store_get(c->store, KIND_service, pod->meta.ns, slot->key);
			if (svc && svc->service->spec &&
			    strmap_contains(&pod->meta.labels, &svc->service->spec->selector))
				must(c, keyset_add(&c->services, object_key(svc)));
		}
	}
}

static void index_pod(struct cluster *c, const struct object *o, bool in)
{
	for (size_t i = 0; i < o->meta.labels.len; i++) {
		const struct strpair *pair = &o->meta.labels.items[i];
		if (in)
			must(c, labelindex_add(&c->pods_by, o->meta.ns, pair, o->meta.name));
		else
			labelindex_del(&c->pods_by, o->meta.ns, pair, o->meta.name);
	}
}

static void note_pod(struct cluster *c, const struct object *was, const struct object *now)
{
	const struct object *o = now ? now : was;
	bool relabelled = !was || !now || !map_same(&was->meta.labels, &now->meta.labels);
	ipam_pod_note(c->ipam, was, now);
	if (was) {
		load_pod(c, was, -1);
		note_services_of(c, was);
		if (relabelled)
			index_pod(c, was, false);
	}
	if (now) {
		load_pod(c, now, 1);
		if (relabelled) {
			index_pod(c, now, true);
			note_services_of(c, now);
		}
	}
	note_owner(c, o);
	const struct owner_reference *ref = now ? NULL : object_controller(o);
	/* A Deployment that recreates waits for the last old pod. */
	const struct object *set = ref && str_eqz(ref->kind, "ReplicaSet")
				       ? store_get(c->store, KIND_replicaset, o->meta.ns, ref->name)
				       : NULL;
	if (set)
		note_owner(c, set);
	const struct pod_status *st = now ? now->pod->status : NULL;
	bool placed = now && (!now->pod->spec || (now->pod->spec->node_name.n && st && st->pod_ips.len));
	if (now && !placed && pod_is_active(now)) {
		if (!keyset_has(&c->waiting, object_key(o)))
			must(c, keyset_add(&c->pending, object_key(o)));
	} else {
		keyset_del(&c->pending, object_key(o));
		keyset_del(&c->waiting, object_key(o));
	}
	if (!now)
		podstatus_forget(c, was);
	if (!now || pod_is_finished(now))
		c->retry = true;
}

static void index_service(struct cluster *c, const struct object *o, bool in)
{
	const struct service_spec *spec = o->service->spec;
	if (!spec || !spec->selector.len)
		return;
	if (in)
		must(c, labelindex_add(&c->services_by, o->meta.ns, &spec->selector.items[0], o->meta.name));
	else
		labelindex_del(&c->services_by, o->meta.ns, &spec->selector.items[0], o->meta.name);
}

static bool has_ingress(const struct object *svc)
{
	const struct service_status *st = svc->service->status;
	return st && st->load_balancer && st->load_balancer->ingress.len;
}

static void note_balancers(struct cluster *c)
{
	struct object_refs all = {0};
	must(c, store_list(c->store, KIND_service, STR(""), &all));
	VEC_EACH (&all.list, o)
		if (balancer_is_ours(*o))
			must(c, keyset_add(&c->services, object_key(*o)));
	vec_free(&all.list);
}

static void note_service(struct cluster *c, const struct object *was, const struct object *now)
{
	ipam_service_note(c->ipam, was, now);
	if ((was && balancer_is_ours(was)) || (now && balancer_is_ours(now))) {
		c->pools = true;
		/* What one gives back another may wait for. */
		if (was && has_ingress(was) && !(now && has_ingress(now)))
			note_balancers(c);
	}
	if (was)
		index_service(c, was, false);
	if (now) {
		index_service(c, now, true);
		must(c, keyset_add(&c->services, object_key(now)));
	}
}

static bool zone_same(const struct object *a, const struct object *b)
{
	const struct str *x = strmap_get(&a->meta.labels, STR("topology.kubernetes.io/zone"));
	const struct str *y = strmap_get(&b->meta.labels, STR("topology.kubernetes.io/zone"));
	return !x == !y && (!x || str_eq(*x, *y));
}

static void note_node(struct cluster *c, const struct object *was, const struct object *now)
{
	const struct object *o = now ? now : was;
	struct object_refs pods = {0};
	ipam_node_note(c->ipam, was, now);
	c->daemons = c->retry = true;
	must(c, store_pods_of_node(c->store, o->meta.name, &pods));
	bool told = was && now && nodelife_is_lost(was) != nodelife_is_lost(now);
	bool moved = !was || !now || !zone_same(was, now);
	VEC_EACH (&pods.list, p) {
		if (told)
			must(c, keyset_add(&c->restate, object_key(*p)));
		if (moved)
			note_services_of(c, *p);
		if (!now)
			must(c, keyset_add(&c->lost, object_key(*p)));
		else if (!was)
			ipam_pod_note(c->ipam, NULL, *p);
	}
	vec_free(&pods.list);
}

static void note_slice(struct cluster *c, const struct object *was)
{
	const struct str *svc = strmap_get(&was->meta.labels, STR("kubernetes.io/service-name"));
	if (!svc || !object_controller(was))
		return;
	AUTO_BUF b = {0};
	buf_printf(&b, STR_FMT "/" STR_FMT, STR_ARG(was->meta.ns), STR_ARG(*svc));
	must(c, keyset_add(&c->services, buf_str(&b)));
}

void note_event(void *ctx, const struct event *e)
{
	struct cluster *c = ctx;
	const struct object *now = e->type == EVENT_DELETED ? NULL : e->object;
	const struct object *was = e->type == EVENT_DELETED ? e->object : e->old;
	switch (e->object->desc->kind) {
	case KIND_pod:
		note_pod(c, was, now);
		break;
	case KIND_service:
		note_service(c, was, now);
		break;
	case KIND_node:
		note_node(c, was, now);
		break;
	case KIND_addresspool:
		c->pools = true;
		if (!was || !now || !object_same_spec(was, now))
			note_balancers(c);
		break;
	case KIND_endpointslice:
		if (!now)
			note_slice(c, was);
		break;
	case KIND_deployment:
	case KIND_replicaset:
	case KIND_statefulset:
	case KIND_daemonset:
	case KIND_job:
		if (now)
			note_workload(c, now);
		note_owner(c, e->object);
		break;
	default:
		break;
	}
	if (!now)
		must(c, keyset_add(&c->orphans, was->meta.uid));
}
