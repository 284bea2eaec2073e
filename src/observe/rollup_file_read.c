/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the roll-ups' file: rows, each level where the finer one has no more, and the keys that these rows
 * have. A file knows the keys of months: those without a row of the time that is asked about cost nothing.
 */
#include "observe/rollup_sql.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct tags {
	void **by_id; /* NULL: not asked yet; untouched pages cost nothing */
	int64_t first, n;
	sqlite3_stmt *key;
};

static char not_wanted[1]; /* a tag */

static int tags_new(struct rollup_file *f, struct tags *t)
{
	int64_t last = rollup_sql_number(f, "SELECT max(id) FROM key");

	t->first = rollup_sql_number(f, "SELECT min(id) FROM key");
	t->n = last - t->first + 1;
	t->by_id = calloc((size_t)t->n, sizeof(*t->by_id));
	return t->by_id ? rollup_sql_prepare(f, "SELECT " KEY_COLUMNS " FROM key WHERE id=?", &t->key)
			: -ENOMEM;
}

static void tags_fini(struct tags *t)
{
	sqlite3_finalize(t->key);
	free(t->by_id);
}

/* What rows of a key count for; not_wanted: nothing. */
static int tag_of(struct rollup_file *f, const struct rollup_query *q, struct tags *tags, int64_t id,
		  void **out)
{
	int64_t at = id - tags->first;
	struct rollup_key k;
	int rc;

	*out = not_wanted;
	if (at < 0 || at >= tags->n)
		return 0;
	if (!tags->by_id[at]) {
		sqlite3_bind_int64(tags->key, 1, id);
		rc = sqlite3_step(tags->key);
		tags->by_id[at] = not_wanted;
		if (rc == SQLITE_ROW) {
			void *tag = NULL;

			rollup_sql_key(tags->key, &k);
			if (q->want(q->ctx, &k, &tag))
				tags->by_id[at] = tag;
		}
		sqlite3_reset(tags->key);
		if (rc != SQLITE_ROW && rc != SQLITE_DONE)
			return rollup_sql_tell(f, rc);
	}
	*out = tags->by_id[at];
	return 0;
}

static int read_rows(struct rollup_file *f, const struct rollup_query *q, struct tags *tags,
		     enum rollup_level level, int64_t since, int64_t until)
{
	sqlite3_stmt *s = NULL;
	char sql[512];
	int rc = SQLITE_DONE, r;

	if (since >= until)
		return 0;
	snprintf(sql, sizeof(sql),
		 "SELECT t,key" ROLLUP_SUMS(X_NAME) " FROM %s WHERE t>=? AND t<? ORDER BY t",
		 rollup_tables[level]);
	r = rollup_sql_prepare(f, sql, &s);
	if (!r) {
		sqlite3_bind_int64(s, 1, since);
		sqlite3_bind_int64(s, 2, until);
	}
	while (!r && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		uint64_t v[ROLLUP_SUM_COUNT];
		void *tag;

		r = tag_of(f, q, tags, sqlite3_column_int64(s, 1), &tag);
		if (r || tag == not_wanted)
			continue;
		for (int i = 0; i < ROLLUP_SUM_COUNT; i++)
			v[i] = (uint64_t)sqlite3_column_int64(s, 2 + i);
		q->row(q->ctx, tag, level, sqlite3_column_int64(s, 0), v);
	}
	r = r ? r : rollup_sql_tell(f, rc);
	sqlite3_finalize(s);
	return r;
}

static int64_t align_up(int64_t t, int64_t to)
{
	return (t + to - 1) / to * to;
}

/* From coarse to fine: each level answers for what the finer one has no more. */
static int read_levels(struct rollup_file *f, const struct rollup_query *q, struct tags *tags)
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
	int rc = SQLITE_DONE,
	    r = rollup_sql_prepare(f, "SELECT node,since,until FROM span ORDER BY node,since", &s);

	while (!r && (rc = sqlite3_step(s)) == SQLITE_ROW)
		q->known(q->ctx, rollup_sql_text(s, 0), sqlite3_column_int64(s, 1),
			 sqlite3_column_int64(s, 2));
	r = r ? r : rollup_sql_tell(f, rc);
	sqlite3_finalize(s);
	return r;
}

int rollup_file_query(struct rollup_file *f, const struct rollup_query *q)
{
	struct tags tags = {};
	int r = f->db ? tags_new(f, &tags) : -EIO;

	if (!r)
		r = read_levels(f, q, &tags);
	if (!r)
		r = read_spans(f, q);
	tags_fini(&tags);
	return r;
}
