/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heart of the controllers: notes what store events make dirty, and works it off in passes until nothing
 * is left. Holds indexes and counts, never copies of objects. See cluster.h.
 */
#include "hub/cluster.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "hub/balancer.h"
#include "hub/copy.h"
#include "hub/nodelife.h"
#include "hub/podmake.h"
#include "hub/podstatus.h"
#include "hub/note.h"
#include "hub/rollout.h"

enum { ROUNDS_MAX = 200, JUMP_SECONDS = 2 };

/* What is in the store already counts as added. */
static int note_all(struct cluster *c, enum kind k)
{
	struct object_refs all = {0};
	int r = store_list(c->store, k, STR(""), &all);
	VEC_EACH (&all.list, o)
		note_event(c, &(struct event){.type = EVENT_ADDED, .object = *o});
	vec_free(&all.list);
	return r;
}

int cluster_new(struct cluster **out, struct store *s, const struct cluster_config *cfg)
{
	struct cluster *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->store = s;
	c->cfg = *cfg;
	int r = ipam_new(&c->ipam, &cfg->services4, &cfg->services6);
	for (enum kind k = 0; k < KIND_COUNT && !r; k++)
		r = note_all(c, k);
	if (!r)
		r = store_subscribe(s, note_event, c, &c->sub);
	if (r) {
		cluster_free(&c);
		return r;
	}
	*out = c;
	return 0;
}

void cluster_free(struct cluster **pc)
{
	struct cluster *c = *pc;
	*pc = NULL;
	if (!c)
		return;
	if (c->sub)
		store_unsubscribe(&c->sub);
	ipam_free(&c->ipam);
	struct keyset *sets[] = {&c->workloads, &c->pending, &c->waiting, &c->services,
				 &c->orphans,	&c->lost,    &c->later,	  &c->restate};
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		keyset_fini(sets[i]);
	HASH_EACH (&c->loads, slot) {
		struct node_load *load = slot->value;
		hash_fini(&load->owners);
		hash_fini(&load->host_ports);
		free(load);
	}
	hash_fini(&c->loads);
	labelindex_fini(&c->pods_by);
	labelindex_fini(&c->services_by);
	hash_fini(&c->readiness);
	hash_fini(&c->heard);
	free(c);
}

void cluster_time(struct cluster *c, int64_t seconds)
{
	c->now_s = seconds;
	clock_rfc3339(seconds, c->now);
}

void cluster_clock(struct cluster *c, int64_t seconds, uint64_t steady_ms)
{
	int64_t by = c->clock_ms ? seconds - c->now_s - (int64_t)((steady_ms - c->clock_ms) / 1000) : 0;

	c->clock_ms = steady_ms;
	if (by > JUMP_SECONDS || by < -JUMP_SECONDS) {
		if (c->n_jumps == CLUSTER_JUMPS)
			memmove(c->jumps, c->jumps + 1, --c->n_jumps * sizeof(c->jumps[0]));
		c->jumps[c->n_jumps++] = (struct clock_jump){.before = seconds - by, .by = by};
		log_warn("the clock was set %s by %lld s; whatever waits, waits as long as before",
			 by > 0 ? "forward" : "back", (long long)(by > 0 ? by : -by));
	}
	cluster_time(c, seconds);
}

/* Where a stamp may be of before and after a clock was set back, it counts as the later one. */
int64_t cluster_since(const struct cluster *c, int64_t stamp)
{
	int64_t now = c->now_s, gone = 0;

	for (unsigned i = c->n_jumps; i-- > 0;) {
		const struct clock_jump *j = &c->jumps[i];

		if (stamp >= j->before + j->by && stamp <= now)
			return gone + now - stamp;
		gone += now - (j->before + j->by);
		now = j->before;
	}
	return stamp <= now ? gone + now - stamp : -1;
}

uint64_t cluster_life(const struct cluster *c)
{
	return c->cfg.first_load ? 0 : store_version(c->store) + 1;
}

const struct owner_reference *object_controller(const struct object *o)
{
	const struct owner_reference_list *l = &o->meta.owner_references;
	for (size_t i = 0; i < l->len; i++)
		if (l->items[i].controller.v)
			return &l->items[i];
	return NULL;
}

int cluster_put(struct cluster *c, struct object *o, const struct object *old, struct remarks *rs)
{
	int r = cluster_admit(c, o, old, true, rs);
	if (r) {
		object_unref(&o);
		return r;
	}
	return store_put(c->store, o, NULL);
}

