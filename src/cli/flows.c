/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft flows`: connections and drops, as the hub has them from all nodes, found with a filter. Judges
 * nothing itself. A node that told nothing lately is named.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/causes.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/flowask.h"
#include "cli/output.h"
#include "cli/when.h"

enum { FOLLOW_MS = 500, COLUMNS = 9 };

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

static void what_text(struct buf *b, const json_t *f)
{
	const char *reason = json_string_value(json_object_get(f, "reason"));
	const char *record = json_string_value(json_object_get(f, "record")) ?: "";
	json_int_t handshake = json_integer_value(json_object_get(f, "handshakeMicroseconds"));
	json_int_t again = json_integer_value(json_object_get(f, "retransmits"));

	if (!strcmp(record, "flow"))
		buf_addz(b, json_string_value(json_object_get(f, "state")) ?: "");
	else
		buf_printf(b, "%s%s%s", json_string_value(json_object_get(f, "verdict")) ?: "",
			   reason ? " " : "", reason ?: "");
	if (handshake)
		buf_printf(b, ", answered in %.1f ms", (double)handshake / 1000);
	if (again)
		buf_printf(b, ", %lld sent again", (long long)again);
}

/* --- rules in words ---------------------------------------------------------------------------------- */

static const char *const rule_keys[] = {"cause", "ruleEgress", "ruleIngress"};

/* Asks the planner of each node that saw some of the flows for its rules; sets "why" of each in "rules". */
static void join_rules(const char *cluster, const json_t *flows)
{
	AUTO_JSON nodes = json_object();
	const char *node;
	json_t *flow, *list;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)flows, i, flow) {
		json_t *rules = json_array();

		node = json_string_value(json_object_get(flow, "seenBy")) ?: "";
		list = json_object_get(nodes, node);
		if (!list)
			json_object_set_new(nodes, node, list = json_array());
		for (size_t k = 0; k < ARRAY_LEN(rule_keys); k++) {
			const json_t *id = json_object_get(flow, rule_keys[k]);
			json_t *item = id ? json_pack("{s:I}", "cause", json_integer_value(id)) : NULL;

			if (!item)
				continue;
			json_array_append(list, item);
			json_array_append_new(rules, item);
		}
		json_object_set_new(flow, "rules", rules);
	}
	json_object_foreach (nodes, node, list)
		if (json_array_size(list))
			causes_join(cluster, node, list);
}

static void rules_text(struct buf *b, const json_t *flow)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(flow, "rules"), i, item)
		cause_print(b, item);
}

/* --- rows -------------------------------------------------------------------------------------------- */

static void row(const struct showing *s, struct table *t, const json_t *f)
{
	const char *last = json_string_value(json_object_get(f, "last")) ?: "";
	bool dropped = !strcmp(json_string_value(json_object_get(f, "verdict")) ?: "", "dropped");
	AUTO_BUF from = {};
	AUTO_BUF to = {};
	AUTO_BUF there = {};
	AUTO_BUF back = {};
	AUTO_BUF what = {};
	AUTO_BUF service = {};
	AUTO_BUF rules = {};
	int64_t seconds = 0;
	struct tm tm;
	char at[16] = "";

	if (!clock_parse(last, &seconds)) {
		localtime_r(&(time_t){seconds}, &tm);
		snprintf(at, sizeof(at), "%02d:%02d:%02d.%.3s", tm.tm_hour, tm.tm_min, tm.tm_sec,
			 strlen(last) > 23 ? last + 20 : "000");
	}
	flow_end_text(&from, json_object_get(f, "from"));
	flow_end_text(&to, json_object_get(f, "to"));
	flow_amount(&there, (double)flow_way(f, "bytes", "there"));
	flow_amount(&back, (double)flow_way(f, "bytes", "back"));
	what_text(&what, f);
	table_cell(t, at);
	table_cell(t, json_string_value(json_object_get(f, "protocol")));
	table_cell(t, from.p ? from.p : "");
	table_cell(t, to.p ? to.p : "");
	table_cell(t, there.p ? there.p : "");
	table_cell(t, back.p ? back.p : "");
	if (is_wide(s)) {
		const json_t *called = json_object_get(f, "service");

		if (called)
			flow_end_text(&service, called);
		rules_text(&rules, f);
		table_cell(t, service.p ? service.p : "");
	}
	table_cell_styled(t, dropped ? STYLE_RED : STYLE_PLAIN, what.p ? what.p : "");
	if (is_wide(s))
		table_cell(t, rules.p ? rules.p : "");
}

/* The answer of the hub, or NULL (told). */
static json_t *ask(const struct showing *s, int64_t since, int64_t until, json_int_t news)
{
	const struct options_flows *o = s->o;
	AUTO_JSON q =
	    json_pack("{s:I,s:I,s:I,s:I,s:b,s:b}", "since", (json_int_t)since, "until", (json_int_t)until,
		      "news", news, "limit", (json_int_t)o->limit, "open", o->open, "again", o->every_node);

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
static void show(struct showing *s, const json_t *flows)
{
	static const char *const narrow[] = {"LAST",  "PROTOCOL", "FROM",  "TO",
					     "BYTES", "BACK",	  "STATE", NULL};
	static const char *const wide[] = {"LAST", "PROTOCOL", "FROM",	"TO",	 "BYTES",
					   "BACK", "SERVICE",  "STATE", "RULES", NULL};
	AUTO_TABLE t = {0};

	if (s->o->output && !is_wide(s)) {
		print_lines(flows);
		return;
	}
	if (!json_array_size(flows))
		return;
	if (is_wide(s))
		join_rules(s->cluster, flows);
	table_init(&t, is_wide(s) ? wide : narrow);
	t.no_headings = s->headed;
	for (size_t i = json_array_size(flows); i--;)
		row(s, &t, json_array_get(flows, i));
	if (s->o->follow)
		table_print_with(&t, s->widths, is_wide(s) ? COLUMNS : COLUMNS - 2);
	else
		table_print(&t);
	s->headed = true;
}

/* A hub that was started again counts its news anew. */
static int follow(struct showing *s, int64_t since)
{
	AUTO_MEM char *began = NULL;
	json_int_t news = 0;
	bool first = true;

	while (cluster_is_up(s->cluster)) {
		AUTO_JSON answer = ask(s, first ? since : 0, 0, news);
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

/* What the answer cannot say of the time that was asked for. */
static void tell_gaps(const json_t *answer, int64_t since)
{
	json_int_t began = json_integer_value(json_object_get(answer, "beganNs")),
		   gone = json_integer_value(json_object_get(answer, "since")),
		   lesser = json_integer_value(json_object_get(answer, "sinceUnanswered"));

	if (since && since < began)
		cli_error("connections that ended before are unknown", "the hub keeps flows since %s",
			  json_string_value(json_object_get(answer, "began")));
	if (gone > since)
		cli_error(NULL, "connections of before made room for newer ones: some are missing");
	if (lesser > since)
		cli_error(
		    NULL,
		    "drops and unanswered connections of before made room for newer ones: some are missing");
	if (json_is_true(json_object_get(answer, "more")))
		cli_error("see --limit", "only the newest %zu are shown",
			  json_array_size(json_object_get(answer, "flows")));
}

int cmd_flows(const struct options_flows *o)
{
	struct showing s = {.o = o, .cluster = cluster_name(o->name)};
	int64_t since = 0, until = 0;

	if (!s.cluster)
		return EXIT_USAGE;
	if (o->at && (o->since || o->follow)) {
		cli_error(NULL, "--at cannot be used together with --since or --follow");
		return EXIT_USAGE;
	}
	if (o->since && when_span(o->since, &since)) {
		cli_error("like 90s, 5m, 2h, 1d", "--since: \"%s\" is no span of time", o->since);
		return EXIT_USAGE;
	}
	if (o->since)
		since = when_now() - since;
	if (o->at && when_at(o->at, &since, &until)) {
		cli_error("like 10:42, 10:42:30, 2026-01-02T10:42:30Z", "--at: \"%s\" is no time", o->at);
		return EXIT_USAGE;
	}
	if (!cluster_need(s.cluster))
		return EXIT_FAILED;
	if (o->follow)
		return follow(&s, since);
	AUTO_JSON answer = ask(&s, since, until, 0);

	if (!answer)
		return EXIT_FAILED;
	show(&s, json_object_get(answer, "flows"));
	if (!json_array_size(json_object_get(answer, "flows")) && (!o->output || is_wide(&s)))
		printf("No flow matches.\n");
	fflush(stdout);
	tell_gaps(answer, since);
	flow_tell_silent(answer);
	return EXIT_OK;
}
