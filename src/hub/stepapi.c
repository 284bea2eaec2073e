/* SPDX-License-Identifier: Apache-2.0 */
/* See stepapi.h: from requests to plans and steps, and the words that go back. Decides nothing of objects. */
#include "hub/stepapi.h"

#include <errno.h>
#include <jansson.h>

#include "base/own.h"
#include "hub/page_routes.h"
#include "hub/stepanswer.h"
#include "hub/steplog.h"

OWN_DEFINE(step, struct step, step_free)

enum { LIST_DEFAULT = 50, LIST_MAX = 1000, NAME_MAX_BYTES = 200, REASON_MAX_BYTES = 2000 };

static void own_json(json_t **j)
{
	json_decref(*j);
}
#define AUTO_JSON __attribute__((cleanup(own_json))) json_t *

static struct str text_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	return (struct str){json_string_value(v), json_string_length(v)};
}

static int read_edit(struct step_plan *p, size_t i, const json_t *j, struct step_edit *out)
{
	struct str verb = text_of(j, "verb"), kind = text_of(j, "kind");
	*out = (struct step_edit){.put = str_eqz(verb, "put"),
				  .kind = kind.n ? kind_by_name(kind) : NULL,
				  .ns = text_of(j, "namespace"),
				  .name = text_of(j, "name"),
				  .yaml = text_of(j, "yaml"),
				  .version = text_of(j, "resourceVersion"),
				  .file = text_of(j, "file")};
	if (!out->put && !str_eqz(verb, "delete"))
		return plan_error(p, i, NULL, "verb \"" STR_FMT "\": there are put and delete",
				  STR_ARG(verb));
	if (!out->kind)
		return plan_error(p, i, NULL, "kind \"" STR_FMT "\" is not known here", STR_ARG(kind));
	if (out->put && !out->yaml.n)
		return plan_error(p, i, NULL, "an edit that puts needs yaml");
	if (!out->put && !out->name.n)
		return plan_error(p, i, NULL, "an edit that deletes needs name");
	return 0;
}

