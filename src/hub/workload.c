/* SPDX-License-Identifier: Apache-2.0 */
/*
 * StatefulSets, DaemonSets and Jobs become pods. A changed template replaces the pods: each is deleted, and
 * made again when it is gone. Called by cluster_pass().
 */
#include <errno.h>

#include "hub/condition.h"
#include "hub/copy.h"
#include "hub/names.h"
#include "hub/podmake.h"
#include "hub/schedule.h"

#define REVISION_LABEL STR("controller-revision-hash")

struct owned {
	struct object_refs pods; /* references held */
};

static int owned_get(struct cluster *c, const struct object *owner, struct owned *out)
{
	int r = store_owned_by(c->store, KIND_pod, owner->meta.uid, &out->pods);
	VEC_EACH (&out->pods.list, p)
		*p = object_ref(*p);
	return r;
}

static void owned_put(struct owned *w)
{
	VEC_EACH (&w->pods.list, p)
		object_unref((struct object **)(uintptr_t)p);
	vec_free(&w->pods.list);
}

static void revision_text(char out[11], const struct pod_template *t)
{
	name_suffix(out, 10, template_hash(t));
}

static bool is_current(const struct object *pod, const char *revision)
{
	const struct str *label = strmap_get(&pod->meta.labels, REVISION_LABEL);
	return label && str_eqz(*label, revision);
}

static int set_label(struct object *o, struct str key, struct str value)
{
	struct arena *a = &o->arena;
	struct str k = arena_str(a, key), v = arena_str(a, value);
	return k.p && v.p ? strmap_set(a, &o->meta.labels, k, v) : -ENOMEM;
}

static int put_or_drop(struct cluster *c, struct object *o, const struct object *old)
{
	if (object_same(o, old)) {
		object_unref(&o);
		return 0;
	}
	return store_put(c->store, o, NULL);
}

/* StatefulSet */

static int64_t first_ordinal(const struct statefulset_spec *spec)
{
	const char *at =
	    spec->ordinals.n ? memmem(spec->ordinals.p, spec->ordinals.n, "\"start\":", 8) : NULL;
	return at ? strtoll(at + 8, NULL, 10) : 0;
}

static int make_ordinal(struct cluster *c, const struct object *o, struct str name, int64_t ordinal,
			const char *revision, struct remarks *rs)
{
	const struct statefulset_spec *spec = o->statefulset->spec;
	struct object *pod = NULL;
	char text[24];
	snprintf(text, sizeof(text), "%lld", (long long)ordinal);
	int r = pod_from_template(&pod, o, spec->pod_template, name);
	if (r)
		return r;
	r = set_label(pod, STR("statefulset.kubernetes.io/pod-name"), name);
	if (!r)
		r = set_label(pod, STR("apps.kubernetes.io/pod-index"), str_of(text));
	if (!r)
		r = set_label(pod, REVISION_LABEL, str_of(revision));
	pod->pod->spec->hostname = arena_str(&pod->arena, name);
	pod->pod->spec->subdomain = text_keep(&pod->arena, spec->service_name);
	if (r) {
		object_unref(&pod);
		return r;
	}
	return cluster_put(c, pod, NULL, rs);
}

static int statefulset_status(struct cluster *c, const struct object *old, const struct owned *w,
			      const char *revision)
{
	struct object *o = NULL;
	int64_t all = 0, ready = 0, current = 0;
	VEC_EACH (&w->pods.list, p) {
		if (!pod_is_active(*p))
			continue;
		all++;
		ready += pod_is_ready(*p);
		current += is_current(*p, revision);
	}
	int r = object_clone(&o, old);
	if (r)
		return r;
	struct workload_status *st = o->statefulset->status;
	if (!st)
		st = o->statefulset->status = arena_new(&o->arena, struct workload_status);
	if (!st) {
		object_unref(&o);
		return -ENOMEM;
	}
	st->observed_generation = old->meta.generation;
	st->replicas = int_of(all);
	st->ready_replicas = st->available_replicas = int_of(ready);
	st->updated_replicas = st->current_replicas = int_of(current);
	st->update_revision = st->current_revision =
	    arena_printf(&o->arena, STR_FMT "-%s", STR_ARG(old->meta.name), revision);
	return put_or_drop(c, o, old);
}

