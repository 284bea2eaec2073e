/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source "dir": keeps what each manifest file last gave, and tells what changed. A file or object that
 * fails keeps its last good version in force. Never writes to the folder. Called by the hub, by `weft plan`
 * and by tests.
 */
#include "source/dir.h"

#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/own.h"
#include "source/files.h"

/* Younger than this a file may change again without its times showing it. */
enum { SETTLE_NS = 20 * 1000 * 1000 };

struct entry {
	struct object *object; /* owned */
	bool kept;	       /* from an earlier version of the file */
};

struct manifest {
	char *path;
	struct stamp stamp;
	bool present;	   /* in this scan */
	bool fresh;	   /* read in this scan */
	struct file *file; /* as it was read last; NULL: it could not be */
	VEC(struct entry) entries;
};

struct source_dir {
	char **paths;
	size_t n;
	struct decode_limits limits;
	int watch;		    /* inotify */
	VEC(struct manifest *) all; /* sorted by how files_find() named them: the order of loading */
	struct hash by_path;
	struct hash in_force; /* "kind ns/name" → struct object, owned */
	struct hash skipped;
};

void source_changes_fini(struct source_changes *c)
{
	VEC_EACH (&c->list, ch)
		object_unref(&ch->object);
	vec_free(&c->list);
	VEC_EACH (&c->files, f) {
		file_unref(&f->was);
		file_unref(&f->now);
	}
	vec_free(&c->files);
}

static void entries_free(struct manifest *m)
{
	VEC_EACH (&m->entries, e)
		object_unref(&e->object);
	vec_free(&m->entries);
}

static void manifest_free(struct manifest *m)
{
	entries_free(m);
	file_unref(&m->file);
	free(m->path);
	free(m);
}

void source_dir_free(struct source_dir **sp)
{
	struct source_dir *s = TAKE(*sp);
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		free(s->paths[i]);
	free(s->paths);
	VEC_EACH (&s->all, m)
		manifest_free(*m);
	vec_free(&s->all);
	HASH_EACH (&s->in_force, slot) {
		struct object *o = slot->value;
		object_unref(&o);
	}
	hash_fini(&s->in_force);
	hash_fini(&s->by_path);
	hash_fini(&s->skipped);
	own_fd(&s->watch);
	free(s);
}

static int copy_paths(struct source_dir *s, const char *const *paths, size_t n)
{
	s->paths = calloc(n ? n : 1, sizeof(*s->paths));
	if (!s->paths)
		return -ENOMEM;
	for (; s->n < n; s->n++) {
		s->paths[s->n] = strdup(paths[s->n]);
		if (!s->paths[s->n])
			return -ENOMEM;
	}
	return 0;
}

int source_dir_new(struct source_dir **out, const char *const *paths, size_t n,
		   const struct decode_limits *limits, struct remarks *rs)
{
	struct source_dir *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->limits = limits ? *limits : decode_limits_default;
	s->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	int r = copy_paths(s, paths, n);
	for (size_t i = 0; i < n && !r; i++) {
		struct stat st;
		struct found_list none = {0};
		if (stat(paths[i], &st)) /* files_find() words the remark */
			r = files_find(paths[i], -1, &none, rs);
		found_fini(&none);
	}
	if (r) {
		source_dir_free(&s);
		return r;
	}
	*out = s;
	return 0;
}

int source_dir_fd(struct source_dir *s)
{
	return s->watch;
}

void source_dir_drain(struct source_dir *s)
{
	_Alignas(struct inotify_event) char events[4096];
	while (s->watch >= 0 && read(s->watch, events, sizeof(events)) > 0)
		;
}

static int key_of(struct buf *key, const struct object *o)
{
	buf_clear(key);
	buf_printf(key, "%d " STR_FMT "/" STR_FMT, (int)o->desc->kind, STR_ARG(o->meta.ns),
		   STR_ARG(o->meta.name));
	return key->failed ? -ENOMEM : 0;
}

const struct object *source_dir_find(struct source_dir *s, enum kind k, struct str ns, struct str name)
{
	AUTO_BUF key = {0};
	buf_printf(&key, "%d " STR_FMT "/" STR_FMT, (int)k, STR_ARG(ns), STR_ARG(name));
	return key.failed ? NULL : hash_get(&s->in_force, buf_str(&key));
}

/* What a decoder run on one file gathers. */
struct reading {
	struct manifest *into;
	struct remarks *rs;
};

static int take_object(void *ctx, struct object *o)
{
	struct reading *rd = ctx;
	int r = 0;
	if (object_validate(o, rd->rs)) {
		r = object_default(o);
		if (!r)
			r = vec_push(&rd->into->entries, (struct entry){.object = o});
		if (!r)
			return 0;
	}
	object_unref(&o);
	return r;
}

