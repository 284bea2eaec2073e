/* SPDX-License-Identifier: Apache-2.0 */
/* The history's tables, beside the objects' in one database. Judges nothing. See steplog.h. */
#include "hub/steplog.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "base/own.h"

enum {
	ADD,
	ADD_OBJECT,
	ADD_FILE,
	GET,
	GET_OBJECTS,
	GET_FILES,
	LIST,
	UNDONE,
	LAST,
	LATER,
	OLDEST,
	DROP,
	JOURNAL_ADD,
	JOURNAL_EACH,
	JOURNAL_CLEAR,
	STATEMENTS
};
static const char *const texts[STATEMENTS] = {
    [ADD] = "INSERT INTO step VALUES(?,?,?,?,?,?,?,?,?)",
    [ADD_OBJECT] = "INSERT INTO step_object VALUES(?,?,?,?,?,?,?,?,?,?)",
    [ADD_FILE] = "INSERT INTO step_file VALUES(?,?,?,?,?)",
    [GET] = "SELECT id,at,origin,user,name,reason,undoes,more FROM step WHERE id=?",
    [GET_OBJECTS] = "SELECT kind,namespace,name,verb,kept,before,after,file,version FROM step_object WHERE "
		    "step=?1 ORDER BY rowid",
    [GET_FILES] = "SELECT path,before,after,diff FROM step_file WHERE step=?1 ORDER BY rowid",
    [LIST] = "SELECT id,at,origin,user,name,reason,undoes,more FROM step WHERE id<? ORDER BY id DESC LIMIT ?",
    [UNDONE] = "SELECT id FROM step WHERE undoes=? ORDER BY id DESC",
    [LAST] = "SELECT s.id,s.at,s.origin,s.user FROM step_object o JOIN step s ON s.id=o.step"
	     " WHERE o.kind=? AND o.namespace=? AND o.name=? AND o.version>? ORDER BY s.id DESC LIMIT 1",
    [LATER] = "SELECT s.id,s.at,s.origin,s.user FROM step_object o JOIN step s ON s.id=o.step"
	      " WHERE o.kind=? AND o.namespace=? AND o.name=? AND o.step>? ORDER BY s.id DESC LIMIT 1",
    [OLDEST] =
	"SELECT id,bytes,(SELECT max(version) FROM step_object WHERE step=id) FROM step ORDER BY id LIMIT 1",
    [DROP] = "DELETE FROM step WHERE id=?",
    [JOURNAL_ADD] = "INSERT INTO journal VALUES(?,?,?,?)",
    [JOURNAL_EACH] = "SELECT path,before,after,diff FROM journal ORDER BY rowid",
    [JOURNAL_CLEAR] = "DELETE FROM journal",
};
static const char schema[] =
    "CREATE TABLE IF NOT EXISTS step(id INTEGER PRIMARY KEY, at INTEGER, origin INTEGER, user TEXT, name "
    "TEXT,"
    " reason TEXT, undoes INTEGER, more INTEGER, bytes INTEGER) STRICT;"
    "CREATE INDEX IF NOT EXISTS step_undoes ON step(undoes) WHERE undoes>0;"
    "CREATE TABLE IF NOT EXISTS step_object(step INTEGER, kind TEXT, namespace TEXT, name TEXT, verb INTEGER,"
    " kept INTEGER, before TEXT, after TEXT, file TEXT, version INTEGER) STRICT;"
    "CREATE INDEX IF NOT EXISTS step_object_step ON step_object(step);"
    "CREATE INDEX IF NOT EXISTS step_object_name ON step_object(kind, namespace, name, step);"
    "CREATE TABLE IF NOT EXISTS step_file(step INTEGER, path TEXT, before BLOB, after BLOB, diff TEXT) "
    "STRICT;"
    "CREATE INDEX IF NOT EXISTS step_file_step ON step_file(step);"
    "CREATE TABLE IF NOT EXISTS journal(path TEXT, before BLOB, after BLOB, diff TEXT) STRICT;"
    /* Append-only: what was kept is never another. */
    "CREATE TRIGGER IF NOT EXISTS step_stays BEFORE UPDATE ON step BEGIN SELECT RAISE(ABORT,'steps stay'); "
    "END;"
    "CREATE TRIGGER IF NOT EXISTS step_object_stays BEFORE UPDATE ON step_object BEGIN SELECT "
    "RAISE(ABORT,'steps stay'); END;"
    "CREATE TRIGGER IF NOT EXISTS step_file_stays BEFORE UPDATE ON step_file BEGIN SELECT RAISE(ABORT,'steps "
    "stay'); END;"
    "CREATE TRIGGER IF NOT EXISTS step_goes AFTER DELETE ON step BEGIN"
    " DELETE FROM step_object WHERE step=old.id; DELETE FROM step_file WHERE step=old.id; END;";