int cluster_need_namespace(struct cluster *c, struct str name)
{
	struct object *o = NULL;
	if (store_get(c->store, KIND_namespace, STR(""), name))
		return 0;
	int r = object_new(&o, &kind_table[KIND_namespace], STR(""), name);
	if (r)
		return r;
	r = object_default(o);
	if (r) {
		object_unref(&o);
		return r;
	}
	struct remarks none = {0};
	r = cluster_put(c, o, NULL, &none);
	remarks_fini(&none);
	return r;
}

static int mark_deleted(struct cluster *c, const struct object *o, int64_t grace)
{
	struct object *n = NULL;
	char at[21];
	int r = object_clone(&n, o);
	if (r)
		return r;
	clock_rfc3339(c->now_s + grace, at);
	n->meta.deletion_timestamp = arena_str(&n->arena, str_of(at));
	n->meta.deletion_grace_period_seconds = int_of(grace);
	if (!n->meta.deletion_timestamp.p)
		r = -ENOMEM;
	else if (n->desc->kind == KIND_pod)
		r = podstatus_compose(c, n);
	if (r) {
		object_unref(&n);
		return r;
	}
	return store_put(c->store, n, NULL);
}

int cluster_delete(struct cluster *c, const struct object *o, int64_t grace)
{
	bool ending = o->meta.deletion_timestamp.n;
	if (o->desc->kind == KIND_pod && c->cfg.kubelet && o->pod->spec && o->pod->spec->node_name.n &&
	    grace && !pod_is_finished(o)) {
		const struct opt_int *own = &o->pod->spec->termination_grace_period_seconds;
		int64_t g = grace > 0 ? grace : own->set ? own->v : 30;
		if (g > 0) {
			if (ending && o->meta.deletion_grace_period_seconds.v <= g)
				return 0;
			return mark_deleted(c, o, g);
		}
	}
	if (o->meta.finalizers.len)
		return ending ? 0 : mark_deleted(c, o, 0);
	return store_delete(c->store, o->desc->kind, o->meta.ns, o->meta.name);
}

bool cluster_is_dirty(const struct cluster *c)
{
	return c->workloads.set.len || c->services.set.len || c->orphans.set.len || c->lost.set.len ||
	       c->restate.set.len || c->pools || c->daemons ||
	       (!c->hold_pods && (c->pending.set.len || (c->retry && c->waiting.set.len)));
}

static int run_workload(struct cluster *c, const char *key, struct remarks *rs)
{
	static const struct {
		enum kind kind;
		int (*run)(struct cluster *c, const struct object *o, struct remarks *rs);
	} controllers[] = {
	    {KIND_deployment, deployment_run},
	    {KIND_replicaset, replicaset_run},
	    {KIND_statefulset, statefulset_run},
	    {KIND_daemonset, daemonset_run},
	    {KIND_job, job_run},
	};
	struct str name = str_of(key), kind = str_cut(&name, '/'), ns = str_cut(&name, '/');
	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++) {
		if (!str_eqz(kind, kind_table[controllers[i].kind].name))
			continue;
		const struct object *o = store_get(c->store, controllers[i].kind, ns, name);
		if (!o || o->meta.deletion_timestamp.n)
			return 0;
		/* The controller may replace the object while it works on it. */
		struct object *held = object_ref(o);
		int r = controllers[i].run(c, held, rs);
		object_unref(&held);
		return r;
	}
	return 0;
}

static int run_workloads(struct cluster *c, struct remarks *rs)
{
	if (c->daemons) {
		struct object_refs all = {0};
		c->daemons = false;
		int r = store_list(c->store, KIND_daemonset, STR(""), &all);
		VEC_EACH (&all.list, o)
			note_workload(c, *o);
		vec_free(&all.list);
		if (r)
			return r;
	}
	for (int round = 0; c->workloads.set.len && round < ROUNDS_MAX; round++) {
		AUTO_KEYS keys = {0};
		int r = keyset_take(&c->workloads, &keys);
		VEC_EACH (&keys.list, key)
			if (!r)
				r = run_workload(c, *key, rs);
		if (r)
			return r;
	}
	return 0;
}

