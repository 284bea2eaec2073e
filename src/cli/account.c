/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft account`: whether the numbers of each node add up: its observer's sums, and what of the records that
 * it told came to the hub. Forms no sum of its own from what cannot be read: that is unknown. A sum that does
 * not match is asked for again before it is told, since the kernel side removes many entries under one count.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/own.h"
#include "cli/account.h"
#include "cli/causes.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/names.h"
#include "cli/output.h"

enum { TRIES = 8, AGAIN_MS = 150 };

static bool says(const json_t *sum, const char *what)
{
	return !strcmp(json_string_value(json_object_get(sum, "says")) ?: "", what);
}

static bool is_wrong(const json_t *answer)
{
	json_t *s;
	size_t i;

	json_array_foreach (json_object_get(answer, "sums"), i, s)
		if (says(s, "wrong"))
			return true;
	return false;
}

/* The node's sums (owned), or NULL: nobody knows. */
static json_t *ask_node(const char *name, const char *node)
{
	for (int i = 0;; i++) {
		json_t *answer = observer_get(name, node, "/account");

		if (!answer || !is_wrong(answer) || i == TRIES)
			return answer;
		json_decref(answer);
		nanosleep(&(struct timespec){.tv_nsec = AGAIN_MS * 1000000L}, NULL);
	}
}

static json_int_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static json_t *term(const char *side, const char *name, const char *words, json_int_t low, json_int_t high)
{
	return json_pack("{s:s, s:s, s:s, s:I, s:I}", "side", side, "name", name, "words", words, "low", low,
			 "high", high);
}

/* Records that the node numbered in this epoch, and those that the hub took or knows to be missing. Before is
 * the observer's word from before the hub was asked, after the one from thereafter: between both the hub's
 * number must lie; each may be ahead of an answer that is under way, by one report. */
static json_t *path_sum(const json_t *before, const json_t *hub, const json_t *after)
{
	json_int_t low = number(before, "told"), high = number(after, "told") + number(after, "waiting"),
		   taken = number(hub, "next");
	bool same =
	    number(before, "epoch") == number(hub, "epoch") && number(after, "epoch") == number(hub, "epoch");
	const char *what = "unknown";

	if (hub && before && after && json_object_get(hub, "next") && same)
		what = taken < low || taken > high ? "wrong" : low == high ? "exact" : "within";
	return json_pack(
	    "{s:s, s:s, s:I, s:[I,I], s:[I,I], s:[o,o,o,o]}", "sum", "records to the hub", "says", what,
	    "off",
	    taken < low	   ? low - taken
	    : taken > high ? high - taken
			   : 0,
	    "in", low, high, "out", taken, taken, "terms", term("in", "told", "told by the node", low, high),
	    term("out", "next", "taken by the hub, of this epoch", taken, taken),
	    term("rest", "missing", "missing, of all epochs", number(hub, "missing"), number(hub, "missing")),
	    term("rest", "lost", "no room at the node", number(hub, "lost"), number(hub, "lost")));
}

/* What the hub knows of its nodes (owned), or NULL. */
static json_t *ask_hub(const char *name)
{
	AUTO_BUF out = {};
	char path[CLUSTER_PATH];

	cluster_path(path, name, "hub.sock");
	if (http_request(path, "POST", "/apis/weft.network/internal/flows", NULL,
			 STR("{\"limit\":1,\"filter\":\"ended && !ended\"}"), &out) != 200)
		return NULL;
	return json_loadb(out.p ? out.p : "", out.n, 0, NULL);
}

static const json_t *hub_node(const json_t *hub, const char *node)
{
	json_t *n;
	size_t i;

	json_array_foreach (json_object_get(hub, "nodes"), i, n)
		if (!strcmp(json_string_value(json_object_get(n, "name")) ?: "", node))
			return n;
	return NULL;
}

static json_t *account_node(const char *name, const char *node)
{
	json_t *answer = ask_node(name, node);
	AUTO_JSON hub = ask_hub(name);
	AUTO_JSON after = answer ? observer_get(name, node, "/account") : NULL;

	if (!answer)
		return json_pack("{s:s, s:n, s:s}", "node", node, "sums", "unknown",
				 "its observer does not answer: its numbers are unknown, not 0");
	json_array_append_new(json_object_get(answer, "sums"),
			      path_sum(json_object_get(answer, "reporter"), hub_node(hub, node),
				       json_object_get(after, "reporter")));
	account_copies(name, node, answer);
	return answer;
}

int account_collect(const char *name, const char *only, json_t *list)
{
	AUTO_JSON nodes = cluster_nodes(name);
	int found = 0;
	json_t *v;
	size_t i;

	json_array_foreach (nodes, i, v) {
		const char *node = json_string_value(v);

		if (only && strcmp(only, node) != 0)
			continue;
		found++;
		json_array_append_new(list, account_node(name, node));
	}
	return found;
}

/* --- what is shown --------------------------------------------------------------------------------- */

static void range(struct buf *b, json_int_t low, json_int_t high)
{
	if (low == high)
		buf_printf(b, "%" JSON_INTEGER_FORMAT, low);
	else
		buf_printf(b, "%" JSON_INTEGER_FORMAT "…%" JSON_INTEGER_FORMAT, low, high);
}

static void side_text(struct buf *b, const json_t *sum, const char *side)
{
	json_int_t low = 0, high = 0;
	size_t n = 0, i;
	json_t *t;

	json_array_foreach (json_object_get(sum, "terms"), i, t) {
		if (strcmp(json_string_value(json_object_get(t, "side")) ?: "", side) != 0)
			continue;
		low += number(t, "low");
		high += number(t, "high");
		n++;
	}
	if (n)
		range(b, low, high);
	else
		buf_addz(b, "–");
}

static void verdict_text(struct buf *b, const json_t *sum)
{
	json_int_t off = number(sum, "off");

	if (says(sum, "exact"))
		buf_addz(b, "matches");
	else if (says(sum, "within"))
		buf_addz(b, "matches, as far as can be told while packets flow");
	else if (says(sum, "wrong"))
		buf_printf(b, "WRONG: %" JSON_INTEGER_FORMAT " %s", off < 0 ? -off : off,
			   off < 0 ? "too much went out" : "missing");
	else
		buf_addz(b, "unknown");
	if (json_object_get(sum, "because"))
		buf_printf(b, "; %s", json_string_value(json_object_get(sum, "because")));
}

static void row(struct table *t, const json_t *node, const json_t *sum)
{
	static const char *const sides[] = {"in", "out", "loss", "rest"};
	AUTO_BUF verdict = {};

	table_cell(t, json_string_value(json_object_get(node, "node")));
	table_cell(t, json_string_value(json_object_get(sum, "sum")));
	for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
		AUTO_BUF text = {};

		side_text(&text, sum, sides[i]);
		table_cell(t, says(sum, "unknown") ? "?" : text.p ? text.p : "");
	}
	verdict_text(&verdict, sum);
	table_cell_styled(t,
			  says(sum, "wrong")	 ? STYLE_RED
			  : says(sum, "unknown") ? STYLE_YELLOW
						 : STYLE_PLAIN,
			  verdict.p ? verdict.p : "");
}

static void row_term(struct table *t, const json_t *sum, const json_t *one)
{
	AUTO_BUF text = {};

	range(&text, number(one, "low"), number(one, "high"));
	table_cell(t, json_string_value(json_object_get(sum, "sum")));
	table_cell(t, json_string_value(json_object_get(one, "side")));
	table_cell(t, json_string_value(json_object_get(one, "words")));
	table_cell(t, json_string_value(json_object_get(one, "name")));
	table_cell(t, says(sum, "unknown") ? "?" : text.p ? text.p : "");
}

static void show_terms(const json_t *node)
{
	static const char *const headings[] = {"SUM", "SIDE", "WHAT", "COUNTER", "NUMBER", NULL};
	AUTO_TABLE t = {0};
	json_t *sum, *one;
	size_t i, k;

	printf("%s, epoch %" JSON_INTEGER_FORMAT ":\n", json_string_value(json_object_get(node, "node")),
	       number(node, "epoch"));
	table_init(&t, headings);
	json_array_foreach (json_object_get(node, "sums"), i, sum)
		json_array_foreach (json_object_get(sum, "terms"), k, one)
			row_term(&t, sum, one);
	table_print(&t);
	putchar('\n');
}

static void show(const json_t *list, bool wide)
{
	static const char *const headings[] = {"NODE", "SUM", "IN", "OUT", "LOST", "REST", "VERDICT", NULL};
	AUTO_TABLE t = {0};
	json_t *node, *sum;
	size_t i, k;

	table_init(&t, headings);
	json_array_foreach ((json_t *)(uintptr_t)list, i, node) {
		if (wide && json_is_array(json_object_get(node, "sums")))
			show_terms(node);
		json_array_foreach (json_object_get(node, "sums"), k, sum)
			row(&t, node, sum);
		if (json_is_array(json_object_get(node, "sums")))
			continue;
		table_cell(&t, json_string_value(json_object_get(node, "node")));
		table_cell(&t, "all");
		for (int c = 0; c < 4; c++)
			table_cell(&t, "?");
		table_cell_styled(&t, STYLE_YELLOW, json_string_value(json_object_get(node, "unknown")));
	}
	table_print(&t);
}

/* 1: a sum does not match; 2: something is unknown. */
static int status_of(const json_t *list)
{
	bool wrong = false, unknown = false;
	json_t *node, *sum;
	size_t i, k;

	json_array_foreach ((json_t *)(uintptr_t)list, i, node) {
		unknown |= !json_is_array(json_object_get(node, "sums"));
		json_array_foreach (json_object_get(node, "sums"), k, sum) {
			wrong |= says(sum, "wrong");
			unknown |= says(sum, "unknown");
		}
	}
	return wrong ? EXIT_FAILED : unknown ? EXIT_TROUBLE : EXIT_OK;
}

int cmd_account(const struct options_account *o)
{
	const char *name = cluster_name(o->name);
	AUTO_JSON list = json_array();
	int status, canary = EXIT_OK;

	if (!name)
		return EXIT_USAGE;
	if (!cluster_need(name))
		return EXIT_TROUBLE;
	if (o->canary) {
		AUTO_JSON outside = json_object();

		canary = account_canary(name, outside);
		if (o->output && strcmp(o->output, "wide") != 0)
			output_value(outside, o->output);
		else
			account_canary_show(outside);
		return canary;
	}
	if (!account_collect(name, o->node, list)) {
		AUTO_BUF hint = {0};

		if (o->node)
			names_hint_node(&hint, name, o->node);
		cli_error(hint.p, "there is no node%s%s", o->node ? " " : "", o->node ?: "");
		return EXIT_TROUBLE;
	}
	status = status_of(list);
	if (o->output && strcmp(o->output, "wide") != 0)
		output_value(list, o->output);
	else
		show(list, o->output);
	return status;
}
