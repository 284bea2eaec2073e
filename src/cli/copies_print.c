/* SPDX-License-Identifier: Apache-2.0 */
/* The document of `weft why --copy` as text. Reads the document only. */
#include "cli/copies.h"

#include <stdio.h>

#include "base/own.h"
#include "cli/output.h"

static const char *text(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name)) ?: "";
}

static bool flag(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name));
}

static void print_place(const json_t *at)
{
	if (*text(at, "at"))
		printf("  %s%s%s", output_style(STYLE_DIM), text(at, "at"), output_style(STYLE_PLAIN));
	putchar('\n');
}

/* What its filters say: the one that matches, or all that do not. */
static void print_filters(const json_t *map)
{
	json_t *f;
	size_t i;

	json_array_foreach (json_object_get(map, "filters"), i, f) {
		if (flag(map, "takes") && !flag(f, "matches"))
			continue;
		printf("      %s: %s", flag(f, "matches") ? "matches" : "does not match", text(f, "terms"));
		print_place(f);
	}
}

static const char *because(const json_t *place, const json_t *map, struct buf *b)
{
	const char *why = text(map, "why"), *fate = text(place, "fate");

	if (!strcmp(why, "direction"))
		buf_printf(b, "it asks for the other direction; this goes %s", text(place, "direction"));
	else if (!strcmp(why, "fate"))
		buf_printf(b, "this was %s, and it asks for packets that were %s", fate,
			   strcmp(fate, "dropped") ? "dropped" : "forwarded");
	else if (!strcmp(why, "except"))
		buf_printf(b, "%s took it, which this map leaves out", text(map, "other"));
	else if (!strcmp(why, "rest"))
		buf_printf(b, "it takes the rest, and %s took this", text(map, "other"));
	else
		buf_addz(b, "none of its filters matches");
	return b->p ? b->p : "";
}

static void print_map(const json_t *place, const json_t *map)
{
	bool takes = flag(map, "takes");
	AUTO_BUF b = {0};

	printf("    %s%s %s%s", output_style(takes ? STYLE_GREEN : STYLE_DIM), takes ? "takes " : "leaves",
	       text(map, "map"), output_style(STYLE_PLAIN));
	if (!takes)
		printf(": %s", because(place, map, &b));
	else if (flag(map, "rest"))
		printf(": no other map took it");
	else if (!json_object_get(map, "filters"))
		printf(": it has no filter, so it takes everything");
	print_place(map);
	print_filters(map);
}

/* "web, all" */
static void print_names(const json_t *names)
{
	json_t *v;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)names, i, v)
		printf("%s%s", i ? ", " : "", json_string_value(v) ?: "");
}

static void print_tool(const json_t *t)
{
	printf("    → %s/%s (%s%s%s) through ", text(t, "tool"), text(t, "port"), text(t, "kind"),
	       *text(t, "on") ? " of " : "", text(t, "on"));
	print_names(json_object_get(t, "maps"));
	if (*text(t, "group"))
		printf(", chosen by group %s", text(t, "group"));
	if (*text(t, "does"))
		printf("; does: %s", text(t, "does"));
	if (json_object_get(t, "mtu"))
		printf("; drops what is larger than %lld bytes",
		       (long long)json_integer_value(json_object_get(t, "mtu")));
	if (json_is_false(json_object_get(t, "taking")))
		printf("; %sit takes nothing now%s", output_style(STYLE_RED), output_style(STYLE_PLAIN));
	print_place(t);
}

static void print_elsewhere(const json_t *place)
{
	json_t *m;
	size_t i, n = 0;

	json_array_foreach (json_object_get(place, "maps"), i, m) {
		if (strcmp(text(m, "why"), "source") != 0)
			continue;
		printf("%s%s", n++ ? ", " : "    do not look here: ", text(m, "map"));
	}
	if (n)
		putchar('\n');
}

static void print_seen(const json_t *p)
{
	json_t *v;
	size_t i;

	printf("%sat %s %s%s", output_style(STYLE_BOLD), text(p, "kind"), text(p, "place"),
	       output_style(STYLE_PLAIN));
	if (*text(p, "node"))
		printf(" (%s)", text(p, "node"));
	if (strcmp(text(p, "direction"), "either") != 0)
		printf(", %s", text(p, "direction"));
	printf(", %s: %s", text(p, "fate"), text(p, "packet"));
	if (*text(p, "carries"))
		printf(", which carries %s", text(p, "carries"));
	if (!strncmp(text(p, "way"), "packet", 6))
		printf(", %s", text(p, "way"));
	putchar('\n');
	if (!flag(p, "whole"))
		printf("    its headers are cut short or contradict themselves: judged by what is there\n");
	json_array_foreach (json_object_get(p, "maps"), i, v)
		if (strcmp(text(v, "why"), "source") != 0)
			print_map(p, v);
	print_elsewhere(p);
	json_array_foreach (json_object_get(p, "groups"), i, v)
		if (flag(v, "down"))
			printf("    %s→ group %s: no member takes anything, and there is no standby: counted "
			       "as down%s\n",
			       output_style(STYLE_RED), text(v, "group"), output_style(STYLE_PLAIN));
	json_array_foreach (json_object_get(p, "tools"), i, v)
		print_tool(v);
	if (!json_array_size(json_object_get(p, "tools")))
		printf("    no tool gets a copy\n");
}

static void print_question(const json_t *doc)
{
	json_t *p;
	size_t i, n = 0;

	json_array_foreach (json_object_get(doc, "places"), i, p)
		n += json_array_size(json_object_get(p, "tools"));
	if (*text(doc, "capture") || *text(doc, "at"))
		printf("%zu cop%s\n", n, n == 1 ? "y" : "ies");
	else
		printf(
		    "%s from %s to %s, which is %s: its first packets give %zu cop%s (judged as if from port "
		    "%lld)\n",
		    text(doc, "protocol"), text(json_object_get(doc, "from"), "name"),
		    text(json_object_get(doc, "to"), "name"), flag(doc, "allowed") ? "allowed" : "refused", n,
		    n == 1 ? "y" : "ies", (long long)json_integer_value(json_object_get(doc, "sourcePort")));
}

void copies_print(const json_t *doc)
{
	json_t *v;
	size_t i;

	if (!json_integer_value(json_object_get(doc, "maps"))) {
		printf("There are no maps: nothing is copied.\n");
		return;
	}
	print_question(doc);
	json_array_foreach (json_object_get(doc, "places"), i, v)
		print_seen(v);
	if (!json_array_size(json_object_get(doc, "places")))
		printf("No place that can be told sees it.\n");
	json_array_foreach (json_object_get(doc, "unknown"), i, v)
		printf("%snote:%s %s\n", output_style(STYLE_YELLOW), output_style(STYLE_PLAIN),
		       json_string_value(v) ?: "");
}
