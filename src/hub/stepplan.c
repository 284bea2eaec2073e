/* SPDX-License-Identifier: Apache-2.0 */
/* A step before it is made: its files, its writes, and what stands in the way. See stepplan.h. */
#include "hub/stepplan.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "hub/copy.h"
#include "hub/pen.h"
#include "source/edit.h"
#include "source/files.h"

OWN_DEFINE(object, struct object, object_unref)

static void object_fini(struct plan_object *o)
{
	object_unref(&o->was);
	object_unref(&o->is);
	free(o->ns);
	free(o->name);
	free(o->want);
}

void step_plan_fini(struct step_plan *p)
{
	VEC_EACH (&p->files, f) {
		free(f->path);
		free(f->was);
		buf_fini(&f->now);
	}
	vec_free(&p->files);
	VEC_EACH (&p->writes, w) {
		object_unref(&w->object);
		object_unref((struct object **)(uintptr_t)&w->old);
	}
	vec_free(&p->writes);
	VEC_EACH (&p->objects, o)
		object_fini(o);
	vec_free(&p->objects);
	VEC_EACH (&p->conflicts, c) {
		free(c->ns);
		free(c->name);
		free(c->why);
	}
	vec_free(&p->conflicts);
	VEC_EACH (&p->remarks, r) {
		file_unref(&r->remark.file);
		free(r->remark.text);
		free(r->remark.hint);
	}
	vec_free(&p->remarks);
}

int plan_conflict(struct step_plan *p, size_t edit, const struct kind_desc *k, struct str ns, struct str name,
		  const char *fmt, ...)
{
	struct plan_conflict c = {.edit = edit, .kind = k->kind};
	AUTO_BUF why = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&why, fmt, ap);
	va_end(ap);
	c.ns = strndup(ns.p ? ns.p : "", ns.n);
	c.name = strndup(name.p ? name.p : "", name.n);
	c.why = TAKE(why.p);
	int r = c.ns && c.name && c.why ? vec_push(&p->conflicts, c) : -ENOMEM;
	if (r) {
		free(c.ns);
		free(c.name);
		free(c.why);
	}
	return r;
}

int plan_take_remarks(struct step_plan *p, size_t edit, struct remarks *rs)
{
	int r = 0;
	p->errors += rs->errors;
	VEC_EACH (&rs->list, it)
		if (!r) {
			r = vec_push(&p->remarks, (struct plan_remark){.edit = edit, .remark = *it});
			if (!r)
				*it = (struct remark){0};
		}
	remarks_fini(rs);
	*rs = (struct remarks){0};
	return r;
}

int plan_error(struct step_plan *p, size_t edit, const char *hint, const char *fmt, ...)
{
	struct remarks rs = {0};
	AUTO_BUF text = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	remark_add(&rs, REMARK_ERROR, (struct pos){0}, hint, "%s", text.p ? text.p : "");
	return plan_take_remarks(p, edit, &rs);
}

int plan_refused(struct step_plan *p, size_t edit, const struct kind_desc *k, struct str ns, struct str name,
		 struct api_error *e)
{
	int r = 0;
	if (e->code == 409)
		r = plan_conflict(p, edit, k, ns, name, STR_FMT, STR_ARG(buf_str(&e->message)));
	else if (e->causes.errors)
		r = plan_take_remarks(p, edit, &e->causes);
	else
		r = plan_error(p, edit, NULL, STR_FMT, STR_ARG(buf_str(&e->message)));
	api_error_fini(e);
	*e = (struct api_error){0};
	return r;
}

struct plan_file *plan_file(struct step_plan *p, const char *path, const char **why)
{
	struct plan_file f = {.is = true};
	VEC_EACH (&p->files, have)
		if (!strcmp(have->path, path))
			return have;
	int r = files_read(path, decode_limits_sized(p->hub->opt.max_file).bytes, &f.was, &f.was_len);
	if (r == -ENOENT) {
		f.is = false;
		r = 0;
	}
	if (!r)
		buf_add(&f.now, f.was ? f.was : "", f.was_len);
	f.path = r ? NULL : strdup(path);
	if (!r && (!f.path || f.now.failed || vec_push(&p->files, f)))
		r = -ENOMEM;
	if (!r)
		return &p->files.items[p->files.len - 1];
	free(f.path);
	free(f.was);
	buf_fini(&f.now);
	*why = strerror(-r);
	return NULL;
}

int plan_object(struct step_plan *p, size_t edit, const struct object *was, const struct object *is,
		bool in_file, const struct object *key)
{
	struct plan_object o = {.kind = key->desc->kind,
				.was = object_ref(was),
				.is = object_ref(is),
				.in_file = in_file,
				.gone = !is,
				.edit = edit};
	o.ns = strndup(key->meta.ns.p ? key->meta.ns.p : "", key->meta.ns.n);
	o.name = strndup(key->meta.name.p ? key->meta.name.p : "", key->meta.name.n);
	int r = o.ns && o.name ? vec_push(&p->objects, o) : -ENOMEM;
	if (r)
		object_fini(&o);
	return r;
}

