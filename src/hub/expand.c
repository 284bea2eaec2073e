/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deployments become ReplicaSets, ReplicaSets become pods. A changed template makes a new ReplicaSet; the old
 * one goes when the new pods are ready (strategy Recreate: at once). Called by cluster_pass().
 */
#include <errno.h>

#include "hub/condition.h"
#include "hub/copy.h"
#include "hub/names.h"
#include "hub/podmake.h"

#define HASH_LABEL STR("pod-template-hash")

static int64_t replicas_of(const struct opt_int *n)
{
	return n->set ? n->v : 1;
}

static int64_t revision_of(const struct object *rs)
{
	const struct str *text = strmap_get(&rs->meta.annotations, STR("deployment.kubernetes.io/revision"));
	int64_t n = 0;
	return text && !str_to_i64(*text, 0, INT64_MAX, &n) ? n : 0;
}

static int fill_replicaset(struct object *o, const struct object *d, struct str hash, int64_t revision)
{
	struct arena *a = &o->arena;
	const struct deployment_spec *from = d->deployment->spec;
	struct replicaset_spec *spec = o->replicaset->spec = arena_new(a, struct replicaset_spec);
	const struct struct_desc *sd = desc_find(KIND_replicaset, "spec");
	if (!spec || own_object(o, d))
		return -ENOMEM;
	/* The Deployment's members lie in a replicaset_spec of the same shape, which the generic copy walks.
	 */
	struct replicaset_spec view = {.replicas = int_of(replicas_of(&from->replicas)),
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
		r = strmap_set(a, &o->meta.annotations,
			       arena_str(a, STR("deployment.kubernetes.io/revision")),
			       arena_printf(a, "%lld", (long long)revision));
	o->pos = object_pos(d, from->pod_template);
	file_ref((struct file *)(uintptr_t)o->pos.file);
	return r ? r : object_default(o);
}

static int make_replicaset(struct cluster *c, const struct object *d, struct str name, struct str hash,
			   int64_t revision, struct remarks *rs)
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
	r = fill_replicaset(o, d, hash, revision);
	if (r) {
		object_unref(&o);
		return r;
	}
	return cluster_put(c, o, NULL, rs);
}

static int scale_replicaset(struct cluster *c, const struct object *rs, int64_t replicas,
			    struct remarks *remarks)
{
	struct object *o = NULL;
	if (rs->replicaset->spec && replicas_of(&rs->replicaset->spec->replicas) == replicas)
		return 0;
	int r = object_clone(&o, rs);
	if (r)
		return r;
	o->replicaset->spec->replicas = int_of(replicas);
	return cluster_put(c, o, rs, remarks);
}

static int64_t status_int(const struct object *rs, size_t which)
{
	const struct workload_status *st = rs->replicaset->status;
	if (!st)
		return 0;
	return which ? st->ready_replicas.v : st->replicas.v;
}

/* Publishes o when its status changed, else drops it. */
static int put_status(struct cluster *c, struct object *o, const struct object *old)
{
	if (object_same(o, old)) {
		object_unref(&o);
		return 0;
	}
	return store_put(c->store, o, NULL);
}

static int deployment_status(struct cluster *c, const struct object *d, const struct object_refs *sets,
			     const struct object *newest)
{
	struct object *o = NULL;
	int r = object_clone(&o, d);
	if (r)
		return r;
	if (!o->deployment->status)
		o->deployment->status = arena_new(&o->arena, struct workload_status);
	struct workload_status *st = o->deployment->status;
	int64_t want = replicas_of(&d->deployment->spec->replicas), all = 0, ready = 0;
	VEC_EACH (&sets->list, rs) {
		all += status_int(*rs, 0);
		ready += status_int(*rs, 1);
	}
	if (!st) {
		object_unref(&o);
		return -ENOMEM;
	}
	st->observed_generation = d->meta.generation;
	st->replicas = int_of(all);
	st->updated_replicas = int_of(newest ? status_int(newest, 0) : 0);
	st->ready_replicas = st->available_replicas = int_of(ready);
	st->unavailable_replicas = int_of(want > ready ? want - ready : 0);
	bool available = ready >= want,
	     done = available && newest && status_int(newest, 1) >= want && all == want;
	r = condition_set(&o->arena, &st->conditions, "Available", available,
			  available ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable", NULL,
			  c->now);
	if (!r)
		r = condition_set(&o->arena, &st->conditions, "Progressing", true,
				  done ? "NewReplicaSetAvailable" : "ReplicaSetUpdated", NULL, c->now);
	if (r) {
		object_unref(&o);
		return r;
	}
	return put_status(c, o, d);
}

