/* SPDX-License-Identifier: Apache-2.0 */
/* Roll-ups between loop, thread and API: see rollup.h. One piece of work is under way at a time: a batch to
 * write, or a question. */
#include "hub/rollup.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "hub/sight.h"
#include "observe/rollup_file.h"
#include "observe/rollup_query.h"

enum { WRITE_MS = 1000, RETRY_MS = 5000, QUESTIONS_MAX = 32, SILENT_S = 5, ROWS_MAX = 100000 };

struct question {
	struct http_later later;
	struct rollups *r;
	struct rollup_ask ask;
	struct filter *filter;
	const struct who *who; /* a reference; NULL: all rights */
	struct rollup_answer *answer;
	struct buf body;
	int result;
	bool asked, gone; /* by the thread; nobody waits any more */
	struct question *next;
};

struct rollups {
	struct store *store;
	struct rollup *rollup;
	struct rollup_file *file; /* NULL: could not be opened; the thread's while busy */
	struct rollup_node *node; /* that reports */
	struct rollup_batch batch;
	struct question *questions, **last, *now;
	unsigned n_questions;
	char path[512], alarm[256];
	uint64_t limit, retry_at, failures, puts_aside;
	uv_loop_t *loop;
	uv_timer_t timer;
	uv_work_t work;
	bool busy, writing, stopped;
	int result;
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void alarm_set(struct rollups *r, const char *name, const char *why)
{
	bool first = !r->alarm[0];

	snprintf(r->alarm, sizeof(r->alarm), "%s: %s", name, why);
	if (first)
		log_error("%s: %s: history is kept in memory only, and tried again", r->path, r->alarm);
}

static void alarm_clear(struct rollups *r)
{
	if (r->alarm[0])
		log_info("%s: history is written again", r->path);
	r->alarm[0] = 0;
}

const char *rollups_alarm(const struct rollups *r)
{
	return r && r->alarm[0] ? r->alarm : NULL;
}

/* On the loop: once at the start, and after a failure. */
static void open_file(struct rollups *r)
{
	AUTO_BUF why = {};
	bool aside = false;
	int res = rollup_file_open(&r->file, r->path, r->limit, now_ns(), clock_us() * 1000, r->rollup,
				   &aside, &why);

	if (aside) {
		r->puts_aside++;
		log_error("%s: %s: put aside as %s.corrupt, history begins anew", r->path,
			  why.p ? why.p : "it cannot be read", r->path);
	}
	if (res)
		alarm_set(r, res == -ENOSPC ? "history-disk-full" : "history-unreadable",
			  why.p ? why.p : strerror(-res));
}

/* --- work ------------------------------------------------------------------------------------------ */

static void on_work(uv_work_t *w)
{
	struct rollups *r = w->data;
	struct question *q = r->now;
	struct rollup_query query = {.want = rollup_answer_want,
				     .row = rollup_answer_row,
				     .known = rollup_answer_known,
				     .ctx = q ? q->answer : NULL};

	if (r->writing) {
		r->result = rollup_file_write(r->file, &r->batch);
		return;
	}
	query.since = q->ask.since;
	query.until = q->ask.until;
	query.level = rollup_ask_level(&q->ask, clock_wall());
	q->result = r->file ? rollup_file_query(r->file, &query) : 0;
}

static void on_worked(uv_work_t *w, int status);

static void start(struct rollups *r)
{
	r->work.data = r;
	r->busy = !uv_queue_work(r->loop, &r->work, on_work, on_worked);
}

static void question_free(struct question *q)
{
	rollup_answer_free(&q->answer);
	if (q->filter)
		filter_unref(&q->filter);
	buf_fini(&q->body);
	who_unref(&q->who);
	free(q);
}

static void add_cell(void *ctx, const struct rollup_cell *c)
{
	struct question *q = ctx;

	if (c->level == rollup_ask_level(&q->ask, clock_wall()))
		rollup_answer_cell(q->answer, c);
}

/* What is not yet in the file, and which nodes speak. */
static void add_memory(struct rollups *r, struct question *q)
{
	struct object_refs nodes = {0};
	uint64_t mono = clock_us() * 1000;
	size_t n;
	struct rollup_node *const *heard = rollup_nodes(r->rollup, &n);

	rollup_each(r->rollup, add_cell, q);
	for (size_t i = 0; i < n; i++) {
		bool speaks = heard[i]->mono && mono - heard[i]->mono < SILENT_S * 1000000000ull;

		rollup_answer_known(q->answer, str_of(heard[i]->name), heard[i]->from,
				    speaks ? INT64_MAX : heard[i]->to);
	}
	if (store_list(r->store, KIND_node, STR(""), &nodes))
		return;
	VEC_EACH (&nodes.list, o) {
		char born[64];
		int64_t at = 0;

		snprintf(born, sizeof(born), STR_FMT, STR_ARG((*o)->meta.creation_timestamp));
		clock_parse(born, &at);
		rollup_answer_node(q->answer, (*o)->meta.name, at * 1000000000);
	}
	vec_free(&nodes.list);
}

static void next_work(struct rollups *r)
{
	struct question *q = r->questions;

	if (r->busy || r->stopped || !q)
		return;
	r->questions = q->next;
	if (!r->questions)
		r->last = &r->questions;
	r->n_questions--;
	if (q->gone) {
		question_free(q);
		next_work(r);
		return;
	}
	r->now = q;
	r->writing = false;
	add_memory(r, q);
	start(r);
	if (!r->busy) {
		r->now = NULL;
		q->result = -ENOMEM;
		q->asked = true;
		http_later_wake(&q->later);
	}
}

static void print_state(const struct rollups *r, struct buf *b)
{
	struct rollup_counts n = rollup_counts(r->rollup);
	struct rollup_file_state s = r->file ? rollup_file_state(r->file) : (struct rollup_file_state){};

	buf_printf(b,
		   ",\"began\":%" PRId64 ",\"keptSeconds\":%" PRId64 ",\"keptMinutes\":%" PRId64
		   ",\"keptHours\":%" PRId64 ",\"madeRoom\":{\"seconds\":%" PRIu64 ",\"minutes\":%" PRIu64
		   ",\"hours\":%" PRIu64 "},\"bytes\":%" PRIu64 ",\"limit\":%" PRIu64,
		   s.began / 1000000000, s.kept[0], s.kept[1], s.kept[2], s.gone[0], s.gone[1], s.gone[2],
		   s.bytes, r->limit);
	buf_printf(b,
		   ",\"taken\":%" PRIu64 ",\"folded\":%" PRIu64 ",\"gaveUp\":%" PRIu64
		   ",\"untracked\":%" PRIu64 ",\"older\":%" PRIu64
		   ",\"open\":%zu,\"waiting\":%zu,\"keys\":%zu,\"putAside\":%" PRIu64
		   ",\"failures\":%" PRIu64,
		   n.taken, n.folded, n.gave_up, n.untracked, n.baselines, n.open, n.waiting, n.keys,
		   r->puts_aside, r->failures);
	if (r->alarm[0]) {
		buf_addz(b, ",\"alarm\":");
		buf_json(b, str_of(r->alarm));
	}
	buf_addz(b, "}\n");
}

static void question_done(struct rollups *r, struct question *q)
{
	if (q->gone) {
		question_free(q);
		return;
	}
	if (!q->result)
		q->result = rollup_answer_print(q->answer, &q->body, now_ns());
	print_state(r, &q->body);
	q->asked = true;
	http_later_wake(&q->later);
}

static void batch_done(struct rollups *r)
{
	if (!r->result) {
		rollup_written(r->rollup, &r->batch);
		alarm_clear(r);
		return;
	}
	r->failures++;
	r->retry_at = clock_ms() + RETRY_MS;
	rollup_restore(r->rollup, &r->batch);
	if (r->result != -EUCLEAN) {
		alarm_set(r, r->result == -ENOSPC ? "history-disk-full" : "history-unwritable",
			  rollup_file_error(r->file));
		return;
	}
	log_error("%s: %s: put aside as %s.corrupt, history begins anew", r->path, rollup_file_error(r->file),
		  r->path);
	r->puts_aside++;
	rollup_file_condemn(r->file);
	rollup_file_close(&r->file);
	rollup_forget_file(r->rollup);
	open_file(r);
	rollup_begins(r->rollup, 0);
	r->retry_at = 0;
}

static void on_worked(uv_work_t *w, int status)
{
	struct rollups *r = w->data;
	struct question *q = TAKE(r->now);

	(void)status;
	r->busy = false;
	if (q)
		question_done(r, q);
	else
		batch_done(r);
	next_work(r);
}

static void on_timer(uv_timer_t *t)
{
	struct rollups *r = t->data;

	if (r->busy || r->stopped || clock_ms() < r->retry_at)
		return;
	if (!r->file) {
		r->retry_at = clock_ms() + RETRY_MS;
		open_file(r);
	}
	if (!r->file || rollup_drain(r->rollup, &r->batch))
		return;
	r->writing = true;
	start(r);
	if (!r->busy)
		rollup_restore(r->rollup, &r->batch);
}

/* --- in -------------------------------------------------------------------------------------------- */

void rollups_report(struct rollups *r, struct str node, const struct report *report)
{
	if (r)
		r->node = rollup_report(r->rollup, node, report, clock_us() * 1000);
}

void rollups_take(struct rollups *r, uint64_t number, const struct record *record)
{
	if (r && r->node)
		rollup_take(r->rollup, r->node, number, record);
}

/* --- questions ------------------------------------------------------------------------------------- */

static void on_answer(struct http_later *l, struct http_reply *rp)
{
	struct question *q = CONTAINER_OF(l, struct question, later);

	if (q->result) {
		rp->status = 500;
		buf_addz(&rp->body, "{\"kind\":\"Status\",\"status\":\"Failure\",\"code\":500,\"message\":"
				    "\"history cannot be read now\"}\n");
	} else {
		rp->status = 200;
		rp->body = q->body;
		q->body = (struct buf){};
	}
	question_free(q);
}

/* The thread may still be at it, or it waits in the line: there it is freed. */
static void on_gone(struct http_later *l)
{
	struct question *q = CONTAINER_OF(l, struct question, later);

	if (q->asked)
		question_free(q);
	else
		q->gone = true;
}

static int read_filter(struct question *q, const char *text, struct api_error *e)
{
	AUTO(remarks_fini) struct remarks remarks = {};
	AUTO_BUF why = {};
	int r = filter_parse(&q->filter, str_of(text), (struct pos){}, &remarks);

	if (r == -EINVAL && remarks.list.len)
		remark_print(&why, &remarks.list.items[0], false);
	else if (r)
		return api_fail(e, 500, "InternalError", "out of memory");
	else
		r = rollup_filter_check(q->filter, &why);
	q->ask.filter = q->filter;
	return r ? api_fail(e, 400, "BadRequest", "%s", why.p ? why.p : "the filter cannot be read") : 0;
}

static int read_question(struct question *q, const json_t *j, struct api_error *e)
{
	const char *filter = json_string_value(json_object_get(j, "filter")),
		   *by = json_string_value(json_object_get(j, "by"));
	json_int_t limit = json_integer_value(json_object_get(j, "limit"));
	AUTO_BUF why = {};

	if (!json_is_object(j))
		return api_fail(e, 400, "BadRequest", "the body is one JSON object");
	q->ask.since = json_integer_value(json_object_get(j, "since"));
	q->ask.until = json_integer_value(json_object_get(j, "until"));
	q->ask.step = json_integer_value(json_object_get(j, "step"));
	q->ask.limit = limit > 0 && limit < ROWS_MAX ? (size_t)limit : ROWS_MAX;
	if (q->ask.until <= 0)
		q->ask.until = INT64_MAX / 1000000000;
	if (q->ask.since < 0 || q->ask.since > q->ask.until || q->ask.step < 0 || q->ask.step > 31536000)
		return api_fail(e, 400, "BadRequest",
				"since, until and step are seconds, since before until");
	if (rollup_by_parse(str_of(by ? by : "from,to,port"), &q->ask.by, &why))
		return api_fail(e, 400, "BadRequest", "%s", why.p ? why.p : "out of memory");
	return filter ? read_filter(q, filter, e) : 0;
}

struct http_later *rollups_ask(struct rollups *r, struct str body, const struct who *who, struct api_error *e)
{
	struct question *q = r && r->n_questions < QUESTIONS_MAX ? calloc(1, sizeof(*q)) : NULL;
	json_t *j;

