/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ClusterNetworkPolicies: their subject, and their rules read into rules over atoms and names. What is not
 * known here fails closed: an Accept rule does not match by it, a Deny or Pass rule denies everyone (CN11).
 * Called by policy.c, which knows nothing of their form.
 */
#include <netinet/in.h>

#include "compile/state.h"

void cluster_policy_read(struct cpolicy *p)
{
	const struct clusternetworkpolicy_spec *s = p->o->clusternetworkpolicy->spec;
	const struct cluster_subject *subject = s ? s->subject : NULL;
	p->selector = p->ns_selector = NULL;
	p->selects = subject && (subject->namespaces || subject->pods);
	if (!p->selects)
		return;
	p->ns_selector = subject->namespaces;
	if (!subject->pods)
		return;
	p->ns_selector = subject->pods->namespace_selector;
	p->selector = subject->pods->pod_selector;
}

static enum action action_of(struct str s)
{
	if (str_eqz(s, "Accept"))
		return ACTION_ACCEPT;
	return str_eqz(s, "Pass") ? ACTION_PASS : ACTION_DENY;
}

static void add_peer(struct compiler *c, struct policy_rule *r, struct atom *a)
{
	if (a)
		PUSH(c, &r->peers, a);
}

static void add_pods(struct compiler *c, const struct cpolicy *p, struct policy_rule *r,
		     const struct label_selector *namespaces, const struct namespaced_pod *pods)
{
	if (namespaces)
		add_peer(c, r, atom_of_pods(c, p->o, namespaces, NULL));
	if (pods)
		add_peer(c, r, atom_of_pods(c, p->o, pods->namespace_selector, pods->pod_selector));
}

static bool read_from(struct compiler *c, const struct cpolicy *p, struct policy_rule *r,
		      const struct cluster_ingress_peer_list *from)
{
	bool known = true;
	for (size_t i = 0; i < from->len; i++) {
		const struct cluster_ingress_peer *peer = &from->items[i];
		if (peer->unknown.len || (!peer->namespaces && !peer->pods))
			known = false;
		else
			add_pods(c, p, r, peer->namespaces, peer->pods);
	}
	return known;
}

static void read_destination(struct compiler *c, const struct cpolicy *p, struct policy_rule *r,
			     const struct cluster_egress_peer *peer)
{
	add_pods(c, p, r, peer->namespaces, peer->pods);
	if (peer->nodes)
		add_peer(c, r, atom_of_nodes(c, p->o, peer->nodes));
	for (size_t i = 0; i < peer->networks.len; i++)
		add_peer(c, r, atom_of_network(c, p->o, peer->networks.items[i]));
	for (size_t i = 0; i < peer->domain_names.len && r->action == ACTION_ACCEPT; i++) {
		struct domain *d = domain_get(c, peer->domain_names.items[i]);
		if (d)
			PUSH(c, &r->domains, d);
	}
}

static bool read_to(struct compiler *c, const struct cpolicy *p, struct policy_rule *r,
		    const struct cluster_egress_peer_list *to)
{
	bool known = true;
	for (size_t i = 0; i < to->len; i++) {
		const struct cluster_egress_peer *peer = &to->items[i];
		if (peer->unknown.len || (!peer->namespaces && !peer->pods && !peer->nodes &&
					  !peer->networks.len && !peer->domain_names.len))
			known = false;
		else
			read_destination(c, p, r, peer);
	}
	return known;
}

static void add_port(struct compiler *c, struct policy_rule *r, uint8_t proto,
		     const struct cluster_transport *t)
{
	struct rule_port out = {.proto = proto, .low = 0, .high = 65535};
	const struct cluster_port *port = t->destination_port;
	if (port && port->number.set)
		out.low = out.high = (uint16_t)port->number.v;
	else if (port && port->range) {
		out.low = (uint16_t)port->range->start.v;
		out.high = (uint16_t)port->range->end.v;
	}
	PUSH(c, &r->ports, out);
}

/* A name stands for what the destination declares under it, whatever the protocol. */
static bool read_protocol(struct compiler *c, struct policy_rule *r, const struct cluster_protocol *p)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	const struct cluster_transport *const transports[] = {p->tcp, p->udp, p->sctp};
	bool known = p->destination_named_port.n;
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		if (transports[i])
			add_port(c, r, protos[i], transports[i]);
		if (p->destination_named_port.n)
			PUSH(c, &r->ports,
			     (struct rule_port){
				 .proto = protos[i], .low = 1, .high = 0, .name = p->destination_named_port});
		known |= transports[i] != NULL;
	}
	return known;
}

/* What a rule asks for is not all understood. */
static void fail_closed(struct compiler *c, struct policy_rule *r)
{
	VEC_EACH (&r->peers, a)
		atom_unref(c, *a);
	VEC_EACH (&r->domains, d)
		domain_unref(c, *d);
	r->peers.len = r->domains.len = r->ports.len = 0;
	r->any_peer = r->any_port = r->action != ACTION_ACCEPT;
	if (r->any_peer)
		r->action = ACTION_DENY;
}

/* `peers`: each was understood; `rule`: each member of the rule was. */
static void read_rest(struct compiler *c, struct policy_rule *r, bool peers, bool rule,
		      const struct cluster_protocol_list *protocols)
{
	bool known = rule;
	r->any_port = !protocols->len;
	for (size_t i = 0; i < protocols->len; i++)
		known &= read_protocol(c, r, &protocols->items[i]);
	if (!known || (!peers && r->action != ACTION_ACCEPT))
		fail_closed(c, r);
}

static struct policy_rule read_ingress(struct compiler *c, const struct cpolicy *p, size_t i,
				       const struct cluster_ingress_rule *in)
{
	struct policy_rule r = {.action = action_of(in->action), .rule = rule_get(c, p, DIR_INGRESS, i, in)};
	bool known = read_from(c, p, &r, &in->from);
	read_rest(c, &r, known, !in->unknown.len, &in->protocols);
	return r;
}

static struct policy_rule read_egress(struct compiler *c, const struct cpolicy *p, size_t i,
				      const struct cluster_egress_rule *eg)
{
	struct policy_rule r = {.action = action_of(eg->action), .rule = rule_get(c, p, DIR_EGRESS, i, eg)};
	bool known = read_to(c, p, &r, &eg->to);
	read_rest(c, &r, known, !eg->unknown.len, &eg->protocols);
	return r;
}

bool cluster_policy_rules(struct compiler *c, const struct cpolicy *p, int dir, struct policy_dir *d)
{
	const struct clusternetworkpolicy_spec *s = p->o->clusternetworkpolicy->spec;
	size_t n = !s ? 0 : dir == DIR_INGRESS ? s->ingress.len : s->egress.len;
	if (!n)
		return false;
	d->tier = str_eqz(s->tier, "Baseline") ? TIER_BASELINE : TIER_ADMIN;
	d->priority = (int)s->priority.v;
	for (size_t i = 0; i < n; i++)
		PUSH(c, &d->rules,
		     dir == DIR_INGRESS ? read_ingress(c, p, i, &s->ingress.items[i])
					: read_egress(c, p, i, &s->egress.items[i]));
	return true;
}
