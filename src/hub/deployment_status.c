/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Status of Deployments: numbers, and whether a rollout goes on, is done, or has stood still for too long.
 * See deployment_status.h.
 */
#include "hub/deployment_status.h"

#include <errno.h>

#include "base/clock.h"
#include "hub/condition.h"
#include "hub/copy.h"
#include "hub/note.h"
#include "hub/rollout.h"

static const struct workload_status *status_of(const struct object *rs)
{
	static const struct workload_status none;
	return rs && rs->replicaset->status ? rs->replicaset->status : &none;
}

static void fill_numbers(struct workload_status *st, const struct object *d, const struct rollout *w)
{
	int64_t all = 0, ready = 0, available = 0;
	VEC_EACH (&w->sets->list, s) {
		all += status_of(*s)->replicas.v;
		ready += status_of(*s)->ready_replicas.v;
		available += status_of(*s)->available_replicas.v;
	}
	st->observed_generation = d->meta.generation;
	st->replicas = int_of(all);
	st->updated_replicas = int_of(status_of(w->newest)->replicas.v);
	st->ready_replicas = int_of(ready);
	st->available_replicas = int_of(available);
	st->unavailable_replicas = int_of(w->replicas > available ? w->replicas - available : 0);
}

static bool has_progress(const struct workload_status *was, const struct workload_status *now)
{
	static const struct workload_status none;
	if (!was)
		was = &none;
	int64_t old_was = was->replicas.v - was->updated_replicas.v,
		old_now = now->replicas.v - now->updated_replicas.v;
	return now->updated_replicas.v > was->updated_replicas.v || old_now < old_was ||
	       now->ready_replicas.v > was->ready_replicas.v ||
	       now->available_replicas.v > was->available_replicas.v ||
	       now->observed_generation.v != was->observed_generation.v;
}

/* Seconds since the rollout last got on; what is not known counts as now. */
static int64_t still_for(struct cluster *c, const struct condition *progressing)
{
	char text[32];
	int64_t at;
	if (!progressing || !*c->now)
		return 0;
	snprintf(text, sizeof(text), STR_FMT, STR_ARG(progressing->last_update_time));
	return clock_parse(text, &at) ? 0 : cluster_since(c, at);
}

static int fill_progress(struct cluster *c, struct object *o, const struct object *d, const struct rollout *w)
{
	struct workload_status *st = o->deployment->status;
	const struct deployment_spec *spec = d->deployment->spec;
	const struct condition *was = condition_find(&st->conditions, "Progressing");
	bool done = w->newest && st->updated_replicas.v == w->replicas && st->replicas.v == w->replicas &&
		    st->available_replicas.v >= w->replicas;
	bool progress = has_progress(d->deployment->status, st);
	bool late = !done && !progress && !spec->paused.v && spec->progress_deadline_seconds.set &&
		    still_for(c, was) >= spec->progress_deadline_seconds.v;
	bool was_late = was && str_eqz(was->reason, "ProgressDeadlineExceeded");
	late |= was_late && !done && !progress;
	const char *reason = late	      ? "ProgressDeadlineExceeded"
			     : done	      ? "NewReplicaSetAvailable"
			     : spec->paused.v ? "DeploymentPaused"
					      : "ReplicaSetUpdated";
	bool news = !was || progress || !str_eqz(was->reason, reason);
	AUTO_BUF text = {0};
	if (w->newest)
		buf_printf(&text, "ReplicaSet \"" STR_FMT "\" %s", STR_ARG(w->newest->meta.name),
			   late	  ? "has timed out progressing."
			   : done ? "has successfully progressed."
				  : "is progressing.");
	if (!done && !late && spec->progress_deadline_seconds.set && *c->now)
		note_later(c, d);
	int r = condition_set(&o->arena, &st->conditions, "Progressing", !late, reason, text.p, c->now);
	struct condition *now = (struct condition *)(uintptr_t)condition_find(&st->conditions, "Progressing");
	if (!r && news && *c->now)
		now->last_update_time = arena_str(&o->arena, str_of(c->now));
	return r;
}

static int fill_revision(struct object *o, const struct rollout *w)
{
	const struct str *revision =
	    w->newest ? strmap_get(&w->newest->meta.annotations, REVISION_ANNOTATION) : NULL;
	if (!revision)
		return 0;
	struct arena *a = &o->arena;
	return strmap_set(a, &o->meta.annotations, arena_str(a, REVISION_ANNOTATION),
			  arena_str(a, *revision));
}

int deployment_status(struct cluster *c, const struct object *d, const struct rollout *w)
{
	struct object *o = NULL;
	int r = object_clone(&o, d);
	if (r)
		return r;
	if (!o->deployment->status)
		o->deployment->status = arena_new(&o->arena, struct workload_status);
	struct workload_status *st = o->deployment->status;
	if (!st) {
		object_unref(&o);
		return -ENOMEM;
	}
	fill_numbers(st, d, w);
	bool available = st->available_replicas.v >= w->replicas - w->unavailable;
	r = condition_set(&o->arena, &st->conditions, "Available", available,
			  available ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable", NULL,
			  c->now);
	if (!r)
		r = fill_progress(c, o, d, w);
	if (!r)
		r = fill_revision(o, w);
	if (r) {
		object_unref(&o);
		return r;
	}
	return put_changed(c, o, d);
}
