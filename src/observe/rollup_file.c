/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite under the roll-ups: write-ahead log, one connection, a batch a transaction. See rollup_file.h. */
#include "observe/rollup_file.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/own.h"

enum { FORMAT = 1, PAGE = 4096, WAL_MOST = 4 << 20, ROOM_TRIES = 256 };

static const char *const tables[ROLLUP_LEVELS] = {"second", "minute", "hour"};
/* How much of each level makes room at once, in seconds. */
static const int64_t chunks[ROLLUP_LEVELS] = {10, 600, 21600};

struct rollup_file {
	sqlite3 *db;
	sqlite3_stmt *put[ROLLUP_LEVELS], *key, *hour, *open, *over, *node, *span, *set;
	struct rollup_file_state state;
	int64_t next_key;
	uint64_t pages; /* the most that it may have */
	char *path;
	VEC(struct rollup_key *) new_keys; /* of the transaction under way */
	char error[160];
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
		return -EUCLEAN;
	default:
		return -EIO;
	}
}

static int tell(struct rollup_file *f, int rc)
{
	int r = code_of(rc);

	if (r)
		snprintf(f->error, sizeof(f->error), "%s", sqlite3_errmsg(f->db));
	return r;
}

static int run(struct rollup_file *f, const char *sql)
{
	return tell(f, sqlite3_exec(f->db, sql, NULL, NULL, NULL));
}

static int prepare(struct rollup_file *f, const char *sql, sqlite3_stmt **out)
{
	return tell(f, sqlite3_prepare_v3(f->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL));
}

static int step(struct rollup_file *f, sqlite3_stmt *s)
{
	int r = tell(f, sqlite3_step(s));

	sqlite3_reset(s);
	return r;
}

static int64_t number(struct rollup_file *f, const char *sql)
{
	sqlite3_stmt *s = NULL;
	int64_t n = 0;

	if (!tell(f, sqlite3_prepare_v2(f->db, sql, -1, &s, NULL)) && sqlite3_step(s) == SQLITE_ROW)
		n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

/* --- making it ------------------------------------------------------------------------------------- */

#define X_COLUMN(member, name) #member " INTEGER NOT NULL,"
#define X_NAME(member, name)   "," #member
#define X_MARK(member, name)   ",?"

static int make_tables(struct rollup_file *f)
{
	char sql[2048];
	int r =
	    run(f, "CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER) STRICT;"
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
			 tables[l]);
		r = run(f, sql);
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
			   tables[l]);
		for (int i = 0; i < ROLLUP_SUM_COUNT; i++)
			buf_printf(&sql,
				   i < ROLLUP_SUM_COUNT - ROLLUP_MAXES ? "%s%s=%s+excluded.%s"
								       : "%s%s=max(%s,excluded.%s)",
				   i ? "," : "", members[i], members[i], members[i]);
		r = sql.failed ? -ENOMEM : prepare(f, sql.p, &f->put[l]);
	}
	return r;
}

static int prepare_all(struct rollup_file *f)
{
	int r = prepare_puts(f);

	if (!r)
		r = prepare(f, "INSERT INTO key VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
			    &f->key);
	if (!r)
		r = prepare(f, "UPDATE key SET hour=max(hour,?) WHERE id=?", &f->hour);
	if (!r)
		r = prepare(f, "INSERT OR REPLACE INTO open VALUES(?,?,?,?,?,?,?,?,?,?,?,?)", &f->open);
	if (!r)
		r = prepare(f, "DELETE FROM open WHERE node=? AND id=?", &f->over);
	if (!r)
		r = prepare(f, "INSERT OR REPLACE INTO node VALUES(?,?,?,?,?,?,?)", &f->node);
	if (!r)
		r = prepare(f, "INSERT OR REPLACE INTO span VALUES(?,?,?)", &f->span);
	if (!r)
		r = prepare(f, "INSERT OR REPLACE INTO meta VALUES(?,?)", &f->set);
	return r;
}

