/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft top`: who talks most, fails most, is slowest, of what was active lately, by workload, pod, Service or
 * node. A page that refreshes on a terminal, one page elsewhere. Sums what the hub answers; a node that tells
 * nothing is named.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>

#include "base/hash.h"
#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/flowask.h"
#include "cli/nothing.h"
#include "cli/output.h"

enum { RECORDS_MAX = 100000, DEFAULT_S = 60 };

static const char *const by_words[] = {"workload", "pod", "service", "node"};
static const char *const sort_words[] = {"traffic", "failures", "slowest", "longest"};
enum { BY_WORKLOAD, BY_POD, BY_SERVICE, BY_NODE };
enum { SORT_TRAFFIC, SORT_FAILURES, SORT_SLOWEST, SORT_LONGEST };

struct entry {
	char *name;
	double out, in; /* bytes that it sent and got */
	unsigned calls, failed, served, answers, ends;
	double answer_us; /* sum of the handshakes that it answered */
	double lasted_us; /* sum of the times that what it served lasted, of those that are over */
	unsigned trips;
	double trip_us; /* sum of the round-trip times of connections that it served */
	double again;	/* segments of its connections that were sent again, by either end */
};

struct top {
	const struct options_top *o;
	const char *cluster;
	unsigned by, sort;
	struct when when; /* of the last look */
	VEC(struct entry) list;
	struct hash index; /* name → index + 1 */
};

static unsigned word_index(const char *const *words, unsigned n, const char *text)
{
	for (unsigned i = 0; text && i < n; i++)
		if (!strcmp(words[i], text))
			return i;
	return 0;
}

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* The name under which an end is summed; NULL: under none. */
static char *name_of(const struct top *t, const json_t *end, const json_t *flow, bool responder)
{
	const char *kind = text_of(end, "kind") ?: "unknown", *ns = text_of(end, "namespace");
	const char *name = text_of(end, "name"), *node = text_of(end, "node"),
		   *workload = text_of(end, "workload");
	AUTO_BUF b = {};

	if (t->by == BY_SERVICE) {
		end = responder ? json_object_get(flow, "service") : NULL;
		ns = text_of(end, "namespace");
		name = text_of(end, "name");
		if (!end || !name)
			return NULL;
	} else if (t->by == BY_NODE && node) {
		ns = NULL;
		name = node;
	} else if (t->by == BY_WORKLOAD && workload) {
		name = workload;
	} else if (!name) {
		name = kind;
	}
	if (ns)
		buf_printf(&b, "%s/", ns);
	buf_addz(&b, name);
	return b.failed ? NULL : strdup(b.p);
}

static struct entry *entry_of(struct top *t, char *name)
{
	AUTO_MEM char *owned = name;
	void *found = name ? hash_get(&t->index, str_of(name)) : NULL;

	if (found)
		return &t->list.items[(uintptr_t)found - 1];
	if (!name || vec_push(&t->list, (struct entry){0}))
		return NULL;
	if (hash_set(&t->index, str_of(name), (void *)(uintptr_t)t->list.len, NULL)) {
		t->list.len--;
		return NULL;
	}
	t->list.items[t->list.len - 1].name = TAKE(owned);
	return &t->list.items[t->list.len - 1];
}

/* From the first to the last packet of one that was answered and is over, µs; negative: it is not. */
static double lasted(const json_t *flow)
{
	const char *state = text_of(flow, "state") ?: "";
	/* closed connections are kept open for what may still come */
	bool over = !strcmp(state, "closed") || !strcmp(state, "reset") || !strcmp(state, "cut") ||
		    json_is_true(json_object_get(flow, "ended"));
	int64_t first, last, end;

	if (!over || !flow_way(flow, "packets", "back") ||
	    when_at(text_of(flow, "first") ?: "", &first, &end) ||
	    when_at(text_of(flow, "last") ?: "", &last, &end))
		return -1;
	return last > first ? (double)(last - first) / 1000 : 0;
}

static void add(struct top *t, const json_t *flow)
{
	const char *record = text_of(flow, "record") ?: "", *state = text_of(flow, "state") ?: "";
	bool is_flow = !strcmp(record, "flow");
	bool failed =
	    is_flow ? strcmp(state, "open") != 0 && strcmp(state, "closed") != 0 : !strcmp(record, "drop");
	double there = (double)flow_way(flow, "bytes", "there"),
	       back = (double)flow_way(flow, "bytes", "back");
	double us = json_number_value(json_object_get(flow, "handshakeMicroseconds")), time = lasted(flow);
	double again =
	    (double)(flow_way(flow, "retransmits", "there") + flow_way(flow, "retransmits", "back"));
	double trip_there = (double)flow_way(flow, "roundTripMicroseconds", "there"),
	       trip_back = (double)flow_way(flow, "roundTripMicroseconds", "back");
	const json_t *from = json_object_get(flow, "from"), *to = json_object_get(flow, "to");
	struct entry *e;

	if (!strcmp(record, "staged")) /* it went on, and is a flow besides */
		return;
	e = entry_of(t, name_of(t, from, flow, false));
	if (e) {
		e->out += there;
		e->in += back;
		e->calls++;
		e->failed += failed;
		e->again += again;
	}
	e = entry_of(t, name_of(t, to, flow, true));
	if (e) {
		e->out += back;
		e->in += there;
		e->served++;
		e->failed += failed && t->by == BY_SERVICE;
		e->answers += us > 0;
		e->answer_us += us;
		e->ends += time >= 0;
		e->lasted_us += time >= 0 ? time : 0;
		e->again += again;
		if (trip_there > 0 && trip_back > 0) {
			e->trips++;
			e->trip_us += trip_there + trip_back;
		}
	}
}

/* Means, µs. */
static double answered_in(const struct entry *e)
{
	return e->answers ? e->answer_us / e->answers : 0;
}

static double lasted_for(const struct entry *e)
{
	return e->ends ? e->lasted_us / e->ends : 0;
}

static double round_trip(const struct entry *e)
{
	return e->trips ? e->trip_us / e->trips : 0;
}

/* Slow to answer, or slow since. */
static double slowness(const struct entry *e)
{
	return answered_in(e) > round_trip(e) ? answered_in(e) : round_trip(e);
}

static unsigned sorting; /* for qsort */
static int order(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;
	double va = a->out + a->in, vb = b->out + b->in;

	if (sorting == SORT_FAILURES && a->failed != b->failed)
		return a->failed < b->failed ? 1 : -1;
	if (sorting == SORT_SLOWEST && slowness(a) != slowness(b))
		return slowness(a) < slowness(b) ? 1 : -1;
	if (sorting == SORT_LONGEST && lasted_for(a) != lasted_for(b))
		return lasted_for(a) < lasted_for(b) ? 1 : -1;
	if (va != vb)
		return va < vb ? 1 : -1;
	return strcmp(a->name, b->name);
}

static void clear(struct top *t)
{
	VEC_EACH (&t->list, e)
		free(e->name);
	t->list.len = 0;
	hash_fini(&t->index);
	t->index = (struct hash){};
}

/* The answer (owned), with the list filled and sorted; NULL: told. */
static json_t *look(struct top *t)
{
	const struct options_top *o = t->o;
	json_t *answer, *flow;
	size_t i;

	if (when_range(&t->when, o->since, o->until, o->at))
		return NULL;
	if (!o->since && !o->until && !o->at)
		t->when.since = when_now() - DEFAULT_S * 1000000000ll;
	AUTO_JSON q = json_pack("{s:I,s:I,s:i}", "since", (json_int_t)t->when.since, "until",
				(json_int_t)t->when.until, "limit", RECORDS_MAX);

	if (o->n_args)
		json_object_set_new(q, "filter", json_string(o->args[0]));
	answer = flow_ask(t->cluster, "flows", q);
	clear(t);
	json_array_foreach (json_object_get(answer, "flows"), i, flow)
		add(t, flow);
	sorting = t->sort;
	if (t->list.len)
		qsort(t->list.items, t->list.len, sizeof(*t->list.items), order);
	return answer;
}

static json_t *as_json(const struct top *t)
{
	json_t *list = json_array();

	VEC_EACH (&t->list, e) {
		json_t *one =
		    json_pack("{s:s,s:I,s:I,s:i,s:i,s:i,s:I}", "name", e->name, "sent", (json_int_t)e->out,
			      "received", (json_int_t)e->in, "calls", (int)e->calls, "served", (int)e->served,
			      "failed", (int)e->failed, "retransmits", (json_int_t)e->again);

		if (e->answers)
			json_object_set_new(one, "answeredInMilliseconds", json_real(answered_in(e) / 1000));
		if (e->ends)
			json_object_set_new(one, "lastedMilliseconds", json_real(lasted_for(e) / 1000));
		if (e->trips)
			json_object_set_new(one, "roundTripMilliseconds", json_real(round_trip(e) / 1000));
		json_array_append_new(list, one);
	}
	return json_pack("{s:s,s:o}", "by", by_words[t->by], "list", list);
}

static void table_amount(struct table *table, double v)
{
	AUTO_BUF b = {};

	flow_amount(&b, v);
	table_cell(table, b.p);
}

static void table_time(struct table *table, double us, bool known)
{
	AUTO_BUF b = {};

	if (known)
		flow_time(&b, us);
	table_cell(table, b.p);
}

static void page(const struct top *t, const json_t *answer, unsigned rows)
{
	static const char *const headings[] = {"WHO",	     "SENT",   "RECEIVED",    "CALLS",
					       "SERVED",     "FAILED", "ANSWERED IN", "ROUND TRIP",
					       "SENT AGAIN", "LASTED", NULL};
	AUTO_TABLE table = {0};

	if (!t->list.len) {
		printf("Nothing was active.\n");
		fflush(stdout);
		nothing_of_flows(t->cluster, answer, "records", t->o->n_args ? t->o->args[0] : NULL, true);
		return;
	}
	table_init(&table, headings);
	VEC_EACH (&t->list, e) {
		if (!rows--)
			break;
		table_cell(&table, e->name);
		table_amount(&table, e->out);
		table_amount(&table, e->in);
		table_cellf(&table, "%u", e->calls);
		table_cellf(&table, "%u", e->served);
		AUTO_BUF failed = {};
		buf_printf(&failed, "%u", e->failed);
		table_cell_styled(&table, e->failed ? STYLE_RED : STYLE_PLAIN, failed.p);
		table_time(&table, answered_in(e), e->answers);
		table_time(&table, round_trip(e), e->trips);
		table_amount(&table, e->again);
		table_time(&table, lasted_for(e), e->ends);
	}
	table_print(&table);
}

static void tell(const struct top *t, const json_t *answer)
{
	if (json_is_true(json_object_get(answer, "more")))
		cli_error("a filter or a shorter time makes it whole",
			  "only the newest %d connections and drops are summed", RECORDS_MAX);
	if (t->o->since || t->o->until || t->o->at)
		flow_tell_gaps(answer, &t->when);
	flow_tell_silent(answer);
}

/* --- on a terminal ----------------------------------------------------------------------------------- */

static struct termios usual;

static void restore(void)
{
	tcsetattr(0, TCSANOW, &usual);
}

/* Keys are read one by one, unseen; Ctrl-C comes as one, so that the terminal is put right at our end. */
static bool take_keys(void)
{
	struct termios raw;

	if (tcgetattr(0, &usual))
		return false;
	raw = usual;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
	if (tcsetattr(0, TCSANOW, &raw))
		return false;
	atexit(restore);
	return true;
}

/* Waits for the next look or a key; false: the end was asked for. */
static bool wait_key(struct top *t, bool keys)
{
	struct pollfd in = {.fd = 0, .events = POLLIN};
	char key = 0;

	if (poll(&in, keys ? 1 : 0, (int)(t->o->interval * 1000)) <= 0)
		return true;
	if (read(0, &key, 1) != 1)
		return false;
	switch (key) {
	case 'q':
	case 3: /* Ctrl-C */
		return false;
	case 't':
		t->sort = SORT_TRAFFIC;
		break;
	case 'f':
		t->sort = SORT_FAILURES;
		break;
	case 's':
		t->sort = SORT_SLOWEST;
		break;
	case 'l':
		t->sort = SORT_LONGEST;
		break;
	case 'w':
		t->by = BY_WORKLOAD;
		break;
	case 'p':
		t->by = BY_POD;
		break;
	case 'v':
		t->by = BY_SERVICE;
		break;
	case 'n':
		t->by = BY_NODE;
		break;
	default:
		break;
	}
	return true;
}

static int watch(struct top *t)
{
	bool keys = isatty(0) && take_keys();

	while (cluster_is_up(t->cluster)) {
		AUTO_JSON answer = look(t);

		if (!answer)
			return EXIT_FAILED;
		printf("\033[H\033[2J%ss by %s, last %g s\n", by_words[t->by], sort_words[t->sort],
		       (double)((when_now() - t->when.since) / 1000000000));
		printf("%st traffic  f failures  s slowest  l longest  |  w workloads  p pods  v Services  n "
		       "nodes  |  q "
		       "ends%s\n\n",
		       output_style(STYLE_DIM), output_style(STYLE_PLAIN));
		page(t, answer, (unsigned)t->o->limit);
		fflush(stdout);
		tell(t, answer);
		if (!wait_key(t, keys))
			break;
	}
	return EXIT_OK;
}

int cmd_top(const struct options_top *o)
{
	struct top t = {.o = o,
			.cluster = cluster_name(o->name),
			.by = word_index(by_words, ARRAY_LEN(by_words), o->by),
			.sort = word_index(sort_words, ARRAY_LEN(sort_words), o->sort)};
	int r = EXIT_OK;

	if (!t.cluster || when_range(&t.when, o->since, o->until, o->at))
		return EXIT_USAGE;
	if (!cluster_need(t.cluster))
		return EXIT_FAILED;
	if (!o->output && !o->at && !o->until && output_is_terminal()) {
		r = watch(&t);
	} else {
		AUTO_JSON answer = look(&t);
		AUTO_JSON list = answer ? as_json(&t) : NULL;

		if (!answer)
			r = EXIT_FAILED;
		else if (o->output)
			output_value(list, o->output);
		else
			page(&t, answer, (unsigned)o->limit);
		fflush(stdout);
		if (answer)
			tell(&t, answer);
	}
	clear(&t);
	vec_free(&t.list);
	return r;
}
