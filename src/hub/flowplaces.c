/* SPDX-License-Identifier: Apache-2.0 */
/* Places of Services, over time: see flowplaces.h. */
#include "hub/flowplaces.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/own.h"

struct place_key {
	struct addr addr; /* zero: of every node */
	uint16_t port;
	uint8_t proto, pad;
};

struct face {				/* as what a Service is called there */
	const struct identity *service; /* a reference; NULL: none, or several */
	struct addr via;		/* its own address and port; zero: it has none */
	uint16_t via_port;
};

struct claim {
	struct face face;
	unsigned holders; /* the Service itself, or slices that name the place */
};

struct tenure { /* until the next one of its place */
	int64_t from;
	struct face face;
};

struct place {
	struct place_key key;
	VEC(struct claim) claims;   /* now */
	VEC(struct tenure) tenures; /* by time */
};

struct flow_places {
	struct store *store;
	struct identities *ids;
	struct hash places;
};

enum step { CLAIM, LEAVE, SETTLE };

static struct str key_str(const struct place_key *k)
{
	return (struct str){(const char *)k, sizeof(*k)};
}

static struct place *place_get(struct flow_places *f, const struct place_key *k)
{
	struct place *p = hash_get(&f->places, key_str(k));

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p || hash_set(&f->places, key_str(k), p, NULL)) {
		free(p);
		return NULL;
	}
	p->key = *k;
	return p;
}

static void place_free(struct flow_places *f, struct place *p)
{
	VEC_EACH (&p->claims, c)
		identity_unref(f->ids, &c->face.service);
	VEC_EACH (&p->tenures, t)
		identity_unref(f->ids, &t->face.service);
	vec_free(&p->claims);
	vec_free(&p->tenures);
	free(p);
}

static void place_claim(struct flow_places *f, struct place *p, const struct face *face, bool claims)
{
	VEC_EACH (&p->claims, c)
		if (c->face.service == face->service) {
			if (claims) {
				c->face.via = face->via;
				c->face.via_port = face->via_port;
			}
			c->holders += claims ? 1 : -1u;
			if (c->holders)
				return;
			identity_unref(f->ids, &c->face.service);
			vec_remove(&p->claims, (size_t)(c - p->claims.items));
			return;
		}
	if (claims && !vec_push(&p->claims, (struct claim){*face, 1}))
		identity_ref(face->service);
}

static bool face_eq(const struct face *a, const struct face *b)
{
	return a->service == b->service && addr_eq(&a->via, &b->via) && a->via_port == b->via_port;
}

static void place_settle(struct place *p, int64_t at)
{
	struct face now = p->claims.len == 1 ? p->claims.items[0].face : (struct face){0};
	const struct tenure *last = p->tenures.len ? &p->tenures.items[p->tenures.len - 1] : NULL;

	if (last ? face_eq(&last->face, &now) : !now.service)
		return;
	if (last && at < last->from)
		at = last->from;
	if (!vec_push(&p->tenures, (struct tenure){at, now}))
		identity_ref(now.service);
}

static const struct face *place_at(const struct flow_places *f, const struct place_key *k, int64_t at)
{
	const struct place *p = hash_get(&f->places, key_str(k));

	for (size_t i = p ? p->tenures.len : 0; i--;)
		if (p->tenures.items[i].from <= at)
			return p->tenures.items[i].face.service ? &p->tenures.items[i].face : NULL;
	return NULL;
}

static void take_step(struct flow_places *f, const struct place_key *key, const struct face *face,
		      enum step step, int64_t at)
{
	struct place *p = place_get(f, key);

	if (!p)
		return; /* out of memory: it stays without a name */
	if (step == SETTLE)
		place_settle(p, at);
	else
		place_claim(f, p, face, step == CLAIM);
}

static uint8_t protocol_number(struct str protocol)
{
	return str_eqz(protocol, "UDP")	   ? IPPROTO_UDP
	       : str_eqz(protocol, "SCTP") ? IPPROTO_SCTP
					   : IPPROTO_TCP;
}

/* --- endpoints --------------------------------------------------------------------------------------- */

/* The Service's own address of the endpoint's family, and its port of that name. */
static void set_via(const struct object *service, const struct addr *endpoint, struct str port_name,
		    struct face *face)
{
	const struct service_spec *spec = service ? service->service->spec : NULL;

	for (size_t i = 0; spec && i < spec->cluster_ips.len; i++) {
		struct addr a;

		if (!addr_parse(spec->cluster_ips.items[i], &a) && addr_is4(&a) == addr_is4(endpoint))
			face->via = a;
	}
	for (size_t i = 0; spec && !addr_is_zero(&face->via) && i < spec->ports.len; i++)
		if (str_eq(spec->ports.items[i].name, port_name))
			face->via_port = (uint16_t)spec->ports.items[i].port.v;
}

static void slice_step(struct flow_places *f, const struct object *o, enum step step, int64_t at)
{
	const struct endpointslice *es = o->endpointslice;
	const struct str *name = strmap_get(&o->meta.labels, STR("kubernetes.io/service-name"));
	struct identity like = {.kind = IDENTITY_SERVICE, .ns = o->meta.ns};
	const struct object *service;
	const struct identity *who;

	if (!name)
		return;
	like.name = *name;
	who = identity_get(f->ids, &like);
	service = store_get(f->store, KIND_service, o->meta.ns, *name);
	for (size_t i = 0; who && i < es->endpoints.len; i++)
		for (size_t j = 0; j < es->ports.len; j++) {
			const struct endpoint *e = &es->endpoints.items[i];
			const struct endpoint_port *port = &es->ports.items[j];
			struct place_key key = {.port = (uint16_t)port->port.v,
						.proto = protocol_number(port->protocol)};
			struct face face = {.service = who};

			if (!e->addresses.len || addr_parse(e->addresses.items[0], &key.addr))
				continue;
			set_via(service, &key.addr, port->name, &face);
			take_step(f, &key, &face, step, at);
		}
	identity_unref(f->ids, &who);
}