/* Runs the write without doing it, and keeps it where it can be done. Takes over `object`. */
static int plan_write(struct step_plan *p, size_t edit, enum api_verb verb, struct object *object,
		      const struct object *old)
{
	AUTO(own_object) struct object *held = object, *now = NULL;
	const struct object *key = old ? old : object;
	struct api_write w = {.verb = verb, .old = old, .grace = -1, .dry = true};
	struct plan_write keep = {.verb = verb, .edit = edit};
	struct api_error e = {0};
	snprintf(w.user, sizeof(w.user), "%s", p->user);
	w.who = p->who;
	int r = held ? object_clone(&w.object, held) : 0;
	if (!r && hub_api_ops.write(p->hub, &w, &now, &e)) {
		r = plan_refused(p, edit, key->desc, key->meta.ns, key->meta.name, &e);
		object_unref(&w.object);
		return r;
	}
	object_unref(&w.object);
	if (!r && now && old && object_same_file_part(now, old) && verb == API_UPDATE)
		return 0;
	keep.object = TAKE(held);
	keep.old = object_ref(old);
	if (!r)
		r = plan_object(p, edit, old, verb == API_DELETE ? NULL : now, false, key);
	if (!r)
		r = vec_push(&p->writes, keep);
	if (r) {
		object_unref(&keep.object);
		object_unref((struct object **)(uintptr_t)&keep.old);
	}
	return r;
}

static int change_in_file(struct step_plan *p, size_t edit, const struct object *old, struct object *asked)
{
	struct hub *h = p->hub;
	AUTO(own_object) struct object *held = asked, *wanted = NULL;
	const char *why = "";
	struct api_error e = {0};
	AUTO_BUF out = {0};
	int r = 0;
	if (!h->pen) {
		change_foreign(h, old, asked ? "change it" : "delete it", &e);
		return plan_refused(p, edit, old->desc, old->meta.ns, old->meta.name, &e);
	}
	if (asked) {
		r = object_clone(&wanted, asked);
		if (!r)
			change_keep_position(wanted, old);
		if (!r && change_prepare(h, wanted, old, &e))
			return plan_refused(p, edit, old->desc, old->meta.ns, old->meta.name, &e);
		if (!r && object_same_file_part(wanted, old))
			return 0;
	} else if (old->desc->kind == KIND_namespace && change_namespace_stays(h, old, &e)) {
		return plan_refused(p, edit, old->desc, old->meta.ns, old->meta.name, &e);
	}
	if (r)
		return r;
	struct plan_file *f = plan_file(p, old->pos.file->name, &why);
	if (!f)
		return plan_conflict(p, edit, old->desc, old->meta.ns, old->meta.name, "%s: %s",
				     old->pos.file->name, why);
	if (rewrite_text(h, old, asked, wanted, (struct str){f->now.p ? f->now.p : "", f->now.n}, &out, &e))
		return plan_refused(p, edit, old->desc, old->meta.ns, old->meta.name, &e);
	buf_fini(&f->now);
	f->now = out;
	out = (struct buf){0};
	f->secret |= step_kind_hides(old->desc->kind);
	f->edits++;
	return plan_object(p, edit, old, wanted, true, old);
}

int plan_change(struct step_plan *p, size_t edit, const struct object *old, struct object *asked)
{
	if (object_from_file(old))
		return change_in_file(p, edit, old, asked);
	return plan_write(p, edit, asked ? API_UPDATE : API_DELETE, asked, old);
}

int plan_create(struct step_plan *p, size_t edit, struct object *asked, const char *file, struct str yaml)
{
	struct hub *h = p->hub;
	if (!file)
		return plan_write(p, edit, API_CREATE, asked, NULL);
	AUTO(own_object) struct object *held = asked, *wanted = NULL, *now = NULL;
	const struct decode_limits limits = decode_limits_sized(h->opt.max_file);
	const char *why = "";
	struct api_error e = {0};
	struct edit_refusal no;
	AUTO_BUF out = {0};
	int r = object_clone(&wanted, held);
	if (r)
		return r;
	if (change_prepare(h, wanted, NULL, &e))
		return plan_refused(p, edit, held->desc, held->meta.ns, held->meta.name, &e);
	struct plan_file *f = plan_file(p, file, &why);
	if (!f)
		return plan_conflict(p, edit, held->desc, held->meta.ns, held->meta.name, "%s: %s", file,
				     why);
	const struct edit_ask ask = {
	    .text = {f->now.p ? f->now.p : "", f->now.n}, .path = file, .limits = &limits, .object = held};
	r = edit_add(&ask, yaml, &out, &now, &no);
	if (r == -EINVAL)
		return plan_conflict(p, edit, held->desc, held->meta.ns, held->meta.name,
				     "it cannot be written into %s: %s", file, no.why);
	if (r)
		return r;
	buf_fini(&f->now);
	f->now = out;
	out = (struct buf){0};
	f->is = true;
	f->secret |= step_kind_hides(held->desc->kind);
	f->edits++;
	return plan_object(p, edit, NULL, wanted, true, held);
}

bool plan_brings(const struct step_plan *p, struct str ns)
{
	if (p)
		VEC_EACH (&p->objects, o)
			if (o->kind == KIND_namespace && !o->gone && str_eqz(ns, o->name))
				return true;
	return false;
}

bool plan_removes(const struct step_plan *p, const struct object *o)
{
	if (p)
		VEC_EACH (&p->objects, it)
			if (it->gone && it->kind == o->desc->kind && str_eqz(o->meta.ns, it->ns) &&
			    str_eqz(o->meta.name, it->name))
				return true;
	return false;
}
