/* SPDX-License-Identifier: Apache-2.0 */
/* See record.h: follows the store's events; contents are only looked at when the write is over. */
#include "hub/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/own.h"
#include "hub/cluster.h"
#include "hub/hub.h"
#include "hub/userpart.h"
#include "source/linediff.h"

struct seen {
	struct object *was, *now; /* references; NULL: it was not there, it is not there */
	uint64_t version;
};

struct recorder {
	struct store *store;
	struct steplog *log;
	struct audit *audit;
	struct subscription *sub;
	unsigned depth;
	struct step *open;
	bool failed; /* out of memory: what was seen is not all */
	bool recalls;
	VEC(struct seen) seen;
	struct hash by_key; /* "KIND/ns/name" → index in seen, plus 1 */
	VEC(struct source_file) files;
	VEC(struct step *) waiting;
};

static void note(void *ctx, const struct event *e)
{
	struct recorder *r = ctx;
	AUTO_BUF key = {0};
	if (!r->depth)
		return;
	buf_printf(&key, "%s/" STR_FMT "/" STR_FMT, e->object->desc->name, STR_ARG(e->object->meta.ns),
		   STR_ARG(e->object->meta.name));
	uintptr_t at = key.failed ? 0 : (uintptr_t)hash_get(&r->by_key, buf_str(&key));
	if (!at) {
		const struct object *was = e->type == EVENT_DELETED ? e->object : e->old;
		if (key.failed || vec_push(&r->seen, (struct seen){.was = NULL})) {
			r->failed = true;
			return;
		}
		at = r->seen.len;
		r->seen.items[at - 1].was = object_ref(e->type == EVENT_ADDED ? NULL : e->old ? e->old : was);
		if (hash_set(&r->by_key, buf_str(&key), (void *)at, NULL))
			r->failed = true;
	}
	struct seen *s = &r->seen.items[at - 1];
	object_unref(&s->now);
	s->now = e->type == EVENT_DELETED ? NULL : object_ref(e->object);
	s->version = e->version;
}

int recorder_new(struct recorder **out, struct store *s, struct steplog *l, struct audit *a)
{
	struct recorder *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->store = s;
	r->log = l;
	r->audit = a;
	int e = store_subscribe(s, note, r, &r->sub);
	if (e) {
		free(r);
		return e;
	}
	*out = r;
	return 0;
}

static void clear(struct recorder *r)
{
	VEC_EACH (&r->seen, s) {
		object_unref(&s->was);
		object_unref(&s->now);
	}
	vec_free(&r->seen);
	hash_fini(&r->by_key);
	VEC_EACH (&r->files, f) {
		file_unref(&f->was);
		file_unref(&f->now);
	}
	vec_free(&r->files);
	step_free(&r->open);
	r->failed = r->recalls = false;
}

void recorder_free(struct recorder **rp)
{
	struct recorder *r = TAKE(*rp);
	if (!r)
		return;
	store_unsubscribe(&r->sub);
	clear(r);
	VEC_EACH (&r->waiting, st)
		step_free(st);
	vec_free(&r->waiting);
	free(r);
}

void record_begin(struct recorder *r, enum step_origin origin, struct str user, struct str name,
		  struct str reason)
{
	if (r->depth++)
		return;
	clear(r);
	if (step_new(&r->open, origin, user, name, reason))
		r->failed = true;
}

void record_recalls(struct recorder *r)
{
	r->recalls = true;
}

void record_files(struct recorder *r, const struct source_changes *c)
{
	if (!r->depth)
		return;
	VEC_EACH (&c->files, f) {
		const char *path = f->now ? f->now->name : f->was->name;
		bool known = false;
		VEC_EACH (&r->files, have)
			if (!strcmp(have->now ? have->now->name : have->was->name, path)) {
				struct file *had = have->now;
				have->now = file_ref(f->now);
				have->secret |= f->secret;
				known = true;
				if (have->was || have->now) {
					file_unref(&had);
				} else { /* came and went; its name is still needed */
					have->was = had;
					have->now = file_ref(had);
				}
			}
		if (known)
			continue;
		if (vec_push(&r->files, *f)) {
			r->failed = true;
			continue;
		}
		file_ref(f->was);
		file_ref(f->now);
	}
}