static int set(struct rollup_file *f, const char *name, int64_t value)
{
	sqlite3_bind_text(f->set, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(f->set, 2, value);
	return step(f, f->set);
}

static int64_t get(struct rollup_file *f, const char *name)
{
	char sql[96];

	snprintf(sql, sizeof(sql), "SELECT value FROM meta WHERE name='%s'", name);
	return number(f, sql);
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
	return run(f, sql);
}

static int open_db(struct rollup_file *f, uint64_t limit, int64_t now)
{
	int r = tell(f, sqlite3_open_v2(f->path, &f->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL));

	if (!r)
		r = run(f, "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL;"
			   "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
			   "PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-4096;");
	if (!r)
		r = set_room(f, limit);
	if (!r)
		r = make_tables(f);
	if (!r)
		r = prepare_all(f);
	if (!r && get(f, "format") != FORMAT) {
		r = get(f, "format") ? -EUCLEAN : set(f, "format", FORMAT);
		if (!r)
			r = set(f, "began", now);
	}
	if (!r) {
		f->state.began = get(f, "began");
		for (int l = 0; l < ROLLUP_LEVELS; l++)
			f->state.kept[l] = get(f, tables[l]);
		f->next_key = number(f, "SELECT max(id) FROM key") + 1;
	}
	return r;
}

/* --- what it knows --------------------------------------------------------------------------------- */

static struct str text_at(sqlite3_stmt *s, int i)
{
	const char *p = (const char *)sqlite3_column_text(s, i);

	return (struct str){p ? p : "", (size_t)sqlite3_column_bytes(s, i)};
}

#define KEY_COLUMNS                                                                                          \
	"key.id,key.hour,from_kind,to_kind,port,service_port,reason,proto,verdict,kind,cause,rule_egress,"   \
	"rule_ingress,from_ns,from_what_kind,from_what,to_ns,to_what_kind,to_what,service_ns,service,"       \
	"key.node"
enum { KEY_COLUMN_COUNT = 22 };

/* Texts are valid until the next step. */
static void key_at(sqlite3_stmt *s, struct rollup_key *k)
{
	*k = (struct rollup_key){
	    .file_id = sqlite3_column_int64(s, 0),
	    .file_hour = sqlite3_column_int64(s, 1),
	    .from = {(enum identity_kind)sqlite3_column_int(s, 2), text_at(s, 13), text_at(s, 14),
		     text_at(s, 15)},
	    .to = {(enum identity_kind)sqlite3_column_int(s, 3), text_at(s, 16), text_at(s, 17),
		   text_at(s, 18)},
	    .port = (uint16_t)sqlite3_column_int(s, 4),
	    .service_port = (uint16_t)sqlite3_column_int(s, 5),
	    .reason = (uint16_t)sqlite3_column_int(s, 6),
	    .proto = (uint8_t)sqlite3_column_int(s, 7),
	    .verdict = (uint8_t)sqlite3_column_int(s, 8),
	    .kind = (uint8_t)sqlite3_column_int(s, 9),
	    .cause = (uint32_t)sqlite3_column_int64(s, 10),
	    .rule_egress = (uint32_t)sqlite3_column_int64(s, 11),
	    .rule_ingress = (uint32_t)sqlite3_column_int64(s, 12),
	    .service_ns = text_at(s, 19),
	    .service = text_at(s, 20),
	    .node = text_at(s, 21),
	};
}

static int load_open(struct rollup_file *f, struct rollup *r)
{
	sqlite3_stmt *s = NULL;
	int rc = SQLITE_DONE,
	    res = prepare(f,
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

		key_at(s, &like);
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
	res = res ? res : tell(f, rc);
	sqlite3_finalize(s);
	return res;
}

static int load_nodes(struct rollup_file *f, struct rollup *r)
{
	sqlite3_stmt *s = NULL;
	int rc = SQLITE_DONE,
	    res = prepare(f, "SELECT name,epoch,next,lost,since,until,epoch_since FROM node", &s);

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
	res = res ? res : tell(f, rc);
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

/* --- writing --------------------------------------------------------------------------------------- */

static void bind(sqlite3_stmt *s, int i, struct str t)
{
	sqlite3_bind_text(s, i, t.p ? t.p : "", (int)t.n, SQLITE_STATIC);
}

static int put_key(struct rollup_file *f, struct rollup_key *k, int64_t hour)
{
	const struct str texts[] = {k->from.ns, k->from.what_kind, k->from.what, k->to.ns, k->to.what_kind,
				    k->to.what, k->service_ns,	   k->service,	 k->node};
	const int64_t numbers[] = {f->next_key,	    hour,	    k->from.kind,   k->to.kind, k->port,
				   k->service_port, k->reason,	    k->proto,	    k->verdict, k->kind,
				   k->cause,	    k->rule_egress, k->rule_ingress};
	int r;

	if (vec_reserve(&f->new_keys, f->new_keys.len + 1))
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		sqlite3_bind_int64(f->key, (int)i + 1, numbers[i]);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		bind(f->key, (int)(ARRAY_LEN(numbers) + i) + 1, texts[i]);
	r = step(f, f->key);
	if (r)
		return r;
	k->file_id = f->next_key++;
	k->file_hour = hour;
	f->new_keys.items[f->new_keys.len++] = k;
	return 0;
}

static int use_key(struct rollup_file *f, struct rollup_key *k, int64_t t)
{
	int64_t hour = t - t % rollup_span[ROLLUP_HOUR];
	int r;

	if (!k->file_id)
		return put_key(f, k, hour);
	if (hour <= k->file_hour)
		return 0;
	sqlite3_bind_int64(f->hour, 1, hour);
	sqlite3_bind_int64(f->hour, 2, k->file_id);
	r = step(f, f->hour);
	if (!r)
		k->file_hour = hour;
	return r;
}

static int put_cell(struct rollup_file *f, const struct rollup_cell *c)
{
	sqlite3_stmt *s = f->put[c->level];
	int r = use_key(f, c->key, c->t);

	if (r)
		return r;
	sqlite3_bind_int64(s, 1, c->t);
	sqlite3_bind_int64(s, 2, c->key->file_id);
	for (int i = 0; i < ROLLUP_SUM_COUNT; i++)
		sqlite3_bind_int64(s, 3 + i, (int64_t)c->v[i]);
	return step(f, s);
}

static int put_open(struct rollup_file *f, const struct rollup_open *o)
{
	int r = use_key(f, o->key, 0);
	const int64_t numbers[] = {(int64_t)o->id,	   o->key->file_id,	 o->epoch,
				   (int64_t)o->bytes[0],   (int64_t)o->bytes[1], (int64_t)o->packets[0],
				   (int64_t)o->packets[1], o->retransmits,	 o->resets,
				   o->zero_windows,	   o->handshake};

	if (r)
		return r;
	bind(f->open, 1, o->node);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		sqlite3_bind_int64(f->open, (int)i + 2, numbers[i]);
	return step(f, f->open);
}

static int put_node(struct rollup_file *f, const struct rollup_node *n)
{
	const int64_t numbers[] = {n->epoch, (int64_t)n->next, (int64_t)n->lost, n->from,
				   n->to,    n->epoch_since};
	int r;

	bind(f->node, 1, str_of(n->name));
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		sqlite3_bind_int64(f->node, (int)i + 2, numbers[i]);
	r = step(f, f->node);
	if (r)
		return r;
	bind(f->span, 1, str_of(n->name));
	sqlite3_bind_int64(f->span, 2, n->from);
	sqlite3_bind_int64(f->span, 3, n->to);
	return step(f, f->span);
}

/* Pages that hold something. */
static uint64_t used(struct rollup_file *f)
{
	return (uint64_t)(number(f, "PRAGMA page_count") - number(f, "PRAGMA freelist_count"));
}

/* The oldest of a level goes. 1: the level is empty. */
static int drop_oldest(struct rollup_file *f, enum rollup_level level, uint64_t *gone)
{
	char sql[160];
	int64_t oldest, before;
	int r;

	snprintf(sql, sizeof(sql), "SELECT ifnull(min(t),-1) FROM %s", tables[level]);
	oldest = number(f, sql);
	if (oldest < 0)
		return 1;
	before = oldest - oldest % chunks[level] + chunks[level];
	snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE t<%" PRId64, tables[level], before);
	r = run(f, sql);
	*gone += (uint64_t)sqlite3_changes(f->db);
	if (!r && before > f->state.kept[level])
		r = set(f, tables[level], before);
	if (!r && level == ROLLUP_HOUR) {
		snprintf(sql, sizeof(sql),
			 "DELETE FROM key WHERE hour<%" PRId64 " AND id NOT IN (SELECT key FROM open);"
			 "DELETE FROM span WHERE until<%" PRId64 "000000000",
			 before, before);
		r = run(f, sql);
	}
	if (!r)
		f->state.kept[level] = before > f->state.kept[level] ? before : f->state.kept[level];
	return r;
}

static void roll_back(struct rollup_file *f)
{
	if (f->db && !sqlite3_get_autocommit(f->db))
		sqlite3_exec(f->db, "ROLLBACK", NULL, NULL, NULL);
}

/* A transaction of its own, so that the log stays short. 1: the level is empty. */
static int make_some_room(struct rollup_file *f, enum rollup_level level)
{
	struct rollup_file_state before = f->state;
	int r = run(f, "BEGIN IMMEDIATE");

	if (!r)
		r = drop_oldest(f, level, &f->state.gone[level]);
	if (r >= 0 && run(f, "COMMIT"))
		r = -EIO;
	if (r < 0) {
		roll_back(f);
		f->state = before;
	}
	return r;
}

/* A fifth of the file is kept free for the next batch. */
static int make_room(struct rollup_file *f)
{
	uint64_t most = f->pages - f->pages / 5;
	int level = ROLLUP_SECOND, r = 0;

	for (int i = 0; i < ROOM_TRIES && level < ROLLUP_LEVELS && r >= 0 && used(f) > most; i++) {
		r = make_some_room(f, (enum rollup_level)level);
		level += r == 1;
	}
	if (r >= 0 && (uint64_t)number(f, "PRAGMA page_count") > f->pages)
		r = run(f, "PRAGMA incremental_vacuum(256)");
	return r < 0 ? r : 0;
}

static int write_all(struct rollup_file *f, const struct rollup_batch *b)
{
	int r = 0;

	for (size_t i = 0; i < b->cells.len && !r; i++)
		r = put_cell(f, &b->cells.items[i]);
	for (size_t i = 0; i < b->open.len && !r; i++)
		r = put_open(f, &b->open.items[i]);
	for (size_t i = 0; i < b->over.len && !r; i++) {
		bind(f->over, 1, b->over.items[i].node);
		sqlite3_bind_int64(f->over, 2, (int64_t)b->over.items[i].id);
		r = step(f, f->over);
	}
	for (size_t i = 0; i < b->nodes.len && !r; i++)
		r = put_node(f, &b->nodes.items[i]);
	return r;
}

int rollup_file_write(struct rollup_file *f, const struct rollup_batch *b)
{
	int64_t next_key = f->next_key;
	int r = f->db ? make_room(f) : -EIO;

	f->new_keys.len = 0;
	if (!r)
		r = run(f, "BEGIN IMMEDIATE");
	if (!r)
		r = write_all(f, b);
	if (!r)
		r = run(f, "COMMIT");
	if (!r) {
		f->state.bytes = (uint64_t)number(f, "PRAGMA page_count") * PAGE;
		return 0;
	}
	roll_back(f);
	f->next_key = next_key;
	VEC_EACH (&f->new_keys, k)
		(*k)->file_id = (*k)->file_hour = 0;
	/* What the file was told of keys' hours may be undone, too. */
	VEC_EACH (&b->cells, c)
		(*c).key->file_hour = 0;
	return r;
}

/* --- reading --------------------------------------------------------------------------------------- */

struct tags {
	VEC(void *) by_id; /* NULL: not wanted */
	int64_t first;
};

static int read_keys(struct rollup_file *f, const struct rollup_query *q, struct tags *tags)
{
	sqlite3_stmt *s = NULL;
	int rc = SQLITE_DONE, r = prepare(f, "SELECT " KEY_COLUMNS " FROM key ORDER BY id", &s);

	while (!r && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		struct rollup_key k;
		void *tag = NULL;

		key_at(s, &k);
		if (!tags->by_id.len)
			tags->first = k.file_id;
		if (!q->want(q->ctx, &k, &tag))
			tag = NULL;
		while (!r && (int64_t)tags->by_id.len < k.file_id - tags->first)
			r = vec_push(&tags->by_id, NULL);
		if (!r)
			r = vec_push(&tags->by_id, tag);
	}
	r = r ? r : tell(f, rc);
	sqlite3_finalize(s);
	return r;
}

static int read_rows(struct rollup_file *f, const struct rollup_query *q, const struct tags *tags,
		     enum rollup_level level, int64_t since, int64_t until)
{
	sqlite3_stmt *s = NULL;
	char sql[512];
	int rc = SQLITE_DONE, r;

	if (since >= until)
		return 0;
	snprintf(sql, sizeof(sql),
		 "SELECT t,key" ROLLUP_SUMS(X_NAME) " FROM %s WHERE t>=? AND t<? ORDER BY t", tables[level]);
	r = prepare(f, sql, &s);
	if (!r) {
		sqlite3_bind_int64(s, 1, since);
		sqlite3_bind_int64(s, 2, until);
	}
	while (!r && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		int64_t at = sqlite3_column_int64(s, 1) - tags->first;
		void *tag = at >= 0 && at < (int64_t)tags->by_id.len ? tags->by_id.items[at] : NULL;
		uint64_t v[ROLLUP_SUM_COUNT];

		if (!tag)
			continue;
		for (int i = 0; i < ROLLUP_SUM_COUNT; i++)
			v[i] = (uint64_t)sqlite3_column_int64(s, 2 + i);
		q->row(q->ctx, tag, level, sqlite3_column_int64(s, 0), v);
	}
	r = r ? r : tell(f, rc);
	sqlite3_finalize(s);
	return r;
}

static int64_t align_up(int64_t t, int64_t to)
{
	return (t + to - 1) / to * to;
}

/* From coarse to fine: each level answers for what the finer one has no more. */
static int read_levels(struct rollup_file *f, const struct rollup_query *q, const struct tags *tags)
{
	int64_t from = q->since;
	int r = 0;

	for (int l = ROLLUP_HOUR; l >= (int)q->level && !r; l--) {
		int64_t to = q->until;

		if (l > (int)q->level && from >= f->state.kept[l - 1])
			continue; /* the finer one has all of it */
		if (l > (int)q->level)
			to = align_up(f->state.kept[l - 1], rollup_span[l]);
		to = to > q->until ? q->until : to;
		if (to <= from)
			continue;
		if (from == q->since) /* the bucket that the time falls into, whole */
			from -= from % rollup_span[l];
		r = read_rows(f, q, tags, (enum rollup_level)l, from, to);
		from = to;
	}
	return r;
}

static int read_spans(struct rollup_file *f, const struct rollup_query *q)
{
	sqlite3_stmt *s = NULL;
	int rc = SQLITE_DONE, r = prepare(f, "SELECT node,since,until FROM span ORDER BY node,since", &s);

	while (!r && (rc = sqlite3_step(s)) == SQLITE_ROW)
		q->known(q->ctx, text_at(s, 0), sqlite3_column_int64(s, 1), sqlite3_column_int64(s, 2));
	r = r ? r : tell(f, rc);
	sqlite3_finalize(s);
	return r;
}

int rollup_file_query(struct rollup_file *f, const struct rollup_query *q)
{
	struct tags tags = {};
	int r = f->db ? read_keys(f, q, &tags) : -EIO;

	if (!r)
		r = read_levels(f, q, &tags);
	if (!r)
		r = read_spans(f, q);
	vec_free(&tags.by_id);
	return r;
}

struct rollup_file_state rollup_file_state(const struct rollup_file *f)
{
	return f->state;
}
