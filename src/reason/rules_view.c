/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules as the checks see them: for each group of ends whether the rule's peers match it, and the ports. The
 * groups are those that the compiled policies tell apart, so one end speaks for its group. Says nothing
 * itself.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/own.h"
#include "reason/checks.h"
#include "reason/select.h"

static const struct end *speaker(const struct check_run *c, const struct group *g)
{
	return &c->ends.list.items[g->ends.items[0]];
}

static uint8_t families(const struct end *e)
{
	return (uint8_t)((e->has[0] ? 1 : 0) | (e->has[1] ? 2 : 0));
}

static uint8_t in_block(const struct end *e, struct str cidr, const struct strlist *except)
{
	struct prefix p, x;
	uint8_t hit = 0;

	if (prefix_parse(cidr, &p) == -EINVAL)
		return 0;
	for (int f = 0; f < FAMILIES; f++) {
		bool in = e->has[f] && prefix_has(&p, &e->addr[0][f]);
		for (size_t i = 0; except && i < except->len && in; i++)
			in = prefix_parse(except->items[i], &x) == -EINVAL || !prefix_has(&x, &e->addr[0][f]);
		hit |= (uint8_t)(in ? 1u << f : 0);
	}
	return hit;
}

static uint8_t policy_peer(const struct check_run *c, const struct object *o, const struct policy_peer *p,
			   const struct end *e)
{
	if (p->ip_block)
		return in_block(e, p->ip_block->cidr, &p->ip_block->except);
	if (e->kind != END_POD)
		return 0;
	if (p->namespace_selector ? !select_namespace(c->s, p->namespace_selector, e->ns)
				  : !str_eq(e->ns, o->meta.ns))
		return 0;
	return !p->pod_selector || selector_matches(p->pod_selector, &e->o[0]->meta.labels) ? families(e) : 0;
}

static uint8_t policy_peers(const struct check_run *c, const struct object *o,
			    const struct policy_peer_list *l, const struct end *e)
{
	uint8_t hit = l->len ? 0 : families(e);

	for (size_t i = 0; i < l->len; i++)
		hit |= policy_peer(c, o, &l->items[i], e);
	return hit;
}

static uint8_t pods_peer(const struct check_run *c, const struct label_selector *namespaces,
			 const struct namespaced_pod *pods, const struct end *e)
{
	const struct cluster_subject s = {.namespaces = (struct label_selector *)(uintptr_t)namespaces,
					  .pods = (struct namespaced_pod *)(uintptr_t)pods};

	return e->kind == END_POD && select_subject(c->s, &s, e->o[0]) ? families(e) : 0;
}

static uint8_t egress_peer(const struct check_run *c, const struct cluster_egress_peer *p,
			   const struct end *e)
{
	uint8_t hit = 0;

	if (p->nodes)
		return e->kind == END_NODE && selector_matches(p->nodes, &e->o[0]->meta.labels) ? families(e)
												: 0;
	for (size_t i = 0; i < p->networks.len; i++)
		hit |= in_block(e, p->networks.items[i], NULL);
	return p->networks.len ? hit : pods_peer(c, p->namespaces, p->pods, e);
}

static int push_span(struct rule_view *r, uint8_t proto, int64_t low, int64_t high)
{
	return vec_push(&r->spans.list, (struct port_span){proto, (uint16_t)low, (uint16_t)high});
}

static uint8_t proto_of(struct str name)
{
	return str_eqz(name, "UDP") ? IPPROTO_UDP : str_eqz(name, "SCTP") ? IPPROTO_SCTP : IPPROTO_TCP;
}

static int policy_ports(struct rule_view *r, const struct policy_port_list *l)
{
	int e = 0;

	r->any_port = !l->len;
	for (size_t i = 0; i < l->len && !e; i++) {
		const struct policy_port *p = &l->items[i];
		if (p->port.type == INTSTR_STR)
			r->named = true;
		else if (p->port.type == INTSTR_UNSET)
			e = push_span(r, proto_of(p->protocol), 0, 65535);
		else
			e = push_span(r, proto_of(p->protocol), p->port.i,
				      p->end_port.set ? p->end_port.v : p->port.i);
	}
	return e;
}

