/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding: limits, both syntaxes give the same, the strict JSON scanner, scalars, hostile input, public
 * manifests. */
#include <dirent.h>

#include "base/clock.h"
#include "manifest.h"

/* Decodes a whole text; counts objects. */
struct result {
	int r;
	size_t objects, errors, warnings;
	char first[160]; /* remark */
};

static int count(void *ctx, struct object *o)
{
	++*(size_t *)ctx;
	object_unref(&o);
	return 0;
}

static struct result decode(struct str text, bool json, const struct decode_limits *limits)
{
	struct result out = {0};
	struct remarks rs = {0};
	struct file *f;
	assert_int_equal(file_new(&f, "t", text.p, text.n), 0);
	struct decoder_options opt = {.limits = limits, .sink = count, .ctx = &out.objects, .remarks = &rs};
	out.r = json ? decode_json(f, &opt) : decode_yaml(f, &opt);
	out.errors = rs.errors;
	VEC_EACH (&rs.list, r)
		out.warnings += r->level == REMARK_WARNING;
	if (rs.list.len)
		snprintf(out.first, sizeof(out.first), "%s", rs.list.items[0].text);
	file_unref(&f);
	remarks_fini(&rs);
	return out;
}

static const char namespace_text[] = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n";

static void a_file_over_the_size_limit_is_refused(void **state)
{
	(void)state;
	struct decode_limits l = decode_limits_default;
	l.bytes = sizeof(namespace_text) - 1;
	assert_int_equal(decode(str_of(namespace_text), false, &l).objects, 1);
	l.bytes--;
	struct result r = decode(str_of(namespace_text), false, &l);
	assert_int_equal(r.r, -22);
	assert_int_equal(r.objects, 0);
	assert_string_equal(r.first, "51 bytes are more than the limit of 50");
}

static void depth_is_checked_at_the_start(void **state)
{
	(void)state;
	AUTO_BUF b = {0};
	for (int i = 0; i < 200000; i++)
		buf_addc(&b, '[');
	uint64_t began = clock_ms();
	for (int json = 0; json < 2; json++) {
		struct result r = decode(buf_str(&b), json, NULL);
		assert_int_equal(r.r, -22);
		assert_int_equal(r.errors, 1);
	}
	assert_true(clock_ms() - began < 5000);
	AUTO_BUF c = {0};
	for (int i = 0; i < 100000; i++)
		buf_addz(&c, "- ");
	assert_int_equal(decode(buf_str(&c), false, NULL).errors, 1);
	AUTO_BUF d = {0};
	buf_addz(&d, "a: ");
	for (int i = 0; i < 100; i++)
		buf_addz(&d, "{a: ");
	struct result r = decode(buf_str(&d), false, NULL);
	assert_string_equal(r.first, "nested more than 64 levels deep");
}