struct steplog {
	struct persist *persist;
	sqlite3_stmt *s[STATEMENTS];
	uint64_t next;
	uint64_t lost; /* a fact, too, once a step finds room */
};

int steplog_open(struct steplog **out, struct persist *p)
{
	struct steplog *l = calloc(1, sizeof(*l));
	int r = l ? 0 : -ENOMEM;
	if (!r) {
		l->persist = p;
		r = persist_run(p, schema);
	}
	for (size_t i = 0; i < STATEMENTS && !r; i++)
		r = persist_prepare(p, texts[i], &l->s[i]);
	if (r) {
		steplog_close(&l);
		return r;
	}
	l->next = persist_get(p, "steps-next");
	l->next = l->next ? l->next : 1;
	l->lost = persist_get(p, "steps-lost");
	*out = l;
	return 0;
}

void steplog_close(struct steplog **lp)
{
	struct steplog *l = TAKE(*lp);
	if (!l)
		return;
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(l->s[i]);
	free(l);
}

uint64_t steplog_next(struct steplog *l)
{
	return l->next++;
}

static void bind(sqlite3_stmt *s, int i, const char *text)
{
	sqlite3_bind_text(s, i, text, -1, SQLITE_STATIC);
}

static void bind_sum(sqlite3_stmt *s, int i, bool there, const unsigned char sum[STEP_SUM])
{
	if (there)
		sqlite3_bind_blob(s, i, sum, STEP_SUM, SQLITE_STATIC);
}

static int add_object(struct steplog *l, uint64_t id, const struct step_object *o, size_t *bytes)
{
	sqlite3_stmt *s = l->s[ADD_OBJECT];
	sqlite3_bind_int64(s, 1, (int64_t)id);
	bind(s, 2, kind_table[o->kind].name);
	bind(s, 3, o->ns);
	bind(s, 4, o->name);
	sqlite3_bind_int(s, 5, o->made ? 1 : o->gone ? 2 : 0);
	sqlite3_bind_int(s, 6, o->kept);
	bind(s, 7, o->before);
	bind(s, 8, o->after);
	bind(s, 9, o->file);
	sqlite3_bind_int64(s, 10, (int64_t)o->version);
	*bytes += 100 + (o->before ? strlen(o->before) : 0) + (o->after ? strlen(o->after) : 0);
	return persist_step(s);
}

static int add_file(sqlite3_stmt *s, int at, const struct step_file *f)
{
	bind(s, at, f->path);
	bind_sum(s, at + 1, f->was, f->before);
	bind_sum(s, at + 2, f->is, f->after);
	if (f->diff)
		sqlite3_bind_text(s, at + 3, f->diff, (int)f->diff_len, SQLITE_STATIC);
	return persist_step(s);
}

