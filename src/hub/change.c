/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes through the API: who owns the object, whether it is valid, what the server fills in. A write is kept
 * on disk before it counts: when that fails it is refused and nothing changed.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/own.h"
#include "hub/admit.h"
#include "hub/condition.h"
#include "hub/copy.h"
#include "hub/host.h"
#include "hub/hub.h"
#include "hub/names.h"
#include "hub/podstatus.h"
#include "hub/record.h"
#include "hub/stepplan.h"
#include "serve/access.h"

OWN_DEFINE(object, struct object, object_unref)

enum { NODES_JOIN_MS = 20, NODES_WAIT_MS = 3000 };

static int refuse_invalid(const struct object *o, struct remarks *rs, struct api_error *e)
{
	AUTO_BUF text = {0};
	VEC_EACH (&rs->list, r)
		if (r->level == REMARK_ERROR)
			buf_printf(&text, "%s%s%s%s%s", text.n ? "; " : "", r->text, r->hint ? " (" : "",
				   r->hint ? r->hint : "", r->hint ? ")" : "");
	api_fail(e, 422, "Invalid", "%s \"" STR_FMT "\" is invalid: " STR_FMT, o->desc->name,
		 STR_ARG(o->meta.name), STR_ARG(buf_str(&text)));
	remarks_move(&e->causes, rs);
	return -EINVAL;
}

int change_prepare(struct hub *h, struct object *o, const struct object *old, struct api_error *e)
{
	struct remarks rs = {0};
	if (old && o->desc->kind == KIND_service)
		service_settle(o, old);
	int r = object_default(o);
	if (!r && old && o->desc->kind == KIND_capture)
		r = capture_admit(o, old, "");
	if (!r && !object_validate(o, &rs))
		r = -EINVAL;
	if (!r)
		r = cluster_admit(h->cluster, o, old, true, &rs);
	if (r == -EINVAL)
		refuse_invalid(o, &rs, e);
	else if (r)
		api_fail(e, 500, "InternalError", "out of memory");
	remarks_fini(&rs);
	return r;
}

static int refuse_full(struct hub *h, struct api_error *e)
{
	return api_fail(e, 500, "InternalError",
			"the hub cannot keep this write, nothing was changed: %s; free space on its disk",
			persist_error(h->persist));
}

/* On disk first, then in force. Takes the object over. */
static int publish(struct hub *h, struct object *o, struct object **now, struct api_error *e)
{
	const struct object *published = NULL;
	/* What an earlier failure left unsaved goes first: an object must not be on disk without its past. */
	int r = h->save_failed && !h->stepping ? save_all(h) : 0;
	if (!r && !h->stepping)
		r = persist_put(h->persist, o, store_version(h->store) + 1);
	if (r) {
		object_unref(&o);
		return refuse_full(h, e);
	}
	r = store_put(h->store, o, &published);
	if (r)
		return api_fail(e, 500, "InternalError", "out of memory");
	*now = object_ref(published);
	return 0;
}

int change_foreign(const struct hub *h, const struct object *o, const char *what, struct api_error *e)
{
	AUTO_BUF at = {0};
	pos_print(&at, o->pos);
	return api_fail(e, 409, "Conflict", "%s \"" STR_FMT "\" belongs to " STR_FMT ": %s there%s",
			o->desc->plural, STR_ARG(o->meta.name), STR_ARG(buf_str(&at)), what,
			h->pen ? "" : ", or start the cluster with weft up --writable");
}

static int generate_name(struct hub *h, struct object *o)
{
	for (uint64_t probe = 0; !o->meta.name.n; probe++) {
		uint64_t salt[3] = {clock_us(), probe, store_version(h->store)};
		char suffix[6];
		name_suffix(suffix, 5, hash_bytes(salt, sizeof(salt), 0));
		struct str name =
		    arena_printf(&o->arena, STR_FMT "%s", STR_ARG(o->meta.generate_name), suffix);
		if (!name.p)
			return -ENOMEM;
		if (!store_get(h->store, o->desc->kind, o->meta.ns, name))
			o->meta.name = name;
	}
	return 0;
}

