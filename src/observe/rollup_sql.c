/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite as the roll-ups' file calls it: its codes as ours, with its words kept; statements that are run once
 * or again; a key out of a row. Called by rollup_file*.c.
 */
#include "observe/rollup_sql.h"

#include <errno.h>
#include <stdio.h>

const char *const rollup_tables[ROLLUP_LEVELS] = {"second", "minute", "hour"};

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

int rollup_sql_tell(struct rollup_file *f, int rc)
{
	int r = code_of(rc);

	if (r)
		snprintf(f->error, sizeof(f->error), "%s", sqlite3_errmsg(f->db));
	return r;
}

int rollup_sql_run(struct rollup_file *f, const char *sql)
{
	return rollup_sql_tell(f, sqlite3_exec(f->db, sql, NULL, NULL, NULL));
}

int rollup_sql_prepare(struct rollup_file *f, const char *sql, sqlite3_stmt **out)
{
	return rollup_sql_tell(f, sqlite3_prepare_v3(f->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL));
}

int rollup_sql_step(struct rollup_file *f, sqlite3_stmt *s)
{
	int r = rollup_sql_tell(f, sqlite3_step(s));

	sqlite3_reset(s);
	return r;
}

int64_t rollup_sql_number(struct rollup_file *f, const char *sql)
{
	sqlite3_stmt *s = NULL;
	int64_t n = 0;

	if (!rollup_sql_tell(f, sqlite3_prepare_v2(f->db, sql, -1, &s, NULL)) &&
	    sqlite3_step(s) == SQLITE_ROW)
		n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

int rollup_sql_set(struct rollup_file *f, const char *name, int64_t value)
{
	sqlite3_bind_text(f->set, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(f->set, 2, value);
	return rollup_sql_step(f, f->set);
}

struct str rollup_sql_text(sqlite3_stmt *s, int i)
{
	const char *p = (const char *)sqlite3_column_text(s, i);

	return (struct str){p ? p : "", (size_t)sqlite3_column_bytes(s, i)};
}

/* Texts are valid until the next step. */
void rollup_sql_key(sqlite3_stmt *s, struct rollup_key *k)
{
	*k = (struct rollup_key){
	    .file_id = sqlite3_column_int64(s, 0),
	    .file_hour = sqlite3_column_int64(s, 1),
	    .from = {(enum identity_kind)sqlite3_column_int(s, 2), rollup_sql_text(s, 13),
		     rollup_sql_text(s, 14), rollup_sql_text(s, 15)},
	    .to = {(enum identity_kind)sqlite3_column_int(s, 3), rollup_sql_text(s, 16),
		   rollup_sql_text(s, 17), rollup_sql_text(s, 18)},
	    .port = (uint16_t)sqlite3_column_int(s, 4),
	    .service_port = (uint16_t)sqlite3_column_int(s, 5),
	    .reason = (uint16_t)sqlite3_column_int(s, 6),
	    .proto = (uint8_t)sqlite3_column_int(s, 7),
	    .verdict = (uint8_t)sqlite3_column_int(s, 8),
	    .kind = (uint8_t)sqlite3_column_int(s, 9),
	    .cause = (uint32_t)sqlite3_column_int64(s, 10),
	    .rule_egress = (uint32_t)sqlite3_column_int64(s, 11),
	    .rule_ingress = (uint32_t)sqlite3_column_int64(s, 12),
	    .service_ns = rollup_sql_text(s, 19),
	    .service = rollup_sql_text(s, 20),
	    .node = rollup_sql_text(s, 21),
	};
}
