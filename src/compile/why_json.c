/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explanations as JSON, for the agent's socket and the command line. Judges nothing; compares what rows,
 * objects and kernel said. See why.h.
 */
#include <netinet/in.h>

#include "compile/why_state.h"

static const char *const reasons[] = {
    [WHY_UNSELECTED] = "not-selected", [WHY_OPEN] = "open", [WHY_RULE] = "rule",
    [WHY_ACCEPT] = "accept",	       [WHY_DENY] = "deny", [WHY_DEFAULT] = "default-deny",
    [WHY_OWN_NODE] = "own-node",       [WHY_SELF] = "self",
};
static const char *const ways[] = {
    [WAY_HERE] = "local",    [WAY_OVER_TUNNEL] = "tunnel",    [WAY_BY_ROUTE] = "route",
    [WAY_TO_NODE] = "node",  [WAY_OUT] = "outside",	      [WAY_OWN_NODE] = "own-node",
    [WAY_NOBODY] = "nobody", [WAY_NO_SERVICE] = "no-service", [WAY_UNASSIGNED] = "unassigned",
};

static void member(struct buf *b, const char *name, struct str value)
{
	buf_printf(b, ",\"%s\":", name);
	buf_json(b, value);
}

void why_json_pos(struct buf *b, struct pos p)
{
	if (!p.file || !p.line)
		return;
	member(b, "file", str_of(p.file->name));
	buf_printf(b, ",\"line\":%u,\"column\":%u", p.line, p.col);
	if (p.file->commit)
		member(b, "commit", str_of(p.file->commit));
}

static void json_addr(struct buf *b, const char *name, const struct addr *a)
{
	char text[ADDR_TEXT];

	addr_print(a, text);
	member(b, name, str_of(text));
}

static void json_rule(struct buf *b, const struct why_rule *r)
{
	buf_addz(b, "{\"policy\":");
	buf_json(b, r->policy);
	member(b, "path", r->path);
	member(b, "id", r->text);
	if (r->name.n)
		member(b, "name", r->name);
	if (r->tier.n) {
		member(b, "tier", r->tier);
		buf_printf(b, ",\"priority\":%lld", (long long)r->priority);
	}
	why_json_pos(b, r->pos);
	buf_addc(b, '}');
}

static void json_place(struct buf *b, const struct why_place *p)
{
	buf_addz(b, "{\"policy\":");
	buf_json(b, p->name);
	buf_printf(b, ",\"rules\":%zu", p->rules);
	if (p->tier.n) {
		member(b, "tier", p->tier);
		buf_printf(b, ",\"priority\":%lld", (long long)p->priority);
	}
	if (p->staged)
		buf_addz(b, ",\"staged\":true");
	why_json_pos(b, p->pos);
	buf_addc(b, '}');
}

static void json_miss(struct buf *b, const struct why_miss *m)
{
	buf_addz(b, "{\"policy\":");
	buf_json(b, m->policy);
	member(b, "what", m->what);
	buf_printf(b, ",\"fields\":%u", m->fields);
	why_json_pos(b, m->pos);
	buf_addc(b, '}');
}

static bool decided_by_rule(const struct why_side *s)
{
	return s->reason == WHY_RULE || s->reason == WHY_ACCEPT || s->reason == WHY_DENY;
}

/* The members of one reading, after whatever stands before them. */
static void json_side(struct buf *b, const struct why_side *s, bool learned)
{
	bool allowed = s->allowed || learned;

	buf_printf(b, ",\"allowed\":%s,\"reason\":\"%s\"", allowed ? "true" : "false",
		   learned ? "learned" : reasons[s->reason]);
	if (decided_by_rule(s)) {
		buf_addz(b, ",\"rule\":");
		json_rule(b, &s->rule);
	}
	buf_addz(b, ",\"passed\":[");
	VEC_EACH (&s->passed, r) {
		buf_addz(b, r == s->passed.items ? "" : ",");
		json_rule(b, r);
	}
	buf_addz(b, "],\"policies\":[");
	VEC_EACH (&s->policies, p) {
		buf_addz(b, p == s->policies.items ? "" : ",");
		json_place(b, p);
	}
	buf_addz(b, "],\"missed\":[");
	for (size_t i = 0; !allowed && i < s->misses.len; i++) {
		buf_addz(b, i ? "," : "");
		json_miss(b, &s->misses.items[i]);
	}
	buf_addz(b, "],\"domainNames\":[");
	for (size_t i = 0; i < s->names.len; i++) {
		buf_addz(b, i ? ",{\"pattern\":" : "{\"pattern\":");
		buf_json(b, s->names.items[i].pattern);
		buf_printf(b, ",\"class\":%u", s->names.items[i].class);
		buf_addz(b, ",\"rule\":");
		json_rule(b, &s->names.items[i].rule);
		buf_addc(b, '}');
	}
	buf_addc(b, ']');
}

/* The kernel knows the address under a name that a rule accepts. */
static bool learned(const struct explanation *e)
{
	return !e->now.allowed && e->now.names.len && e->asked && e->ask.found &&
	       e->ask.verdict == VERDICT_ALLOW;
}

