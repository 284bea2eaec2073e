/* SPDX-License-Identifier: Apache-2.0 */
/* Rollouts step by step, endpoints while pods come and go, addresses of balancers, nodes that are lost. */
#include <errno.h>

#include "cluster_world.h"

enum { START = 1767225600 };

static const struct object *pod_named(struct world *w, const char *name)
{
	return store_get(w->store, KIND_pod, STR("default"), str_of(name));
}

/* Active pods of a label value, and of them those that are ready. */
static size_t count_of(struct world *w, const char *key, const char *value, size_t *ready)
{
	struct object_refs pods;
	size_t n = 0;
	*ready = 0;
	list(w, KIND_pod, &pods);
	VEC_EACH (&pods.list, p) {
		const struct str *v = strmap_get(&(*p)->meta.labels, str_of(key));
		if (!v || !str_eqz(*v, value) || !pod_is_active(*p))
			continue;
		n++;
		*ready += pod_is_ready(*p);
	}
	vec_free(&pods.list);
	return n;
}

/* The runtime has ended all pods that were to end. */
static void end_all(struct world *w)
{
	struct object_refs pods;
	list(w, KIND_pod, &pods);
	VEC_EACH (&pods.list, p)
		*p = object_ref(*p);
	VEC_EACH (&pods.list, p) {
		struct object *held = (struct object *)(uintptr_t)*p;
		if (held->meta.deletion_timestamp.n)
			assert_int_equal(cluster_delete(w->cluster, held, 0), 0);
		object_unref(&held);
	}
	vec_free(&pods.list);
	pass(w);
}

/* The runtime starts one pod that does not run yet; false: all are ready. */
static bool start_any(struct world *w)
{
	struct object_refs pods;
	struct object *found = NULL;
	list(w, KIND_pod, &pods);
	VEC_EACH (&pods.list, p)
		if (!found && pod_is_active(*p) && !pod_is_ready(*p))
			found = object_ref(*p);
	vec_free(&pods.list);
	if (!found)
		return false;
	set_running(w, found);
	object_unref(&found);
	pass(w);
	return true;
}

static void put_workload(struct world *w, const char *kind, const char *more, int version)
{
	char text[1024];
	snprintf(text, sizeof(text),
		 "apiVersion: apps/v1\nkind: %s\nmetadata: {name: x}\nspec:\n  %s\n"
		 "  selector: {matchLabels: {app: x}}\n  template:\n"
		 "    metadata: {labels: {app: x, v: \"%d\"}}\n"
		 "    spec: {containers: [{name: c, image: i}]}\n",
		 kind, more, version);
	put(w, text);
	pass(w);
}

/* maxSurge 1, maxUnavailable 0: never fewer than 4 ready, never more than 5; then back to the first template.
 */
static void surge_keeps_all_ready(void **state)
{
	(void)state;
	struct world w;
	size_t ready, steps = 0;
	world_make(&w, true, 2);
	const char *more = "replicas: 4\n  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}";
	put_workload(&w, "Deployment", more, 1);
	while (start_any(&w))
		;
	assert_int_equal(count_of(&w, "app", "x", &ready), 4);
	assert_int_equal(ready, 4);
	for (int version = 2; version <= 3; version++) {
		put_workload(&w, "Deployment", more, version == 3 ? 1 : version);
		do {
			assert_true(count_of(&w, "app", "x", &ready) <= 5);
			assert_true(ready >= 4);
			assert_true(++steps < 40);
		} while (start_any(&w));
		assert_int_equal(count_of(&w, "v", version == 3 ? "1" : "2", &ready), 4);
		assert_int_equal(count_of(&w, "app", "x", &ready), 4);
	}
	struct object_refs sets;
	assert_int_equal(list(&w, KIND_replicaset, &sets), 2);
	vec_free(&sets.list);
	const struct object *d = store_get(w.store, KIND_deployment, STR("default"), STR("x"));
	assert_true(
	    str_eqz(*strmap_get(&d->meta.annotations, STR("deployment.kubernetes.io/revision")), "3"));
	assert_true(str_eqz(condition_find(&d->deployment->status->conditions, "Progressing")->reason,
			    "NewReplicaSetAvailable"));
	world_free(&w);
}