static void alias_bombs_are_refused(void **state)
{
	(void)state;
	AUTO_BUF b = {0};
	buf_addz(&b, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\ndata:\n  a0: &a0 "
		     "[x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 30; i++)
		buf_printf(&b, "  a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1, i - 1,
			   i - 1);
	uint64_t began = clock_ms();
	struct result r = decode(buf_str(&b), false, NULL);
	assert_int_equal(r.errors, 1);
	assert_string_equal(r.first, "aliases stand for more than 100000 values");
	AUTO_BUF m = {0};
	buf_addz(&m, "x: &a {");
	for (int i = 0; i < 1000; i++)
		buf_printf(&m, "k%d: v, ", i);
	buf_addz(&m, "}\ny:\n");
	for (int i = 0; i < 1000; i++)
		buf_printf(&m, "- {<<: *a, z%d: 1}\n", i);
	assert_int_equal(decode(buf_str(&m), false, NULL).errors, 1);
	assert_true(clock_ms() - began < 5000);
}

static void many_nodes_are_refused(void **state)
{
	(void)state;
	struct decode_limits l = decode_limits_default;
	l.nodes = 9;
	assert_int_equal(decode(str_of(namespace_text), false, &l).objects, 1);
	l.nodes = 8;
	struct result r = decode(str_of(namespace_text), false, &l);
	assert_int_equal(r.objects, 0);
	assert_string_equal(r.first, "more than 8 values in one file");
}

static void many_keys_are_cheap(void **state)
{
	(void)state;
	AUTO_BUF b = {0};
	buf_addz(&b, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: big}\ndata:\n");
	for (int i = 0; i < 50000; i++)
		buf_printf(&b, "  key-%d: value\n", i);
	uint64_t began = clock_ms();
	assert_int_equal(decode(buf_str(&b), false, NULL).objects, 1);
	buf_addz(&b, "  key-7: again\n");
	struct result r = decode(buf_str(&b), false, NULL);
	assert_int_equal(r.objects, 0);
	assert_string_equal(r.first, "\"key-7\" is given twice; first on line 12, column 3");
	assert_true(clock_ms() - began < 10000);
}

static void many_keys_at_the_top_are_cheap(void **state)
{
	(void)state;
	AUTO_BUF b = {0};
	for (int i = 0; i < 100000; i++)
		buf_printf(&b, "key-%d: value\n", i);
	uint64_t began = clock_ms();
	assert_string_equal(decode(buf_str(&b), false, NULL).first, "apiVersion is missing");
	assert_true(clock_ms() - began < 10000);
}

static void many_errors_are_counted_not_told(void **state)
{
	(void)state;
	AUTO_BUF b = {0};
	struct manifest_objects all = {0};
	struct remarks rs = {0};
	buf_addz(&b, "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n");
	for (int i = 0; i < 20000; i++)
		buf_printf(&b, "  - {name: C%d}\n", i);
	assert_int_equal(manifest_read("t", b.p, &all, &rs), 0);
	uint64_t began = clock_ms();
	assert_false(object_validate(all.items[0], &rs));
	assert_true(clock_ms() - began < 5000);
	assert_int_equal(rs.errors, 20000);
	assert_int_equal(rs.list.len, 100);
	assert_int_equal(rs.dropped, 19900);
	manifest_free(&all);
	remarks_fini(&rs);
}

static void long_lines_are_linear(void **state)
{
	(void)state;
	AUTO_BUF b = {0};
	buf_addz(&b, "{\"kind\": \"List\", \"apiVersion\": \"v1\", \"items\": [");
	for (int i = 0; i < 5000; i++)
		buf_printf(
		    &b,
		    "%s{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"n%d\"}}",
		    i ? ", " : "", i);
	buf_addz(&b, "]}");
	uint64_t began = clock_ms();
	assert_int_equal(decode(buf_str(&b), false, NULL).objects, 5000);
	assert_int_equal(decode(buf_str(&b), true, NULL).objects, 5000);
	assert_true(clock_ms() - began < 10000);
}

static void json_is_strict(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "",		  "{",	       "[1,]",	    "{\"a\":1,}",  "{a:1}",	    "{'a':1}",
	    "[01]",	  "[1.]",      "[.5]",	    "[+1]",	   "[1e]",	    "[NaN]",
	    "[tru]",	  "[nulll]",   "[\"\\x\"]", "[\"\\u12\"]", "[\"\\ud800\"]", "[\"\\udc00\"]",
	    "[\"a\nb\"]", "[\"a",      "{\"a\"}",   "{\"a\":}",	   "{\"a\" 1}",	    "[1 2]",
	    "[1}",	  "{\"a\":1]", "[] []",	    "// c\n[]",	   "[\"\\u0000\"]", "\x80",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_BUF b = {0};
		buf_printf(&b,
			   "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"},"
			   "\"data\":%s}",
			   bad[i]);
		struct result r = decode(buf_str(&b), true, NULL);
		if (r.errors != 1 || r.objects)
			print_error("%s: %zu errors, %zu objects\n", bad[i], r.errors, r.objects);
		assert_true(r.errors == 1 && !r.objects);
	}
	static const char *const good[] = {"[]",
					   "{}",
					   "[1, -0, 0.5, 1e9, 1E-9, true, false, null]",
					   "\"\\u00fc\\ud83d\\ude00\\/\"",
					   " [ ] ",
					   "{\"\": \"\"}"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		AUTO_BUF b = {0};
		buf_printf(&b,
			   "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"},"
			   "\"data\":%s}",
			   good[i]);
		struct result r = decode(buf_str(&b), true, NULL);
		if (r.objects != 1)
			print_error("%s: %s\n", good[i], r.first);
		assert_int_equal(r.objects, 1);
	}
}

