/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a step to the plan of its way back: files to the byte where they hold what it left, else the objects
 * in them, each by the difference; nothing over what somebody changed since. Called by stepapi.c.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/own.h"
#include "hub/steplog.h"
#include "hub/stepplan.h"
#include "hub/userpart.h"
#include "serve/managed.h"
#include "source/linediff.h"

OWN_DEFINE(object, struct object, object_unref)
OWN_DEFINE(step, struct step, step_free)

static const struct object *find_now(const struct hub *h, const struct step_object *o)
{
	const struct object *now = store_get(h->store, o->kind, str_of(o->ns), str_of(o->name));
	return now && !now->meta.deletion_timestamp.n ? now : NULL;
}

static int conflict(struct step_plan *p, size_t i, const struct step_object *o, const char *why)
{
	return plan_conflict(p, i, &kind_table[o->kind], str_of(o->ns), str_of(o->name), "%s", why);
}

static int says(const struct object *now, const char *want, bool *same)
{
	AUTO_BUF b = {0};
	if (!now || !want) {
		*same = !now && !want;
		return 0;
	}
	int r = userpart_json(&b, now);
	*same = !r && str_eqz(buf_str(&b), want);
	return r;
}

/* Nobody changed it since; *done: it is already as it was before the step. */
static int check_object(struct step_plan *p, size_t i, const struct step *st, const struct step_object *o,
			bool *done)
{
	const struct object *now = find_now(p->hub, o);
	struct steplog_last last = {0};
	bool left = false;
	AUTO_BUF why = {0};
	char at[21];
	*done = false;
	int r = o->kept || o->made ? says(now, o->before, done) : 0;
	if (r || *done)
		return r;
	if (!o->kept && !o->made)
		return conflict(p, i, o,
				o->kind == KIND_secret ? "what a Secret held is never kept: set it anew"
						       : "it was too large: its content was not kept");
	r = o->kept ? says(now, o->after, &left) : 0;
	if (r || left)
		return r;
	r = steplog_later(p->hub->steplog, o->kind, str_of(o->ns), str_of(o->name), st->id, &last);
	if (r == -ENOENT)
		return !now && !o->gone ? conflict(p, i, o, "it is not there any more") : 0;
	if (r)
		return r;
	clock_rfc3339(last.at / 1000, at);
	buf_printf(&why, "it was changed since: %s%s, at %s (change %llu)",
		   last.origin == STEP_FILES ? "in its file on disk" : "by ",
		   last.origin == STEP_FILES ? "" : last.user, at, (unsigned long long)last.id);
	free(last.user);
	return why.p ? conflict(p, i, o, why.p) : -ENOMEM;
}

/* To the byte, where the file holds what the step left. *done: it will. */
static int undo_file(struct step_plan *p, const struct step_file *f, bool *done)
{
	unsigned char sum[STEP_SUM];
	const char *why = "";
	AUTO_BUF was = {0};
	*done = false;
	if (!f->diff || !p->hub->pen)
		return 0;
	struct plan_file *now = plan_file(p, f->path, &why);
	if (!now)
		return 0;
	step_sum(sum, (struct str){now->was, now->was_len});
	if (!now->was != !f->is || (f->is && memcmp(sum, f->after, STEP_SUM)))
		return 0;
	int r = linediff_apply(&was, (struct str){f->diff, f->diff_len}, (struct str){now->was, now->was_len},
			       true);
	step_sum(sum, buf_str(&was));
	if (r == -ENOMEM)
		return r;
	if (r || (f->was && memcmp(sum, f->before, STEP_SUM)))
		return 0;
	buf_fini(&now->now);
	now->now = was;
	was = (struct buf){0};
	now->is = f->was;
	now->edits++;
	*done = true;
	return 0;
}

static int decode(const char *json, struct object **out)
{
	struct remarks rs = {0};
	int r = decode_json_object(str_of(json), NULL, NULL, out, &rs);
	remarks_fini(&rs);
	return r == -ENOMEM ? r : *out ? 0 : -EINVAL;
}