static int cluster_transport(struct rule_view *r, const struct cluster_transport *t, uint8_t proto)
{
	const struct cluster_port *p = t ? t->destination_port : NULL;

	if (!p)
		return 0;
	return p->range ? push_span(r, proto, p->range->start.v, p->range->end.v)
			: push_span(r, proto, p->number.v, p->number.v);
}

static int cluster_ports(struct rule_view *r, const struct cluster_protocol_list *l)
{
	int e = 0;

	r->any_port = !l->len;
	for (size_t i = 0; i < l->len && !e; i++) {
		r->named |= l->items[i].destination_named_port.n != 0;
		e = cluster_transport(r, l->items[i].tcp, IPPROTO_TCP);
		e = e ? e : cluster_transport(r, l->items[i].udp, IPPROTO_UDP);
		e = e ? e : cluster_transport(r, l->items[i].sctp, IPPROTO_SCTP);
	}
	return e;
}

static int view_new(struct check_run *c, const struct rule_view *like, struct rule_view **out)
{
	size_t n = c->ends.groups.len + 1;
	struct rule_view r = *like;

	r.match = calloc(n, sizeof(*r.match));
	r.subject = calloc(n, sizeof(*r.subject));
	if (!r.match || !r.subject || vec_push(&c->rules, r)) {
		free(r.match);
		free(r.subject);
		return -ENOMEM;
	}
	*out = &c->rules.items[c->rules.len - 1];
	return 0;
}

static int view_policy_rule(struct check_run *c, const struct object *o, bool egress, size_t index)
{
	const struct networkpolicy_spec *spec = o->networkpolicy->spec;
	const struct policy_peer_list *peers =
	    egress ? &spec->egress.items[index].to : &spec->ingress.items[index].from;
	struct rule_view like = {.o = o,
				 .egress = egress,
				 .index = index,
				 .member = egress ? (const void *)&spec->egress.items[index]
						  : (const void *)&spec->ingress.items[index]};
	struct rule_view *r;
	int e = view_new(c, &like, &r);

	if (!e)
		e = policy_ports(r, egress ? &spec->egress.items[index].ports
					   : &spec->ingress.items[index].ports);
	for (size_t g = 0; !e && g < c->ends.groups.len; g++) {
		const struct end *end = speaker(c, &c->ends.groups.items[g]);
		r->match[g] = policy_peers(c, o, peers, end);
		r->subject[g] = end->kind == END_POD && str_eq(end->ns, o->meta.ns) && spec->pod_selector &&
				selector_matches(spec->pod_selector, &end->o[0]->meta.labels);
	}
	return e;
}

static int view_policy(struct check_run *c, const struct object *o)
{
	const struct networkpolicy_spec *spec = o->networkpolicy->spec;
	int e = 0;

	if (!spec || (!c->opt->staged && policy_is_staged(o)))
		return 0;
	for (size_t i = 0; i < spec->ingress.len && !e && policy_has_direction(o, false); i++)
		e = view_policy_rule(c, o, false, i);
	for (size_t i = 0; i < spec->egress.len && !e && policy_has_direction(o, true); i++)
		e = view_policy_rule(c, o, true, i);
	return e;
}

static enum action action_of(struct str a)
{
	return str_eqz(a, "Deny") ? ACTION_DENY : str_eqz(a, "Pass") ? ACTION_PASS : ACTION_ALLOW;
}

static void match_cluster_rule(struct check_run *c, struct rule_view *r)
{
	const struct clusternetworkpolicy_spec *spec = r->o->clusternetworkpolicy->spec;

	for (size_t g = 0; g < c->ends.groups.len; g++) {
		const struct end *end = speaker(c, &c->ends.groups.items[g]);
		r->subject[g] = end->kind == END_POD && select_subject(c->s, spec->subject, end->o[0]);
		if (r->egress) {
			const struct cluster_egress_peer_list *to = &spec->egress.items[r->index].to;
			for (size_t i = 0; i < to->len; i++)
				r->match[g] |= egress_peer(c, &to->items[i], end);
		} else {
			const struct cluster_ingress_peer_list *from = &spec->ingress.items[r->index].from;
			for (size_t i = 0; i < from->len; i++)
				r->match[g] |=
				    pods_peer(c, from->items[i].namespaces, from->items[i].pods, end);
		}
	}
}

