/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft run`: asks the running sandbox to put a command in place of a stand-in, or the stand-in back. What it
 * may do is the sandbox's matter.
 */
#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"

#include <stdio.h>
#include <string.h>

static int take_number(void *ctx, const json_t *line)
{
	*(json_int_t *)ctx = json_integer_value(json_object_get(line, "containers"));
	return 1;
}

static int run_one(const struct options_run *o, const char *cluster, const char *word)
{
	const char *is = strchr(word, '='), *slash = is ? memchr(word, '/', (size_t)(is - word)) : NULL;
	AUTO_BUF text = {0};
	json_int_t n = 0;

	if (!is || is == word) {
		cli_error("weft run shop/page='python3 -m http.server 8080'",
			  "\"%s\" is no [NAMESPACE/]POD-OR-WORKLOAD[:CONTAINER]=COMMAND", word);
		return EXIT_USAGE;
	}
	if (!slash)
		buf_printf(&text, "%s/", o->ns ? o->ns : "default");
	buf_addz(&text, word);
	if (text.failed)
		return EXIT_FAILED;
	AUTO_JSON request = json_pack("{s:s,s:s}", "op", "run", "run", text.p);
	if (!request || control_request(cluster, request, take_number, &n) != 1)
		return EXIT_FAILED;
	printf("%.*s: %lld container%s start%s %s\n", (int)(is - word), word, (long long)n, n == 1 ? "" : "s",
	       n == 1 ? "s" : "", is[1] ? "that command" : "the stand-in");
	return EXIT_OK;
}

int cmd_run(const struct options_run *o)
{
	const char *cluster = cluster_name(o->name);
	int r = EXIT_OK;

	if (!cluster)
		return EXIT_USAGE;
	if (!cluster_need(cluster))
		return EXIT_FAILED;
	for (int i = 0; i < o->n_args && !r; i++)
		r = run_one(o, cluster, o->args[i]);
	return r;
}
