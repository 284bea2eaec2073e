/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft check`: what is wrong or suspicious in manifests, as remarks or as SARIF for CI. Reads files only;
 * needs no privileges.
 */
#include "base/own.h"
#include "broker/broker.h"
#include "cli/check.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/world.h"
#include "hub/offline.h"
#include "object/object.h"

#include <errno.h>
#include <stdio.h>

struct counts {
	size_t errors, warnings, hints;
};

static struct counts count(const struct findings *f)
{
	struct counts n = {0};

	VEC_EACH (&f->list, x) {
		n.errors += x->remark.level == REMARK_ERROR;
		n.warnings += x->remark.level == REMARK_WARNING;
		n.hints += x->remark.level == REMARK_HINT;
	}
	return n;
}

static void say(struct buf *b, size_t n, const char *what)
{
	if (n)
		buf_printf(b, "%s%zu %s%s", b->n ? ", " : "", n, what, n == 1 ? "" : "s");
}

/* The remark as it is always printed, its check's name behind the first line. */
static void print_finding(const struct finding *x, bool colour)
{
	AUTO_BUF b = {0};

	remark_print(&b, &x->remark, colour);
	struct str rest = buf_str(&b), first = str_cut(&rest, '\n');
	printf(STR_FMT " %s[%s]%s\n" STR_FMT, STR_ARG(first), output_style(STYLE_DIM),
	       check_table[x->check].name, output_style(STYLE_PLAIN), STR_ARG(rest));
}

static void print_findings(const struct findings *f, const struct store *s)
{
	struct counts n = count(f);
	AUTO_BUF sum = {0};

	VEC_EACH (&f->list, x)
		print_finding(x, *output_style(STYLE_BOLD));
	say(&sum, n.errors, "error");
	say(&sum, n.warnings, "warning");
	say(&sum, n.hints, "hint");
	printf("%s: %zu policies, %zu cluster policies, %zu pods\n", sum.n ? sum.p : "nothing to remark",
	       store_count(s, KIND_networkpolicy), store_count(s, KIND_clusternetworkpolicy),
	       store_count(s, KIND_pod));
}

static json_t *finding_json(const struct finding *x)
{
	static const char *const levels[] = {"error", "warning", "hint"};
	const struct remark *r = &x->remark;
	json_t *j = json_pack("{s:s, s:s, s:s}", "check", check_table[x->check].name, "level",
			      levels[r->level], "message", r->text);

	if (r->hint)
		json_object_set_new(j, "advice", json_string(r->hint));
	if (r->file) {
		json_object_set_new(j, "file", json_string(r->file->name));
		json_object_set_new(j, "line", json_integer(r->line));
		json_object_set_new(j, "column", json_integer(r->col));
	}
	return j;
}

static json_t *plain_json(const struct findings *f)
{
	struct counts n = count(f);
	json_t *list = json_array();

	VEC_EACH (&f->list, x)
		json_array_append_new(list, finding_json(x));
	return json_pack("{s:o, s:I, s:I, s:I}", "findings", list, "errors", (json_int_t)n.errors, "warnings",
			 (json_int_t)n.warnings, "hints", (json_int_t)n.hints);
}

/* Status 0: quiet; 1: something is wrong (with --strict: or suspicious); 2: it could not be checked. */
static int status_of(const struct options_check *o, const struct findings *f)
{
	struct counts n = count(f);

	return n.errors || (o->strict && n.warnings) ? EXIT_FAILED : EXIT_OK;
}

static json_t *checks_json(void)
{
	static const char *const levels[] = {"error", "warning", "hint"};
	json_t *list = json_array();

	for (int i = 0; i < CHECK_COUNT; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:s}", "name", check_table[i].name, "level",
						levels[check_table[i].level], "what", check_table[i].sentence,
						"advice", check_table[i].advice));
	return list;
}

static void list_checks(void)
{
	static const char *const levels[] = {"error", "warning", "hint"};
	static const char *const heads[] = {"NAME", "LEVEL", "WHAT", NULL};
	AUTO_TABLE t;

	table_init(&t, heads);
	for (int i = 0; i < CHECK_COUNT; i++) {
		table_cell(&t, check_table[i].name);
		table_cell(&t, levels[check_table[i].level]);
		table_cell(&t, check_table[i].sentence);
	}
	table_print(&t);
}

/* Takes out what the user does not want to hear of. */
static void leave_out(struct findings *f, const char *names)
{
	struct findings keep = {0};

	VEC_EACH (&f->list, x) {
		bool out = false;
		for (struct str rest = str_of(names), name; rest.n && !out;) {
			name = str_trim(str_cut(&rest, ','));
			out = str_eqz(name, check_table[x->check].name);
		}
		if (!out && !vec_push(&keep.list, *x))
			*x = (struct finding){0};
	}
	findings_fini(f);
	*f = keep;
}

static int known_names(const char *names)
{
	for (struct str rest = str_of(names), name; rest.n;) {
		bool known = false;
		name = str_trim(str_cut(&rest, ','));
		for (int i = 0; i < CHECK_COUNT; i++)
			known |= str_eqz(name, check_table[i].name);
		if (!known) {
			cli_error("`weft check --list` names them", "there is no check \"" STR_FMT "\"",
				  STR_ARG(name));
			return -1;
		}
	}
	return 0;
}

/* What Tools and TrafficMaps say together. What is wrong is in the remarks. */
static int check_broker(const struct store *s, struct remarks *remarks)
{
	struct broker *b = NULL;
	int r = broker_compile(&b, s, remarks);

	broker_free(&b);
	return r == -EINVAL ? 0 : r;
}

static int find(const struct options_check *o, struct store **s, struct findings *f)
{
	const struct world_files files = {.paths = o->args,
					  .n = (size_t)o->n_args,
					  .nodes = (unsigned)o->nodes,
					  .max_file = (size_t)o->max_file};
	struct engine_options opt = {.staged = o->staged};
	struct remarks loaded = {0}, compiled = {0};
	int r = world_load(s, &files, &loaded);

	cluster_service_ranges(&opt.services4, &opt.services6);
	if (!r)
		r = check_store(*s, &opt, f, &compiled);
	if (!r)
		r = check_broker(*s, &compiled);
	findings_take(f, &compiled);
	findings_take(f, &loaded);
	findings_sort(f);
	if (r && !loaded.errors)
		cli_error(NULL, "cannot check the manifests: %s", strerror(-r));
	else if (r && !*s)
		VEC_EACH (&f->list, x)
			print_finding(x, false);
	remarks_fini(&loaded);
	remarks_fini(&compiled);
	return r;
}

int cmd_check(const struct options_check *o)
{
	struct findings f = {0};
	struct store *s = NULL;
	int r = EXIT_TROUBLE;

	if (o->list && o->output && !strcmp(o->output, "sarif")) {
		cli_error("weft check --list -o json", "a list of checks is no SARIF log");
		return EXIT_USAGE;
	}
	if (o->list && o->output) {
		AUTO_JSON list = checks_json();
		output_value(list, o->output);
		return EXIT_OK;
	}
	if (o->list) {
		list_checks();
		return EXIT_OK;
	}
	if (!o->n_args) {
		cli_error("weft check DIR", "a folder or a file is needed");
		return EXIT_USAGE;
	}
	if (o->ignore && known_names(o->ignore))
		return EXIT_USAGE;
	if (!find(o, &s, &f)) {
		if (o->ignore)
			leave_out(&f, o->ignore);
		if (!o->output) {
			print_findings(&f, s);
		} else {
			AUTO_JSON j = !strcmp(o->output, "sarif") ? sarif_json(&f) : plain_json(&f);
			output_value(j, strcmp(o->output, "sarif") ? o->output : "json");
		}
		r = status_of(o, &f);
	}
	findings_fini(&f);
	store_free(&s);
	return r;
}
