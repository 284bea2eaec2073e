/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft drops`: what each node's observer has counted as dropped, by pod and reason: of policy drops the
 * policies or the rule with file and line, of others the advice of tables/drops.def. Counts nothing itself; a
 * node whose observer does not answer is named, never shown as zero. With a filter or a time it is the
 * records of drops that are counted: see drops_found.c.
 */
#include "base/own.h"
#include "cli/causes.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/drops.h"
#include "cli/names.h"
#include "cli/output.h"
#include "filter/filter.h"

#include <stdio.h>
#include <time.h>

const char *drops_advice(const char *reason)
{
	static const struct {
		const char *text, *advice;
	} reasons[] = {
#define DROP(id, number, text, advice) {text, advice},
#include "tables/drops.def"
#undef DROP
#define KERNEL_DROP(name, advice) {"kernel:" name, advice},
#include "tables/kernel_drops.def"
#undef KERNEL_DROP
	};

	for (size_t i = 0; reason && i < ARRAY_LEN(reasons); i++)
		if (!strcmp(reasons[i].text, reason))
			return reasons[i].advice;
	if (reason && !strncmp(reason, "kernel", 6))
		return "The kernel's own stack dropped it.";
	return "a reason of another version of Weft";
}

static bool is_wanted(const struct options_drops *o, const json_t *drop)
{
	const char *pod = json_string_value(json_object_get(drop, "pod")) ?: "";
	size_t n = o->ns ? strlen(o->ns) : 0;

	return !o->ns || (!strncmp(pod, o->ns, n) && pod[n] == '/');
}

static void tell_unknown(const char *node)
{
	cli_error("see `weft doctor`, kernel-drops", "what the kernel's own stack drops on %s is unknown",
		  node);
}

static bool asks_kernel_drops(const char *text)
{
	AUTO(remarks_fini) struct remarks remarks = {};
	struct filter *f = NULL;
	bool yes = !filter_parse(&f, str_of(text), (struct pos){}, &remarks) && filter_asks_kernel_drops(f);

	if (f)
		filter_unref(&f);
	return yes;
}

void drops_tell_kernel(const char *cluster, const char *filter, const char *only)
{
	AUTO_JSON nodes = !filter || asks_kernel_drops(filter) ? cluster_nodes(cluster) : NULL;
	json_t *node;
	size_t i;

	json_array_foreach (nodes, i, node) {
		const char *name = json_string_value(node);
		AUTO_JSON v = only && strcmp(only, name) != 0 ? NULL : observer_get(cluster, name, "/drops");

		if (v && !json_object_get(v, "kernelDrops"))
			tell_unknown(name);
	}
}

/* What the kernel's own stack dropped, behind Weft's own. */
static void add_kernel(const char *node, const json_t *v)
{
	json_t *list = json_object_get(v, "kernelDrops");

	if (list)
		json_array_extend(json_object_get(v, "drops"), list);
	else
		tell_unknown(node);
}

/* Drops of one node appended to list; false when its observer does not answer. */
static bool collect_node(const struct options_drops *o, const char *name, const char *node, bool kernel,
			 json_t *list)
{
	AUTO_JSON v = observer_get(name, node, "/drops");
	AUTO_JSON mine = json_array();
	json_t *drop;
	size_t i;

	if (!v)
		return false;
	if (kernel)
		add_kernel(node, v);
	json_array_foreach (json_object_get(v, "drops"), i, drop) {
		if (!is_wanted(o, drop))
			continue;
		json_object_set_new(drop, "node", json_string(node));
		json_object_set_new(
		    drop, "advice",
		    json_string(drops_advice(json_string_value(json_object_get(drop, "reason")))));
		json_array_append(mine, drop);
	}
	causes_join(name, node, mine);
	json_array_extend(list, mine);
	return true;
}

int drops_collect(const struct options_drops *o, const char *name, bool kernel, json_t *list)
{
	AUTO_JSON nodes = cluster_nodes(name);
	int silent = 0, asked = 0;
	json_t *v;
	size_t i;

	json_array_foreach (nodes, i, v) {
		const char *node = json_string_value(v);
		if (o->node && strcmp(o->node, node) != 0)
			continue;
		asked++;
		if (!collect_node(o, name, node, kernel, list)) {
			silent++;
			cli_error("its drops are unknown, not none", "the observer of %s does not answer",
				  node);
		}
	}
	if (!asked) {
		AUTO_BUF hint = {0};
		if (o->node)
			names_hint_node(&hint, name, o->node);
		cli_error(hint.p, "there is no node%s%s", o->node ? " " : "", o->node ? o->node : "");
		return EXIT_FAILED;
	}
	return silent ? EXIT_FAILED : EXIT_OK;
}

static void show(const struct options_drops *o, const json_t *list)
{
	static const char *const narrow[] = {"NODE", "POD", "DIRECTION", "REASON", "PACKETS", "WHY", NULL};
	static const char *const wide[] = {"NODE",    "POD",   "DIRECTION", "REASON",
					   "PACKETS", "BYTES", "WHY",	    NULL};
	bool is_wide = o->output && !strcmp(o->output, "wide");
	AUTO_TABLE t = {0};
	json_t *d;
	size_t i;

	if (!json_array_size(list)) {
		printf("Nothing was dropped.\n");
		return;
	}
	table_init(&t, is_wide ? wide : narrow);
	json_array_foreach ((json_t *)(uintptr_t)list, i, d) {
		table_cell(&t, json_string_value(json_object_get(d, "node")));
		table_cell(&t, json_string_value(json_object_get(d, "pod")) ?: "–");
		table_cell(&t, json_string_value(json_object_get(d, "direction")) ?: "–");
		table_cell_styled(&t, STYLE_YELLOW, json_string_value(json_object_get(d, "reason")));
		table_cellf(&t, "%lld", (long long)json_integer_value(json_object_get(d, "packets")));
		if (is_wide)
			table_cellf(&t, "%lld", (long long)json_integer_value(json_object_get(d, "bytes")));
		AUTO_BUF why = {0};
		cause_print(&why, d);
		table_cell(&t, why.n ? why.p : json_string_value(json_object_get(d, "advice")));
	}
	table_print(&t);
}

static int counted(const struct options_drops *o, const char *name)
{
	AUTO_JSON list = json_array();
	int r = drops_collect(o, name, true, list);

	if (o->output && strcmp(o->output, "wide") != 0)
		output_value(list, o->output);
	else if (!r || json_array_size(list))
		show(o, list);
	return r;
}

int cmd_drops(const struct options_drops *o)
{
	const char *name = cluster_name(o->name);
	int r;

	if (!name)
		return EXIT_USAGE;
	if (!cluster_need(name))
		return EXIT_FAILED;
	do {
		r = o->n_args || o->since || o->until || o->at ? drops_found(o, name) : counted(o, name);
		fflush(stdout);
		if (o->watch && r != EXIT_USAGE) {
			nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
			putchar('\n');
		}
	} while (o->watch && r != EXIT_USAGE && cluster_is_up(name));
	return r;
}
