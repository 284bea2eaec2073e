/* SPDX-License-Identifier: Apache-2.0 */
/* Rights: see access.h. */
#include "serve/access.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct access_grant all_of_it[] = {{.ns = "*", .level = ACCESS_ADMIN}};
const struct who access_everything = {.grants = {.items = all_of_it, .len = 1}};
const struct who access_nothing = {.ended = true};

int who_new(struct who **out, const char *user)
{
	struct who *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	snprintf(w->user, sizeof(w->user), "%s", user);
	w->refs = 1;
	*out = w;
	return 0;
}

/* The counter is the only thing that changes behind a const: who holds one may not alter it. */
static struct who *counted(const struct who *w)
{
	return w && w->refs ? (struct who *)(uintptr_t)w : NULL;
}

const struct who *who_ref(const struct who *w)
{
	struct who *c = counted(w);

	if (c)
		c->refs++;
	return w;
}

void who_unref(const struct who **pw)
{
	struct who *c = counted(*pw);

	*pw = NULL;
	if (!c || --c->refs)
		return;
	vec_free(&c->grants);
	free(c);
}

bool who_same_rights(const struct who *a, const struct who *b)
{
	if (a->grants.len != b->grants.len)
		return false;
	VEC_EACH (&a->grants, g) {
		bool found = false;

		VEC_EACH (&b->grants, o)
			found |= !strcmp(g->ns, o->ns) && g->level == o->level;
		if (!found)
			return false;
	}
	return true;
}

static struct access_grant *grant_of(const struct who *w, struct str ns)
{
	VEC_EACH (&w->grants, g)
		if (str_eqz(ns, g->ns))
			return g;
	return NULL;
}

int who_grant(struct who *w, struct str ns, enum access_level level)
{
	struct access_grant *g = grant_of(w, ns), add = {.level = level};

	if (!ns.n || ns.n >= sizeof(add.ns))
		return -EINVAL;
	if (g) {
		g->level = g->level > level ? g->level : level;
		return 0;
	}
	memcpy(add.ns, ns.p, ns.n);
	return vec_push(&w->grants, add);
}

enum access_level access_level(const struct who *w, struct str ns)
{
	const struct access_grant *all = grant_of(w, STR("*"));
	const struct access_grant *one = ns.n ? grant_of(w, ns) : NULL;
	enum access_level a = all ? all->level : ACCESS_NONE, b = one ? one->level : ACCESS_NONE;

	return a > b ? a : b;
}

enum access_level access_anywhere(const struct who *w)
{
	enum access_level most = ACCESS_NONE;

	VEC_EACH (&w->grants, g)
		most = g->level > most ? g->level : most;
	return most;
}

/* Kinds that say who may what. */
static bool is_of_access(enum kind kind)
{
	return kind == KIND_user || kind == KIND_role;
}

/* What is in no namespace is read with a level in any. */
bool access_may(const struct who *w, enum access_verb verb, enum kind kind, struct str ns)
{
	enum access_level has = access_level(w, ns);

	if (is_of_access(kind))
		return access_level(w, STR("*")) >= ACCESS_ADMIN;
	if (!kind_table[kind].namespaced && verb == ACCESS_READ && !ns.n)
		has = access_anywhere(w);
	switch (verb) {
	case ACCESS_READ:
		return has >= ACCESS_VIEW;
	case ACCESS_PACKETS:
		return has >= ACCESS_CAPTURE;
	case ACCESS_WRITE:
		return has >= (kind == KIND_capture ? ACCESS_CAPTURE : ACCESS_OPERATE);
	}
	return false;
}

static bool is_maker(const struct who *w, const struct object *o)
{
	const struct capture_spec *s = o->desc->kind == KIND_capture ? o->capture->spec : NULL;

	return s && s->user.n && str_eqz(s->user, w->user);
}

