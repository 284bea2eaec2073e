/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deployments become ReplicaSets, one for each template. A changed template makes a new set, or takes an old
 * one up again, and pods move over to it within maxSurge and maxUnavailable (strategy Recreate: the old ones
 * end first). Old sets stay without pods, as many as revisionHistoryLimit says. Called by cluster_pass().
 */
#include <errno.h>

#include "hub/condition.h"
#include "hub/copy.h"
#include "hub/deployment_status.h"
#include "hub/names.h"
#include "hub/podmake.h"
#include "hub/rollout.h"

#define HASH_LABEL STR("pod-template-hash")
#define CAUSE	   STR("kubernetes.io/change-cause")

static int64_t revision_of(const struct object *o)
{
	const struct str *text = strmap_get(&o->meta.annotations, REVISION_ANNOTATION);
	int64_t n = 0;
	return text && !str_to_i64(*text, 0, INT64_MAX, &n) ? n : 0;
}

static int set_revision(struct object *o, const struct object *d, int64_t revision)
{
	struct arena *a = &o->arena;
	const struct str *cause = strmap_get(&d->meta.annotations, CAUSE);
	int r = strmap_set(a, &o->meta.annotations, arena_str(a, REVISION_ANNOTATION),
			   arena_printf(a, "%lld", (long long)revision));
	if (!r && cause)
		r = strmap_set(a, &o->meta.annotations, arena_str(a, CAUSE), arena_str(a, *cause));
	return r;
}

static int fill_replicaset(struct object *o, const struct object *d, struct str hash, int64_t revision,
			   int64_t replicas)
{
	struct arena *a = &o->arena;
	const struct deployment_spec *from = d->deployment->spec;
	struct replicaset_spec *spec = o->replicaset->spec = arena_new(a, struct replicaset_spec);
	const struct struct_desc *sd = desc_find(KIND_replicaset, "spec");
	if (!spec || own_object(o, d))
		return -ENOMEM;
	/* The Deployment's members lie in a replicaset_spec of the same shape, which the generic copy walks.
	 */
	struct replicaset_spec view = {.replicas = int_of(replicas),
				       .min_ready_seconds = from->min_ready_seconds,
				       .selector = from->selector,
				       .pod_template = from->pod_template};
	if (struct_copy(a, sd, spec, &view))
		return -ENOMEM;
	if (!spec->selector)
		spec->selector = arena_new(a, struct label_selector);
	if (!spec->pod_template->metadata)
		spec->pod_template->metadata = arena_new(a, struct metadata);
	if (!spec->selector || !spec->pod_template->metadata)
		return -ENOMEM;
	int r = strmap_set(a, &spec->selector->match_labels, HASH_LABEL, hash);
	if (!r)
		r = strmap_set(a, &spec->pod_template->metadata->labels, HASH_LABEL, hash);
	if (!r)
		r = map_copy(a, &o->meta.labels, &spec->pod_template->metadata->labels);
	if (!r)
		r = set_revision(o, d, revision);
	o->pos = object_pos(d, from->pod_template);
	file_ref((struct file *)(uintptr_t)o->pos.file);
	return r ? r : object_default(o);
}

static int make_set(struct cluster *c, const struct object *d, struct str name, struct str hash,
		    int64_t revision, int64_t replicas, struct remarks *rs)
{
	struct object *o = NULL;
	const struct object *taken = store_get(c->store, KIND_replicaset, d->meta.ns, name);
	if (taken) {
		remark_add(rs, REMARK_ERROR, taken->pos, "rename or delete that ReplicaSet",
			   "ReplicaSet " STR_FMT " stands in the way of Deployment " STR_FMT
			   ", which needs this name",
			   STR_ARG(object_key(taken)), STR_ARG(object_key(d)));
		return 0;
	}
	int r = object_new(&o, &kind_table[KIND_replicaset], d->meta.ns, name);
	if (r)
		return r;
	r = fill_replicaset(o, d, hash, revision, replicas);
	if (r) {
		object_unref(&o);
		return r;
	}
	return cluster_put(c, o, NULL, rs);
}

