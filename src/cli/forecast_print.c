/* SPDX-License-Identifier: Apache-2.0 */
/* The document of `weft plan --traffic` as text. */
#include <stdio.h>

#include "base/own.h"
#include "cli/flowask.h"
#include "cli/forecast.h"
#include "cli/output.h"

static const char *text(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name)) ?: "";
}

static void amount(struct table *t, const json_t *tool, const char *key)
{
	AUTO_BUF b = {0};

	if (json_object_get(tool, "least") && strcmp(key, "bitsNow") != 0)
		buf_addz(&b, "≥ ");
	flow_amount(&b, json_number_value(json_object_get(tool, key)));
	table_cell(t, b.p ? b.p : "");
}

static void row(struct table *t, const json_t *tool)
{
	json_int_t capacity = json_integer_value(json_object_get(tool, "capacity"));
	double peak = json_number_value(json_object_get(tool, "peakBits"));

	table_cellf(t, "%s/%s", text(tool, "tool"), text(tool, "port"));
	amount(t, tool, "bitsNow");
	amount(t, tool, "bits");
	amount(t, tool, "packets");
	amount(t, tool, "peakBits");
	if (!capacity) {
		table_cell(t, "–");
		return;
	}
	AUTO_BUF b = {0};
	buf_printf(&b, "%.0f %% of ", peak / (double)capacity * 100);
	flow_amount(&b, (double)capacity);
	if (json_object_get(tool, "full"))
		buf_addz(&b, ": TOO SMALL");
	table_cell_styled(t, json_object_get(tool, "full") ? STYLE_RED : STYLE_PLAIN, b.p ? b.p : "");
}

static void lines(const json_t *doc, const char *key, const char *before)
{
	json_t *v;
	size_t i;

	json_array_foreach (json_object_get(doc, key), i, v)
		printf("%s%s\n", before, json_string_value(v) ?: "");
}

void forecast_show(const json_t *doc)
{
	static const char *const headings[] = {"TOOL",	   "NOW BIT/S", "PLANNED BIT/S", "PACKETS/S", "PEAK",
					       "CAPACITY", NULL};
	AUTO_TABLE t = {0};
	json_t *tool;
	size_t i;

	printf("By the traffic of the last %.0f s (the peak is of %.1f s):\n",
	       json_number_value(json_object_get(doc, "seconds")),
	       json_number_value(json_object_get(doc, "intervalSeconds")));
	table_init(&t, headings);
	json_array_foreach (json_object_get(doc, "tools"), i, tool)
		row(&t, tool);
	table_print(&t);
	lines(doc, "overlaps", "");
	lines(doc, "unknown", "note: ");
}
