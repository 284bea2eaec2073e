/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entry of the compiler: notes what is told, runs the steps in their order, and gives out the plan. Holds
 * no rule of policies or Services itself; must stay pure. Called by the planner, by `weft plan` and by tests.
 */
#include "compile/compile.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "compile/state.h"

void retire(struct compiler *c, void *mem)
{
	if (mem)
		PUSH(c, &c->retired.mem, mem);
}

static void retired_free(struct retired *r)
{
	VEC_EACH (&r->objects, o)
		object_unref((struct object **)o);
	VEC_EACH (&r->mem, m)
		free(*m);
	vec_free(&r->objects);
	vec_free(&r->mem);
}

struct str key_copy(struct compiler *c, struct str s)
{
	char *p = malloc(s.n + 1);
	if (!p) {
		c->failed = true;
		return (struct str){0};
	}
	memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return (struct str){p, s.n};
}

char *src_text(struct compiler *c, const struct object *o)
{
	AUTO_BUF b = {0};
	buf_printf(&b, "%s " STR_FMT, o->desc->name, STR_ARG(object_key(o)));
	return (char *)(uintptr_t)key_copy(c, built(c, &b)).p;
}

static bool used(enum kind k)
{
	return k == KIND_namespace || k == KIND_node || k == KIND_pod || k == KIND_service ||
	       k == KIND_endpointslice || k == KIND_addresspool || k == KIND_networkpolicy ||
	       k == KIND_clusternetworkpolicy;
}

int compiler_new(struct compiler **out, const struct compile_config *cfg)
{
	struct compiler *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->cfg = *cfg;
	c->node_name = strndup(cfg->node.p ? cfg->node.p : "", cfg->node.n);
	c->settings_src.text = strdup("Settings");
	if (!c->node_name || !c->settings_src.text) {
		compiler_free(&c);
		return -ENOMEM;
	}
	c->cfg.node = str_of(c->node_name);
	c->self_rule = (struct rule){
	    .id = RULE_SELF, .refs = 1, .src = {.text = c->settings_src.text}, .text = c->settings_src.text};
	c->whole = true;
	c->names.c = c;
	*out = c;
	return 0;
}

static void derived_fini(struct compiler *c)
{
	services_fini(c);
	sets_fini(c);
	portsets_fini(c);
	namesets_fini(c);
	pods_fini(c);
	nodes_fini(c);
	policies_fini(c);
	domains_fini(c);
	fold_fini(c);
	blocks_fini(&c->blocks);
	blocks_fini(&c->blocks_was);
	classes_fini(c);
	homes_fini(c);
	atoms_fini(c);
	owner_fini(&c->settings);
	owner_fini(&c->block_owner);
	c->self = NULL;
	vec_free(&c->touched_policies);
	vec_free(&c->demands);
	vec_free(&c->dirty_pods);
	vec_free(&c->dirty_addrs);
	vec_free(&c->addrs);
	c->addrs_sorted = true;
}

void compiler_free(struct compiler **cp)
{
	struct compiler *c = *cp;
	if (!c)
		return;
	*cp = NULL;
	derived_fini(c);
	past_fini(c);
	rows_fini(&c->rows);
	retired_free(&c->retired);
	retired_free(&c->retired_before);
	vec_free(&c->dirty_told);
	for (int k = 0; k < KIND_COUNT; k++) {
		HASH_EACH (&c->told[k], s) {
			struct told *t = s->value;
			object_unref((struct object **)&t->o);
			free(t);
		}
		hash_fini(&c->told[k]);
	}
	hash_fini(&c->wired);
	free(c->settings_src.text);
	free(c->node_name);
	free(c);
}

int compiler_tell(struct compiler *c, const struct object *was, const struct object *now)
{
	const struct object *o = now ? now : was;
	if (!o || !used(o->desc->kind))
		return 0;
	struct hash *h = &c->told[o->desc->kind];
	struct str key = object_key(o);
	struct told *t = hash_get(h, key);
	if (vec_reserve(&c->dirty_told, c->dirty_told.len + 1))
		return -ENOMEM;
	if (!t) {
		if (!now)
			return 0;
		t = calloc(1, sizeof(*t));
		if (!t || hash_set(h, key, t, NULL)) {
			free(t);
			return -ENOMEM;
		}
		t->kind = o->desc->kind;
	}
	if (t->o && vec_push(&c->retired.objects, t->o)) /* the derived state still looks at it */
		return -ENOMEM;
	t->o = object_ref(now);
	if (!t->dirty)
		c->dirty_told.items[c->dirty_told.len++] = t;
	t->dirty = true;
	if (!t->key.p)
		t->key = key;
	if (now)
		t->key = object_key(now);
	return 0;
}

int compiler_wire(struct compiler *c, struct str uid, bool wired)
{
	if (wired) {
		int r = hash_set(&c->wired, uid, c, NULL);
		if (r)
			return r;
	} else {
		hash_del(&c->wired, uid);
	}
	struct cpod *p = pod_by_uid(c, uid);
	if (!p)
		return 0;
	struct told *t = hash_get(&c->told[KIND_pod], object_key(p->o));
	return t && t->o ? compiler_tell(c, NULL, t->o) : 0;
}

