/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of the hub on the terminal, see get.h. The columns are the server's; none are known here. */
#include "cli/get.h"

#include "base/own.h"
#include "cli/jsonpath.h"

#include <stdio.h>
#include <stdlib.h>

bool get_wide(const struct options_get *o)
{
	return o->output && !strcmp(o->output, "wide");
}

bool get_table(const struct options_get *o)
{
	return !o->output || get_wide(o);
}

static void add_value(struct table *t, const json_t *cell)
{
	if (json_is_string(cell))
		table_cell(t, json_string_value(cell));
	else if (json_is_integer(cell))
		table_cellf(t, "%lld", (long long)json_integer_value(cell));
	else if (json_is_boolean(cell))
		table_cell(t, json_is_true(cell) ? "true" : "false");
	else
		table_cell(t, "<none>");
}

static void add_labels(struct table *t, const json_t *meta)
{
	AUTO_BUF text = {0};
	const char *key;
	json_t *v;

	json_object_foreach (json_object_get(meta, "labels"), key, v)
		buf_printf(&text, "%s%s=%s", text.n ? "," : "", key, json_string_value(v) ?: "");
	table_cell(t, text.n ? text.p : "<none>");
}

static bool is_shown(const struct options_get *o, const json_t *column)
{
	return get_wide(o) || !json_integer_value(json_object_get(column, "priority"));
}

void get_table_add(struct table *t, const struct options_get *o, const struct kind_desc *k,
		   const json_t *columns, const json_t *row, const char *event)
{
	const json_t *cells = json_object_get(row, "cells");
	const json_t *meta = json_object_get(json_object_get(row, "object"), "metadata");
	json_t *column;
	size_t i;

	if (event)
		table_cell(t, event);
	if (o->all_ns && k->namespaced)
		table_cell(t, json_string_value(json_object_get(meta, "namespace")));
	json_array_foreach ((json_t *)(uintptr_t)columns, i, column)
		if (is_shown(o, column))
			add_value(t, json_array_get(cells, i));
	if (o->show_labels)
		add_labels(t, meta);
}

void get_table_start(struct table *t, const struct options_get *o, const struct kind_desc *k,
		     const json_t *columns)
{
	VEC(const char *) headings = {0};
	VEC(char *) owned = {0};
	json_t *column;
	size_t i;

	if (o->watch_events)
		(void)vec_push(&headings, "EVENT");
	if (o->all_ns && k->namespaced)
		(void)vec_push(&headings, "NAMESPACE");
	json_array_foreach ((json_t *)(uintptr_t)columns, i, column) {
		if (!is_shown(o, column))
			continue;
		char *name = strdup(json_string_value(json_object_get(column, "name")) ?: "");
		for (char *p = name; p && *p; p++)
			*p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
		(void)vec_push(&owned, name);
		(void)vec_push(&headings, name);
	}
	if (o->show_labels)
		(void)vec_push(&headings, "LABELS");
	(void)vec_push(&headings, NULL);
	table_init(t, headings.items);
	t->no_headings = o->no_headers;
	VEC_EACH (&owned, it)
		free(*it);
	vec_free(&owned);
	vec_free(&headings);
}

/* A row with what it is sorted by. */
struct keyed {
	json_t *row, *key; /* key owned, or NULL */
};

static int by_key(const void *x, const void *y)
{
	const json_t *a = ((const struct keyed *)x)->key, *b = ((const struct keyed *)y)->key;

	if (!a || !b)
		return (a != NULL) - (b != NULL);
	if (json_is_number(a) && json_is_number(b))
		return (json_number_value(a) > json_number_value(b)) -
		       (json_number_value(a) < json_number_value(b));
	return strcmp(json_string_value(a) ?: "", json_string_value(b) ?: "");
}

/* The rows in the order that --sort-by asks for, or as they are; NULL after telling. */
static json_t *ordered(const struct options_get *o, const json_t *rows)
{
	AUTO_MEM struct keyed *all = calloc(json_array_size(rows) + 1, sizeof(*all));
	AUTO_BUF error = {0};
	json_t *list, *row;
	size_t i, n = 0;

	if (!o->sort_by)
		return json_incref((json_t *)(uintptr_t)rows);
	json_array_foreach ((json_t *)(uintptr_t)rows, i, row) {
		AUTO_JSON found = json_array();
		if (!all || jsonpath_find(found, o->sort_by, json_object_get(row, "object") ?: row, &error))
			break;
		all[n++] = (struct keyed){row, json_incref(json_array_get(found, 0))};
	}
	list = error.n || !all ? NULL : json_array();
	if (!list)
		cli_error("--sort-by .metadata.name", "--sort-by: %s", error.n ? error.p : "out of memory");
	else
		qsort(all, n, sizeof(*all), by_key);
	for (i = 0; all && i < n; i++) {
		if (list)
			json_array_append(list, all[i].row);
		json_decref(all[i].key);
	}
	return list;
}

int get_print_table(const struct options_get *o, const struct kind_desc *k, const json_t *v)
{
	const json_t *columns = json_object_get(v, "columnDefinitions");
	AUTO_JSON rows = ordered(o, json_object_get(v, "rows"));
	AUTO_TABLE t = {0};
	json_t *row;
	size_t i;

	if (!rows)
		return EXIT_USAGE;
	get_table_start(&t, o, k, columns);
	json_array_foreach (rows, i, row)
		get_table_add(&t, o, k, columns, row, o->watch_events ? "ADDED" : NULL);
	table_print(&t);
	return EXIT_OK;
}