/* What an owner that is gone had owned. */
static int run_orphans(struct cluster *c)
{
	static const enum kind kinds[] = {KIND_replicaset, KIND_endpointslice, KIND_job, KIND_pod};
	AUTO_KEYS uids = {0};
	int r = keyset_take(&c->orphans, &uids);
	VEC_EACH (&uids.list, uid) {
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !r; i++) {
			struct object_refs owned = {0};
			r = store_owned_by(c->store, kinds[i], str_of(*uid), &owned);
			VEC_EACH (&owned.list, o)
				*o = object_ref(*o);
			VEC_EACH (&owned.list, o) {
				struct object *held = (struct object *)(uintptr_t)*o;
				if (!r)
					r = cluster_delete(c, held, -1);
				if (r == -ENOENT)
					r = 0;
				object_unref(&held);
			}
			vec_free(&owned.list);
		}
	}
	return r;
}

static int run_lost(struct cluster *c)
{
	AUTO_KEYS keys = {0};
	int r = keyset_take(&c->lost, &keys);
	VEC_EACH (&keys.list, key) {
		struct str name = str_of(*key), ns = str_cut(&name, '/');
		const struct object *o = store_get(c->store, KIND_pod, ns, name);
		if (o && o->pod->spec && !store_get(c->store, KIND_node, STR(""), o->pod->spec->node_name) &&
		    !r)
			r = cluster_delete(c, o, 0);
	}
	return r;
}

static int run_pending(struct cluster *c)
{
	AUTO_KEYS keys = {0};
	if (c->hold_pods)
		return 0;
	int r = 0;
	if (c->retry)
		r = keyset_take(&c->waiting, &keys);
	c->retry = false;
	VEC_EACH (&keys.list, key)
		if (!r)
			r = keyset_add(&c->pending, str_of(*key));
	keys_fini(&keys);
	if (!r)
		r = keyset_take(&c->pending, &keys);
	VEC_EACH (&keys.list, key) {
		struct str name = str_of(*key), ns = str_cut(&name, '/');
		const struct object *o = store_get(c->store, KIND_pod, ns, name);
		int one = o && !r ? schedule_run(c, o) : 0;
		if (one == -EAGAIN) {
			keyset_del(&c->pending, str_of(*key));
			one = keyset_add(&c->waiting, str_of(*key));
		}
		if (!r)
			r = one;
	}
	return r;
}

static int run_services(struct cluster *c, struct remarks *rs)
{
	AUTO_KEYS keys = {0};
	int r = keyset_take(&c->services, &keys);
	VEC_EACH (&keys.list, key) {
		struct str name = str_of(*key), ns = str_cut(&name, '/');
		const struct object *o = store_get(c->store, KIND_service, ns, name);
		if (!o || r)
			continue;
		struct object *held = object_ref(o);
		r = balancer_run(c, held, rs);
		if (!r)
			r = endpoints_run(c, held);
		object_unref(&held);
	}
	return r;
}

/* Pods whose status follows from something else, such as their node's. */
static int run_restate(struct cluster *c)
{
	AUTO_KEYS keys = {0};
	int r = keyset_take(&c->restate, &keys);
	VEC_EACH (&keys.list, key) {
		struct str name = str_of(*key), ns = str_cut(&name, '/');
		const struct object *old = store_get(c->store, KIND_pod, ns, name);
		struct object *o = NULL;
		if (!old || r)
			continue;
		r = object_clone(&o, old);
		if (!r)
			r = podstatus_compose(c, o);
		if (r)
			object_unref(&o);
		else
			r = put_changed(c, o, old);
	}
	return r;
}

int cluster_tick(struct cluster *c, int64_t mono)
{
	AUTO_KEYS keys = {0};
	int r = keyset_take(&c->later, &keys);
	VEC_EACH (&keys.list, key)
		if (!r)
			r = keyset_add(&c->workloads, str_of(*key));
	return r ? r : nodelife_tick(c, mono);
}

int cluster_pass(struct cluster *c, struct remarks *rs)
{
	for (int round = 0; cluster_is_dirty(c) && round < ROUNDS_MAX; round++) {
		int r = run_restate(c);
		if (!r)
			r = run_workloads(c, rs);
		if (!r)
			r = run_orphans(c);
		if (!r)
			r = run_lost(c);
		if (!r)
			r = run_pending(c);
		if (!r)
			r = run_services(c, rs);
		if (!r)
			r = pools_run(c);
		if (r)
			return r;
	}
	return c->failed ? -ENOMEM : 0;
}
