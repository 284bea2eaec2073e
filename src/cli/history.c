/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft history`: what traffic added up to, by time and by who, as the hub has it on disk. Adds nothing up
 * itself. What is not known is said: from when on history reaches back, which node was away when.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/causes.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/flowask.h"
#include "cli/nothing.h"
#include "cli/output.h"

#define SECOND_NS 1000000000ll

struct asked {
	int64_t since, until, step; /* seconds; until 0: now */
};

/* What is kept on disk is by seconds. */
static int read_times(const struct options_history *o, int64_t now, struct asked *a)
{
	struct when w;

	if (when_range(&w, o->since, o->until, o->at))
		return EXIT_USAGE;
	if (o->step && (when_span(o->step, &a->step) || a->step % SECOND_NS)) {
		cli_error("like 1s, 1m, 1h", "--step: \"%s\" is no span of time", o->step);
		return EXIT_USAGE;
	}
	a->step /= SECOND_NS;
	a->since = w.since ? w.since / SECOND_NS : now - 3600;
	a->until = (w.until + SECOND_NS - 1) / SECOND_NS;
	if (a->until && a->until <= a->since)
		a->since = a->until - 3600; /* --until alone, long ago */
	return EXIT_OK;
}

static json_t *ask(const struct options_history *o, const char *name, const struct asked *a)
{
	AUTO_JSON q = json_object();

	if (o->n_args)
		json_object_set_new(q, "filter", json_string(o->args[0]));
	if (o->by)
		json_object_set_new(q, "by", json_string(o->by));
	json_object_set_new(q, "since", json_integer(a->since));
	json_object_set_new(q, "until", json_integer(a->until));
	json_object_set_new(q, "step", json_integer(a->step));
	json_object_set_new(q, "limit", json_integer(o->limit));
	return flow_ask(name, "history", q);
}

/* --- showing it ------------------------------------------------------------------------------------ */

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

static json_int_t number_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* "shop/web", "198.51.100.0/24". */
static void end_cell(struct table *t, const json_t *end)
{
	const char *ns = text_of(end, "namespace"), *name = text_of(end, "workload");

	if (!*name)
		name = text_of(end, "name");
	table_cellf(t, "%s%s%s", ns, *ns && *name ? "/" : "", *name ? name : text_of(end, "kind"));
}

static void amount_cell(struct table *t, json_int_t n)
{
	AUTO_BUF b = {};

	flow_amount(&b, (double)n);
	table_cell(t, b.p);
}

static void local_time(const char *text, char out[WHEN_TEXT])
{
	int64_t at, end;

	*out = 0;
	if (!when_at(text, &at, &end))
		when_text(at, false, out);
}

static void member_cell(struct table *t, const json_t *row, const char *key)
{
	const json_t *v = json_object_get(row, key);

	if (json_is_integer(v))
		table_cellf(t, "%lld", (long long)json_integer_value(v));
	else
		table_cell(t, json_string_value(v) ?: "");
}

static void print_row(struct table *t, const json_t *row)
{
	json_int_t ended = number_of(row, "reset") + number_of(row, "unanswered") + number_of(row, "cut"),
		   answered = number_of(row, "handshakes"), trips = number_of(row, "roundTrips");
	char at[WHEN_TEXT];
	AUTO_BUF rules = {};
	AUTO_BUF answer = {};
	AUTO_BUF trip = {};

	local_time(text_of(row, "at"), at);
	table_cell(t, at);
	end_cell(t, json_object_get(row, "from"));
	end_cell(t, json_object_get(row, "to"));
	end_cell(t, json_object_get(row, "service"));
	member_cell(t, row, "port");
	member_cell(t, row, "protocol");
	member_cell(t, row, "node");
	member_cell(t, row, "verdict");
	member_cell(t, row, "reason");
	rules_text(&rules, row);
	table_cell(t, rules.p);
	table_cellf(t, "%lld", (long long)number_of(row, "begun"));
	table_cellf(t, "%lld", (long long)ended);
	table_cellf(t, "%lld", (long long)number_of(row, "events"));
	amount_cell(t, number_of(row, "bytesThere"));
	amount_cell(t, number_of(row, "bytesBack"));
	if (answered)
		flow_time(&answer, (double)number_of(row, "handshakeMicroseconds") / (double)answered);
	table_cell(t, answer.p);
	if (trips)
		flow_time(&trip, (double)number_of(row, "roundTripMicroseconds") / (double)trips);
	table_cell(t, trip.p);
	amount_cell(t, number_of(row, "retransmits"));
}

/* A column that no row has is left out; so is the time where there is one sum of all. */
static void leave_out(struct table *t, const json_t *rows, bool steps)
{
	static const char *const columns[] = {"from", "to",	 "service", "port", "protocol",
					      "node", "verdict", "reason",  "rules"};
	json_t *row;
	size_t i;

	for (size_t c = 0; c <= ARRAY_LEN(columns); c++) {
		bool any = !c && steps;

		json_array_foreach ((json_t *)(uintptr_t)rows, i, row)
			any |= c && json_object_get(row, columns[c - 1]) != NULL;
		if (!any) {
			free(t->cells.items[c]);
			t->cells.items[c] = NULL;
		}
	}
}

static void show(const json_t *answer, const char *cluster, bool steps)
{
	const char *headings[] = {"AT",	      "FROM",	    "TO",	  "SERVICE", "PORT",
				  "PROTOCOL", "NODE",	    "VERDICT",	  "REASON",  "RULES",
				  "BEGUN",    "FAILED",	    "EVENTS",	  "BYTES",   "BACK",
				  "ANSWER",   "ROUND TRIP", "SENT AGAIN", NULL};
	json_t *rows = json_object_get(answer, "rows"), *row;
	AUTO_TABLE t = {0};
	size_t i;

	if (!json_array_size(rows)) {
		printf("Nothing matches.\n");
		return;
	}
	rules_join(cluster, rows);
	table_init(&t, headings);
	leave_out(&t, rows, steps);
	json_array_foreach (rows, i, row)
		print_row(&t, row);
	table_print(&t);
}

/* What the answer does not know, on stderr. */
static void tell_unknown(const json_t *answer, const struct asked *a)
{
	json_int_t began = number_of(answer, "began"), found = number_of(answer, "found"),
		   rows = (json_int_t)json_array_size(json_object_get(answer, "rows"));
	const char *alarm = text_of(answer, "alarm");
	char from[WHEN_TEXT], to[WHEN_TEXT];
	json_t *gap;
	size_t i;

	json_array_foreach (json_object_get(answer, "unknown"), i, gap) {
		local_time(text_of(gap, "from"), from);
		local_time(text_of(gap, "to"), to);
		if (strcmp(from, to) != 0) /* sums are by the second */
			cli_error(NULL, "%s is unknown, not zero, from %s to %s", text_of(gap, "node"), from,
				  to);
	}
	if (began > a->since) {
		when_text(began * SECOND_NS, false, from);
		cli_error(NULL, "history begins at %s: nothing before is known", from);
	}
	if (*alarm)
		cli_error("what is new is in memory only", "%s", alarm);
	if (found > rows)
		cli_error("--limit N shows more", "%lld rows more", (long long)(found - rows));
}

int cmd_history(const struct options_history *o)
{
	const char *name = cluster_name(o->name);
	struct asked a = {0};
	int r;

	if (!name)
		return EXIT_USAGE;
	r = read_times(o, clock_wall(), &a);
	if (r)
		return r;
	if (!cluster_need(name))
		return EXIT_FAILED;
	AUTO_JSON answer = ask(o, name, &a);

	if (!answer)
		return EXIT_FAILED;
	if (o->output)
		output_value(answer, o->output);
	else
		show(answer, name, a.step);
	fflush(stdout);
	if (!json_array_size(json_object_get(answer, "rows")) && o->n_args)
		nothing_has_name(name, o->args[0]);
	tell_unknown(answer, &a);
	return EXIT_OK;
}
