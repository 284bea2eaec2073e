/* SPDX-License-Identifier: Apache-2.0 */
/* The lowest room: strings, numbers, hashes, arenas, addresses, remarks, clocks. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/own.h"
#include "base/remark.h"
#include "base/vec.h"

static void numbers_are_parsed_into_their_range(void **state)
{
	(void)state;
	int64_t v = 7;
	assert_int_equal(str_to_i64(STR("65535"), 1, 65535, &v), 0);
	assert_int_equal(v, 65535);
	assert_int_equal(str_to_i64(STR("65536"), 1, 65535, &v), -ERANGE);
	assert_int_equal(str_to_i64(STR("-9223372036854775808"), INT64_MIN, INT64_MAX, &v), 0);
	assert_true(v == INT64_MIN);
	assert_int_equal(str_to_i64(STR("9223372036854775808"), INT64_MIN, INT64_MAX, &v), -ERANGE);
	assert_int_equal(str_to_i64(STR("99999999999999999999"), 0, INT64_MAX, &v), -ERANGE);
	assert_int_equal(str_to_i64(STR(""), 0, 9, &v), -EINVAL);
	assert_int_equal(str_to_i64(STR("-"), 0, 9, &v), -EINVAL);
	assert_int_equal(str_to_i64(STR("8o"), 0, 9, &v), -EINVAL);
	assert_true(v == INT64_MIN);
}

static void json_text_is_escaped(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"a\"b\\c", "\"a\\\"b\\\\c\""},
	    {"\x01\n\t", "\"\\u0001\\n\\t\""},
	    {"f\xc3\xbc", "\"f\xc3\xbc\""},
	    {"\xc3", "\"\xef\xbf\xbd\""},
	    {"\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
	    {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF b = {0};
		buf_json(&b, str_of(cases[i].in));
		assert_string_equal(b.p, cases[i].out);
	}
}

static void distance_finds_the_near_word(void **state)
{
	(void)state;
	assert_int_equal(str_distance(STR("htpp"), STR("http")), 1);
	assert_int_equal(str_distance(STR("port"), STR("port")), 0);
	assert_int_equal(str_distance(STR(""), STR("abc")), 3);
}

static void hash_keeps_what_it_is_given(void **state)
{
	(void)state;
	struct hash t = {0};
	char key[32];
	for (uintptr_t i = 1; i <= 5000; i++) {
		int n = snprintf(key, sizeof(key), "key-%zu", (size_t)i);
		assert_int_equal(hash_set(&t, (struct str){key, (size_t)n}, (void *)i, NULL), 0);
	}
	for (uintptr_t i = 1; i <= 5000; i += 2) {
		int n = snprintf(key, sizeof(key), "key-%zu", (size_t)i);
		assert_true(hash_del(&t, (struct str){key, (size_t)n}) == (void *)i);
	}
	assert_int_equal(t.len, 2500);
	for (uintptr_t i = 1; i <= 5000; i++) {
		int n = snprintf(key, sizeof(key), "key-%zu", (size_t)i);
		assert_true(hash_get(&t, (struct str){key, (size_t)n}) == (i % 2 ? NULL : (void *)i));
	}
	hash_fini(&t);
}

static void arena_stops_at_its_limit(void **state)
{
	(void)state;
	AUTO_ARENA a = {.limit = 100};
	assert_non_null(arena_alloc(&a, 90));
	assert_null(arena_alloc(&a, 90));
	assert_null(arena_array(&a, uint64_t, SIZE_MAX / 4));
}

static void vec_keeps_order(void **state)
{
	(void)state;
	VEC(int) v = {0};
	for (int i = 0; i < 100; i++)
		assert_int_equal(vec_push(&v, i), 0);
	vec_remove(&v, 0);
	vec_remove(&v, 50);
	assert_int_equal(v.items[0], 1);
	assert_int_equal(v.items[50], 52);
	assert_int_equal(v.len, 98);
	vec_free(&v);
}

static void prefixes_hold_their_family(void **state)
{
	(void)state;
	struct prefix all4, all6, net;
	struct addr v4, v6;
	assert_int_equal(prefix_parse(STR("0.0.0.0/0"), &all4), 0);
	assert_int_equal(prefix_parse(STR("::/0"), &all6), 0);
	assert_int_equal(prefix_parse(STR("10.0.0.0/8"), &net), 0);
	assert_int_equal(addr_parse(STR("10.1.2.3"), &v4), 0);
	assert_int_equal(addr_parse(STR("fd00::1"), &v6), 0);
	assert_true(prefix_has(&all4, &v4));
	assert_false(prefix_has(&all4, &v6));
	assert_true(prefix_has(&all6, &v6));
	assert_false(prefix_has(&all6, &v4));
	assert_true(prefix_has(&net, &v4));
	assert_true(prefix_covers(&all4, &net));
	assert_false(prefix_covers(&net, &all4));
	assert_false(prefix_covers(&all6, &net));
}

static void bad_prefixes_are_refused(void **state)
{
	(void)state;
	struct prefix p;
	static const char *const bad[] = {"10.0.0.0",	 "10.0.0.0/",	 "10.0.0.0/33", "10.0.0.0/-1",
					  "10.0.0.0/08", "10.0.0.0.0/8", "fd00::/129",	"fd00::g/64",
					  "/8",		 "10.0.0.0/ 8"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(prefix_parse(str_of(bad[i]), &p), -EINVAL);
	char text[PREFIX_TEXT];
	assert_int_equal(prefix_parse(STR("10.1.2.3/8"), &p), -EDOM);
	prefix_print(&p, text);
	assert_string_equal(text, "10.0.0.0/8");
}

static void addresses_count_on(void **state)
{
	(void)state;
	struct addr a;
	char text[ADDR_TEXT];
	assert_int_equal(addr_parse(STR("10.244.0.255"), &a), 0);
	addr_add(&a, 1);
	addr_print(&a, text);
	assert_string_equal(text, "10.244.1.0");
	assert_int_equal(addr_parse(STR("fd57::ffff:ffff"), &a), 0);
	addr_add(&a, 2);
	addr_print(&a, text);
	assert_string_equal(text, "fd57::1:0:1");
}

static void remark_underlines_the_span(void **state)
{
	(void)state;
	struct file *f;
	static const char text[] = "spec:\n  port: htpp\n";
	assert_int_equal(file_new(&f, "shop/policy.yaml", text, sizeof(text) - 1), 0);
	struct remarks rs = {0};
	remark_add(&rs, REMARK_ERROR, (struct pos){.file = f, .line = 2, .col = 9, .len = 4},
		   "did you mean \"http\"?", "no port \"%s\"", "htpp");
	AUTO_BUF b = {0};
	remark_print(&b, &rs.list.items[0], false);
	assert_string_equal(b.p, "shop/policy.yaml:2:9: error: no port \"htpp\"\n"
				 "      2 |   port: htpp\n"
				 "        |         ^^^^\n"
				 "     hint: did you mean \"http\"?\n");
	assert_int_equal(rs.errors, 1);
	remarks_fini(&rs);
	file_unref(&f);
	assert_null(f);
}

static void remarks_are_bounded_and_counted(void **state)
{
	(void)state;
	struct remarks rs = {.limit = 2};
	for (int i = 0; i < 5; i++)
		remark_add(&rs, REMARK_ERROR, (struct pos){0}, NULL, "number %d", i);
	assert_int_equal(rs.list.len, 2);
	assert_int_equal(rs.dropped, 3);
	assert_int_equal(rs.errors, 5);
	remarks_fini(&rs);
}

static void times_go_both_ways(void **state)
{
	(void)state;
	char text[21];
	int64_t t;
	assert_int_equal(clock_parse("2026-01-02T03:04:05Z", &t), 0);
	clock_rfc3339(t, text);
	assert_string_equal(text, "2026-01-02T03:04:05Z");
	int64_t other;
	assert_int_equal(clock_parse("2026-01-02T05:04:05.25+02:00", &other), 0);
	assert_int_equal(other, t);
	assert_int_equal(clock_parse("2026-01-02", &other), -EINVAL);
	assert_int_equal(clock_parse("2026-01-02T03:04:05Zx", &other), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers_are_parsed_into_their_range),
	    cmocka_unit_test(json_text_is_escaped),
	    cmocka_unit_test(distance_finds_the_near_word),
	    cmocka_unit_test(hash_keeps_what_it_is_given),
	    cmocka_unit_test(arena_stops_at_its_limit),
	    cmocka_unit_test(vec_keeps_order),
	    cmocka_unit_test(prefixes_hold_their_family),
	    cmocka_unit_test(bad_prefixes_are_refused),
	    cmocka_unit_test(addresses_count_on),
	    cmocka_unit_test(remark_underlines_the_span),
	    cmocka_unit_test(remarks_are_bounded_and_counted),
	    cmocka_unit_test(times_go_both_ways),
	};
	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
