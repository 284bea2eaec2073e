/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the compiler over a store as a node's planner would, without a node. Used by plan and reach.
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

int judge_compile(struct compiler **out, const struct store *s, struct str node, uint32_t mode)
{
	struct compile_config cfg = {.node = node, .mode = mode, .mtu = UPLINK_MTU};
	struct plan_delta delta = {0};
	struct remarks rs = {0};
	struct compiler *c = NULL;
	int r;

	cluster_service_ranges(&cfg.services4, &cfg.services6);
	r = compiler_new(&c, &cfg);
	if (!r)
		r = tell_all(c, s);
	if (!r) {
		compiler_wire_all(c);
		r = compiler_run(c, &delta, &rs);
	}
	remarks_sort(&rs);
	remarks_print(stderr, &rs, *output_style(STYLE_BOLD) && isatty(STDERR_FILENO));
	remarks_fini(&rs);
	plan_delta_fini(&delta);
	if (r) {
		cli_error(NULL, "cannot compile for node " STR_FMT ": %s", STR_ARG(node), strerror(-r));
		compiler_free(&c);
		return -1;
	}
	*out = c;
	return 0;
}
