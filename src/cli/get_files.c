/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft get -f`: objects out of files, with defaults set, in every form but watch. Needs no cluster; what the
 * hub would make of them (pods of workloads, addresses) is not made.
 */
#include "cli/get.h"

#include "base/own.h"
#include "cli/names.h"
#include "cli/output.h"
#include "cli/world.h"

#include <stdio.h>

/* The kind's objects that were asked for. */
static int choose(const struct options_get *o, const struct store *s, const struct get_ask *a,
		  const struct label_selector *labels, struct object_refs *out)
{
	const struct kind_desc *k = a->k;
	struct object_refs all = {0};
	struct str ns = str_of(o->all_ns || !k->namespaced ? NULL : o->ns ? o->ns : "default");
	int r = store_list(s, k->kind, ns, &all);

	for (size_t i = 0; !r && i < all.list.len; i++) {
		const struct object *x = all.list.items[i];
		if ((!a->name || str_eqz(x->meta.name, a->name)) &&
		    (!labels || selector_matches(labels, &x->meta.labels)))
			r = vec_push(&out->list, x);
	}
	vec_free(&all.list);
	return r;
}

static json_t *as_json(const struct object *x)
{
	AUTO_BUF b = {0};

	object_print_json(&b, x, PRINT_REDACT);
	json_t *v = b.failed ? NULL : json_loadb(b.p, b.n, 0, NULL);
	/* A store's own count, not the file's word. */
	json_object_del(json_object_get(v, "metadata"), "resourceVersion");
	return v;
}

static void print_table(const struct options_get *o, const struct kind_desc *k,
			const struct object_refs *refs)
{
	static const char *const headings[] = {"NAMESPACE", "NAME", "LABELS", "FROM", NULL};
	bool with_ns = o->all_ns && k->namespaced;
	AUTO_TABLE t;

	table_init(&t, headings + !with_ns);
	t.no_headings = o->no_headers;
	VEC_EACH (&refs->list, x) {
		const struct strmap *labels = &(*x)->meta.labels;
		AUTO_BUF text = {0};
		AUTO_BUF from = {0};
		for (size_t i = 0; i < labels->len; i++)
			buf_printf(&text, "%s" STR_FMT "=" STR_FMT, i ? "," : "",
				   STR_ARG(labels->items[i].key), STR_ARG(labels->items[i].value));
		pos_print(&from, (*x)->pos);
		if (with_ns)
			table_cellf(&t, STR_FMT, STR_ARG((*x)->meta.ns));
		table_cellf(&t, STR_FMT, STR_ARG((*x)->meta.name));
		table_cell(&t, text.n ? text.p : "<none>");
		table_cell(&t, from.p);
	}
	table_print(&t);
}

static void print_kind(const struct options_get *o, const struct kind_desc *k, const struct object_refs *refs,
		       json_t *all)
{
	if (get_table(o)) {
		print_table(o, k, refs);
		return;
	}
	VEC_EACH (&refs->list, x) {
		json_t *v = as_json(*x);
		if (!strcmp(o->output, "name")) {
			get_print_name(k, v);
			json_decref(v);
		} else {
			json_array_append_new(all, v);
		}
	}
}

/* One object alone as itself, more as a List. */
static int print_all(const struct options_get *o, bool alone, json_t *all)
{
	if (alone && json_array_size(all) == 1)
		return get_print_value(o, json_array_get(all, 0));
	AUTO_JSON list = json_pack("{s:s,s:s,s:O}", "apiVersion", "v1", "kind", "List", "items", all);
	return get_print_value(o, list);
}

/* Of files, an object that is not there has the nearest name of its kind there. */
static void tell_missing(const struct options_get *o, const struct store *s, const struct get_ask *a)
{
	__attribute__((cleanup(near_fini))) struct near near = {.typed = str_of(a->name)};
	struct object_refs all = {0};
	AUTO_BUF hint = {0};

	(void)store_list(s, a->k->kind, (struct str){0}, &all);
	VEC_EACH (&all.list, x)
		if (str_eqz((*x)->meta.name, a->name))
			buf_printf(&hint, "there is one in namespace " STR_FMT, STR_ARG((*x)->meta.ns));
		else
			near_try(&near, (*x)->meta.name);
	if (!hint.n && near.word.n)
		buf_printf(&hint, "did you mean %s?", near.word.p);
	vec_free(&all.list);
	cli_error(hint.n ? hint.p : NULL, "%s has no %s \"%s\"", o->files, a->k->singular, a->name);
}

int get_from_files(const struct options_get *o, const struct get_asks *asks)
{
	const struct world_files files = {.paths = &o->files, .n = 1, .max_file = (size_t)o->max_file};
	struct label_selector *labels = NULL;
	AUTO_ARENA arena = {0};
	AUTO_JSON all = json_array();
	struct store *s = NULL;
	const char *why = NULL;
	size_t shown = 0;
	int r = EXIT_OK;

	if (o->selector && selector_parse(&arena, str_of(o->selector), &labels, &why)) {
		cli_error("app=web, tier in (a,b), !old", "--selector: %s", why);
		return EXIT_USAGE;
	}
	if (world_from_files(&s, &files))
		return EXIT_FAILED;
	VEC_EACH (&asks->list, a) {
		struct object_refs refs = {0};
		r |= choose(o, s, a, labels, &refs) ? EXIT_FAILED : EXIT_OK;
		if (refs.list.len && asks->list.len > 1 && !a->name && get_table(o))
			printf("%s%s%s%s\n", shown ? "\n" : "", output_style(STYLE_DIM), a->k->plural,
			       output_style(STYLE_PLAIN));
		if (refs.list.len)
			print_kind(o, a->k, &refs, all);
		else if (a->name) {
			tell_missing(o, s, a);
			r = EXIT_FAILED;
		}
		shown += refs.list.len;
		vec_free(&refs.list);
	}
	if (!get_table(o) && strcmp(o->output, "name") != 0)
		r |= print_all(o, asks->list.len == 1 && asks->list.items[0].name, all);
	else if (!shown && !r)
		fprintf(stderr, "No such objects in %s.\n", o->files);
	store_free(&s);
	return r;
}
