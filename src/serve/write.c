/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST, PUT, PATCH and DELETE: bodies become objects, versions are compared, and the owner's hook does the
 * rest. Never writes to the store itself.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "base/own.h"
#include "object/decode.h"
#include "serve/api_state.h"
#include "serve/apply.h"
#include "serve/patch.h"

OWN_DEFINE(object, struct object, object_unref)

/* The decoder's `PATH: unknown field "F" is ignored` as clients know it, `unknown field "PATH.F"`, with the
 * hint. */
static void add_unknown(struct buf *b, const struct remark *r)
{
	static const char mark[] = "unknown field \"";
	const char *at = strstr(r->text, mark), *name = at ? at + strlen(mark) : NULL;
	const char *end = name ? strchr(name, '"') : NULL;
	if (end) {
		buf_addz(b, mark);
		if (at > r->text + 2) {
			buf_add(b, r->text, (size_t)(at - r->text) - 2);
			buf_addc(b, '.');
		}
		buf_add(b, name, (size_t)(end - name) + 1);
	} else {
		buf_addz(b, r->text);
	}
	if (r->hint)
		buf_printf(b, " (%s)", r->hint);
}

/* All warnings of an answer: headers of any size would leave no room for an answer. */
enum { WARNINGS_MAX = 4096 };

static void add_warning(struct http_reply *rp, struct str text)
{
	AUTO_BUF w = {0}, quoted = {0};

	buf_json(&quoted, text);
	buf_printf(&w, "299 - " STR_FMT, STR_ARG(buf_str(&quoted)));
	if (w.p && !vec_push(&rp->warnings, w.p))
		w = (struct buf){0};
}

/* What unknown fields mean to this client: an error, a warning, nothing. */
static int judge_unknown(const struct http_request *rq, struct http_reply *rp, const struct remarks *rs,
			 struct api_error *e)
{
	const char *mode = http_query(rq, "fieldValidation");
	AUTO_BUF text = {0};
	if (mode && !strcmp(mode, "Ignore"))
		return 0;
	bool strict = mode && !strcmp(mode, "Strict");
	size_t told = 0, more = 0;
	VEC_EACH (&rs->list, r) {
		if (r->level != REMARK_WARNING)
			continue;
		if (strict) {
			if (text.n)
				buf_addz(&text, ", ");
			add_unknown(&text, r);
			continue;
		}
		AUTO_BUF w = {0};
		add_unknown(&w, r);
		told += w.n;
		if (told > WARNINGS_MAX)
			more++;
		else
			add_warning(rp, buf_str(&w));
	}
	if (more) {
		AUTO_BUF w = {0};
		buf_printf(&w, "%zu more unknown fields", more);
		add_warning(rp, buf_str(&w));
	}
	return text.n ? api_fail(e, 400, "BadRequest", "strict decoding error: " STR_FMT,
				 STR_ARG(buf_str(&text)))
		      : 0;
}

/* The body with what it does not say of its type, where that follows from the URL; typed clients leave it
 * out. */
static bool add_type(struct str body, const struct kind_desc *k, struct buf *out)
{
	json_t *j = json_loadb(body.p ? body.p : "", body.n, JSON_REJECT_DUPLICATES, NULL);
	const char *version = json_string_value(json_object_get(j, "apiVersion"));
	const char *kind = json_string_value(json_object_get(j, "kind"));
	bool less = json_is_object(j) && json_object_size(j) && (!version || !kind) &&
		    (version || !json_object_get(j, "apiVersion")) && (kind || !json_object_get(j, "kind"));
	const char *open = less ? memchr(body.p, '{', body.n) : NULL;
	if (open) {
		buf_addc(out, '{');
		if (!version)
			buf_printf(out, "\"apiVersion\":\"%s\",", kind_api_version(k));
		if (!kind)
			buf_printf(out, "\"kind\":\"%s\",", k->name);
		buf_add(out, open + 1, body.n - (size_t)(open + 1 - body.p));
	}
	json_decref(j);
	return open && !out->failed;
}

