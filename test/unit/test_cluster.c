/* SPDX-License-Identifier: Apache-2.0 */
/* The controllers on objects in memory: workloads, placing, addresses, endpoints, deletion; offline and live.
 */
#include "cluster_world.h"
#include "hub/offline.h"

static void deployments(void **state)
{
	(void)state;
	struct world w;
	struct object_refs sets, pods;
	world_make(&w, false, 2);
	put_deployment(&w, 3, 1);
	assert_int_equal(count_active(&w), 3);
	assert_int_equal(list(&w, KIND_replicaset, &sets), 1);
	AUTO_MEM char *first = strndup(sets.list.items[0]->meta.name.p, sets.list.items[0]->meta.name.n);
	assert_int_equal(strlen(first), strlen("web-") + 10);
	assert_true(strmap_get(&sets.list.items[0]->meta.labels, STR("pod-template-hash")) != NULL);
	vec_free(&sets.list);
	list(&w, KIND_pod, &pods);
	assert_true(str_starts(pods.list.items[0]->meta.name, str_of(first)));
	assert_int_equal(pods.list.items[0]->meta.name.n, strlen(first) + 6);
	vec_free(&pods.list);

	put_deployment(&w, 1, 1);
	assert_int_equal(count_active(&w), 1);
	put_deployment(&w, 4, 1);
	assert_int_equal(count_active(&w), 4);

	put_deployment(&w, 4, 2);
	assert_int_equal(count_active(&w), 4);
	/* The old set is kept, without pods. */
	assert_int_equal(list(&w, KIND_replicaset, &sets), 2);
	VEC_EACH (&sets.list, s)
		assert_int_equal((*s)->replicaset->spec->replicas.v, str_eqz((*s)->meta.name, first) ? 0 : 4);
	vec_free(&sets.list);
	const struct object *d = store_get(w.store, KIND_deployment, STR("default"), STR("web"));
	assert_int_equal(d->deployment->status->ready_replicas.v, 4);
	assert_int_equal(d->deployment->status->observed_generation.v, d->meta.generation.v);
	assert_true(condition_true(&d->deployment->status->conditions, "Available"));

	/* A deleted pod is replaced under another name; a deleted Deployment takes everything along. */
	list(&w, KIND_pod, &pods);
	AUTO_MEM char *gone = strndup(pods.list.items[0]->meta.name.p, pods.list.items[0]->meta.name.n);
	vec_free(&pods.list);
	store_delete(w.store, KIND_pod, STR("default"), str_of(gone));
	pass(&w);
	assert_int_equal(count_active(&w), 4);
	assert_null(store_get(w.store, KIND_pod, STR("default"), str_of(gone)));
	store_delete(w.store, KIND_deployment, STR("default"), STR("web"));
	pass(&w);
	assert_int_equal(list(&w, KIND_replicaset, &sets) + list(&w, KIND_pod, &pods), 0);
	vec_free(&sets.list);
	vec_free(&pods.list);
	world_free(&w);
}