static int check_namespace(struct hub *h, const struct object *o, struct api_error *e)
{
	if (!o->desc->namespaced)
		return 0;
	const struct object *ns = store_get(h->store, KIND_namespace, STR(""), o->meta.ns);
	if (!ns && plan_brings(h->step, o->meta.ns))
		return 0;
	if (!ns)
		return api_fail(e, 404, "NotFound", "namespaces \"" STR_FMT "\" not found",
				STR_ARG(o->meta.ns));
	if (ns->meta.deletion_timestamp.n)
		return api_fail(e, 403, "Forbidden",
				"namespace \"" STR_FMT "\" is being deleted: nothing new goes in",
				STR_ARG(o->meta.ns));
	return 0;
}

/* Nodes join one after the other: pods wait a moment, so that the first does not get them all. */
static void nodes_joined(uv_timer_t *t)
{
	struct hub *h = t->data;
	h->cluster->hold_pods = false;
}

/* A Draft says who saved it last. */
static int sign_draft(struct object *o, const struct object *old, const char *user)
{
	if (o->desc->kind != KIND_draft || (old && object_same_spec(o, old)))
		return 0;
	if (!o->draft->status)
		o->draft->status = arena_new(&o->arena, struct draft_status);
	if (!o->draft->status)
		return -ENOMEM;
	o->draft->status->by = text_keep(&o->arena, str_of(user));
	return 0;
}

static int create(struct hub *h, struct api_write *w, struct object **now, struct api_error *e)
{
	struct object *o = w->object;
	if (h->opt.host && !h->step && !host_keeps(o->desc->kind))
		return api_fail(
		    e, 403, "Forbidden",
		    "what this host copies stands in its files: make %s there, or on the page of weft "
		    "broker --page --writable",
		    o->desc->plural);
	if (o->pos.file)
		return api_fail(e, 400, "BadRequest", "weftPositions is only for what the hub sends");
	if (!o->meta.name.n && !o->meta.generate_name.n)
		return api_fail(e, 422, "Invalid", "metadata.name is missing: give name or generateName");
	if (o->meta.resource_version.n)
		return api_fail(e, 400, "BadRequest",
				"resourceVersion should not be set on objects to be created");
	if (!o->meta.name.n && generate_name(h, o))
		return api_fail(e, 500, "InternalError", "out of memory");
	const struct object *there = store_get(h->store, o->desc->kind, o->meta.ns, o->meta.name);
	if (there) {
		AUTO_BUF at = {0};
		pos_print(&at, there->pos);
		return api_fail(e, 409, "AlreadyExists", "%s%s%s \"" STR_FMT "\" already exists%s%s",
				o->desc->plural, *o->desc->group ? "." : "", o->desc->group,
				STR_ARG(o->meta.name), at.n ? ", from " : "", at.n ? at.p : "");
	}
	if (o->desc->kind == KIND_capture && capture_admit(o, NULL, w->user))
		return api_fail(e, 500, "InternalError", "out of memory");
	if (o->desc->kind == KIND_capture &&
	    (captures_may(h->captures, w->user, w->who, o, e) || captures_room(h->captures, e)))
		return -EINVAL;
	if (check_namespace(h, o, e) || change_prepare(h, o, NULL, e))
		return -EINVAL;
	if (sign_draft(o, NULL, w->user))
		return api_fail(e, 500, "InternalError", "out of memory");
	if (w->dry) {
		*now = TAKE(w->object);
		return 0;
	}
	if (o->desc->kind == KIND_node) {
		/* With the last of those expected nobody waits. */
		bool all = store_count(h->store, KIND_node) + 1 >= h->opt.nodes;
		h->cluster->hold_pods = !h->opt.nodes || !all;
		uv_timer_start(&h->nodes_timer, nodes_joined, h->opt.nodes ? NODES_WAIT_MS : NODES_JOIN_MS,
			       0);
	}
	return publish(h, TAKE(w->object), now, e);
}