/* Without `k` the body itself must say what it is. */
static int decode(const struct kind_desc *k, struct str body, struct object **out, struct remarks *rs,
		  struct api_error *e)
{
	AUTO_BUF typed = {0};
	int r = decode_json_object(body, NULL, NULL, out, rs);
	if ((r || !*out) && k && add_type(body, k, &typed)) {
		remarks_fini(rs);
		*rs = (struct remarks){0};
		r = decode_json_object(buf_str(&typed), NULL, NULL, out, rs);
	}
	if (!r && *out && !(*out)->pos.file)
		return 0;
	/* Or a client could have any object count as one of a file. */
	if (!r && *out) {
		object_unref(out);
		return api_fail(e, 400, "BadRequest",
				"weftPositions is only for what the hub sends: leave it out");
	}
	AUTO_BUF text = {0};
	VEC_EACH (&rs->list, it)
		if (it->level == REMARK_ERROR && !text.n) {
			if (it->line)
				buf_printf(&text, "line %u column %u: ", it->line, it->col);
			buf_printf(&text, "%s%s%s", it->text, it->hint ? "; " : "", it->hint ? it->hint : "");
		}
	/* A kind or version that is not known is skipped where objects are read, and refused here. */
	if (!text.n && rs->list.len)
		buf_printf(&text, "%s%s%s", rs->list.items[0].text, rs->list.items[0].hint ? "; " : "",
			   rs->list.items[0].hint ? rs->list.items[0].hint : "");
	remarks_move(&e->causes, rs);
	return api_fail(
	    e, 400, "BadRequest", "the body is no object that can be read here: " STR_FMT,
	    STR_ARG(text.n ? buf_str(&text) : STR("it must be one JSON object with apiVersion and kind")));
}

static int check_type(const struct http_request *rq, struct api_error *e)
{
	const char *type = rq->content_type;
	if (!*type || !strncmp(type, "application/json", 16))
		return 0;
	return api_fail(
	    e, 415, "UnsupportedMediaType",
	    "content type %s is not taken; send application/json. With kubectl's imperative create: add "
	    "--dry-run=client -o yaml and pipe into kubectl create -f -",
	    type);
}

static bool is_proto(const struct http_request *rq)
{
	return !strncmp(rq->content_type, "application/vnd.kubernetes.protobuf", 35);
}

/* The body of a create, which some clients send as protobuf only. */
static int decode_body(const struct kind_desc *k, const struct http_request *rq, struct object **out,
		       struct remarks *rs, struct api_error *e)
{
	AUTO_BUF json = {0};
	AUTO_BUF why = {0};
	if (!is_proto(rq))
		return check_type(rq, e) ? -EINVAL : decode(k, rq->body, out, rs, e);
	if (decode_proto_json(rq->body, &json, &why))
		return api_fail(
		    e, 415, "UnsupportedMediaType",
		    "this protobuf body is not taken: " STR_FMT
		    "; send application/json. With kubectl's imperative create: add --dry-run=client "
		    "-o yaml and pipe into kubectl create -f -",
		    STR_ARG(buf_str(&why)));
	return decode(k, buf_str(&json), out, rs, e);
}

/* The body's kind, namespace and name agree with the URL. */
static int check_place(const struct target *t, struct object *o, struct api_error *e)
{
	if (o->desc != t->kind)
		return api_fail(e, 400, "BadRequest", "the body is a %s (%s), the URL is for %s (%s)",
				o->desc->name, kind_api_version(o->desc), t->kind->name,
				kind_api_version(t->kind));
	if (t->kind->namespaced && !*t->ns)
		return api_fail(e, 405, "MethodNotAllowed",
				"%s are written below a namespace: …/namespaces/NS/%s", t->kind->plural,
				t->kind->plural);
	if (o->meta.ns.n && !str_eqz(o->meta.ns, t->ns))
		return api_fail(
		    e, 400, "BadRequest",
		    "the namespace of the provided object does not match the namespace sent on the request");
	if (*t->ns)
		o->meta.ns = arena_str(&o->arena, str_of(t->ns));
	if (t->named && o->meta.name.n && !str_eqz(o->meta.name, t->name))
		return api_fail(e, 400, "BadRequest",
				"the name of the object (" STR_FMT ") is not that of the URL (%s)",
				STR_ARG(o->meta.name), t->name);
	if (t->named)
		o->meta.name = arena_str(&o->arena, str_of(t->name));
	return 0;
}