static int add_parts(struct steplog *l, const struct step *st, size_t *bytes)
{
	int r = 0;
	VEC_EACH (&st->objects, o)
		if (!r)
			r = add_object(l, st->id, o, bytes);
	VEC_EACH (&st->files, f) {
		*bytes += 200 + f->diff_len;
		sqlite3_bind_int64(l->s[ADD_FILE], 1, (int64_t)st->id);
		if (!r)
			r = add_file(l->s[ADD_FILE], 2, f);
	}
	return r;
}

/* The oldest step goes. */
static int drop_one(struct steplog *l)
{
	sqlite3_stmt *s = l->s[OLDEST];
	int r = sqlite3_step(s) == SQLITE_ROW ? 0 : -ENOENT;
	int64_t id = 0, bytes = 0, version = 0;
	if (!r) {
		id = sqlite3_column_int64(s, 0);
		bytes = sqlite3_column_int64(s, 1);
		version = sqlite3_column_int64(s, 2);
	}
	sqlite3_reset(s);
	if (r)
		return r;
	sqlite3_bind_int64(l->s[DROP], 1, id);
	r = persist_step(l->s[DROP]);
	if (!r)
		r = persist_set(l->persist, "steps-bytes",
				persist_get(l->persist, "steps-bytes") - (uint64_t)bytes);
	if (!r)
		r = persist_set(l->persist, "steps-kept", persist_get(l->persist, "steps-kept") - 1);
	if (!r)
		r = persist_set(l->persist, "steps-dropped", persist_get(l->persist, "steps-dropped") + 1);
	uint64_t floor = persist_get(l->persist, "steps-floor");
	if (!r && (uint64_t)version > floor)
		r = persist_set(l->persist, "steps-floor", (uint64_t)version);
	return r;
}

int steplog_add(struct steplog *l, const struct step *st)
{
	sqlite3_stmt *s = l->s[ADD];
	size_t bytes = 300 + strlen(st->name) + strlen(st->reason);
	int r = add_parts(l, st, &bytes);
	if (r)
		return r;
	sqlite3_bind_int64(s, 1, (int64_t)st->id);
	sqlite3_bind_int64(s, 2, st->at);
	sqlite3_bind_int(s, 3, (int)st->origin);
	bind(s, 4, st->user);
	bind(s, 5, st->name);
	bind(s, 6, st->reason);
	sqlite3_bind_int64(s, 7, (int64_t)st->undoes);
	sqlite3_bind_int64(s, 8, (int64_t)st->more);
	sqlite3_bind_int64(s, 9, (int64_t)bytes);
	r = persist_step(s);
	if (!r)
		r = persist_set(l->persist, "steps-next", l->next);
	if (!r && l->lost)
		r = persist_set(l->persist, "steps-lost", l->lost);
	if (!r)
		r = persist_set(l->persist, "steps-bytes", persist_get(l->persist, "steps-bytes") + bytes);
	if (!r)
		r = persist_set(l->persist, "steps-kept", persist_get(l->persist, "steps-kept") + 1);
	while (!r && (persist_get(l->persist, "steps-bytes") > STEPLOG_BYTES_MAX ||
		      persist_get(l->persist, "steps-kept") > STEPLOG_STEPS_MAX))
		r = drop_one(l);
	return r == -ENOENT ? 0 : r;
}

static char *column(sqlite3_stmt *s, int i)
{
	const char *text = (const char *)sqlite3_column_text(s, i);
	return text ? strndup(text, (size_t)sqlite3_column_bytes(s, i)) : NULL;
}

static struct str column_str(sqlite3_stmt *s, int i)
{
	return (struct str){(const char *)sqlite3_column_text(s, i), (size_t)sqlite3_column_bytes(s, i)};
}

static int read_step(sqlite3_stmt *s, struct step **out)
{
	struct step *st = NULL;
	int r = step_new(&st, (enum step_origin)sqlite3_column_int(s, 2), column_str(s, 3), column_str(s, 4),
			 column_str(s, 5));
	if (r)
		return r;
	st->id = (uint64_t)sqlite3_column_int64(s, 0);
	st->at = sqlite3_column_int64(s, 1);
	st->undoes = (uint64_t)sqlite3_column_int64(s, 6);
	st->more = (size_t)sqlite3_column_int64(s, 7);
	*out = st;
	return 0;
}

