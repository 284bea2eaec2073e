/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cluster's own processes ask beside the API: the observer tells readiness, the command line reads
 * remarks. Only over the Unix socket.
 */
#include <errno.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/own.h"
#include "hub/copy.h"
#include "hub/hub.h"
#include "hub/page.h"
#include "hub/podstatus.h"
#include "hub/stepapi.h"

static int recompose(struct hub *h, const struct object *pod, struct api_error *e)
{
	struct object *o = NULL;
	int r = object_clone(&o, pod);
	if (!r)
		r = podstatus_compose(h->cluster, o);
	if (r || object_same(o, pod)) {
		object_unref(&o);
		return r ? api_fail(e, 500, "InternalError", "out of memory") : 0;
	}
	return store_put(h->store, o, NULL) ? api_fail(e, 500, "InternalError", "out of memory") : 0;
}

/* When the result came that brought this word: the earliest of a pass counts. */
static void note_trigger(struct hub *h, const json_t *j)
{
	const char *at = json_string_value(json_object_get(j, "at"));
	char *kept = h->cluster->trigger;
	if (at && strlen(at) < sizeof(h->cluster->trigger) && (!*kept || strcmp(at, kept) < 0))
		memcpy(kept, at, strlen(at) + 1);
}

static int put_readiness(struct hub *h, const json_t *j, struct api_error *e)
{
	const char *key = json_string_value(json_object_get(j, "pod")),
		   *uid = json_string_value(json_object_get(j, "uid"));
	const char *container = json_string_value(json_object_get(j, "container"));
	const json_t *ready = json_object_get(j, "ready"), *started = json_object_get(j, "started");
	if (!key || !uid || !container || !json_is_boolean(ready))
		return api_fail(
		    e, 400, "BadRequest",
		    "readiness needs pod (\"namespace/name\"), uid, container and ready (true or false)");
	struct str name = str_of(key), ns = str_cut(&name, '/');
	const struct object *pod = store_get(h->store, KIND_pod, ns, name);
	if (!pod || !str_eqz(pod->meta.uid, uid))
		return api_fail(e, 404, "NotFound", "pod %s with uid %s is not there", key, uid);
	/* Without a word on it, what is ready has started. */
	bool begun = started ? json_is_true(started) : json_is_true(ready);
	const json_t *restarts = json_object_get(j, "restartCount");
	cluster_clock(h->cluster, clock_wall(), clock_ms());
	if (!podstatus_probe(h->cluster, pod->meta.uid, str_of(container), json_is_true(ready), begun,
			     restarts ? json_integer_value(restarts) : -1))
		return 0;
	note_trigger(h, j);
	return recompose(h, pod, e);
}

/* One word, or a list of them in which pods that are gone are skipped. */
static int put_words(struct hub *h, const json_t *j, struct api_error *e)
{
	const json_t *list = json_object_get(j, "list"), *one;
	size_t i;
	if (!list)
		return put_readiness(h, j, e);
	json_array_foreach (list, i, one) {
		int r = put_readiness(h, one, e);
		if (r && e->code != 404)
			return r;
		api_error_fini(e);
		*e = (struct api_error){0};
	}
	return 0;
}

static void print_remarks(struct buf *b, const struct remarks *rs, bool *any)
{
	static const char *const levels[] = {"error", "warning", "hint"};
	VEC_EACH (&rs->list, r) {
		buf_printf(b, "%s{\"level\":\"%s\",\"file\":", *any ? "," : "", levels[r->level]);
		*any = true;
		buf_json(b, str_of(r->file ? r->file->name : ""));
		buf_printf(b, ",\"line\":%u,\"column\":%u,\"length\":%u,\"text\":", r->line, r->col, r->len);
		buf_json(b, str_of(r->text));
		if (r->hint) {
			buf_addz(b, ",\"hint\":");
			buf_json(b, str_of(r->hint));
		}
		buf_addc(b, '}');
	}
}

