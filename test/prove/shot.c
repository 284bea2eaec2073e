/* SPDX-License-Identifier: Apache-2.0 */
/* Which packets are sent: between pods, nodes, outside and nobody; ports near the edges of rules. */
#include <netinet/in.h>
#include <stdio.h>

#include "judge.h"
#include "packet.h"

struct addrs {
	struct addr items[2 * PODS];
	uint32_t n;
};

static void live(const struct lab *l, struct addrs *out)
{
	VEC_EACH (&l->model.pods.list, o) {
		const struct pod_status *st = (*o)->pod->status;
		for (size_t i = 0; st && i < st->pod_ips.len; i++) {
			struct addr a;
			if (out->n < 2 * PODS && !addr_parse(st->pod_ips.items[i].ip, &a) &&
			    model_pod_at(&l->model, &a) == *o)
				out->items[out->n++] = a;
		}
	}
}

static uint16_t pick_port(struct generator *g)
{
	uint32_t p = generate_port(g), how = dice_throw(&g->dice, 20);
	if (how == 0)
		return (uint16_t)dice_throw(&g->dice, 65536);
	if (how < 4)
		p--;
	if (how > 15)
		p++;
	return (uint16_t)p;
}

static void pick_protocol(struct generator *g, struct model_question *q)
{
	static const uint8_t protocols[] = {IPPROTO_TCP,  IPPROTO_TCP,	IPPROTO_TCP,  IPPROTO_TCP,
					    IPPROTO_UDP,  IPPROTO_UDP,	IPPROTO_UDP,  IPPROTO_SCTP,
					    IPPROTO_SCTP, IPPROTO_ICMP, IPPROTO_ICMP, IPPROTO_GRE};
	static const uint8_t others[] = {IPPROTO_GRE, IPPROTO_ESP, 89, 136, 4};
	q->proto = DICE_PICK(&g->dice, protocols);
	if (q->proto == IPPROTO_ICMP && !addr_is4(&q->src))
		q->proto = IPPROTO_ICMPV6;
	if (q->proto == IPPROTO_GRE)
		q->proto = DICE_PICK(&g->dice, others);
	q->port = packet_has_ports(q->proto) ? pick_port(g) : 0;
}

/* A named port of the destination now and then, else names would seldom decide. */
static void aim(struct lab *l, struct generator *g, struct model_question *q)
{
	const struct object *pod = model_pod_at(&l->model, &q->dst);
	const struct container_list *c = pod && pod->pod->spec ? &pod->pod->spec->containers : NULL;
	if (!c || !packet_has_ports(q->proto) || !c->len || !dice_in(&g->dice, 35))
		return;
	const struct container *ct = &c->items[dice_throw(&g->dice, (uint32_t)c->len)];
	if (!ct->ports.len)
		return;
	const struct container_port *p = &ct->ports.items[dice_throw(&g->dice, (uint32_t)ct->ports.len)];
	q->port = (uint16_t)p->container_port.v;
	q->proto = str_eqz(p->protocol, "UDP")	  ? IPPROTO_UDP
		   : str_eqz(p->protocol, "SCTP") ? IPPROTO_SCTP
						  : IPPROTO_TCP;
}

/* An address that no pod has, of the family of `like`: outside, a node, or one that nobody has. */
static struct addr stranger(struct lab *l, struct generator *g, const struct addr *like, bool nobody)
{
	for (;;) {
		const struct addr *a = &g->known.items[dice_throw(&g->dice, (uint32_t)g->known.len)];
		if (addr_is4(a) != addr_is4(like) || model_pod_at(&l->model, a))
			continue;
		if (nobody || !model_in_pod_range(&l->model, a))
			return *a;
	}
}

/* Often an address that DNS told this pod's node. */
static void told_name(const struct lab *l, struct generator *g, const struct addr *from, struct addr *to)
{
	int node = lab_node(model_pod_at(&l->model, from)->pod->spec->node_name);
	size_t n = l->names[node].len, start = n ? dice_throw(&g->dice, (uint32_t)n) : 0;
	if (dice_in(&g->dice, 20))
		return;
	for (size_t i = 0; i < n; i++) {
		const struct addr *a = &l->names[node].items[(start + i) % n].addr;
		if (addr_is4(a) == addr_is4(from)) {
			*to = *a;
			return;
		}
	}
}