/* Live, with a kubelet: new pods first, the old ones when those are ready; ending takes two steps. */
static void rollout_waits(void **state)
{
	(void)state;
	struct world w;
	struct object_refs pods, sets;
	world_make(&w, true, 1);
	put_deployment(&w, 1, 1);
	list(&w, KIND_pod, &pods);
	assert_true(str_eqz(pods.list.items[0]->pod->status->phase, "Pending"));
	set_running(&w, pods.list.items[0]);
	vec_free(&pods.list);
	pass(&w);
	list(&w, KIND_pod, &pods);
	assert_true(str_eqz(pods.list.items[0]->pod->status->phase, "Running"));
	assert_true(pod_is_ready(pods.list.items[0]));
	vec_free(&pods.list);

	put_deployment(&w, 1, 2);
	assert_int_equal(list(&w, KIND_replicaset, &sets), 2);
	vec_free(&sets.list);
	assert_int_equal(count_active(&w), 2);
	list(&w, KIND_pod, &pods);
	VEC_EACH (&pods.list, p)
		*p = object_ref(*p);
	VEC_EACH (&pods.list, p) {
		struct object *held = (struct object *)(uintptr_t)*p;
		if (!pod_is_ready(held))
			set_running(&w, held);
		object_unref(&held);
	}
	vec_free(&pods.list);
	pass(&w);
	assert_int_equal(count_active(&w), 1);
	/* The old pod is only marked: the kubelet ends it and deletes it for good. */
	assert_int_equal(list(&w, KIND_pod, &pods), 2);
	const struct object *ending = NULL;
	VEC_EACH (&pods.list, p)
		if ((*p)->meta.deletion_timestamp.n)
			ending = *p;
	vec_free(&pods.list);
	assert_non_null(ending);
	assert_int_equal(ending->meta.deletion_grace_period_seconds.v, 30);
	assert_int_equal(cluster_delete(w.cluster, ending, 0), 0);
	pass(&w);
	assert_int_equal(list(&w, KIND_pod, &pods), 1);
	vec_free(&pods.list);
	world_free(&w);
}

static void other_workloads(void **state)
{
	(void)state;
	struct world w;
	struct object_refs pods;
	world_make(&w, false, 3);
	put(&w, "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec:\n  replicas: 2\n  "
		"serviceName: db\n"
		"  selector: {matchLabels: {app: db}}\n  template: {metadata: {labels: {app: db}}, spec: "
		"{containers: [{name: c, "
		"image: i}]}}\n");
	put(&w, "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: log}\nspec:\n  selector: "
		"{matchLabels: {app: log}}\n"
		"  template: {metadata: {labels: {app: log}}, spec: {containers: [{name: c, image: i}]}}\n");
	put(&w, "apiVersion: batch/v1\nkind: Job\nmetadata: {name: once}\nspec:\n  parallelism: 2\n  "
		"completions: 3\n"
		"  template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}\n");
	pass(&w);
	const struct object *db = store_get(w.store, KIND_pod, STR("default"), STR("db-1"));
	assert_non_null(db);
	assert_true(str_eqz(db->pod->spec->hostname, "db-1") && str_eqz(db->pod->spec->subdomain, "db"));
	assert_null(store_get(w.store, KIND_pod, STR("default"), STR("db-2")));
	list(&w, KIND_pod, &pods);
	size_t logs = 0, jobs = 0;
	VEC_EACH (&pods.list, p) {
		logs += str_starts((*p)->meta.name, STR("log-"));
		jobs += str_starts((*p)->meta.name, STR("once-"));
	}
	vec_free(&pods.list);
	assert_int_equal(logs, 3);
	assert_int_equal(jobs, 2);
	const struct object *ds = store_get(w.store, KIND_daemonset, STR("default"), STR("log"));
	assert_int_equal(ds->daemonset->status->number_ready.v, 3);
	/* A node that leaves takes its pods along; one that comes gets its daemon. */
	store_delete(w.store, KIND_node, STR(""), STR("node-3"));
	pass(&w);
	list(&w, KIND_pod, &pods);
	VEC_EACH (&pods.list, p)
		assert_false(str_eqz((*p)->pod->spec->node_name, "node-3"));
	assert_int_equal(pods.list.len, 2 + 2 + 2);
	vec_free(&pods.list);
	world_free(&w);
}

static struct str node_of(struct world *w, const char *pod)
{
	const struct object *o = store_get(w->store, KIND_pod, STR("default"), str_of(pod));
	assert_non_null(o);
	return o->pod->spec->node_name;
}

static const char *why_not(struct world *w, const char *pod)
{
	const struct object *o = store_get(w->store, KIND_pod, STR("default"), str_of(pod));
	const struct condition *c = condition_find(&o->pod->status->conditions, "PodScheduled");
	return c && str_eqz(c->status, "False") ? c->message.p : NULL;
}