static bool opaque_egress(const struct cluster_egress_rule *r)
{
	bool opaque = r->unknown.len;

	for (size_t i = 0; i < r->to.len; i++) {
		const struct cluster_egress_peer *p = &r->to.items[i];
		opaque |= p->unknown.len || p->domain_names.len ||
			  (!p->namespaces && !p->pods && !p->nodes && !p->networks.len);
	}
	return opaque;
}

static bool opaque_ingress(const struct cluster_ingress_rule *r)
{
	bool opaque = r->unknown.len;

	for (size_t i = 0; i < r->from.len; i++)
		opaque |=
		    r->from.items[i].unknown.len || (!r->from.items[i].namespaces && !r->from.items[i].pods);
	return opaque;
}

static int view_cluster_policy(struct check_run *c, const struct object *o)
{
	const struct clusternetworkpolicy_spec *spec = o->clusternetworkpolicy->spec;
	struct rule_view like = {.o = o, .cluster = true}, *r;
	int e = 0;

	if (!spec || (!c->opt->staged && policy_is_staged(o)))
		return 0;
	like.admin = str_eqz(spec->tier, "Admin");
	for (size_t i = 0; i < spec->ingress.len && !e; i++) {
		const struct cluster_ingress_rule *in = &spec->ingress.items[i];
		like.member = in;
		like.index = i;
		like.action = action_of(in->action);
		like.opaque = opaque_ingress(in);
		e = view_new(c, &like, &r);
		e = e ? e : cluster_ports(r, &in->protocols);
		if (!e)
			match_cluster_rule(c, r);
	}
	like.egress = true;
	for (size_t i = 0; i < spec->egress.len && !e; i++) {
		const struct cluster_egress_rule *out = &spec->egress.items[i];
		like.member = out;
		like.index = i;
		like.action = action_of(out->action);
		like.opaque = opaque_egress(out);
		e = view_new(c, &like, &r);
		e = e ? e : cluster_ports(r, &out->protocols);
		if (!e)
			match_cluster_rule(c, r);
	}
	return e;
}

/* CN05, CN06: Admin before Baseline, then by priority, then by name. */
static int in_force_order(const void *pa, const void *pb)
{
	const struct object *a = *(const struct object *const *)pa, *b = *(const struct object *const *)pb;
	const struct clusternetworkpolicy_spec *x = a->clusternetworkpolicy->spec,
					       *y = b->clusternetworkpolicy->spec;

	if (!x || !y)
		return (x != NULL) - (y != NULL);
	if (str_eqz(x->tier, "Admin") != str_eqz(y->tier, "Admin"))
		return str_eqz(x->tier, "Admin") ? -1 : 1;
	if (x->priority.v != y->priority.v)
		return x->priority.v < y->priority.v ? -1 : 1;
	return str_cmp(a->meta.name, b->meta.name);
}

int rules_view(struct check_run *c)
{
	struct object_refs list = {0};
	int e = store_list(c->s, KIND_networkpolicy, STR(""), &list);

	VEC_EACH (&list.list, o)
		e = e ? e : view_policy(c, *o);
	vec_free(&list.list);
	e = e ? e : store_list(c->s, KIND_clusternetworkpolicy, STR(""), &list);
	if (list.list.len > 1)
		qsort(list.list.items, list.list.len, sizeof(*list.list.items), in_force_order);
	VEC_EACH (&list.list, o)
		e = e ? e : view_cluster_policy(c, *o);
	vec_free(&list.list);
	return e;
}

void rules_view_fini(struct check_run *c)
{
	VEC_EACH (&c->rules, r) {
		free(r->match);
		free(r->subject);
		vec_free(&r->spans.list);
	}
	vec_free(&c->rules);
}

struct declared {
	uint8_t proto;
	uint16_t port;
};