static void scalars_follow_yaml(void **state)
{
	(void)state;
	static const struct {
		const char *yaml, *json;
	} cases[] = {
	    {"~", "null"},
	    {"", "null"},
	    {"True", "true"},
	    {"off", "false"},
	    {"0x1F", "31"},
	    {"0o17", "15"},
	    {"0755", "493"},
	    {"1_000", "1000"},
	    {"-7", "-7"},
	    {"+7", "7"},
	    {".5", "0.5"},
	    {"1.", "1"},
	    {"1e3", "1e3"},
	    {".inf", "\".inf\""},
	    {"1.2.3", "\"1.2.3\""},
	    {"08", "08"},
	    {"!!str 5", "\"5\""},
	    {"!!int \"5\"", "5"},
	    {"'5'", "\"5\""},
	    {"nope", "\"nope\""},
	    {"10.0.0.1", "\"10.0.0.1\""},
	    {"-", NULL},
	    {"9223372036854775807", "9223372036854775807"},
	    {"9223372036854775808", "9223372036854775808"},
	    {"-9223372036854775808", "-9223372036854775808"},
	    {"2026-01-02", "\"2026-01-02\""},
	    {"\"\\0\"", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct manifest_objects all = {0};
		struct remarks rs = {0};
		AUTO_BUF b = {0}, want = {0};
		buf_printf(&b, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nx: %s\n",
			   cases[i].yaml);
		int r = manifest_read("t", b.p, &all, &rs);
		remarks_fini(&rs);
		assert_int_equal(r == 0, cases[i].json != NULL);
		if (!r) {
			buf_printf(&want, "{\"x\":%s}", !strcmp(cases[i].json, "08") ? "8" : cases[i].json);
			assert_string_equal(all.items[0]->opaque.p, want.p);
		}
		manifest_free(&all);
	}
}

static void both_feeds_give_the_same(void **state)
{
	(void)state;
	static const char yaml[] =
	    "apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {a: \"\xc3\xbc\"}}\nspec:\n"
	    "  volumes: [{name: x, n: 1.5, t: true, z: null}]\n  containers:\n  - name: c\n"
	    "    ports: [{containerPort: 80}]\n    args: []\n";
	struct object *o = manifest_one(yaml), *back;
	struct remarks rs = {0};
	AUTO_BUF one = {0}, two = {0};
	object_print_json(&one, o, 0);
	assert_int_equal(decode_json_object(buf_str(&one), NULL, NULL, &back, &rs), 0);
	object_print_json(&two, back, 0);
	assert_string_equal(one.p, two.p);
	object_unref(&o);
	object_unref(&back);
	remarks_fini(&rs);
}

static void one_object_is_not_a_list(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "{\"apiVersion\":\"v1\",\"kind\":\"PodList\",\"items\":[]}", "null", "[]",
	    "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{\"apiVersion\":\"v1\",\"kind\":\"Pod\"}]}"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct object *o = NULL;
		struct remarks rs = {0};
		assert_int_equal(decode_json_object(str_of(bad[i]), NULL, NULL, &o, &rs), -22);
		assert_null(o);
		remarks_fini(&rs);
	}
	struct object *o = NULL;
	struct remarks rs = {0};
	assert_int_equal(
	    decode_json_object(STR("{\"apiVersion\":\"a/v1\",\"kind\":\"B\"}"), NULL, NULL, &o, &rs), -2);
	remarks_fini(&rs);
}

static void told_positions_are_checked(void **state)
{
	(void)state;
	static const char *const bad[] = {"1",
					  "{}",
					  "{\"file\":\"f\"}",
					  "{\"file\":\"f\",\"at\":{\"spec\":[1,2]}}",
					  "{\"file\":\"f\",\"at\":{\"spec\":[1,2,-3]}}",
					  "{\"file\":{},\"at\":{}}"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct object *o = NULL;
		struct remarks rs = {0};
		AUTO_BUF b = {0};
		buf_printf(&b, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"weftPositions\":%s}", bad[i]);
		assert_int_equal(decode_json_object(buf_str(&b), NULL, NULL, &o, &rs), -22);
		remarks_fini(&rs);
	}
	struct object *o = NULL;
	struct remarks rs = {0};
	struct str odd = STR("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"labels\":{\"a.b\":"
			     "\"c\"}},\"spec\":{\"containers\":"
			     "[{\"name\":\"x\"}]},\"weftPositions\":{\"file\":\"f\",\"at\":{\"\":[1,2,3],"
			     "\"spec.containers[1]\":[1,1,1],"
			     "\"spec.\":[1,1,1],\"spec[0]\":[1,1,1],\"metadata.labels[\\\"a.b\\\"]\":[4,5,6],"
			     "\"[\":[1,1,1],\".\":[1,1,1],"
			     "\"spec.containers[-1]\":[1,1,1],\"spec.containers[0].name\":[7,8,9]}}}");
	assert_int_equal(decode_json_object(odd, NULL, NULL, &o, &rs), 0);
	assert_int_equal(object_pos(o, &o->pod->spec->containers.items[0].name).line, 7);
	assert_int_equal(object_pos(o, &o->meta.labels.items[0].value).col, 5);
	assert_int_equal(object_pos(o, &o->meta.name).line, 1);
	object_unref(&o);
	remarks_fini(&rs);
}

