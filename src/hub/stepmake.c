/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From edits to a plan: each is decoded, held against what its author saw and against what is in force, and
 * tried without being done. Called by stepapi.c.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/own.h"
#include "hub/copy.h"
#include "hub/host.h"
#include "hub/stepplan.h"
#include "hub/steplog.h"
#include "serve/managed.h"

OWN_DEFINE(object, struct object, object_unref)

static int take_object(void *ctx, struct object *o)
{
	struct object **out = ctx;
	if (*out) {
		object_unref(&o);
		return -E2BIG;
	}
	*out = o;
	return 0;
}

/* The one object of the text, with its remarks; NULL where there is none to go on with. */
static int decode(struct step_plan *p, size_t i, const struct step_edit *e, struct object **out)
{
	struct remarks rs = {0};
	struct file *f = NULL;
	struct decoder_options opt = {.sink = take_object, .ctx = out, .remarks = &rs};
	int r = file_new(&f, "", e->yaml.p ? e->yaml.p : "", e->yaml.n);
	if (r)
		return r;
	r = decode_yaml(f, &opt);
	struct pos start = {.file = f, .line = 1, .col = 1, .len = 1};
	if (r == -E2BIG)
		remark_add(&rs, REMARK_ERROR, start, "make one edit of each",
			   "this text holds more than one object");
	else if (!*out && !rs.errors)
		remark_add(&rs, REMARK_ERROR, start, "write one with apiVersion and kind",
			   "this text holds no object of a kind that is known here");
	if (*out && !object_validate(*out, &rs))
		r = -EINVAL;
	file_unref(&f);
	if (rs.errors)
		object_unref(out);
	int t = plan_take_remarks(p, i, &rs);
	return t ? t : r == -ENOMEM ? r : 0;
}

/* It is the object that the edit names. */
static int check_name(struct step_plan *p, size_t i, const struct step_edit *e, struct object **op)
{
	const struct object *o = *op;
	struct str ns = o->meta.ns, want = e->ns;
	int r = 0;
	if (o->desc->namespaced) {
		ns = ns.n ? ns : STR("default");
		want = want.n ? want : ns;
	}
	if (o->desc != e->kind)
		r = plan_error(p, i, NULL, "the text is a %s, the edit is of a %s", o->desc->name,
			       e->kind->name);
	else if (e->name.n && !str_eq(o->meta.name, e->name))
		r = plan_error(p, i, "to rename, make a new one and delete this one",
			       "the text is of \"" STR_FMT "\", the edit of \"" STR_FMT "\"",
			       STR_ARG(o->meta.name), STR_ARG(e->name));
	else if (!str_eq(ns, want))
		r = plan_error(p, i, "set metadata.namespace",
			       "the text is of namespace \"" STR_FMT "\", the edit of \"" STR_FMT "\"",
			       STR_ARG(ns), STR_ARG(want));
	else if (!o->meta.name.n)
		r = plan_error(p, i, "give metadata.name", "the object has no name");
	else
		return 0;
	object_unref(op);
	return r;
}

/* Without positions: as a client of the API sends it. The decoded one is let go. */
static int forget_positions(struct object **op)
{
	AUTO_BUF json = {0};
	struct remarks rs = {0};
	struct object *o = NULL;
	object_print_json(&json, *op, PRINT_PLAIN);
	int r = json.failed ? -ENOMEM : decode_json_object(buf_str(&json), NULL, NULL, &o, &rs);
	remarks_fini(&rs);
	object_unref(op);
	*op = o;
	return r || !o ? -ENOMEM : 0;
}

/* What no manifest says, and an update does not mean to change. */
static int keep_from(struct object *o, const struct object *old)
{
	static const char last[] = "kubectl.kubernetes.io/last-applied-configuration";
	struct writer who = {.name = "weft", .sub = ""};
	const struct str *was = old ? strmap_get(&old->meta.annotations, STR(last)) : NULL;
	int r = 0;
	/* Who reads a User sees no hash. */
	if (old && o->desc->kind == KIND_user && o->user->spec && old->user->spec &&
	    str_eqz(o->user->spec->password, "<redacted>"))
		o->user->spec->password = text_keep(&o->arena, old->user->spec->password);
	/* Those of the server are not what its author wrote. */
	o->meta.resource_version = o->meta.uid = o->meta.creation_timestamp = (struct str){0};
	o->meta.managed_fields = (struct str){0};
	if (was && !strmap_get(&o->meta.annotations, STR(last)))
		r = strmap_set(&o->arena, &o->meta.annotations, STR(last), arena_str(&o->arena, *was));
	if (!r && old && !o->meta.owner_references.len && old->meta.owner_references.len) {
		AUTO(own_object) struct object *copy = NULL;
		r = object_clone(&copy, old);
		if (!r) {
			o->meta.owner_references = copy->meta.owner_references;
			arena_join(&o->arena, &copy->arena);
		}
	}
	return r ? r : managed_update(o, old, &who);
}