/* The first declaration of the name and protocol (0: any), sidecars after containers. */
static bool declares(const struct end *e, struct str name, uint8_t proto, struct declared *out)
{
	const struct pod_spec *spec = e->kind == END_POD ? e->o[0]->pod->spec : NULL;

	for (int turn = 0; spec && turn < 2; turn++) {
		const struct container_list *l = turn ? &spec->init_containers : &spec->containers;
		for (size_t i = 0; i < l->len; i++) {
			if (turn && !str_eqz(l->items[i].restart_policy, "Always"))
				continue;
			for (size_t k = 0; k < l->items[i].ports.len; k++) {
				const struct container_port *p = &l->items[i].ports.items[k];
				if (!str_eq(p->name, name) || (proto && proto_of(p->protocol) != proto))
					continue;
				*out =
				    (struct declared){proto_of(p->protocol), (uint16_t)p->container_port.v};
				return true;
			}
		}
	}
	return false;
}

static int named_spans(const struct rule_view *r, const struct end *dst, struct span_list *out)
{
	struct declared d;
	int e = 0;

	if (r->cluster) {
		const struct clusternetworkpolicy_spec *spec = r->o->clusternetworkpolicy->spec;
		const struct cluster_protocol_list *l = r->egress ? &spec->egress.items[r->index].protocols
								  : &spec->ingress.items[r->index].protocols;
		for (size_t i = 0; i < l->len && !e; i++)
			if (l->items[i].destination_named_port.n &&
			    declares(dst, l->items[i].destination_named_port, 0, &d))
				e = vec_push(&out->list, (struct port_span){d.proto, d.port, d.port});
		return e;
	}
	const struct networkpolicy_spec *spec = r->o->networkpolicy->spec;
	const struct policy_port_list *l =
	    r->egress ? &spec->egress.items[r->index].ports : &spec->ingress.items[r->index].ports;
	for (size_t i = 0; i < l->len && !e; i++)
		if (l->items[i].port.type == INTSTR_STR &&
		    declares(dst, l->items[i].port.s, proto_of(l->items[i].protocol), &d))
			e = vec_push(&out->list, (struct port_span){d.proto, d.port, d.port});
	return e;
}

int rule_spans(const struct check_run *c, const struct rule_view *r, const struct group *dst,
	       struct span_list *out)
{
	int e = 0;

	for (int i = 0; r->any_port && i < PORT_PROTOS && !e; i++)
		e = vec_push(&out->list, (struct port_span){port_protos[i], 0, port_protos[i] ? 65535 : 0});
	for (size_t i = 0; i < r->spans.list.len && !e; i++)
		e = vec_push(&out->list, r->spans.list.items[i]);
	return !e && r->named ? named_spans(r, speaker(c, dst), out) : e;
}

int spans_subtract(struct span_list *from, const struct span_list *less)
{
	VEC_EACH (&less->list, x)
		for (size_t i = 0; i < from->list.len;) {
			struct port_span *s = &from->list.items[i], rest = *s;
			if (s->proto != x->proto || x->high < s->low || x->low > s->high) {
				i++;
				continue;
			}
			bool below = s->low<x->low, above = s->high> x->high;
			rest.low = (uint16_t)(x->high + 1);
			if (below)
				s->high = (uint16_t)(x->low - 1);
			if (below && above && vec_push(&from->list, rest))
				return -ENOMEM;
			if (!below && above)
				*s = rest;
			if (!below && !above) {
				vec_remove(&from->list, i);
				continue;
			}
			i++;
		}
	return 0;
}

struct pos rule_pos(const struct rule_view *r)
{
	return object_pos(r->o, r->member);
}

void rule_name(struct buf *b, const struct rule_view *r)
{
	buf_printf(b, "%s ", r->o->desc->name);
	if (r->o->meta.ns.n)
		buf_printf(b, STR_FMT "/", STR_ARG(r->o->meta.ns));
	buf_printf(b, STR_FMT " %s[%zu], ", STR_ARG(r->o->meta.name), r->egress ? "egress" : "ingress",
		   r->index);
	pos_print(b, rule_pos(r));
}