/* To a Service that has an endpoint, from a pod of its family; the endpoint itself now and then. */
static bool pick_service(struct lab *l, struct generator *g, const struct addrs *pods, struct shot *s)
{
	struct object_refs slices = {0};
	const struct object *slice = NULL, *service = NULL;
	if (store_list(l->store, KIND_endpointslice, STR(""), &slices))
		must_have(NULL);
	if (slices.list.len)
		slice = slices.list.items[dice_throw(&g->dice, (uint32_t)slices.list.len)];
	vec_free(&slices.list);
	if (slice)
		service = store_get(l->store, KIND_service, slice->meta.ns, slice->meta.name);
	if (!service)
		return false;
	const struct endpoint_port *p = &slice->endpointslice->ports.items[0];
	s->q.service = true;
	s->q.port = (uint16_t)p->port.v;
	s->q.proto = str_eqz(p->protocol, "UDP")    ? IPPROTO_UDP
		     : str_eqz(p->protocol, "SCTP") ? IPPROTO_SCTP
						    : IPPROTO_TCP;
	s->to_port = (uint16_t)service->service->spec->ports.items[0].port.v;
	addr_parse(slice->endpointslice->endpoints.items[0].addresses.items[0], &s->q.dst);
	addr_parse(service->service->spec->cluster_ip, &s->to);
	s->q.src = s->q.dst;
	for (int i = 0; i < 20 && !dice_in(&g->dice, 25); i++) {
		s->q.src = pods->items[dice_throw(&g->dice, pods->n)];
		if (addr_is4(&s->q.src) == addr_is4(&s->q.dst))
			break;
	}
	return addr_is4(&s->q.src) == addr_is4(&s->q.dst) && addr_is4(&s->to) == addr_is4(&s->q.dst) &&
	       model_pod_at(&l->model, &s->q.src);
}

bool shot_pick(struct lab *l, struct generator *g, struct shot *s)
{
	struct addrs pods = {.n = 0};
	live(l, &pods);
	if (!pods.n)
		return false;
	*s = (struct shot){.reply = dice_in(&g->dice, 15)};
	struct addr a = pods.items[dice_throw(&g->dice, pods.n)], b = a;
	uint32_t how = dice_throw(&g->dice, 105);
	if (how >= 100) {
		if (pick_service(l, g, &pods, s))
			return true;
		*s = (struct shot){0};
		how = 0;
	}
	if (how < 62) {
		for (int i = 0; i < 20; i++) {
			b = pods.items[dice_throw(&g->dice, pods.n)];
			if (addr_is4(&a) == addr_is4(&b) && !addr_eq(&a, &b))
				break;
		}
		if (addr_is4(&a) != addr_is4(&b))
			b = a;
	} else if (how < 64) { /* NP76 */
		addr_parse(addr_is4(&a) ? STR("224.0.0.251") : STR("ff05::fb"), &b);
	} else if (how < 98) {
		b = stranger(l, g, &a, how < 69);
		if (how < 84)
			told_name(l, g, &a, &b);
	} /* else itself, NP63 */
	bool out = how < 84 || how >= 98;
	s->q.src = out ? a : b;
	s->q.dst = out ? b : a;
	pick_protocol(g, &s->q);
	aim(l, g, &s->q);
	s->cut = packet_has_ports(s->q.proto) && s->q.proto != IPPROTO_SCTP && dice_in(&g->dice, 5);
	return true;
}

static void name_end(struct buf *b, const struct lab *l, const struct addr *a)
{
	char text[ADDR_TEXT];
	const struct object *o = model_pod_at(&l->model, a);
	addr_print(a, text);
	if (o)
		buf_printf(b, STR_FMT "/" STR_FMT " (%s on " STR_FMT ")", STR_ARG(o->meta.ns),
			   STR_ARG(o->meta.name), text, STR_ARG(o->pod->spec->node_name));
	else
		buf_printf(b, "%s%s", model_node_at(&l->model, a) ? "node " : "", text);
}

void shot_print(struct buf *b, const struct lab *l, const struct shot *s)
{
	const char *known = s->q.proto == IPPROTO_TCP	 ? "TCP"
			    : s->q.proto == IPPROTO_UDP	 ? "UDP"
			    : s->q.proto == IPPROTO_SCTP ? "SCTP"
							 : NULL;
	name_end(b, l, &s->q.src);
	buf_addz(b, " → ");
	name_end(b, l, &s->q.dst);
	if (known)
		buf_printf(b, " %s/%u", known, s->q.port);
	else
		buf_printf(b, " protocol %u", s->q.proto);
	buf_addz(b, s->cut ? ", cut in two" : "");
	if (s->q.service) {
		char text[ADDR_TEXT];
		addr_print(&s->to, text);
		buf_printf(b, " through the Service %s, port %u", text, s->to_port);
	}
}
