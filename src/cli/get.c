/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft get`: objects of a running cluster, as the hub's Tables or as whole objects. What the arguments mean,
 * and one answer's way; tables are get_table.c's, other forms get_print.c's, following changes is
 * get_watch.c's, files are get_files.c's, the words "policies" and "probes" are get_policies.c's and
 * get_probes.c's.
 */
#include "cli/get.h"

#include "base/own.h"
#include "cli/cluster.h"
#include "cli/names.h"
#include "cli/output.h"

#include <stdio.h>

void get_url(struct buf *b, const struct options_get *o, const struct kind_desc *k, const char *name,
	     const char *query)
{
	char sep = '?';

	buf_addz(b, *k->group ? "/apis/" : "/api/");
	buf_addz(b, kind_api_version(k));
	if (k->namespaced && !(o->all_ns && !name)) {
		buf_addz(b, "/namespaces/");
		http_escape(b, str_of(o->ns ? o->ns : "default"));
	}
	buf_printf(b, "/%s", k->plural);
	if (name && !o->watch) {
		buf_addc(b, '/');
		http_escape(b, str_of(name));
	}
	if (o->selector) {
		buf_addz(b, "?labelSelector=");
		http_escape(b, str_of(o->selector));
		sep = '&';
	}
	if (o->field_selector || (name && o->watch)) {
		buf_printf(b, "%cfieldSelector=", sep);
		if (name && o->watch)
			buf_printf(b, "metadata.name%%3D%s%s", name, o->field_selector ? "," : "");
		http_escape(b, str_of(o->field_selector ? o->field_selector : ""));
		sep = '&';
	}
	if (o->sort_by && get_table(o)) {
		buf_printf(b, "%cincludeObject=Object", sep);
		sep = '&';
	}
	if (query)
		buf_printf(b, "%c%s", sep, query);
}

static void tell_empty(const struct options_get *o, const struct kind_desc *k)
{
	AUTO_BUF hint = {0};
	const char *ns = o->ns ? o->ns : "default";

	if (!k->namespaced || o->all_ns) {
		fprintf(stderr, "No %s.\n", k->plural);
		return;
	}
	fprintf(stderr, "No %s in namespace %s.\n", k->plural, ns);
	names_hint_namespace(&hint, cluster_name(o->name), ns);
	if (hint.n)
		fprintf(stderr, "  %s\n", hint.p);
	else if (!o->ns && !o->selector && !o->field_selector)
		fprintf(stderr, "  -n NAMESPACE asks for another one, -A for all\n");
}

/* The answer, or NULL after telling, with the name that was most likely meant. */
static json_t *fetch(const struct options_get *o, const struct get_ask *a)
{
	const char *cluster = cluster_name(o->name);
	char socket_path[CLUSTER_PATH];
	AUTO_BUF url = {0};
	AUTO_BUF body = {0};
	AUTO_BUF hint = {0};
	json_error_t e;

	cluster_path(socket_path, cluster, "hub.sock");
	get_url(&url, o, a->k, a->name, NULL);
	long code = http_request(socket_path, "GET", url.p, get_table(o) ? GET_ACCEPT_TABLE : NULL,
				 (struct str){0}, &body);
	if (code < 0)
		return NULL;
	if (code == 404 && a->name) {
		names_hint(&hint, cluster, a->k, a->k->namespaced ? o->ns ? o->ns : "default" : NULL,
			   a->name);
		http_tell_hint(hint.n ? hint.p : NULL, code, buf_str(&body));
		return NULL;
	}
	if (code != 200) {
		http_tell(code, buf_str(&body));
		return NULL;
	}
	json_t *v = json_loadb(body.p ? body.p : "", body.n, 0, &e);
	if (!v)
		cli_error(NULL, "the server's answer to %s is no JSON: %s", url.p, e.text);
	return v;
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
static int show(const struct options_get *o, const struct get_ask *a, json_t *all)
{
	AUTO_JSON v = fetch(o, a);

	if (!v)
		return EXIT_FAILED;
	if (!get_table(o)) {
		if (all && strcmp(o->output, "name") != 0)
			collect(all, a->k, v);
		else
			return get_print_objects(o, a->k, v);
		return EXIT_OK;
	}
	if (!a->name && !json_array_size(json_object_get(v, "rows"))) {
		if (!all)
			tell_empty(o, a->k);
		return EXIT_OK;
	}
	bool heading = all && !a->name;
	if (heading)
		printf("%s%s%s\n", output_style(STYLE_DIM), a->k->plural, output_style(STYLE_PLAIN));
	int r = get_print_table(o, a->k, v);
	if (heading)
		putchar('\n');
	return r;
}

/* Objects by name: those of one kind that stand side by side are rows of one table. */
static int show_names(const struct options_get *o, const struct get_asks *asks)
{
	AUTO_JSON table = NULL;
	int r = EXIT_OK;

	for (size_t i = 0; i < asks->list.len; i++) {
		const struct get_ask *a = &asks->list.items[i];
		AUTO_JSON v = fetch(o, a);
		r |= v ? EXIT_OK : EXIT_FAILED;
		if (table)
			json_array_extend(json_object_get(table, "rows"), json_object_get(v, "rows"));
		else
			table = json_incref(v);
		if (i + 1 < asks->list.len && asks->list.items[i + 1].k == a->k)
			continue;
		if (table)
			r |= get_print_table(o, a->k, table);
		if (table && i + 1 < asks->list.len)
			putchar('\n');
		json_decref(table);
		table = NULL;
	}
	return r;
}

static int show_all(const struct options_get *o, const struct get_asks *asks)
{
	AUTO_JSON all = asks->list.len > 1 ? json_array() : NULL;
	int r = EXIT_OK;

	if (get_table(o) && asks->list.items[0].name)
		return show_names(o, asks);
	VEC_EACH (&asks->list, a)
		r |= show(o, a, all);
	if (all && !get_table(o) && strcmp(o->output, "name") != 0) {
		AUTO_JSON list = json_pack("{s:s,s:s,s:O}", "apiVersion", "v1", "kind", "List", "items", all);
		r |= get_print_value(o, list);
	}
	return r;
}

static int unknown_kind(struct str word)
{
	__attribute__((cleanup(near_fini))) struct near near = {.typed = word};
	AUTO_BUF hint = {0};

	for (int i = 0; i < KIND_COUNT; i++) {
		near_try(&near, str_of(kind_table[i].plural));
		near_try(&near, str_of(kind_table[i].singular));
	}
	near_try(&near, STR("policies"));
	near_try(&near, STR("probes"));
	buf_addz(&hint, near.word.n ? "did you mean " : "known: ");
	if (near.word.n)
		buf_printf(&hint, "%s?", near.word.p);
	for (int i = 0; !near.word.n && i < KIND_COUNT; i++)
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

/* "KIND [NAME…]" or "KIND/NAME…" into what is to be asked. */
static int read_arguments(struct get_asks *asks, const struct options_get *o,
			  const struct get_kind_list *kinds)
{
	VEC_EACH (&kinds->list, k) {
		for (int i = 1; i < o->n_args; i++)
			if (vec_push(&asks->list, ((struct get_ask){*k, o->args[i]})))
				return EXIT_FAILED;
		if (o->n_args < 2 && vec_push(&asks->list, ((struct get_ask){*k, NULL})))
			return EXIT_FAILED;
	}
	return EXIT_OK;
}

static int read_pairs(struct get_asks *asks, const struct options_get *o)
{
	for (int i = 0; i < o->n_args; i++) {
		const char *slash = strchr(o->args[i], '/');
		struct str word = {o->args[i], slash ? (size_t)(slash - o->args[i]) : 0};
		const struct kind_desc *k = slash ? kind_by_name(word) : NULL;
		if (!slash || !slash[1]) {
			cli_error("KIND NAME…, or KIND/NAME…", "\"%s\" is no KIND/NAME", o->args[i]);
			return EXIT_USAGE;
		}
		if (!k)
			return unknown_kind(word);
		if (vec_push(&asks->list, ((struct get_ask){k, slash + 1})))
			return EXIT_FAILED;
	}
	return EXIT_OK;
}

static int check_options(const struct options_get *o, const struct get_asks *asks)
{
	if (o->watch && (asks->list.len != 1 || o->files || o->sort_by)) {
		cli_error(
		    NULL,
		    "--watch follows one kind, or one object, of a running cluster, in the order of changes");
		return EXIT_USAGE;
	}
	if (o->watch_events && !o->watch) {
		cli_error(NULL, "--output-watch-events goes with --watch");
		return EXIT_USAGE;
	}
	if (o->files && o->field_selector) {
		cli_error(NULL, "--field-selector asks a running cluster");
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

int cmd_get(const struct options_get *o)
{
	struct get_kind_list kinds = {0};
	struct get_asks asks = {0};
	bool pairs = strchr(o->args[0], '/') != NULL;
	int r;

	if (!strcmp(o->args[0], "policies"))
		return get_policies(o);
	if (!strcmp(o->args[0], "probes"))
		return get_probes(o);
	r = pairs ? EXIT_OK : get_kinds(&kinds, o->args[0]);
	if (!r)
		r = pairs ? read_pairs(&asks, o) : read_arguments(&asks, o, &kinds);
	if (!r)
		r = check_options(o, &asks);
	if (!r && o->files)
		r = get_from_files(o, &asks);
	else if (!r && (!cluster_name(o->name) || !cluster_need(cluster_name(o->name))))
		r = EXIT_FAILED;
	else if (!r)
		r = o->watch ? get_watch(o, &asks.list.items[0]) : show_all(o, &asks);
	vec_free(&kinds.list);
	vec_free(&asks.list);
	return r;
}
