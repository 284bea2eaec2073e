/* SPDX-License-Identifier: Apache-2.0 */
/* Results of scenes as lines, TAP, GitHub's annotations and JSON, see test_report.h. */
#include "cli/test_report.h"

#include "base/own.h"
#include "cli/output.h"

#include <stdio.h>

static const char *const outcome_words[] = {"passed", "failed", "error", "skipped"};

void test_results_fini(struct test_results *t)
{
	VEC_EACH (&t->list, r) {
		free(r->path);
		free(r->title);
		free(r->text);
		free(r->skip);
		buf_fini(&r->why);
	}
	vec_free(&t->list);
}

static bool is_bad(const struct test_result *r)
{
	return r->outcome == TEST_FAILED || r->outcome == TEST_TROUBLE;
}

static void print_why(const struct test_result *r, const char *before)
{
	struct str rest = buf_str(&r->why);

	for (struct scene_fault f; scene_why_next(&rest, &f);) {
		printf("%s", before);
		if (f.at.line)
			printf("%s:%u:%u: ", r->path, f.at.line, f.at.column);
		printf(STR_FMT "\n", STR_ARG(f.text));
	}
}

static void print_tap(const struct test_results *t, const struct test_result *r)
{
	printf("%s %zu - %s (%s)%s%s\n", is_bad(r) ? "not ok" : "ok", t->list.len, r->title, r->setup,
	       r->skip ? " # SKIP " : "", r->skip ? r->skip : "");
	print_why(r, "# ");
}

static void print_line(const struct test_result *r)
{
	static const enum style styles[] = {STYLE_GREEN, STYLE_RED, STYLE_RED, STYLE_YELLOW};

	printf("%s%-7s%s %s (%s)", output_style(styles[r->outcome]), outcome_words[r->outcome],
	       output_style(STYLE_PLAIN), r->title, r->setup);
	if (r->skip)
		printf(": %s\n", r->skip);
	else
		printf(" (%.1f s)\n", (double)r->ms / 1000);
	print_why(r, "    ");
}

/* A value of a workflow command: what would end it goes as %XX; in a property ':' and ',' too. */
static void print_escaped(struct str s, const char *also)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '%' || c == '\r' || c == '\n' || strchr(also, c))
			printf("%%%02X", (unsigned char)c);
		else
			putchar(c);
	}
}

static void annotate(const struct test_result *r, struct scene_place at, struct str text)
{
	printf("::error file=");
	print_escaped(str_of(r->path), ":,");
	if (at.line)
		printf(",line=%u,col=%u", at.line, at.column);
	printf(",title=");
	print_escaped(str_of(r->title), ":,");
	printf("::");
	print_escaped(text, "");
	printf(" (%s)\n", r->setup);
}

void test_report_one(const struct test_results *t, const char *form)
{
	const struct test_result *r = &t->list.items[t->list.len - 1];
	struct str rest = buf_str(&r->why);

	if (form && !strcmp(form, "tap"))
		print_tap(t, r);
	else if (!form || !strcmp(form, "github"))
		print_line(r);
	if (form && !strcmp(form, "github") && is_bad(r)) {
		for (struct scene_fault f; scene_why_next(&rest, &f);)
			annotate(r, f.at, f.text);
		if (!r->why.n)
			annotate(r, (struct scene_place){0}, STR("this scene could not be played"));
	}
	fflush(stdout);
}

void test_report_end(const struct test_results *t, const char *form)
{
	if (form && !strcmp(form, "tap")) {
		printf("1..%zu\n", t->list.len);
		return;
	}
	printf("%zu passed, %zu failed, ", t->count[TEST_PASSED], t->count[TEST_FAILED]);
	if (t->count[TEST_TROUBLE])
		printf("%zu could not be played, ", t->count[TEST_TROUBLE]);
	printf("%zu skipped\n", t->count[TEST_SKIPPED]);
}

static json_t *result_json(const struct test_result *r)
{
	struct str rest = buf_str(&r->why);
	json_t *list = json_array();
	json_t *v = json_pack("{s:s, s:s, s:s, s:s, s:f, s:o}", "file", r->path, "title", r->title, "setup",
			      r->setup, "outcome", outcome_words[r->outcome], "seconds", (double)r->ms / 1000,
			      "failures", list);

	if (r->skip)
		json_object_set_new(v, "why", json_string(r->skip));
	for (struct scene_fault f; scene_why_next(&rest, &f);) {
		json_t *one = json_pack("{s:s%}", "message", f.text.p, f.text.n);
		if (f.at.line) {
			json_object_set_new(one, "line", json_integer(f.at.line));
			json_object_set_new(one, "column", json_integer(f.at.column));
		}
		json_array_append_new(list, one);
	}
	return v;
}

json_t *test_report_json(const struct test_results *t)
{
	json_t *list = json_array();

	VEC_EACH (&t->list, r)
		json_array_append_new(list, result_json(r));
	return json_pack("{s:o, s:I, s:I, s:I, s:I}", "scenes", list, "passed",
			 (json_int_t)t->count[TEST_PASSED], "failed", (json_int_t)t->count[TEST_FAILED],
			 "errors", (json_int_t)t->count[TEST_TROUBLE], "skipped",
			 (json_int_t)t->count[TEST_SKIPPED]);
}
