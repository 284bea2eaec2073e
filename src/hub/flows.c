/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes' flows, joined: see flows.h. */
#include "hub/flows.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/own.h"
#include "hub/alert.h"
#include "hub/flownames.h"
#include "hub/sight.h"
#include "observe/history.h"
#include "observe/record_json.h"
#include "observe/report.h"

enum {
	OPEN_MAX = 1 << 20,
	FORGET_S = 3600,
	FORGET_EACH_S = 60,
	ANSWER_MAX = 100000,
	FOLLOW_MAX = 4096, /* records of one answer to who follows: a slice of the loop's time */
	DOUBT_S = 15,	   /* a node that began anew has told what is open */
	SILENT_S = 120,	   /* an unanswered connection has aged out twice over */
};
#define SECOND_NS 1000000000ll

struct flow_node { /* what came from one */
	char *name;
	uint32_t epoch;
	uint64_t next;	   /* number of the record that comes next in this epoch */
	uint64_t received; /* over all epochs */
	uint64_t missing; /* that it took but never told: numbers that never came, or an observer that died */
	uint64_t missing_now;
	uint64_t ends;		   /* of this epoch: ends and drops received */
	uint64_t taken_before;	   /* as it told */
	uint64_t told, told_first; /* ends and drops that its kernel told up to the newest record here; up to
				      the first one that came here */
	uint64_t lost, lost_now;   /* that the node could not keep: of past epochs, of this one */
	uint64_t untold, untold_first; /* that the kernel could not tell: by its count; at our first report */
	uint64_t evicted, evicted_first; /* that made room unanswered, the same */
	uint64_t questions;	 /* DNS questions that were lost on their way since our first report */
	uint32_t questions_last; /* as it told last */
	int64_t at;		 /* of the last report, by this clock; ns */
	uint64_t heard_ms;	 /* the same, by one that does not jump */
	int64_t doubted;	 /* when what is open there was doubted; 0: it is not */
};

struct flow_sums_text { /* of three families */
	struct buf records, packets, bytes;
};

struct flows {
	struct store *store;
	struct identities *ids;
	struct flow_names *names;
	struct history *history;
	struct rollups *rollups;	  /* borrowed; may be NULL */
	struct alerts *alerts;		  /* the same */
	const struct flow_looker *looker; /* the same */
	VEC(struct flow_node) nodes;
	int64_t began, forgotten;
	uint64_t began_ms;
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- reports --------------------------------------------------------------------------------------- */

static struct flow_node *node_of(struct flows *f, struct str name)
{
	VEC_EACH (&f->nodes, n)
		if (str_eqz(name, n->name))
			return n;
	char *copy = strndup(name.p, name.n);