static void remark_on_file(struct remarks *rs, enum remark_level level, const char *path, const char *hint,
			   const char *what)
{
	struct file *f = NULL;
	if (!file_new(&f, path, NULL, 0))
		remark_add(rs, level, (struct pos){.file = f}, hint, "%s", what);
	file_unref(&f);
}

static int read_objects(struct source_dir *s, struct manifest *m, struct remarks *rs)
{
	AUTO_MEM char *text = NULL;
	size_t len = 0;
	int r = files_read(m->path, s->limits.bytes, &text, &len);
	if (r == -EFBIG) {
		AUTO_BUF what = {0};
		buf_printf(&what, "larger than the limit of %zu MiB", s->limits.bytes >> 20);
		remark_on_file(rs, REMARK_ERROR, m->path, "split the file, or raise the limit (--max-file)",
			       what.p ? what.p : "too large");
		return 0;
	}
	if (r && r != -ENOMEM) {
		remark_on_file(rs, REMARK_ERROR, m->path,
			       r == -EACCES ? "give the user who runs weft the right to read it" : NULL,
			       strerror(-r));
		return 0;
	}
	struct file *file = NULL;
	if (!r)
		r = file_new(&file, m->path, text, len);
	if (r)
		return r;
	struct reading rd = {.into = m, .rs = rs};
	struct decoder_options opt = {
	    .limits = &s->limits, .sink = take_object, .ctx = &rd, .remarks = rs, .skipped = &s->skipped};
	r = str_ends(str_of(m->path), STR(".json")) ? decode_json(file, &opt) : decode_yaml(file, &opt);
	m->file = file;
	return r == -EINVAL ? 0 : r;
}

static void remark_kept(struct remarks *rs, const struct manifest *m)
{
	AUTO_BUF what = {0};
	size_t n = 0;
	VEC_EACH (&m->entries, e)
		n += e->kept;
	buf_printf(&what, "%zu object%s of this file stay%s in force as before", n, n == 1 ? "" : "s",
		   n == 1 ? "s" : "");
	if (n && what.p)
		remark_on_file(rs, REMARK_HINT, m->path, NULL, what.p);
}

/* Objects of the earlier version that the new one did not give, as it has errors. */
static int keep_last_good(struct manifest *m, struct manifest *before)
{
	AUTO_BUF key = {0};
	struct hash given = {0};
	int r = 0;
	VEC_EACH (&m->entries, e) {
		if (!r)
			r = key_of(&key, e->object);
		if (!r)
			r = hash_set(&given, buf_str(&key), e->object, NULL);
	}
	VEC_EACH (&before->entries, e) {
		if (!r)
			r = key_of(&key, e->object);
		if (r || hash_get(&given, buf_str(&key)))
			continue;
		r = vec_push(&m->entries, (struct entry){.object = e->object, .kept = true});
		if (!r)
			object_ref(e->object);
	}
	hash_fini(&given);
	return r;
}

static bool has_secret(const struct manifest *m)
{
	VEC_EACH (&m->entries, e)
		if (e->object->desc->kind == KIND_secret)
			return true;
	return false;
}

static int tell_file(struct source_changes *out, const struct manifest *was, const struct manifest *now)
{
	struct source_file f = {.was = was->file,
				.now = now ? now->file : NULL,
				.secret = has_secret(was) || (now && has_secret(now))};
	int r = !f.was && !f.now ? 0 : vec_push(&out->files, f);
	if (!r && (f.was || f.now)) {
		file_ref(f.was);
		file_ref(f.now);
	}
	return r;
}

static int reread(struct source_dir *s, struct manifest *m, struct source_changes *out, struct remarks *rs)
{
	struct manifest next = {.path = m->path};
	size_t errors = rs->errors;
	int r = read_objects(s, &next, rs);
	if (!r && rs->errors > errors)
		r = keep_last_good(&next, m);
	if (!r)
		r = tell_file(out, m, &next);
	if (r) {
		entries_free(&next);
		file_unref(&next.file);
		return r;
	}
	remark_kept(rs, &next);
	entries_free(m);
	file_unref(&m->file);
	m->file = next.file;
	m->entries.items = next.entries.items;
	m->entries.len = next.entries.len;
	m->entries.cap = next.entries.cap;
	m->fresh = true;
	return 0;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec &&
	       a->ctime.tv_sec == b->ctime.tv_sec && a->ctime.tv_nsec == b->ctime.tv_nsec;
}

static bool settled(const struct stamp *st)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t age =
	    (int64_t)(now.tv_sec - st->ctime.tv_sec) * 1000000000 + (now.tv_nsec - st->ctime.tv_nsec);
	return age > SETTLE_NS || age < 0;
}

