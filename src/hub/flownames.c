/* SPDX-License-Identifier: Apache-2.0 */
/* Names for flows: see flownames.h. */
#include "hub/flownames.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/own.h"
#include "hub/cluster.h"
#include "hub/flowplaces.h"

enum { LABELS_MAX = 64 };

struct flow_names {
	struct store *store;
	struct subscription *sub;
	struct identities *ids;
	const struct identity *outside, *unknown; /* references */
	struct flow_places *places;
	VEC(struct prefix) ranges; /* of the nodes' pods */
	bool ranges_stale;
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- pods, nodes, Services -------------------------------------------------------------------------- */

void flow_names_workload(const struct store *s, const struct object *pod, struct identity *out)
{
	const struct owner_reference *owner = object_controller(pod);
	const struct object *set;

	if (!owner)
		return;
	out->workload_kind = owner->kind;
	out->workload = owner->name;
	set = str_eqz(owner->kind, "ReplicaSet") ? store_get(s, KIND_replicaset, pod->meta.ns, owner->name)
						 : NULL;
	owner = set ? object_controller(set) : NULL;
	if (owner) {
		out->workload_kind = owner->kind;
		out->workload = owner->name;
	}
}

static void own_text(struct flow_names *f, struct str text, const struct identity *who, int64_t at)
{
	struct addr a;

	if (!addr_parse(text, &a))
		identities_set(f->ids, &a, who, at);
}

/* The address may have another owner by now: then a late word of the old one changes nothing. */
static void disown_text(struct flow_names *f, struct str text, struct str ns, struct str name, int64_t at)
{
	const struct identity *who;
	struct addr a;

	if (addr_parse(text, &a))
		return;
	who = identities_at(f->ids, &a, INT64_MAX);
	if (who && str_eq(who->ns, ns) && str_eq(who->name, name))
		identities_set(f->ids, &a, NULL, at);
}

static void pod_addresses(struct flow_names *f, const struct object *o, const struct identity *who,
			  int64_t at)
{
	const struct pod_status *status = o->pod->status;

	if (!status || (o->pod->spec && o->pod->spec->host_network.v))
		return;
	for (size_t i = 0; i < status->pod_ips.len; i++)
		if (who)
			own_text(f, status->pod_ips.items[i].ip, who, at);
		else
			disown_text(f, status->pod_ips.items[i].ip, o->meta.ns, o->meta.name, at);
}

static void node_addresses(struct flow_names *f, const struct object *o, const struct identity *who,
			   int64_t at)
{
	const struct node_status *status = o->node->status;

	for (size_t i = 0; status && i < status->addresses.len; i++)
		if (who)
			own_text(f, status->addresses.items[i].address, who, at);
		else
			disown_text(f, status->addresses.items[i].address, STR(""), o->meta.name, at);
}

static void service_addresses(struct flow_names *f, const struct object *o, const struct identity *who,
			      int64_t at)
{
	const struct service_spec *spec = o->service->spec;

	for (size_t i = 0; spec && i < spec->cluster_ips.len; i++)
		if (who)
			own_text(f, spec->cluster_ips.items[i], who, at);
		else
			disown_text(f, spec->cluster_ips.items[i], o->meta.ns, o->meta.name, at);
}

bool flow_names_pod_is_over(const struct object *o)
{
	const struct pod_status *s = o->pod->status;

	return s && (str_eqz(s->phase, "Succeeded") || str_eqz(s->phase, "Failed"));
}

static void note_object(struct flow_names *f, const struct object *o, bool gone, int64_t at)
{
	struct identity like = {.ns = o->meta.ns, .name = o->meta.name};
	struct str labels[2 * LABELS_MAX];
	const struct identity *who;

	switch (o->desc->kind) {
	case KIND_pod:
		like.kind = IDENTITY_POD;
		flow_names_workload(f->store, o, &like);
		if (o->pod->spec)
			like.node = o->pod->spec->node_name;
		gone = gone || flow_names_pod_is_over(o);
		break;
	case KIND_node:
		like.kind = IDENTITY_NODE;
		break;
	case KIND_service:
		like.kind = IDENTITY_SERVICE;
		break;
	default:
		return;
	}
	like.labels = labels;
	for (size_t i = 0; i < o->meta.labels.len && like.labels_len < LABELS_MAX; i++) {
		labels[2 * like.labels_len] = o->meta.labels.items[i].key;
		labels[2 * like.labels_len++ + 1] = o->meta.labels.items[i].value;
	}
	who = gone ? NULL : identity_get(f->ids, &like);
	if (!gone && !who)
		return; /* out of memory: it stays without a name */
	if (like.kind == IDENTITY_POD)
		pod_addresses(f, o, who, at);
	else if (like.kind == IDENTITY_NODE)
		node_addresses(f, o, who, at);
	else
		service_addresses(f, o, who, at);
	identity_unref(f->ids, &who);
}

/* --- names ------------------------------------------------------------------------------------------- */

/* An object that comes with its addresses, at the hub's start, has had them since it was made. */
static int64_t since_when(const struct object *o, int64_t now)
{
	AUTO_BUF text = {};
	int64_t seconds;

	buf_adds(&text, o->meta.creation_timestamp);
	buf_addc(&text, 0);
	if (text.failed || clock_parse(text.p, &seconds) || seconds * 1000000000 > now)
		return now;
	return seconds * 1000000000;
}

static void on_event(void *ctx, const struct event *e)
{
	struct flow_names *f = ctx;
	bool gone = e->type == EVENT_DELETED;
	int64_t at = now_ns();

	f->ranges_stale = f->ranges_stale || e->object->desc->kind == KIND_node;
	if (e->type == EVENT_ADDED)
		at = since_when(e->object, at);
	if (e->object->desc->kind == KIND_endpointslice || e->object->desc->kind == KIND_service)
		flow_places_note(f->places, e->object->desc->kind, gone ? NULL : e->object,
				 gone ? e->object : e->old, at);
	if (e->object->desc->kind != KIND_endpointslice)
		note_object(f, e->object, gone, at);
}

static void read_ranges(struct flow_names *f)
{
	struct object_refs nodes = {0};

	if (store_list(f->store, KIND_node, STR(""), &nodes))
		return;
	f->ranges.len = 0;
	f->ranges_stale = false;
	VEC_EACH (&nodes.list, n) {
		const struct node_spec *spec = (*n)->node->spec;
		struct prefix p;

		for (size_t i = 0; spec && i < spec->pod_cidrs.len; i++)
			if (!prefix_parse(spec->pod_cidrs.items[i], &p) && vec_push(&f->ranges, p))
				f->ranges_stale = true;
	}
	vec_free(&nodes.list);
}

/* In a pod range of a node, but of no pod: unknown, not outside. */
static bool is_inside(struct flow_names *f, const struct addr *a)
{
	if (f->ranges_stale)
		read_ranges(f);
	VEC_EACH (&f->ranges, p)
		if (prefix_has(p, a))
			return true;
	return false;
}

static const struct identity *who_at(struct flow_names *f, const struct addr *a, int64_t at)
{
	const struct identity *who = identities_at(f->ids, a, at);

	return who ? who : is_inside(f, a) ? f->unknown : f->outside;
}

void flow_names_set(struct flow_names *f, struct record *r)
{
	r->from.who = who_at(f, &r->from.addr, r->first);
	r->to.who = who_at(f, &r->to.addr, r->first);
	flow_places_set(f->places, r);
	r->again = (r->kind == RECORD_FLOW || r->kind == RECORD_DNS) && r->from.who->kind == IDENTITY_POD &&
		   r->from.who->node.n && !str_eqz(r->from.who->node, r->node);
}

/* --- life -------------------------------------------------------------------------------------------- */

void flow_names_forget(struct flow_names *f, int64_t before)
{
	identities_forget(f->ids, before);
	flow_places_forget(f->places, before);
}

static int note_all(struct flow_names *f)
{
	static const enum kind kinds[] = {KIND_node, KIND_service, KIND_endpointslice, KIND_pod};
	int64_t now = now_ns();

	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		struct object_refs list = {0};

		if (store_list(f->store, kinds[k], STR(""), &list))
			return -ENOMEM;
		VEC_EACH (&list.list, o) {
			if (kinds[k] == KIND_endpointslice || kinds[k] == KIND_service)
				flow_places_note(f->places, kinds[k], *o, NULL, since_when(*o, now));
			if (kinds[k] != KIND_endpointslice)
				note_object(f, *o, false, since_when(*o, now));
		}
		vec_free(&list.list);
	}
	return 0;
}

int flow_names_new(struct flow_names **out, struct store *s, struct identities *ids)
{
	static const struct identity outside = {.kind = IDENTITY_OUTSIDE},
				     unknown = {.kind = IDENTITY_UNKNOWN};
	struct flow_names *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->store = s;
	f->ids = ids;
	f->ranges_stale = true;
	f->outside = identity_get(ids, &outside);
	f->unknown = identity_get(ids, &unknown);
	r = f->outside && f->unknown ? flow_places_new(&f->places, s, ids) : -ENOMEM;
	if (!r)
		r = note_all(f);
	if (!r)
		r = store_subscribe(s, on_event, f, &f->sub);
	if (r)
		flow_names_free(&f);
	else
		*out = f;
	return r;
}

void flow_names_free(struct flow_names **pf)
{
	struct flow_names *f = *pf;

	if (!f)
		return;
	store_unsubscribe(&f->sub);
	flow_places_free(&f->places);
	identity_unref(f->ids, &f->outside);
	identity_unref(f->ids, &f->unknown);
	vec_free(&f->ranges);
	free(TAKE(*pf));
}