	if (!q) {
		api_fail(e, r ? 503 : 404, r ? "ServiceUnavailable" : "NotFound",
			 r ? "too many questions are being answered" : "no history is kept: see --history");
		e->retry = r;
		return NULL;
	}
	q->who = who_ref(who);
	q->ask.view = who ? sight_key : NULL;
	q->ask.view_ctx = who;
	j = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
	if (read_question(q, j, e) || rollup_answer_new(&q->answer, &q->ask)) {
		api_fail(e, 500, "InternalError", "out of memory");
		json_decref(j);
		question_free(q);
		return NULL;
	}
	json_decref(j);
	q->r = r;
	q->later = (struct http_later){.answer = on_answer, .gone = on_gone};
	*r->last = q;
	r->last = &q->next;
	r->n_questions++;
	next_work(r);
	return &q->later;
}

/* --- life ------------------------------------------------------------------------------------------ */

int rollups_new(struct rollups **out, uv_loop_t *loop, struct store *s, const char *dir, unsigned mib)
{
	struct rollups *r = mib ? calloc(1, sizeof(*r)) : NULL;
	uint64_t limit = (uint64_t)mib << 20;
	/* A batch has three levels of some hundred bytes a cell: far less than a fifth of the file. */
	struct rollup_limits limits = {.open = limit / 512 < 1 << 20 ? (uint32_t)(limit / 512) : 1 << 20,
				       .fresh = limit / 8192 < 4096 ? (uint32_t)(limit / 8192) : 4096,
				       .networks =
					   limit / 4096 < 1 << 17 ? (uint32_t)(limit / 4096) : 1 << 17,
				       .cells = 65536};
	int res;

	if (!mib)
		return 0;
	if (!r)
		return -ENOMEM;
	res = rollup_new(&r->rollup, &limits);
	if (res) {
		free(r);
		return res;
	}
	r->store = s;
	r->limit = limit;
	r->loop = loop;
	r->last = &r->questions;
	snprintf(r->path, sizeof(r->path), "%s/history/rollup.db", dir);
	open_file(r);
	uv_timer_init(loop, &r->timer);
	r->timer.data = r;
	uv_timer_start(&r->timer, on_timer, WRITE_MS, WRITE_MS);
	*out = r;
	return 0;
}

void rollups_stop(struct rollups *r)
{
	if (r)
		r->stopped = true;
}

void rollups_free(struct rollups **pr)
{
	struct rollups *r = *pr;

	if (!r)
		return;
	for (struct question *q = r->questions, *next; q; q = next) {
		next = q->next;
		question_free(q);
	}
	if (r->file && !rollup_drain(r->rollup, &r->batch)) {
		if (rollup_file_write(r->file, &r->batch))
			log_error("%s: %s: the last second is not kept", r->path, rollup_file_error(r->file));
		rollup_written(r->rollup, &r->batch);
	}
	rollup_file_close(&r->file);
	rollup_free(&r->rollup);
	free(TAKE(*pr));
}