static bool same_labels(const struct object *a, const struct object *b)
{
	return map_same(&a->meta.labels, &b->meta.labels) &&
	       map_same(&a->meta.annotations, &b->meta.annotations);
}

void change_keep_position(struct object *o, const struct object *old)
{
	if (o->pos.file)
		return;
	o->pos = old->pos;
	file_ref((struct file *)(uintptr_t)o->pos.file);
}

static int update(struct hub *h, struct api_write *w, struct object **now, struct api_error *e)
{
	struct object *o = w->object;
	const struct object *old = w->old;
	if (o->meta.uid.n && !str_eq(o->meta.uid, old->meta.uid))
		return api_fail(e, 409, "Conflict",
				"the uid in the body, " STR_FMT ", is not that of the object, " STR_FMT,
				STR_ARG(o->meta.uid), STR_ARG(old->meta.uid));
	change_keep_position(o, old);
	bool file = object_from_file(old);
	AUTO(own_object) struct object *asked = NULL;
	if (file && h->pen && object_clone(&asked, o))
		return api_fail(e, 500, "InternalError", "out of memory");
	/* A file's object is refused before it is judged: what is wrong with a change that cannot be is no
	 * matter. */
	struct api_error judged = {0};
	int r = change_prepare(h, o, old, &judged);
	if (file && !h->pen && (r || !object_same_spec(o, old) || !same_labels(o, old)))
		change_foreign(h, old, "change it", e);
	else if (r) {
		*e = judged;
		judged = (struct api_error){0};
	}
	api_error_fini(&judged);
	if (e->code)
		return -EINVAL;
	if (sign_draft(o, old, w->user))
		return api_fail(e, 500, "InternalError", "out of memory");
	if (asked && !object_same_file_part(o, old)) {
		if (rewrite_object(h, old, asked, o, w->dry, e))
			return -EINVAL;
		const struct object *is = store_get(h->store, old->desc->kind, old->meta.ns, old->meta.name);
		*now = w->dry ? TAKE(w->object) : object_ref(is);
		return 0;
	}
	if (w->dry || object_same(o, old)) {
		*now = w->dry ? TAKE(w->object) : object_ref(old);
		return 0;
	}
	if (o->meta.deletion_timestamp.n && !o->meta.finalizers.len && o->desc->kind != KIND_pod) {
		*now = object_ref(o);
		if (!h->stepping && persist_delete(h->persist, o->desc->kind, o->meta.ns, o->meta.name))
			return refuse_full(h, e);
		store_delete(h->store, o->desc->kind, old->meta.ns, old->meta.name);
		return 0;
	}
	return publish(h, TAKE(w->object), now, e);
}

/* The hub's part of a pod's status stays, whatever the runtime sends. */
static int merge_pod_status(struct hub *h, struct object *o, const struct object *old)
{
	static const char *const ours[] = {"PodScheduled", "Initialized", "ContainersReady", "Ready"};
	const struct pod_status *was = old->pod->status;
	struct arena *a = &o->arena;
	if (!o->pod->status)
		o->pod->status = arena_new(a, struct pod_status);
	struct pod_status *st = o->pod->status;
	if (!st)
		return -ENOMEM;
	if (was) {
		struct pod_status keep = {.pod_ip = was->pod_ip,
					  .pod_ips = was->pod_ips,
					  .host_ip = was->host_ip,
					  .host_ips = was->host_ips,
					  .qos_class = was->qos_class};
		struct pod_status copy;
		if (struct_copy(a, desc_find(KIND_pod, "status"), &copy, &keep))
			return -ENOMEM;
		st->pod_ip = copy.pod_ip;
		st->pod_ips = copy.pod_ips;
		st->host_ip = copy.host_ip;
		st->host_ips = copy.host_ips;
		st->qos_class = copy.qos_class;
		if (!st->start_time.n)
			st->start_time = text_keep(a, was->start_time);
	}
	for (size_t i = 0; was && i < sizeof(ours) / sizeof(ours[0]); i++) {
		const struct condition *c = condition_find(&was->conditions, ours[i]);
		int r =
		    c ? condition_set(a, &st->conditions, ours[i], str_eqz(c->status, "True"), NULL, NULL, "")
		      : 0;
		struct condition *n = (struct condition *)(uintptr_t)condition_find(&st->conditions, ours[i]);
		if (r)
			return r;
		if (c && n)
			n->last_transition_time = text_keep(a, c->last_transition_time);
	}
	return podstatus_compose(h->cluster, o);
}

