/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft reach`: collects, judges, tries, prints. The parts stand in reach_*.c.
 */
#include "cli/reach.h"

#include "base/clock.h"
#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/overlay.h"
#include "cli/world.h"

#include <stdio.h>

enum { OFFLINE_NODES = 2 };

static void count(const struct reach *r, size_t *tries, size_t *yes)
{
	*tries = *yes = 0;
	for (size_t i = 0; i < r->callers.len * r->targets.len; i++)
		for (int f = 0; f < REACH_FAMILIES; f++) {
			uint8_t a = r->tried ? r->cells[i].seen[f] : r->cells[i].model[f];
			*tries += a != REACH_NOT_TRIED;
			*yes += a == REACH_YES;
		}
}

static void print_summary(const struct reach *r, uint64_t us)
{
	size_t tries, yes, differ = reach_disagreements(r);

	count(r, &tries, &yes);
	printf("\n%zu callers, %zu targets: %zu of %zu %s ", r->callers.len, r->targets.len, yes, tries,
	       r->tried ? "tries by real packets were answered" : "pairs are allowed");
	if (!r->tried) {
		printf("(the model's word; no packet was sent).\n");
	} else {
		printf("(%.1f s). ", (double)us / 1e6);
		if (!differ)
			printf("The model says the same.\n");
	}
	if (r->skipped)
		printf("%zu pod%s left out, without address or not running: %s.\n", r->skipped,
		       r->skipped == 1 ? " was" : "s were", r->skipped_names.p ? r->skipped_names.p : "");
	if (differ)
		printf("%sThe model and the packets differ in %zu places, marked (!what the model says).%s A "
		       "policy is "
		       "not in force as it is written: please report it with `weft reach --ports` and `weft "
		       "plan`.\n",
		       output_style(STYLE_RED), differ, output_style(STYLE_PLAIN));
}

static int show(const struct options_reach *o, const struct reach *r, uint64_t us)
{
	if (o->output && !strcmp(o->output, "json")) {
		AUTO_JSON v = reach_json(r);
		output_value(v, "json");
	} else if (o->ports) {
		reach_print_list(r);
		print_summary(r, us);
	} else {
		reach_print_table(r, o->output != NULL);
		print_summary(r, us);
	}
	return reach_disagreements(r) ? EXIT_FAILED : EXIT_OK;
}

static int load(struct store **s, const struct options_reach *o, const char *name)
{
	const struct world_files files = {
	    .paths = &o->offline, .n = 1, .nodes = OFFLINE_NODES, .max_file = (size_t)o->max_file};
	const struct overlay changes = {.over = o->over,
					.without = o->without.items,
					.without_n = o->without.n,
					.max_file = (size_t)o->max_file};

	if ((o->over || o->without.n) && !o->model) {
		cli_error("weft reach --model --over FILE",
			  "--over and --without are for what is not there: no packet can try it");
		return -1;
	}
	if (o->offline)
		return world_from_files(s, &files);
	return world_from_cluster(s, name) || overlay_lay(*s, &changes) ? -1 : 0;
}

int cmd_reach(const struct options_reach *o)
{
	bool packets = !o->offline && !o->model;
	const struct reach_filter filter = {
	    .from = o->from, .to = o->to, .ns = o->ns, .need_running = !o->offline};
	const char *name = cluster_name(o->name);
	struct store *s = NULL;
	struct reach r = {0};

	if (!name)
		return EXIT_USAGE;
	if (!o->offline && !cluster_need(name))
		return EXIT_FAILED;
	if (load(&s, o, name)) {
		store_free(&s);
		return EXIT_FAILED;
	}
	uint64_t began = clock_us();
	int e = reach_collect(&r, s, &filter);
	if (!e && !r.targets.len) {
		cli_error(NULL, "no pod declares a port: there is nobody to reach");
		e = -1;
	}
	if (!e)
		e = reach_judge(&r, s);
	if (!e && packets)
		e = reach_try(&r, name, o->timeout);
	int result = e ? EXIT_FAILED : show(o, &r, clock_us() - began);
	reach_fini(&r);
	store_free(&s);
	return result;
}
