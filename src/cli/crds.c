/* SPDX-License-Identifier: Apache-2.0 */
/* `weft crds`: Weft's own kinds as CustomResourceDefinitions, from the same tables as everything else. */
#include "base/own.h"
#include "cli/command.h"
#include "cli/output.h"
#include "object/schema.h"

#include <stdio.h>

static int print_one(const struct kind_desc *k, const char *format)
{
	AUTO_BUF text = {0};
	AUTO_BUF yaml = {0};
	schema_crd(&text, k);
	AUTO_JSON v = text.failed ? NULL : json_loadb(text.p, text.n, 0, NULL);
	if (!v) {
		cli_error(NULL, "out of memory");
		return EXIT_FAILED;
	}
	if (format && !strcmp(format, "json")) {
		output_value(v, format);
		return EXIT_OK;
	}
	yaml_print(&yaml, v, 0);
	printf("---\n" STR_FMT, STR_ARG(buf_str(&yaml)));
	return EXIT_OK;
}

static bool is_ours(const struct kind_desc *k)
{
	return str_eqz(str_of(k->group), "weft.network");
}

int cmd_crds(const struct options_crds *o)
{
	int r = EXIT_OK;
	for (size_t i = 0; i < KIND_COUNT && !o->n_args; i++)
		if (is_ours(&kind_table[i]) && r == EXIT_OK)
			r = print_one(&kind_table[i], o->output);
	for (int i = 0; i < o->n_args && r == EXIT_OK; i++) {
		const struct kind_desc *k = kind_by_name(str_of(o->args[i]));
		if (!k || !is_ours(k)) {
			cli_error(NULL,
				  k ? "%s is a kind of Kubernetes' own: clusters have it"
				    : "there is no kind \"%s\"",
				  k ? k->name : o->args[i]);
			return EXIT_USAGE;
		}
		r = print_one(k, o->output);
	}
	return r;
}
