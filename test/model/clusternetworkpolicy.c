/* SPDX-License-Identifier: Apache-2.0 */
/* ClusterNetworkPolicy: the rules of a tier in their order, and the first that matches. Called by the model
 * only. */
#include "match.h"

struct rule { /* the same for both directions */
	const struct object *policy;
	size_t index;
	struct str action;
	const struct cluster_protocol_list *protocols;
	const struct cluster_ingress_peer_list *from;
	const struct cluster_egress_peer_list *to;
	bool unknown; /* it has a member that Weft does not know */
};

static struct rule rule_at(const struct object *policy, bool egress, size_t i)
{
	const struct clusternetworkpolicy_spec *spec = policy->clusternetworkpolicy->spec;
	if (egress) {
		const struct cluster_egress_rule *r = &spec->egress.items[i];
		return (struct rule){policy, i, r->action, &r->protocols, NULL, &r->to, r->unknown.len > 0};
	}
	const struct cluster_ingress_rule *r = &spec->ingress.items[i];
	return (struct rule){policy, i, r->action, &r->protocols, &r->from, NULL, r->unknown.len > 0};
}

static bool pods_match(const struct model *m, const struct label_selector *namespaces,
		       const struct namespaced_pod *pods, const struct object *pod)
{
	if (!pod)
		return false;
	if (namespaces)
		return namespace_matches(m, namespaces, pod->meta.ns);
	if (!pods)
		return false;
	if (pods->namespace_selector && !namespace_matches(m, pods->namespace_selector, pod->meta.ns))
		return false;
	return labels_match(pods->pod_selector, &pod->meta.labels);
}

/* CN13: by the addresses in node status. */
static bool nodes_match(const struct model *m, const struct label_selector *sel, const struct addr *a)
{
	VEC_EACH (&m->nodes.list, n)
		if (node_has(*n, a) && labels_match(sel, &(*n)->meta.labels))
			return true;
	return false;
}

/* CN14 to CN16: what DNS told, of addresses that are not the cluster's own. */
static bool names_match(const struct model *m, const struct strlist *patterns, const struct addr *a)
{
	if (model_pod_at(m, a) || model_node_at(m, a) || model_in_pod_range(m, a))
		return false;
	for (size_t n = 0; n < m->names_len; n++)
		for (size_t i = 0; addr_eq(&m->names[n].addr, a) && i < patterns->len; i++)
			if (domain_matches(patterns->items[i], m->names[n].name))
				return true;
	return false;
}

static bool to_is_known(const struct cluster_egress_peer *p)
{
	return !p->unknown.len &&
	       (p->namespaces || p->pods || p->nodes || p->networks.len || p->domain_names.len);
}

static bool to_matches(const struct model *m, const struct cluster_egress_peer *p, const struct addr *a)
{
	if (!to_is_known(p))
		return false; /* CN11 */
	if (p->namespaces || p->pods)
		return pods_match(m, p->namespaces, p->pods, model_pod_at(m, a));
	if (p->nodes)
		return nodes_match(m, p->nodes, a);
	for (size_t i = 0; i < p->networks.len; i++) /* CN12: of pods and nodes as well */
		if (block_has(p->networks.items[i], a))
			return true;
	return names_match(m, &p->domain_names, a);
}

static bool from_is_known(const struct cluster_ingress_peer *p)
{
	return !p->unknown.len && (p->namespaces || p->pods);
}

static bool peers_match(const struct model *m, const struct rule *r, const struct model_question *q)
{
	for (size_t i = 0; r->to && i < r->to->len; i++)
		if (to_matches(m, &r->to->items[i], &q->dst))
			return true;
	for (size_t i = 0; r->from && i < r->from->len; i++) {
		const struct cluster_ingress_peer *p = &r->from->items[i];
		if (from_is_known(p) && pods_match(m, p->namespaces, p->pods, model_pod_at(m, &q->src)))
			return true;
	}
	return false;
}

static bool number_matches(const struct cluster_transport *t, uint16_t port)
{
	const struct cluster_port *p = t->destination_port;
	if (!p)
		return true;
	if (p->range) /* CN19: both ends belong to it */
		return port >= p->range->start.v && port <= p->range->end.v;
	return port == p->number.v;
}

