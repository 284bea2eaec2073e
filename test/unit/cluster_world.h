/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster in memory for the tests of its controllers: objects go in as manifests, passes are run by hand.
 */
#ifndef WEFT_TEST_CLUSTER_WORLD_H
#define WEFT_TEST_CLUSTER_WORLD_H

#include "hub/admit.h"
#include "hub/cluster.h"
#include "hub/condition.h"
#include "hub/offline.h"
#include "hub/podmake.h"
#include "hub/podstatus.h"
#include "manifest.h"

struct world {
	struct store *store;
	struct cluster *cluster;
	struct remarks rs;
};

static inline void world_make(struct world *w, bool kubelet, unsigned nodes)
{
	struct cluster_config cfg = {.kubelet = kubelet, .first_load = true};
	cluster_service_ranges(&cfg.services4, &cfg.services6);
	*w = (struct world){0};
	assert_int_equal(store_new(&w->store, 0), 0);
	assert_int_equal(cluster_new(&w->cluster, w->store, &cfg), 0);
	cluster_time(w->cluster, 1767225600);
	for (unsigned i = 0; i < nodes; i++) {
		struct object *o;
		assert_int_equal(node_make(&o, i), 0);
		assert_int_equal(cluster_put(w->cluster, o, NULL, &w->rs), 0);
	}
}

static inline void world_free(struct world *w)
{
	cluster_free(&w->cluster);
	store_free(&w->store);
	remarks_fini(&w->rs);
}

/* Decodes, defaults and puts each object of the text, as the hub does. */
static inline void put(struct world *w, const char *text)
{
	struct manifest_objects all = {0};
	struct remarks rs = {0};
	assert_int_equal(manifest_read("test.yaml", text, &all, &rs), 0);
	remarks_fini(&rs);
	for (size_t i = 0; i < all.n; i++) {
		struct object *o = TAKE(all.items[i]);
		assert_int_equal(object_default(o), 0);
		const struct object *old = store_get(w->store, o->desc->kind, o->meta.ns, o->meta.name);
		cluster_put(w->cluster, o, old, &w->rs);
	}
}

static inline void pass(struct world *w)
{
	assert_int_equal(cluster_pass(w->cluster, &w->rs), 0);
	assert_false(cluster_is_dirty(w->cluster));
}

static inline size_t list(struct world *w, enum kind k, struct object_refs *refs)
{
	*refs = (struct object_refs){0};
	assert_int_equal(store_list(w->store, k, STR(""), refs), 0);
	return refs->list.len;
}

static inline size_t count_active(struct world *w)
{
	struct object_refs pods;
	size_t n = 0;
	list(w, KIND_pod, &pods);
	VEC_EACH (&pods.list, p)
		n += pod_is_active(*p);
	vec_free(&pods.list);
	return n;
}

static inline void assert_has(const char *text, const char *part)
{
	if (!text || !strstr(text, part)) {
		fprintf(stderr, "not in \"%s\": %s\n", text ? text : "", part);
		fail();
	}
}

static const char deployment[] __attribute__((unused)) =
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: %d\n"
    "  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web, v: \"%d\"}}\n"
    "    spec: {containers: [{name: c, image: i, ports: [{name: http, containerPort: 8080}]}]}\n";

static inline void put_deployment(struct world *w, int replicas, int version)
{
	char text[1024];
	snprintf(text, sizeof(text), deployment, replicas, version);
	put(w, text);
	pass(w);
}

static inline void set_running(struct world *w, const struct object *pod)
{
	struct object *o;
	struct arena *a;
	assert_int_equal(object_clone(&o, pod), 0);
	a = &o->arena;
	struct container_status *cs = arena_new(a, struct container_status);
	cs->name = arena_str(a, STR("c"));
	cs->state = arena_str(a, STR("{\"running\":{\"startedAt\":\"2026-01-01T00:00:00Z\"}}"));
	o->pod->status->container_statuses =
	    (struct container_status_list){.items = cs, .len = 1, .set = true};
	assert_int_equal(podstatus_compose(w->cluster, o), 0);
	assert_int_equal(store_put(w->store, o, NULL), 0);
}

static inline const struct object *slice_of(struct world *w, const char *service, const char *type,
					    int64_t port)
{
	struct object_refs slices;
	const struct object *found = NULL;
	list(w, KIND_endpointslice, &slices);
	VEC_EACH (&slices.list, s) {
		const struct str *name = strmap_get(&(*s)->meta.labels, STR("kubernetes.io/service-name"));
		const struct endpointslice *es = (*s)->endpointslice;
		if (name && str_eqz(*name, service) && str_eqz(es->address_type, type) &&
		    (!port || (es->ports.len && es->ports.items[0].port.v == port)))
			found = *s;
	}
	vec_free(&slices.list);
	return found;
}

#endif
