/* SPDX-License-Identifier: Apache-2.0 */
/* Counts what decided. Knows objects and the reference's answers only. */
#include "cover.h"

#include <netinet/in.h>
#include <stdio.h>

static void part(struct cover *c, const char *what)
{
	for (int i = 0; i < COVER_MAX; i++) {
		if (!c->part[i].what)
			c->part[i].what = what;
		if (c->part[i].what == what || !strcmp(c->part[i].what, what)) {
			c->part[i].n++;
			return;
		}
	}
}

static void policy_peers(struct cover *c, const struct policy_peer_list *l)
{
	if (!l->len)
		part(c, "np no peers");
	for (size_t i = 0; i < l->len; i++) {
		const struct policy_peer *p = &l->items[i];
		if (p->ip_block)
			part(c, p->ip_block->except.len ? "np ipBlock with except" : "np ipBlock");
		else if (p->pod_selector && p->namespace_selector)
			part(c, "np podSelector and namespaceSelector");
		else
			part(c, p->pod_selector ? "np podSelector" : "np namespaceSelector");
	}
}

static void policy_ports(struct cover *c, const struct policy_port_list *l)
{
	if (!l->len)
		part(c, "np no ports");
	for (size_t i = 0; i < l->len; i++) {
		const struct policy_port *p = &l->items[i];
		part(c, p->port.type == INTSTR_UNSET ? "np protocol alone"
			: p->port.type == INTSTR_STR ? "np named port"
			: p->end_port.set	     ? "np endPort"
						     : "np port");
	}
}

static void policy_rule(struct cover *c, const struct model_half *h, bool egress)
{
	const struct networkpolicy_spec *s = h->policy->networkpolicy->spec;
	policy_peers(c, egress ? &s->egress.items[h->rule].to : &s->ingress.items[h->rule].from);
	policy_ports(c, egress ? &s->egress.items[h->rule].ports : &s->ingress.items[h->rule].ports);
}

static void cluster_protocols(struct cover *c, const struct cluster_protocol_list *l)
{
	if (!l->len)
		part(c, "cnp no protocols");
	for (size_t i = 0; i < l->len; i++) {
		const struct cluster_protocol *p = &l->items[i];
		const struct cluster_transport *t = p->tcp ? p->tcp : p->udp ? p->udp : p->sctp;
		if (p->destination_named_port.n)
			part(c, "cnp destinationNamedPort");
		else if (t && t->destination_port)
			part(c, t->destination_port->range ? "cnp port range" : "cnp port number");
	}
}

static void cluster_rule(struct cover *c, const struct model_half *h, bool egress)
{
	const struct clusternetworkpolicy_spec *s = h->policy->clusternetworkpolicy->spec;
	if (egress) {
		const struct cluster_egress_rule *r = &s->egress.items[h->rule];
		cluster_protocols(c, &r->protocols);
		for (size_t i = 0; i < r->to.len; i++) {
			const struct cluster_egress_peer *p = &r->to.items[i];
			part(c, p->namespaces	      ? "cnp namespaces"
				: p->pods	      ? "cnp pods"
				: p->nodes	      ? "cnp nodes"
				: p->networks.len     ? "cnp networks"
				: p->domain_names.len ? "cnp domainNames"
						      : "cnp unknown peer");
		}
		return;
	}
	const struct cluster_ingress_rule *r = &s->ingress.items[h->rule];
	cluster_protocols(c, &r->protocols);
	for (size_t i = 0; i < r->from.len; i++)
		part(c, r->from.items[i].namespaces ? "cnp namespaces"
			: r->from.items[i].pods	    ? "cnp pods"
						    : "cnp unknown peer");
}

static void half(struct cover *c, const struct model_half *h, bool egress)
{
	c->stage[egress][h->allow][h->stage]++;
	if (h->stage == STAGE_POLICY)
		policy_rule(c, h, egress);
	if (h->stage == STAGE_ADMIN || h->stage == STAGE_BASELINE)
		cluster_rule(c, h, egress);
}

void cover_add(struct cover *c, const struct model_question *q, const struct model_answer *a)
{
	c->verdict[a->verdict]++;
	c->protocol[q->proto == IPPROTO_TCP				     ? 0
		    : q->proto == IPPROTO_UDP				     ? 1
		    : q->proto == IPPROTO_SCTP				     ? 2
		    : q->proto == IPPROTO_ICMP || q->proto == IPPROTO_ICMPV6 ? 3
									     : 4]++;
	c->family[addr_is4(&q->src) ? 0 : 1]++;
	half(c, &a->egress, true);
	half(c, &a->ingress, false);
}