int statefulset_run(struct cluster *c, const struct object *o, struct remarks *rs)
{
	const struct statefulset_spec *spec = o->statefulset->spec;
	struct owned w = {0};
	char revision[11];
	if (!spec || !spec->pod_template)
		return 0;
	revision_text(revision, spec->pod_template);
	int64_t want = spec->replicas.set ? spec->replicas.v : 1, first = first_ordinal(spec);
	int r = owned_get(c, o, &w);
	for (int64_t i = 0; i < want && !r; i++) {
		AUTO_BUF name = {0};
		buf_printf(&name, STR_FMT "-%lld", STR_ARG(o->meta.name), (long long)(first + i));
		if (name.failed)
			r = -ENOMEM;
		else if (!store_get(c->store, KIND_pod, o->meta.ns, buf_str(&name)))
			r = make_ordinal(c, o, buf_str(&name), first + i, revision, rs);
	}
	VEC_EACH (&w.pods.list, p) {
		struct str rest = (*p)->meta.name;
		int64_t ordinal = -1;
		rest.p += o->meta.name.n + 1;
		rest.n -= o->meta.name.n + 1;
		bool keep = !str_to_i64(rest, first, first + want - 1, &ordinal) &&
			    is_current(*p, revision) && !pod_is_finished(*p);
		if (!keep && !r)
			r = cluster_delete(c, *p, -1);
		if (r == -ENOENT)
			r = 0;
	}
	if (!r)
		r = statefulset_status(c, o, &w, revision);
	owned_put(&w);
	return r;
}

/* DaemonSet */

static int make_daemon(struct cluster *c, const struct object *o, const struct object *node,
		       const char *revision, struct remarks *rs)
{
	struct object *pod = NULL;
	AUTO_BUF name = {0};
	uint64_t index = hash_bytes(node->meta.name.p, node->meta.name.n, 0);
	int r = pod_name(c, o, o->meta.name, index, &name);
	if (!r)
		r = pod_from_template(&pod, o, o->daemonset->spec->pod_template, buf_str(&name));
	if (r)
		return r;
	r = set_label(pod, REVISION_LABEL, str_of(revision));
	pod->meta.generate_name = arena_printf(&pod->arena, STR_FMT "-", STR_ARG(o->meta.name));
	pod->pod->spec->node_name = arena_str(&pod->arena, node->meta.name);
	if (r || !pod->pod->spec->node_name.p) {
		object_unref(&pod);
		return -ENOMEM;
	}
	return cluster_put(c, pod, NULL, rs);
}

static int daemonset_status(struct cluster *c, const struct object *old, int64_t desired, int64_t have,
			    int64_t ready, int64_t updated)
{
	struct object *o = NULL;
	int r = object_clone(&o, old);
	if (r)
		return r;
	struct daemonset_status *st = o->daemonset->status;
	if (!st)
		st = o->daemonset->status = arena_new(&o->arena, struct daemonset_status);
	if (!st) {
		object_unref(&o);
		return -ENOMEM;
	}
	st->observed_generation = old->meta.generation;
	st->desired_number_scheduled = int_of(desired);
	st->current_number_scheduled = int_of(have);
	st->number_misscheduled = int_of(0);
	st->number_ready = st->number_available = int_of(ready);
	st->number_unavailable = int_of(desired > ready ? desired - ready : 0);
	st->updated_number_scheduled = int_of(updated);
	return put_or_drop(c, o, old);
}

int daemonset_run(struct cluster *c, const struct object *o, struct remarks *rs)
{
	const struct daemonset_spec *spec = o->daemonset->spec;
	struct owned w = {0};
	struct object_refs nodes = {0};
	char revision[11];
	int64_t desired = 0, have = 0, ready = 0, updated = 0;
	if (!spec || !spec->pod_template || !spec->pod_template->spec)
		return 0;
	revision_text(revision, spec->pod_template);
	int r = owned_get(c, o, &w);
	if (!r)
		r = store_list(c->store, KIND_node, STR(""), &nodes);
	VEC_EACH (&nodes.list, n)
		*n = object_ref(*n);
	VEC_EACH (&nodes.list, n) {
		bool suits = schedule_node_suits(spec->pod_template->spec, *n), found = false;
		desired += suits;
		VEC_EACH (&w.pods.list, p) {
			if (!str_eq((*p)->pod->spec->node_name, (*n)->meta.name))
				continue;
			bool good = suits && is_current(*p, revision) && !pod_is_finished(*p);
			if (!good && !r && !(*p)->meta.deletion_timestamp.n)
				r = cluster_delete(c, *p, -1);
			if (r == -ENOENT)
				r = 0;
			if (!good || (*p)->meta.deletion_timestamp.n)
				continue;
			found = true;
			have++;
			ready += pod_is_ready(*p);
			updated++;
		}
		if (suits && !found && !r)
			r = make_daemon(c, o, *n, revision, rs);
	}
	VEC_EACH (&nodes.list, n)
		object_unref((struct object **)(uintptr_t)n);
	vec_free(&nodes.list);
	owned_put(&w);
	return r ? r : daemonset_status(c, o, desired, have, ready, updated);
}