static int look_at(struct source_dir *s, struct found *f, struct source_changes *out, struct remarks *rs)
{
	struct manifest *m = hash_get(&s->by_path, str_of(f->path));
	if (m && m->present)
		return 0; /* named twice */
	if (m && same_stamp(&m->stamp, &f->stamp)) {
		m->present = true;
		return vec_push(&s->all, m);
	}
	if (!m) {
		m = calloc(1, sizeof(*m));
		int r = m ? hash_set(&s->by_path, str_of(f->path), m, NULL) : -ENOMEM;
		if (r) {
			free(m);
			return r;
		}
		m->path = TAKE(f->path);
	}
	m->present = true;
	int r = vec_push(&s->all, m);
	if (!r)
		r = reread(s, m, out, rs);
	if (r)
		return r;
	m->stamp = settled(&f->stamp) ? f->stamp : (struct stamp){0};
	return 0;
}

static bool below(const char *path, const char *root)
{
	size_t n = strlen(root);
	return !strncmp(path, root, n) && (!path[n] || path[n] == '/' || (n && root[n - 1] == '/'));
}

/* Brings s->all up to date. A named path that is gone is an error and keeps what it gave. */
static int look(struct source_dir *s, struct source_changes *out, struct remarks *rs)
{
	s->all.len = 0;
	HASH_EACH (&s->by_path, slot) {
		struct manifest *m = slot->value;
		m->present = m->fresh = false;
	}
	int r = 0;
	for (size_t i = 0; i < s->n && !r; i++) {
		struct found_list found = {0};
		r = files_find(s->paths[i], s->watch, &found, rs);
		bool gone = r == -ENOENT;
		if (gone)
			r = 0;
		VEC_EACH (&found.list, f)
			if (!r)
				r = look_at(s, f, out, rs);
		found_fini(&found);
		HASH_EACH (&s->by_path, slot) {
			struct manifest *m = slot->value;
			if (r || !gone || m->present || !below(m->path, s->paths[i]))
				continue;
			m->present = true;
			r = vec_push(&s->all, m);
		}
	}
	return r;
}

/* Forgets manifests that are no longer there. */
static int forget(struct source_dir *s, struct source_changes *out)
{
	struct {
		VEC(struct manifest *) list;
	} gone = {0};
	int r = 0;
	HASH_EACH (&s->by_path, slot) {
		struct manifest *m = slot->value;
		if (!r && !m->present)
			r = vec_push(&gone.list, m);
	}
	VEC_EACH (&gone.list, m) {
		if (!r)
			r = tell_file(out, *m, NULL);
		hash_del(&s->by_path, str_of((*m)->path));
		manifest_free(*m);
	}
	vec_free(&gone.list);
	return r;
}

static void remark_twice(struct remarks *rs, const struct object *first, const struct object *again)
{
	AUTO_BUF where = {0};
	pos_print(&where, object_pos(first, &first->meta.name));
	struct str key = object_key(again);
	remark_add(rs, REMARK_ERROR, object_pos(again, &again->meta.name), "rename or remove one of them",
		   "%s " STR_FMT " is given twice; the first is in force, at %s", again->desc->name,
		   STR_ARG(key), where.p ? where.p : "?");
}

/* Where an object that is to be in force comes from. */
struct wanted {
	struct object *object; /* borrowed from its manifest */
	const struct manifest *from;
	bool kept;
};

struct selection {
	VEC(struct wanted) list; /* in load order */
	struct hash by_key;	 /* key → index in list + 1 */
};

static int select_entries(struct source_dir *s, struct selection *sel, bool kept, struct remarks *rs)
{
	AUTO_BUF key = {0};
	VEC_EACH (&s->all, mp) {
		VEC_EACH (&(*mp)->entries, e) {
			if (e->kept != kept)
				continue;
			int r = key_of(&key, e->object);
			if (r)
				return r;
			uintptr_t at = (uintptr_t)hash_get(&sel->by_key, buf_str(&key));
			if (at) {
				const struct wanted *w = &sel->list.items[at - 1];
				if (!kept && ((*mp)->fresh || w->from->fresh))
					remark_twice(rs, w->object, e->object);
				continue;
			}
			r = vec_push(&sel->list,
				     (struct wanted){.object = e->object, .from = *mp, .kept = kept});
			if (!r)
				r = hash_set(&sel->by_key, buf_str(&key), (void *)sel->list.len, NULL);
			if (r)
				return r;
		}
	}
	return 0;
}

/* Equal in content and in positions, so that later remarks name the right line. */
static bool same_object(const struct object *a, const struct object *b)
{
	if (a == b)
		return true;
	AUTO_BUF ta = {0}, tb = {0};
	object_print_json(&ta, a, PRINT_POSITIONS);
	object_print_json(&tb, b, PRINT_POSITIONS);
	return !ta.failed && !tb.failed && str_eq(buf_str(&ta), buf_str(&tb));
}