static int check_version(const struct target *t, const struct object *o, const struct object *old,
			 struct api_error *e)
{
	int64_t v = 0;
	if (!o->meta.resource_version.n)
		return 0;
	if (!str_to_i64(o->meta.resource_version, 0, INT64_MAX, &v) && (uint64_t)v == old->version)
		return 0;
	return api_fail(
	    e, 409, "Conflict",
	    "Operation cannot be fulfilled on %s \"%s\": the object has been modified; please apply your "
	    "changes to the latest version and try again",
	    t->kind->plural, t->name);
}

int api_write_as(struct api *a, const struct http_request *rq, struct api_write *w, struct object **now,
		 struct api_error *e)
{
	user_of(w->user, rq);
	w->who = who_of(rq);
	return a->ops->write(a->ctx, w, now, e);
}

static void run(struct api *a, const struct http_request *rq, struct api_write *w, int status,
		struct http_reply *rp, struct api_error *e)
{
	AUTO(own_object) struct object *now = NULL;
	if (api_write_as(a, rq, w, &now, e)) {
		api_fail(e, 500, "InternalError", "the write failed");
		return;
	}
	rp->status = status;
	if (now) {
		object_print_json(&rp->body, now, rq->local ? PRINT_PLAIN : PRINT_REDACT);
		buf_addc(&rp->body, '\n');
	}
}

/* Who wrote which fields, then as run(). */
static void run_owned(struct api *a, struct api_write *w, int status, const struct http_request *rq,
		      const char *sub, struct http_reply *rp, struct api_error *e)
{
	struct writer who;
	if (writer_of(&who, rq, sub, e))
		return;
	if (managed_update(w->object, w->old, &who)) {
		api_fail(e, 500, "InternalError", "out of memory");
		return;
	}
	run(a, rq, w, status, rp, e);
}

int read_dry(const struct http_request *rq, bool *dry, struct api_error *e)
{
	const char *v = http_query(rq, "dryRun");
	*dry = v && !strcmp(v, "All");
	return v && *v && !*dry ? api_fail(e, 400, "BadRequest", "dryRun \"%s\": there is All", v) : 0;
}

static void create(struct api *a, const struct target *t, const struct http_request *rq,
		   struct http_reply *rp, struct api_error *e)
{
	struct api_write w = {.verb = API_CREATE};
	struct remarks rs = {0};
	if (!read_dry(rq, &w.dry, e) && !decode_body(t->kind, rq, &w.object, &rs, e) &&
	    !judge_unknown(rq, rp, &rs, e) && !check_place(t, w.object, e)) {
		snprintf(e->name, sizeof(e->name), STR_FMT, STR_ARG(w.object->meta.name));
		run_owned(a, &w, 201, rq, "", rp, e);
	}
	object_unref(&w.object);
	remarks_fini(&rs);
}

/* The whole object as it is, with the status of `o`. */
static int with_status(struct object **o, const struct object *old, struct api_error *e)
{
	struct object *n = NULL;
	int r = object_take_status(&n, old, *o);
	if (r == -ENOENT)
		return api_fail(e, 404, "NotFound", "%s have no status", old->desc->plural);
	if (r)
		return api_fail(e, 500, "InternalError", "out of memory");
	object_unref(o);
	*o = n;
	return 0;
}

static void replace(struct api *a, const struct target *t, const struct http_request *rq,
		    struct http_reply *rp, struct api_error *e, struct str body)
{
	const struct object *found = api_find(a, t, e);
	AUTO(own_object) struct object *old = object_ref(found);
	struct api_write w = {.verb = API_UPDATE, .old = old};
	struct remarks rs = {0};
	user_of(w.user, rq);
	if (*t->sub && strcmp(t->sub, "status"))
		api_fail(e, 404, "NotFound", "%s have no sub-resource \"%s\" here", t->kind->plural, t->sub);
	if (old && !e->code && !read_dry(rq, &w.dry, e) && !decode(t->kind, body, &w.object, &rs, e) &&
	    !judge_unknown(rq, rp, &rs, e) && !check_place(t, w.object, e) &&
	    !check_version(t, w.object, old, e)) {
		if (*t->sub)
			w.verb = API_STATUS;
		if (!*t->sub || !with_status(&w.object, old, e))
			run_owned(a, &w, 200, rq, t->sub, rp, e);
	}
	object_unref(&w.object);
	remarks_fini(&rs);
}