	if (!copy || vec_push(&f->nodes, (struct flow_node){.name = copy})) {
		free(copy);
		return NULL;
	}
	return &f->nodes.items[f->nodes.len - 1];
}

static void doubt(struct flows *f, struct flow_node *n, bool *again)
{
	history_doubt(f->history, n->name);
	n->doubted = now_ns();
	*again = true;
}

/* What the observer before had taken from the kernel, and we have neither as a record nor as a loss, it took
 * along. */
static void note_taken_along(struct flow_node *n, const struct report *r)
{
	uint64_t known = n->taken_before + n->ends + n->lost_now + n->missing_now;

	if (r->taken_before > known)
		n->missing += r->taken_before - known;
}

/* The first report of a node that this hub hears begins where it begins: what came before went to another. */
static void begin_epoch(struct flows *f, struct flow_node *n, const struct report *r, bool *again)
{
	if (n->epoch == r->epoch)
		return;
	if (n->epoch) {
		note_taken_along(n, r);
		doubt(f, n, again);
	} else {
		*again = true;
	}
	n->next = n->epoch ? 0 : r->first;
	n->untold_first = n->epoch ? n->untold_first : r->untold;
	n->evicted_first = n->epoch ? n->evicted_first : r->evicted;
	n->questions_last = n->epoch ? n->questions_last : r->questions_lost;
	n->lost += n->epoch ? n->lost_now : -r->lost;
	n->epoch = r->epoch;
	n->ends = 0;
	n->missing += n->missing_now;
	n->missing_now = 0;
	n->taken_before = r->taken_before;
	if (!n->told)
		n->told_first = r->taken_before + r->ends + r->lost;
}

static void note_losses(struct flows *f, struct flow_node *n, const struct report *r, bool *again)
{
	n->at = now_ns();
	n->heard_ms = clock_ms();
	n->lost_now = r->lost;
	n->told = r->taken_before + r->ends + r->lost;
	if (r->first > n->next) {
		n->missing_now += r->first - n->next;
		n->next = r->first;
	}
	/* a kernel that counts anew: that of a machine that was started again */
	if (r->untold < n->untold || r->untold < n->untold_first)
		n->untold_first = r->untold;
	if (r->evicted < n->evicted || r->evicted < n->evicted_first)
		n->evicted_first = r->evicted;
	if (r->untold > n->untold && n->untold)
		doubt(f, n, again); /* ends among them would stay open here */
	n->untold = r->untold;
	n->evicted = r->evicted;
	if (r->questions_lost > n->questions_last)
		n->questions += r->questions_lost - n->questions_last;
	n->questions_last = r->questions_lost;
}

/* The name of an end outside, as the node told it. A counted reference, or NULL. */
static const struct identity *name_outside(struct flows *f, struct record *r)
{
	struct record_end *end = r->dns_code ? &r->to : &r->from;
	struct identity like = {.kind = IDENTITY_OUTSIDE, .domain = r->dns};
	const struct identity *who = NULL;

	if (r->kind == RECORD_DNS)
		return NULL;
	if (r->dns.n && end->who->kind == IDENTITY_OUTSIDE)
		who = identity_get(f->ids, &like);
	if (who)
		end->who = who;
	r->dns = (struct str){};
	r->dns_code = DNS_NO_ANSWER;
	return who;
}

static uint64_t age_ms(const struct report *report, int64_t at)
{
	return (report->at > at ? (uint64_t)(report->at - at) / 1000000 : 0) + report->waited_ms;
}

/* Before history takes it, which then knows it. What finds no room there is seen at its end. */
static void show(struct flows *f, const struct report *report, const struct record *r)
{
	bool alerts = f->alerts && alerts_want(f->alerts);
	struct record before;
	struct sight s = {.now = r, .now_ms = clock_ms(), .age_ms = age_ms(report, r->last)};
	int known = alerts || f->looker ? history_before(f->history, r, &before) : -ENOENT;

	if (known < 0)
		return;
	s.before = known ? &before : NULL;
	s.older = !known && r->kind == RECORD_FLOW && age_ms(report, r->first) > s.now_ms - f->began_ms;
	if (alerts)
		alerts_take(f->alerts, &s);
	if (f->looker)
		f->looker->seen(f->looker->ctx, &s);
}

static void take_record(struct flows *f, struct flow_node *n, const struct report *report, struct record *r)
{
	const struct identity *outside;

	r->node = n->name;
	r->number = (uint32_t)n->next;
	flow_names_set(f->names, r);
	outside = name_outside(f, r);
	show(f, report, r);
	rollups_take(f->rollups, n->next, r);
	history_put(f->history, r); /* what finds no room is counted there */
	identity_unref(f->ids, &outside);
	n->next++;
	n->received++;
	n->ends += r->ended && r->kind != RECORD_DNS;
}

int flows_take(struct flows *f, struct str node, struct str body, struct buf *answer, struct api_error *e)
{
	struct flow_node *n = NULL;
	struct report report;
	struct record record;
	bool again = false;
	int r = report_read(&body, &report);

	if (r)
		return api_fail(e, 400, "BadRequest",
				r == -EPROTO ? "the report is of a newer form" : "this is no report");
	if (!store_get(f->store, KIND_node, STR(""), node))
		return api_fail(e, 404, "NotFound", "nodes \"" STR_FMT "\" not found", STR_ARG(node));
	n = node_of(f, node);
	if (!n)
		return api_fail(e, 500, "InternalError", "out of memory");
	begin_epoch(f, n, &report, &again);
	note_losses(f, n, &report, &again);
	rollups_report(f->rollups, node, &report);
	for (uint32_t i = 0; i < report.count; i++) {
		r = report_next(&body, &record);
		if (r)
			return api_fail(e, 400, "BadRequest", "record %u of the report cannot be read", i);
		n->told += record.ended && record.kind != RECORD_DNS;
		if (report.first + i >= n->next) /* else it is told again */
			take_record(f, n, &report, &record);
	}
	if (f->looker)
		f->looker->told(f->looker->ctx);
	buf_printf(answer, "{\"ok\":true%s%s}\n", again ? ",\"again\":true" : "",
		   f->looker ? ",\"looked\":true" : "");
	return 0;
}

/* --- questions ------------------------------------------------------------------------------------- */

struct printing {
	struct buf *out;
	size_t n, limit; /* what is found beyond the limit is not printed */
};

static int print_record(void *ctx, const struct record *r)
{
	struct printing *p = ctx;

	if (p->n++ == p->limit)
		return 0;
	buf_addz(p->out, p->n > 1 ? ",\n" : "");
	record_json(p->out, r);
	return p->out->failed ? -ENOMEM : 0;
}

static uint64_t lost_of(const struct flow_node *n)
{
	return n->lost + n->lost_now + n->untold - n->untold_first;
}

static void print_nodes(const struct flows *f, struct buf *out)
{
	struct object_refs nodes = {0};
	size_t n = 0;

	if (store_list(f->store, KIND_node, STR(""), &nodes))
		return;
	buf_addz(out, "],\"nodes\":[");
	VEC_EACH (&nodes.list, o) {
		const struct flow_node *found = NULL;

		VEC_EACH (&f->nodes, x)
			if (str_eqz((*o)->meta.name, x->name))
				found = x;
		buf_printf(out, "%s{\"name\":", n++ ? "," : "");
		buf_json(out, (*o)->meta.name);
		if (found) {
			char at[31];

			record_time(found->at, at);
			buf_printf(out,
				   ",\"lastReport\":\"%s\",\"age\":%.3f,\"received\":%" PRIu64
				   ",\"missing\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"evicted\":%" PRIu64
				   ",\"questionsLost\":%" PRIu64 ",\"epoch\":%u,\"next\":%" PRIu64,
				   at, (double)(now_ns() - found->at) / 1e9, found->received,
				   found->missing + found->missing_now, lost_of(found),
				   found->evicted - found->evicted_first, found->questions, found->epoch,
				   found->next);
		}
		buf_addc(out, '}');
	}
	vec_free(&nodes.list);
}

static void tell_filter(struct api_error *e, const struct remarks *rs)
{
	AUTO_BUF text = {};

	if (rs->list.len)
		remark_print(&text, &rs->list.items[0], false);
	api_fail(e, 400, "BadRequest", "%s", text.p ? text.p : "the filter cannot be read");
}

static int read_filter(const json_t *j, struct filter **out, struct api_error *e)
{
	AUTO(remarks_fini) struct remarks remarks = {};
	const char *text = json_string_value(json_object_get(j, "filter"));
	AUTO_BUF why = {};
	int r;

	if (!text)
		return 0;
	r = filter_parse(out, str_of(text), (struct pos){}, &remarks);
	if (r == -EINVAL) {
		tell_filter(e, &remarks);
		return -EINVAL;
	}
	if (r)
		return api_fail(e, 500, "InternalError", "out of memory");
	if (!filter_uses(*out, FILTER_RECORDS, &why))
		return 0;
	filter_unref(out);
	return api_fail(e, 400, "BadRequest", "%s", why.p ? why.p : "the filter reads packets");
}

/* {"filter":text,"since":ns,…}: each member of its type, none besides. */
static int read_query(const json_t *j, struct history_query *q, struct api_error *e)
{
	json_int_t since = 0, until = 0, limit = 0, news = 0;
	const char *filter = NULL;
	int open = 0, drops = 0, again = 0;
	json_error_t why;

	if (json_unpack_ex((json_t *)(uintptr_t)j, &why, 0, "{s?s,s?I,s?I,s?I,s?I,s?b,s?b,s?b !}", "filter",
			   &filter, "since", &since, "until", &until, "limit", &limit, "news", &news, "open",
			   &open, "drops", &drops, "again", &again))
		return api_fail(e, 400, "BadRequest",
				"a question has filter, since, until, limit, news, open, drops, again: %s",
				why.text);
	if (since < 0 || until < 0 || limit < 0 || news < 0)
		return api_fail(e, 400, "BadRequest", "since, until, limit and news are not negative");
	q->since = since;
	q->until = until;
	q->news = (uint64_t)news;
	q->open_only = open;
	q->drops_only = drops;
	q->again = again;
	q->limit = limit > 0 && limit < ANSWER_MAX ? (uint32_t)limit : ANSWER_MAX;
	return 0;
}

int flows_ask(struct flows *f, struct str body, const struct who *who, struct buf *answer,
	      struct api_error *e)
{
	json_t *j = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
	struct printing p = {.out = answer};
	uint64_t judged = 0;
	struct history_query q = {.judged = &judged, .view = who ? sight_record : NULL, .view_ctx = who};
	struct history_size size = history_size(f->history);
	struct filter *filter = NULL;
	char began[31];
	int r = json_is_object(j) ? read_query(j, &q, e)
				  : api_fail(e, 400, "BadRequest", "the body is one JSON object");

