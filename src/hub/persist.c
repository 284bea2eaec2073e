/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite under the hub: write-ahead log, one connection, prepared statements. Judges nothing. See persist.h.
 */
#include "hub/persist.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "base/log.h"
#include "object/decode.h"

struct persist {
	sqlite3 *db;
	sqlite3_stmt *put, *del, *set, *get;
};

static int code_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return -EINVAL;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	default:
		return -EIO;
	}
}

int persist_run(struct persist *p, const char *sql)
{
	return code_of(sqlite3_exec(p->db, sql, NULL, NULL, NULL));
}

void persist_durable(struct persist *p, bool on)
{
	persist_run(p, on ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
}

int persist_prepare(struct persist *p, const char *sql, sqlite3_stmt **out)
{
	return code_of(sqlite3_prepare_v3(p->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL));
}

int persist_open(struct persist **out, const char *path)
{
	struct persist *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	int r = code_of(sqlite3_open_v2(path, &p->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL));
	if (!r)
		r = code_of(sqlite3_exec(
		    p->db,
		    "PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
		    "PRAGMA journal_size_limit=4194304; PRAGMA temp_store=MEMORY;"
		    "CREATE TABLE IF NOT EXISTS fact(name TEXT PRIMARY KEY, value INTEGER) STRICT;"
		    "CREATE TABLE IF NOT EXISTS object(kind TEXT, namespace TEXT, name TEXT, version INTEGER,"
		    " json BLOB, PRIMARY KEY(kind, namespace, name)) STRICT;"
		    /* Nothing is in a new file that a power cut could lose: only what follows is synced. */
		    "PRAGMA synchronous=NORMAL;",
		    NULL, NULL, NULL));
	if (!r)
		r = persist_prepare(p, "INSERT OR REPLACE INTO object VALUES(?,?,?,?,?)", &p->put);
	if (!r)
		r = persist_prepare(p, "DELETE FROM object WHERE kind=? AND namespace=? AND name=?", &p->del);
	if (!r)
		r = persist_prepare(p, "INSERT OR REPLACE INTO fact VALUES(?,?)", &p->set);
	if (!r)
		r = persist_prepare(p, "SELECT value FROM fact WHERE name=?", &p->get);
	if (r) {
		log_error("%s: %s", path, p->db ? sqlite3_errmsg(p->db) : "out of memory");
		persist_close(&p);
		return r;
	}
	*out = p;
	return 0;
}

void persist_close(struct persist **pp)
{
	struct persist *p = *pp;
	*pp = NULL;
	if (!p)
		return;
	sqlite3_finalize(p->put);
	sqlite3_finalize(p->del);
	sqlite3_finalize(p->set);
	sqlite3_finalize(p->get);
	sqlite3_close(p->db);
	free(p);
}

const char *persist_error(const struct persist *p)
{
	return sqlite3_errmsg(p->db);
}

int persist_begin(struct persist *p)
{
	return code_of(sqlite3_exec(p->db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
}

int persist_commit(struct persist *p)
{
	return code_of(sqlite3_exec(p->db, "COMMIT", NULL, NULL, NULL));
}

void persist_rollback(struct persist *p)
{
	if (!sqlite3_get_autocommit(p->db))
		sqlite3_exec(p->db, "ROLLBACK", NULL, NULL, NULL);
}

int persist_step(sqlite3_stmt *s)
{
	int r = code_of(sqlite3_step(s));
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return r;
}

static void bind_text(sqlite3_stmt *s, int i, struct str text)
{
	sqlite3_bind_text(s, i, text.p ? text.p : "", (int)text.n, SQLITE_STATIC);
}

int persist_put(struct persist *p, const struct object *o, uint64_t version)
{
	AUTO_BUF json = {0};
	if (o->desc->kind == KIND_secret)
		return 0;
	object_print_json(&json, o, PRINT_POSITIONS);
	if (json.failed || json.n > INT32_MAX)
		return -ENOMEM;
	bind_text(p->put, 1, str_of(o->desc->name));
	bind_text(p->put, 2, o->meta.ns);
	bind_text(p->put, 3, o->meta.name);
	sqlite3_bind_int64(p->put, 4, (int64_t)version);
	sqlite3_bind_blob(p->put, 5, json.p, (int)json.n, SQLITE_STATIC);
	return persist_step(p->put);
}

int persist_delete(struct persist *p, enum kind k, struct str ns, struct str name)
{
	bind_text(p->del, 1, str_of(kind_table[k].name));
	bind_text(p->del, 2, ns);
	bind_text(p->del, 3, name);
	return persist_step(p->del);
}

int persist_set(struct persist *p, const char *fact, uint64_t value)
{
	bind_text(p->set, 1, str_of(fact));
	sqlite3_bind_int64(p->set, 2, (int64_t)value);
	return persist_step(p->set);
}

uint64_t persist_get(struct persist *p, const char *fact)
{
	uint64_t v = 0;
	bind_text(p->get, 1, str_of(fact));
	if (sqlite3_step(p->get) == SQLITE_ROW)
		v = (uint64_t)sqlite3_column_int64(p->get, 0);
	sqlite3_reset(p->get);
	return v;
}

int persist_load(struct persist *p, int (*fn)(void *ctx, struct object *o, uint64_t version), void *ctx,
		 struct remarks *rs)
{
	sqlite3_stmt *s = NULL;
	int r = persist_prepare(p, "SELECT json, version FROM object ORDER BY version", &s), rc = SQLITE_DONE;
	while (!r && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		struct object *o = NULL;
		struct str json = {sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0)};
		if (!decode_json_object(json, NULL, NULL, &o, rs) && o)
			r = fn(ctx, o, (uint64_t)sqlite3_column_int64(s, 1));
	}
	if (!r)
		r = code_of(rc);
	sqlite3_finalize(s);
	return r;
}
