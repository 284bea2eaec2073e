/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ClusterNetworkPolicies (policy.networking.k8s.io, v1alpha2): what the API refuses beyond the field tables.
 * What is not known here is not refused: a peer without a known member stays in its list and fails closed
 * (compile/), with a remark; so does a rule that has an unknown member.
 */
#include "base/own.h"
#include "object/check.h"

enum { ITEMS_MAX = 25, NAME_MAX_CHARS = 100, PRIORITY_MAX = 1000 };

/* A list of the API that has a bound of its own. */
static void check_length(struct check *c, const void *list, bool set, size_t n, size_t min, const char *what)
{
	if (n > ITEMS_MAX)
		check_fail(c, list, "split it over several rules or policies",
			   "%zu %s are more than the limit of %d", n, what, ITEMS_MAX);
	else if (set && n < min)
		check_fail(c, list, "list at least one", "must not be empty");
}

static void check_name_length(struct check *c, const struct str *name)
{
	size_t chars = 0;
	for (size_t i = 0; i < name->n; i++)
		chars += ((unsigned char)name->p[i] & 0xc0) != 0x80; /* UTF-8: all but continuation bytes */
	if (chars > NAME_MAX_CHARS)
		check_fail(c, name, "shorten it", "%zu characters are more than the limit of %d", chars,
			   NAME_MAX_CHARS);
}

static void check_cluster_port(struct check *c, const struct cluster_port *p, bool unknown)
{
	if (p->number.set && p->range)
		check_fail(c, &p->range, "leave one of them out", "cannot stand beside number");
	else if (!p->number.set && !p->range && !unknown)
		check_fail_whole(c, p, "add number, or range with start and end", "needs number or range");
	if (p->number.set && !p->number.v)
		check_range(c, &p->number, 1, 65535); /* the table takes 0 for "left out" */
	if (p->range && p->range->start.set && p->range->end.set && p->range->start.v >= p->range->end.v)
		check_fail(c, &p->range->end,
			   p->range->start.v == p->range->end.v ? "use number for one port"
								: "exchange start and end",
			   "start, %lld, is not below end, %lld", (long long)p->range->start.v,
			   (long long)p->range->end.v);
}

static void check_protocol(struct check *c, const struct cluster_protocol *p, bool unknown)
{
	const struct cluster_transport *const transports[] = {p->tcp, p->udp, p->sctp};
	const void *const members[] = {&p->tcp, &p->udp, &p->sctp};
	size_t n = p->destination_named_port.n ? 1 : 0;
	for (size_t i = 0; i < ARRAY_LEN(transports); i++) {
		const struct cluster_transport *t = transports[i];
		n += t != NULL;
		if (t && t->destination_port)
			check_cluster_port(c, t->destination_port, unknown);
		else if (t && !unknown)
			check_fail(c, members[i],
				   "add destinationPort; range {start: 1, end: 65535} is every port",
				   "needs destinationPort");
	}
	if (n > 1)
		check_fail_whole(c, p, "make each an entry of its own",
				 "exactly one of tcp, udp, sctp and destinationNamedPort");
	else if (!n && !unknown)
		check_fail_whole(c, p, "leave protocols out for all of them",
				 "needs tcp, udp, sctp or destinationNamedPort");
	if (p->destination_named_port.n && syntax_port_name(p->destination_named_port))
		check_remark(c, REMARK_WARNING, &p->destination_named_port,
			     syntax_port_name(p->destination_named_port),
			     "\"" STR_FMT "\" is a name that no container can give a port",
			     STR_ARG(p->destination_named_port));
}

static void check_protocols(struct check *c, const struct cluster_protocol_list *l, bool unknown)
{
	check_length(c, l, l->set, l->len, 1, "protocols");
	for (size_t i = 0; i < l->len; i++)
		check_protocol(c, &l->items[i], unknown);
}

/* n: how many members that are known. What is not known had its remark when it was read. */
static void check_peer(struct check *c, const void *peer, size_t n, const struct strlist *unknown,
		       bool accepts, const char *members)
{
	AUTO_BUF text = {0};
	if (n > 1) {
		buf_printf(&text, "exactly one of %s", members);
		check_fail_whole(c, peer, "make each an entry of its own", "%s", text.p ? text.p : "");
	} else if (!n && !unknown->len) {
		buf_printf(&text, "name one of %s", members);
		check_remark_whole(c, REMARK_WARNING, peer, text.p,
				   accepts
				       ? "a peer without a member fails closed: it matches nothing"
				       : "a peer without a member fails closed: the rule denies everyone");
	}
}

static bool accepts(struct str action)
{
	return str_eqz(action, "Accept");
}

static void check_domain_names(struct check *c, const struct strlist *l, struct str action)
{
	check_length(c, l, l->set, l->len, 1, "names");
	check_distinct(c, l);
	for (size_t i = 0; i < l->len; i++)
		check_rule(c, &l->items[i], l->items[i], syntax_domain_pattern(l->items[i]),
			   "domain name or pattern");
	if (l->set && !accepts(action))
		check_fail(c, l, "accept the names that are wanted, and deny the rest in a rule below",
			   "only rules with action Accept can have domainNames, not " STR_FMT,
			   STR_ARG(action));
}

