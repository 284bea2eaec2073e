/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results of scenes as JUnit XML, see test_report.h: the shape that Jenkins, GitLab and GitHub's actions read
 * (testsuites, testsuite, testcase, failure, error, skipped). test/cli/ci/junit.xsd is its schema.
 */
#include "cli/test_report.h"

#include "base/own.h"

/* Text of XML 1.0, in quotes or not: what it may not hold, and bytes that are no UTF-8, become U+FFFD. */
static void text(struct buf *b, struct str s)
{
	static const char strange[] = "\xef\xbf\xbd";

	for (size_t i = 0; i < s.n;) {
		unsigned char c = (unsigned char)s.p[i];
		size_t n = str_utf8(s.p + i, s.n - i);
		bool noncharacter = n == 3 && c == 0xef && (unsigned char)s.p[i + 1] == 0xbf &&
				    (unsigned char)s.p[i + 2] >= 0xbe;
		if (c == '&')
			buf_addz(b, "&amp;");
		else if (c == '<')
			buf_addz(b, "&lt;");
		else if (c == '>')
			buf_addz(b, "&gt;");
		else if (c == '"')
			buf_addz(b, "&quot;");
		else if (c == '\n' || c == '\t')
			buf_printf(b, "&#%u;", c);
		else if (!n || noncharacter || c < 0x20)
			buf_addz(b, strange);
		else
			buf_add(b, s.p + i, n);
		i += n ? n : 1;
	}
}

static void attribute(struct buf *b, const char *name, struct str value)
{
	buf_printf(b, " %s=\"", name);
	text(b, value);
	buf_addc(b, '"');
}

static void print_faults(struct buf *b, const struct test_result *r)
{
	const char *what = r->outcome == TEST_FAILED ? "failure" : "error";
	struct str rest = buf_str(&r->why);
	struct scene_fault f = {.text = STR("this scene could not be played")};

	scene_why_next(&rest, &f);
	buf_printf(b, "      <%s", what);
	attribute(b, "message", f.text);
	attribute(b, "type", r->outcome == TEST_FAILED ? STR("expectation") : STR("trouble"));
	buf_addc(b, '>');
	rest = buf_str(&r->why);
	while (scene_why_next(&rest, &f)) {
		AUTO_BUF line = {0};
		buf_addz(&line, r->path);
		if (f.at.line)
			buf_printf(&line, ":%u:%u", f.at.line, f.at.column);
		buf_printf(&line, ": " STR_FMT, STR_ARG(f.text));
		text(b, buf_str(&line));
		buf_addc(b, '\n');
	}
	buf_printf(b, "</%s>\n", what);
}

static void print_case(struct buf *b, const struct test_result *r)
{
	struct str rest = buf_str(&r->why);
	struct scene_fault first = {0};
	AUTO_BUF name = {0};

	buf_printf(&name, "%s (%s)", r->title, r->setup);
	buf_addz(b, "    <testcase");
	attribute(b, "name", buf_str(&name));
	attribute(b, "classname", str_of(r->path));
	attribute(b, "file", str_of(r->path));
	if (scene_why_next(&rest, &first) && first.at.line)
		buf_printf(b, " line=\"%u\"", first.at.line);
	buf_printf(b, " time=\"%.3f\"", (double)r->ms / 1000);
	if (r->outcome == TEST_PASSED) {
		buf_addz(b, "/>\n");
		return;
	}
	buf_addz(b, ">\n");
	if (r->outcome == TEST_SKIPPED) {
		buf_addz(b, "      <skipped");
		attribute(b, "message", str_of(r->skip));
		buf_addz(b, "/>\n");
	} else {
		print_faults(b, r);
	}
	buf_addz(b, "    </testcase>\n");
}

static void add_counts(struct buf *b, const struct test_result *r, size_t n)
{
	size_t count[TEST_SKIPPED + 1] = {0};
	uint64_t ms = 0;

	for (size_t i = 0; i < n; i++) {
		count[r[i].outcome]++;
		ms += r[i].ms;
	}
	buf_printf(b, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\"", n, count[TEST_FAILED],
		   count[TEST_TROUBLE]);
	if (n)
		buf_printf(b, " skipped=\"%zu\"", count[TEST_SKIPPED]);
	buf_printf(b, " time=\"%.3f\"", (double)ms / 1000);
}

void junit_print(struct buf *b, const struct test_results *t)
{
	const struct test_result *all = t->list.items;
	size_t n = t->list.len;

	buf_addz(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"weft test\"");
	add_counts(b, all, n);
	buf_addz(b, ">\n");
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && !strcmp(all[end].path, all[i].path);)
			end++;
		buf_addz(b, "  <testsuite");
		attribute(b, "name", str_of(all[i].path));
		add_counts(b, &all[i], end - i);
		buf_addz(b, ">\n");
		for (size_t k = i; k < end; k++)
			print_case(b, &all[k]);
		buf_addz(b, "  </testsuite>\n");
	}
	buf_addz(b, "</testsuites>\n");
}