static void who_changed(struct buf *b, const struct steplog_last *last)
{
	char at[21];
	clock_rfc3339(last->at / 1000, at);
	if (last->origin == STEP_FILES)
		buf_printf(b, "in its file on disk, at %s (change %llu)", at, (unsigned long long)last->id);
	else
		buf_printf(b, "by %s, at %s (change %llu)", *last->user ? last->user : "Weft", at,
			   (unsigned long long)last->id);
}

/* What the edit's author saw is what is there. *go: it is. */
static int check_seen(struct step_plan *p, size_t i, const struct step_edit *e, struct str ns,
		      struct str name, const struct object *now, bool *go)
{
	struct steplog_last last = {0};
	AUTO_BUF who = {0};
	int64_t seen = 0;
	*go = true;
	if (!e->version.n) {
		if (!e->put || !now)
			return 0;
		*go = false;
		AUTO_BUF at = {0};
		pos_print(&at, now->pos);
		return plan_conflict(p, i, e->kind, ns, name, "it is there already%s%s",
				     at.n ? ", from " : "", at.n ? at.p : "");
	}
	if (str_to_i64(e->version, 0, INT64_MAX, &seen)) {
		*go = false;
		return plan_error(p, i, NULL, "resourceVersion \"" STR_FMT "\" is none", STR_ARG(e->version));
	}
	if (now && now->version == (uint64_t)seen)
		return 0;
	int r = steplog_last(p->hub->steplog, e->kind->kind, ns, name, (uint64_t)seen, &last);
	if (r == -ENOENT && now && (uint64_t)seen <= store_version(p->hub->store))
		return 0; /* only its status is another */
	*go = false;
	if (!r)
		who_changed(&who, &last);
	free(last.user);
	return plan_conflict(p, i, e->kind, ns, name, "it was %s since it was looked at%s%s",
			     now ? "changed" : "removed", who.n ? ": " : "", who.n ? who.p : "");
}

/* ---- where a new object goes ---- */

/* Manifests hold what describes a cluster, not what is looked at, thought about or kept secret. */
static bool is_for_files(enum kind k)
{
	return k != KIND_capture && k != KIND_draft && k != KIND_secret && k != KIND_endpointslice;
}

static const char *first_folder(const struct hub *h)
{
	struct stat st;
	for (size_t i = 0; i < h->opt.paths_len; i++)
		if (!stat(h->opt.paths[i], &st) && S_ISDIR(st.st_mode))
			return h->opt.paths[i];
	return NULL;
}

/* Of a host that has no folder: the file that takes what is new. */
static const char *first_file(const struct hub *h)
{
	for (size_t i = 0; i < h->opt.paths_len; i++)
		if (str_ends(str_of(h->opt.paths[i]), STR(".yaml")) ||
		    str_ends(str_of(h->opt.paths[i]), STR(".yml")))
			return h->opt.paths[i];
	return NULL;
}

static bool below(const char *path, const char *root)
{
	size_t n = strlen(root);
	while (n > 1 && root[n - 1] == '/')
		n--;
	return !strncmp(path, root, n) && (path[n] == '/' || !path[n]);
}

/* No hidden names, no way up; a manifest's ending. */
static bool is_plain_path(const char *path)
{
	struct str p = str_of(path);
	return !strstr(path, "/.") && path[0] != '.' &&
	       (str_ends(p, STR(".yaml")) || str_ends(p, STR(".yml")));
}

