/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the roll-ups' file: a batch is one transaction; room is made before it, in transactions of their
 * own. */
#include "observe/rollup_sql.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/own.h"

enum { ROOM_TRIES = 256 };

/* How much of each level makes room at once, in seconds. */
static const int64_t chunks[ROLLUP_LEVELS] = {10, 600, 21600};

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
	r = rollup_sql_step(f, f->key);
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
	r = rollup_sql_step(f, f->hour);
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
	return rollup_sql_step(f, s);
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
	return rollup_sql_step(f, f->open);
}

static int put_node(struct rollup_file *f, const struct rollup_node *n)
{
	const int64_t numbers[] = {n->epoch, (int64_t)n->next, (int64_t)n->lost, n->from,
				   n->to,    n->epoch_since};
	int r;

	bind(f->node, 1, str_of(n->name));
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		sqlite3_bind_int64(f->node, (int)i + 2, numbers[i]);
	r = rollup_sql_step(f, f->node);
	if (r)
		return r;
	bind(f->span, 1, str_of(n->name));
	sqlite3_bind_int64(f->span, 2, n->from);
	sqlite3_bind_int64(f->span, 3, n->to);
	return rollup_sql_step(f, f->span);
}

/* Pages that hold something. */
static uint64_t used(struct rollup_file *f)
{
	return (uint64_t)(rollup_sql_number(f, "PRAGMA page_count") -
			  rollup_sql_number(f, "PRAGMA freelist_count"));
}

/* The oldest of a level goes. 1: the level is empty. */
static int drop_oldest(struct rollup_file *f, enum rollup_level level, uint64_t *gone)
{
	char sql[160];
	int64_t oldest, before;
	int r;

	snprintf(sql, sizeof(sql), "SELECT ifnull(min(t),-1) FROM %s", rollup_tables[level]);
	oldest = rollup_sql_number(f, sql);
	if (oldest < 0)
		return 1;
	before = oldest - oldest % chunks[level] + chunks[level];
	snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE t<%" PRId64, rollup_tables[level], before);
	r = rollup_sql_run(f, sql);
	*gone += (uint64_t)sqlite3_changes(f->db);
	if (!r && before > f->state.kept[level])
		r = rollup_sql_set(f, rollup_tables[level], before);
	if (!r && level == ROLLUP_HOUR) {
		snprintf(sql, sizeof(sql),
			 "DELETE FROM key WHERE hour<%" PRId64 " AND id NOT IN (SELECT key FROM open);"
			 "DELETE FROM span WHERE until<%" PRId64 "000000000",
			 before, before);
		r = rollup_sql_run(f, sql);
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
	int r = rollup_sql_run(f, "BEGIN IMMEDIATE");

	if (!r)
		r = drop_oldest(f, level, &f->state.gone[level]);
	if (r >= 0 && rollup_sql_run(f, "COMMIT"))
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
	if (r >= 0 && (uint64_t)rollup_sql_number(f, "PRAGMA page_count") > f->pages)
		r = rollup_sql_run(f, "PRAGMA incremental_vacuum(256)");
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
		r = rollup_sql_step(f, f->over);
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
		r = rollup_sql_run(f, "BEGIN IMMEDIATE");
	if (!r)
		r = write_all(f, b);
	if (!r)
		r = rollup_sql_run(f, "COMMIT");
	if (!r) {
		f->state.bytes = (uint64_t)rollup_sql_number(f, "PRAGMA page_count") * PAGE;
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