static void the_sink_may_stop(void **state)
{
	(void)state;
	struct manifest_objects all = {.n = ARRAY_LEN(all.items)}; /* full: the sink returns -1 */
	struct remarks rs = {0};
	assert_int_equal(manifest_read("t",
				       "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\nx: [\n",
				       &all, &rs),
			 -1);
	assert_int_equal(rs.list.len, 0);
	remarks_fini(&rs);
}

/* Each file of a folder by itself, as the recipes are meant. */
static size_t read_folder(const char *inputs, const char *folder, struct result *sum)
{
	AUTO_BUF path = {0};
	buf_printf(&path, "%s/%s", inputs, folder);
	DIR *d = opendir(path.p);
	size_t files = 0;
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		if (!str_ends(str_of(e->d_name), STR(".yaml")))
			continue;
		AUTO_BUF name = {0}, text = {0};
		buf_printf(&name, "%s/%s", path.p, e->d_name);
		FILE *f = fopen(name.p, "r");
		assert_non_null(f);
		char chunk[8192];
		for (size_t n; (n = fread(chunk, 1, sizeof(chunk), f));)
			buf_add(&text, chunk, n);
		fclose(f);
		struct manifest_objects all = {0};
		struct remarks rs = {0};
		int r = manifest_read(name.p, text.p, &all, &rs);
		for (size_t i = 0; i < all.n; i++)
			object_validate(all.items[i], &rs);
		VEC_EACH (&rs.list, rm)
			sum->warnings += rm->level == REMARK_WARNING;
		remarks_print(stderr, &rs, false);
		sum->errors += rs.errors + (r != 0);
		sum->objects += all.n;
		files++;
		manifest_free(&all);
		remarks_fini(&rs);
	}
	closedir(d);
	return files;
}

static void public_manifests_are_clean(void **state)
{
	(void)state;
	const char *inputs = getenv("WEFT_INPUTS");
	if (!inputs)
		skip();
	struct result shop = {0}, recipes = {0};
	assert_int_equal(read_folder(inputs, "online-boutique", &shop), 14);
	assert_int_equal(shop.objects, 12 + 12 + 11 + 13);
	assert_int_equal(shop.errors, 0);
	assert_int_equal(shop.warnings, 0);
	assert_int_equal(read_folder(inputs, "policy-recipes", &recipes), 15);
	assert_int_equal(recipes.objects, 15);
	assert_int_equal(recipes.errors, 0);
	assert_int_equal(recipes.warnings, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_over_the_size_limit_is_refused),
	    cmocka_unit_test(depth_is_checked_at_the_start),
	    cmocka_unit_test(alias_bombs_are_refused),
	    cmocka_unit_test(many_nodes_are_refused),
	    cmocka_unit_test(many_keys_are_cheap),
	    cmocka_unit_test(many_keys_at_the_top_are_cheap),
	    cmocka_unit_test(many_errors_are_counted_not_told),
	    cmocka_unit_test(long_lines_are_linear),
	    cmocka_unit_test(json_is_strict),
	    cmocka_unit_test(scalars_follow_yaml),
	    cmocka_unit_test(both_feeds_give_the_same),
	    cmocka_unit_test(one_object_is_not_a_list),
	    cmocka_unit_test(told_positions_are_checked),
	    cmocka_unit_test(the_sink_may_stop),
	    cmocka_unit_test(public_manifests_are_clean),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