void compiler_wire_all(struct compiler *c)
{
	c->wire_all = true;
	c->whole = true;
}

static void tell_one(struct compiler *c, struct told *t)
{
	switch (t->kind) {
	case KIND_namespace:
		home_tell(c, t->key, t->o);
		break;
	case KIND_node:
		node_tell(c, t->key, t->o);
		break;
	case KIND_networkpolicy:
	case KIND_clusternetworkpolicy:
		policy_tell(c, t->kind, t->key, t->o);
		break;
	case KIND_pod:
		pod_tell(c, t->key, t->o);
		break;
	case KIND_service:
		service_tell(c, t->key, t->o);
		break;
	case KIND_endpointslice:
		slice_tell(c, t->key, t->o);
		break;
	case KIND_addresspool:
		c->pools_changed = true;
		break;
	default:
		break;
	}
}

/* Starts from nothing but the objects and the rows in force. */
static int begin_whole(struct compiler *c)
{
	derived_fini(c);
	if (rows_forget(&c->rows))
		return -ENOMEM;
	c->dirty_told.len = 0;
	for (int k = 0; k < KIND_COUNT; k++) {
		HASH_EACH (&c->told[k], s) {
			struct told *t = s->value;
			t->dirty = true;
			if (vec_push(&c->dirty_told, t))
				return -ENOMEM;
		}
	}
	c->settings.src = &c->settings_src;
	c->settings.listed = true;
	c->block_owner.listed = c->name_owner.listed = true;
	c->blocks_changed = c->settings_changed = c->pools_changed = true;
	c->answers_changed = c->zone_changed = false;
	c->zone = (struct str){0};
	c->nodeports_changed = false;
	class_world(c);
	return 0;
}

/* What died in the last run was still needed to name the rows that went. */
static void bury(struct compiler *c)
{
	sets_bury(c);
	classes_bury(c);
	portsets_bury(c);
	domains_bury(c);
	atoms_bury(c);
}

static bool short_of_memory(const struct compiler *c)
{
	return c->failed || c->rows.failed;
}

static void tell_all(struct compiler *c)
{
	static const enum kind order[] = {
	    KIND_namespace, KIND_node,	  KIND_networkpolicy, KIND_clusternetworkpolicy,
	    KIND_pod,	    KIND_service, KIND_endpointslice, KIND_addresspool};
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		VEC_EACH (&c->dirty_told, t) {
			if (short_of_memory(c))
				return;
			if ((*t)->kind == order[i])
				tell_one(c, *t);
		}
	}
}

/* Each step builds on the ones before; after a failure what there is may be half made, and the run ends. */
static int settle(struct compiler *c)
{
	typedef void step_fn(struct compiler * c);
	static step_fn *const steps[] = {tell_all,	 policies_settle, domains_settle, atoms_settle,
					 blocks_build,	 addrs_classify,  blocks_rows,	  sets_settle,
					 pods_links,	 services_settle, settings_rows,  portsets_settle,
					 namesets_settle};
	for (size_t i = 0; i < ARRAY_LEN(steps) && !short_of_memory(c); i++)
		steps[i](c);
	return short_of_memory(c) ? -ENOMEM : 0;
}

/* What the run did is now in force: forget what went. */
static void told_done(struct compiler *c)
{
	VEC_EACH (&c->dirty_told, it) {
		struct told *t = *it;
		t->dirty = false;
		if (!t->o) {
			hash_del(&c->told[t->kind], t->key);
			free(t);
		}
	}
	c->dirty_told.len = 0;
}

int compiler_run(struct compiler *c, struct plan_delta *out, struct remarks *rs)
{
	c->run++;
	c->failed = false;
	c->remarks = rs;
	bool whole = c->whole;
	int e = 0;
	if (whole)
		e = begin_whole(c);
	else
		bury(c);
	if (!e)
		e = settle(c);
	if (!e)
		e = transition(c, out);
	if (e) {
		plan_delta_fini(out);
		c->whole = true;
		return e;
	}
	rows_commit(&c->rows);
	if (rs)
		advise(c);
	retired_free(&c->retired_before);
	c->retired_before = c->retired;
	c->retired = (struct retired){0};
	told_done(c);
	c->remarks = NULL;
	c->whole = false;
	return 0;
}

int compiler_plan(const struct compiler *c, struct plan *out)
{
	struct plan p = {0};
	for (size_t i = 0; i < c->rows.cap; i++) {
		const struct prow *r = c->rows.slots[i];
		if (!r || !r->in_force)
			continue;
		if (vec_push(&p.rows, row_of(r, r->in_force))) {
			vec_free(&p.rows);
			return -ENOMEM;
		}
	}
	plan_sort(&p);
	*out = p;
	return 0;
}

const struct plan_names *compiler_names(const struct compiler *c)
{
	return &c->names;
}

int compiler_pod_link(const struct compiler *c, struct str uid, struct link_key *key,
		      struct link_value *value)
{
	const struct cpod *p = pod_by_uid(c, uid);
	if (!p || !p->local)
		return -ENOENT;
	pod_link_row(c, p, key, value);
	return 0;
}
