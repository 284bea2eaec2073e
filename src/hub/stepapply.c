/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A step into force: journal, files, objects, one commit. What fails takes everything back that was done;
 * what a kill cut off, the next start takes back by the journal. Called by stepapi.c and hub.c.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "hub/pen.h"
#include "hub/record.h"
#include "hub/stepplan.h"
#include "hub/userpart.h"
#include "source/files.h"
#include "source/linediff.h"

OWN_DEFINE(object, struct object, object_unref)
OWN_DEFINE(step, struct step, step_free)

static struct str text_was(const struct plan_file *f)
{
	return (struct str){f->was, f->was_len};
}

static struct str text_is(const struct plan_file *f)
{
	return f->is ? (struct str){f->now.p ? f->now.p : "", f->now.n} : (struct str){0};
}

static bool file_changes(const struct plan_file *f)
{
	struct str was = text_was(f), is = text_is(f);
	return !was.p != !is.p || !str_eq(was, is);
}

static int refuse_disk(struct hub *h, struct api_error *e)
{
	return api_fail(e, 500, "InternalError",
			"the hub cannot keep this step, nothing was changed: %s; free space on its disk",
			persist_error(h->persist));
}

/* What a Secret's file held must not be on disk a second time, so nothing could lead back from there. */
static int check_secrets(const struct step_plan *p, struct api_error *e)
{
	size_t changes = p->writes.len;
	bool secret = false;
	VEC_EACH (&p->files, f) {
		changes += f->edits;
		secret |= f->secret;
	}
	return secret && changes > 1
		   ? api_fail(e, 409, "Conflict",
			      "a Secret or a User that is in a file is changed in a step of its own: nothing "
			      "was changed")
		   : 0;
}

static int journal_file(struct step *st, const struct plan_file *f)
{
	struct step_file out = {.was = f->was, .is = f->is};
	AUTO_BUF diff = {0};
	out.path = strdup(f->path);
	step_sum(out.before, text_was(f));
	step_sum(out.after, text_is(f));
	int r = out.path ? linediff_print(&diff, f->path, text_was(f), text_is(f), 0) : -ENOMEM;
	out.diff = diff.p;
	out.diff_len = diff.n;
	diff = (struct buf){0};
	if (!r)
		r = vec_push(&st->files, out);
	if (r)
		step_file_fini(&out);
	return r;
}

/* On disk before the first file is touched. */
static int write_journal(struct hub *h, const struct step_plan *p, struct api_error *e)
{
	AUTO(own_step) struct step *st = NULL;
	size_t files = 0;
	int r = step_new(&st, STEP_PAGE, STR(""), STR(""), STR(""));
	VEC_EACH (&p->files, f)
		if (!r && file_changes(f) && !f->secret) {
			files++;
			r = journal_file(st, f);
		}
	if (r)
		return api_fail(e, 500, "InternalError", "out of memory");
	if (!files)
		return 0;
	persist_durable(h->persist, true);
	r = persist_begin(h->persist);
	if (!r)
		r = steplog_journal_clear(h->steplog);
	if (!r)
		r = steplog_journal(h->steplog, st);
	if (!r)
		r = persist_commit(h->persist);
	if (r) {
		refuse_disk(h, e);
		persist_rollback(h->persist);
	}
	persist_durable(h->persist, false);
	h->journal = !r;
	return r;
}

static int write_files(struct hub *h, const struct step_plan *p, size_t *done, struct api_error *e)
{
	for (; *done < p->files.len; ++*done) {
		const struct plan_file *f = &p->files.items[*done];
		const char *why = "";
		int r = file_changes(f) ? pen_write(h->pen, f->path, text_was(f), text_is(f), &why) : 0;
		if (r == -ESTALE || r == -EBUSY || r == -EPERM)
			return api_fail(e, 409, "Conflict", "nothing was changed, %s: %s", f->path, why);
		if (r && pen_lost(h->pen)) {
			h->journal =
			    false; /* it stays: the next start looks what was done, and takes it back */
			return api_fail(e, 500, "InternalError", "%s: %s; what was begun is taken back then",
					f->path, why);
		}
		if (r)
			return api_fail(e, 500, "InternalError", "nothing was changed, %s: %s", f->path, why);
		if (file_changes(f))
			log_info("%s: written for a change of %s", f->path, p->user);
	}
	return 0;
}

