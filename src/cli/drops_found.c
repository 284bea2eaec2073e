/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft drops FILTER`, `weft drops --since 5m`: the hub's records of drops, found with the filter language,
 * added up by who wanted what of whom. Counts nothing itself; what records cannot know is told.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/own.h"
#include "cli/causes.h"
#include "cli/cluster.h"
#include "cli/drops.h"
#include "cli/flowask.h"
#include "cli/nothing.h"
#include "cli/output.h"

enum { RECORDS_MAX = 100000 };

struct found {
	const struct options_drops *o;
	json_t *list;	   /* of sums */
	struct hash index; /* what is told apart → the sum, borrowed */
};

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

static json_int_t number_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static bool is_wanted(const struct options_drops *o, const json_t *record)
{
	return (!o->node || !strcmp(o->node, text_of(record, "seenBy"))) &&
	       (!o->ns || !strcmp(o->ns, text_of(json_object_get(record, "from"), "namespace")) ||
		!strcmp(o->ns, text_of(json_object_get(record, "to"), "namespace")));
}

/* The caller's ports are added up. */
static void caller_text(struct buf *b, const json_t *end)
{
	AUTO_JSON copy = json_copy((json_t *)(uintptr_t)end);

	json_object_del(copy, "port");
	flow_end_text(b, copy);
}

static json_t *new_sum(const json_t *record)
{
	static const char *const keys[] = {"reason", "cause", "protocol", "from", "to", "service"};
	json_t *sum = json_object(), *from;

	json_object_set_new(sum, "node", json_string(text_of(record, "seenBy")));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (json_object_get(record, keys[i]))
			json_object_set(sum, keys[i], json_object_get(record, keys[i]));
	from = json_deep_copy(json_object_get(record, "from"));
	json_object_del(from, "port");
	json_object_set_new(sum, "from", from);
	json_object_set(sum, "last", json_object_get(record, "last")); /* the newest comes first */
	json_object_set_new(sum, "advice", json_string(drops_advice(text_of(record, "reason"))));
	return sum;
}

static int add(struct found *f, const json_t *record)
{
	json_t *sum;
	AUTO_BUF key = {};

	buf_printf(&key, "%s %s %s %lld ", text_of(record, "seenBy"), text_of(record, "reason"),
		   text_of(record, "protocol"), (long long)number_of(record, "cause"));
	caller_text(&key, json_object_get(record, "from"));
	buf_addc(&key, ' ');
	flow_end_text(&key, json_object_get(record, "to"));
	sum = key.failed ? NULL : hash_get(&f->index, buf_str(&key));
	if (!sum) {
		sum = new_sum(record);
		if (json_array_append_new(f->list, sum) || key.failed ||
		    hash_set(&f->index, buf_str(&key), sum, NULL))
			return -1;
	}
	json_object_set(sum, "first", json_object_get(record, "first"));
	json_object_set_new(sum, "packets",
			    json_integer(number_of(sum, "packets") + flow_way(record, "packets", "there")));
	json_object_set_new(sum, "bytes",
			    json_integer(number_of(sum, "bytes") + flow_way(record, "bytes", "there")));
	return 0;
}

static int most_first(const void *x, const void *y)
{
	json_int_t a = number_of(*(json_t *const *)x, "packets"),
		   b = number_of(*(json_t *const *)y, "packets");

	return a != b ? a < b ? 1 : -1
		      : -strcmp(text_of(*(json_t *const *)x, "last"), text_of(*(json_t *const *)y, "last"));
}

static json_t *sorted(const json_t *list)
{
	size_t n = json_array_size(list);
	AUTO_MEM json_t **items = calloc(n + 1, sizeof(*items));
	json_t *out = json_array();

	for (size_t i = 0; items && i < n; i++)
		items[i] = json_array_get(list, i);
	if (items)
		qsort(items, n, sizeof(*items), most_first);
	for (size_t i = 0; items && i < n; i++)
		json_array_append(out, items[i]);
	return out;
}

/* Each node's planner knows the causes of its own pods. */
static void join_causes(const char *cluster, const json_t *list)
{
	AUTO_JSON nodes = json_object();
	const char *node;
	json_t *sum, *of;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)list, i, sum) {
		of = json_object_get(nodes, text_of(sum, "node"));
		if (!of)
			json_object_set_new(nodes, text_of(sum, "node"), of = json_array());
		if (json_object_get(sum, "cause"))
			json_array_append(of, sum);
	}
	json_object_foreach (nodes, node, of)
		if (json_array_size(of))
			causes_join(cluster, node, of);
}

static void row(struct table *t, const json_t *sum, bool wide)
{
	AUTO_BUF from = {};
	AUTO_BUF to = {};
	AUTO_BUF why = {};
	char last[WHEN_TEXT] = "";
	int64_t at, end;

	if (!when_at(text_of(sum, "last"), &at, &end))
		when_text(at, true, last);
	flow_end_text(&from, json_object_get(sum, "from"));
	flow_end_text(&to, json_object_get(sum, "to"));
	cause_print(&why, sum);
	table_cell(t, last);
	table_cell(t, text_of(sum, "node"));
	table_cell(t, text_of(sum, "protocol"));
	table_cell(t, from.p ? from.p : "");
	table_cell(t, to.p ? to.p : "");
	table_cell_styled(t, STYLE_YELLOW, text_of(sum, "reason"));
	table_cellf(t, "%lld", (long long)number_of(sum, "packets"));
	if (wide)
		table_cellf(t, "%lld", (long long)number_of(sum, "bytes"));
	table_cell(t, why.n ? why.p : text_of(sum, "advice"));
}

static void show(const json_t *list, bool wide)
{
	static const char *const narrow[] = {"LAST",   "NODE",	  "PROTOCOL", "FROM", "TO",
					     "REASON", "PACKETS", "WHY",      NULL};
	static const char *const wider[] = {"LAST",   "NODE",	 "PROTOCOL", "FROM", "TO",
					    "REASON", "PACKETS", "BYTES",    "WHY",  NULL};
	AUTO_TABLE t = {0};
	json_t *sum;
	size_t i;

	table_init(&t, wide ? wider : narrow);
	json_array_foreach ((json_t *)(uintptr_t)list, i, sum)
		row(&t, sum, wide);
	table_print(&t);
}

static json_t *ask(const struct options_drops *o, const char *name, const struct when *w)
{
	AUTO_JSON q = json_pack("{s:I,s:I,s:i,s:b}", "since", (json_int_t)w->since, "until",
				(json_int_t)w->until, "limit", RECORDS_MAX, "drops", true);

	if (o->n_args)
		json_object_set_new(q, "filter", json_string(o->args[0]));
	return flow_ask(name, "flows", q);
}

int drops_found(const struct options_drops *o, const char *name)
{
	const char *filter = o->n_args ? o->args[0] : NULL;
	bool wide = o->output && !strcmp(o->output, "wide");
	struct found f = {.o = o};
	json_t *record;
	struct when w;
	size_t i;
	int r = 0;

	if (when_range(&w, o->since, o->until, o->at))
		return EXIT_USAGE;
	AUTO_JSON answer = ask(o, name, &w);

	if (!answer)
		return EXIT_FAILED;
	AUTO_JSON sums = f.list = json_array();

	json_array_foreach (json_object_get(answer, "flows"), i, record)
		if (is_wanted(o, record))
			r |= add(&f, record);
	hash_fini(&f.index);
	if (r) {
		cli_error(NULL, "out of memory");
		return EXIT_FAILED;
	}
	AUTO_JSON list = sorted(sums);

	join_causes(name, list);
	if (o->output && !wide)
		output_value(list, o->output);
	else if (json_array_size(list))
		show(list, wide);
	else
		printf("Nothing was dropped%s.\n", filter ? " that matches" : "");
	fflush(stdout);
	if (filter && !json_array_size(list) && number_of(answer, "judged"))
		nothing_of_flows(name, answer, "drops", filter, w.since || w.until);
	flow_tell_gaps(answer, &w);
	if (json_is_true(json_object_get(answer, "more")))
		cli_error("a filter or a shorter time makes it whole", "only the newest %d drops are counted",
			  RECORDS_MAX);
	flow_tell_silent(answer);
	drops_tell_kernel(name, NULL, o->node);
	return EXIT_OK;
}
