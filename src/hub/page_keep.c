/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions over a restart of the hub: in its database, as hashes of their words, so that the file lets nobody
 * in. Written within a second of a login or its end. See page_state.h.
 */
#include <errno.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "hub/page_state.h"

enum { USED_EACH_S = 600 }; /* how old the last use may be in the file */

static const char *const texts[] = {
    "CREATE TABLE IF NOT EXISTS session(hash BLOB, csrf TEXT, user TEXT, begun INTEGER, used INTEGER) STRICT",
    "SELECT hash, csrf, user, begun, used FROM session", "INSERT INTO session VALUES(?,?,?,?,?)"};

static void put(void *ctx, const struct login *s)
{
	sqlite3_stmt *q = ctx;

	sqlite3_bind_blob(q, 1, s->hash, sizeof(s->hash), SQLITE_STATIC);
	sqlite3_bind_text(q, 2, s->csrf, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 3, s->who->user, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 4, (sqlite3_int64)s->begun_s);
	sqlite3_bind_int64(q, 5, (sqlite3_int64)s->used_s);
	persist_step(q);
}

void page_keep(struct page *p)
{
	uint64_t now_s = clock_ms() / 1000, changes = logins_changes(p->logins);
	struct persist *db = p->hub->persist;
	sqlite3_stmt *q = NULL;

	if (changes == p->kept && now_s - p->kept_s < USED_EACH_S)
		return;
	p->kept = changes;
	p->kept_s = now_s;
	if (persist_begin(db))
		return;
	int r = persist_run(db, "DELETE FROM session");
	r = r ? r : persist_prepare(db, texts[2], &q);
	if (!r)
		logins_each(p->logins, put, q);
	sqlite3_finalize(q);
	if (r || persist_commit(db))
		persist_rollback(db);
}

static void take(struct page *p, sqlite3_stmt *q)
{
	const char *user = (const char *)sqlite3_column_text(q, 2),
		   *csrf = (const char *)sqlite3_column_text(q, 1);
	const void *hash = sqlite3_column_blob(q, 0);
	struct login s = {.begun_s = (uint64_t)sqlite3_column_int64(q, 3),
			  .used_s = (uint64_t)sqlite3_column_int64(q, 4)};

	if (!user || !csrf || strlen(csrf) != LOGIN_WORD - 1 || sqlite3_column_bytes(q, 0) != LOGIN_HASH)
		return;
	memcpy(s.hash, hash, LOGIN_HASH);
	memcpy(s.csrf, csrf, LOGIN_WORD);
	s.who = users_who(p->hub->store, user);
	if (s.who)
		logins_restore(p->logins, &s, clock_ms() / 1000);
	who_unref(&s.who);
}

int page_keep_load(struct page *p)
{
	sqlite3_stmt *q = NULL;
	int r = persist_run(p->hub->persist, texts[0]);

	r = r ? r : persist_prepare(p->hub->persist, texts[1], &q);
	while (!r && sqlite3_step(q) == SQLITE_ROW)
		take(p, q);
	sqlite3_finalize(q);
	p->kept = logins_changes(p->logins);
	p->kept_s = clock_ms() / 1000;
	return r;
}
