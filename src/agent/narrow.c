/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node holds every pod, Service and EndpointSlice of the cluster, so each byte of them counts: here stands
 * what of them the planner reads. What compile/ and request.c come to read must be kept here too. Called by
 * the decoder for each object, before it is stored.
 */
#include "agent/narrow.h"

#include "object/position.h"

static void narrow_meta(struct metadata *m)
{
	*m = (struct metadata){.name = m->name,
			       .ns = m->ns,
			       .uid = m->uid,
			       .resource_version = m->resource_version,
			       .labels = m->labels};
}

/* Ports can only be asked for by name or on the node; where none has either, the containers say nothing. */
static void narrow_containers(struct container_list *l)
{
	bool matter = false;

	for (size_t i = 0; i < l->len; i++) {
		struct container *c = &l->items[i];

		*c = (struct container){
		    .name = c->name, .restart_policy = c->restart_policy, .ports = c->ports};
		for (size_t j = 0; j < c->ports.len; j++)
			matter |= c->ports.items[j].name.n != 0 || c->ports.items[j].host_port.v;
	}
	if (!matter)
		*l = (struct container_list){0};
}

/* Tools that are pods are chosen by it (broker/place.h). */
static void narrow_conditions(struct condition_list *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->len && !n; i++)
		if (str_eqz(l->items[i].type, "Ready"))
			l->items[n++] =
			    (struct condition){.type = l->items[i].type, .status = l->items[i].status};
	l->len = n;
}

static void narrow_pod(struct pod *p)
{
	struct pod_spec *spec = p->spec;
	struct pod_status *st = p->status;

	if (spec) {
		*spec = (struct pod_spec){.containers = spec->containers,
					  .init_containers = spec->init_containers,
					  .node_name = spec->node_name,
					  .host_network = spec->host_network};
		narrow_containers(&spec->containers);
		narrow_containers(&spec->init_containers);
	}
	if (!st)
		return;
	*st = (struct pod_status){
	    .phase = st->phase, .pod_ip = st->pod_ip, .pod_ips = st->pod_ips, .conditions = st->conditions};
	narrow_conditions(&st->conditions);
}

static void narrow_slice(struct endpointslice *s)
{
	for (size_t i = 0; i < s->endpoints.len; i++) {
		struct endpoint *e = &s->endpoints.items[i];

		*e = (struct endpoint){.addresses = e->addresses,
				       .conditions = e->conditions,
				       .node_name = e->node_name,
				       .hints = e->hints};
	}
}

/* Of a policy only Weft's own annotations are read: staged, strict; of a Service how it balances; of a slice
 * when its last change was caused. */
static void narrow_annotations(struct strmap *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->len; i++)
		if (str_starts(m->items[i].key, STR("weft.network/")) ||
		    str_eqz(m->items[i].key, "endpoints.kubernetes.io/last-change-trigger-time"))
			m->items[n++] = m->items[i];
	m->len = n;
	if (!n)
		*m = (struct strmap){0};
}

static void narrow_service(struct service *s)
{
	struct service_status *st = s->status;

	if (st)
		*st = (struct service_status){.load_balancer = st->load_balancer};
}

void narrow(struct object *o)
{
	const struct metadata whole = o->meta;
	struct strmap annotations = o->meta.annotations;

	narrow_meta(&o->meta);
	switch (o->desc->kind) {
	case KIND_pod:
		narrow_pod(o->pod);
		o->meta.creation_timestamp = whole.creation_timestamp;
		o->meta.deletion_timestamp = whole.deletion_timestamp;
		/* Their rows come from the object as a whole. */
		position_free(&o->positions);
		break;
	case KIND_service:
		narrow_service(o->service);
		narrow_annotations(&annotations);
		o->meta.annotations = annotations;
		o->meta.uid = (struct str){0};
		break;
	case KIND_endpointslice:
		narrow_slice(o->endpointslice);
		narrow_annotations(&annotations);
		o->meta.annotations = annotations;
		o->meta.uid = (struct str){0};
		position_free(&o->positions);
		break;
	case KIND_networkpolicy:
	case KIND_clusternetworkpolicy:
		narrow_annotations(&annotations);
		o->meta.annotations = annotations;
		break;
	default:
		break;
	}
}