/* What the server and clients note for themselves stays. */
static int keep_from(struct object *o, const struct object *now)
{
	static const char last[] = "kubectl.kubernetes.io/last-applied-configuration";
	struct writer who = {.name = "weft", .sub = ""};
	const struct str *was = now ? strmap_get(&now->meta.annotations, STR(last)) : NULL;
	int r = was ? strmap_set(&o->arena, &o->meta.annotations, STR(last), arena_str(&o->arena, *was)) : 0;
	return r ? r : managed_update(o, now, &who);
}

static int undo_object(struct step_plan *p, size_t i, const struct step_object *o)
{
	AUTO(own_object) struct object *was = NULL, *now = object_ref(find_now(p->hub, o));
	AUTO_BUF yaml = {0};
	if (o->made)
		return now ? plan_change(p, i, now, NULL) : 0;
	int r = decode(o->before, &was);
	if (r == -EINVAL)
		return conflict(p, i, o, "what was kept of it cannot be read any more");
	if (!r)
		r = keep_from(was, now);
	if (r)
		return r;
	if (now)
		return plan_change(p, i, now, TAKE(was));
	if (o->file && !p->hub->pen)
		return conflict(
		    p, i, o,
		    "it was in a file, and files are not written here: start the cluster with weft up "
		    "--writable");
	r = o->file ? userpart_yaml(&yaml, str_of(o->before), false) : 0;
	return r ? r : plan_create(p, i, TAKE(was), o->file, buf_str(&yaml));
}

/* An object that comes back with its file's bytes. */
static int undo_with_file(struct step_plan *p, size_t i, const struct step_object *o)
{
	AUTO(own_object) struct object *key = NULL;
	int r = object_new(&key, &kind_table[o->kind], str_of(o->ns), str_of(o->name));
	if (!r)
		r = plan_object(p, i, find_now(p->hub, o), NULL, true, key);
	if (r)
		return r;
	struct plan_object *po = &p->objects.items[p->objects.len - 1];
	po->gone = o->made;
	po->want = o->before ? strdup(o->before) : NULL;
	return o->before && !po->want ? -ENOMEM : 0;
}

static int undo_all(struct step_plan *p, const struct step *st)
{
	int r = 0;
	bool whole = st->files.len;
	VEC_EACH (&st->files, f) {
		bool done = false;
		if (!r)
			r = undo_file(p, f, &done);
		whole &= done;
	}
	/* One file that is another now: each object by itself, or a part would be undone twice. */
	if (!whole)
		VEC_EACH (&p->files, f) {
			buf_clear(&f->now);
			buf_add(&f->now, f->was ? f->was : "", f->was_len);
			f->is = f->was;
			f->edits = 0;
		}
	/* Namespaces come before what is in them, and go after it; else the last change goes first. */
	for (int turn = 0; turn < 3; turn++)
		for (size_t i = st->objects.len; i-- > 0 && !r;) {
			const struct step_object *o = &st->objects.items[i];
			bool done = false;
			if (turn != (o->kind != KIND_namespace ? 1 : o->made ? 2 : 0))
				continue;
			r = check_object(p, i, st, o, &done);
			if (r || done || p->conflicts.len)
				continue;
			r = whole && o->file ? undo_with_file(p, i, o) : undo_object(p, i, o);
		}
	return r;
}

int step_undo(struct step_plan *p, uint64_t id)
{
	AUTO(own_step) struct step *st = NULL;
	struct hub *h = p->hub;
	int r = steplog_get(h->steplog, id, &st);
	if (r)
		return r;
	uint64_t by = steplog_undone(h->steplog, id);
	p->undoes = id;
	if (!st->objects.len)
		return plan_error(p, 0, NULL, "its objects are of kinds that are not known here any more");
	if (by) {
		AUTO_BUF why = {0};
		buf_printf(&why, "it is undone already, by change %llu", (unsigned long long)by);
		return conflict(p, 0, &st->objects.items[0], why.p ? why.p : "");
	}
	if (st->more)
		return conflict(p, 0, &st->objects.items[0], "it was too large to be kept whole");
	p->hub->step = p;
	r = undo_all(p, st);
	p->hub->step = NULL;
	return r;
}