/* revision 0: the one it has. */
static int update_set(struct cluster *c, const struct object *d, const struct object *rs, int64_t replicas,
		      int64_t revision, struct remarks *remarks)
{
	struct object *o = NULL;
	const struct opt_int *ready = &d->deployment->spec->min_ready_seconds;
	if (!rs->replicaset->spec)
		return 0;
	bool same_ready = rs->replicaset->spec->min_ready_seconds.v == ready->v;
	if (replicas_of(&rs->replicaset->spec->replicas) == replicas && !revision && same_ready)
		return 0;
	int r = object_clone(&o, rs);
	if (!r && revision)
		r = set_revision(o, d, revision);
	if (r) {
		object_unref(&o);
		return r;
	}
	o->replicaset->spec->replicas = int_of(replicas);
	o->replicaset->spec->min_ready_seconds = *ready;
	return cluster_put(c, o, rs, remarks);
}

static int64_t wanted_of(const struct object *rs)
{
	return rs->replicaset->spec ? replicas_of(&rs->replicaset->spec->replicas) : 0;
}

/* Its available pods, of those that it keeps. */
static int64_t available_of(const struct object *rs)
{
	const struct workload_status *st = rs->replicaset->status;
	int64_t n = st ? st->available_replicas.v : 0, want = wanted_of(rs);
	return n < want ? n : want;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* How many pods the new set has after this step: it grows as far as the surge allows. */
static int64_t grow(const struct rollout *w)
{
	int64_t have = w->newest ? wanted_of(w->newest) : 0, all = 0;
	if (have >= w->replicas)
		return w->replicas;
	VEC_EACH (&w->sets->list, s)
		all += wanted_of(*s);
	int64_t room = w->replicas + w->surge - all;
	return have + (room > 0 ? least(room, w->replicas - have) : 0);
}

/* Old sets shrink by what is not available in them, then as far as enough pods stay available. `fresh`: pods
 * that the new set is to have. */
static int shrink_old(struct cluster *c, const struct object *d, const struct rollout *w, int64_t fresh,
		      struct remarks *rs)
{
	int64_t kept = w->replicas - w->unavailable, all = fresh, available = 0;
	int r = 0;
	VEC_EACH (&w->sets->list, s) {
		all += *s == w->newest ? 0 : wanted_of(*s);
		available += available_of(*s);
	}
	int64_t fresh_missing = fresh - (w->newest ? available_of(w->newest) : 0);
	int64_t room = all - kept - fresh_missing, spare = available - kept;
	VEC_EACH (&w->sets->list, s) {
		if (*s == w->newest || r)
			continue;
		int64_t want = wanted_of(*s), good = available_of(*s);
		int64_t broken = least(want - good, room > 0 ? room : 0);
		int64_t healthy =
		    least(good, least(spare > 0 ? spare : 0, room > broken ? room - broken : 0));
		room -= broken + healthy;
		spare -= healthy;
		r = update_set(c, d, *s, want - broken - healthy, 0, rs);
	}
	return r;
}

static bool old_pods_left(struct cluster *c, const struct rollout *w)
{
	VEC_EACH (&w->sets->list, s) {
		struct object_refs pods = {0};
		if (*s == w->newest)
			continue;
		store_owned_by(c->store, KIND_pod, (*s)->meta.uid, &pods);
		bool any = false;
		VEC_EACH (&pods.list, p)
			any |= !pod_is_finished(*p);
		vec_free(&pods.list);
		if (any)
			return true;
	}
	return false;
}

/* What Recreate gives the new set, and the old ones end at once. */
static int recreate(struct cluster *c, const struct object *d, const struct rollout *w, int64_t *fresh,
		    struct remarks *rs)
{
	int r = 0;
	VEC_EACH (&w->sets->list, s)
		if (*s != w->newest && !r)
			r = update_set(c, d, *s, 0, 0, rs);
	*fresh = old_pods_left(c, w) ? 0 : w->replicas;
	return r;
}

static int by_revision(const void *pa, const void *pb)
{
	int64_t a = revision_of(*(const struct object *const *)pa),
		b = revision_of(*(const struct object *const *)pb);
	return (a > b) - (a < b);
}

/* Sets without pods beyond the history that is kept, oldest first. */
static int forget_old(struct cluster *c, const struct object *d, const struct rollout *w)
{
	const struct opt_int *limit = &d->deployment->spec->revision_history_limit;
	int64_t keep = limit->set ? limit->v : 10, have = -1;
	int r = 0;
	VEC_EACH (&w->sets->list, s)
		have++;
	VEC_EACH (&w->sets->list, s) {
		const struct workload_status *st = (*s)->replicaset->status;
		if (r || have <= keep)
			break;
		if (*s == w->newest || wanted_of(*s) || !st || st->replicas.v)
			continue;
		r = delete_owned(c, *s);
		have--;
	}
	return r;
}

/* While it is paused nothing new is rolled out; one set that has the pods follows the number. */
static int scale_paused(struct cluster *c, const struct object *d, const struct rollout *w,
			struct remarks *rs)
{
	const struct object *only = NULL;
	size_t with = 0;
	VEC_EACH (&w->sets->list, s)
		if (wanted_of(*s)) {
			only = *s;
			with++;
		}
	return with == 1 ? update_set(c, d, only, w->replicas, 0, rs) : 0;
}

static int roll(struct cluster *c, const struct object *d, const struct rollout *w, struct str name,
		struct remarks *rs)
{
	int64_t fresh = grow(w), revision = 0;
	int r = 0;
	VEC_EACH (&w->sets->list, s)
		if (*s != w->newest && revision_of(*s) > revision)
			revision = revision_of(*s);
	if (strategy_is(d->deployment->spec->strategy, "Recreate"))
		r = recreate(c, d, w, &fresh, rs);
	/* A template that was there before is its set's newest revision now. */
	bool again = w->newest && revision_of(w->newest) < revision;
	struct str hash = {name.p + d->meta.name.n + 1, name.n - d->meta.name.n - 1};
	if (!r && !w->newest)
		return make_set(c, d, name, hash, revision + 1, fresh, rs);
	if (!r)
		r = update_set(c, d, w->newest, fresh, again ? revision + 1 : 0, rs);
	if (!r && !strategy_is(d->deployment->spec->strategy, "Recreate"))
		r = shrink_old(c, d, w, fresh, rs);
	return r;
}

int deployment_run(struct cluster *c, const struct object *d, struct remarks *rs)
{
	const struct deployment_spec *spec = d->deployment->spec;
	AUTO_OWNED sets = {0};
	char hash[11];
	if (!spec || !spec->pod_template)
		return 0;
	revision_text(hash, spec->pod_template);
	AUTO_BUF name = {0};
	buf_printf(&name, STR_FMT "-%s", STR_ARG(d->meta.name), hash);
	int r = name.failed ? -ENOMEM : owned_get(c, KIND_replicaset, d, &sets);
	if (sets.refs.list.len > 1)
		qsort(sets.refs.list.items, sets.refs.list.len, sizeof(*sets.refs.list.items), by_revision);
	struct rollout w = {.sets = &sets.refs, .replicas = replicas_of(&spec->replicas)};
	rollout_bounds(spec, w.replicas, &w.surge, &w.unavailable);
	VEC_EACH (&sets.refs.list, s)
		if (str_eq((*s)->meta.name, buf_str(&name)))
			w.newest = *s;
	if (!r)
		r = spec->paused.v ? scale_paused(c, d, &w, rs) : roll(c, d, &w, buf_str(&name), rs);
	if (!r)
		r = deployment_status(c, d, &w);
	return r ? r : forget_old(c, d, &w);
}