/* Rows and objects; then rows and kernel. Empty where they agree. */
static void differences(struct buf *b, const struct explanation *e)
{
	const struct ask *k = &e->ask;
	bool kernel = k->verdict == VERDICT_ALLOW;

	if (e->now.reason == WHY_OWN_NODE || e->now.reason == WHY_SELF)
		return;
	if (e->rows.found && e->rows.allowed != e->now.allowed)
		buf_printf(b, "the rows in force %s it, by %s" STR_FMT, e->rows.allowed ? "allow" : "refuse",
			   e->rows.rule ? "rule " : "", STR_ARG(e->rows.rule_text));
	else if (e->rows.found && decided_by_rule(&e->now) && !str_eq(e->rows.rule_text, e->now.rule.text))
		buf_printf(b, "the rows in force name rule " STR_FMT, STR_ARG(e->rows.rule_text));
	if (!e->asked || !e->rows.found || b->n)
		return;
	if (!k->found)
		buf_addz(b, "the kernel knows no such pod");
	else if (kernel != e->rows.allowed && !learned(e))
		buf_printf(b, "the kernel %s it (set %08x, class %08x, rule %08x)",
			   kernel ? "allows" : "refuses", k->set, k->class, k->rule);
	else if (k->set != e->rows.set || k->class != e->rows.class)
		buf_printf(b, "the kernel has set %08x and class %08x, not %08x and %08x", k->set, k->class,
			   e->rows.set, e->rows.class);
	else if (e->any_staged && k->staged_set != SET_NONE &&
		 (k->staged_verdict == VERDICT_ALLOW) != e->staged.allowed && !e->staged.names.len)
		buf_printf(b, "with staged policies the kernel would %s it",
			   k->staged_verdict == VERDICT_ALLOW ? "allow" : "refuse");
	else if (kernel == e->rows.allowed && k->rule != e->rows.rule)
		buf_printf(b, "the kernel names rule %08x, not %08x", k->rule, e->rows.rule);
}

void explanation_json(struct buf *b, const struct explanation *e)
{
	AUTO_BUF differs = {0};

	buf_printf(b, "{\"direction\":\"%s\",\"pod\":", e->dir == DIR_INGRESS ? "ingress" : "egress");
	buf_json(b, e->pod);
	member(b, "peer", e->peer);
	json_side(b, &e->now, learned(e));
	if (e->rows.found)
		buf_printf(b, ",\"set\":%u,\"class\":%u,\"ruleNumber\":%u", e->rows.set, e->rows.class,
			   e->rows.rule);
	if (e->any_staged) {
		buf_addz(b, ",\"staged\":{\"staged\":true");
		json_side(b, &e->staged, false);
		buf_addc(b, '}');
	}
	buf_printf(b, ",\"kernelAsked\":%s", e->asked ? "true" : "false");
	if (e->asked && e->ask.found)
		buf_printf(b, ",\"kernelAllows\":%s", e->ask.verdict == VERDICT_ALLOW ? "true" : "false");
	differences(&differs, e);
	if (differs.n)
		member(b, "differs", buf_str(&differs));
	b->failed |= differs.failed;
	buf_addc(b, '}');
}

static void json_flow(struct buf *b, const struct why_flow *f)
{
	buf_printf(b, "{\"port\":%u,\"way\":\"%s\"", f->port, ways[f->way]);
	json_addr(b, "address", &f->dst);
	json_addr(b, "seenAs", &f->seen_src);
	if (f->pod.n)
		member(b, "pod", f->pod);
	if (f->node.n)
		member(b, "node", f->node);
	if (f->masquerade)
		buf_addz(b, ",\"masquerade\":true");
	if (f->self)
		buf_addz(b, ",\"self\":true");
	if (f->judged) {
		buf_addz(b, ",\"egress\":");
		explanation_json(b, &f->egress);
	}
	buf_addc(b, '}');
}

static void json_service(struct buf *b, const struct why_answer *a)
{
	member(b, "as", a->as);
	if (str_eqz(a->as, "nodePort"))
		buf_addz(b, ",\"nodePort\":true");
	if (a->announced_by.n)
		member(b, "announcedBy", a->announced_by);
	if (a->affinity)
		buf_printf(b, ",\"affinitySeconds\":%u", a->affinity);
	if (a->maglev)
		buf_addz(b, ",\"maglev\":true");
	if (a->direct)
		buf_addz(b, ",\"direct\":true");
}

void why_answer_json(struct buf *b, const struct why_answer *a)
{
	buf_addz(b, "{\"node\":");
	buf_json(b, a->node);
	if (a->service.n) {
		buf_addz(b, ",\"translation\":{\"service\":");
		buf_json(b, a->service);
		json_service(b, a);
		why_json_pos(b, a->service_pos);
		buf_addc(b, '}');
	}
	if (a->no_way.n)
		member(b, "noWay", a->no_way);
	buf_addz(b, ",\"flows\":[");
	VEC_EACH (&a->flows, f) {
		buf_addz(b, f == a->flows.items ? "\n" : ",\n");
		json_flow(b, f);
	}
	buf_addz(b, "]}");
}