/* maxUnavailable 50%, no surge: two go first, never fewer than two ready, never more than four. */
static void unavailable_by_percent(void **state)
{
	(void)state;
	struct world w;
	size_t ready;
	world_make(&w, true, 1);
	const char *more = "replicas: 4\n  strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 50%}}";
	put_workload(&w, "Deployment", more, 1);
	while (start_any(&w))
		;
	put_workload(&w, "Deployment", more, 2);
	do {
		assert_true(count_of(&w, "app", "x", &ready) <= 4);
		assert_true(ready >= 2);
	} while (start_any(&w));
	assert_int_equal(count_of(&w, "v", "2", &ready), 4);
	world_free(&w);
}

/* Recreate: no new pod before the last old one is gone. A rollout that stands still says so in time. */
static void recreate_and_deadline(void **state)
{
	(void)state;
	struct world w;
	size_t ready;
	world_make(&w, true, 1);
	const char *more = "replicas: 2\n  progressDeadlineSeconds: 30\n  strategy: {type: Recreate}";
	put_workload(&w, "Deployment", more, 1);
	while (start_any(&w))
		;
	put_workload(&w, "Deployment", more, 2);
	assert_int_equal(count_of(&w, "app", "x", &ready), 0);
	end_all(&w);
	assert_int_equal(count_of(&w, "v", "2", &ready), 2);
	cluster_time(w.cluster, START + 29);
	assert_int_equal(cluster_tick(w.cluster, 29), 0);
	pass(&w);
	const struct object *d = store_get(w.store, KIND_deployment, STR("default"), STR("x"));
	assert_true(condition_true(&d->deployment->status->conditions, "Progressing"));
	cluster_time(w.cluster, START + 31);
	assert_int_equal(cluster_tick(w.cluster, 31), 0);
	pass(&w);
	d = store_get(w.store, KIND_deployment, STR("default"), STR("x"));
	const struct condition *c = condition_find(&d->deployment->status->conditions, "Progressing");
	assert_true(str_eqz(c->status, "False") && str_eqz(c->reason, "ProgressDeadlineExceeded"));
	world_free(&w);
}

/* Both clocks of the cluster, told together: `wall` beside START. */
static void clocks(struct world *w, int64_t wall, int64_t steady)
{
	cluster_clock(w->cluster, START + wall, (uint64_t)(steady + 1000) * 1000);
	assert_int_equal(cluster_tick(w->cluster, steady), 0);
	pass(w);
}

/* A clock that is set by hours, forward and back, changes no duration. */
static void clock_is_set(void **state)
{
	(void)state;
	struct world w;
	size_t ready;
	world_make(&w, true, 1);
	const char *more = "replicas: 1\n  minReadySeconds: 50\n  progressDeadlineSeconds: 90";
	clocks(&w, 0, 0);
	put_workload(&w, "Deployment", more, 1);
	while (start_any(&w))
		;
	clocks(&w, 60, 60);
	put_workload(&w, "Deployment", more, 2);
	clocks(&w, 62, 62);
	while (start_any(&w))
		;
	clocks(&w, 18065, 65); /* five hours ahead */
	assert_int_equal(cluster_since(w.cluster, START + 62), 3);
	assert_int_equal(cluster_since(w.cluster, START + 60), 5);
	clocks(&w, 18095, 95);
	assert_int_equal(cluster_since(w.cluster, START + 18070), 25);
	assert_int_equal(count_of(&w, "v", "1", &ready), 1); /* the new one is not available yet */
	clocks(&w, -17900, 100);			     /* five hours back from where it began */
	assert_int_equal(cluster_since(w.cluster, START + 18070), 30);
	assert_int_equal(cluster_since(w.cluster, START + 62), 38);
	const struct object *d = store_get(w.store, KIND_deployment, STR("default"), STR("x"));
	assert_true(condition_true(&d->deployment->status->conditions, "Progressing"));
	assert_int_equal(count_of(&w, "v", "1", &ready), 1);
	clocks(&w, -17885, 115);
	assert_int_equal(count_of(&w, "v", "1", &ready), 0);
	assert_int_equal(cluster_since(w.cluster, START + 40000), -1);
	world_free(&w);
}

