/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes that gave a word and then none for node_lost seconds are not Ready: their pods lose readiness, and
 * after node_evict seconds more (or the pod's own tolerationSeconds) they are deleted, so that others take
 * their place. The next word brings the node back. Nodes that never gave one are not judged. Counts by a
 * clock that does not jump. Called by cluster_tick(). See nodelife.h.
 */
#include "hub/nodelife.h"

#include <errno.h>

#include "hub/condition.h"
#include "hub/copy.h"
#include "hub/podmake.h"

enum { LOST_SECONDS = 8, EVICT_SECONDS = 60, TICK_GAP = 3 };
#define HEARD	"AgentHeard"
#define UNKNOWN "NodeStatusUnknown"

static const struct condition *ready_of(const struct object *node)
{
	return node->node->status ? condition_find(&node->node->status->conditions, "Ready") : NULL;
}

bool nodelife_is_lost(const struct object *node)
{
	const struct condition *c = ready_of(node);
	return c && str_eqz(c->status, "Unknown");
}

static int set_ready(struct cluster *c, const struct object *node, bool ready)
{
	struct object *o = NULL;
	int r = object_clone(&o, node);
	if (r)
		return r;
	if (!o->node->status)
		o->node->status = arena_new(&o->arena, struct node_status);
	struct condition_list *l = o->node->status ? &o->node->status->conditions : NULL;
	r = l ? condition_set(&o->arena, l, "Ready", ready, ready ? HEARD : UNKNOWN,
			      ready ? "The node's agent gives word."
				    : "The node's agent gives no word any more.",
			      c->now)
	      : -ENOMEM;
	if (r) {
		object_unref(&o);
		return r;
	}
	if (!ready)
		((struct condition *)(uintptr_t)condition_find(l, "Ready"))->status = STR("Unknown");
	return store_put(c->store, o, NULL);
}

static int remember(struct cluster *c, struct str node)
{
	return hash_set(&c->heard, node, (void *)(uintptr_t)(c->mono + 1), NULL);
}

int cluster_heartbeat(struct cluster *c, struct str name)
{
	const struct object *node = store_get(c->store, KIND_node, STR(""), name);
	if (!node)
		return -ENOENT;
	const struct condition *ready = ready_of(node);
	int r = remember(c, name);
	if (!r && !(ready && str_eqz(ready->status, "True") && str_eqz(ready->reason, HEARD)))
		r = set_ready(c, node, true);
	return r;
}

/* How long the pod bears a lost node, in seconds; -1: for ever. */
static int64_t patience(const struct cluster *c, const struct object *pod)
{
	const struct pod_spec *spec = pod->pod->spec;
	const struct owner_reference *owner = object_controller(pod);
	int64_t n = c->cfg.node_evict ? c->cfg.node_evict : EVICT_SECONDS;
	if (owner && str_eqz(owner->kind, "DaemonSet"))
		return -1;
	for (size_t i = 0; spec && i < spec->tolerations.len; i++) {
		const struct toleration *t = &spec->tolerations.items[i];
		if ((t->key.n && !str_eqz(t->key, "node.kubernetes.io/unreachable")) ||
		    (t->effect.n && !str_eqz(t->effect, "NoExecute")))
			continue;
		if (!t->toleration_seconds.set)
			return -1;
		n = t->toleration_seconds.v > 0 ? t->toleration_seconds.v : 0;
	}
	return n;
}

static int evict(struct cluster *c, const struct object *node, int64_t lost_for)
{
	struct object_refs pods = {0};
	int r = store_pods_of_node(c->store, node->meta.name, &pods);
	VEC_EACH (&pods.list, p)
		*p = object_ref(*p);
	VEC_EACH (&pods.list, p) {
		struct object *pod = (struct object *)(uintptr_t)*p;
		int64_t n = patience(c, pod);
		if (!r && pod_is_active(pod) && n >= 0 && lost_for >= n)
			r = cluster_delete(c, pod, -1);
		if (r == -ENOENT)
			r = 0;
		object_unref(&pod);
	}
	vec_free(&pods.list);
	return r;
}

static int judge(struct cluster *c, const struct object *node)
{
	int64_t heard = (int64_t)(uintptr_t)hash_get(&c->heard, node->meta.name) - 1;
	int64_t limit = c->cfg.node_lost ? c->cfg.node_lost : LOST_SECONDS;
	const struct condition *ready = ready_of(node);
	/* After a restart those that gave words before have their time again. */
	if (heard < 0)
		return ready && (str_eqz(ready->reason, HEARD) || str_eqz(ready->reason, UNKNOWN))
			   ? remember(c, node->meta.name)
			   : 0;
	int64_t silent = c->mono - heard;
	if (silent < limit)
		return 0;
	int r = nodelife_is_lost(node) ? 0 : set_ready(c, node, false);
	return r ? r : evict(c, node, silent - limit);
}

int nodelife_tick(struct cluster *c, int64_t mono)
{
	struct object_refs nodes = {0};
	int64_t gap = mono - c->mono;
	/* Who slept heard nobody: that is no fault of the nodes. */
	if (gap > TICK_GAP)
		HASH_EACH (&c->heard, slot)
			slot->value = (void *)((uintptr_t)slot->value + (uintptr_t)gap);
	c->mono = mono;
	int r = store_list(c->store, KIND_node, STR(""), &nodes);
	VEC_EACH (&nodes.list, n)
		*n = object_ref(*n);
	VEC_EACH (&nodes.list, n) {
		struct object *held = (struct object *)(uintptr_t)*n;
		if (!r)
			r = judge(c, held);
		object_unref(&held);
	}
	vec_free(&nodes.list);
	return r;
}