/* Files back to what they held. Who saved one meanwhile keeps his; he is told of. */
static void unwrite_files(struct hub *h, const struct step_plan *p, size_t done, struct api_error *e)
{
	while (done-- > 0) {
		const struct plan_file *f = &p->files.items[done];
		const char *why = "";
		if (!file_changes(f) || !pen_write(h->pen, f->path, text_is(f), text_was(f), &why))
			continue;
		log_error("%s: could not be put back: %s; the next start tries it again", f->path, why);
		h->journal = false; /* it stays for that */
		buf_printf(&e->message, "; but %s could not be put back: %s", f->path, why);
	}
}

/* The hub's part of what comes back from files. */
static int load(struct hub *h, const struct step_plan *p, struct api_error *e)
{
	struct {
		VEC(const struct object *) list;
	} asked = {0};
	int r = 0;
	if (!p->files.len)
		return 0;
	VEC_EACH (&p->objects, o)
		if (!r && o->in_file && o->is)
			r = vec_push(&asked.list, o->is);
	if (!r) {
		h->asked = asked.list.items;
		h->asked_len = asked.list.len;
		r = files_load(h, false);
		h->asked_len = 0;
	}
	vec_free(&asked.list);
	return r ? api_fail(e, 500, "InternalError", "nothing was changed: the files cannot be read: %s",
			    strerror(-r))
		 : 0;
}

static bool is_there(const struct object *o)
{
	return o && !o->meta.deletion_timestamp.n;
}

static bool says(const struct object *o, const char *want)
{
	AUTO_BUF b = {0};
	return !userpart_json(&b, o) && str_eqz(buf_str(&b), want);
}

/* The files gave what was wanted. */
static int check_loaded(struct hub *h, const struct step_plan *p, struct api_error *e)
{
	VEC_EACH (&p->objects, o) {
		const struct object *now = store_get(h->store, o->kind, str_of(o->ns), str_of(o->name));
		bool good = !o->in_file	     ? true
			    : o->gone	     ? !is_there(now) || !object_from_file(now)
			    : !is_there(now) ? false
			    : o->want	     ? says(now, o->want)
			    : o->is	     ? object_same_file_part(now, o->is)
					     : true;
		/* A pod's spec is for its life: it comes once the one before is gone. */
		if (good || (o->kind == KIND_pod && h->waiting_pods.list.len))
			continue;
		VEC_EACH (&h->remarks.list, r)
			if (r->level == REMARK_ERROR)
				return api_fail(
				    e, 409, "Conflict",
				    "nothing was changed: %s %s/%s would not come into force: %s:%u:%u: %s",
				    kind_table[o->kind].name, o->ns, o->name, r->file ? r->file->name : "",
				    r->line, r->col, r->text);
		return api_fail(e, 409, "Conflict",
				"nothing was changed: of %s %s/%s the file would not give what "
				"was asked for",
				kind_table[o->kind].name, o->ns, o->name);
	}
	return 0;
}

static int run_write(struct hub *h, const struct step_plan *p, const struct plan_write *pw,
		     struct api_error *e)
{
	AUTO(own_object) struct object *now = NULL, *old = NULL;
	struct api_write w = {.verb = pw->verb, .grace = -1};
	const struct object *key = pw->object ? pw->object : pw->old;
	snprintf(w.user, sizeof(w.user), "%s", p->user);
	w.who = p->who;
	if (pw->object && object_clone(&w.object, pw->object))
		return api_fail(e, 500, "InternalError", "out of memory");
	/* As it is now: a write before this one may have changed what the server says of it. */
	old = object_ref(store_get(h->store, key->desc->kind, key->meta.ns, key->meta.name));
	w.old = old;
	int r = 0;
	if (w.verb == API_CREATE && old && userpart_same(old, w.object))
		w.verb = API_UPDATE; /* a Namespace that came with what is in it */
	if (w.verb == API_DELETE && !old)
		r = 0;
	else
		r = hub_api_ops.write(h, &w, &now, e);
	object_unref(&w.object);
	return r;
}

/* What others need comes first and goes last. */
static int run_writes(struct hub *h, const struct step_plan *p, struct api_error *e)
{
	for (size_t k = 0; k < KIND_COUNT; k++)
		VEC_EACH (&p->writes, w)
			if (w->object && w->object->desc->kind == k && run_write(h, p, w, e))
				return -EINVAL;
	for (size_t k = KIND_COUNT; k-- > 0;)
		VEC_EACH (&p->writes, w)
			if (!w->object && w->old->desc->kind == k && run_write(h, p, w, e))
				return -EINVAL;
	return 0;
}

