/* SPDX-License-Identifier: Apache-2.0 */
/* A flow from end to end: the stages of each end, then both ends together. Called by tests. */
#include <errno.h>

#include "match.h"

int model_init(struct model *m, const struct store *s)
{
	*m = (struct model){0};
	if (store_list(s, KIND_node, STR(""), &m->nodes) ||
	    store_list(s, KIND_namespace, STR(""), &m->namespaces) ||
	    store_list(s, KIND_pod, STR(""), &m->pods) ||
	    store_list(s, KIND_networkpolicy, STR(""), &m->policies) ||
	    store_list(s, KIND_clusternetworkpolicy, STR(""), &m->cluster_policies)) {
		model_fini(m);
		return -ENOMEM;
	}
	return 0;
}

void model_fini(struct model *m)
{
	vec_free(&m->nodes.list);
	vec_free(&m->namespaces.list);
	vec_free(&m->pods.list);
	vec_free(&m->policies.list);
	vec_free(&m->cluster_policies.list);
}

/* CN01 to CN04: Admin tier, NetworkPolicies, Baseline tier; what isolates never comes to the last. */
struct model_half model_half(const struct model *m, const struct model_question *q, bool egress)
{
	const struct object *subject = model_pod_at(m, egress ? &q->src : &q->dst);
	bool self = addr_eq(&q->src, &q->dst);
	struct model_half h = {.allow = true};
	if (!subject)
		return h;
	if (self && !q->service) { /* NP63, CN18: never judged */
		h.stage = STAGE_SELF;
		return h;
	}
	if (!egress) { /* NP61: sockets of the node on which the pod runs */
		const struct object *node = model_node_at(m, &q->src);
		if (node && str_eq(node->meta.name, subject->pod->spec->node_name)) {
			h.stage = STAGE_NODE;
			return h;
		}
	}
	if (tier_judges(m, "Admin", q, egress, &h))
		return h;
	/* NP64, CN18: through a Service to itself, cluster policies judge and NetworkPolicies do not */
	if (!self && policies_judge(m, q, egress, &h))
		return h;
	if (tier_judges(m, "Baseline", q, egress, &h))
		return h;
	return (struct model_half){.stage = STAGE_OPEN, .allow = true}; /* NP01, CN07 */
}

/* NP09, NP10, CN08: both ends must allow; the sender's end is judged first. */
struct model_answer model_ask(const struct model *m, const struct model_question *q)
{
	struct model_answer a = {.verdict = MODEL_ALLOW, .ingress = {.allow = true}};
	a.egress = model_half(m, q, true);
	if (!a.egress.allow) {
		a.verdict = MODEL_DENY_EGRESS;
		return a;
	}
	if (!model_pod_at(m, &q->dst)) {
		if (!model_node_at(m, &q->dst) && model_in_pod_range(m, &q->dst))
			a.verdict = MODEL_NOBODY;
		return a;
	}
	a.ingress = model_half(m, q, false);
	if (!a.ingress.allow)
		a.verdict = MODEL_DENY_INGRESS;
	return a;
}

enum model_verdict model_verdict_of(const struct store *s, const struct model_question *q)
{
	struct model m;
	if (model_init(&m, s))
		abort();
	enum model_verdict v = model_ask(&m, q).verdict;
	model_fini(&m);
	return v;
}

bool model_strict(const struct model *m, const struct object *pod)
{
	VEC_EACH (&m->policies.list, p)
		if (is_strict(*p) && policy_selects(*p, pod))
			return true;
	VEC_EACH (&m->cluster_policies.list, p)
		if (is_strict(*p) && cluster_policy_selects(m, *p, pod))
			return true;
	return false;
}
