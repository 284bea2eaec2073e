/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft plan`: manifests → objects → each node's rows as text. Applies nothing and needs no privileges.
 */
#include "base/own.h"
#include "cli/command.h"
#include "cli/forecast.h"
#include "cli/judge.h"
#include "cli/output.h"
#include "cli/world.h"
#include "compile/compile.h"
#include "seam/config.h"

#include <stdio.h>

static int print_node(const struct store *s, const struct object *node, uint32_t mode)
{
	struct compiler *c = NULL;
	struct plan p = {0};
	AUTO_BUF text = {0};

	if (judge_compile(&c, s, node->meta.name, mode))
		return EXIT_FAILED;
	int r = compiler_plan(c, &p);
	if (!r) {
		plan_print(&text, &p, compiler_names(c));
		printf("%s# node " STR_FMT ": %zu rows%s\n", output_style(STYLE_BOLD),
		       STR_ARG(node->meta.name), p.rows.len, output_style(STYLE_PLAIN));
		if (text.n)
			fwrite(text.p, 1, text.n, stdout);
	}
	vec_free(&p.rows);
	compiler_free(&c);
	if (r || text.failed)
		cli_error(NULL, "out of memory");
	return r || text.failed ? EXIT_FAILED : EXIT_OK;
}

int cmd_plan(const struct options_plan *o)
{
	const struct world_files files = {.paths = o->args,
					  .n = (size_t)o->n_args,
					  .nodes = (unsigned)o->nodes,
					  .max_file = (size_t)o->max_file};
	uint32_t mode = o->mode && !strcmp(o->mode, "routes") ? MODE_ROUTES : MODE_VXLAN;
	struct object_refs nodes = {0};
	struct store *s = NULL;
	bool any = false;
	int r = EXIT_OK;

	if (!o->n_args && !o->without.n) {
		cli_error("weft plan DIR; weft help plan", "plan needs manifests");
		return EXIT_USAGE;
	}
	if (o->traffic)
		return plan_traffic(o);
	if (o->without.n) {
		cli_error(NULL, "--without is about the packet broker: it needs --traffic");
		return EXIT_USAGE;
	}
	if (world_from_files(&s, &files))
		return EXIT_FAILED;
	if (store_list(s, KIND_node, (struct str){0}, &nodes))
		r = EXIT_FAILED;
	VEC_EACH (&nodes.list, n) {
		if (o->node && !str_eqz((*n)->meta.name, o->node))
			continue;
		if (any)
			putchar('\n');
		any = true;
		r |= print_node(s, *n, mode);
	}
	if (!any && o->node) {
		cli_error("nodes are named node-1, node-2, … unless the manifests bring their own",
			  "there is no node \"%s\"", o->node);
		r = EXIT_FAILED;
	}
	vec_free(&nodes.list);
	store_free(&s);
	return r;
}
