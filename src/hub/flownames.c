/* SPDX-License-Identifier: Apache-2.0 */
/* Names for flows: see flownames.h. */
#include "hub/flownames.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/own.h"
#include "hub/cluster.h"

enum { LABELS_MAX = 64 };

struct place_key { /* where an endpoint listens */
	struct addr addr;
	uint16_t port;
	uint8_t proto, pad;
};

struct claim {				/* a Service with slices that name the place */
	const struct identity *service; /* a reference */
	unsigned slices;
};

struct tenure { /* until the next one of its place */
	int64_t from;
	const struct identity *service; /* a reference; NULL: none, or several */
};

struct place {
	struct place_key key;
	VEC(struct claim) claims;   /* now */
	VEC(struct tenure) tenures; /* by time */
};

struct flow_names {
	struct store *store;
	struct subscription *sub;
	struct identities *ids;
	const struct identity *outside, *unknown; /* references */
	struct hash places;
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

/* What controls the pod, or what controls its ReplicaSet. */
static void set_workload(const struct flow_names *f, const struct object *pod, struct identity *out)
{
	const struct owner_reference *owner = object_controller(pod);
	const struct object *set;

	if (!owner)
		return;
	out->workload_kind = owner->kind;
	out->workload = owner->name;
	set = str_eqz(owner->kind, "ReplicaSet")
		  ? store_get(f->store, KIND_replicaset, pod->meta.ns, owner->name)
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

static bool pod_is_over(const struct object *o)
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
		set_workload(f, o, &like);
		if (o->pod->spec)
			like.node = o->pod->spec->node_name;
		gone = gone || pod_is_over(o);
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

/* --- endpoints --------------------------------------------------------------------------------------- */

static struct str place_str(const struct place_key *k)
{
	return (struct str){(const char *)k, sizeof(*k)};
}

static struct place *place_get(struct flow_names *f, const struct place_key *k)
{
	struct place *p = hash_get(&f->places, place_str(k));

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p || hash_set(&f->places, place_str(k), p, NULL)) {
		free(p);
		return NULL;
	}
	p->key = *k;
	return p;
}

static void place_free(struct flow_names *f, struct place *p)
{
	VEC_EACH (&p->claims, c)
		identity_unref(f->ids, &c->service);
	VEC_EACH (&p->tenures, t)
		identity_unref(f->ids, &t->service);
	vec_free(&p->claims);
	vec_free(&p->tenures);
	free(p);
}

static void place_claim(struct flow_names *f, struct place *p, const struct identity *service, bool claims)
{
	VEC_EACH (&p->claims, c)
		if (c->service == service) {
			c->slices += claims ? 1 : -1u;
			if (c->slices)
				return;
			identity_unref(f->ids, &c->service);
			vec_remove(&p->claims, (size_t)(c - p->claims.items));
			return;
		}
	if (claims && !vec_push(&p->claims, (struct claim){service, 1}))
		identity_ref(service);
}

static void place_settle(struct place *p, int64_t at)
{
	const struct identity *now = p->claims.len == 1 ? p->claims.items[0].service : NULL;
	const struct tenure *last = p->tenures.len ? &p->tenures.items[p->tenures.len - 1] : NULL;

	if (last ? last->service == now : !now)
		return;
	if (last && at < last->from)
		at = last->from;
	if (!vec_push(&p->tenures, (struct tenure){at, now}))
		identity_ref(now);
}

static const struct identity *place_at(const struct flow_names *f, const struct place_key *k, int64_t at)
{
	const struct place *p = hash_get(&f->places, place_str(k));

	for (size_t i = p ? p->tenures.len : 0; i--;)
		if (p->tenures.items[i].from <= at)
			return p->tenures.items[i].service;
	return NULL;
}

static uint8_t protocol_number(struct str protocol)
{
	return str_eqz(protocol, "UDP")	   ? IPPROTO_UDP
	       : str_eqz(protocol, "SCTP") ? IPPROTO_SCTP
					   : IPPROTO_TCP;
}

enum slice_step { SLICE_CLAIM, SLICE_LEAVE, SLICE_SETTLE };

static void slice_place(struct flow_names *f, const struct endpoint *e, const struct endpoint_port *port,
			const struct identity *service, enum slice_step step, int64_t at)
{
	struct place_key key = {.port = (uint16_t)port->port.v, .proto = protocol_number(port->protocol)};
	struct place *p;

	if (!e->addresses.len || addr_parse(e->addresses.items[0], &key.addr))
		return;
	p = place_get(f, &key);
	if (!p)
		return; /* out of memory: it stays without a name */
	if (step == SLICE_SETTLE)
		place_settle(p, at);
	else
		place_claim(f, p, service, step == SLICE_CLAIM);
}

static void slice_each(struct flow_names *f, const struct object *o, enum slice_step step, int64_t at)
{
	const struct endpointslice *es = o->endpointslice;
	const struct str *name = strmap_get(&o->meta.labels, STR("kubernetes.io/service-name"));
	struct identity like = {.kind = IDENTITY_SERVICE, .ns = o->meta.ns};
	const struct identity *service;

	if (!name)
		return;
	like.name = *name;
	service = identity_get(f->ids, &like);
	for (size_t i = 0; service && i < es->endpoints.len; i++)
		for (size_t j = 0; j < es->ports.len; j++)
			slice_place(f, &es->endpoints.items[i], &es->ports.items[j], service, step, at);
	identity_unref(f->ids, &service);
}

/* Between the old and the new state of a slice nobody is let go. */
static void note_slice(struct flow_names *f, const struct object *now, const struct object *old, int64_t at)
{
	if (now)
		slice_each(f, now, SLICE_CLAIM, at);
	if (old)
		slice_each(f, old, SLICE_LEAVE, at);
	if (now)
		slice_each(f, now, SLICE_SETTLE, at);
	if (old)
		slice_each(f, old, SLICE_SETTLE, at);
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
	if (e->object->desc->kind == KIND_endpointslice)
		note_slice(f, gone ? NULL : e->object, gone ? e->object : e->old, at);
	else
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
	struct place_key place = {.addr = r->to.addr, .port = r->to.port, .proto = r->proto};

	r->from.who = who_at(f, &r->from.addr, r->first);
	r->to.who = who_at(f, &r->to.addr, r->first);
	r->service = place_at(f, &place, r->first);
	r->again = (r->kind == RECORD_FLOW || r->kind == RECORD_DNS) && r->from.who->kind == IDENTITY_POD &&
		   r->from.who->node.n && !str_eqz(r->from.who->node, r->node);
}

/* --- life -------------------------------------------------------------------------------------------- */

static void shorten(struct flow_names *f, struct place *p, int64_t before)
{
	size_t gone = 0;

	while (gone + 1 < p->tenures.len && p->tenures.items[gone + 1].from <= before)
		gone++;
	for (size_t i = 0; i < gone; i++)
		identity_unref(f->ids, &p->tenures.items[i].service);
	memmove(p->tenures.items, p->tenures.items + gone,
		(p->tenures.len - gone) * sizeof(*p->tenures.items));
	p->tenures.len -= gone;
}

void flow_names_forget(struct flow_names *f, int64_t before)
{
	VEC(struct place *) empty = {};

	identities_forget(f->ids, before);
	HASH_EACH (&f->places, slot) {
		struct place *p = slot->value;

		shorten(f, p, before);
		if (!p->claims.len &&
		    (!p->tenures.len || (p->tenures.len == 1 && !p->tenures.items[0].service)) &&
		    vec_push(&empty, p))
			break; /* next time */
	}
	VEC_EACH (&empty, p) {
		hash_del(&f->places, place_str(&(*p)->key));
		place_free(f, *p);
	}
	vec_free(&empty);
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
			if (kinds[k] == KIND_endpointslice)
				note_slice(f, *o, NULL, since_when(*o, now));
			else
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
	r = f->outside && f->unknown ? note_all(f) : -ENOMEM;
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
	HASH_EACH (&f->places, slot)
		place_free(f, slot->value);
	hash_fini(&f->places);
	identity_unref(f->ids, &f->outside);
	identity_unref(f->ids, &f->unknown);
	vec_free(&f->ranges);
	free(TAKE(*pf));
}
