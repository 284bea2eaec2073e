/* SPDX-License-Identifier: Apache-2.0 */
/* Why there is nothing: see nothing.h. */
#include "cli/nothing.h"

#include <inttypes.h>
#include <string.h>

#include "base/own.h"
#include "cli/command.h"
#include "cli/names.h"
#include "cli/when.h"
#include "filter/filter.h"
#include "object/filterplace.h"

/* "shop/page" of an object, or "page" of one without a namespace. */
static void path_of(struct buf *b, const struct live_name *n)
{
	buf_printf(b, "%s%s%s", n->ns, *n->ns ? "/" : "", n->name);
}

static void names_at(struct live_names *out, const char *cluster, const struct filter_place *p)
{
	for (size_t i = 0; i < p->n; i++)
		names_of_kind(out, cluster, &kind_table[p->kinds[i]], NULL);
}

/* Appends the path of what has this name there; also tries all for the nearest. */
static bool find(const struct live_names *all, struct str name, struct buf *path, struct near *near)
{
	VEC_EACH (&all->list, n) {
		AUTO_BUF whole = {};

		path_of(&whole, n);
		if (str_eqz(name, n->name) || str_eq(name, buf_str(&whole))) {
			buf_adds(path, buf_str(&whole));
			return true;
		}
		near_try(near, memchr(name.p, '/', name.n) ? buf_str(&whole) : str_of(n->name));
	}
	return false;
}

static void look_up(void *ctx, const char *field, struct str name)
{
	__attribute__((cleanup(near_fini))) struct near near = {.typed = name};
	const struct filter_place *own = filter_place_of(field);
	const char *cluster = ctx;
	AUTO_BUF hint = {};
	AUTO_BUF path = {};
	AUTO_NAMES all = {0};

	if (!own)
		return;
	names_at(&all, cluster, own);
	if (find(&all, name, &path, &near))
		return;
	for (size_t i = 0; i < FILTER_PLACES && !hint.n; i++) {
		__attribute__((cleanup(near_fini))) struct near far = {.typed = name};
		AUTO_NAMES others = {0};

		if (&filter_places[i] == own || filter_places[i].kinds == own->kinds)
			continue;
		names_at(&others, cluster, &filter_places[i]);
		if (find(&others, name, &path, &far))
			buf_printf(&hint, "there is one as %s == %s", filter_places[i].field, path.p);
	}
	if (!hint.n && near.word.n)
		buf_printf(&hint, "did you mean %s?", near.word.p);
	cli_error(hint.n ? hint.p : NULL, "%s \"" STR_FMT "\": nothing has that name now", field,
		  STR_ARG(name));
}

void nothing_has_name(const char *cluster, const char *filter)
{
	AUTO(remarks_fini) struct remarks remarks = {};
	struct filter *f = NULL;

	if (!filter || filter_parse(&f, str_of(filter), (struct pos){}, &remarks))
		return;
	filter_names(f, look_up, (void *)(uintptr_t)cluster);
	filter_unref(&f);
}

static json_int_t number_of(const json_t *answer, const char *key)
{
	return json_integer_value(json_object_get(answer, key));
}

void nothing_of_flows(const char *cluster, const json_t *answer, const char *what, const char *filter,
		      bool timed)
{
	json_int_t kept = number_of(answer, "kept") + number_of(answer, "open"),
		   judged = number_of(answer, "judged");
	char began[WHEN_TEXT];
	bool told = false;
	json_t *node;
	size_t i;

	json_array_foreach (json_object_get(answer, "nodes"), i, node)
		told |= json_object_get(node, "age") != NULL;
	when_text(number_of(answer, "beganNs"), false, began);
	if (!told) {
		cli_error("`weft doctor` looks what is wrong", "no node has told any connection since %s",
			  began);
	} else if (!kept) {
		cli_error(NULL, "there was no connection and no drop since %s", began);
	} else if (!judged) {
		cli_error(NULL, "of the %lld records that the hub keeps since %s none is %s", (long long)kept,
			  began, timed ? "of that time" : "open");
	} else if (filter) {
		cli_error(NULL, "the filter matches none of %lld %s%s", (long long)judged, what,
			  timed ? " of that time" : "");
		nothing_has_name(cluster, filter);
	}
}