/* Job */

struct job_count {
	int64_t active, ready, succeeded, failed;
};

static int job_status(struct cluster *c, const struct object *old, const struct job_count *n, bool complete,
		      bool failed)
{
	struct object *o = NULL;
	int r = object_clone(&o, old);
	if (r)
		return r;
	struct arena *a = &o->arena;
	struct job_status *st = o->job->status;
	if (!st)
		st = o->job->status = arena_new(a, struct job_status);
	if (!st) {
		object_unref(&o);
		return -ENOMEM;
	}
	if (!st->start_time.n && *c->now)
		st->start_time = arena_str(a, str_of(c->now));
	st->active = int_of(n->active);
	st->ready = int_of(n->ready);
	st->succeeded = int_of(n->succeeded);
	st->failed = int_of(n->failed);
	if (complete && !st->completion_time.n && *c->now)
		st->completion_time = arena_str(a, str_of(c->now));
	if (complete)
		r = condition_set(a, &st->conditions, "Complete", true, NULL, NULL, c->now);
	if (failed)
		r = condition_set(a, &st->conditions, "Failed", true, "BackoffLimitExceeded", NULL, c->now);
	if (r) {
		object_unref(&o);
		return r;
	}
	return put_or_drop(c, o, old);
}

static void job_tally(const struct owned *w, struct job_count *n)
{
	VEC_EACH (&w->pods.list, p) {
		const struct pod_status *st = (*p)->pod->status;
		if (st && str_eqz(st->phase, "Succeeded"))
			n->succeeded++;
		else if (st && str_eqz(st->phase, "Failed"))
			n->failed++;
		else if (pod_is_active(*p)) {
			n->active++;
			n->ready += pod_is_ready(*p);
		}
	}
}

int job_run(struct cluster *c, const struct object *o, struct remarks *rs)
{
	const struct job_spec *spec = o->job->spec;
	struct owned w = {0};
	struct job_count n = {0};
	if (!spec || !spec->pod_template)
		return 0;
	int r = owned_get(c, o, &w);
	job_tally(&w, &n);
	int64_t parallel = spec->parallelism.set ? spec->parallelism.v : 1;
	int64_t wanted = spec->completions.set ? spec->completions.v : parallel;
	int64_t limit = spec->backoff_limit.set ? spec->backoff_limit.v : 6;
	bool complete = n.succeeded >= wanted, failed = !complete && n.failed > limit;
	int64_t run = complete || failed || spec->suspend.v ? 0 : wanted - n.succeeded;
	if (run > parallel)
		run = parallel;
	for (int64_t i = n.active; i < run && !r; i++) {
		struct object *pod = NULL;
		AUTO_BUF name = {0};
		r = pod_name(c, o, o->meta.name, (uint64_t)(n.succeeded + n.failed + i), &name);
		if (!r)
			r = pod_from_template(&pod, o, spec->pod_template, buf_str(&name));
		if (!r) {
			pod->meta.generate_name =
			    arena_printf(&pod->arena, STR_FMT "-", STR_ARG(o->meta.name));
			r = cluster_put(c, pod, NULL, rs);
		}
	}
	int64_t surplus = n.active - run;
	VEC_EACH (&w.pods.list, p) {
		if (r || surplus <= 0 || !pod_is_active(*p))
			continue;
		r = cluster_delete(c, *p, -1);
		surplus--;
	}
	owned_put(&w);
	return r ? r : job_status(c, o, &n, complete, failed);
}
