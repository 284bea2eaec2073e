/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the number of a drop's cause, or of the rule that let a flow in, stands for, as JSON: as long as it is
 * in force, and for the newest ones after that, since people ask when it is over. Judges nothing. See why.h.
 */
#include <stdlib.h>

#include "compile/why_state.h"

enum { PAST_MAX = 512 };

static void cause_policy(struct buf *b, const struct policy_dir *d)
{
	const struct object *o = d->o;
	bool cluster = o->desc->kind == KIND_clusternetworkpolicy;

	buf_printf(b, "{\"policy\":\"%s " STR_FMT "\"", o->desc->name, STR_ARG(object_key(o)));
	if (!cluster)
		buf_addz(b, ",\"isolates\":true");
	if (why_is_staged(o))
		buf_addz(b, ",\"staged\":true");
	why_json_pos(b, object_pos(o, cluster ? (const void *)&o->clusternetworkpolicy->spec->subject
					      : &o->networkpolicy->spec->pod_selector));
	buf_addc(b, '}');
}

static void print_set(struct buf *b, const struct pset *s)
{
	buf_printf(b, "{\"set\":%u,\"policies\":[", s->id);
	VEC_EACH (&s->parts, p) {
		buf_addz(b, p == s->parts.items ? "" : ",");
		cause_policy(b, *p);
	}
	buf_addc(b, ']');
}

/* "shop/web/ingress/0" → "ingress[0]" */
static void print_path(struct buf *b, const struct rule *r)
{
	const char *last = strrchr(r->text, '/'), *before = last;

	while (before && before > r->text && before[-1] != '/')
		before--;
	if (last)
		buf_printf(b, "%.*s[%s]", (int)(last - before), before, last + 1);
}

static void print_rule(struct buf *b, const struct rule *r)
{
	AUTO_BUF path = {0};

	print_path(&path, r);
	buf_printf(b, "{\"rule\":%u,\"text\":", r->id);
	buf_json(b, str_of(r->text));
	if (r->src.o) {
		buf_addz(b, ",\"policy\":");
		buf_json(b, str_of(r->src.text));
	}
	buf_addz(b, ",\"path\":");
	buf_json(b, buf_str(&path));
	if (r->src.o)
		why_json_pos(b, object_pos(r->src.o, r->member));
}

/* --- what is over ---------------------------------------------------------------------------------- */

struct past_cause {
	uint32_t id;
	char *json; /* without the closing brace */
};

static struct past_cause *past_find(const struct compiler *c, uint32_t id)
{
	VEC_EACH (&c->past.list, p)
		if (p->id == id)
			return p;
	return NULL;
}

/* Without memory it is forgotten: nothing else depends on it. */
static void past_keep(struct compiler *c, uint32_t id, struct buf *json)
{
	struct past_cause *p = past_find(c, id);

	if (json->failed)
		return;
	if (!p && c->past.list.len < PAST_MAX) {
		if (vec_push(&c->past.list, (struct past_cause){.id = id, .json = json->p}))
			return;
		*json = (struct buf){0};
		return;
	}
	if (!p) {
		p = &c->past.list.items[c->past.next];
		c->past.next = (c->past.next + 1) % PAST_MAX;
	}
	free(p->json);
	*p = (struct past_cause){.id = id, .json = json->p};
	*json = (struct buf){0};
}

void past_set(struct compiler *c, const struct pset *s)
{
	AUTO_BUF b = {0};

	print_set(&b, s);
	past_keep(c, s->id, &b);
}

void past_rule(struct compiler *c, const struct rule *r)
{
	AUTO_BUF b = {0};

	if (!r->text || !r->src.text || !r->id) /* memory ran out as it was made */
		return;
	print_rule(&b, r);
	past_keep(c, r->id, &b);
}

void past_fini(struct compiler *c)
{
	VEC_EACH (&c->past.list, p)
		free(p->json);
	vec_free(&c->past.list);
}

/* --- asked ----------------------------------------------------------------------------------------- */

/* What went in the last run is still known by name, as its rows were on their way. */
static bool rule_in_force(const struct compiler *c, const struct rule *r)
{
	HASH_EACH (&c->sets, it) {
		const struct pset *s = it->value;

		for (size_t i = 0; s->refs && i < s->parts.len; i++)
			VEC_EACH (&s->parts.items[i]->rules, pr)
				if (pr->rule == r)
					return true;
	}
	return false;
}

bool why_cause_json(const struct compiler *c, struct buf *b, uint32_t id)
{
	const struct pset *s = id_find(&c->set_ids, id);
	const struct rule *r = s ? NULL : id_find(&c->rule_ids, id);
	const struct past_cause *past = s || r ? NULL : past_find(c, id);
	bool now = s ? s->refs : r && rule_in_force(c, r);

	if (id == RULE_NODE || id == RULE_SELF) {
		buf_printf(b, "{\"rule\":%u,\"text\":\"%s\"}", id,
			   id == RULE_NODE ? "from the pod's own node" : "the pod itself");
		return true;
	}
	if (s)
		print_set(b, s);
	else if (r)
		print_rule(b, r);
	else if (past)
		buf_addz(b, past->json);
	else
		return false;
	buf_addz(b, now ? "}" : ",\"over\":true}");
	return true;
}