bool record_passes_over(enum kind k)
{
	return k == KIND_capture || k == KIND_draft;
}

static bool lives(const struct object *o)
{
	return o && !o->meta.deletion_timestamp.n;
}

/* What a user may call his change: nothing that follows from other objects, no node's word on itself. */
static bool counts(const struct recorder *r, const struct seen *s)
{
	const struct object *was = lives(s->was) ? s->was : NULL, *now = lives(s->now) ? s->now : NULL;
	const struct object *any = now ? now : was;
	if (!any || record_passes_over(any->desc->kind) || object_controller(any))
		return false;
	if (any->desc->kind == KIND_node && r->open->origin == STEP_API)
		return false;
	if (r->recalls && any->desc->kind == KIND_secret && !was)
		return false;
	return !was || !now || !object_same_file_part(was, now);
}

static int text_of(char **out, const struct object *o, size_t *bytes)
{
	AUTO_BUF b = {0};
	int r = o ? userpart_json(&b, o) : 0;
	if (r || !o)
		return r;
	*bytes += b.n;
	*out = b.p;
	b = (struct buf){0};
	return 0;
}

static int add_object(struct recorder *r, struct step *st, const struct seen *s, size_t *bytes)
{
	const struct object *was = lives(s->was) ? s->was : NULL, *now = lives(s->now) ? s->now : NULL;
	const struct object *any = now ? now : was;
	struct step_object o = {.kind = any->desc->kind, .version = s->version, .made = !was, .gone = !now};
	if (st->objects.len >= STEP_OBJECTS_MAX) {
		st->more++;
		return 0;
	}
	o.ns = strndup(any->meta.ns.p ? any->meta.ns.p : "", any->meta.ns.n);
	o.name = strndup(any->meta.name.p, any->meta.name.n);
	o.file = object_from_file(any) ? strdup(any->pos.file->name) : NULL;
	o.kept = any->desc->kind != KIND_secret && *bytes < STEP_BYTES_MAX;
	int e = !o.ns || !o.name || (object_from_file(any) && !o.file) ? -ENOMEM : 0;
	if (!e && o.kept)
		e = text_of(&o.before, was, bytes);
	if (!e && o.kept)
		e = text_of(&o.after, now, bytes);
	bool same = o.before && o.after && !strcmp(o.before, o.after);
	if (!e && !same)
		e = vec_push(&st->objects, o);
	if (e || same)
		step_object_fini(&o);
	if (e)
		r->failed = true;
	return e;
}

static bool any_secret(const struct step *st)
{
	VEC_EACH (&st->objects, o)
		if (step_kind_hides(o->kind))
			return true;
	return false;
}