static int read_objects(struct steplog *l, struct step *st, bool contents)
{
	sqlite3_stmt *s = l->s[GET_OBJECTS];
	int r = 0;
	sqlite3_bind_int64(s, 1, (int64_t)st->id);
	while (!r && sqlite3_step(s) == SQLITE_ROW) {
		struct step_object o = {.made = sqlite3_column_int(s, 3) == 1,
					.gone = sqlite3_column_int(s, 3) == 2,
					.kept = sqlite3_column_int(s, 4),
					.version = (uint64_t)sqlite3_column_int64(s, 8)};
		const struct kind_desc *k = kind_by_name(column_str(s, 0));
		if (!k) /* of a version that knew more kinds */
			continue;
		o.kind = k->kind;
		o.ns = column(s, 1);
		o.name = column(s, 2);
		o.before = contents ? column(s, 5) : NULL;
		o.after = contents ? column(s, 6) : NULL;
		o.file = column(s, 7);
		r = o.ns && o.name ? vec_push(&st->objects, o) : -ENOMEM;
		if (r)
			step_object_fini(&o);
	}
	sqlite3_reset(s);
	return r;
}

static int read_file(sqlite3_stmt *s, bool contents, struct step_file *f)
{
	*f = (struct step_file){.path = column(s, 0)};
	f->was = sqlite3_column_bytes(s, 1) == STEP_SUM;
	if (f->was)
		memcpy(f->before, sqlite3_column_blob(s, 1), STEP_SUM);
	f->is = sqlite3_column_bytes(s, 2) == STEP_SUM;
	if (f->is)
		memcpy(f->after, sqlite3_column_blob(s, 2), STEP_SUM);
	if (contents && sqlite3_column_type(s, 3) != SQLITE_NULL) {
		f->diff_len = (size_t)sqlite3_column_bytes(s, 3);
		f->diff = malloc(f->diff_len + 1);
		if (f->diff) {
			memcpy(f->diff, sqlite3_column_text(s, 3), f->diff_len);
			f->diff[f->diff_len] = 0;
		}
	}
	return f->path ? 0 : -ENOMEM;
}

static int read_files(struct steplog *l, struct step *st, bool contents)
{
	sqlite3_stmt *s = l->s[GET_FILES];
	int r = 0;
	sqlite3_bind_int64(s, 1, (int64_t)st->id);
	while (!r && sqlite3_step(s) == SQLITE_ROW) {
		struct step_file f;
		r = read_file(s, contents, &f);
		if (!r)
			r = vec_push(&st->files, f);
		if (r)
			step_file_fini(&f);
	}
	sqlite3_reset(s);
	return r;
}

int steplog_get(struct steplog *l, uint64_t id, struct step **out)
{
	sqlite3_stmt *s = l->s[GET];
	struct step *st = NULL;
	sqlite3_bind_int64(s, 1, (int64_t)id);
	int r = sqlite3_step(s) == SQLITE_ROW ? read_step(s, &st) : -ENOENT;
	sqlite3_reset(s);
	if (!r)
		r = read_objects(l, st, true);
	if (!r)
		r = read_files(l, st, true);
	if (r)
		step_free(&st);
	else
		*out = st;
	return r;
}

int steplog_list(struct steplog *l, uint64_t before, size_t limit, int (*fn)(void *ctx, struct step *s),
		 void *ctx)
{
	sqlite3_stmt *s = l->s[LIST];
	int r = 0;
	sqlite3_bind_int64(s, 1, before ? (int64_t)before : INT64_MAX);
	sqlite3_bind_int64(s, 2, (int64_t)limit);
	while (!r && sqlite3_step(s) == SQLITE_ROW) {
		struct step *st = NULL;
		r = read_step(s, &st);
		if (!r)
			r = read_objects(l, st, false);
		if (!r)
			r = read_files(l, st, false);
		if (!r)
			r = fn(ctx, st);
		else
			step_free(&st);
	}
	sqlite3_reset(s);
	return r;
}

