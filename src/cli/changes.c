/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft changes`, `weft undo` and `weft manifests`: what was changed by whom, the way back, and all objects
 * as manifests. The hub keeps and judges it; nothing is changed here.
 */
#include <stdio.h>
#include <time.h>

#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"
#include "source/linediff.h"

#define INTERNAL "/apis/weft.network/internal/"

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));
	return text ? text : "";
}

static void print_time(char out[32], const json_t *step)
{
	time_t at = (time_t)(json_integer_value(json_object_get(step, "at")) / 1000);
	struct tm tm;
	if (!localtime_r(&at, &tm) || !strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm))
		*out = 0;
}

static void add_object(struct buf *b, const json_t *o)
{
	const char *ns = text_of(o, "namespace");
	buf_printf(b, "%s %s%s%s %s", text_of(o, "kind"), ns, *ns ? "/" : "", text_of(o, "name"),
		   text_of(o, "verb"));
}

/* "Deployment shop/web changed, and 3 more". */
static void add_objects(struct buf *b, const json_t *step)
{
	const json_t *list = json_object_get(step, "objects");
	size_t n = json_array_size(list) + (size_t)json_integer_value(json_object_get(step, "more"));
	if (!n)
		return;
	add_object(b, json_array_get(list, 0));
	if (n > 1)
		buf_printf(b, ", and %zu more", n - 1);
}

/* What it is called, and what became of it. */
static void add_title(struct buf *b, const json_t *step)
{
	const json_t *undoes = json_object_get(step, "undoes"), *undone = json_object_get(step, "undone");
	const char *name = text_of(step, "name"), *reason = text_of(step, "reason");
	if (json_is_integer(undoes))
		buf_printf(b, "undoes %lld", (long long)json_integer_value(undoes));
	if (*name)
		buf_printf(b, "%s%s", b->n ? ": " : "", name);
	if (*reason)
		buf_printf(b, "%s%s", b->n ? ": " : "", reason);
	if (json_is_integer(undone))
		buf_printf(b, "%s(undone by %lld)", b->n ? " " : "", (long long)json_integer_value(undone));
}

static void print_list(const json_t *v)
{
	static const char *const headings[] = {"ID", "TIME", "USER", "WHAT", "WHY", NULL};
	const json_t *list = json_object_get(v, "changes"), *one;
	long long room = json_integer_value(json_object_get(v, "madeRoom")),
		  lost = json_integer_value(json_object_get(v, "lost"));
	AUTO_TABLE t;
	size_t i;
	table_init(&t, headings);
	json_array_foreach (list, i, one) {
		AUTO_BUF what = {0};
		AUTO_BUF title = {0};
		char at[32];
		print_time(at, one);
		add_objects(&what, one);
		add_title(&title, one);
		table_cellf(&t, "%lld", (long long)json_integer_value(json_object_get(one, "id")));
		table_cell(&t, at);
		table_cell(&t, text_of(one, "user"));
		table_cell(&t, what.p ? what.p : "");
		table_cell(&t, title.p ? title.p : "");
	}
	if (json_array_size(list))
		table_print(&t);
	else
		printf("nobody has changed anything\n");
	if (room)
		printf("%lld older changes made room\n", room);
	if (lost)
		printf("%lld changes were not kept: the hub's disk was full\n", lost);
}

static void print_diff(const char *diff)
{
	struct str rest = str_of(diff);
	while (rest.n) {
		struct str line = str_cut(&rest, '\n');
		enum style s = line.n && line.p[0] == '+'   ? STYLE_GREEN
			       : line.n && line.p[0] == '-' ? STYLE_RED
			       : line.n && line.p[0] == '@' ? STYLE_DIM
							    : STYLE_PLAIN;
		printf("%s" STR_FMT "%s\n", output_style(s), STR_ARG(line),
		       *output_style(s) ? output_style(STYLE_PLAIN) : "");
	}
}

/* An object that lives in the hub: what its text loses and gets. */
static void print_hub_object(const json_t *o)
{
	const char *before = text_of(o, "before"), *after = text_of(o, "after");
	AUTO_BUF name = {0};
	AUTO_BUF diff = {0};
	add_object(&name, o);
	printf("\n%s%s\n", name.p ? name.p : "",
	       json_is_false(json_object_get(o, "kept")) ? "; its content is not kept" : "");
	if (!linediff_print(&diff, "object.yaml", *before ? str_of(before) : (struct str){0},
			    *after ? str_of(after) : (struct str){0}, 3) &&
	    !diff.failed && diff.p)
		print_diff(diff.p);
}

static void print_parts(const json_t *v)
{
	const json_t *one;
	size_t i;
	json_array_foreach (json_object_get(v, "files"), i, one) {
		const char *diff = json_string_value(json_object_get(one, "diff"));
		putchar('\n');
		if (diff)
			print_diff(diff);
		else
			printf("%s: what changed in it is not kept\n", text_of(one, "path"));
	}
	json_array_foreach (json_object_get(v, "objects"), i, one)
		if (!*text_of(one, "file") && !json_is_true(json_object_get(one, "inFile")))
			print_hub_object(one);
}

static void print_step(const json_t *v)
{
	AUTO_BUF title = {0};
	char at[32];
	const json_t *one;
	size_t i;
	print_time(at, v);
	add_title(&title, v);
	printf("change %lld, %s, by %s%s%s\n", (long long)json_integer_value(json_object_get(v, "id")), at,
	       text_of(v, "user"), title.n ? "\n" : "", title.n ? title.p : "");
	json_array_foreach (json_object_get(v, "objects"), i, one) {
		AUTO_BUF name = {0};
		add_object(&name, one);
		printf("  %s%s%s\n", name.p ? name.p : "", *text_of(one, "file") ? " in " : "",
		       text_of(one, "file"));
	}
	print_parts(v);
}

/* The number of a change, -1 after telling. */
static long long id_of(const char *text)
{
	int64_t n;
	if (!str_to_i64(str_of(text), 1, INT64_MAX, &n))
		return n;
	cli_error("weft changes", "\"%s\" is no number of a change", text);
	return -1;
}

static bool reach(const char *name, char sock[CLUSTER_PATH], int *status)
{
	const char *cluster = cluster_name(name);
	*status = cluster ? EXIT_FAILED : EXIT_USAGE;
	if (!cluster || !cluster_need(cluster))
		return false;
	cluster_path(sock, cluster, "hub.sock");
	return true;
}

int cmd_changes(const struct options_changes *o)
{
	char sock[CLUSTER_PATH], url[160];
	int status;
	long long id = o->n_args ? id_of(o->args[0]) : 0;
	if (id < 0)
		return EXIT_USAGE;
	if (!reach(o->name, sock, &status))
		return status;
	if (id)
		snprintf(url, sizeof(url), INTERNAL "changes/%lld", id);
	else if (o->before)
		snprintf(url, sizeof(url), INTERNAL "changes?limit=%lld&before=%lld", (long long)o->limit,
			 (long long)o->before);
	else
		snprintf(url, sizeof(url), INTERNAL "changes?limit=%lld", (long long)o->limit);
	AUTO_JSON v = http_get_json(sock, url, NULL);
	if (!v)
		return EXIT_FAILED;
	if (o->output)
		output_value(v, o->output);
	else if (id)
		print_step(v);
	else
		print_list(v);
	return EXIT_OK;
}

static void tell_refusal(long code, const struct buf *answer)
{
	AUTO_JSON v = json_loadb(answer->p ? answer->p : "", answer->n, 0, NULL);
	const json_t *list = json_object_get(v, "conflicts"), *one;
	size_t i;
	if (json_array_size(list) < 2) {
		http_tell(code, buf_str(answer));
		return;
	}
	cli_error("weft changes ID shows a change; undo the later ones first", "nothing was changed:");
	json_array_foreach (list, i, one)
		fprintf(stderr, "  %s %s%s%s: %s\n", text_of(one, "kind"), text_of(one, "namespace"),
			*text_of(one, "namespace") ? "/" : "", text_of(one, "name"), text_of(one, "why"));
}

int cmd_undo(const struct options_undo *o)
{
	char sock[CLUSTER_PATH], url[96];
	int status;
	long long id = id_of(o->args[0]);
	AUTO_BUF answer = {0};
	if (id < 0)
		return EXIT_USAGE;
	if (!reach(o->name, sock, &status))
		return status;
	AUTO_JSON body = json_pack("{s:s,s:b}", "reason", o->reason ? o->reason : "", "dry", o->dry_run);
	AUTO_MEM char *text = json_dumps(body, JSON_COMPACT);
	snprintf(url, sizeof(url), INTERNAL "changes/%lld/undo", id);
	long code = text ? http_request(sock, "POST", url, NULL, str_of(text), &answer) : -1;
	if (code != 200) {
		if (code > 0)
			tell_refusal(code, &answer);
		return EXIT_FAILED;
	}
	AUTO_JSON v = json_loadb(answer.p ? answer.p : "", answer.n, 0, NULL);
	const json_t *made = json_object_get(v, "id");
	if (o->output) {
		output_value(v, o->output);
		return EXIT_OK;
	}
	if (json_is_integer(made))
		printf("change %lld is undone, by change %lld\n", id, (long long)json_integer_value(made));
	else if (!o->dry_run)
		printf("change %lld: everything is already as it was before it\n", id);
	if (o->dry_run)
		print_parts(v);
	return EXIT_OK;
}

int cmd_manifests(const struct options_manifests *o)
{
	char sock[CLUSTER_PATH];
	int status;
	AUTO_BUF answer = {0};
	if (!reach(o->name, sock, &status))
		return status;
	long code =
	    http_request(sock, "GET", INTERNAL "export", "application/yaml", (struct str){0}, &answer);
	if (code != 200) {
		if (code > 0)
			http_tell(code, buf_str(&answer));
		return EXIT_FAILED;
	}
	if (answer.n && fwrite(answer.p, 1, answer.n, stdout) != answer.n)
		return EXIT_FAILED;
	return EXIT_OK;
}
