/* SPDX-License-Identifier: Apache-2.0 */
/* Differences by lines: what diff would say, patch(1) understands them, and each text comes back to the byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <errno.h>

#include <cmocka.h>

#include "base/own.h"
#include "source/linediff.h"

static uint64_t state = 7;
static unsigned draw(unsigned n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % n;
}

static void both_ways(struct str was, struct str now, unsigned context)
{
	AUTO_BUF diff = {0};
	AUTO_BUF forth = {0};
	AUTO_BUF back = {0};
	assert_int_equal(linediff_print(&diff, "/m/a.yaml", was, now, context), 0);
	assert_int_equal(linediff_apply(&forth, buf_str(&diff), was, false), 0);
	assert_int_equal(linediff_apply(&back, buf_str(&diff), now, true), 0);
	assert_true(str_eq(buf_str(&forth), now));
	assert_true(str_eq(buf_str(&back), was));
	if (str_eq(was, now) && !was.p == !now.p)
		assert_int_equal(diff.n, 0);
}

static void says(const char *was, const char *now, unsigned context, const char *want)
{
	AUTO_BUF diff = {0};
	assert_int_equal(linediff_print(&diff, "a", str_of(was), str_of(now), context), 0);
	assert_string_equal(diff.p ? diff.p : "", want);
	both_ways(str_of(was), str_of(now), context);
}

static void test_form(void **s)
{
	(void)s;
	says("1\n2\n3\n4\n5\n", "1\n2\nx\n4\n5\n", 1, "--- a\n+++ a\n@@ -2,3 +2,3 @@\n 2\n-3\n+x\n 4\n");
	says("1\n2\n3\n4\n5\n", "1\n2\nx\n4\n5\n", 0, "--- a\n+++ a\n@@ -3 +3 @@\n-3\n+x\n");
	says("1\n2\n", "1\n2\n3\n", 0, "--- a\n+++ a\n@@ -2,0 +3 @@\n+3\n");
	says("1\n2", "1\n2\n", 1,
	     "--- a\n+++ a\n@@ -1,2 +1,2 @@\n 1\n-2\n\\ No newline at end of file\n+2\n");
	says("-- x\n", "++ y\n", 3, "--- a\n+++ a\n@@ -1 +1 @@\n--- x\n+++ y\n");
	says(NULL, "1\n", 3, "--- /dev/null\n+++ a\n@@ -0,0 +1 @@\n+1\n");
	says("1\n", NULL, 3, "--- a\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n");
	says(NULL, "", 3, "--- /dev/null\n+++ a\n");
	says("a\r\nb\r\n", "a\r\nc\r\n", 0, "--- a\n+++ a\n@@ -2 +2 @@\n-b\r\n+c\r\n");
	says("same\n", "same\n", 3, "");
}

static void test_refuses(void **s)
{
	(void)s;
	static const char diff[] = "--- a\n+++ a\n@@ -2,3 +2,3 @@\n 2\n-3\n+x\n 4\n";
	AUTO_BUF out = {0};
	assert_int_equal(linediff_apply(&out, str_of(diff), STR("1\n2\n9\n4\n"), false), -EINVAL);
	assert_int_equal(linediff_apply(&out, str_of(diff), STR("0\n1\n2\n3\n4\n"), false), -EINVAL);
	assert_int_equal(linediff_apply(&out, str_of(diff), STR("1\n"), false), -EINVAL);
	assert_int_equal(linediff_apply(&out, STR("nonsense\n"), STR("1\n"), false), -EINVAL);
}

/* Texts of few different lines, so that there are many ways to align them. */
static void test_random(void **s)
{
	(void)s;
	for (int i = 0; i < 3000; i++) {
		AUTO_BUF a = {0};
		AUTO_BUF b = {0};
		unsigned n = draw(30);
		for (unsigned j = 0; j < n; j++) {
			char line[8];
			int len =
			    snprintf(line, sizeof(line), "%u%s", draw(4), j + 1 < n || draw(2) ? "\n" : "");
			if (draw(5))
				buf_add(&a, line, (size_t)len);
			if (draw(5))
				buf_add(&b, line, (size_t)len);
		}
		both_ways(buf_str(&a), buf_str(&b), draw(4));
	}
}

/* Too different for the search: one change, which still leads both ways. */
static void test_large(void **s)
{
	(void)s;
	AUTO_BUF a = {0};
	AUTO_BUF b = {0};
	for (int i = 0; i < 20000; i++) {
		buf_printf(&a, "%d\n", i);
		buf_printf(&b, "%d\n", i % 3 ? i : -i);
	}
	both_ways(buf_str(&a), buf_str(&b), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_form), cmocka_unit_test(test_refuses),
					   cmocka_unit_test(test_random), cmocka_unit_test(test_large)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