static void placing(void **state)
{
	(void)state;
	struct world w;
	world_make(&w, false, 0);
	put(&w, "apiVersion: v1\nkind: Pod\nmetadata: {name: early}\nspec: {containers: [{name: c, image: "
		"i}]}\n");
	pass(&w);
	assert_has(why_not(&w, "early"), "there is no node");
	put(&w, "apiVersion: v1\nkind: Node\nmetadata: {name: a, labels: {disk: fast}}\nspec: {podCIDRs: "
		"[10.1.0.0/24]}\n---\n"
		"apiVersion: v1\nkind: Node\nmetadata: {name: b}\nspec:\n  podCIDRs: [10.2.0.0/29]\n"
		"  taints: [{key: k, value: v, effect: NoSchedule}]\n");
	pass(&w);
	assert_true(str_eqz(node_of(&w, "early"), "a"));
	put(&w, "apiVersion: v1\nkind: Pod\nmetadata: {name: picky}\nspec: {nodeSelector: {disk: slow}, "
		"containers: [{name: c, "
		"image: i}]}\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata: {name: tolerant}\nspec:\n  tolerations: [{key: k, "
		"operator: Exists}]\n"
		"  containers: [{name: c, image: i}]\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata: {name: fixed}\nspec: {nodeName: b, containers: [{name: "
		"c, image: i}]}\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata: {name: port-1}\nspec: {containers: [{name: c, image: "
		"i, ports: "
		"[{containerPort: 80, hostPort: 80}]}]}\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata: {name: port-2}\nspec: {containers: [{name: c, image: "
		"i, ports: "
		"[{containerPort: 80, hostPort: 80, hostIP: 10.9.9.9}]}]}\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata: {name: port-udp}\nspec: {containers: [{name: c, image: "
		"i, ports: "
		"[{containerPort: 80, hostPort: 80, protocol: UDP}]}]}\n");
	pass(&w);
	assert_has(why_not(&w, "picky"), "none of 2 nodes fits: 2 without the labels of nodeSelector");
	assert_true(str_eqz(node_of(&w, "tolerant"), "b"));
	assert_true(str_eqz(node_of(&w, "fixed"), "b"));
	assert_true(str_eqz(node_of(&w, "port-1"), "a"));
	assert_has(why_not(&w, "port-2"), "1 where its hostPort is taken");
	assert_true(str_eqz(node_of(&w, "port-udp"), "a"));
	/* The port is free again, and who waited gets it. */
	store_delete(w.store, KIND_pod, STR("default"), STR("port-1"));
	pass(&w);
	assert_true(str_eqz(node_of(&w, "port-2"), "a"));
	/* One address of it is enough to be in the way of all. */
	put(&w, "apiVersion: v1\nkind: Pod\nmetadata: {name: port-3}\nspec: {containers: [{name: c, image: "
		"i, ports: "
		"[{containerPort: 80, hostPort: 80}]}]}\n");
	pass(&w);
	assert_has(why_not(&w, "port-3"), "1 where its hostPort is taken");
	world_free(&w);
}

/* Pods of one owner go apart first, then where there are fewest. */
static void spreading(void **state)
{
	(void)state;
	struct world w;
	struct object_refs pods;
	size_t on_full = 0;
	world_make(&w, false, 2);
	for (int i = 0; i < 3; i++) {
		char text[256];
		snprintf(text, sizeof(text),
			 "apiVersion: v1\nkind: Pod\nmetadata: {name: p%d}\nspec: {nodeName: node-1, "
			 "containers: [{name: c, "
			 "image: i}]}\n",
			 i);
		put(&w, text);
	}
	pass(&w);
	put_deployment(&w, 2, 1);
	list(&w, KIND_pod, &pods);
	VEC_EACH (&pods.list, p)
		on_full += str_eqz((*p)->pod->spec->node_name, "node-1") && object_controller(*p);
	vec_free(&pods.list);
	assert_int_equal(on_full, 1);
	put(&w, "apiVersion: v1\nkind: Pod\nmetadata: {name: alone}\nspec: {containers: [{name: c, image: "
		"i}]}\n");
	pass(&w);
	assert_true(str_eqz(node_of(&w, "alone"), "node-2"));
	world_free(&w);
}