/* minReadySeconds: ready is not yet available, and the old pod stays until it is. */
static void min_ready(void **state)
{
	(void)state;
	struct world w;
	size_t ready;
	world_make(&w, true, 1);
	const char *more = "replicas: 1\n  minReadySeconds: 5";
	put_workload(&w, "Deployment", more, 1);
	while (start_any(&w))
		;
	cluster_time(w.cluster, START + 5);
	assert_int_equal(cluster_tick(w.cluster, 5), 0);
	pass(&w);
	put_workload(&w, "Deployment", more, 2);
	while (start_any(&w))
		;
	assert_int_equal(count_of(&w, "v", "1", &ready), 1);
	cluster_time(w.cluster, START + 10);
	assert_int_equal(cluster_tick(w.cluster, 10), 0);
	pass(&w);
	assert_int_equal(count_of(&w, "v", "1", &ready), 0);
	assert_int_equal(count_of(&w, "v", "2", &ready), 1);
	world_free(&w);
}

static bool runs(struct world *w, const char *name, const char *version)
{
	const struct object *o = pod_named(w, name);
	const struct str *v = o ? strmap_get(&o->meta.labels, STR("v")) : NULL;
	return v && str_eqz(*v, version) && pod_is_active(o);
}

/* In order up, in reverse order down and through an update, which stops at the partition. */
static void statefulsets_in_order(void **state)
{
	(void)state;
	struct world w;
	world_make(&w, true, 1);
	put_workload(&w, "StatefulSet", "replicas: 3", 1);
	assert_true(runs(&w, "x-0", "1") && !pod_named(&w, "x-1"));
	start_any(&w);
	assert_true(runs(&w, "x-1", "1") && !pod_named(&w, "x-2"));
	while (start_any(&w))
		;
	assert_true(runs(&w, "x-2", "1"));

	put_workload(&w, "StatefulSet", "replicas: 3\n  updateStrategy: {rollingUpdate: {partition: 1}}", 2);
	assert_true(!runs(&w, "x-2", "1") && runs(&w, "x-1", "1"));
	end_all(&w);
	assert_true(runs(&w, "x-2", "2") && runs(&w, "x-1", "1"));
	start_any(&w);
	assert_true(!runs(&w, "x-1", "1"));
	end_all(&w);
	start_any(&w);
	assert_true(runs(&w, "x-1", "2") && runs(&w, "x-0", "1"));
	const struct object *o = store_get(w.store, KIND_statefulset, STR("default"), STR("x"));
	assert_int_equal(o->statefulset->status->updated_replicas.v, 2);
	assert_false(
	    str_eq(o->statefulset->status->current_revision, o->statefulset->status->update_revision));

	put_workload(&w, "StatefulSet", "replicas: 1\n  updateStrategy: {rollingUpdate: {partition: 1}}", 2);
	assert_true(pod_named(&w, "x-2")->meta.deletion_timestamp.n && runs(&w, "x-1", "2"));
	end_all(&w);
	assert_true(!pod_named(&w, "x-2") && pod_named(&w, "x-1")->meta.deletion_timestamp.n);
	end_all(&w);
	assert_true(!pod_named(&w, "x-1") && runs(&w, "x-0", "1"));
	put_workload(&w, "StatefulSet", "replicas: 3\n  podManagementPolicy: Parallel", 2);
	assert_true(pod_named(&w, "x-1") && pod_named(&w, "x-2"));
	world_free(&w);
}

/* One node at a time; with a surge the new one first. */
static void daemonsets_roll(void **state)
{
	(void)state;
	struct world w;
	size_t ready, steps = 0;
	world_make(&w, true, 3);
	put_workload(&w, "DaemonSet", "minReadySeconds: 0", 1);
	while (start_any(&w))
		;
	put_workload(&w, "DaemonSet", "minReadySeconds: 0", 2);
	do {
		count_of(&w, "app", "x", &ready);
		assert_true(ready >= 2 && ++steps < 20);
		end_all(&w);
	} while (start_any(&w));
	assert_int_equal(count_of(&w, "v", "2", &ready), 3);
	const char *surge = "updateStrategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}";
	put_workload(&w, "DaemonSet", surge, 3);
	do {
		assert_true(count_of(&w, "app", "x", &ready) <= 4);
		assert_true(ready >= 3 && ++steps < 40);
		end_all(&w);
	} while (start_any(&w));
	assert_int_equal(count_of(&w, "v", "3", &ready), 3);
	assert_int_equal(count_of(&w, "app", "x", &ready), 3);
	world_free(&w);
}

