/* SPDX-License-Identifier: Apache-2.0 */
/* Objects in the forms of -o that are no table of the server's, see get.h. */
#include "cli/get.h"

#include "base/own.h"
#include "cli/jsonpath.h"

#include <stdio.h>

void get_print_name(const struct kind_desc *k, const json_t *object)
{
	const json_t *meta = json_object_get(object, "metadata");

	printf("%s%s%s/%s\n", k->singular, *k->group ? "." : "", k->group,
	       json_string_value(json_object_get(meta, "name")) ?: "");
}

static int print_path(const char *template, const json_t *v)
{
	AUTO_BUF out = {0};
	AUTO_BUF error = {0};

	if (jsonpath_print(&out, template, v, &error)) {
		cli_error("-o jsonpath='{.items[*].metadata.name}'", "jsonpath: %s",
			  error.p ? error.p : template);
		return EXIT_USAGE;
	}
	fwrite(out.p ? out.p : "", 1, out.n, stdout);
	return EXIT_OK;
}

static int add_column(struct table *t, const char *path, const json_t *item)
{
	AUTO_JSON found = json_array();
	AUTO_BUF text = {0};
	AUTO_BUF error = {0};
	json_t *v;
	size_t i;

	if (jsonpath_find(found, path, item, &error)) {
		cli_error("-o custom-columns=NAME:.metadata.name,NODE:.spec.nodeName", "custom-columns: %s",
			  error.p);
		return -1;
	}
	json_array_foreach (found, i, v) {
		char *plain = json_is_string(v) ? NULL : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
		buf_printf(&text, "%s%s", i ? "," : "", plain ? plain : json_string_value(v) ?: "");
		free(plain);
	}
	table_cell(t, text.n ? text.p : "<none>");
	return 0;
}

/* "NAME:.metadata.name,NODE:.spec.nodeName" */
static int print_columns(const struct options_get *o, const char *spec, const json_t *v)
{
	VEC(const char *) names = {0};
	AUTO_MEM char *copy = strdup(spec);
	VEC(const char *) paths = {0};
	const json_t *items = json_object_get(v, "items");
	AUTO_JSON one = items ? NULL : json_pack("[O]", v);
	int r = copy ? 0 : -1;
	json_t *item;
	size_t i;
	AUTO_TABLE t = {0};

	for (char *next = copy, *colon; next && *next && !r;) {
		char *name = next, *comma = strchr(next, ',');
		next = comma ? comma + 1 : NULL;
		if (comma)
			*comma = 0;
		colon = strchr(name, ':');
		if (!colon) {
			cli_error("-o custom-columns=NAME:.metadata.name",
				  "custom-columns: \"%s\" has no path", name);
			r = -1;
			break;
		}
		*colon = 0;
		r = vec_push(&names, (const char *)name) || vec_push(&paths, (const char *)colon + 1) ? -1
												      : 0;
	}
	if (!r && !vec_push(&names, (const char *)NULL)) {
		table_init(&t, names.items);
		t.no_headings = o->no_headers;
	}
	json_array_foreach ((json_t *)(uintptr_t)(items ? items : one), i, item)
		VEC_EACH (&paths, p)
			r = r ? r : add_column(&t, *p, item);
	if (!r)
		table_print(&t);
	vec_free(&names);
	vec_free(&paths);
	return r ? EXIT_USAGE : EXIT_OK;
}

int get_print_value(const struct options_get *o, const json_t *v)
{
	static const char path[] = "jsonpath=", columns[] = "custom-columns=";

	if (str_starts(str_of(o->output), STR(path)))
		return print_path(o->output + sizeof(path) - 1, v);
	if (str_starts(str_of(o->output), STR(columns)))
		return print_columns(o, o->output + sizeof(columns) - 1, v);
	output_value(v, o->output);
	return EXIT_OK;
}

int get_print_objects(const struct options_get *o, const struct kind_desc *k, const json_t *v)
{
	json_t *items = json_object_get(v, "items");
	json_t *item;
	size_t i;

	if (strcmp(o->output, "name") != 0)
		return get_print_value(o, v);
	if (!items)
		get_print_name(k, v);
	json_array_foreach (items, i, item)
		get_print_name(k, item);
	return EXIT_OK;
}