static int set_status(struct hub *h, struct api_write *w, struct object **now, struct api_error *e)
{
	struct object *o = w->object;
	struct remarks rs = {0};
	int r = o->desc->kind == KIND_pod ? merge_pod_status(h, o, w->old) : 0;
	if (!r && !object_validate(o, &rs))
		r = refuse_invalid(o, &rs, e);
	remarks_fini(&rs);
	if (r)
		return api_fail(e, 500, "InternalError", "out of memory");
	if (w->dry || object_same(o, w->old)) {
		*now = w->dry ? TAKE(w->object) : object_ref(w->old);
		return 0;
	}
	return publish(h, TAKE(w->object), now, e);
}

/* Namespaces take what is in them along; what came from files stands in the way. go: not only asks. */
static int delete_namespace(struct hub *h, const struct object *ns, bool go, struct api_error *e)
{
	if (str_eqz(ns->meta.name, "default") || str_eqz(ns->meta.name, "kube-system"))
		return api_fail(e, 403, "Forbidden",
				"namespace \"" STR_FMT "\" is needed and cannot be deleted",
				STR_ARG(ns->meta.name));
	for (int turn = 0; turn < (go ? 2 : 1); turn++)
		for (enum kind k = 0; k < KIND_COUNT; k++) {
			struct object_refs all = {0};
			if (!kind_table[k].namespaced || store_list(h->store, k, ns->meta.name, &all))
				continue;
			VEC_EACH (&all.list, o)
				*o = object_ref(*o);
			VEC_EACH (&all.list, o) {
				struct object *held = (struct object *)(uintptr_t)*o;
				if (turn == 0 && object_from_file(held) && !e->code &&
				    !plan_removes(h->step, held))
					change_foreign(h, held, "delete it", e);
				if (turn == 1)
					cluster_delete(h->cluster, held, -1);
				object_unref(&held);
			}
			vec_free(&all.list);
			if (e->code)
				return -EINVAL;
		}
	return 0;
}

int change_namespace_stays(struct hub *h, const struct object *ns, struct api_error *e)
{
	return delete_namespace(h, ns, false, e);
}

bool namespace_has_objects(const struct hub *h, struct str ns)
{
	bool any = false;
	for (enum kind k = 0; k < KIND_COUNT && !any; k++) {
		struct object_refs all = {0};
		if (kind_table[k].namespaced && !store_list(h->store, k, ns, &all))
			any = all.list.len;
		vec_free(&all.list);
	}
	return any;
}

void namespaces_settle(struct hub *h)
{
	struct object_refs all = {0};
	if (!h->ending_namespaces || store_list(h->store, KIND_namespace, STR(""), &all))
		return;
	h->ending_namespaces = false;
	VEC_EACH (&all.list, o)
		*o = object_ref(*o);
	VEC_EACH (&all.list, o) {
		struct object *ns = (struct object *)(uintptr_t)*o;
		if (ns->meta.deletion_timestamp.n) {
			if (!namespace_has_objects(h, ns->meta.name))
				store_delete(h->store, KIND_namespace, STR(""), ns->meta.name);
			else
				h->ending_namespaces = true;
		}
		object_unref(&ns);
	}
	vec_free(&all.list);
}

static int end_namespace(struct hub *h, const struct object *old, struct object **now)
{
	struct object *o = NULL;
	const struct object *published;
	int r = object_clone(&o, old);
	if (r)
		return r;
	o->meta.deletion_timestamp = arena_str(&o->arena, str_of(h->cluster->now));
	o->namespace->status->phase = arena_str(&o->arena, STR("Terminating"));
	r = store_put(h->store, o, &published);
	if (r)
		return r;
	*now = object_ref(published);
	h->ending_namespaces = true;
	return 0;
}

