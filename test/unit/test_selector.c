/* SPDX-License-Identifier: Apache-2.0 */
/* Label selectors: matching, the text form and back; maps of labels. */
#include "manifest.h"

static void set(struct arena *a, struct strmap *m, const char *key, const char *value)
{
	assert_int_equal(strmap_set(a, m, str_of(key), str_of(value)), 0);
}

static void maps_stay_sorted(void **state)
{
	(void)state;
	AUTO_ARENA a = {0};
	struct strmap m = {0}, want = {0};
	set(&a, &m, "c", "3");
	set(&a, &m, "a", "1");
	set(&a, &m, "b", "2");
	set(&a, &m, "a", "one");
	assert_int_equal(m.len, 3);
	assert_true(str_eqz(m.items[0].key, "a") && str_eqz(m.items[0].value, "one"));
	assert_true(str_eqz(m.items[2].key, "c"));
	assert_null(strmap_get(&m, STR("d")));
	assert_null(strmap_get(NULL, STR("d")));
	assert_true(strmap_contains(&m, &want));
	set(&a, &want, "b", "2");
	assert_true(strmap_contains(&m, &want));
	set(&a, &want, "c", "4");
	assert_false(strmap_contains(&m, &want));
}

struct text_case {
	const char *text;
	bool matches;	     /* app=web, tier=front */
	const char *printed; /* NULL: an error */
};

static void text_forms_are_read(void **state)
{
	(void)state;
	static const struct text_case cases[] = {
	    {"", true, ""},
	    {"app=web", true, "app in (web)"},
	    {"app==web , tier != back", true, "app in (web),tier notin (back)"},
	    {"app in (web,api)", true, "app in (web,api)"},
	    {"app in(web)", true, "app in (web)"},
	    {"app notin (web)", false, "app notin (web)"},
	    {"gone notin (web)", true, "gone notin (web)"},
	    {"gone!=web", true, "gone notin (web)"},
	    {"gone=", false, "gone in ()"},
	    {"app", true, "app"},
	    {"!app", false, "!app"},
	    {"!gone,tier", true, "!gone,tier"},
	    {"example.org/app", false, "example.org/app"},
	    {"app=web,", false, NULL},
	    {",", false, NULL},
	    {"app in web", false, NULL},
	    {"app in (web", false, NULL},
	    {"app=we b", false, NULL},
	    {"-app", false, NULL},
	    {"app>3", false, NULL},
	    {"app=web;tier", false, NULL},
	};
	AUTO_ARENA a = {0};
	struct strmap labels = {0};
	set(&a, &labels, "app", "web");
	set(&a, &labels, "tier", "front");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct label_selector *s = NULL;
		const char *why = NULL;
		int r = selector_parse(&a, str_of(cases[i].text), &s, &why);
		if (!cases[i].printed) {
			assert_int_equal(r, -22);
			assert_non_null(why);
			continue;
		}
		if (r)
			print_error("%s: %s\n", cases[i].text, why);
		assert_int_equal(r, 0);
		AUTO_BUF b = {0};
		buf_addz(&b, "");
		selector_print(&b, s);
		assert_string_equal(b.p, cases[i].printed);
		if (selector_matches(s, &labels) != cases[i].matches)
			print_error("%s\n", cases[i].text);
		assert_int_equal(selector_matches(s, &labels), cases[i].matches);
	}
}

static void nothing_and_everything(void **state)
{
	(void)state;
	struct label_selector all = {0};
	struct strmap none = {0};
	assert_false(selector_matches(NULL, &none));
	assert_true(selector_matches(&all, &none));
	assert_true(selector_matches(&all, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(maps_stay_sorted),
	    cmocka_unit_test(text_forms_are_read),
	    cmocka_unit_test(nothing_and_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
