/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft drops`: what each node's observer has counted as dropped, by pod and reason, with the advice of
 * tables/drops.def. Counts nothing itself; a node whose observer does not answer is named, never shown as
 * zero.
 */
#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/drops.h"
#include "cli/output.h"

#include <dirent.h>
#include <stdio.h>
#include <time.h>

static const struct {
	int number;
	const char *text, *advice;
} reasons[] = {
#define DROP(id, number, text, advice) {number, text, advice},
#include "tables/drops.def"
#undef DROP
};

static const char *advice_of(const json_t *drop)
{
	json_int_t number = json_integer_value(json_object_get(drop, "number"));

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].number == number)
			return reasons[i].advice;
	return "a reason of another version of Weft";
}

static bool is_wanted(const struct options_drops *o, const json_t *drop)
{
	const char *pod = json_string_value(json_object_get(drop, "pod")) ?: "";
	size_t n = o->ns ? strlen(o->ns) : 0;

	return !o->ns || (!strncmp(pod, o->ns, n) && pod[n] == '/');
}

/* Drops of one node appended to list; false when its observer does not answer. */
static bool collect_node(const struct options_drops *o, const char *name, const char *node, json_t *list)
{
	char path[CLUSTER_PATH];
	AUTO_BUF file = {0};
	AUTO_BUF body = {0};
	json_t *drop;
	size_t i;

	buf_printf(&file, "%s/observer.sock", node);
	cluster_path(path, name, file.p ? file.p : "");
	if (http_request(path, "GET", "/drops", NULL, (struct str){0}, &body) != 200)
		return false;
	AUTO_JSON v = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
	json_array_foreach (json_object_get(v, "drops"), i, drop) {
		if (!is_wanted(o, drop))
			continue;
		json_object_set_new(drop, "node", json_string(node));
		json_object_set_new(drop, "advice", json_string(advice_of(drop)));
		json_array_append(list, drop);
	}
	return v != NULL;
}

static int has_observer(const struct dirent *e)
{
	return e->d_type == DT_DIR && e->d_name[0] != '.';
}

int drops_collect(const struct options_drops *o, const char *name, json_t *list)
{
	char path[CLUSTER_PATH];
	struct dirent **found = NULL;
	int silent = 0, asked = 0;

	snprintf(path, sizeof(path), CLUSTER_RUN "/%s", name);
	int n = scandir(path, &found, has_observer, alphasort);
	for (int i = 0; i < n; i++) {
		const char *node = found[i]->d_name;
		AUTO_BUF socket_path = {0};
		buf_printf(&socket_path, "%s/%s/agent.sock", path, node);
		bool is_node = !socket_path.failed && !access(socket_path.p, F_OK);
		if (is_node && (!o->node || !strcmp(o->node, node))) {
			asked++;
			if (!collect_node(o, name, node, list)) {
				silent++;
				cli_error("its drops are unknown, not none",
					  "the observer of %s does not answer", node);
			}
		}
		free(found[i]);
	}
	free(found);
	if (!asked) {
		cli_error(NULL, "there is no node%s%s", o->node ? " " : "", o->node ? o->node : "");
		return EXIT_FAILED;
	}
	return silent ? EXIT_FAILED : EXIT_OK;
}

static void show(const struct options_drops *o, const json_t *list)
{
	static const char *const narrow[] = {"NODE",	"POD",		 "DIRECTION", "REASON",
					     "PACKETS", "WHAT IT MEANS", NULL};
	static const char *const wide[] = {"NODE",    "POD",   "DIRECTION",	"REASON",
					   "PACKETS", "BYTES", "WHAT IT MEANS", NULL};
	bool is_wide = o->output && !strcmp(o->output, "wide");
	AUTO_TABLE t;
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
		table_cell(&t, json_string_value(json_object_get(d, "advice")));
	}
	table_print(&t);
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
		AUTO_JSON list = json_array();
		r = drops_collect(o, name, list);
		if (o->output && strcmp(o->output, "wide") != 0)
			output_value(list, o->output);
		else if (!r || json_array_size(list))
			show(o, list);
		fflush(stdout);
		if (o->watch) {
			nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
			putchar('\n');
		}
	} while (o->watch && cluster_is_up(name));
	return r;
}
