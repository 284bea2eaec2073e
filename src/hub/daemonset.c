/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DaemonSets become one pod on each node that suits. A changed template replaces them node by node: at most
 * maxUnavailable are missing, or with maxSurge the new one comes before the old one goes. Called by
 * cluster_pass().
 */
#include <errno.h>

#include "hub/copy.h"
#include "hub/podmake.h"
#include "hub/rollout.h"
#include "hub/schedule.h"

struct place { /* one node and its pods of the set */
	const struct object *node, *fresh, *old;
	bool suits, fresh_good, old_good, ending;
};
struct set {
	const struct object *o;
	const struct daemonset_spec *spec;
	const struct object_refs *pods;
	struct place *places;
	size_t n;
	char revision[11];
	int64_t surge, unavailable;
};

static int make_daemon(struct cluster *c, const struct set *s, const struct object *node, struct remarks *rs)
{
	struct object *pod = NULL;
	AUTO_BUF name = {0};
	uint64_t index = hash_bytes(node->meta.name.p, node->meta.name.n, 0);
	int r = pod_name(c, s->o, s->o->meta.name, index, &name);
	if (!r)
		r = pod_from_template(&pod, s->o, s->spec->pod_template, buf_str(&name));
	if (r)
		return r;
	r = label_set(pod, REVISION_LABEL, str_of(s->revision));
	pod->meta.generate_name = arena_printf(&pod->arena, STR_FMT "-", STR_ARG(s->o->meta.name));
	pod->pod->spec->node_name = arena_str(&pod->arena, node->meta.name);
	if (r || !pod->pod->spec->node_name.p) {
		object_unref(&pod);
		return -ENOMEM;
	}
	return cluster_put(c, pod, NULL, rs);
}

/* Deletes what has no business there: ended pods, second ones, those of nodes that do not suit. */
static int sort_pods(struct cluster *c, const struct set *s)
{
	int r = 0;
	VEC_EACH (&s->pods->list, p) {
		const struct object *pod = *p;
		struct place *at = NULL;
		for (size_t i = 0; i < s->n; i++)
			if (str_eq(s->places[i].node->meta.name, pod->pod->spec->node_name))
				at = &s->places[i];
		if (pod->meta.deletion_timestamp.n || r) {
			if (at)
				at->ending = true;
			continue;
		}
		bool now = revision_is(pod, s->revision);
		const struct object **slot = !at ? NULL : now ? &at->fresh : &at->old;
		if (!at || !at->suits || pod_is_finished(pod) || *slot) {
			r = delete_owned(c, pod);
			continue;
		}
		*slot = pod;
		*(now ? &at->fresh_good : &at->old_good) =
		    pod_is_available(c, s->o, pod, &s->spec->min_ready_seconds);
	}
	return r;
}

static int roll(struct cluster *c, const struct set *s, struct remarks *rs)
{
	int64_t missing = 0, surplus = 0;
	bool on_delete = strategy_is(s->spec->update_strategy, "OnDelete");
	int r = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct place *at = &s->places[i];
		missing += at->suits && !at->fresh_good && !at->old_good;
		surplus += at->fresh && at->old;
	}
	for (size_t i = 0; i < s->n && !r; i++) {
		const struct place *at = &s->places[i];
		if (!at->suits)
			continue;
		if (!at->fresh && !at->old) {
			/* The next one comes when the last is gone: they may want the same ports. */
			if (!at->ending)
				r = make_daemon(c, s, at->node, rs);
		} else if (at->fresh && at->old) {
			if (at->fresh_good || !at->old_good)
				r = delete_owned(c, at->old);
		} else if (at->old && !on_delete) {
			if (!at->old_good) {
				r = delete_owned(c, at->old);
			} else if (s->surge) {
				if (surplus++ < s->surge)
					r = make_daemon(c, s, at->node, rs);
			} else if (missing < s->unavailable) {
				missing++;
				r = delete_owned(c, at->old);
			}
		}
	}
	return r;
}

static int daemonset_status(struct cluster *c, const struct set *s)
{
	struct object *o = NULL;
	int64_t desired = 0, have = 0, ready = 0, good = 0, updated = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct place *at = &s->places[i];
		desired += at->suits;
		have += at->fresh || at->old;
		ready += (at->fresh && pod_is_ready(at->fresh)) || (at->old && pod_is_ready(at->old));
		good += at->fresh_good || at->old_good;
		updated += at->fresh != NULL;
	}
	int r = object_clone(&o, s->o);
	if (r)
		return r;
	struct daemonset_status *st = o->daemonset->status;
	if (!st)
		st = o->daemonset->status = arena_new(&o->arena, struct daemonset_status);
	if (!st) {
		object_unref(&o);
		return -ENOMEM;
	}
	st->observed_generation = s->o->meta.generation;
	st->desired_number_scheduled = int_of(desired);
	st->current_number_scheduled = int_of(have);
	st->number_misscheduled = int_of(0);
	st->number_ready = int_of(ready);
	st->number_available = int_of(good);
	st->number_unavailable = int_of(desired > good ? desired - good : 0);
	st->updated_number_scheduled = int_of(updated);
	return put_changed(c, o, s->o);
}

static void bounds(struct set *s)
{
	static const struct rolling_update none;
	const struct update_strategy *st = s->spec->update_strategy;
	const struct rolling_update *u = st && st->rolling_update ? st->rolling_update : &none;
	s->surge = share_of(&u->max_surge, (int64_t)s->n, true, 0);
	s->unavailable = share_of(&u->max_unavailable, (int64_t)s->n, true, 1);
}

int daemonset_run(struct cluster *c, const struct object *o, struct remarks *rs)
{
	AUTO_OWNED pods = {0};
	AUTO_OWNED nodes = {0};
	struct set s = {.o = o, .spec = o->daemonset->spec, .pods = &pods.refs};
	if (!s.spec || !s.spec->pod_template || !s.spec->pod_template->spec)
		return 0;
	revision_text(s.revision, s.spec->pod_template);
	int r = owned_get(c, KIND_pod, o, &pods);
	if (!r)
		r = store_list(c->store, KIND_node, STR(""), &nodes.refs);
	s.n = nodes.refs.list.len;
	s.places = calloc(s.n + 1, sizeof(*s.places));
	if (!s.places)
		r = -ENOMEM;
	for (size_t i = 0; i < s.n; i++) {
		const struct object *node = nodes.refs.list.items[i] = object_ref(nodes.refs.list.items[i]);
		if (s.places)
			s.places[i] = (struct place){
			    .node = node, .suits = schedule_node_suits(s.spec->pod_template->spec, node)};
	}
	bounds(&s);
	if (!r)
		r = sort_pods(c, &s);
	if (!r)
		r = roll(c, &s, rs);
	if (!r)
		r = daemonset_status(c, &s);
	free(s.places);
	return r;
}
