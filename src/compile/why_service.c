/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Service's address becomes: the row in force for caller and port, the backends that it may choose,
 * and why it has none. Says what the rows say; the words come from the object. Called by why.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "compile/service.h"
#include "compile/why_state.h"

static bool among(const struct strlist *l, const struct addr *a)
{
	struct addr x;
	for (size_t i = 0; i < l->len; i++)
		if (service_address(l->items[i], &x) && addr_eq(&x, a))
			return true;
	return false;
}

static bool of_balancer(const struct object *o, const struct addr *a)
{
	const struct service_status *st = o->service->status;
	struct addr x;
	for (size_t i = 0; st && st->load_balancer && i < st->load_balancer->ingress.len; i++)
		if (service_address(st->load_balancer->ingress.items[i].ip, &x) && addr_eq(&x, a))
			return true;
	return false;
}

static void say_what(const struct compiler *c, const struct why_question *q, const struct object *o,
		     struct why_answer *out)
{
	struct addr vip;
	if (o->desc->kind != KIND_service) {
		out->as = STR("hostPort");
		return;
	}
	const struct service_spec *spec = o->service->spec;
	if (among(&spec->cluster_ips, &q->dst) ||
	    (service_address(spec->cluster_ip, &vip) && addr_eq(&vip, &q->dst))) {
		out->as = STR("cluster");
	} else if (of_balancer(o, &q->dst)) {
		const struct cservice *s = hash_get(&c->services, object_key(o));
		const struct cnode *n = s && s->o ? announcer(c, s, &q->dst) : NULL;
		out->as = STR("balancer");
		out->announced_by = n ? n->name : STR("");
	} else if (among(&spec->external_ips, &q->dst)) {
		out->as = STR("external");
	} else {
		out->as = STR("nodePort");
	}
}

/* SV42: pods and nodes pass. */
static bool let_in(const struct compiler *c, uint32_t service, const struct addr *src)
{
	if (row_find(&c->rows, ROW_MAP, PLAN_MAP_address, src))
		return true;
	for (unsigned len = 129; len-- > 0;) {
		struct source_key k = {.prefixlen = 32 + len, .service = service};
		struct addr masked = *src;
		prefix_mask(&masked, len);
		memcpy(&k.addr, &masked, sizeof(k.addr));
		const struct prow *r = row_find(&c->rows, ROW_MAP, PLAN_MAP_source_range, &k);
		if (r && r->in_force)
			return true;
	}
	return false;
}

static int flow_order(const void *x, const void *y)
{
	const struct why_flow *a = x, *b = y;
	int by = str_cmp(a->pod, b->pod);

	return by ? by : memcmp(&a->dst, &b->dst, sizeof(a->dst));
}

/* A Maglev table has each of its backends many times. */
static bool is_new(const struct why_answer *out, const struct addr *a, uint16_t port)
{
	VEC_EACH (&out->flows, f)
		if (addr_eq(&f->dst, a) && f->port == port)
			return false;
	return true;
}

static int add_backends(const struct compiler *c, const struct why_question *q, uint32_t list, uint32_t count,
			struct why_answer *out)
{
	int e = 0;
	for (uint32_t i = 0; i < count && !e; i++) {
		struct backend_key k = {.list = list, .slot = i};
		struct backend_value b;
		struct addr a;
		if (!why_row(c, PLAN_MAP_backend, &k, &b, sizeof(b)))
			continue;
		memcpy(&a, &b.addr, sizeof(a));
		if (is_new(out, &a, ntohs(b.port)))
			e = why_add_flow(c, q, &a, ntohs(b.port), true, out);
	}
	if (out->flows.len > 1)
		qsort(out->flows.items, out->flows.len, sizeof(*out->flows.items), flow_order);
	return e;
}

static int translate(const struct compiler *c, const struct why_question *q, const struct service_value *v,
		     const struct prow *row, struct why_answer *out)
{
	const struct rowval *said = row->in_force;
	bool drops = v->flags & (q->outside ? SERVICE_DROP_OUT : SERVICE_DROP);
	uint32_t list = q->outside ? v->out_list : v->list, count = q->outside ? v->out_count : v->count;

	out->service = arena_str(&out->arena, str_of(said->src->text));
	if (!out->service.p)
		return -ENOMEM;
	out->service_pos = object_pos(said->src->o, said->member);
	say_what(c, q, said->src->o, out);
	out->affinity = v->affinity;
	out->maglev = v->flags & SERVICE_MAGLEV;
	out->direct = q->outside && v->flags & SERVICE_DIRECT;
	if (q->outside && (v->flags & SERVICE_RANGES) && !let_in(c, v->service, &q->src))
		out->no_way = STR("the client is in none of loadBalancerSourceRanges: dropped");
	else if (!count && drops)
		out->no_way = arena_printf(
		    &out->arena,
		    "%s is Local, and the Service has no endpoint on " STR_FMT " that is ready: dropped",
		    q->outside ? "externalTrafficPolicy" : "internalTrafficPolicy", STR_ARG(c->cfg.node));
	return out->no_way.n ? 0 : add_backends(c, q, list, count, out);
}

bool why_is_assigned(const struct compiler *c, const struct addr *a)
{
	struct service_key k = {.port = 0};
	struct service_value v;
	memcpy(&k.addr, a, sizeof(k.addr));
	return why_row(c, PLAN_MAP_service, &k, &v, sizeof(v));
}

bool why_translate(const struct compiler *c, const struct why_question *q, struct why_answer *out, int *e)
{
	struct service_key k = {.port = htons(q->port), .proto = q->proto};
	struct service_value v;

	memcpy(&k.addr, &q->dst, sizeof(k.addr));
	if (!why_row(c, PLAN_MAP_service, &k, &v, sizeof(v)))
		return false;
	if (q->outside ? !(v.flags & SERVICE_OUTSIDE_TOO) : v.flags & SERVICE_INSIDE_NOT)
		return false;
	*e = translate(c, q, &v, row_find(&c->rows, ROW_MAP, PLAN_MAP_service, &k), out);
	return true;
}
