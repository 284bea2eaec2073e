/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ReplicaSets become pods: as many as are wanted, the least worthy go first. Called by cluster_pass().
 */
#include <errno.h>

#include "hub/copy.h"
#include "hub/podmake.h"
#include "hub/rollout.h"

struct tally {
	int64_t active, ready, available;
};

static int replicaset_status(struct cluster *c, const struct object *rs, const struct tally *n)
{
	struct object *o = NULL;
	int r = object_clone(&o, rs);
	if (r)
		return r;
	if (!o->replicaset->status)
		o->replicaset->status = arena_new(&o->arena, struct workload_status);
	struct workload_status *st = o->replicaset->status;
	if (!st) {
		object_unref(&o);
		return -ENOMEM;
	}
	st->observed_generation = rs->meta.generation;
	st->replicas = st->fully_labeled_replicas = int_of(n->active);
	st->ready_replicas = int_of(n->ready);
	st->available_replicas = int_of(n->available);
	return put_changed(c, o, rs);
}

static int add_pods(struct cluster *c, const struct object *owner, size_t have, size_t want,
		    struct remarks *rs)
{
	int r = 0;
	for (size_t i = have; i < want && !r; i++) {
		struct object *pod = NULL;
		AUTO_BUF name = {0};
		r = pod_name(c, owner, owner->meta.name, i, &name);
		if (!r)
			r = pod_from_template(&pod, owner, owner->replicaset->spec->pod_template,
					      buf_str(&name));
		if (!r) {
			pod->meta.generate_name =
			    arena_printf(&pod->arena, STR_FMT "-", STR_ARG(owner->meta.name));
			r = cluster_put(c, pod, NULL, rs);
		}
	}
	return r;
}

int replicaset_run(struct cluster *c, const struct object *o, struct remarks *rs)
{
	const struct replicaset_spec *spec = o->replicaset->spec;
	struct object_refs pods = {0};
	if (!spec || !spec->pod_template)
		return 0;
	int r = store_owned_by(c->store, KIND_pod, o->meta.uid, &pods);
	size_t active = 0;
	struct tally n = {0};
	int64_t replicas = replicas_of(&spec->replicas);
	size_t want = replicas > 0 ? (size_t)replicas : 0;
	VEC_EACH (&pods.list, p) {
		const struct object *pod = *p;
		if (!pod_is_active(pod))
			continue;
		n.ready += pod_is_ready(pod);
		n.available += pod_is_available(c, o, pod, &spec->min_ready_seconds);
		pods.list.items[active++] = object_ref(pod);
	}
	pods.list.len = active;
	n.active = (int64_t)active;
	if (!r && active < want)
		r = add_pods(c, o, active, want, rs);
	pods_by_worth(&pods);
	for (size_t i = 0; i < active; i++) {
		struct object *pod = (struct object *)(uintptr_t)pods.list.items[i];
		if (!r && i + want < active)
			r = delete_owned(c, pod);
		object_unref(&pod);
	}
	vec_free(&pods.list);
	/* What the writes above changed makes this set dirty again; the counts are those from before. */
	return r ? r : replicaset_status(c, o, &n);
}