/* Edits out of the body; what is wrong with one is a remark on it. */
static int read_edits(struct step_plan *p, const json_t *body, struct step_edit **out, size_t *n,
		      struct api_error *e)
{
	const json_t *list = json_object_get(body, "edits"), *one;
	struct str file = text_of(body, "file");
	size_t i;
	int r = 0;
	*n = json_array_size(list);
	if (!*n || *n > STEP_EDITS_MAX)
		return api_fail(e, 400, "BadRequest", "a change needs edits: a list of 1 to %d",
				STEP_EDITS_MAX);
	*out = calloc(*n, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	json_array_foreach (list, i, one) {
		if (!r)
			r = read_edit(p, i, one, &(*out)[i]);
		if (!(*out)[i].file.n)
			(*out)[i].file = file;
	}
	return r;
}

static int check_rights(const struct step_client *by, const struct kind_desc *k, struct str ns,
			struct api_error *e)
{
	struct str where = !k->namespaced ? STR("") : ns.n ? ns : STR("default");
	if (access_may(by->who, ACCESS_WRITE, k->kind, where))
		return 0;
	return api_fail(e, 403, "Forbidden", "%s may not change %s%s" STR_FMT, by->user, k->plural,
			where.n ? " in namespace " : "", STR_ARG(where));
}

/* A namespace that only the text names counts, too: the plan's objects are looked at. */
static int check_plan_rights(const struct step_client *by, const struct step_plan *p, struct api_error *e)
{
	VEC_EACH (&p->objects, o)
		if (check_rights(by, &kind_table[o->kind], str_of(o->ns), e))
			return -EINVAL;
	return 0;
}

static bool sees_all(const struct step_client *by)
{
	return access_level(by->who, STR("*")) >= ACCESS_VIEW;
}

/* Applies the plan unless it is only asked, and answers. */
static void finish(struct step_plan *p, const struct step_client *by, bool dry, struct http_reply *rp,
		   struct api_error *e)
{
	uint64_t id = 0;
	if (p->conflicts.len || p->errors) {
		rp->status = p->conflicts.len ? 409 : 422;
		answer_refused(&rp->body, p);
		return;
	}
	if (check_plan_rights(by, p, e))
		return;
	if (!dry && step_apply(p, &id, e))
		return;
	rp->status = 200;
	answer_made(&rp->body, p, id, sees_all(by) ? DIFF_CONTEXT : 0);
}

static void read_words(struct step_plan *p, const json_t *body, struct api_error *e)
{
	p->name = json_string_value(json_object_get(body, "name"));
	p->reason = json_string_value(json_object_get(body, "reason"));
	p->name = p->name ? p->name : "";
	p->reason = p->reason ? p->reason : "";
	if (strlen(p->name) > NAME_MAX_BYTES || strlen(p->reason) > REASON_MAX_BYTES)
		api_fail(e, 400, "BadRequest", "a name has at most %d bytes, a reason %d", NAME_MAX_BYTES,
			 REASON_MAX_BYTES);
}

static void make(struct hub *h, const struct step_client *by, const json_t *body, struct http_reply *rp,
		 struct api_error *e)
{
	struct step_plan p = {.hub = h, .user = by->user, .who = by->who};
	AUTO_MEM struct step_edit *edits = NULL;
	size_t n = 0;
	read_words(&p, body, e);
	int r = e->code ? -EINVAL : read_edits(&p, body, &edits, &n, e);
	for (size_t i = 0; i < n && !r && !p.errors; i++)
		r = check_rights(by, edits[i].kind, edits[i].ns, e);
	/* What is not on disk yet would be no conflict. */
	if (!r)
		save_all(h);
	if (!r && !p.errors)
		r = step_make(&p, edits, n);
	if (!r)
		finish(&p, by, json_is_true(json_object_get(body, "dry")), rp, e);
	else
		api_fail(e, 500, "InternalError", "out of memory");
	step_plan_fini(&p);
}

/* Before anything is told of its objects. */
static int check_step_rights(struct hub *h, const struct step_client *by, uint64_t id, struct api_error *e)
{
	AUTO(own_step) struct step *st = NULL;
	save_all(h);
	if (steplog_get(h->steplog, id, &st))
		return 0; /* which is said later */
	VEC_EACH (&st->objects, o)
		if (!access_may(by->who, ACCESS_WRITE, o->kind, str_of(o->ns)))
			return api_fail(
			    e, 403, "Forbidden",
			    "%s may not undo change %llu: it is of objects that he may not change", by->user,
			    (unsigned long long)id);
	return 0;
}

static void undo(struct hub *h, const struct step_client *by, uint64_t id, const json_t *body,
		 struct http_reply *rp, struct api_error *e)
{
	struct step_plan p = {.hub = h, .user = by->user, .who = by->who};
	read_words(&p, body, e);
	if (!e->code && !check_step_rights(h, by, id, e)) {
		int r = step_undo(&p, id);
		if (r == -ENOENT)
			api_fail(e, 404, "NotFound",
				 "change %llu is not there: it never was, or it made room",
				 (unsigned long long)id);
		else if (r)
			api_fail(e, 500, "InternalError", "out of memory");
		else
			finish(&p, by, json_is_true(json_object_get(body, "dry")), rp, e);
	}
	step_plan_fini(&p);
}

static bool sees(const struct step_client *by, const struct step_object *o)
{
	/* As access_sees(): a Namespace's own name is what it tells. */
	if (o->kind == KIND_namespace)
		return access_level(by->who, str_of(o->name)) >= ACCESS_VIEW;
	return access_may(by->who, ACCESS_READ, o->kind, str_of(o->ns));
}

/* Of a step only what this client may see. True: nothing is left. */
static bool narrow(const struct step_client *by, struct step *st)
{
	/* Around a change a file may say of others' objects what is not his to see. */
	bool hidden = !sees_all(by);
	for (size_t i = 0; i < st->objects.len;) {
		if (sees(by, &st->objects.items[i])) {
			i++;
			continue;
		}
		step_object_fini(&st->objects.items[i]);
		vec_remove(&st->objects, i);
		hidden = true;
	}
	if (hidden) {
		VEC_EACH (&st->files, f)
			step_file_fini(f);
		st->files.len = 0;
	}
	return !st->objects.len;
}

struct listing {
	struct hub *hub;
	const struct step_client *by;
	struct buf *out;
	size_t wanted, told;
	uint64_t last;
};

static int list_one(void *ctx, struct step *given)
{
	struct listing *l = ctx;
	AUTO(own_step) struct step *st = given;
	l->last = st->id;
	if (narrow(l->by, st))
		return 0;
	if (l->told++)
		buf_addc(l->out, ',');
	answer_step(l->out, st, steplog_undone(l->hub->steplog, st->id), false);
	return l->told >= l->wanted ? 1 : 0;
}

static void list(struct hub *h, const struct step_client *by, const struct http_request *rq,
		 struct http_reply *rp, struct api_error *e)
{
	const char *limit = http_query(rq, "limit"), *before = http_query(rq, "before");
	int64_t n = LIST_DEFAULT, from = 0;
	if ((limit && str_to_i64(str_of(limit), 1, LIST_MAX, &n)) ||
	    (before && str_to_i64(str_of(before), 1, INT64_MAX, &from))) {
		api_fail(e, 400, "BadRequest",
			 "limit is a number from 1 to %d, before the number of a change", LIST_MAX);
		return;
	}
	struct listing l = {.hub = h, .by = by, .out = &rp->body, .wanted = (size_t)n};
	save_all(h);
	buf_addz(&rp->body, "{\"changes\":[");
	int r = steplog_list(h->steplog, (uint64_t)from, LIST_MAX, list_one, &l);
	if (r < 0) {
		api_fail(e, 500, "InternalError", "%s", strerror(-r));
		return;
	}
	answer_list_end(&rp->body, steplog_sizes(h->steplog), h->pen != NULL);
	rp->status = 200;
}

static void show(struct hub *h, const struct step_client *by, uint64_t id, struct http_reply *rp,
		 struct api_error *e)
{
	AUTO(own_step) struct step *st = NULL;
	save_all(h);
	int r = steplog_get(h->steplog, id, &st);
	if (r || narrow(by, st)) {
		api_fail(e, 404, "NotFound", "change %llu is not there: it never was, or it made room",
			 (unsigned long long)id);
		return;
	}
	answer_step(&rp->body, st, steplog_undone(h->steplog, id), true);
	buf_addc(&rp->body, '\n');
	rp->status = 200;
}

/* "/12" or "/12/undo". */
static bool read_id(const char *rest, uint64_t *id, bool *undo)
{
	struct str s = str_of(rest + 1);
	int64_t n;
	*undo = str_ends(s, STR("/undo"));
	if (*undo)
		s.n -= 5;
	if (str_to_i64(s, 1, INT64_MAX, &n))
		return false;
	*id = (uint64_t)n;
	return true;
}

void stepapi_changes(struct hub *h, const struct step_client *by, const struct http_request *rq,
		     const char *rest, struct http_reply *rp, struct api_error *e)
{
	bool post = !strcmp(rq->method, "POST"), get = !strcmp(rq->method, "GET"), back = false;
	uint64_t id = 0;
	if (*rest && (*rest != '/' || !read_id(rest, &id, &back))) {
		api_fail(e, 404, "NotFound", "there are changes, changes/ID and changes/ID/undo");
		return;
	}
	if (!(get && !back) && !(post && (!*rest || back))) {
		api_fail(e, 405, "MethodNotAllowed", "%s is not possible on %s", rq->method, rq->path);
		return;
	}
	if (get) {
		if (*rest)
			show(h, by, id, rp, e);
		else
			list(h, by, rq, rp, e);
		return;
	}
	AUTO_JSON body = json_loadb(rq->body.n ? rq->body.p : "{}", rq->body.n ? rq->body.n : 2, 0, NULL);
	if (!json_is_object(body))
		api_fail(e, 400, "BadRequest", "the body is one JSON object");
	else if (back)
		undo(h, by, id, body, rp, e);
	else
		make(h, by, body, rp, e);
}

void stepapi_export(struct hub *h, const struct step_client *by, struct http_reply *rp, struct api_error *e)
{
	int r = 0;
	rp->content_type = "application/yaml";
	for (enum kind k = 0; k < KIND_COUNT && !r; k++) {
		struct object_refs all = {0};
		r = store_list(h->store, k, STR(""), &all);
		VEC_EACH (&all.list, o)
			if (!r && access_sees(by->who, *o))
				r = answer_export(&rp->body, *o);
		vec_free(&all.list);
	}
	rp->status = 200;
	if (r)
		api_fail(e, 500, "InternalError", "out of memory");
}

void page_changes(struct hub *h, const struct who *who, const struct http_request *rq, struct http_reply *rp,
		  struct api_error *e)
{
	const struct step_client by = {.user = who->user, .who = who};
	stepapi_changes(h, &by, rq, rq->path + strlen("/page/changes"), rp, e);
}

void page_export(struct hub *h, const struct who *who, const struct http_request *rq, struct http_reply *rp,
		 struct api_error *e)
{
	const struct step_client by = {.user = who->user, .who = who};
	(void)rq;
	stepapi_export(h, &by, rp, e);
}