/* A configuration, as JSON or YAML. */
static int decode_config(struct str body, struct object **out, struct remarks *rs, struct api_error *e)
{
	struct str text = str_trim(body);
	if (text.n && *text.p == '{')
		return decode(NULL, text, out, rs, e);
	AUTO_BUF json = {0};
	if (decode_yaml_json(text, &json, rs))
		return api_fail(e, 400, "BadRequest", "the body is neither JSON nor YAML: %s",
				rs->list.len ? rs->list.items[0].text : "it is no map");
	return decode(NULL, buf_str(&json), out, rs, e);
}

static int check_apply(const struct target *t, const struct object *config, const struct writer *who,
		       const struct object *old, struct api_error *e)
{
	if (!*who->name)
		return api_fail(
		    e, 422, "Invalid",
		    "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required "
		    "for apply patch");
	if (config->meta.managed_fields.n)
		return api_fail(e, 400, "BadRequest", "metadata.managedFields must be nil");
	if (!old && *t->sub)
		return api_fail(e, 404, "NotFound", "%s \"%s\" not found", t->kind->plural, t->name);
	if (!old && config->meta.resource_version.n)
		return api_fail(e, 409, "Conflict",
				"the object has a resourceVersion, but there is none of that name");
	if (old && config->meta.uid.n && !str_eq(config->meta.uid, old->meta.uid))
		return api_fail(e, 409, "Conflict",
				"the uid in the body, " STR_FMT ", is not that of the object, " STR_FMT,
				STR_ARG(config->meta.uid), STR_ARG(old->meta.uid));
	return old ? check_version(t, config, old, e) : 0;
}

static void apply(struct api *a, const struct target *t, const struct http_request *rq, struct http_reply *rp,
		  struct api_error *e)
{
	const struct object *found = store_get(a->store, t->kind->kind, str_of(t->ns), str_of(t->name));
	AUTO(own_object) struct object *old = object_ref(found);
	AUTO(own_object) struct object *config = NULL;
	struct api_write w = {.verb = !old ? API_CREATE : *t->sub ? API_STATUS : API_UPDATE, .old = old};
	struct remarks rs = {0};
	struct writer who;
	int r = writer_of(&who, rq, t->sub, e);
	if (!http_query(rq, "fieldManager"))
		*who.name = 0;
	if (*t->sub && strcmp(t->sub, "status"))
		r = api_fail(e, 404, "NotFound", "%s have no sub-resource \"%s\" here", t->kind->plural,
			     t->sub);
	if (!r && !read_dry(rq, &w.dry, e) && !decode_config(rq->body, &config, &rs, e) &&
	    !judge_unknown(rq, rp, &rs, e) && !check_place(t, config, e) &&
	    !check_apply(t, config, &who, old, e) &&
	    !apply_object(&w.object, config, old, &who, query_true(rq, "force"), e)) {
		if (w.verb == API_CREATE)
			w.object->meta.resource_version = (struct str){0};
		run(a, rq, &w, old ? 200 : 201, rp, e);
	}
	object_unref(&w.object);
	remarks_fini(&rs);
}

static void patch(struct api *a, const struct target *t, const struct http_request *rq, struct http_reply *rp,
		  struct api_error *e)
{
	const char *type = rq->content_type;
	if (!strncmp(type, "application/apply-patch+yaml", 28)) {
		apply(a, t, rq, rp, e);
		return;
	}
	const struct object *old = api_find(a, t, e);
	AUTO_BUF merged = {0};
	const char *why = NULL;
	if (!old)
		return;
	int r = -ENOTSUP;
	if (!strncmp(type, "application/merge-patch+json", 28))
		r = patch_merge(old, rq->body, &merged, &why);
	else if (!strncmp(type, "application/strategic-merge-patch+json", 38))
		r = patch_strategic(old, rq->body, &merged, &why);
	else if (!strncmp(type, "application/json-patch+json", 27))
		r = patch_json(old, rq->body, &merged, &why);
	if (r == -ENOTSUP)
		api_fail(e, 415, "UnsupportedMediaType",
			 "patches of type %s are not taken; there are application/merge-patch+json, "
			 "application/strategic-merge-patch+json, application/json-patch+json and "
			 "application/apply-patch+yaml",
			 *type ? type : "?");
	else if (r == -ENOENT)
		api_fail(e, 422, "Invalid", "patch: " STR_FMT, STR_ARG(buf_str(&merged)));
	else if (r)
		api_fail(e, 400, "BadRequest", "patch: %s", why);
	if (r)
		return;
	replace(a, t, rq, rp, e, buf_str(&merged));
}

