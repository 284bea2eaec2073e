/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the rule or the policies that make a difference. Called by diff.c for each kind of change once. */
#include "reason/cause.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "reason/select.h"
#include "seam/policy.h"

static int add(struct causes *c, enum cause_kind kind, const char *text, const char *rule, struct pos at,
	       struct cause_list *out)
{
	AUTO_BUF key = {0};

	buf_printf(&key, "%d|%s|%s|", kind, text, rule ? rule : "");
	pos_print(&key, at);
	if (key.failed)
		return -ENOMEM;
	uint32_t known = (uint32_t)(uintptr_t)hash_get(&c->by_text, buf_str(&key));
	if (!known) {
		struct diff_cause cause = {.kind = kind,
					   .text = strdup(text),
					   .rule = rule ? strdup(rule) : NULL,
					   .file = file_ref((struct file *)(uintptr_t)at.file),
					   .line = at.line,
					   .col = at.col};
		if (!cause.text || (rule && !cause.rule) || vec_push(&c->d->causes, cause)) {
			free(cause.text);
			free(cause.rule);
			file_unref(&cause.file);
			return -ENOMEM;
		}
		known = (uint32_t)c->d->causes.len;
		if (hash_set(&c->by_text, buf_str(&key), (void *)(uintptr_t)known, NULL))
			return -ENOMEM;
	}
	VEC_EACH (&out->list, i)
		if (*i == known - 1)
			return 0;
	return vec_push(&out->list, known - 1);
}

static int add_rule(struct causes *c, enum cause_kind kind, int engine, uint32_t rule, struct cause_list *out)
{
	AUTO_BUF text = {0};
	struct origin o = engine_rule(c->d->ends.engines[engine], rule, &text);

	return add(c, kind, o.object ? o.object : text.p ? text.p : "", text.p, o.pos, out);
}

static bool listed(const struct object_refs *l, const struct object *o)
{
	for (size_t i = 0; i < l->list.len; i++)
		if (str_eq(l->list.items[i]->meta.name, o->meta.name))
			return true;
	return false;
}

/* The policies of one store that isolate the end; those that do not in the other store, if there are such. */
static int add_isolating(struct causes *c, enum cause_kind kind, int engine, const struct side *s,
			 struct cause_list *out)
{
	struct object_refs here = {0}, there = {0};
	bool news = false;
	int r = policies_isolating(engine_store(c->d->ends.engines[engine]), s->end->o[engine], s->egress,
				   c->staged, &here);

	if (!r)
		r = policies_isolating(engine_store(c->d->ends.engines[!engine]), s->end->o[!engine],
				       s->egress, c->staged, &there);
	VEC_EACH (&here.list, o)
		news |= !listed(&there, *o);
	VEC_EACH (&here.list, o) {
		AUTO_BUF text = {0};
		if (r || (news && listed(&there, *o)))
			continue;
		buf_printf(&text, "NetworkPolicy " STR_FMT "/" STR_FMT, STR_ARG((*o)->meta.ns),
			   STR_ARG((*o)->meta.name));
		r = text.failed ? -ENOMEM
				: add(c, kind, text.p, NULL,
				      object_pos(*o, &(*o)->networkpolicy->spec->pod_selector), out);
	}
	vec_free(&here.list);
	vec_free(&there.list);
	return r;
}

int cause_refused(struct causes *c, const struct side *s, struct cause_list *out)
{
	if (s->now->rule >= RULE_FIRST)
		return add_rule(c, CAUSE_DENIES, 1, s->now->rule, out);
	if (s->was->rule >= RULE_FIRST)
		return add_rule(c, CAUSE_ALLOWED, 0, s->was->rule, out);
	return add_isolating(c, CAUSE_ISOLATES, 1, s, out);
}

int cause_allowed(struct causes *c, const struct side *s, struct cause_list *out)
{
	if (s->now->rule >= RULE_FIRST)
		return add_rule(c, CAUSE_ALLOWS, 1, s->now->rule, out);
	if (s->was->rule >= RULE_FIRST)
		return add_rule(c, CAUSE_DENIED, 0, s->was->rule, out);
	return add_isolating(c, CAUSE_ISOLATED, 0, s, out);
}

void causes_fini(struct causes *c)
{
	hash_fini(&c->by_text);
}