/* What it owned is kept: the references to it go. */
static int let_go(struct hub *h, const struct object *owner)
{
	static const enum kind kinds[] = {KIND_replicaset, KIND_pod, KIND_job};
	int r = 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !r; i++) {
		struct object_refs owned = {0};
		r = store_owned_by(h->store, kinds[i], owner->meta.uid, &owned);
		VEC_EACH (&owned.list, o)
			*o = object_ref(*o);
		VEC_EACH (&owned.list, o) {
			struct object *held = (struct object *)(uintptr_t)*o, *n = NULL;
			if (!r)
				r = object_clone(&n, held);
			if (n) {
				n->meta.owner_references = (struct owner_reference_list){0};
				/* It no longer follows from a file. */
				struct file *f = (struct file *)(uintptr_t)n->pos.file;
				file_unref(&f);
				n->pos = (struct pos){0};
				r = store_put(h->store, n, NULL);
			}
			object_unref(&held);
		}
		vec_free(&owned.list);
	}
	return r;
}

static int erase(struct hub *h, struct api_write *w, struct object **now, struct api_error *e)
{
	const struct object *old = w->old;
	/* What is ending already, its runtime may end for good. */
	bool file = object_from_file(old) && !old->meta.deletion_timestamp.n,
	     space = old->desc->kind == KIND_namespace;
	if (file && !h->pen)
		return change_foreign(h, old, "delete it", e);
	if (file &&
	    ((space && delete_namespace(h, old, false, e)) || rewrite_object(h, old, NULL, NULL, true, e)))
		return -EINVAL;
	if (w->dry)
		return 0;
	/* Proves that the disk takes writes before anything ends. */
	if (!h->stepping && persist_set(h->persist, "version", store_version(h->store)))
		return refuse_full(h, e);
	if (file && rewrite_object(h, old, NULL, NULL, false, e))
		return -EINVAL;
	if (space) {
		if (delete_namespace(h, old, true, e))
			return -EINVAL;
		old = store_get(h->store, KIND_namespace, STR(""), old->meta.name);
		return old && end_namespace(h, old, now) ? api_fail(e, 500, "InternalError", "out of memory")
							 : 0;
	}
	int r = w->orphan ? let_go(h, old) : 0;
	if (!r)
		r = cluster_delete(h->cluster, old, w->grace);
	if (r && r != -ENOENT)
		return api_fail(e, 500, "InternalError", "out of memory");
	*now = object_ref(store_get(h->store, old->desc->kind, old->meta.ns, old->meta.name));
	return 0;
}

/* A Capture is changed by its maker, or by who may see all packets; a new one is judged with the rest. */
static int check_capture(struct hub *h, const struct api_write *w, struct api_error *e)
{
	const struct object *of[] = {w->old, w->object};
	if (!w->who || w->verb == API_CREATE)
		return 0;
	for (size_t i = 0; i < 2; i++)
		if (of[i] && of[i]->desc->kind == KIND_capture &&
		    captures_may(h->captures, w->user, w->who, of[i], e))
			return -EINVAL;
	return 0;
}

/* Of a Draft all that it would change must be his to change, before and after. */
static int check_draft(const struct api_write *w, struct api_error *e)
{
	const struct object *of[] = {w->old, w->object};
	if (!w->who)
		return 0;
	for (size_t i = 0; i < 2; i++)
		if (of[i] && of[i]->desc->kind == KIND_draft && !access_draft(w->who, ACCESS_WRITE, of[i]))
			return api_fail(e, 403, "Forbidden",
					"%s may not change this draft: it needs the level operate in each "
					"namespace that its edits name, and in \"*\" for what is in none",
					w->user);
	return 0;
}

