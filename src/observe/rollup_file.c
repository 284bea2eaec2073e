/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The roll-ups' file: its tables, its room, its opening with what an earlier run knew, and its end. Writing
 * is in rollup_file_write.c, reading in rollup_file_read.c. SQLite with a write-ahead log and one connection.
 * See rollup_file.h.
 */
#include "observe/rollup_sql.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"

enum { FORMAT = 1, WAL_MOST = 4 << 20 };

#define X_COLUMN(member, name) #member " INTEGER NOT NULL,"
#define X_MARK(member, name)   ",?"

static int make_tables(struct rollup_file *f)
{
	char sql[2048];
	int r = rollup_sql_run(
	    f, "CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER) STRICT;"
	       "CREATE TABLE IF NOT EXISTS key(id INTEGER PRIMARY KEY, hour INTEGER, from_kind INTEGER,"
	       " to_kind INTEGER, port INTEGER, service_port INTEGER, reason INTEGER, proto INTEGER,"
	       " verdict INTEGER, kind INTEGER, cause INTEGER, rule_egress INTEGER,"
	       " rule_ingress INTEGER, from_ns TEXT, from_what_kind TEXT, from_what TEXT, to_ns TEXT,"
	       " to_what_kind TEXT, to_what TEXT, service_ns TEXT, service TEXT, node TEXT) STRICT;"
	       "CREATE TABLE IF NOT EXISTS open(node TEXT, id INTEGER, key INTEGER, epoch INTEGER,"
	       " bytes_there INTEGER, bytes_back INTEGER, packets_there INTEGER, packets_back INTEGER,"
	       " retransmits INTEGER, resets INTEGER, zero_windows INTEGER, handshake INTEGER,"
	       " PRIMARY KEY(node, id)) STRICT, WITHOUT ROWID;"
	       "CREATE TABLE IF NOT EXISTS node(name TEXT PRIMARY KEY, epoch INTEGER, next INTEGER,"
	       " lost INTEGER, since INTEGER, until INTEGER, epoch_since INTEGER) STRICT;"
	       "CREATE TABLE IF NOT EXISTS span(node TEXT, since INTEGER, until INTEGER,"
	       " PRIMARY KEY(node, since)) STRICT, WITHOUT ROWID;");

	for (int l = 0; l < ROLLUP_LEVELS && !r; l++) {
		snprintf(sql, sizeof(sql),
			 "CREATE TABLE IF NOT EXISTS %s(t INTEGER, key INTEGER," ROLLUP_SUMS(
			     X_COLUMN) " PRIMARY KEY(t, key)) STRICT, WITHOUT ROWID;",
			 rollup_tables[l]);
		r = rollup_sql_run(f, sql);
	}
	return r;
}

static int prepare_puts(struct rollup_file *f)
{
	static const char *const members[] = {
#define X(member, name) #member,
	    ROLLUP_SUMS(X)
#undef X
	};
	int r = 0;

	for (int l = 0; l < ROLLUP_LEVELS && !r; l++) {
		AUTO_BUF sql = {};

		buf_printf(&sql,
			   "INSERT INTO %s(t,key" ROLLUP_SUMS(X_NAME) ") VALUES(?,?" ROLLUP_SUMS(
			       X_MARK) ") ON CONFLICT DO UPDATE SET ",
			   rollup_tables[l]);
		for (int i = 0; i < ROLLUP_SUM_COUNT; i++)
			buf_printf(&sql,
				   i < ROLLUP_SUM_COUNT - ROLLUP_MAXES ? "%s%s=%s+excluded.%s"
								       : "%s%s=max(%s,excluded.%s)",
				   i ? "," : "", members[i], members[i], members[i]);
		r = sql.failed ? -ENOMEM : rollup_sql_prepare(f, sql.p, &f->put[l]);
	}
	return r;
}