/* {"node": NAME}: its agent lives. */
static int put_heartbeat(struct hub *h, struct str body, struct buf *answer, struct api_error *e)
{
	json_t *j = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
	const char *node = json_string_value(json_object_get(j, "node"));
	cluster_clock(h->cluster, clock_wall(), clock_ms());
	int r = node ? cluster_heartbeat(h->cluster, str_of(node)) : -EINVAL;
	if (r == -EINVAL)
		api_fail(e, 400, "BadRequest", "a heartbeat needs node");
	else if (r == -ENOENT)
		api_fail(e, 404, "NotFound", "nodes \"%s\" not found", node);
	else if (!r)
		buf_addz(answer, "{\"ok\":true}\n");
	json_decref(j);
	return r;
}

bool internal_answer(struct hub *h, const struct http_request *rq, const char *user, const char *rest,
		     struct http_reply *rp, struct api_error *e)
{
	const struct step_client by = {.user = user, .who = &access_everything};
	if (!strncmp(rest, "changes", 7) && (!rest[7] || rest[7] == '/')) {
		stepapi_changes(h, &by, rq, rest + 7, rp, e);
		return true;
	}
	if (!strcmp(rest, "export") && !strcmp(rq->method, "GET")) {
		stepapi_export(h, &by, rp, e);
		return true;
	}
	return false;
}

/* {"user": NAME}: for that User; else for who asks, who may everything. */
static int make_link(struct hub *h, const char *asks, struct str body, struct buf *answer,
		     struct api_error *e)
{
	json_t *j = body.n ? json_loadb(body.p, body.n, 0, NULL) : NULL;
	const char *user = json_string_value(json_object_get(j, "user"));
	int r = -EINVAL;
	if (!h->page)
		api_fail(e, 404, "NotFound", "this cluster has no page: it was started with --page off");
	else if (body.n && !json_is_object(j))
		api_fail(e, 400, "BadRequest", "the body is one JSON object, or nothing");
	else
		r = page_link(h->page, asks, user, answer, e);
	json_decref(j);
	return r;
}

int internal_request(struct hub *h, const char *user, const char *method, const char *name, struct str body,
		     struct buf *answer, struct api_error *e)
{
	if (!strcmp(name, "remarks") && !strcmp(method, "GET")) {
		bool any = false;
		buf_addz(answer, "{\"remarks\":[");
		print_remarks(answer, &h->remarks, &any);
		print_remarks(answer, &h->running, &any);
		buf_addz(answer, "]}\n");
		return 0;
	}
	if (!strcmp(name, "readiness") && !strcmp(method, "PUT")) {
		json_t *j = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
		int r = json_is_object(j) ? put_words(h, j, e)
					  : api_fail(e, 400, "BadRequest", "the body is one JSON object");
		json_decref(j);
		if (!r)
			buf_addz(answer, "{\"ok\":true}\n");
		return r;
	}
	if (!strcmp(name, "heartbeat") && !strcmp(method, "PUT"))
		return put_heartbeat(h, body, answer, e);
	if (!strncmp(name, "metrics/", 8) && !strcmp(method, "POST"))
		return metrics_take(h->metrics, str_of(name + 8), body, answer, e);
	if (!strcmp(name, "metrics") && !strcmp(method, "GET")) {
		alerts_metrics(h->alerts, answer);
		return metrics_answer(h->metrics, answer);
	}
	if (!strncmp(name, "flows/", 6) && !strcmp(method, "POST"))
		return flows_take(h->flows, str_of(name + 6), body, answer, e);
	if (!strcmp(name, "flows") && !strcmp(method, "POST"))
		return flows_ask(h->flows, body, NULL, answer, e);
	if (!strcmp(name, "follow") && !strcmp(method, "POST"))
		return flows_follow(h->flows, body, answer, e);
	if (!strcmp(name, "login") && !strcmp(method, "POST"))
		return make_link(h, user, body, answer, e);
	if (!strcmp(name, "exporter") && !strcmp(method, "PUT"))
		return exporters_take(h->exporters, body, answer, e);
	return api_fail(e, 404, "NotFound",
			"there are GET remarks, PUT readiness, PUT heartbeat, PUT exporter, POST login, POST "
			"flows, POST follow, "
			"POST flows/NODE and POST metrics/NODE");
}