/* Who reads a User sees no hash; what he sends back for it leaves it as it is. */
static int keep_hidden(struct api_write *w)
{
	struct user_spec *now =
	    w->object && w->object->desc->kind == KIND_user ? w->object->user->spec : NULL;
	const struct user_spec *was = w->old && now ? w->old->user->spec : NULL;
	if (!now || !str_eqz(now->password, "<redacted>"))
		return 0;
	now->password = was ? text_keep(&w->object->arena, was->password) : (struct str){0};
	return was && was->password.n && !now->password.p ? -ENOMEM : 0;
}

static int write_verb(struct hub *h, struct api_write *w, struct object **now, struct api_error *e)
{
	if (check_capture(h, w, e) || check_draft(w, e))
		return -EINVAL;
	if (keep_hidden(w))
		return api_fail(e, 500, "InternalError", "out of memory");
	switch (w->verb) {
	case API_CREATE:
		return create(h, w, now, e);
	case API_UPDATE:
		return update(h, w, now, e);
	case API_STATUS:
		return set_status(h, w, now, e);
	case API_DELETE:
		return erase(h, w, now, e);
	}
	return -EINVAL;
}

/* What people change is in the audit log; what the cluster's own processes tell of their state is not. */
static void audit_change(struct hub *h, enum api_verb verb, const char *user, const struct object *o)
{
	static const char *const what[] = {"create", "update", "status", "delete"};
	AUTO_BUF name = {0};
	if (!*user || verb == API_STATUS || !o || h->stepping)
		return;
	buf_printf(&name, "%s " STR_FMT "%s" STR_FMT, o->desc->name, STR_ARG(o->meta.ns),
		   o->meta.ns.n ? "/" : "", STR_ARG(o->meta.name));
	audit_write(h->audit,
		    &(struct audit_line){.what = what[verb], .user = str_of(user), .object = buf_str(&name)});
}

static int write_one(void *ctx, struct api_write *w, struct object **now, struct api_error *e)
{
	struct hub *h = ctx;
	AUTO(own_object) struct object *old = object_ref(w->old);
	cluster_clock(h->cluster, clock_wall(), clock_ms());
	bool kept =
	    !w->dry && w->verb != API_STATUS && *w->user; /* what Weft makes is no change of anybody's */
	if (kept)
		record_begin(h->recorder, STEP_API, str_of(w->user), STR(""), STR(""));
	int r = write_verb(h, w, now, e);
	if (kept)
		record_end(h->recorder);
	if (!r && !w->dry)
		audit_change(h, w->verb, w->user, *now ? *now : old);
	return r;
}

/* Answers of 403 by rights. */
static void refused(void *ctx, const char *user, const struct http_request *rq, struct str why)
{
	AUTO_BUF what = {0};
	buf_printf(&what, "%s %s", rq->method, rq->path);
	audit_write(((struct hub *)ctx)->audit,
		    &(struct audit_line){
			.what = "refused", .user = str_of(user), .object = buf_str(&what), .why = why});
}

static int internal(void *ctx, const char *user, const char *method, const char *name, struct str body,
		    struct buf *answer, struct api_error *e)
{
	return internal_request(ctx, user, method, name, body, answer, e);
}

static struct http_later *internal_later(void *ctx, const char *method, const char *name, struct str body,
					 struct api_error *e)
{
	struct hub *h = ctx;
	return !strcmp(method, "POST") && !strcmp(name, "history") ? rollups_ask(h->rollups, body, NULL, e)
								   : NULL;
}

static struct http_later *packets(void *ctx, const struct api_packets *q, struct api_error *e)
{
	return captures_packets(((struct hub *)ctx)->captures, q, e);
}

static bool ready(void *ctx)
{
	return ((struct hub *)ctx)->loaded;
}

static bool local(void *ctx, const struct http_request *rq, const char *rest, struct http_reply *rp,
		  struct api_error *e)
{
	char user[API_USER];
	user_of(user, rq);
	return internal_answer(ctx, rq, user, rest, rp, e);
}

const struct api_ops hub_api_ops = {.write = write_one,
				    .local = local,
				    .internal = internal,
				    .internal_later = internal_later,
				    .packets = packets,
				    .refused = refused,
				    .ready = ready};
