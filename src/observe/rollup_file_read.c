/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the roll-ups' file: wanted keys, then their rows, each level where the finer one has no more. */
#include "observe/rollup_sql.h"

#include <errno.h>
#include <stdio.h>

struct tags {
	VEC(void *) by_id; /* NULL: not wanted */
	int64_t first;
};

static int read_keys(struct rollup_file *f, const struct rollup_query *q, struct tags *tags)
{
	sqlite3_stmt *s = NULL;
	int rc = SQLITE_DONE, r = rollup_sql_prepare(f, "SELECT " KEY_COLUMNS " FROM key ORDER BY id", &s);

	while (!r && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		struct rollup_key k;
		void *tag = NULL;

		rollup_sql_key(s, &k);
		if (!tags->by_id.len)
			tags->first = k.file_id;
		if (!q->want(q->ctx, &k, &tag))
			tag = NULL;
		while (!r && (int64_t)tags->by_id.len < k.file_id - tags->first)
			r = vec_push(&tags->by_id, NULL);
		if (!r)
			r = vec_push(&tags->by_id, tag);
	}
	r = r ? r : rollup_sql_tell(f, rc);
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
		 "SELECT t,key" ROLLUP_SUMS(X_NAME) " FROM %s WHERE t>=? AND t<? ORDER BY t",
		 rollup_tables[level]);
	r = rollup_sql_prepare(f, sql, &s);
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
	r = r ? r : rollup_sql_tell(f, rc);
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
	int r = f->db ? read_keys(f, q, &tags) : -EIO;

	if (!r)
		r = read_levels(f, q, &tags);
	if (!r)
		r = read_spans(f, q);
	vec_free(&tags.by_id);
	return r;
}