/* --- the Services themselves ------------------------------------------------------------------------- */

static void service_address(struct flow_places *f, struct str text, struct place_key *key, struct face *face,
			    enum step step, int64_t at)
{
	if (addr_parse(text, &key->addr))
		return;
	face->via = key->addr;
	face->via_port = key->port;
	take_step(f, key, face, step, at);
}

static void service_addresses(struct flow_places *f, const struct strlist *addresses, struct place_key *key,
			      struct face *face, enum step step, int64_t at)
{
	for (size_t i = 0; i < addresses->len; i++)
		service_address(f, addresses->items[i], key, face, step, at);
}

static void balancer_addresses(struct flow_places *f, const struct service_status *s, struct place_key *key,
			       struct face *face, enum step step, int64_t at)
{
	const struct balancer_status *b = s ? s->load_balancer : NULL;

	for (size_t i = 0; b && i < b->ingress.len; i++)
		service_address(f, b->ingress.items[i].ip, key, face, step, at);
}

static void service_step(struct flow_places *f, const struct object *o, enum step step, int64_t at)
{
	const struct service_spec *spec = o->service->spec;
	struct identity like = {.kind = IDENTITY_SERVICE, .ns = o->meta.ns, .name = o->meta.name};
	const struct identity *who = identity_get(f->ids, &like);

	for (size_t i = 0; who && spec && i < spec->ports.len; i++) {
		const struct service_port *port = &spec->ports.items[i];
		struct place_key key = {.port = (uint16_t)port->port.v,
					.proto = protocol_number(port->protocol)};
		struct face face = {.service = who};

		service_addresses(f, &spec->cluster_ips, &key, &face, step, at);
		service_addresses(f, &spec->external_ips, &key, &face, step, at);
		balancer_addresses(f, o->service->status, &key, &face, step, at);
		if (!port->node_port.v)
			continue;
		key.addr = (struct addr){0};
		key.port = (uint16_t)port->node_port.v;
		face.via = (struct addr){0};
		face.via_port = 0;
		take_step(f, &key, &face, step, at);
	}
	identity_unref(f->ids, &who);
}

/* --- in and out -------------------------------------------------------------------------------------- */

/* Between the old and the new state nobody is let go. */
void flow_places_note(struct flow_places *f, enum kind kind, const struct object *now,
		      const struct object *old, int64_t at)
{
	void (*step)(struct flow_places *, const struct object *, enum step, int64_t) =
	    kind == KIND_service ? service_step : slice_step;

	if (now)
		step(f, now, CLAIM, at);
	if (old)
		step(f, old, LEAVE, at);
	if (now)
		step(f, now, SETTLE, at);
	if (old)
		step(f, old, SETTLE, at);
}

void flow_places_set(const struct flow_places *f, struct record *r)
{
	struct place_key key = {.addr = r->to.addr, .port = r->to.port, .proto = r->proto};
	const struct face *face = place_at(f, &key, r->first);

	if (!face && r->to.who->kind == IDENTITY_NODE) {
		key.addr = (struct addr){0};
		face = place_at(f, &key, r->first);
	}
	if (!face)
		return;
	r->service = face->service;
	r->via = face->via;
	r->via_port = face->via_port;
	if (addr_is_zero(&r->via)) { /* called at a node's port */
		r->via = r->to.addr;
		r->via_port = r->to.port;
	}
}

static void shorten(struct flow_places *f, struct place *p, int64_t before)
{
	size_t gone = 0;

	while (gone + 1 < p->tenures.len && p->tenures.items[gone + 1].from <= before)
		gone++;
	for (size_t i = 0; i < gone; i++)
		identity_unref(f->ids, &p->tenures.items[i].face.service);
	memmove(p->tenures.items, p->tenures.items + gone,
		(p->tenures.len - gone) * sizeof(*p->tenures.items));
	p->tenures.len -= gone;
}

void flow_places_forget(struct flow_places *f, int64_t before)
{
	VEC(struct place *) empty = {};

	HASH_EACH (&f->places, slot) {
		struct place *p = slot->value;

		shorten(f, p, before);
		if (!p->claims.len &&
		    (!p->tenures.len || (p->tenures.len == 1 && !p->tenures.items[0].face.service)) &&
		    vec_push(&empty, p))
			break; /* next time */
	}
	VEC_EACH (&empty, p) {
		hash_del(&f->places, key_str(&(*p)->key));
		place_free(f, *p);
	}
	vec_free(&empty);
}

int flow_places_new(struct flow_places **out, struct store *s, struct identities *ids)
{
	struct flow_places *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->store = s;
	f->ids = ids;
	*out = f;
	return 0;
}

void flow_places_free(struct flow_places **pf)
{
	struct flow_places *f = *pf;

	if (!f)
		return;
	HASH_EACH (&f->places, slot)
		place_free(f, slot->value);
	hash_fini(&f->places);
	free(TAKE(*pf));
}
