/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft get`: objects of a running cluster, as the hub's Tables or as whole objects, once or watched. Objects
 * from files are get_files.c's, the words "policies" and "probes" are get_policies.c's and
 * get_probes.c's. The columns are the server's; none
 * are known here.
 */
#include "cli/get.h"

#include "base/own.h"
#include "cli/cluster.h"
#include "cli/output.h"

#include <stdio.h>

#define ACCEPT_TABLE "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

bool get_wide(const struct options_get *o)
{
	return o->output && !strcmp(o->output, "wide");
}

bool get_table(const struct options_get *o)
{
	return !o->output || get_wide(o);
}

/* Path of a kind's list, or of one object of it, with its query. */
static void build_url(struct buf *b, const struct options_get *o, const struct kind_desc *k, const char *name,
		      const char *query)
{
	buf_addz(b, *k->group ? "/apis/" : "/api/");
	buf_addz(b, kind_api_version(k));
	if (k->namespaced && !(o->all_ns && !name)) {
		buf_addz(b, "/namespaces/");
		http_escape(b, str_of(o->ns ? o->ns : "default"));
	}
	buf_printf(b, "/%s", k->plural);
	if (name) {
		buf_addc(b, '/');
		http_escape(b, str_of(name));
	}
	char sep = '?';
	if (o->selector) {
		buf_addz(b, "?labelSelector=");
		http_escape(b, str_of(o->selector));
		sep = '&';
	}
	if (query)
		buf_printf(b, "%c%s", sep, query);
}

const char *get_cell_text(const json_t *cell, struct buf *scratch)
{
	if (json_is_string(cell))
		return json_string_value(cell);
	buf_clear(scratch);
	if (json_is_integer(cell))
		buf_printf(scratch, "%lld", (long long)json_integer_value(cell));
	else if (json_is_boolean(cell))
		buf_addz(scratch, json_is_true(cell) ? "true" : "false");
	else
		buf_addz(scratch, "<none>");
	return scratch->p;
}

/* One row of a server's Table, by the columns that are shown. */
static void add_row(struct table *t, const struct options_get *o, const json_t *columns, const json_t *row,
		    bool with_ns)
{
	const json_t *cells = json_object_get(row, "cells");
	const json_t *meta = json_object_get(json_object_get(row, "object"), "metadata");
	AUTO_BUF scratch = {0};
	json_t *column;
	size_t i;

	if (with_ns)
		table_cell(t, json_string_value(json_object_get(meta, "namespace")));
	json_array_foreach ((json_t *)(uintptr_t)columns, i, column)
		if (get_wide(o) || !json_integer_value(json_object_get(column, "priority")))
			table_cell(t, get_cell_text(json_array_get(cells, i), &scratch));
}

static void start_table(struct table *t, const struct options_get *o, const json_t *columns, bool with_ns)
{
	VEC(const char *) headings = {0};
	VEC(char *) owned = {0};
	json_t *column;
	size_t i;

	if (with_ns)
		(void)vec_push(&headings, "NAMESPACE");
	json_array_foreach ((json_t *)(uintptr_t)columns, i, column) {
		if (!get_wide(o) && json_integer_value(json_object_get(column, "priority")))
			continue;
		char *name = strdup(json_string_value(json_object_get(column, "name")) ?: "");
		for (char *p = name; p && *p; p++)
			*p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
		(void)vec_push(&owned, name);
		(void)vec_push(&headings, name);
	}
	(void)vec_push(&headings, NULL);
	table_init(t, headings.items);
	VEC_EACH (&owned, it)
		free(*it);
	vec_free(&owned);
	vec_free(&headings);
}

static void print_table(const struct options_get *o, const struct kind_desc *k, const json_t *v)
{
	const json_t *columns = json_object_get(v, "columnDefinitions");
	bool with_ns = o->all_ns && k->namespaced;
	AUTO_TABLE t;
	json_t *row;
	size_t i;

	start_table(&t, o, columns, with_ns);
	json_array_foreach (json_object_get(v, "rows"), i, row)
		add_row(&t, o, columns, row, with_ns);
	table_print(&t);
}

void get_print_name(const struct kind_desc *k, const json_t *object)
{
	const json_t *meta = json_object_get(object, "metadata");

	printf("%s%s%s/%s\n", k->singular, *k->group ? "." : "", k->group,
	       json_string_value(json_object_get(meta, "name")) ?: "");
}

void get_print_objects(const struct options_get *o, const struct kind_desc *k, const json_t *v)
{
	json_t *items = json_object_get(v, "items");
	json_t *item;
	size_t i;

	if (strcmp(o->output, "name") != 0) {
		output_value(v, o->output);
		return;
	}
	if (!items)
		get_print_name(k, v);
	json_array_foreach (items, i, item)
		get_print_name(k, item);
}

struct watching {
	const struct options_get *o;
	const struct kind_desc *k;
	json_t *columns;
};

static int show_event(void *ctx, const json_t *line)
{
	struct watching *w = ctx;
	const char *type = json_string_value(json_object_get(line, "type")) ?: "";
	const json_t *object = json_object_get(line, "object");

	if (!strcmp(type, "ERROR")) {
		cli_error("ask again", "%s",
			  json_string_value(json_object_get(object, "message")) ?: "the watch ended");
		return EXIT_FAILED;
	}
	if (!strcmp(type, "BOOKMARK"))
		return 0;
	if (!get_table(w->o)) {
		get_print_objects(w->o, w->k, object);
	} else {
		json_t *columns = json_object_get(object, "columnDefinitions");
		bool with_ns = w->o->all_ns && w->k->namespaced;
		if (json_array_size(columns)) {
			json_decref(w->columns);
			w->columns = json_incref(columns);
		}
		json_t *row;
		size_t i;
		json_array_foreach (json_object_get(object, "rows"), i, row) {
			AUTO_TABLE t;
			start_table(&t, w->o, w->columns, with_ns);
			add_row(&t, w->o, w->columns, row, with_ns);
			/* Without headings: a row alone, its cells padded as a terminal can be. */
			for (size_t c = 0; c < t.columns; c++)
				printf("%-*s", c + 1 < t.columns ? 24 : 0, t.cells.items[t.columns + c]);
			putchar('\n');
		}
	}
	fflush(stdout);
	return 0;
}

static int watch(const struct options_get *o, const struct kind_desc *k, const char *socket_path,
		 const json_t *first)
{
	const json_t *meta = json_object_get(first, "metadata");
	struct watching w = {.o = o, .k = k};
	AUTO_BUF query = {0};
	AUTO_BUF url = {0};

	w.columns = json_incref(json_object_get(first, "columnDefinitions"));
	buf_printf(&query, "watch=true&resourceVersion=%s",
		   json_string_value(json_object_get(meta, "resourceVersion")) ?: "0");
	build_url(&url, o, k, NULL, query.p);
	int r = http_watch(socket_path, url.p, get_table(o) ? ACCEPT_TABLE : NULL, show_event, &w);
	json_decref(w.columns);
	return r ? EXIT_FAILED : EXIT_OK;
}

static void tell_empty(const struct options_get *o, const struct kind_desc *k)
{
	if (k->namespaced && !o->all_ns)
		fprintf(stderr, "No %s in namespace %s.\n", k->plural, o->ns ? o->ns : "default");
	else
		fprintf(stderr, "No %s.\n", k->plural);
}

/* A list's items, or the object alone, go to `all`, which is printed as one List at the end. */
static void collect(json_t *all, const struct kind_desc *k, const json_t *v)
{
	json_t *items = json_object_get(v, "items");
	json_t *item;
	size_t i;

	if (!items)
		json_array_append(all, (json_t *)(uintptr_t)v);
	json_array_foreach (items, i, item) {
		json_object_set_new(item, "apiVersion", json_string(kind_api_version(k)));
		json_object_set_new(item, "kind", json_string(k->name));
		json_array_append(all, item);
	}
}

/* One kind, whole or one object of it. `all` is not NULL where several are asked for: tables then get a
 * heading line, other forms are gathered there. */
static int show(const struct options_get *o, const struct kind_desc *k, const char *name, json_t *all)
{
	char socket_path[CLUSTER_PATH];
	AUTO_BUF url = {0};

	cluster_path(socket_path, cluster_name(o->name), "hub.sock");
	build_url(&url, o, k, name, NULL);
	AUTO_JSON v = http_get_json(socket_path, url.p, get_table(o) ? ACCEPT_TABLE : NULL);
	if (!v)
		return EXIT_FAILED;
	if (!get_table(o)) {
		if (all && strcmp(o->output, "name") != 0)
			collect(all, k, v);
		else
			get_print_objects(o, k, v);
	} else if (!name && !o->watch && !json_array_size(json_object_get(v, "rows"))) {
		if (!all)
			tell_empty(o, k);
	} else {
		bool heading = all && !name;
		if (heading)
			printf("%s%s%s\n", output_style(STYLE_DIM), k->plural, output_style(STYLE_PLAIN));
		print_table(o, k, v);
		if (heading)
			putchar('\n');
	}
	fflush(stdout);
	return o->watch ? watch(o, k, socket_path, v) : EXIT_OK;
}

/* Everything that the arguments name. */
static int show_all(const struct options_get *o, const struct get_kind_list *kinds)
{
	bool several = kinds->list.len > 1 || o->n_args > 2;
	AUTO_JSON all = several ? json_array() : NULL;
	int r = EXIT_OK;

	VEC_EACH (&kinds->list, k) {
		for (int i = 1; i < o->n_args; i++)
			r |= show(o, *k, o->args[i], all);
		if (o->n_args < 2)
			r |= show(o, *k, NULL, all);
	}
	if (all && !get_table(o) && strcmp(o->output, "name") != 0) {
		AUTO_JSON list = json_pack("{s:s,s:s,s:O}", "apiVersion", "v1", "kind", "List", "items", all);
		output_value(list, o->output);
	}
	return r;
}

static int unknown_kind(struct str word)
{
	const char *found = NULL;
	unsigned best = 4;
	AUTO_BUF hint = {0};

	for (int i = 0; i < KIND_COUNT; i++) {
		unsigned d = str_distance(word, str_of(kind_table[i].plural));
		if (d < best) {
			best = d;
			found = kind_table[i].plural;
		}
	}
	buf_addz(&hint, found ? "did you mean " : "known: ");
	if (found)
		buf_printf(&hint, "%s?", found);
	for (int i = 0; !found && i < KIND_COUNT; i++)
		buf_printf(&hint, "%s%s", i ? ", " : "", kind_table[i].plural);
	cli_error(hint.p, "there is no kind \"" STR_FMT "\"", STR_ARG(word));
	return EXIT_USAGE;
}

int get_kinds(struct get_kind_list *out, const char *words)
{
	struct str rest = str_of(words);

	if (!strcmp(words, "all")) {
		for (int i = 0; i < KIND_COUNT; i++)
			if (!strcmp(kind_table[i].categories, "all"))
				(void)vec_push(&out->list, &kind_table[i]);
		return EXIT_OK;
	}
	while (rest.n) {
		struct str word = str_cut(&rest, ',');
		const struct kind_desc *k = kind_by_name(word);
		if (!k)
			return unknown_kind(word);
		(void)vec_push(&out->list, k);
	}
	return EXIT_OK;
}

int cmd_get(const struct options_get *o)
{
	struct get_kind_list kinds = {0};

	if (!strcmp(o->args[0], "policies"))
		return get_policies(o);
	if (!strcmp(o->args[0], "probes"))
		return get_probes(o);
	int r = get_kinds(&kinds, o->args[0]);

	if (!r && o->watch && (kinds.list.len != 1 || o->n_args > 1 || o->files)) {
		cli_error(NULL, "--watch follows one whole kind of a running cluster");
		r = EXIT_USAGE;
	}
	if (!r && o->files)
		r = get_from_files(o, &kinds);
	else if (!r && (!cluster_name(o->name) || !cluster_need(cluster_name(o->name))))
		r = EXIT_FAILED;
	else if (!r)
		r = show_all(o, &kinds);
	vec_free(&kinds.list);
	return r;
}