static bool is_version(const struct object *o, const char *version)
{
	int64_t n;
	return !str_to_i64(str_of(version), 0, INT64_MAX, &n) && (uint64_t)n == o->version;
}

/* DeleteOptions: body and query say the same things. */
int read_delete(const struct http_request *rq, struct api_write *w, struct api_error *e)
{
	const char *query = http_query(rq, "gracePeriodSeconds"),
		   *policy = http_query(rq, "propagationPolicy");
	w->grace = -1;
	if (query && str_to_i64(str_of(query), 0, INT32_MAX, &w->grace))
		return api_fail(e, 400, "BadRequest", "gracePeriodSeconds \"%s\" is not a number of seconds",
				query);
	w->orphan = policy && !strcmp(policy, "Orphan");
	if (!rq->body.n)
		return 0;
	if (check_type(rq, e))
		return -EINVAL;
	json_t *j = json_loadb(rq->body.p, rq->body.n, 0, NULL);
	const json_t *grace = json_object_get(j, "gracePeriodSeconds");
	const char *text = json_string_value(json_object_get(j, "propagationPolicy"));
	const json_t *conditions = json_object_get(j, "preconditions");
	const char *uid = json_string_value(json_object_get(conditions, "uid"));
	const char *version = json_string_value(json_object_get(conditions, "resourceVersion"));
	const json_t *dry = json_object_get(j, "dryRun");
	if (!json_is_object(j))
		api_fail(e, 400, "BadRequest", "the body of a delete is a DeleteOptions object");
	else if (uid && w->old && !str_eqz(w->old->meta.uid, uid))
		api_fail(e, 409, "Conflict",
			 "the uid in the precondition, %s, is not that of the object, " STR_FMT, uid,
			 STR_ARG(w->old->meta.uid));
	else if (version && w->old && !is_version(w->old, version))
		api_fail(e, 409, "Conflict",
			 "the resourceVersion in the precondition, %s, is not that of the object, %llu",
			 version, (unsigned long long)w->old->version);
	if (json_is_integer(grace) && json_integer_value(grace) >= 0)
		w->grace = json_integer_value(grace);
	if (json_array_size(dry))
		w->dry = true;
	w->orphan |= text && !strcmp(text, "Orphan");
	json_decref(j);
	return e->code ? -EINVAL : 0;
}

static void delete (struct api *a, const struct target *t, const struct http_request *rq,
		    struct http_reply *rp, struct api_error *e)
{
	const struct object *found = api_find(a, t, e);
	AUTO(own_object) struct object *old = object_ref(found);
	struct api_write w = {.verb = API_DELETE, .old = old};
	user_of(w.user, rq);
	if (!old || read_dry(rq, &w.dry, e) || read_delete(rq, &w, e))
		return;
	run(a, rq, &w, 200, rp, e);
	if (e->code || rp->body.n)
		return;
	buf_printf(&rp->body,
		   "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\","
		   "\"details\":{\"name\":\"%s\","
		   "%s%s%s\"kind\":\"%s\",\"uid\":\"" STR_FMT "\"}}\n",
		   t->name, *t->kind->group ? "\"group\":\"" : "", t->kind->group,
		   *t->kind->group ? "\"," : "", t->kind->plural, STR_ARG(old->meta.uid));
}

void write_handle(struct api *a, const struct target *t, const struct http_request *rq, struct http_reply *rp,
		  struct api_error *e)
{
	bool post = !strcmp(rq->method, "POST");
	if (!strcmp(rq->method, "DELETE") && !t->named)
		collection_delete(a, t, rq, rp, e);
	else if (post != !t->named) {
		api_fail(e, 405, "MethodNotAllowed", "%s is not possible on %s", rq->method, rq->path);
	} else if (post) {
		create(a, t, rq, rp, e);
	} else if (!strcmp(rq->method, "PUT")) {
		if (!check_type(rq, e))
			replace(a, t, rq, rp, e, rq->body);
	} else if (!strcmp(rq->method, "PATCH")) {
		patch(a, t, rq, rp, e);
	} else if (!strcmp(rq->method, "DELETE") && !*t->sub) {
		delete (a, t, rq, rp, e);
	} else {
		api_fail(e, 405, "MethodNotAllowed", "%s is not possible on %s", rq->method, rq->path);
	}
}
