/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the compiler over a store as a node's planner would, without a node. Used by plan, reach and scenes.
 */
#include "cli/judge.h"

#include "base/own.h"
#include "cli/command.h"
#include "cli/output.h"
#include "hub/offline.h"

#include <stdio.h>

enum { UPLINK_MTU = 1500 };

static int tell_all(struct compiler *c, const struct store *s)
{
	int r = 0;

	for (int k = 0; k < KIND_COUNT && !r; k++) {
		struct object_refs refs = {0};
		r = store_list(s, (enum kind)k, (struct str){0}, &refs);
		for (size_t i = 0; !r && i < refs.list.len; i++)
			r = compiler_tell(c, NULL, refs.list.items[i]);
		vec_free(&refs.list);
	}
	return r;
}

static int compile_node(struct compiler **out, const struct store *s, struct str node, uint32_t mode,
			struct remarks *rs)
{
	struct compile_config cfg = {.node = node, .mode = mode, .mtu = UPLINK_MTU};
	struct plan_delta delta = {0};
	int r;

	cluster_service_ranges(&cfg.services4, &cfg.services6);
	r = compiler_new(out, &cfg);
	if (!r)
		r = tell_all(*out, s);
	if (!r) {
		compiler_wire_all(*out);
		r = compiler_run(*out, &delta, rs);
	}
	plan_delta_fini(&delta);
	return r;
}

static int judge(struct compiler **out, const struct store *s, struct str node, uint32_t mode, bool quiet)
{
	struct remarks rs = {0};
	struct compiler *c = NULL;
	int r = compile_node(&c, s, node, mode, &rs);

	remarks_sort(&rs);
	if (!quiet)
		remarks_print(stderr, &rs, *output_style(STYLE_BOLD) && isatty(STDERR_FILENO));
	remarks_fini(&rs);
	if (r) {
		cli_error(NULL, "cannot compile for node " STR_FMT ": %s", STR_ARG(node), strerror(-r));
		compiler_free(&c);
		return -1;
	}
	*out = c;
	return 0;
}

int judge_compile(struct compiler **out, const struct store *s, struct str node, uint32_t mode)
{
	return judge(out, s, node, mode, false);
}

int judge_compile_quietly(struct compiler **out, const struct store *s, struct str node, uint32_t mode)
{
	return judge(out, s, node, mode, true);
}

static int add_node(struct verdict_table *t, const struct store *s, struct str node)
{
	struct remarks rs = {0}; /* told where a plan is asked for */
	struct compiler *c = NULL;
	struct plan plan = {0};
	int r = compile_node(&c, s, node, 0, &rs);

	if (!r)
		r = compiler_plan(c, &plan);
	if (!r)
		r = verdict_table_add(t, &plan);
	vec_free(&plan.rows);
	compiler_free(&c);
	remarks_fini(&rs);
	return r;
}

int judge_nodes(struct verdict_table **out, const struct store *s)
{
	struct object_refs nodes = {0};
	int r = verdict_table_new(out);

	if (!r)
		r = store_list(s, KIND_node, (struct str){0}, &nodes);
	for (size_t i = 0; !r && i < nodes.list.len; i++)
		r = add_node(*out, s, nodes.list.items[i]->meta.name);
	vec_free(&nodes.list);
	if (r) {
		cli_error(NULL, "cannot compile: %s", strerror(-r));
		verdict_table_free(out);
		return -1;
	}
	return 0;
}
