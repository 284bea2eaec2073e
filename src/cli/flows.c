/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft flows`: connections and drops, as the hub has them from all nodes, found with a filter. Judges
 * nothing itself. A node that told nothing lately is named.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/own.h"
#include "cli/causes.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/drops.h"
#include "cli/flowask.h"
#include "cli/nothing.h"
#include "cli/output.h"
#include "cli/when.h"

enum { FOLLOW_MS = 500, COLUMNS = 11, COLUMNS_NARROW = 7 };

struct showing { /* what stays from page to page */
	const struct options_flows *o;
	const char *cluster;
	size_t widths[COLUMNS];
	bool headed;
};

static bool is_wide(const struct showing *s)
{
	return s->o->output && !strcmp(s->o->output, "wide");
}

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

static void question_text(struct buf *b, const json_t *f)
{
	const json_t *time = json_object_get(f, "answeredMicroseconds");

	buf_printf(b, "%s %s: %s", text_of(f, "dnsType"), text_of(f, "dnsName"), text_of(f, "dnsCode"));
	if (time) {
		buf_addz(b, " in ");
		flow_time(b, (double)json_integer_value(time));
	}
	if (flow_way(f, "packets", "there") > 1)
		buf_printf(b, ", asked %lld times", (long long)flow_way(f, "packets", "there"));
}

static json_int_t both_ways(const json_t *f, const char *key)
{
	return flow_way(f, key, "there") + flow_way(f, key, "back");
}

/* What hurt a connection, in words; wide: its round-trip time too. */
static void tcp_text(struct buf *b, const json_t *f, bool wide)
{
	const json_t *trip = json_object_get(f, "roundTripMicroseconds");
	json_int_t again = both_ways(f, "retransmits"), closed = both_ways(f, "zeroWindows");

	if (wide && json_object_get(trip, "there") && json_object_get(trip, "back")) {
		buf_addz(b, ", round trip ");
		flow_time(b, (double)both_ways(f, "roundTripMicroseconds"));
	}
	if (again)
		buf_printf(b, ", %lld sent again", (long long)again);
	if (closed)
		buf_printf(b, ", window closed %lld time%s", (long long)closed, closed == 1 ? "" : "s");
}

static void tell_what(struct buf *b, const json_t *f, bool wide)
{
	const char *reason = json_string_value(json_object_get(f, "reason"));
	const char *by = text_of(f, "resetBy");
	json_int_t handshake = json_integer_value(json_object_get(f, "handshakeMicroseconds"));

	if (!strcmp(text_of(f, "record"), "dns")) {
		question_text(b, f);
		return;
	}
	if (!strcmp(text_of(f, "record"), "flow"))
		buf_printf(b, "%s%s%s", text_of(f, "state"), *by ? " by " : "", by);
	else
		buf_printf(b, "%s%s%s", text_of(f, "verdict"), reason ? " " : "", reason ?: "");
	if (handshake) {
		buf_addz(b, ", answered in ");
		flow_time(b, (double)handshake);
	}
	tcp_text(b, f, wide);
}

static void what_text(struct buf *b, const json_t *f)
{
	tell_what(b, f, false);
}

static void what_wide_text(struct buf *b, const json_t *f)
{
	tell_what(b, f, true);
}

/* Red: it did not pass; yellow: it ended otherwise than its ends wanted, or has no answer. */
static enum style what_style(const json_t *f)
{
	const char *state = text_of(f, "state");

	if (!strcmp(text_of(f, "verdict"), "dropped"))
		return STYLE_RED;
	return !*state || !strcmp(state, "open") || !strcmp(state, "closed") ? STYLE_PLAIN : STYLE_YELLOW;
}

/* --- rows -------------------------------------------------------------------------------------------- */

typedef void text_fn(struct buf *b, const json_t *f);

static void cell(struct table *t, enum style style, text_fn *fn, const json_t *of)
{
	AUTO_BUF b = {};

	if (of)
		fn(&b, of);
	table_cell_styled(t, style, b.p ? b.p : "");
}

static void there_text(struct buf *b, const json_t *f)
{
	flow_amount(b, (double)flow_way(f, "bytes", "there"));
}

static void back_text(struct buf *b, const json_t *f)
{
	flow_amount(b, (double)flow_way(f, "bytes", "back"));
}

static void last_text(struct buf *b, const json_t *f)
{
	int64_t at, end;
	char text[WHEN_TEXT];

	if (when_at(text_of(f, "last"), &at, &end))
		return;
	when_text(at, true, text);
	buf_addz(b, text);
}

static void duration_text(struct buf *b, const json_t *f)
{
	int64_t first, last, end;

	if (!when_at(text_of(f, "first"), &first, &end) && !when_at(text_of(f, "last"), &last, &end) &&
	    last > first)
		flow_time(b, (double)(last - first) / 1000);
}

static void row(const struct showing *s, struct table *t, const json_t *f)
{
	cell(t, STYLE_PLAIN, last_text, f);
	if (is_wide(s))
		cell(t, STYLE_PLAIN, duration_text, f);
	table_cell(t, text_of(f, "protocol"));
	cell(t, STYLE_PLAIN, flow_end_text, json_object_get(f, "from"));
	cell(t, STYLE_PLAIN, flow_end_text, json_object_get(f, "to"));
	cell(t, STYLE_PLAIN, there_text, f);
	cell(t, STYLE_PLAIN, back_text, f);
	if (is_wide(s)) {
		cell(t, STYLE_PLAIN, flow_end_text, json_object_get(f, "service"));
		table_cell(t, text_of(f, "seenBy"));
	}
	cell(t, what_style(f), is_wide(s) ? what_wide_text : what_text, f);
	if (is_wide(s))
		cell(t, STYLE_PLAIN, rules_text, f);
}

/* The answer of the hub, or NULL (told). */
static json_t *ask(const struct showing *s, const struct when *w, json_int_t news)
{
	const struct options_flows *o = s->o;
	AUTO_JSON q = json_pack("{s:I,s:I,s:I,s:I,s:b,s:b}", "since", (json_int_t)w->since, "until",
				(json_int_t)w->until, "news", news, "limit", (json_int_t)o->limit, "open",
				o->open, "again", o->every_node);

	if (o->n_args)
		json_object_set_new(q, "filter", json_string(o->args[0]));
	return flow_ask(s->cluster, "flows", q);
}

static void print_lines(const json_t *flows)
{
	for (size_t i = json_array_size(flows); i--;) {
		AUTO_MEM char *text = json_dumps(json_array_get(flows, i), JSON_COMPACT);

		if (text)
			puts(text);
	}
}

/* Oldest first, as logs read. Pages of one command stand below each other. */
static void show(struct showing *s, json_t *flows)
{
	static const char *const narrow[] = {"LAST",  "PROTOCOL", "FROM",  "TO",
					     "BYTES", "BACK",	  "STATE", NULL};
	static const char *const wide[] = {"LAST", "FOR",     "PROTOCOL", "FROM",  "TO",    "BYTES",
					   "BACK", "SERVICE", "SEEN BY",  "STATE", "RULES", NULL};
	AUTO_TABLE t = {0};

	if (s->o->output && !is_wide(s)) {
		print_lines(flows);
		return;
	}
	if (!json_array_size(flows))
		return;
	if (is_wide(s))
		rules_join(s->cluster, flows);
	table_init(&t, is_wide(s) ? wide : narrow);
	t.no_headings = s->headed;
	for (size_t i = json_array_size(flows); i--;)
		row(s, &t, json_array_get(flows, i));
	if (s->o->follow)
		table_print_with(&t, s->widths, is_wide(s) ? COLUMNS : COLUMNS_NARROW);
	else
		table_print(&t);
	s->headed = true;
}

/* A hub that was started again counts its news anew. */
static int follow(struct showing *s, const struct when *w)
{
	static const struct when all;
	AUTO_MEM char *began = NULL;
	json_int_t news = 0;
	bool first = true;

	while (cluster_is_up(s->cluster)) {
		AUTO_JSON answer = ask(s, first ? w : &all, news);
		const char *now = json_string_value(json_object_get(answer, "began"));

		if (!answer && first)
			return EXIT_FAILED;
		if (answer && !first && began && now && strcmp(began, now)) {
			cli_error(NULL, "the hub was started again: what it kept is gone");
			news = 0;
		} else if (answer) {
			if (!first || s->o->since)
				show(s, json_object_get(answer, "flows"));
			news = json_integer_value(json_object_get(answer, "news"));
			first = false;
		}
		free(began);
		began = now ? strdup(now) : NULL;
		fflush(stdout);
		if (ferror(stdout))
			return EXIT_FAILED;
		nanosleep(&(struct timespec){.tv_nsec = FOLLOW_MS * 1000000L}, NULL);
	}
	return EXIT_OK;
}

int cmd_flows(const struct options_flows *o)
{
	struct showing s = {.o = o, .cluster = cluster_name(o->name)};
	struct when w;

	if (!s.cluster)
		return EXIT_USAGE;
	if (o->follow && (o->at || o->until)) {
		cli_error(NULL, "--follow goes on from now: it cannot be used together with --at or --until");
		return EXIT_USAGE;
	}
	if (when_range(&w, o->since, o->until, o->at))
		return EXIT_USAGE;
	if (!cluster_need(s.cluster))
		return EXIT_FAILED;
	if (o->follow)
		return follow(&s, &w);
	AUTO_JSON answer = ask(&s, &w, 0);

	if (!answer)
		return EXIT_FAILED;
	show(&s, json_object_get(answer, "flows"));
	if (!json_array_size(json_object_get(answer, "flows"))) {
		if (!o->output || is_wide(&s))
			printf("No flow matches.\n");
		fflush(stdout);
		nothing_of_flows(s.cluster, answer, "records", o->n_args ? o->args[0] : NULL,
				 w.since || w.until);
	}
	fflush(stdout);
	flow_tell_gaps(answer, &w);
	if (json_is_true(json_object_get(answer, "more")))
		cli_error("see --limit", "only the newest %zu are shown",
			  json_array_size(json_object_get(answer, "flows")));
	flow_tell_silent(answer);
	if (o->n_args)
		drops_tell_kernel(s.cluster, o->args[0], NULL);
	return EXIT_OK;
}