static int add_file(struct step *st, const struct source_file *f, size_t *bytes)
{
	struct str was = {f->was ? f->was->text : NULL, f->was ? f->was->len : 0};
	struct str now = {f->now ? f->now->text : NULL, f->now ? f->now->len : 0};
	struct step_file out = {.was = f->was, .is = f->now};
	AUTO_BUF diff = {0};
	if (!was.p == !now.p && str_eq(was, now))
		return 0;
	bool secret = f->secret || step_hides(was) || step_hides(now);
	/* Nobody knows which lines of a file that somebody saved are a Secret's. */
	bool keep = !secret || (st->origin != STEP_FILES && !any_secret(st));
	out.path = strdup(f->now ? f->now->name : f->was->name);
	step_sum(out.before, was);
	step_sum(out.after, now);
	int r = out.path ? 0 : -ENOMEM;
	if (!r && keep)
		r = linediff_print(&diff, out.path, was, now, secret ? 0 : 3);
	if (!r && keep && *bytes + diff.n <= STEP_BYTES_MAX && diff.p) {
		*bytes += diff.n;
		out.diff = diff.p;
		out.diff_len = diff.n;
		diff = (struct buf){0};
	}
	if (!r)
		r = vec_push(&st->files, out);
	if (r)
		step_file_fini(&out);
	return r;
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void wait_for_disk(struct recorder *r, struct step *st)
{
	if (r->waiting.len >= RECORD_WAITING_MAX) {
		step_free(&r->waiting.items[0]);
		vec_remove(&r->waiting, 0);
		steplog_lose(r->log);
	}
	if (vec_push(&r->waiting, st)) {
		steplog_lose(r->log);
		step_free(&st);
	}
}

struct step *record_step(struct recorder *r)
{
	size_t bytes = 0;
	struct step *st = r->open;
	VEC_EACH (&r->seen, s)
		if (st && counts(r, s))
			add_object(r, st, s, &bytes);
	bool any = st && st->objects.len;
	VEC_EACH (&r->files, f)
		if (any && add_file(st, f, &bytes))
			r->failed = true;
	if (r->failed) {
		log_error("a change is not in the history: out of memory");
		steplog_lose(r->log);
	}
	if (any && !r->failed) {
		st->id = steplog_next(r->log);
		st->at = now_ms();
		r->open = NULL;
		wait_for_disk(r, st);
	}
	return any && !r->failed && r->waiting.len ? r->waiting.items[r->waiting.len - 1] : NULL;
}

void record_close(struct recorder *r)
{
	if (r->depth && !--r->depth)
		clear(r);
}

void record_end(struct recorder *r)
{
	if (r->depth == 1)
		record_step(r);
	record_close(r);
}

int record_revert(struct recorder *r)
{
	int e = r->failed ? -ENOMEM : 0;
	/* The newest change goes first: what it needed is still there. What comes of it is noted, too. */
	for (size_t i = r->seen.len; i-- > 0;) {
		const struct seen *s = &r->seen.items[i];
		struct object *was = object_ref(s->was), *o = NULL;
		const struct object *any = s->was ? s->was : s->now;
		if (any && !was && s->now) {
			struct object *now = object_ref(s->now);
			store_delete(r->store, now->desc->kind, now->meta.ns, now->meta.name);
			object_unref(&now);
		} else if (was && s->now != was) {
			int one = object_clone(&o, was);
			if (!one)
				one = store_put(r->store, o, NULL);
			e = e ? e : one;
		}
		object_unref(&was);
	}
	VEC_EACH (&r->seen, s) {
		object_unref(&s->was);
		s->was = object_ref(s->now);
	}
	return e;
}

bool record_waits(const struct recorder *r)
{
	return r->waiting.len;
}

int record_flush(struct recorder *r)
{
	int e = 0;
	VEC_EACH (&r->waiting, st)
		if (!e)
			e = steplog_add(r->log, *st);
	return e;
}

static void tell(struct recorder *r, const struct step *st)
{
	enum { TOLD_MAX = 20 };
	AUTO_BUF what = {0};
	char id[24];
	/* Each write of the API has told of itself. */
	if (st->origin == STEP_API)
		return;
	snprintf(id, sizeof(id), "%llu", (unsigned long long)st->id);
	for (size_t i = 0; i < st->objects.len && i < TOLD_MAX; i++) {
		const struct step_object *o = &st->objects.items[i];
		buf_printf(&what, "%s%s %s %s%s%s", i ? ", " : "", step_verb(o), kind_table[o->kind].name,
			   o->ns, *o->ns ? "/" : "", o->name);
	}
	if (st->objects.len > TOLD_MAX)
		buf_printf(&what, ", and %zu more", st->objects.len - TOLD_MAX + st->more);
	const struct audit_line l = {.what = st->undoes ? "undo" : "change",
				     .user = str_of(st->origin == STEP_FILES ? "file on disk" : st->user),
				     .change = str_of(id),
				     .name = str_of(st->name),
				     .object = buf_str(&what),
				     .why = str_of(st->reason)};
	audit_write(r->audit, &l);
}

void record_flushed(struct recorder *r)
{
	VEC_EACH (&r->waiting, st) {
		tell(r, *st);
		step_free(st);
	}
	r->waiting.len = 0;
}

void record_forget(struct recorder *r)
{
	if (r->waiting.len)
		step_free(&r->waiting.items[--r->waiting.len]);
}