/* Old sets go when the newest is whole, or at once where pods are recreated. */
static int drop_old(struct cluster *c, const struct object *d, const struct object_refs *sets,
		    const struct object *newest)
{
	const struct deployment_spec *spec = d->deployment->spec;
	bool recreate = spec->strategy.n && memmem(spec->strategy.p, spec->strategy.n, "\"Recreate\"", 10);
	bool whole = newest && status_int(newest, 1) >= replicas_of(&spec->replicas);
	int r = 0;
	VEC_EACH (&sets->list, rs)
		if (!r && *rs != newest && (recreate || whole))
			r = cluster_delete(c, *rs, -1);
	return r == -ENOENT ? 0 : r;
}

int deployment_run(struct cluster *c, const struct object *d, struct remarks *rs)
{
	const struct deployment_spec *spec = d->deployment->spec;
	struct object_refs sets = {0};
	char hash[11];
	if (!spec || !spec->pod_template)
		return 0;
	name_suffix(hash, 10, template_hash(spec->pod_template));
	AUTO_BUF name = {0};
	buf_printf(&name, STR_FMT "-%s", STR_ARG(d->meta.name), hash);
	int r = store_owned_by(c->store, KIND_replicaset, d->meta.uid, &sets);
	const struct object *newest = NULL;
	int64_t revision = 0;
	VEC_EACH (&sets.list, s) {
		*s = object_ref(*s);
		if (str_eq((*s)->meta.name, buf_str(&name)))
			newest = *s;
		if (revision_of(*s) > revision)
			revision = revision_of(*s);
	}
	if (!r && !newest)
		r = make_replicaset(c, d, buf_str(&name), str_of(hash), revision + 1, rs);
	else if (!r)
		r = scale_replicaset(c, newest, replicas_of(&spec->replicas), rs);
	if (!r)
		r = drop_old(c, d, &sets, newest);
	if (!r)
		r = deployment_status(c, d, &sets, newest);
	VEC_EACH (&sets.list, s)
		object_unref((struct object **)(uintptr_t)s);
	vec_free(&sets.list);
	return r;
}

static int replicaset_status(struct cluster *c, const struct object *rs, size_t active, size_t ready)
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
	st->replicas = st->fully_labeled_replicas = int_of((int64_t)active);
	st->ready_replicas = st->available_replicas = int_of((int64_t)ready);
	return put_status(c, o, rs);
}

static int add_pods(struct cluster *c, const struct object *owner, const struct pod_template *t, size_t have,
		    size_t want, struct remarks *rs)
{
	int r = 0;
	for (size_t i = have; i < want && !r; i++) {
		struct object *pod = NULL;
		AUTO_BUF name = {0};
		r = pod_name(c, owner, owner->meta.name, i, &name);
		if (!r)
			r = pod_from_template(&pod, owner, t, buf_str(&name));
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
	size_t active = 0, ready = 0;
	int64_t replicas = replicas_of(&spec->replicas);
	size_t want = replicas > 0 ? (size_t)replicas : 0;
	VEC_EACH (&pods.list, p) {
		const struct object *pod = *p;
		if (!pod_is_active(pod))
			continue;
		ready += pod_is_ready(pod);
		pods.list.items[active++] = object_ref(pod);
	}
	pods.list.len = active;
	if (!r && active < want)
		r = add_pods(c, o, spec->pod_template, active, want, rs);
	pods_by_worth(&pods);
	for (size_t i = 0; i < active; i++) {
		struct object *pod = (struct object *)(uintptr_t)pods.list.items[i];
		if (!r && i + want < active)
			r = cluster_delete(c, pod, -1);
		object_unref(&pod);
	}
	vec_free(&pods.list);
	/* What the writes above changed makes this set dirty again; the counts are those from before. */
	return r ? r : replicaset_status(c, o, active, ready);
}
