/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources that are not kept: Events (events.c), and each Node's Lease, which clients look at to see that it
 * lives. Read only.
 */
#include "base/clock.h"
#include "serve/api_state.h"

static void print_lease(struct buf *b, const struct object *node)
{
	char now[21];
	clock_rfc3339(clock_wall(), now);
	now[19] = 0;
	buf_addz(b, "{\"kind\":\"Lease\",\"apiVersion\":\"coordination.k8s.io/v1\",\"metadata\":{\"name\":");
	buf_json(b, node->meta.name);
	buf_addz(b, ",\"namespace\":\"kube-node-lease\",\"uid\":");
	buf_json(b, node->meta.uid);
	buf_printf(b, ",\"resourceVersion\":\"%llu\"},\"spec\":{\"holderIdentity\":",
		   (unsigned long long)node->version);
	buf_json(b, node->meta.name);
	buf_printf(b, ",\"leaseDurationSeconds\":40,\"renewTime\":\"%s.000000Z\"}}", now);
}

static void lease_get(struct api *a, const struct target *t, struct buf *b, struct api_error *e)
{
	const struct object *node = store_get(a->store, KIND_node, STR(""), str_of(t->name));
	if (node && !strcmp(t->ns, "kube-node-lease"))
		print_lease(b, node);
	else
		api_fail(e, 404, "NotFound", "leases.coordination.k8s.io \"%s\" not found", t->name);
}

static void print_list(struct api *a, const struct target *t, const struct http_request *rq, struct buf *b)
{
	unsigned long long version = store_version(a->store);
	if (t->events) {
		events_list(a, t, rq, b);
		return;
	}
	if (show_of(rq).table) {
		buf_printf(b,
			   "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/"
			   "v1\",\"metadata\":{\"resourceVersion\":\"%llu\"},"
			   "\"columnDefinitions\":[{\"name\":\"Name\",\"type\":\"string\",\"format\":"
			   "\"name\",\"description\":\"\","
			   "\"priority\":0}],\"rows\":[]}\n",
			   version);
		return;
	}
	buf_printf(b,
		   "{\"kind\":\"LeaseList\",\"apiVersion\":\"coordination.k8s.io/"
		   "v1\",\"metadata\":{\"resourceVersion\":"
		   "\"%llu\"},\"items\":[",
		   version);
	struct object_refs nodes = {0};
	bool all = t->leases && (!*t->ns || !strcmp(t->ns, "kube-node-lease"));
	if (all && !store_list(a->store, KIND_node, STR(""), &nodes))
		VEC_EACH (&nodes.list, n) {
			if (n != nodes.list.items)
				buf_addc(b, ',');
			print_lease(b, *n);
		}
	vec_free(&nodes.list);
	buf_addz(b, "]}\n");
}

static void list(struct api *a, const struct target *t, const struct http_request *rq, struct http_reply *rp,
		 struct api_error *e)
{
	struct select sel = {0};
	if (!select_parse(&sel, t, rq, e))
		print_list(a, t, rq, &rp->body);
	select_fini(&sel);
}

void virtual_handle(struct api *a, const struct target *t, const struct http_request *rq,
		    struct http_reply *rp, struct api_error *e)
{
	if (strcmp(rq->method, "GET"))
		api_fail(e, 405, "MethodNotAllowed", "%s can only be read", t->events ? "events" : "leases");
	else if (query_true(rq, "watch"))
		watch_start(a, t, rq, rp, e);
	else if (t->named && t->leases)
		lease_get(a, t, &rp->body, e);
	else if (t->named)
		api_fail(e, 404, "NotFound", "events \"%s\" not found", t->name);
	else
		list(a, t, rq, rp, e);
}