uint64_t steplog_undone(struct steplog *l, uint64_t id)
{
	/* What undoes a step comes after it: numbers only grow, so this ends. */
	sqlite3_stmt *s = NULL;
	uint64_t by = 0, newest = 0;
	if (persist_prepare(l->persist, texts[UNDONE], &s))
		return 0;
	sqlite3_bind_int64(s, 1, (int64_t)id);
	while (!by && sqlite3_step(s) == SQLITE_ROW) {
		newest = (uint64_t)sqlite3_column_int64(s, 0);
		by = newest > id && !steplog_undone(l, newest) ? newest : 0;
	}
	sqlite3_finalize(s);
	return by;
}

static int find_last(struct steplog *l, int which, enum kind k, struct str ns, struct str name,
		     uint64_t after, struct steplog_last *out)
{
	sqlite3_stmt *s = l->s[which];
	bind(s, 1, kind_table[k].name);
	sqlite3_bind_text(s, 2, ns.p ? ns.p : "", (int)ns.n, SQLITE_STATIC);
	sqlite3_bind_text(s, 3, name.p ? name.p : "", (int)name.n, SQLITE_STATIC);
	sqlite3_bind_int64(s, 4, (int64_t)after);
	int r = sqlite3_step(s) == SQLITE_ROW ? 0 : -ENOENT;
	if (!r) {
		*out = (struct steplog_last){.id = (uint64_t)sqlite3_column_int64(s, 0),
					     .at = sqlite3_column_int64(s, 1),
					     .origin = (enum step_origin)sqlite3_column_int(s, 2),
					     .user = column(s, 3)};
		r = out->user ? 0 : -ENOMEM;
	}
	sqlite3_reset(s);
	return r;
}

int steplog_last(struct steplog *l, enum kind k, struct str ns, struct str name, uint64_t version,
		 struct steplog_last *out)
{
	int r = find_last(l, LAST, k, ns, name, version, out);
	return r == -ENOENT && version < persist_get(l->persist, "steps-floor") ? -ESTALE : r;
}

int steplog_later(struct steplog *l, enum kind k, struct str ns, struct str name, uint64_t step,
		  struct steplog_last *out)
{
	return find_last(l, LATER, k, ns, name, step, out);
}

struct steplog_sizes steplog_sizes(struct steplog *l)
{
	return (struct steplog_sizes){.steps = persist_get(l->persist, "steps-kept"),
				      .bytes = persist_get(l->persist, "steps-bytes"),
				      .dropped = persist_get(l->persist, "steps-dropped"),
				      .lost = l->lost};
}

void steplog_lose(struct steplog *l)
{
	l->lost++;
}

int steplog_journal(struct steplog *l, const struct step *s)
{
	int r = 0;
	VEC_EACH (&s->files, f)
		if (!r)
			r = add_file(l->s[JOURNAL_ADD], 1, f);
	return r;
}

int steplog_journal_each(struct steplog *l, int (*fn)(void *ctx, const struct step_file *f), void *ctx)
{
	sqlite3_stmt *s = l->s[JOURNAL_EACH];
	int r = 0;
	while (!r && sqlite3_step(s) == SQLITE_ROW) {
		struct step_file f;
		r = read_file(s, true, &f);
		if (!r)
			r = fn(ctx, &f);
		step_file_fini(&f);
	}
	sqlite3_reset(s);
	return r;
}

int steplog_journal_clear(struct steplog *l)
{
	return persist_step(l->s[JOURNAL_CLEAR]);
}