/* The file for a new object into `out`; empty: it lives in the hub. False: told. */
static int choose_file(struct step_plan *p, size_t i, const struct step_edit *e, struct buf *out, bool *good)
{
	const struct hub *h = p->hub;
	const char *folder = first_folder(h);
	bool inside = false;
	*good = true;
	if (h->opt.host && !e->file.n && !host_keeps(e->kind->kind)) {
		const char *path = first_file(h);

		*good = h->pen && (folder || path);
		if (!*good)
			return plan_error(p, i, "start it with weft broker --page --writable",
					  "what this host copies stands in its files, which are not written");
		if (!folder) {
			buf_addz(out, path);
			return 0;
		}
	}
	if (!h->pen && !e->file.n)
		return 0;
	if (!e->file.n && (!is_for_files(e->kind->kind) || !folder))
		return 0;
	if (!h->pen) {
		*good = false;
		return plan_error(p, i, "leave \"file\" out, or start the cluster with weft up --writable",
				  "files are not written here");
	}
	if (e->file.n && e->file.p[0] == '/')
		buf_adds(out, e->file);
	else if (folder)
		buf_printf(out, "%s%s" STR_FMT, folder, folder[strlen(folder) - 1] == '/' ? "" : "/",
			   STR_ARG(e->file.n ? e->file : STR("weft-page.yaml")));
	for (size_t j = 0; j < h->opt.paths_len && out->n; j++)
		inside |= below(out->p, h->opt.paths[j]);
	size_t root = inside && folder && below(out->p, folder) ? strlen(folder) : 0;
	*good = inside && is_plain_path(out->p + root + (root && out->p[root] == '/'));
	return *good
		   ? 0
		   : plan_error(p, i, "name a .yaml file below the folders that the cluster was started with",
				"\"" STR_FMT "\" is no place for a new object", STR_ARG(e->file));
}

/* ---- edits ---- */

static bool named_before(const struct step_plan *p, enum kind k, struct str ns, struct str name)
{
	VEC_EACH (&p->objects, o)
		if (o->kind == k && str_eqz(ns, o->ns) && str_eqz(name, o->name))
			return true;
	return false;
}

static const struct object *find_now(const struct hub *h, const struct step_edit *e, struct str ns,
				     struct str name)
{
	const struct object *o = store_get(h->store, e->kind->kind, ns, name);
	return o && !o->meta.deletion_timestamp.n ? o : NULL;
}

static int make_put(struct step_plan *p, size_t i, const struct step_edit *e)
{
	AUTO(own_object) struct object *o = NULL, *old = NULL;
	AUTO_BUF file = {0};
	bool go = true;
	int r = decode(p, i, e, &o);
	if (!r && o)
		r = check_name(p, i, e, &o);
	if (r || !o)
		return r;
	r = forget_positions(&o);
	if (r)
		return r;
	struct str name = o->meta.name, ns = !o->desc->namespaced ? STR("")
					     : o->meta.ns.n	  ? o->meta.ns
								  : STR("default");
	o->meta.ns = o->desc->namespaced ? ns : (struct str){0};
	if (named_before(p, o->desc->kind, ns, name))
		return plan_error(p, i, "make one edit of them", "another edit is of the same object");
	old = object_ref(find_now(p->hub, e, ns, name));
	r = check_seen(p, i, e, ns, name, old, &go);
	if (!r && go)
		r = keep_from(o, old);
	if (r || !go)
		return r;
	if (old)
		return plan_change(p, i, old, TAKE(o));
	r = choose_file(p, i, e, &file, &go);
	return r || !go ? r : plan_create(p, i, TAKE(o), file.n ? file.p : NULL, e->yaml);
}

static int make_delete(struct step_plan *p, size_t i, const struct step_edit *e)
{
	AUTO(own_object) struct object *old = NULL;
	struct str ns = !e->kind->namespaced ? STR("") : e->ns.n ? e->ns : STR("default");
	bool go = true;
	if (named_before(p, e->kind->kind, ns, e->name))
		return plan_error(p, i, "make one edit of them", "another edit is of the same object");
	old = object_ref(find_now(p->hub, e, ns, e->name));
	int r = check_seen(p, i, e, ns, e->name, old, &go);
	if (r || !go)
		return r;
	return old ? plan_change(p, i, old, NULL)
		   : plan_conflict(p, i, e->kind, ns, e->name, "it is not there");
}

/* Namespaces are made before what is in them, and removed after it. */
int step_make(struct step_plan *p, const struct step_edit *edits, size_t n)
{
	int r = 0;
	p->hub->step = p;
	for (int turn = 0; turn < 4 && !r; turn++)
		for (size_t i = 0; i < n && !r; i++) {
			bool space = edits[i].kind->kind == KIND_namespace;
			if (turn != (edits[i].put ? (space ? 0 : 1) : (space ? 3 : 2)))
				continue;
			r = edits[i].put ? make_put(p, i, &edits[i]) : make_delete(p, i, &edits[i]);
		}
	p->hub->step = NULL;
	return r;
}