static void take_back(struct hub *h, const struct step_plan *p, size_t files, struct api_error *e)
{
	unwrite_files(h, p, files, e);
	if (files && files_load(h, false))
		log_error("files: what was put back cannot be read");
	if (record_revert(h->recorder))
		log_error("a change could not be taken back: out of memory");
}

int step_apply(struct step_plan *p, uint64_t *id, struct api_error *e)
{
	struct hub *h = p->hub;
	size_t files = 0;
	*id = 0;
	if (check_secrets(p, e))
		return -EINVAL;
	if (save_all(h))
		return refuse_disk(h, e);
	if (!p->objects.len)
		return 0;
	int r = write_journal(h, p, e);
	if (r)
		return -EINVAL;
	cluster_clock(h->cluster, clock_wall(), clock_ms());
	record_begin(h->recorder, STEP_PAGE, str_of(p->user), str_of(p->name), str_of(p->reason));
	h->stepping = true;
	r = write_files(h, p, &files, e);
	if (!r)
		r = load(h, p, e);
	if (!r)
		r = check_loaded(h, p, e);
	if (!r)
		r = run_writes(h, p, e);
	struct step *st = r ? NULL : record_step(h->recorder);
	if (st)
		st->undoes = p->undoes;
	*id = st ? st->id : 0;
	/* The one moment from which on it holds. */
	if (!r && save_all(h)) {
		refuse_disk(h, e);
		record_forget(h->recorder);
		*id = 0;
		r = -EINVAL;
	}
	if (r)
		take_back(h, p, files, e);
	record_close(h->recorder);
	h->stepping = false;
	return r ? -EINVAL : 0;
}

/* ---- after a kill ---- */

static int recover_file(void *ctx, const struct step_file *f)
{
	struct hub *h = ctx;
	AUTO_MEM char *text = NULL;
	AUTO_BUF was = {0};
	unsigned char sum[STEP_SUM];
	size_t len = 0;
	const char *why = "";
	if (h->pen)
		pen_tidy(h->pen, f->path);
	int r = files_read(f->path, decode_limits_sized(h->opt.max_file).bytes, &text, &len);
	if (r && r != -ENOENT) {
		log_error("%s: what an earlier run began there cannot be looked at: %s", f->path,
			  strerror(-r));
		return 0;
	}
	step_sum(sum, (struct str){text, len});
	bool there = !r;
	if (there == f->was && (!there || !memcmp(sum, f->before, STEP_SUM)))
		return 0; /* it was not begun, or is taken back already */
	if (there != f->is || (there && memcmp(sum, f->after, STEP_SUM))) {
		log_error(
		    "%s: an earlier run ended in the middle of a step; somebody saved the file since, so it "
		    "stays as it is",
		    f->path);
		return 0;
	}
	r = f->diff ? linediff_apply(&was, (struct str){f->diff, f->diff_len}, (struct str){text, len}, true)
		    : -EINVAL;
	step_sum(sum, buf_str(&was));
	if (r || (f->was && memcmp(sum, f->before, STEP_SUM)))
		log_error("%s: an earlier run ended in the middle of a step, and the way back is broken",
			  f->path);
	else if (!h->pen)
		log_error(
		    "%s: an earlier run ended in the middle of a step: start with --writable to take it back",
		    f->path);
	else if (pen_write(h->pen, f->path, there ? (struct str){text, len} : (struct str){0},
			   f->was ? (struct str){was.p ? was.p : "", was.n} : (struct str){0}, &why))
		log_error("%s: an earlier run ended in the middle of a step, which cannot be taken back: %s",
			  f->path, why);
	else
		log_warn("%s: put back: an earlier run ended in the middle of a step", f->path);
	return 0;
}

static int count_file(void *ctx, const struct step_file *f)
{
	(void)f;
	++*(size_t *)ctx;
	return 0;
}

void step_recover(struct hub *h)
{
	size_t n = 0;
	if (steplog_journal_each(h->steplog, count_file, &n) || !n)
		return;
	/* What the pen of the killed hub began, it ends first. */
	if (h->pen && pen_ready(h->pen))
		log_error("what writes files for the hub does not answer");
	steplog_journal_each(h->steplog, recover_file, h);
	h->journal = h->pen != NULL;
}