/* SV32, SV33: hints by zone and node, only on ready endpoints, and they follow the node's label. */
static void hints_sv32_sv33(void **state)
{
	(void)state;
	struct world w;
	world_make(&w, false, 0);
	const char *node =
	    "apiVersion: v1\nkind: Node\nmetadata: {name: a, labels: {topology.kubernetes.io/zone: "
	    "%s}}\nspec: {podCIDRs: [10.1.0.0/24]}\n";
	char text[512];
	snprintf(text, sizeof(text), node, "east");
	put(&w, text);
	put(&w, "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ipFamilies: [IPv4], "
		"trafficDistribution: PreferSameNode, selector: {app: x}, ports: [{port: 80}]}\n---\n"
		"apiVersion: v1\nkind: Service\nmetadata: {name: z}\nspec: {ipFamilies: [IPv4], "
		"trafficDistribution: PreferClose, selector: {app: x}, ports: [{port: 80}]}\n---\n"
		"apiVersion: v1\nkind: Service\nmetadata: {name: n}\nspec: {ipFamilies: [IPv4], selector: "
		"{app: x}, ports: [{port: 80}]}\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: x}}\nspec: {containers: "
		"[{name: c, image: i}]}\n");
	pass(&w);
	const struct endpoint_hints *s =
	    slice_of(&w, "s", "IPv4", 80)->endpointslice->endpoints.items[0].hints;
	const struct endpoint_hints *z =
	    slice_of(&w, "z", "IPv4", 80)->endpointslice->endpoints.items[0].hints;
	assert_true(s && str_eqz(s->for_zones.items[0].name, "east") &&
		    str_eqz(s->for_nodes.items[0].name, "a"));
	assert_true(z && z->for_zones.len == 1 && !z->for_nodes.len);
	assert_null(slice_of(&w, "n", "IPv4", 80)->endpointslice->endpoints.items[0].hints);
	snprintf(text, sizeof(text), node, "west");
	put(&w, text);
	pass(&w);
	z = slice_of(&w, "z", "IPv4", 80)->endpointslice->endpoints.items[0].hints;
	assert_true(str_eqz(z->for_zones.items[0].name, "west"));
	world_free(&w);
}

/* SV19: with more pods than a slice holds, one more or one less moves no other to another slice. */
static void slices_keep_pods_sv19(void **state)
{
	(void)state;
	struct world w;
	char text[512];
	struct object_refs slices;
	world_make(&w, false, 0);
	put(&w, "apiVersion: v1\nkind: Node\nmetadata: {name: a}\nspec: {podCIDRs: [10.1.0.0/16]}\n---\n"
		"apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ipFamilies: [IPv4], "
		"ipFamilyPolicy: SingleStack, selector: {app: x}, ports: [{port: 80}]}\n");
	for (int i = 0; i < 1002; i++) {
		snprintf(
		    text, sizeof(text),
		    "apiVersion: v1\nkind: Pod\nmetadata: {name: p%04d, labels: {app: x}}\nspec: {nodeName: "
		    "a, containers: [{name: c, image: i}]}\n",
		    i + 1);
		put(&w, text);
	}
	pass(&w);
	assert_int_equal(list(&w, KIND_endpointslice, &slices), 2);
	const struct object *small = slices.list.items[0]->endpointslice->endpoints.len == 2
					 ? slices.list.items[0]
					 : slices.list.items[1];
	uint64_t version = small->version;
	AUTO_MEM char *name = strndup(small->meta.name.p, small->meta.name.n);
	vec_free(&slices.list);
	/* Before all others in the order of names: it would push one over the edge. */
	store_delete(w.store, KIND_pod, STR("default"), STR("p0500"));
	pass(&w);
	snprintf(text, sizeof(text),
		 "apiVersion: v1\nkind: Pod\nmetadata: {name: a0, labels: {app: x}}\nspec: {nodeName: a, "
		 "containers: [{name: c, image: i}]}\n");
	put(&w, text);
	pass(&w);
	small = store_get(w.store, KIND_endpointslice, STR("default"), str_of(name));
	assert_non_null(small);
	assert_int_equal(small->version, version);
	world_free(&w);
}

/* SV03, SV16, SV17, PR24, PR25: what the conditions of an endpoint say while its pod ends and when it is
 * over. */
