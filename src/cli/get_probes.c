/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft get probes`: each probe of each container as the observers of its node hold it: state, last result
 * with its cause, since how many results, when the next is due. Judges nothing.
 */
#include "cli/get.h"

#include "base/clock.h"
#include "base/own.h"
#include "cli/causes.h"
#include "cli/cluster.h"
#include "cli/output.h"

#include <stdio.h>

static const char *text(const json_t *v, const char *key)
{
	return json_string_value(json_object_get(v, key)) ?: "";
}

static bool wanted(const struct options_get *o, const char *pod)
{
	struct str name = str_of(pod), ns = str_cut(&name, '/');
	bool named = o->n_args < 2;

	if (o->ns && !o->all_ns && !str_eqz(ns, o->ns))
		return false;
	for (int i = 1; i < o->n_args; i++)
		named |= str_eqz(name, o->args[i]) || !strcmp(pod, o->args[i]);
	return named;
}

/* Of all nodes; NULL (told) when an observer does not answer. */
static json_t *collect(const struct options_get *o, const char *cluster)
{
	AUTO_JSON nodes = cluster_nodes(cluster);
	json_t *all = json_array(), *node, *v;
	size_t i, j;

	json_array_foreach (nodes, i, node) {
		const char *name = json_string_value(node);
		AUTO_JSON answer = observer_get(cluster, name, "/probes");
		if (!answer) {
			cli_error("what it probes is unknown, not nothing",
				  "the observer of %s does not answer", name);
			json_decref(all);
			return NULL;
		}
		json_array_foreach (json_object_get(answer, "probes"), j, v) {
			if (!wanted(o, text(v, "pod")))
				continue;
			json_object_set_new(v, "node", json_string(name));
			json_array_append(all, v);
		}
	}
	return all;
}

static int by_name(const void *x, const void *y)
{
	const json_t *a = *(json_t *const *)x, *b = *(json_t *const *)y;
	int r = strcmp(text(a, "pod"), text(b, "pod"));

	r = r ? r : strcmp(text(a, "container"), text(b, "container"));
	return r ? r : strcmp(text(a, "kind"), text(b, "kind"));
}

static json_t *sorted(json_t *list)
{
	VEC(json_t *) all = {0};
	json_t *v, *out = json_array();
	size_t i;

	json_array_foreach (list, i, v)
		(void)vec_push(&all, v);
	if (all.len)
		qsort(all.items, all.len, sizeof(*all.items), by_name);
	VEC_EACH (&all, it)
		json_array_append(out, *it);
	vec_free(&all);
	return out;
}

static void state_cell(struct table *t, const char *state)
{
	bool good = !strcmp(state, "passing") || !strcmp(state, "done");
	bool bad = !strcmp(state, "failing") || !strcmp(state, "restarting");

	table_cell_styled(t, good ? STYLE_GREEN : bad ? STYLE_RED : STYLE_YELLOW, state);
}

static void ago_cell(struct table *t, const char *at)
{
	char age[16];
	int64_t then;

	if (!*at || clock_parse(at, &then)) {
		table_cell(t, "–");
		return;
	}
	clock_age(clock_wall() > then ? clock_wall() - then : 0, age);
	table_cellf(t, "%s ago", age);
}

static void print_table(const json_t *list, bool no_headers)
{
	static const char *const headings[] = {"POD",	"CONTAINER", "KIND",   "HOW",  "STATE", "LAST",
					       "CAUSE", "WHEN",	     "STREAK", "NEXT", NULL};
	AUTO_TABLE t;
	json_t *v;
	size_t i;

	table_init(&t, headings);
	t.no_headings = no_headers;
	json_array_foreach ((json_t *)(uintptr_t)list, i, v) {
		const json_t *next = json_object_get(v, "nextMs");
		table_cell(&t, text(v, "pod"));
		table_cell(&t, text(v, "container"));
		table_cell(&t, text(v, "kind"));
		table_cell(&t, text(v, "how"));
		state_cell(&t, text(v, "state"));
		table_cell(&t, *text(v, "last") ? text(v, "last") : "–");
		table_cell(&t, *text(v, "cause") ? text(v, "cause") : "–");
		ago_cell(&t, text(v, "at"));
		table_cellf(&t, "%lld", (long long)json_integer_value(json_object_get(v, "streak")));
		if (next)
			table_cellf(&t, "in %.1f s", (double)json_integer_value(next) / 1000);
		else
			table_cell(&t, "–");
	}
	table_print(&t);
}

int get_probes(const struct options_get *o)
{
	const char *cluster = cluster_name(o->name);

	if (o->files || o->watch || o->selector) {
		cli_error("ask without -f, -w and -l", "probes are what a running cluster's nodes do");
		return EXIT_USAGE;
	}
	if (!cluster || !cluster_need(cluster))
		return EXIT_FAILED;
	AUTO_JSON found = collect(o, cluster);
	if (!found)
		return EXIT_FAILED;
	AUTO_JSON list = sorted(found);
	if (!get_table(o))
		return get_print_value(o, list);
	else if (json_array_size(list))
		print_table(list, o->no_headers);
	else
		fprintf(stderr, "No probes.\n");
	return o->n_args > 1 && !json_array_size(list) ? EXIT_FAILED : EXIT_OK;
}