static int prepare_all(struct rollup_file *f)
{
	int r = prepare_puts(f);

	if (!r)
		r = rollup_sql_prepare(
		    f, "INSERT INTO key VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", &f->key);
	if (!r)
		r = rollup_sql_prepare(f, "UPDATE key SET hour=max(hour,?) WHERE id=?", &f->hour);
	if (!r)
		r = rollup_sql_prepare(f, "INSERT OR REPLACE INTO open VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
				       &f->open);
	if (!r)
		r = rollup_sql_prepare(f, "DELETE FROM open WHERE node=? AND id=?", &f->over);
	if (!r)
		r = rollup_sql_prepare(f, "INSERT OR REPLACE INTO node VALUES(?,?,?,?,?,?,?)", &f->node);
	if (!r)
		r = rollup_sql_prepare(f, "INSERT OR REPLACE INTO span VALUES(?,?,?)", &f->span);
	if (!r)
		r = rollup_sql_prepare(f, "INSERT OR REPLACE INTO meta VALUES(?,?)", &f->set);
	return r;
}

static int64_t get(struct rollup_file *f, const char *name)
{
	char sql[96];

	snprintf(sql, sizeof(sql), "SELECT value FROM meta WHERE name='%s'", name);
	return rollup_sql_number(f, sql);
}

/* The write-ahead log has three eighths of the room, at most 4 MiB. */
static int set_room(struct rollup_file *f, uint64_t limit)
{
	uint64_t wal = limit * 3 / 8 < WAL_MOST ? limit * 3 / 8 : WAL_MOST;
	char sql[160];

	f->state.limit = limit;
	f->pages = (limit - wal) / PAGE;
	snprintf(sql, sizeof(sql),
		 "PRAGMA journal_size_limit=%" PRIu64
		 "; PRAGMA wal_autocheckpoint=128; PRAGMA max_page_count=%" PRIu64,
		 wal / 2, f->pages);
	return rollup_sql_run(f, sql);
}

static int open_db(struct rollup_file *f, uint64_t limit, int64_t now)
{
	int r = rollup_sql_tell(
	    f, sqlite3_open_v2(f->path, &f->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL));

	if (!r)
		r = rollup_sql_run(
		    f, "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL;"
		       "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
		       "PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-4096;");
	if (!r)
		r = set_room(f, limit);
	if (!r)
		r = make_tables(f);
	if (!r)
		r = prepare_all(f);
	if (!r && get(f, "format") != FORMAT) {
		r = get(f, "format") ? -EUCLEAN : rollup_sql_set(f, "format", FORMAT);
		if (!r)
			r = rollup_sql_set(f, "began", now);
	}
	if (!r) {
		f->state.began = get(f, "began");
		for (int l = 0; l < ROLLUP_LEVELS; l++)
			f->state.kept[l] = get(f, rollup_tables[l]);
		f->next_key = rollup_sql_number(f, "SELECT max(id) FROM key") + 1;
	}
	return r;
}

/* --- what it knows --------------------------------------------------------------------------------- */

static int load_open(struct rollup_file *f, struct rollup *r)
{
	sqlite3_stmt *s = NULL;
	int rc = SQLITE_DONE, res = rollup_sql_prepare(
				  f,
				  "SELECT " KEY_COLUMNS ",open.id,epoch,bytes_there,bytes_back,packets_there,"
				  "packets_back,retransmits,resets,zero_windows,handshake"
				  " FROM open JOIN key ON key.id=open.key",
				  &s);

	while (!res && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		int c = KEY_COLUMN_COUNT;
		struct rollup_key like;
		struct rollup_open o = {
		    .id = (uint64_t)sqlite3_column_int64(s, c),
		    .epoch = (uint32_t)sqlite3_column_int64(s, c + 1),
		    .bytes = {(uint64_t)sqlite3_column_int64(s, c + 2),
			      (uint64_t)sqlite3_column_int64(s, c + 3)},
		    .packets = {(uint64_t)sqlite3_column_int64(s, c + 4),
				(uint64_t)sqlite3_column_int64(s, c + 5)},
		    .retransmits = (uint32_t)sqlite3_column_int64(s, c + 6),
		    .resets = (uint32_t)sqlite3_column_int64(s, c + 7),
		    .zero_windows = (uint32_t)sqlite3_column_int64(s, c + 8),
		    .handshake = sqlite3_column_int(s, c + 9),
		};

		rollup_sql_key(s, &like);
		o.key = rollup_key_get(r, &like);
		if (!o.key) {
			res = -ENOMEM;
			break;
		}
		o.key->file_id = like.file_id;
		o.key->file_hour = like.file_hour;
		if (rollup_load_open(r, &o))
			o.key->refs--;
	}
	res = res ? res : rollup_sql_tell(f, rc);
	sqlite3_finalize(s);
	return res;
}

