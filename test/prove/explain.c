/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The explanation of each end must give the reference's verdict, its reason and its rule, and name all rules
 * of NetworkPolicies that match, and no other. It does not know what DNS told, so the reference must not
 * here.
 */
#include "explain.h"

#include "compile/why.h"
#include "witness.h"

struct asked { /* one end */
	const struct lab *lab;
	const struct shot *shot;
	const struct explanation *e;
	bool egress;
	struct buf *why;
};

static bool refuse(const struct asked *a, const char *what, const struct why_side *side)
{
	buf_printf(a->why, "why: %s: %s (%s, rule \"" STR_FMT "\")%s\n", a->egress ? "egress" : "ingress",
		   what, side->allowed ? "allowed" : "refused", STR_ARG(side->rule.text),
		   side == &a->e->staged ? " (staged policies in force)" : "");
	return false;
}

static bool reason_is(enum why_reason r, const struct model_half *h)
{
	switch (h->stage) {
	case STAGE_SELF:
		return r == WHY_SELF;
	case STAGE_NODE:
		return r == WHY_OWN_NODE;
	case STAGE_ADMIN:
	case STAGE_BASELINE:
		return r == (h->allow ? WHY_ACCEPT : WHY_DENY);
	case STAGE_POLICY:
		return r == WHY_RULE;
	case STAGE_ISOLATED:
		return r == WHY_DEFAULT;
	default:
		return r == WHY_OPEN || r == WHY_UNSELECTED || r == WHY_SELF;
	}
}

/* How many rules of NetworkPolicies in force match. */
static size_t matching(const struct model *m, const struct asked *a)
{
	const struct model_question *q = &a->shot->q;
	size_t n = 0;
	VEC_EACH (&m->policies.list, p) {
		const struct networkpolicy_spec *spec = (*p)->networkpolicy->spec;
		size_t rules = a->egress ? spec->egress.len : spec->ingress.len;
		if (!model_isolates(m, *p, a->egress, q))
			continue;
		for (size_t r = 0; r < rules; r++)
			n += model_rule_matches(m, *p, a->egress, r, q);
	}
	return n;
}

static bool side_agreed(const struct asked *a, const struct model *m, const struct why_side *side)
{
	struct model_half h = model_half(m, &a->shot->q, a->egress);
	AUTO_BUF text = {0};
	if (side->allowed != h.allow)
		return refuse(a, "another verdict", side);
	if (!reason_is(side->reason, &h))
		return refuse(a, "another reason", side);
	if (h.stage == STAGE_ADMIN || h.stage == STAGE_BASELINE) {
		buf_printf(&text, "cluster:" STR_FMT "/%s/%zu", STR_ARG(h.policy->meta.name),
			   a->egress ? "egress" : "ingress", h.rule);
		if (!str_eq(side->rule.text, buf_str(&text)))
			return refuse(a, "another rule", side);
	}
	if (h.stage != STAGE_POLICY)
		return true;
	if (!rule_text_matches(a->lab, m, side->rule.text, a->egress, &a->shot->q))
		return refuse(a, "a rule that does not match", side);
	VEC_EACH (&side->allow, r)
		if (!rule_text_matches(a->lab, m, r->text, a->egress, &a->shot->q))
			return refuse(a, "among the rules that match one that does not", side);
	return side->allow.len == matching(m, a) || refuse(a, "another number of rules that match", side);
}

static bool end_agreed(const struct asked *a)
{
	struct model now = a->lab->model, staged = a->lab->staged;
	now.names_len = staged.names_len = 0;
	if (!side_agreed(a, &now, &a->e->now))
		return false;
	if (a->e->rows.found && a->e->rows.allowed != a->e->now.allowed)
		return refuse(a, "rows and objects differ", &a->e->now);
	if (a->e->any_staged)
		return side_agreed(a, &staged, &a->e->staged);
	return model_half(&now, &a->shot->q, a->egress).allow ==
		   model_half(&staged, &a->shot->q, a->egress).allow ||
	       refuse(a, "no staged policy is told of", &a->e->now);
}

static int node_of(const struct lab *l, const struct addr *a)
{
	const struct object *pod = model_pod_at(&l->model, a);
	return pod ? lab_node(pod->pod->spec->node_name) : -1;
}

static bool from_agreed(const struct lab *l, const struct shot *s, int node, struct buf *why)
{
	struct why_question q = {.src = s->q.src,
				 .dst = s->q.service ? s->to : s->q.dst,
				 .proto = s->q.proto,
				 .port = s->q.service ? s->to_port : s->q.port};
	struct why_answer answer = {0};
	bool ok = false;
	if (why_from(l->compilers[node], &q, &answer)) {
		buf_addz(why, "why_from fails\n");
	} else if (answer.flows.len != 1 || !addr_eq(&answer.flows.items[0].dst, &s->q.dst) ||
		   answer.flows.items[0].port != s->q.port || !answer.flows.items[0].judged) {
		buf_printf(why, "why: %zu ways, or another one\n", answer.flows.len);
	} else {
		const struct asked a = {l, s, &answer.flows.items[0].egress, true, why};
		ok = end_agreed(&a);
	}
	why_answer_fini(&answer);
	return ok;
}

static bool to_agreed(const struct lab *l, const struct shot *s, int node, struct buf *why)
{
	const struct object *host = model_node_at(&l->model, &s->q.src);
	bool own = host && lab_node(host->meta.name) == node;
	struct why_question q = {.src = s->q.src,
				 .dst = s->q.dst,
				 .proto = s->q.proto,
				 .port = s->q.port,
				 .outside = !own && !model_pod_at(&l->model, &s->q.src),
				 .self = s->q.service && addr_eq(&s->q.src, &s->q.dst)};
	struct explanation e = {0};
	bool ok = false;
	if (why_to(l->compilers[node], &q, &e)) {
		buf_addz(why, "why_to fails\n");
	} else {
		const struct asked a = {l, s, &e, false, why};
		ok = end_agreed(&a);
	}
	explanation_fini(&e);
	return ok;
}

bool explained(const struct lab *l, const struct shot *s, const struct model_answer *want, struct buf *why)
{
	int from = node_of(l, &s->q.src), to = node_of(l, &s->q.dst);
	if (from >= 0 && !from_agreed(l, s, from, why))
		return false;
	return to < 0 || !want->egress.allow || to_agreed(l, s, to, why);
}