static int change(struct source_changes *out, enum source_op op, struct object *o)
{
	int r = vec_push(&out->list, (struct source_change){.op = op, .object = o});
	if (!r)
		object_ref(o);
	return r;
}

static int emit_puts(struct source_dir *s, struct selection *sel, struct source_changes *out)
{
	AUTO_BUF key = {0};
	for (size_t k = 0; k < KIND_COUNT; k++) {
		VEC_EACH (&sel->list, w) {
			if (w->object->desc->kind != k)
				continue;
			int r = key_of(&key, w->object);
			struct object *had = r ? NULL : hash_get(&s->in_force, buf_str(&key));
			if (!r && had && same_object(had, w->object))
				continue;
			if (!r)
				r = hash_set(&s->in_force, buf_str(&key), w->object, NULL);
			if (r)
				return r;
			object_ref(w->object);
			object_unref(&had);
			r = change(out, SOURCE_PUT, w->object);
			if (r)
				return r;
		}
	}
	return 0;
}

static int by_load_order_reversed(const void *pa, const void *pb)
{
	struct object *const *a = pa, *const *b = pb;
	if ((*a)->desc->kind != (*b)->desc->kind)
		return (*a)->desc->kind > (*b)->desc->kind ? -1 : 1;
	int c = str_cmp((*a)->meta.ns, (*b)->meta.ns);
	return c ? c : str_cmp((*a)->meta.name, (*b)->meta.name);
}

static int emit_deletes(struct source_dir *s, struct selection *sel, struct source_changes *out)
{
	AUTO_BUF key = {0};
	struct {
		VEC(struct object *) list;
	} gone = {0};
	int r = 0;
	HASH_EACH (&s->in_force, slot)
		if (!r && !hash_get(&sel->by_key, slot->key))
			r = vec_push(&gone.list, slot->value);
	if (gone.list.len > 1)
		qsort(gone.list.items, gone.list.len, sizeof(*gone.list.items), by_load_order_reversed);
	VEC_EACH (&gone.list, op) {
		struct object *o = *op;
		if (!r)
			r = key_of(&key, o);
		if (!r)
			r = change(out, SOURCE_DELETE, o);
		if (!r) {
			hash_del(&s->in_force, buf_str(&key));
			object_unref(&o);
		}
	}
	vec_free(&gone.list);
	return r;
}

static int by_slot_key(const void *pa, const void *pb)
{
	const struct hash_slot *const *a = pa, *const *b = pb;
	return str_cmp((*a)->key, (*b)->key);
}

/* One hint for all objects whose kinds we do not know: "3 Ingress (networking.k8s.io/v1), 1 …". */
static void summarise_skipped(struct source_dir *s, struct remarks *rs)
{
	size_t n = 0, total = 0;
	const struct hash_slot **sorted = calloc(s->skipped.len + 1, sizeof(struct hash_slot *));
	AUTO_BUF text = {0};
	HASH_EACH (&s->skipped, slot)
		if (sorted)
			sorted[n++] = slot;
	if (n > 1)
		qsort(sorted, n, sizeof(sorted[0]), by_slot_key);
	for (size_t i = 0; i < n; i++) {
		struct str kind = sorted[i]->key, version = str_cut(&kind, ' ');
		total += (uintptr_t)sorted[i]->value;
		if (i < 12)
			buf_printf(&text, "%s%zu " STR_FMT " (" STR_FMT ")", i ? ", " : "",
				   (size_t)(uintptr_t)sorted[i]->value, STR_ARG(kind), STR_ARG(version));
		else if (i == 12)
			buf_addz(&text, ", …");
	}
	if (n)
		remark_add(rs, REMARK_HINT, (struct pos){0}, NULL,
			   "skipped %zu object%s of kinds that are not known here: %s", total,
			   total == 1 ? "" : "s", text.p ? text.p : "");
	free(sorted);
	hash_fini(&s->skipped);
}

int source_dir_scan(struct source_dir *s, struct source_changes *out, struct remarks *rs)
{
	size_t errors = rs->errors;
	struct selection sel = {0};
	int r = look(s, out, rs);
	if (!r)
		r = select_entries(s, &sel, false, rs);
	if (!r)
		r = select_entries(s, &sel, true, rs);
	if (!r)
		r = emit_puts(s, &sel, out);
	if (!r)
		r = emit_deletes(s, &sel, out);
	summarise_skipped(s, rs);
	if (!r)
		r = forget(s, out);
	vec_free(&sel.list);
	hash_fini(&sel.by_key);
	return r ? r : rs->errors > errors ? -EINVAL : 0;
}
