/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sub-resources that are no part of the stored object: scale (the number of pods of a workload) and eviction
 * (a pod's deletion, as drains ask for it). Writes go through the owner's hook like all others.
 */
#include <errno.h>
#include <jansson.h>

#include "base/own.h"
#include "serve/managed.h"

/* Where spec.replicas of the kind is, in an object of it; NULL: the kind is not scaled. */
static struct opt_int *replicas_at(const struct object *o)
{
	switch (o->desc->kind) {
	case KIND_deployment:
		return o->deployment->spec ? &o->deployment->spec->replicas : NULL;
	case KIND_replicaset:
		return o->replicaset->spec ? &o->replicaset->spec->replicas : NULL;
	case KIND_statefulset:
		return o->statefulset->spec ? &o->statefulset->spec->replicas : NULL;
	default:
		return NULL;
	}
}

bool kind_scales(enum kind k)
{
	return k == KIND_deployment || k == KIND_replicaset || k == KIND_statefulset;
}

static const struct workload_status *status_of(const struct object *o)
{
	static const struct workload_status none;
	const struct workload_status *st = o->desc->kind == KIND_deployment   ? o->deployment->status
					   : o->desc->kind == KIND_replicaset ? o->replicaset->status
									      : o->statefulset->status;
	return st ? st : &none;
}

static const struct label_selector *selector_of(const struct object *o)
{
	return o->desc->kind == KIND_deployment	  ? o->deployment->spec->selector
	       : o->desc->kind == KIND_replicaset ? o->replicaset->spec->selector
						  : o->statefulset->spec->selector;
}

static void print_scale(struct buf *b, const struct object *o)
{
	const struct opt_int *n = replicas_at(o);
	AUTO_BUF selector = {0};
	if (selector_of(o))
		selector_print(&selector, selector_of(o));
	buf_addz(b, "{\"kind\":\"Scale\",\"apiVersion\":\"autoscaling/v1\",\"metadata\":{\"name\":");
	buf_json(b, o->meta.name);
	buf_addz(b, ",\"namespace\":");
	buf_json(b, o->meta.ns);
	buf_addz(b, ",\"uid\":");
	buf_json(b, o->meta.uid);
	buf_printf(b, ",\"resourceVersion\":\"%llu\"", (unsigned long long)o->version);
	if (o->meta.creation_timestamp.n) {
		buf_addz(b, ",\"creationTimestamp\":");
		buf_json(b, o->meta.creation_timestamp);
	}
	buf_printf(b, "},\"spec\":{\"replicas\":%lld},\"status\":{\"replicas\":%lld,\"selector\":",
		   (long long)(n->set ? n->v : 1), (long long)status_of(o)->replicas.v);
	buf_json(b, buf_str(&selector));
	buf_addz(b, "}}\n");
}

/* The number in a Scale, or in a merge patch of one. */
static int read_number(const struct object *old, struct str body, int64_t *n, struct api_error *e)
{
	json_t *j = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
	const json_t *replicas = json_object_get(json_object_get(j, "spec"), "replicas");
	const json_t *meta = json_object_get(j, "metadata");
	const char *version = json_string_value(json_object_get(meta, "resourceVersion"));
	int64_t v = 0;
	*n = json_integer_value(replicas);
	if (!json_is_integer(replicas) || *n < 0 || *n > INT32_MAX)
		api_fail(e, 422, "Invalid", "spec.replicas must be a number from 0 to %d", INT32_MAX);
	else if (version && *version &&
		 (str_to_i64(str_of(version), 0, INT64_MAX, &v) || (uint64_t)v != old->version))
		api_fail(
		    e, 409, "Conflict",
		    "Operation cannot be fulfilled on %s \"" STR_FMT
		    "\": the object has been modified; please apply your changes to the latest version and "
		    "try again",
		    old->desc->plural, STR_ARG(old->meta.name));
	json_decref(j);
	return e->code ? -EINVAL : 0;
}

static void scale(struct api *a, const struct target *t, const struct object *old,
		  const struct http_request *rq, struct http_reply *rp, struct api_error *e)
{
	struct object *now = NULL;
	struct api_write w = {.verb = API_UPDATE, .old = old};
	int64_t n = 0;
	user_of(w.user, rq);
	if (!strcmp(rq->method, "GET")) {
		print_scale(&rp->body, old);
		return;
	}
	if (strcmp(rq->method, "PUT") && strcmp(rq->method, "PATCH")) {
		api_fail(e, 405, "MethodNotAllowed", "%s is not possible on a scale", rq->method);
		return;
	}
	if (read_number(old, rq->body, &n, e) || read_dry(rq, &w.dry, e))
		return;
	if (object_clone(&w.object, old)) {
		api_fail(e, 500, "InternalError", "out of memory");
		return;
	}
	*replicas_at(w.object) = (struct opt_int){.v = n, .set = true};
	struct writer who;
	int r = writer_of(&who, rq, t->sub, e);
	if (!r && managed_update(w.object, old, &who))
		r = api_fail(e, 500, "InternalError", "out of memory");
	if (r)
		;
	else if (api_write_as(a, rq, &w, &now, e))
		api_fail(e, 500, "InternalError", "the write failed");
	else
		print_scale(&rp->body, now);
	object_unref(&w.object);
	object_unref(&now);
}

static void evict(struct api *a, const struct object *pod, const struct http_request *rq,
		  struct http_reply *rp, struct api_error *e)
{
	struct object *now = NULL;
	struct api_write w = {.verb = API_DELETE, .old = pod, .grace = -1};
	json_t *j = json_loadb(rq->body.p ? rq->body.p : "", rq->body.n, 0, NULL);
	const json_t *options = json_object_get(j, "deleteOptions");
	const json_t *grace = json_object_get(options, "gracePeriodSeconds");
	user_of(w.user, rq);
	const char *uid =
	    json_string_value(json_object_get(json_object_get(options, "preconditions"), "uid"));
	if (!json_is_object(j))
		api_fail(e, 400, "BadRequest", "the body of an eviction is an Eviction object");
	else if (uid && !str_eqz(pod->meta.uid, uid))
		api_fail(e, 409, "Conflict",
			 "the uid in the precondition, %s, is not that of the pod, " STR_FMT, uid,
			 STR_ARG(pod->meta.uid));
	if (json_is_integer(grace) && json_integer_value(grace) >= 0)
		w.grace = json_integer_value(grace);
	bool dry = json_array_size(json_object_get(options, "dryRun")) > 0;
	json_decref(j);
	read_dry(rq, &w.dry, e);
	w.dry |= dry;
	if (e->code)
		return;
	if (api_write_as(a, rq, &w, &now, e)) {
		api_fail(e, 500, "InternalError", "the write failed");
		return;
	}
	object_unref(&now);
	rp->status = 201;
	buf_addz(&rp->body,
		 "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\","
		 "\"code\":201}\n");
}

bool subresource_is(const struct target *t)
{
	return t->kind && t->named &&
	       ((!strcmp(t->sub, "scale") && kind_scales(t->kind->kind)) ||
		(!strcmp(t->sub, "eviction") && t->kind->kind == KIND_pod));
}

void subresource_handle(struct api *a, const struct target *t, const struct http_request *rq,
			struct http_reply *rp, struct api_error *e)
{
	const struct object *found = api_find(a, t, e);
	struct object *old = object_ref(found);
	if (!old)
		return;
	if (!strcmp(t->sub, "scale") && replicas_at(old))
		scale(a, t, old, rq, rp, e);
	else if (!strcmp(t->sub, "eviction") && !strcmp(rq->method, "POST"))
		evict(a, old, rq, rp, e);
	else
		api_fail(e, 405, "MethodNotAllowed", "%s is not possible on %s", rq->method, rq->path);
	object_unref(&old);
}
