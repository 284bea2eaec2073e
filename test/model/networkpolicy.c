/* SPDX-License-Identifier: Apache-2.0 */
/* NetworkPolicy: which of them isolate a pod in a direction, and whether a rule allows. Called by the model
 * only. */
#include "match.h"

/* NP26 to NP31, NP34 to NP38. */
static bool peer_matches(const struct model *m, const struct object *policy, const struct policy_peer *p,
			 const struct addr *a)
{
	const struct object *pod = model_pod_at(m, a);
	if (p->ip_block) {
		/* NP35: an exception holds for pods as well. NP36: other entries do not see it. */
		for (size_t i = 0; i < p->ip_block->except.len; i++)
			if (block_has(p->ip_block->except.items[i], a))
				return false;
		return block_has(p->ip_block->cidr, a);
	}
	if (!pod) /* NP30, NP42: selectors cover pods only */
		return false;
	if (p->namespace_selector) {
		if (!namespace_matches(m, p->namespace_selector, pod->meta.ns))
			return false;
	} else if (!str_eq(pod->meta.ns, policy->meta.ns)) { /* NP28, NP31 */
		return false;
	}
	return !p->pod_selector || labels_match(p->pod_selector, &pod->meta.labels); /* NP26, NP29 */
}

/* NP44 to NP47, NP50 to NP54, NP56, NP58, NP60. */
static bool port_matches(const struct model *m, const struct policy_port *p, const struct model_question *q)
{
	struct str protocol = p->protocol.n ? p->protocol : STR("TCP");
	if (!str_eqz(protocol, protocol_name(q->proto)))
		return false;
	if (p->port.type == INTSTR_UNSET)
		return true;
	if (p->port.type == INTSTR_STR) {
		/* NP50, NP54: looked up on the destination, which must be a pod */
		int64_t n = declared_port(model_pod_at(m, &q->dst), p->port.s, q->proto);
		return n && n == q->port;
	}
	if (p->end_port.set)
		return q->port >= p->port.i && q->port <= p->end_port.v;
	return q->port == p->port.i;
}

/* NP25, NP43, NP48, NP49, NP70, NP75: an empty list is everything; peers AND ports. */
static bool rule_matches(const struct model *m, const struct object *policy,
			 const struct policy_peer_list *peers, const struct policy_port_list *ports,
			 const struct addr *peer, const struct model_question *q)
{
	bool peer_ok = !peers->len, port_ok = !ports->len;
	for (size_t i = 0; i < peers->len; i++)
		peer_ok |= peer_matches(m, policy, &peers->items[i], peer);
	for (size_t i = 0; i < ports->len; i++)
		port_ok |= port_matches(m, &ports->items[i], q);
	return peer_ok && port_ok;
}

static size_t rules(const struct object *policy, bool egress)
{
	const struct networkpolicy_spec *spec = policy->networkpolicy->spec;
	return egress ? spec->egress.len : spec->ingress.len;
}

bool model_rule_matches(const struct model *m, const struct object *policy, bool egress, size_t rule,
			const struct model_question *q)
{
	const struct networkpolicy_spec *spec = policy->networkpolicy->spec;
	if (rule >= rules(policy, egress))
		return false;
	if (egress)
		return rule_matches(m, policy, &spec->egress.items[rule].to, &spec->egress.items[rule].ports,
				    &q->dst, q);
	return rule_matches(m, policy, &spec->ingress.items[rule].from, &spec->ingress.items[rule].ports,
			    &q->src, q);
}

/* NP04 to NP07. */
static bool has_direction(const struct networkpolicy_spec *spec, bool egress)
{
	for (size_t i = 0; i < spec->policy_types.len; i++)
		if (str_eqz(spec->policy_types.items[i], egress ? "Egress" : "Ingress"))
			return true;
	if (spec->policy_types.len)
		return false;
	return !egress || spec->egress.len;
}

bool policy_selects(const struct object *policy, const struct object *pod)
{
	return str_eq(policy->meta.ns, pod->meta.ns) &&
	       labels_match(policy->networkpolicy->spec->pod_selector, &pod->meta.labels);
}

bool model_isolates(const struct model *m, const struct object *policy, bool egress,
		    const struct model_question *q)
{
	const struct object *subject = model_pod_at(m, egress ? &q->src : &q->dst);
	return subject && policy_selects(policy, subject) &&
	       has_direction(policy->networkpolicy->spec, egress) && (m->staged || !is_staged(policy));
}

/* NP01 to NP03, NP08, NP11: isolated by any policy of its namespace that selects it, then the union of rules.
 */
bool policies_judge(const struct model *m, const struct model_question *q, bool egress,
		    struct model_half *out)
{
	bool isolated = false;
	VEC_EACH (&m->policies.list, it) {
		const struct object *policy = *it;
		if (!model_isolates(m, policy, egress, q))
			continue;
		isolated = true;
		for (size_t i = 0; i < rules(policy, egress); i++) {
			if (!model_rule_matches(m, policy, egress, i, q))
				continue;
			*out = (struct model_half){STAGE_POLICY, true, policy, i};
			return true;
		}
	}
	*out = (struct model_half){.stage = STAGE_ISOLATED};
	return isolated;
}