	if (!r)
		r = read_filter(j, &filter, e);
	json_decref(j);
	if (r)
		return r;
	q.filter = filter;
	p.limit = q.limit++;
	record_time(f->began, began);
	buf_addz(answer, "{\"flows\":[");
	r = history_query(f->history, &q, print_record, &p);
	print_nodes(f, answer);
	buf_printf(answer,
		   "],\"more\":%s,\"kept\":%" PRIu64 ",\"open\":%" PRIu64 ",\"taken\":%" PRIu64
		   ",\"madeRoom\":%" PRIu64 ",\"noRoom\":%" PRIu64 ",\"began\":\"%s\",\"beganNs\":%" PRId64
		   ",\"since\":%" PRId64 ",\"sinceUnanswered\":%" PRId64 ",\"sinceQuestions\":%" PRId64
		   ",\"news\":%" PRIu64 ",\"judged\":%" PRIu64 "}\n",
		   p.n > p.limit ? "true" : "false", size.ended, size.open, size.put, size.pushed_out,
		   size.no_room, began, f->began, size.since, size.since_lesser,
		   filter && filter_asks_dns(filter) ? size.since_dns : 0, size.news, judged);
	if (filter)
		filter_unref(&filter);
	return r ? api_fail(e, 500, "InternalError", "out of memory") : 0;
}

/* --- followed -------------------------------------------------------------------------------------- */

struct following {
	struct buf *out;
	struct buf marks;
	size_t n;
};

/* The mark says which record it was on its node: one that is told again by the node is known by it. */
static int print_followed(void *ctx, const struct record *r)
{
	struct following *p = ctx;

	buf_addz(p->out, p->n ? ",\n" : "");
	record_json(p->out, r);
	buf_printf(&p->marks, "%s[%u,%u]", p->n++ ? "," : "", r->epoch, r->number);
	return p->out->failed || p->marks.failed ? -ENOMEM : 0;
}

static bool read_place(const json_t *j, struct history_place *p)
{
	for (size_t i = 0; i < ARRAY_LEN(p->at); i++) {
		json_int_t v = json_integer_value(json_array_get(j, i));

		if (v < 0)
			return false;
		p->at[i] = (uint64_t)v;
	}
	return json_array_size(j) == ARRAY_LEN(p->at);
}

/* A place of another hub, which began at another time, is none here. */
static int read_follow(const struct flows *f, const json_t *j, struct history_follow *q, struct api_error *e)
{
	json_int_t limit = 0, began = 0;
	const char *filter = NULL;
	json_t *at = NULL, *to = NULL;
	int again = 0;
	json_error_t why;

	if (json_unpack_ex((json_t *)(uintptr_t)j, &why, 0, "{s?s,s?I,s?I,s?b,s?o,s?o !}", "filter", &filter,
			   "limit", &limit, "began", &began, "again", &again, "at", &at, "to", &to))
		return api_fail(e, 400, "BadRequest",
				"a follower's question has filter, limit, began, again, at, to: %s",
				why.text);
	q->at = history_oldest(f->history, q->filter);
	q->to = history_newest(f->history, q->filter);
	q->again = again;
	q->limit = limit > 0 && limit < FOLLOW_MAX ? (uint32_t)limit : FOLLOW_MAX;
	if (began == f->began && ((at && !read_place(at, &q->at)) || (to && !read_place(to, &q->to))))
		return api_fail(e, 400, "BadRequest", "at and to are [N,N,N]");
	return 0;
}

static void print_place(struct buf *out, const char *key, struct history_place p)
{
	buf_printf(out, ",\"%s\":[%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]", key, p.at[0], p.at[1], p.at[2]);
}

int flows_follow(struct flows *f, struct str body, struct buf *answer, struct api_error *e)
{
	json_t *j = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
	struct history_follow q = {0};
	struct filter *filter = NULL;
	struct following p = {.out = answer};
	struct history_place first;
	const char *comma = "";
	int r = json_is_object(j) ? read_filter(j, &filter, e)
				  : api_fail(e, 400, "BadRequest", "the body is one JSON object");

	q.filter = filter;
	if (!r)
		r = read_follow(f, j, &q, e);
	json_decref(j);
	if (r) {
		if (filter)
			filter_unref(&filter);
		return r;
	}
	first = q.at;
	buf_addz(answer, "{\"flows\":[");
	r = history_follow(f->history, &q, print_followed, &p);
	buf_printf(answer, "],\"marks\":[%s],\"began\":%" PRId64 ",\"lost\":%" PRIu64, p.marks.p ?: "",
		   f->began, q.lost);
	print_place(answer, "first", first);
	print_place(answer, "at", q.at);
	print_place(answer, "newest", history_newest(f->history, q.filter));
	buf_addz(answer, ",\"nodes\":[");
	VEC_EACH (&f->nodes, n) {
		buf_printf(answer,
			   "%s{\"name\":\"%s\",\"epoch\":%u,\"next\":%" PRIu64 ",\"told\":%" PRIu64
			   ",\"toldFirst\":%" PRIu64 "}",
			   comma, n->name, n->epoch, n->next, n->told, n->told_first);
		comma = ",";
	}
	buf_addz(answer, "]}\n");
	buf_fini(&p.marks);
	if (filter)
		filter_unref(&filter);
	return r ? api_fail(e, 500, "InternalError", "out of memory") : 0;
}

static void print_sum(void *ctx, const struct history_sum *s)
{
	static const char *const kinds[] = {"flow", "drop", "staged"};
	struct flow_sums_text *t = ctx;
	AUTO_BUF labels = {};

	if (!s->records)
		return;
	buf_printf(&labels, "{node=\"%s\",record=\"%s\",again=\"%d\"", s->node, kinds[s->kind], s->again);
	buf_printf(&t->records, "weft_flow_ended_total%s} %" PRIu64 "\n", labels.p, s->records);
	for (unsigned i = 0; i < 2; i++) {
		const char *way = i ? "back" : "there";

		buf_printf(&t->packets, "weft_flow_packets_total%s,way=\"%s\"} %" PRIu64 "\n", labels.p, way,
			   s->packets[i]);
		buf_printf(&t->bytes, "weft_flow_bytes_total%s,way=\"%s\"} %" PRIu64 "\n", labels.p, way,
			   s->bytes[i]);
	}
}

void flows_sums(const struct flows *f, struct buf *out)
{
	struct flow_sums_text t = {};

	history_each_sum(f->history, print_sum, &t);
	buf_printf(out,
		   "# HELP weft_flow_ended_total Records of connections that ended, and of drops.\n"
		   "# TYPE weft_flow_ended_total counter\n%s"
		   "# HELP weft_flow_packets_total Packets in records of ended connections and drops.\n"
		   "# TYPE weft_flow_packets_total counter\n%s"
		   "# HELP weft_flow_bytes_total Bytes in records of ended connections and drops.\n"
		   "# TYPE weft_flow_bytes_total counter\n%s",
		   t.records.p ?: "", t.packets.p ?: "", t.bytes.p ?: "");
	buf_fini(&t.records);
	buf_fini(&t.packets);
	buf_fini(&t.bytes);
}

/* --- looked at ------------------------------------------------------------------------------------- */

void flows_set_looker(struct flows *f, const struct flow_looker *l)
{
	f->looker = l;
	history_on_silent_end(f->history, l ? l->ended : NULL, l ? l->ctx : NULL);
}

int flows_each_open(const struct flows *f, int (*fn)(void *ctx, const struct record *r), void *ctx)
{
	struct history_query q = {.open_only = true};

	return history_query(f->history, &q, fn, ctx);
}

int flows_each_since(const struct flows *f, int64_t since, uint32_t limit,
		     int (*fn)(void *ctx, const struct record *r), void *ctx)
{
	struct history_query q = {.since = since, .limit = limit};

	return history_query(f->history, &q, fn, ctx);
}

/* --- for alerts ------------------------------------------------------------------------------------ */

void flows_each_node(const struct flows *f,
		     void (*fn)(void *ctx, const char *node, uint64_t heard_ms, uint64_t lost), void *ctx)
{
	VEC_EACH (&f->nodes, n)
		fn(ctx, n->name, n->heard_ms, n->missing + n->missing_now + lost_of(n));
}

void flows_set_alerts(struct flows *f, struct alerts *a)
{
	f->alerts = a;
}

/* --- life ------------------------------------------------------------------------------------------ */

void flows_tick(struct flows *f)
{
	int64_t now = now_ns();

	VEC_EACH (&f->nodes, n)
		if (n->doubted && now - n->doubted > DOUBT_S * SECOND_NS && n->at > n->doubted) {
			history_end_doubted(f->history, n->name);
			n->doubted = 0;
		}
	if (now - f->forgotten < FORGET_EACH_S * SECOND_NS && now >= f->forgotten)
		return;
	f->forgotten = now;
	history_end_silent(f->history, now - SILENT_S * SECOND_NS);
	flow_names_forget(f->names, now - FORGET_S * SECOND_NS);
}

int flows_new(struct flows **out, struct store *s, struct rollups *rollups, uint32_t records)
{
	struct flows *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->store = s;
	f->rollups = rollups;
	f->began = f->forgotten = now_ns();
	f->began_ms = clock_ms();
	r = identities_new(&f->ids);
	if (!r)
		r = history_new(&f->history, f->ids, records, OPEN_MAX);
	if (!r)
		r = flow_names_new(&f->names, s, f->ids);
	if (r)
		flows_free(&f);
	else
		*out = f;
	return r;
}

void flows_free(struct flows **pf)
{
	struct flows *f = *pf;

	if (!f)
		return;
	flow_names_free(&f->names);
	history_free(&f->history);
	identities_free(&f->ids);
	VEC_EACH (&f->nodes, n)
		free(n->name);
	vec_free(&f->nodes);
	free(TAKE(*pf));
}
