/* SPDX-License-Identifier: Apache-2.0 */
/* The reference against the engine, and who gave the verdict; then the kernel, see witness.c. */
#include "judge.h"

#include <stdlib.h>

#include "seam/policy.h"
#include "explain.h"
#include "packet.h"
#include "witness.h"

enum { NAMES_MAX = 8, EXPLAIN_EACH = 16 };

static const char *const verdict_words[] = {"allowed", "refused at the sender", "refused at the receiver",
					    "nobody there"};

static const struct object *policy_named(const struct lab *l, struct str ns, struct str name)
{
	VEC_EACH (&l->model.policies.list, p)
		if (str_eq((*p)->meta.ns, ns) && str_eq((*p)->meta.name, name))
			return *p;
	return NULL;
}

/* Any rule of a NetworkPolicy that matches may be the one that is named. */
bool rule_text_matches(const struct lab *l, const struct model *m, struct str text, bool egress,
		       const struct model_question *q)
{
	struct str ns = str_cut(&text, '/'), name = str_cut(&text, '/'), dir = str_cut(&text, '/');
	const struct object *p = policy_named(l, ns, name);
	int64_t rule;
	return p && str_eqz(dir, egress ? "egress" : "ingress") && !str_to_i64(text, 0, 1000, &rule) &&
	       model_rule_matches(m, p, egress, (size_t)rule, q);
}

static void expected_rule(struct buf *b, const struct model_half *h, bool egress)
{
	if (h->stage == STAGE_POLICY)
		buf_printf(b, STR_FMT "/", STR_ARG(h->policy->meta.ns));
	else
		buf_addz(b, "cluster:");
	buf_printf(b, STR_FMT "/%s/%zu", STR_ARG(h->policy->meta.name), egress ? "egress" : "ingress",
		   h->rule);
}

/*
 * Names are asked for last, and in no order: what is allowed without them may be told as that, and where
 * several names are allowed the rule of any of them may be told.
 */
static bool names_tell(const struct lab *l, const struct model *m, int node, uint32_t id, bool egress,
		       const struct model_question *q, const char *who)
{
	for (size_t i = 0; i <= m->names_len; i++) {
		struct model one = *m;
		AUTO_BUF why = {0};
		one.names = m->names + i;
		one.names_len = i < m->names_len ? 1 : 0;
		struct model_half h = model_half(&one, q, egress);
		if (!h.allow)
			continue;
		/* alone it cannot come here again */
		if (m->names_len == 1 && i == 0)
			continue;
		if (rule_agreed(l, &one, node, id, &h, egress, q, who, &why))
			return true;
	}
	return false;
}

bool rule_agreed(const struct lab *l, const struct model *m, int node, uint32_t id,
		 const struct model_half *h, bool egress, const struct model_question *q, const char *who,
		 struct buf *why)
{
	AUTO_BUF got = {0}, want = {0};
	uint32_t plain = h->stage == STAGE_SELF ? RULE_SELF : h->stage == STAGE_NODE ? RULE_NODE : RULE_NONE;
	bool ok;
	if (h->stage != STAGE_ADMIN && h->stage != STAGE_POLICY && h->stage != STAGE_BASELINE) {
		/* nobody judges a pod that reaches itself through a Service where no cluster policy may */
		ok = id == plain ||
		     (id == RULE_SELF && h->stage == STAGE_OPEN && q->service && addr_eq(&q->src, &q->dst));
		buf_printf(&want, "%s",
			   plain == RULE_SELF	? "pod itself"
			   : plain == RULE_NODE ? "own node"
						: "no rule");
	} else {
		expected_rule(&want, h, egress);
		name_rule(&got, compiler_names(l->compilers[node]), id);
		ok = h->stage == STAGE_POLICY ? rule_text_matches(l, m, buf_str(&got), egress, q)
					      : str_eq(buf_str(&got), buf_str(&want));
	}
	if (ok)
		return true;
	if (h->allow && m->names_len && names_tell(l, m, node, id, egress, q, who))
		return true;
	buf_clear(&got);
	name_rule(&got, compiler_names(l->compilers[node]), id);
	buf_printf(why, "%s names as the rule of %s \"%s\", the reference \"%s\"%s\n", who,
		   egress ? "egress" : "ingress", got.p, want.p,
		   m->staged ? " (staged policies in force)" : "");
	return false;
}

static int node_of(const struct model *m, const struct addr *a)
{
	const struct object *pod = model_pod_at(m, a);
	return pod ? lab_node(pod->pod->spec->node_name) : -1;
}