static bool protocol_matches(const struct model *m, const struct cluster_protocol *p,
			     const struct model_question *q)
{
	const char *proto = protocol_name(q->proto);
	if (p->destination_named_port.n) { /* with the protocol that the pod declares */
		int64_t n = declared_port(model_pod_at(m, &q->dst), p->destination_named_port, q->proto);
		return n && n == q->port;
	}
	if (p->tcp)
		return !strcmp(proto, "TCP") && number_matches(p->tcp, q->port);
	if (p->udp)
		return !strcmp(proto, "UDP") && number_matches(p->udp, q->port);
	return p->sctp && !strcmp(proto, "SCTP") && number_matches(p->sctp, q->port);
}

static bool protocols_match(const struct model *m, const struct cluster_protocol_list *list,
			    const struct model_question *q)
{
	for (size_t i = 0; i < list->len; i++)
		if (protocol_matches(m, &list->items[i], q))
			return true;
	return !list->len;
}

/* CN11: an Accept rule with an unknown member of its own matches nothing, a Deny or Pass rule with an unknown
 * one anywhere denies all. */
static bool fails_closed(const struct rule *r)
{
	bool closed = r->unknown;
	if (str_eqz(r->action, "Accept"))
		return closed;
	for (size_t i = 0; r->to && i < r->to->len; i++)
		closed |= !to_is_known(&r->to->items[i]);
	for (size_t i = 0; r->from && i < r->from->len; i++)
		closed |= !from_is_known(&r->from->items[i]);
	return closed;
}

enum word { NO_MATCH, ACCEPT, DENY, PASS };

static enum word rule_says(const struct model *m, const struct rule *r, const struct model_question *q)
{
	if (fails_closed(r))
		return str_eqz(r->action, "Accept") ? NO_MATCH : DENY;
	if (!peers_match(m, r, q) || !protocols_match(m, r->protocols, q))
		return NO_MATCH;
	return str_eqz(r->action, "Accept") ? ACCEPT : str_eqz(r->action, "Deny") ? DENY : PASS;
}

/* CN05, CN06: the lower number first, then by name. */
static bool before(const struct object *a, const struct object *b)
{
	int64_t x = a->clusternetworkpolicy->spec->priority.v, y = b->clusternetworkpolicy->spec->priority.v;
	return x != y ? x < y : str_cmp(a->meta.name, b->meta.name) < 0;
}

/* The next policy of the tier behind `last`; NULL: none. */
static const struct object *next_policy(const struct model *m, const char *tier, const struct object *last)
{
	const struct object *best = NULL;
	VEC_EACH (&m->cluster_policies.list, p) {
		if (!str_eqz((*p)->clusternetworkpolicy->spec->tier, tier) || (last && !before(last, *p)))
			continue;
		if (!best || before(*p, best))
			best = *p;
	}
	return best;
}

bool cluster_policy_selects(const struct model *m, const struct object *policy, const struct object *pod)
{
	const struct cluster_subject *s = policy->clusternetworkpolicy->spec->subject;
	return pods_match(m, s->namespaces, s->pods, pod);
}

/* CN01, CN02, CN07: the first rule that matches; Pass ends the tier without a verdict, as does having none.
 */
bool tier_judges(const struct model *m, const char *tier, const struct model_question *q, bool egress,
		 struct model_half *out)
{
	const struct object *subject = model_pod_at(m, egress ? &q->src : &q->dst);
	for (const struct object *p = next_policy(m, tier, NULL); p; p = next_policy(m, tier, p)) {
		const struct clusternetworkpolicy_spec *spec = p->clusternetworkpolicy->spec;
		if ((is_staged(p) && !m->staged) || !cluster_policy_selects(m, p, subject))
			continue;
		for (size_t i = 0; i < (egress ? spec->egress.len : spec->ingress.len); i++) {
			const struct rule r = rule_at(p, egress, i);
			enum word w = rule_says(m, &r, q);
			if (w == PASS)
				return false;
			if (w == NO_MATCH)
				continue;
			*out = (struct model_half){!strcmp(tier, "Admin") ? STAGE_ADMIN : STAGE_BASELINE,
						   w == ACCEPT, p, i};
			return true;
		}
	}
	return false;
}