static void pod_addresses(void **state)
{
	(void)state;
	struct world w;
	char text[256];
	world_make(&w, false, 0);
	put(&w, "apiVersion: v1\nkind: Node\nmetadata: {name: n}\nspec: {podCIDRs: [10.1.0.0/29, "
		"'fd00:1::/80']}\n"
		"status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}\n");
	for (int i = 0; i < 6; i++) {
		snprintf(text, sizeof(text),
			 "apiVersion: v1\nkind: Pod\nmetadata: {name: p%d}\nspec: {containers: [{name: c, "
			 "image: i}]}\n",
			 i);
		put(&w, text);
	}
	pass(&w);
	/* Eight addresses: network, reserved, five for pods, broadcast. */
	const struct object *p = store_get(w.store, KIND_pod, STR("default"), STR("p0"));
	assert_true(str_eqz(p->pod->status->pod_ips.items[0].ip, "10.1.0.2"));
	assert_true(str_eqz(p->pod->status->pod_ips.items[1].ip, "fd00:1::2"));
	assert_has(why_not(&w, "p5"), "without a free pod address");
	store_delete(w.store, KIND_pod, STR("default"), STR("p1"));
	pass(&w);
	p = store_get(w.store, KIND_pod, STR("default"), STR("p5"));
	assert_true(str_eqz(p->pod->status->pod_ip, "10.1.0.3"));
	store_delete(w.store, KIND_pod, STR("default"), STR("p2"));
	store_delete(w.store, KIND_pod, STR("default"), STR("p4"));
	put(&w,
	    "apiVersion: v1\nkind: Pod\nmetadata: {name: p7}\nspec: {containers: [{name: c, image: i}]}\n");
	pass(&w);
	/* Not the one freed last below it: the search moves on. */
	p = store_get(w.store, KIND_pod, STR("default"), STR("p7"));
	assert_true(str_eqz(p->pod->status->pod_ip, "10.1.0.4"));
	put(&w, "apiVersion: v1\nkind: Pod\nmetadata: {name: host}\nspec: {hostNetwork: true, containers: "
		"[{name: c, image: i}]}\n");
	pass(&w);
	p = store_get(w.store, KIND_pod, STR("default"), STR("host"));
	assert_true(str_eqz(p->pod->status->pod_ip, "192.0.2.1"));
	world_free(&w);
}

