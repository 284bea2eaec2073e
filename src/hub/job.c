/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs become pods, as many at a time as they say, until enough have succeeded. Called by cluster_pass(). */
#include <errno.h>

#include "hub/condition.h"
#include "hub/copy.h"
#include "hub/podmake.h"
#include "hub/rollout.h"

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
	return put_changed(c, o, old);
}

static void job_tally(const struct object_refs *w, struct job_count *n)
{
	VEC_EACH (&w->list, p) {
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
	AUTO_OWNED w = {0};
	struct job_count n = {0};
	if (!spec || !spec->pod_template)
		return 0;
	int r = owned_get(c, KIND_pod, o, &w);
	job_tally(&w.refs, &n);
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
	VEC_EACH (&w.refs.list, p) {
		if (r || surplus <= 0 || !pod_is_active(*p))
			continue;
		r = delete_owned(c, *p);
		surplus--;
	}
	return r ? r : job_status(c, o, &n, complete, failed);
}