/* The list of all that passes between the two says the same of this protocol and port. */
static bool ranges_agreed(const struct lab *l, const struct question *q, const struct answer *a,
			  struct buf *why)
{
	struct verdict_ranges all = {0};
	uint8_t proto = packet_has_ports(q->proto) ? q->proto : 0;
	size_t hits = 0;
	bool rules = true;
	if (verdict_ranges(l->engine, q, &all))
		must_have(NULL);
	VEC_EACH (&all.list, r) {
		if (r->proto != proto || r->low > q->port || r->high < q->port)
			continue;
		hits++;
		rules &= r->rule_egress == a->rule_egress && r->rule_ingress == a->rule_ingress;
	}
	vec_free(&all.list);
	if (hits == (a->verdict == JUDGED_ALLOW) && rules)
		return true;
	buf_printf(why, "verdict_ranges has it %zu times%s, verdict_ask says \"%s\"\n", hits,
		   rules ? "" : " by another rule", verdict_words[a->verdict]);
	return false;
}

static bool engine_agreed(const struct lab *l, const struct model *m, const struct shot *s,
			  const struct model_answer *want, struct buf *why)
{
	struct question q = {.src = s->q.src,
			     .dst = s->q.dst,
			     .proto = s->q.proto,
			     .port = s->q.port,
			     .through_service = s->q.service && addr_eq(&s->q.src, &s->q.dst),
			     .staged = m->staged};
	struct str names[NAMES_MAX];
	for (size_t i = 0; i < m->names_len && q.names_len < NAMES_MAX; i++)
		if (addr_eq(&m->names[i].addr, &s->q.dst))
			names[q.names_len++] = m->names[i].name;
	q.names = names;
	struct answer got = verdict_ask(l->engine, &q);
	int from = node_of(m, &s->q.src), to = node_of(m, &s->q.dst);
	if (l->sport % EXPLAIN_EACH == 0 && !ranges_agreed(l, &q, &got, why))
		return false;
	if ((int)got.verdict != (int)want->verdict) {
		buf_printf(why, "the engine says \"%s\", the reference \"%s\"%s\n",
			   verdict_words[got.verdict], verdict_words[want->verdict],
			   m->staged ? " (staged policies in force)" : "");
		return false;
	}
	if (from >= 0 &&
	    !rule_agreed(l, m, from, got.rule_egress, &want->egress, true, &s->q, "the engine", why))
		return false;
	return to < 0 || !want->egress.allow ||
	       rule_agreed(l, m, to, got.rule_ingress, &want->ingress, false, &s->q, "the engine", why);
}

static void reference_says(struct buf *b, const struct model_answer *a)
{
	static const char *const stages[] = {
	    "no pod",	     "itself",	     "own node",	  "the Admin tier",
	    "NetworkPolicy", "default deny", "the Baseline tier", "nothing"};
	buf_printf(b, "the reference: %s (egress %s by %s, ingress %s by %s)\n", verdict_words[a->verdict],
		   a->egress.allow ? "allowed" : "refused", stages[a->egress.stage],
		   a->ingress.allow ? "allowed" : "refused", stages[a->ingress.stage]);
}

/* Would it be judged otherwise if no DNS answer had been seen? */
static bool named(const struct lab *l, const struct shot *s, const struct model_answer *want)
{
	struct model m = l->model;
	m.names_len = 0;
	for (size_t i = 0; i < l->model.names_len; i++)
		if (addr_eq(&m.names[i].addr, &s->q.dst))
			return model_ask(&m, &s->q).verdict != want->verdict;
	return false;
}

bool shot_agreed(struct lab *l, const struct shot *s, struct cover *c, struct buf *why)
{
	lab_names(l, node_of(&l->model, &s->q.src));
	struct model_answer want = model_ask(&l->model, &s->q), staged = model_ask(&l->staged, &s->q);
	if (c) {
		cover_add(c, &s->q, &want);
		c->staged_differs += want.verdict != staged.verdict;
		c->explained += l->sport % EXPLAIN_EACH == 0;
		c->services += s->q.service;
		c->by_name += named(l, s, &want);
	}
	if (engine_agreed(l, &l->model, s, &want, why) && engine_agreed(l, &l->staged, s, &staged, why) &&
	    (l->sport % EXPLAIN_EACH || explained(l, s, &want, why)) &&
	    (!l->kernels || kernel_agreed(l, s, &want, c, why)))
		return true;
	reference_says(why, &want);
	return false;
}