static void service_addresses(void **state)
{
	(void)state;
	struct world w, again;
	world_make(&w, false, 1);
	world_make(&again, false, 1);
	const char *any = "apiVersion: v1\nkind: Service\nmetadata: {name: any}\nspec: {type: NodePort, "
			  "ports: [{port: 80}]}\n";
	put(&w, any);
	put(&again, any);
	const struct service_spec *a =
	    store_get(w.store, KIND_service, STR("default"), STR("any"))->service->spec;
	const struct service_spec *b =
	    store_get(again.store, KIND_service, STR("default"), STR("any"))->service->spec;
	assert_int_equal(a->cluster_ips.len, 2);
	assert_true(str_eq(a->cluster_ips.items[0], b->cluster_ips.items[0]));
	assert_true(str_eq(a->cluster_ips.items[1], b->cluster_ips.items[1]));
	assert_int_equal(a->ports.items[0].node_port.v, b->ports.items[0].node_port.v);
	assert_in_range(a->ports.items[0].node_port.v, 30000, 32767);
	world_free(&again);

	put(&w, "apiVersion: v1\nkind: Service\nmetadata: {name: six}\nspec: {clusterIP: "
		"'fd57:e7f7:0:96::77', ports: [{port: 80}]}\n---\n"
		"apiVersion: v1\nkind: Service\nmetadata: {name: one}\nspec: {ipFamilyPolicy: SingleStack, "
		"ports: [{port: 80}]}\n---\n"
		"apiVersion: v1\nkind: Service\nmetadata: {name: none}\nspec: {clusterIP: None, selector: "
		"{a: b}}\n---\n"
		"apiVersion: v1\nkind: Service\nmetadata: {name: ask}\nspec: {clusterIP: 10.96.1.1, type: "
		"NodePort, ports: [{port: 80, "
		"nodePort: 30100}]}\n");
	const struct service_spec *six =
	    store_get(w.store, KIND_service, STR("default"), STR("six"))->service->spec;
	assert_true(str_eqz(six->ip_families.items[0], "IPv6") &&
		    str_eqz(six->cluster_ip, "fd57:e7f7:0:96::77"));
	const struct service_spec *one =
	    store_get(w.store, KIND_service, STR("default"), STR("one"))->service->spec;
	assert_int_equal(one->cluster_ips.len, 1);
	const struct service_spec *none =
	    store_get(w.store, KIND_service, STR("default"), STR("none"))->service->spec;
	assert_true(str_eqz(none->cluster_ip, "None") && none->ip_families.len == 2);
	assert_int_equal(w.rs.errors, 0);

	/* Taken ones are refused with who has them and where that stands. */
	put(&w, "apiVersion: v1\nkind: Service\nmetadata: {name: clash}\nspec:\n  clusterIP: 10.96.1.1\n  "
		"type: NodePort\n"
		"  ports: [{port: 80, nodePort: 30100}]\n");
	assert_null(store_get(w.store, KIND_service, STR("default"), STR("clash")));
	assert_int_equal(w.rs.errors, 2);
	assert_has(w.rs.list.items[0].text,
		   "clusterIP 10.96.1.1 of Service default/clash is already that of test.yaml:16:1: "
		   "Service default/ask");
	assert_int_equal(w.rs.list.items[0].line, 5);
	assert_has(w.rs.list.items[1].text, "nodePort 30100");
	put(&w, "apiVersion: v1\nkind: Service\nmetadata: {name: far}\nspec: {clusterIP: 10.97.0.1, ports: "
		"[{port: 80}]}\n");
	assert_has(w.rs.list.items[2].text, "outside the range of Services, 10.96.0.0/16");

	/* What a deleted one had is free; what an updated one has it keeps. */
	store_delete(w.store, KIND_service, STR("default"), STR("ask"));
	put(&w, "apiVersion: v1\nkind: Service\nmetadata: {name: clash}\nspec: {clusterIP: 10.96.1.1, ports: "
		"[{port: 80}]}\n");
	assert_non_null(store_get(w.store, KIND_service, STR("default"), STR("clash")));
	put(&w, "apiVersion: v1\nkind: Service\nmetadata: {name: clash}\nspec: {ports: [{port: 81}]}\n");
	const struct service_spec *kept =
	    store_get(w.store, KIND_service, STR("default"), STR("clash"))->service->spec;
	assert_true(str_eqz(kept->cluster_ip, "10.96.1.1"));
	assert_int_equal(kept->ports.items[0].port.v, 81);
	world_free(&w);
}

