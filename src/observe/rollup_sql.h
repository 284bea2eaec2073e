/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the roll-ups' file share. Private to rollup_file*.c and rollup_sql.c. */
#ifndef WEFT_OBSERVE_ROLLUP_SQL_H
#define WEFT_OBSERVE_ROLLUP_SQL_H

#include <sqlite3.h>

#include "observe/rollup_file.h"

enum { PAGE = 4096 }; /* bytes of one of the file's pages */

/* The table of each level. */
extern const char *const rollup_tables[ROLLUP_LEVELS];

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

/* The sums' names as columns. */
#define X_NAME(member, name) "," #member

/* All of a key, in the order that rollup_sql_key() reads it. */
#define KEY_COLUMNS                                                                                          \
	"key.id,key.hour,from_kind,to_kind,port,service_port,reason,proto,verdict,kind,cause,rule_egress,"   \
	"rule_ingress,from_ns,from_what_kind,from_what,to_ns,to_what_kind,to_what,service_ns,service,"       \
	"key.node"
enum { KEY_COLUMN_COUNT = 22 };

/* 0 or -errno of SQLite's code; if not 0, its words are f->error. */
int rollup_sql_tell(struct rollup_file *f, int rc);
int rollup_sql_run(struct rollup_file *f, const char *sql);
int rollup_sql_prepare(struct rollup_file *f, const char *sql, sqlite3_stmt **out);
/* Runs a prepared one, and makes it ready for the next time. */
int rollup_sql_step(struct rollup_file *f, sqlite3_stmt *s);
/* The first column of the first row; 0: there is none. */
int64_t rollup_sql_number(struct rollup_file *f, const char *sql);
/* A number of the table "meta". */
int rollup_sql_set(struct rollup_file *f, const char *name, int64_t value);
/* Column i of the row; the text is valid until the next step. */
struct str rollup_sql_text(sqlite3_stmt *s, int i);
/* The key of a row that begins with KEY_COLUMNS; texts are valid until the next step. */
void rollup_sql_key(sqlite3_stmt *s, struct rollup_key *k);

#endif