static size_t ingress_members(const struct cluster_ingress_peer *p)
{
	return (size_t)(p->namespaces != NULL) + (size_t)(p->pods != NULL);
}

static size_t egress_members(const struct cluster_egress_peer *p)
{
	return (size_t)(p->namespaces != NULL) + (size_t)(p->pods != NULL) + (size_t)(p->nodes != NULL) +
	       p->networks.set + p->domain_names.set;
}

static void check_egress_peer(struct check *c, const struct cluster_egress_peer *p, struct str action)
{
	check_peer(c, p, egress_members(p), &p->unknown, accepts(action),
		   "namespaces, pods, nodes, networks, domainNames");
	check_length(c, &p->networks, p->networks.set, p->networks.len, 1, "networks");
	check_distinct(c, &p->networks);
	check_domain_names(c, &p->domain_names, action);
}

/* Names of ports are looked up on pods. */
static void check_named_ports(struct check *c, const struct cluster_egress_rule *r)
{
	const char *peers = NULL;
	for (size_t i = 0; i < r->to.len && !peers; i++) {
		const struct cluster_egress_peer *p = &r->to.items[i];
		peers = p->networks.set ? "networks" : p->nodes ? "nodes" : NULL;
		if (p->domain_names.set)
			peers = "domainNames";
	}
	for (size_t i = 0; peers && i < r->protocols.len; i++)
		if (r->protocols.items[i].destination_named_port.n)
			check_fail(c, &r->protocols.items[i].destination_named_port,
				   "give the port by number, or make two rules of it",
				   "%s have no named ports", peers);
}

static void check_ingress(struct check *c, const struct cluster_ingress_rule *r)
{
	check_name_length(c, &r->name);
	check_length(c, &r->from, r->from.set, r->from.len, 1, "peers");
	for (size_t i = 0; i < r->from.len; i++) {
		const struct cluster_ingress_peer *p = &r->from.items[i];
		check_peer(c, p, ingress_members(p), &p->unknown, accepts(r->action), "namespaces, pods");
	}
	check_protocols(c, &r->protocols, r->unknown.len);
}

static void check_egress(struct check *c, const struct cluster_egress_rule *r)
{
	check_name_length(c, &r->name);
	check_length(c, &r->to, r->to.set, r->to.len, 1, "peers");
	for (size_t i = 0; i < r->to.len; i++)
		check_egress_peer(c, &r->to.items[i], r->action);
	check_protocols(c, &r->protocols, r->unknown.len);
	check_named_ports(c, r);
}

static void check(struct check *c)
{
	const struct clusternetworkpolicy_spec *s = c->o->clusternetworkpolicy->spec;
	check_policy_annotations(c);
	if (!s)
		return; /* required, which was told */
	check_range(c, &s->priority, 0, PRIORITY_MAX);
	if (s->subject && (s->subject->namespaces != NULL) == (s->subject->pods != NULL))
		check_fail(c, &s->subject, "namespaces: {} is every pod of the cluster",
			   "needs exactly one of namespaces and pods");
	check_length(c, &s->ingress, s->ingress.set, s->ingress.len, 0, "rules");
	check_length(c, &s->egress, s->egress.set, s->egress.len, 0, "rules");
	for (size_t i = 0; i < s->ingress.len; i++)
		check_ingress(c, &s->ingress.items[i]);
	for (size_t i = 0; i < s->egress.len; i++)
		check_egress(c, &s->egress.items[i]);
	if (!s->ingress.len && !s->egress.len)
		check_remark(c, REMARK_HINT, &c->o->clusternetworkpolicy->spec, "add ingress or egress rules",
			     "without rules it has no effect");
}

const void *clusternetworkpolicy_closed(const struct object *o)
{
	const struct clusternetworkpolicy_spec *s = o->clusternetworkpolicy->spec;
	for (size_t i = 0; s && i < s->ingress.len; i++) {
		const struct cluster_ingress_rule *r = &s->ingress.items[i];
		if (r->unknown.len)
			return &r->unknown;
		for (size_t k = 0; k < r->from.len; k++)
			if (r->from.items[k].unknown.len || !ingress_members(&r->from.items[k]))
				return &r->from.items[k].unknown;
	}
	for (size_t i = 0; s && i < s->egress.len; i++) {
		const struct cluster_egress_rule *r = &s->egress.items[i];
		if (r->unknown.len)
			return &r->unknown;
		for (size_t k = 0; k < r->to.len; k++)
			if (r->to.items[k].unknown.len || !egress_members(&r->to.items[k]))
				return &r->to.items[k].unknown;
	}
	return NULL;
}

const struct kind_rules clusternetworkpolicy_rules = {.check = check};