/* SV13, SV14: a name resolves pod by pod; who lacks it is left out. */
static void endpoints_by_name_sv13_sv14(void **state)
{
	(void)state;
	struct world w;
	world_make(&w, false, 1);
	put(&w, "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {app: x}, ports: "
		"[{name: web, port: 80, "
		"targetPort: http}]}\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: x}}\nspec: {containers: "
		"[{name: c, image: i, ports: "
		"[{name: http, containerPort: 8080}]}]}\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata: {name: b, labels: {app: x}}\nspec: {containers: "
		"[{name: c, image: i, ports: "
		"[{name: http, containerPort: 9090}]}]}\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata: {name: sidecar, labels: {app: x}}\nspec:\n"
		"  initContainers: [{name: p, image: i, restartPolicy: Always, ports: [{name: http, "
		"containerPort: 9090}]}]\n"
		"  containers: [{name: c, image: i}]\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata: {name: udp, labels: {app: x}}\nspec: {containers: "
		"[{name: c, image: i, ports: "
		"[{name: http, containerPort: 8080, protocol: UDP}]}]}\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata: {name: other, labels: {app: y}}\nspec: {containers: "
		"[{name: c, image: i, ports: "
		"[{name: http, containerPort: 8080}]}]}\n");
	pass(&w);
	const struct object *s8080 = slice_of(&w, "s", "IPv4", 8080),
			    *s9090 = slice_of(&w, "s", "IPv4", 9090);
	assert_non_null(s8080);
	assert_non_null(s9090);
	assert_non_null(slice_of(&w, "s", "IPv6", 8080));
	assert_int_equal(s8080->endpointslice->endpoints.len, 1);
	assert_int_equal(s9090->endpointslice->endpoints.len, 2);
	const struct endpoint *e = &s8080->endpointslice->endpoints.items[0];
	assert_true(str_eqz(e->target_ref->name, "a") && str_eqz(e->node_name, "node-1"));
	assert_true(e->conditions->ready.v && e->conditions->serving.v && !e->conditions->terminating.v);
	/* Nothing changed: nothing is written. */
	uint64_t version = store_version(w.store);
	keyset_add(&w.cluster->services, STR("default/s"));
	pass(&w);
	assert_int_equal(store_version(w.store), version);
	store_delete(w.store, KIND_pod, STR("default"), STR("a"));
	pass(&w);
	assert_null(slice_of(&w, "s", "IPv4", 8080));
	store_delete(w.store, KIND_service, STR("default"), STR("s"));
	pass(&w);
	assert_null(slice_of(&w, "s", "IPv4", 0));
	world_free(&w);
}

static void endpoint_conditions(void **state)
{
	(void)state;
	struct world w;
	world_make(&w, true, 1);
	put(&w, "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {app: x}, ports: "
		"[{port: 80}]}\n---\n"
		"apiVersion: v1\nkind: Service\nmetadata: {name: all}\nspec: {publishNotReadyAddresses: "
		"true, selector: {app: x}, ports: "
		"[{port: 80}]}\n---\n"
		"apiVersion: v1\nkind: Service\nmetadata: {name: hand}\nspec: {ports: [{port: 80}]}\n---\n"
		"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: hand-1, labels: "
		"{kubernetes.io/service-name: "
		"hand}}\naddressType: IPv4\nendpoints: [{addresses: [192.0.2.9]}]\nports: [{port: 80}]\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: x}}\nspec: {containers: "
		"[{name: c, image: i, "
		"readinessProbe: {tcpSocket: {port: 80}}}]}\n");
	pass(&w);
	const struct endpoint *e = &slice_of(&w, "s", "IPv4", 80)->endpointslice->endpoints.items[0];
	assert_false(e->conditions->ready.v);
	assert_true(slice_of(&w, "all", "IPv4", 80)->endpointslice->endpoints.items[0].conditions->ready.v);
	/* Running is not ready while a probe has not said so (PR12, PR13). */
	set_running(&w, store_get(w.store, KIND_pod, STR("default"), STR("p")));
	pass(&w);
	const struct object *p = store_get(w.store, KIND_pod, STR("default"), STR("p"));
	assert_true(str_eqz(p->pod->status->phase, "Running"));
	assert_false(pod_is_ready(p));
	assert_true(podstatus_probe(w.cluster, p->meta.uid, STR("c"), true, true, -1));
	assert_false(podstatus_probe(w.cluster, p->meta.uid, STR("c"), true, true, -1));
	set_running(&w, p);
	pass(&w);
	e = &slice_of(&w, "s", "IPv4", 80)->endpointslice->endpoints.items[0];
	assert_true(e->conditions->ready.v && e->conditions->serving.v);
	assert_int_equal(
	    cluster_delete(w.cluster, store_get(w.store, KIND_pod, STR("default"), STR("p")), -1), 0);
	pass(&w);
	e = &slice_of(&w, "s", "IPv4", 80)->endpointslice->endpoints.items[0];
	assert_true(!e->conditions->ready.v && e->conditions->serving.v && e->conditions->terminating.v);
	assert_non_null(slice_of(&w, "hand", "IPv4", 80));
	world_free(&w);
}