static int load_nodes(struct rollup_file *f, struct rollup *r)
{
	sqlite3_stmt *s = NULL;
	int rc = SQLITE_DONE,
	    res = rollup_sql_prepare(f, "SELECT name,epoch,next,lost,since,until,epoch_since FROM node", &s);

	while (!res && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		struct rollup_node n = {.name = (char *)(uintptr_t)sqlite3_column_text(s, 0),
					.epoch = (uint32_t)sqlite3_column_int64(s, 1),
					.next = (uint64_t)sqlite3_column_int64(s, 2),
					.lost = (uint64_t)sqlite3_column_int64(s, 3),
					.from = sqlite3_column_int64(s, 4),
					.to = sqlite3_column_int64(s, 5),
					.epoch_since = sqlite3_column_int64(s, 6)};

		if (n.name)
			res = rollup_load_node(r, &n);
	}
	res = res ? res : rollup_sql_tell(f, rc);
	sqlite3_finalize(s);
	return res;
}

static void put_aside(struct rollup_file *f)
{
	char to[512], wal[512];

	snprintf(to, sizeof(to), "%s.corrupt", f->path);
	snprintf(wal, sizeof(wal), "%s-wal", f->path);
	rename(f->path, to);
	unlink(wal);
}

static void close_db(struct rollup_file *f)
{
	sqlite3_stmt **all[] = {&f->key, &f->hour, &f->open, &f->over, &f->node, &f->span, &f->set};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		sqlite3_finalize(*all[i]);
		*all[i] = NULL;
	}
	for (int l = 0; l < ROLLUP_LEVELS; l++) {
		sqlite3_finalize(f->put[l]);
		f->put[l] = NULL;
	}
	sqlite3_close(f->db);
	f->db = NULL;
}

int rollup_file_open(struct rollup_file **out, const char *path, uint64_t limit, int64_t now, uint64_t mono,
		     struct rollup *r, bool *aside, struct buf *why)
{
	struct rollup_file *f = calloc(1, sizeof(*f));
	int res = -ENOMEM;

	*aside = false;
	if (!f || !(f->path = strdup(path)))
		goto out;
	limit = limit < ROLLUP_FILE_LEAST ? ROLLUP_FILE_LEAST : limit;
	res = open_db(f, limit, now);
	if (!res)
		res = load_nodes(f, r);
	if (!res)
		res = load_open(f, r);
	if (res == -EUCLEAN) {
		buf_addz(why, f->error);
		*aside = true;
		close_db(f);
		put_aside(f);
		res = open_db(f, limit, now);
	}
	if (!res && f->state.began == now)
		rollup_begins(r, mono);
	if (!res) {
		*out = f;
		return 0;
	}
	buf_clear(why);
	buf_addz(why, f->error[0] ? f->error : strerror(-res));
out:
	rollup_file_close(&f);
	return res;
}

void rollup_file_condemn(struct rollup_file *f)
{
	close_db(f);
	put_aside(f);
}

void rollup_file_close(struct rollup_file **pf)
{
	struct rollup_file *f = *pf;

	if (!f)
		return;
	close_db(f);
	vec_free(&f->new_keys);
	free(f->path);
	free(TAKE(*pf));
}

const char *rollup_file_error(const struct rollup_file *f)
{
	return f->error;
}

struct rollup_file_state rollup_file_state(const struct rollup_file *f)
{
	return f->state;
}