/* The selector can only take namespaces where he may see packets: it names them. */
static bool selects_only(const struct who *w, const struct label_selector *s)
{
	for (size_t i = 0; s && i < s->match_labels.len; i++)
		if (str_eqz(s->match_labels.items[i].key, NAME_LABEL))
			return access_level(w, s->match_labels.items[i].value) >= ACCESS_CAPTURE;
	for (size_t i = 0; s && i < s->match_expressions.len; i++) {
		const struct selector_requirement *r = &s->match_expressions.items[i];
		bool all = str_eqz(r->key, NAME_LABEL) && str_eqz(r->op, "In") && r->values.len;

		for (size_t k = 0; all && k < r->values.len; k++)
			all = access_level(w, r->values.items[k]) >= ACCESS_CAPTURE;
		if (all)
			return true;
	}
	return false;
}

static bool may_tap(const struct who *w, const struct traffic_source *s)
{
	if (s->uplink || s->interface || !s->pods == !s->service)
		return false;
	if (s->pods)
		return selects_only(w, s->pods->namespace_selector);
	return access_level(w, s->service->ns.n ? s->service->ns : STR("default")) >= ACCESS_CAPTURE;
}

bool access_packets(const struct who *w, const struct object *of)
{
	const struct capture_spec *s = of->desc->kind == KIND_capture ? of->capture->spec : NULL;

	if (access_level(w, STR("*")) >= ACCESS_CAPTURE)
		return true;
	for (size_t i = 0; s && i < s->from.len; i++)
		if (!may_tap(w, &s->from.items[i]))
			return false;
	return s && s->from.len && (!s->user.n || is_maker(w, of));
}

/* One edit of a Draft. Where it does not say of which namespace it is, it is for those who may in all. */
static bool may_edit(const struct who *w, enum access_verb verb, const struct draft_edit *e)
{
	const struct kind_desc *k = kind_by_name(e->kind);
	enum access_level least = verb == ACCESS_WRITE ? ACCESS_OPERATE : ACCESS_VIEW;

	if (access_level(w, STR("*")) >= least && !(k && is_of_access(k->kind)))
		return true;
	if (!k || k->kind == KIND_alert || k->kind == KIND_capture || (k->namespaced && !e->ns.n))
		return false;
	if (k->kind == KIND_namespace && verb == ACCESS_READ)
		return access_level(w, e->name) >= ACCESS_VIEW;
	return access_may(w, verb, k->kind, k->namespaced ? e->ns : STR(""));
}

bool access_draft(const struct who *w, enum access_verb verb, const struct object *draft)
{
	const struct draft_spec *s = draft->draft->spec;

	for (size_t i = 0; s && i < s->edits.len; i++)
		if (!may_edit(w, verb, &s->edits.items[i]))
			return false;
	return access_anywhere(w) >= (verb == ACCESS_WRITE ? ACCESS_OPERATE : ACCESS_VIEW);
}

bool access_sees(const struct who *w, const struct object *o)
{
	/* A Namespace's own name is what it tells. */
	if (o->desc->kind == KIND_namespace)
		return access_level(w, o->meta.name) >= ACCESS_VIEW;
	/* These name pods of any namespace, in their filters and in what they found. */
	if (o->desc->kind == KIND_alert || o->desc->kind == KIND_capture)
		return access_level(w, o->meta.ns) >= ACCESS_VIEW || is_maker(w, o);
	if (o->desc->kind == KIND_draft)
		return access_draft(w, ACCESS_READ, o);
	return access_may(w, ACCESS_READ, o->desc->kind, o->meta.ns);
}

static const char *const names[] = {"none", "view", "capture", "operate", "admin"};

const char *access_level_name(enum access_level level)
{
	return names[level];
}

bool access_level_parse(struct str name, enum access_level *out)
{
	for (size_t i = ACCESS_VIEW; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_eqz(name, names[i])) {
			*out = (enum access_level)i;
			return true;
		}
	return false;
}