static int offline_sink(void *ctx, struct object *o)
{
	assert_int_equal(object_default(o), 0);
	return store_put(ctx, o, NULL);
}

static void expand(const char *text, struct buf *out, struct remarks *rs, int expected)
{
	struct store *s;
	struct file *f;
	struct cluster_options opt = {.nodes = 2};
	assert_int_equal(store_new(&s, 0), 0);
	assert_int_equal(file_new(&f, "test.yaml", text, strlen(text)), 0);
	struct decoder_options dec = {.sink = offline_sink, .ctx = s, .remarks = rs};
	assert_int_equal(decode_yaml(f, &dec), 0);
	file_unref(&f);
	assert_int_equal(cluster_expand(s, &opt, rs), expected);
	for (enum kind k = 0; k < KIND_COUNT; k++) {
		struct object_refs all = {0};
		store_list(s, k, STR(""), &all);
		VEC_EACH (&all.list, o) {
			object_print_json(out, *o, PRINT_PLAIN);
			buf_addc(out, '\n');
		}
		vec_free(&all.list);
	}
	store_free(&s);
}

static void offline(void **state)
{
	(void)state;
	AUTO_BUF a = {0};
	AUTO_BUF b = {0};
	struct remarks rs = {0};
	char text[2048];
	snprintf(text, sizeof(text), deployment, 5, 1);
	strcat(text, "---\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: far}\nspec: "
		     "{selector: {app: web}, ports: "
		     "[{port: 80}]}\n");
	expand(text, &a, &rs, 0);
	expand(text, &b, &rs, 0);
	assert_string_equal(a.p, b.p);
	assert_has(a.p, "\"kind\":\"Namespace\",\"metadata\":{\"name\":\"far\"");
	assert_has(a.p, "\"clusterIP\":\"10.96.0.10\"");
	assert_has(a.p, "\"node-2\"");
	strcat(text, "---\napiVersion: v1\nkind: Service\nmetadata: {name: dns2}\nspec: {clusterIP: "
		     "10.96.0.9, clusterIPs: [10.96.0.9], ports: [{port: 80}]}\n"
		     "---\napiVersion: v1\nkind: Service\nmetadata: {name: dns3}\nspec: {clusterIP: "
		     "10.96.0.9, clusterIPs: [10.96.0.9], ports: [{port: 80}]}\n");
	buf_clear(&a);
	expand(text, &a, &rs, -22);
	assert_int_equal(rs.errors, 1);
	assert_has(rs.list.items[0].text,
		   "of Service default/dns3 is already that of test.yaml:16:1: Service default/dns2");
	remarks_fini(&rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(deployments),	   cmocka_unit_test(rollout_waits),
	    cmocka_unit_test(other_workloads),	   cmocka_unit_test(placing),
	    cmocka_unit_test(spreading),	   cmocka_unit_test(pod_addresses),
	    cmocka_unit_test(service_addresses),   cmocka_unit_test(endpoints_by_name_sv13_sv14),
	    cmocka_unit_test(endpoint_conditions), cmocka_unit_test(offline),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