void cover_sum(struct cover *to, const struct cover *from)
{
	for (int i = 0; i < 4; i++)
		to->verdict[i] += from->verdict[i];
	for (int i = 0; i < 4 * STAGE_COUNT; i++)
		to->stage[i / (2 * STAGE_COUNT)][i / STAGE_COUNT % 2][i % STAGE_COUNT] +=
		    from->stage[i / (2 * STAGE_COUNT)][i / STAGE_COUNT % 2][i % STAGE_COUNT];
	for (int i = 0; i < 5; i++)
		to->protocol[i] += from->protocol[i];
	for (int i = 0; i < 2; i++)
		to->family[i] += from->family[i];
	to->by_name += from->by_name;
	to->told += from->told;
	to->explained += from->explained;
	to->tries += from->tries;
	to->went_on += from->went_on;
	to->was_cut += from->was_cut;
	to->inherited += from->inherited;
	to->cut += from->cut;
	to->services += from->services;
	to->replies += from->replies;
	to->in_kernel += from->in_kernel;
	to->staged_differs += from->staged_differs;
	to->cross_node += from->cross_node;
	for (int i = 0; i < COVER_MAX && from->part[i].what; i++) {
		part(to, from->part[i].what);
		for (int k = 0; k < COVER_MAX; k++)
			if (to->part[k].what && !strcmp(to->part[k].what, from->part[i].what))
				to->part[k].n += from->part[i].n - 1;
	}
}

static void line(struct buf *b, const char *what, uint64_t n)
{
	buf_printf(b, "  %-44s %12llu\n", what, (unsigned long long)n);
}

void cover_print(struct buf *b, const struct cover *c)
{
	static const char *const verdicts[] = {"allowed", "refused at the sender", "refused at the receiver",
					       "nobody there"};
	static const char *const stages[] = {[STAGE_NONE] = "no pod",
					     [STAGE_SELF] = "itself",
					     [STAGE_NODE] = "own node",
					     [STAGE_ADMIN] = "Admin tier",
					     [STAGE_POLICY] = "NetworkPolicy",
					     [STAGE_ISOLATED] = "default deny",
					     [STAGE_BASELINE] = "Baseline tier",
					     [STAGE_OPEN] = "nothing said no"};
	static const char *const protocols[] = {"TCP", "UDP", "SCTP", "ICMP", "other protocols"};
	char text[64];
	for (int i = 0; i < 4; i++)
		line(b, verdicts[i], c->verdict[i]);
	for (int i = 0; i < 5; i++)
		line(b, protocols[i], c->protocol[i]);
	line(b, "IPv4", c->family[0]);
	line(b, "IPv6", c->family[1]);
	line(b, "also run through the kernel", c->in_kernel);
	line(b, "of them from node to node", c->cross_node);
	line(b, "explained as weft why does", c->explained);
	line(b, "answers to them", c->replies);
	line(b, "sent in two parts", c->cut);
	line(b, "through a Service", c->services);
	line(b, "names that DNS told nodes", c->told);
	line(b, "judged by what DNS told", c->by_name);
	line(b, "judged otherwise by staged policies", c->staged_differs);
	line(b, "nodes whose blocks are in the trie", c->tries);
	line(b, "open, refused after a change, and let go on", c->went_on);
	line(b, "open, and cut after a change by a strict pod", c->was_cut);
	line(b, "open, and of another owner after a change", c->inherited);
	for (int s = 0; s < STAGE_COUNT; s++) {
		for (int d = 0; d < 4; d++) {
			snprintf(text, sizeof(text), "%s: %s by %s", d / 2 ? "egress" : "ingress",
				 d % 2 ? "allowed" : "refused", stages[s]);
			if (c->stage[d / 2][d % 2][s] && s != STAGE_NONE)
				line(b, text, c->stage[d / 2][d % 2][s]);
		}
	}
	for (int i = 0; i < COVER_MAX && c->part[i].what; i++) {
		snprintf(text, sizeof(text), "rules that decided, with %s", c->part[i].what);
		line(b, text, c->part[i].n);
	}
}