static void conditions_sv03_sv16_sv17(void **state)
{
	(void)state;
	struct world w;
	world_make(&w, true, 1);
	put(&w,
	    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {app: x}, ports: [{port: "
	    "80}]}\n---\n"
	    "apiVersion: v1\nkind: Service\nmetadata: {name: all}\nspec: {publishNotReadyAddresses: true, "
	    "selector: {app: x}, ports: [{port: 80}]}\n---\n"
	    "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: x}}\nspec: {containers: "
	    "[{name: c, image: i}]}\n");
	pass(&w);
	const struct endpoint_conditions *all, *s;
	all = slice_of(&w, "all", "IPv4", 0)->endpointslice->endpoints.items[0].conditions;
	assert_true(all->ready.v && !all->serving.v);
	start_any(&w);
	assert_int_equal(cluster_delete(w.cluster, pod_named(&w, "p"), -1), 0);
	pass(&w);
	s = slice_of(&w, "s", "IPv4", 0)->endpointslice->endpoints.items[0].conditions;
	all = slice_of(&w, "all", "IPv4", 0)->endpointslice->endpoints.items[0].conditions;
	assert_true(!s->ready.v && s->serving.v && s->terminating.v);
	assert_true(all->ready.v && all->terminating.v);
	struct object *o;
	assert_int_equal(object_clone(&o, pod_named(&w, "p")), 0);
	o->pod->status->phase = STR("Failed");
	assert_int_equal(store_put(w.store, o, NULL), 0);
	pass(&w);
	assert_null(slice_of(&w, "s", "IPv4", 0));
	assert_null(slice_of(&w, "all", "IPv4", 0));
	world_free(&w);
}

/* A node that gave a word and gives none: pods lose readiness, then their place; a sleep of the hub is none.
 */
static void lost_nodes(void **state)
{
	(void)state;
	struct world w;
	size_t ready;
	world_make(&w, true, 2);
	assert_int_equal(cluster_heartbeat(w.cluster, STR("node-1")), 0);
	assert_int_equal(cluster_heartbeat(w.cluster, STR("nope")), -ENOENT);
	assert_int_equal(cluster_tick(w.cluster, 5000), 0);
	put_workload(&w, "Deployment", "replicas: 2", 1);
	while (start_any(&w))
		;
	assert_int_equal(count_of(&w, "app", "x", &ready), 2);
	assert_int_equal(ready, 2);
	for (int64_t t = 5001; t < 5008; t++)
		assert_int_equal(cluster_tick(w.cluster, t), 0);
	/* The hub slept for an hour. */
	assert_int_equal(cluster_tick(w.cluster, 8607), 0);
	pass(&w);
	count_of(&w, "app", "x", &ready);
	assert_int_equal(ready, 2);
	for (int64_t t = 8608; t < 8612; t++)
		assert_int_equal(cluster_tick(w.cluster, t), 0);
	pass(&w);
	assert_int_equal(count_of(&w, "app", "x", &ready), 2);
	assert_int_equal(ready, 1);
	for (int64_t t = 8612; t < 8680; t++)
		assert_int_equal(cluster_tick(w.cluster, t), 0);
	pass(&w);
	while (start_any(&w))
		;
	assert_int_equal(count_of(&w, "app", "x", &ready), 2);
	assert_int_equal(ready, 2);
	struct object_refs pods;
	list(&w, KIND_pod, &pods);
	VEC_EACH (&pods.list, p)
		assert_true(str_eqz((*p)->pod->spec->node_name, "node-2") || (*p)->meta.deletion_timestamp.n);
	vec_free(&pods.list);
	assert_int_equal(cluster_heartbeat(w.cluster, STR("node-1")), 0);
	pass(&w);
	assert_true(condition_true(
	    &store_get(w.store, KIND_node, STR(""), STR("node-1"))->node->status->conditions, "Ready"));
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(surge_keeps_all_ready),
	    cmocka_unit_test(unavailable_by_percent),
	    cmocka_unit_test(recreate_and_deadline),
	    cmocka_unit_test(clock_is_set),
	    cmocka_unit_test(min_ready),
	    cmocka_unit_test(statefulsets_in_order),
	    cmocka_unit_test(daemonsets_roll),
	    cmocka_unit_test(hints_sv32_sv33),
	    cmocka_unit_test(slices_keep_pods_sv19),
	    cmocka_unit_test(conditions_sv03_sv16_sv17),
	    cmocka_unit_test(lost_nodes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
