/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Surgical edits over random layouts and random changes: what is decoded afterwards is what was wanted, what
 * stands around the object is byte by byte what it was, and a changed word changes one line. WEFT_SEED and
 * WEFT_ROUNDS choose others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <errno.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/own.h"
#include "source/edit.h"

static uint64_t state;

static unsigned any(unsigned n)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(state >> 33) % n;
}

static const char *const words[] = {
    "alpha", "true",   "no",	"12",	"0x1f", "a b",	      "it's",
    "x: y",  "#no",    "- -",	"",	"ключ", "{",	      "[1]",
    "&a",    "*b",     "!c",	"%d",	"@e",	"`f",	      "'q'",
    "\"w\"", "a,b",    "1.5e3", "null", "~",	"line\nline", "two\n\nthree\n",
    " lead", "trail ", "<<",	"=",	"---",	"...",	      "10.0.0.1",
    "v1.2",  "\ttab",  "a#b",	"a #b", "key:"};

static json_t *random_value(unsigned depth)
{
	unsigned kind = any(depth ? 10 : 5);
	if (kind < 4)
		return json_string(words[any(ARRAY_LEN(words))]);
	if (kind == 4)
		return any(2) ? json_integer(any(1000)) : json_boolean(any(2));
	json_t *v = kind < 8 ? json_object() : json_array();
	for (unsigned i = 0, n = any(4) + (depth > 2); i < n; i++)
		if (json_is_array(v)) {
			json_array_append_new(v, random_value(depth - 1));
		} else {
			char key[8];
			snprintf(key, sizeof(key), "k%u", any(12));
			json_object_set_new(v, key, random_value(depth - 1));
		}
	return v;
}

/* ---- layouts ---- */

static void scalar(struct buf *b, const json_t *v)
{
	const char *s = json_string_value(v);
	if (!s) {
		char *t = json_dumps(v, JSON_ENCODE_ANY);
		buf_addz(b, t);
		free(t);
	} else if (any(2) && !strpbrk(s, "\n\t'") && *s) {
		buf_printf(b, "'%s'", s);
	} else if (any(2) && (!strcmp(s, "alpha") || !strcmp(s, "v1.2") || !strcmp(s, "a#b"))) {
		buf_addz(b, s);
	} else {
		buf_json(b, str_of(s));
	}
}

static void flow(struct buf *b, const json_t *v)
{
	const char *key;
	json_t *c;
	size_t i, n = 0;
	if (json_is_object(v)) {
		buf_addz(b, any(2) ? "{" : "{ ");
		json_object_foreach ((json_t *)(uintptr_t)v, key, c) {
			buf_printf(b, "%s%s: ", n++ ? any(2) ? ", " : " , " : "", key);
			flow(b, c);
		}
		buf_addc(b, '}');
	} else if (json_is_array(v)) {
		buf_addc(b, '[');
		json_array_foreach (v, i, c) {
			buf_addz(b, i ? ", " : "");
			flow(b, c);
		}
		buf_addz(b, any(2) ? "]" : " ]");
	} else {
		scalar(b, v);
	}
}

static void end_line(struct buf *b)
{
	if (!any(4))
		buf_printf(b, "   # remark %u", any(100));
	buf_addc(b, '\n');
	if (!any(6))
		buf_addz(b, any(2) ? "\n" : "# at the left\n");
}

static void block(struct buf *b, const json_t *v, int indent, int step, int seq_step);

static void member(struct buf *b, const json_t *v, int indent, int step, int seq_step, bool key)
{
	bool map = json_is_object(v), list = json_is_array(v);
	bool lines = (map && json_object_size(v)) || (list && json_array_size(v));
	const char *s = json_string_value(v);
	if (lines && any(3)) {
		if (key) {
			end_line(b);
			int in = indent + (map ? step : seq_step);
			buf_printf(b, "%*s", in, "");
			block(b, v, in, step, seq_step);
		} else {
			buf_addc(b, ' ');
			block(b, v, indent + 2, step, seq_step);
		}
		return;
	}
	if (key && s && (!strcmp(s, "line\nline") || !strcmp(s, "two\n\nthree\n")) && any(3)) {
		int in = indent + step;
		if (strcmp(s, "line\nline"))
			buf_printf(b, " |\n%*stwo\n\n%*sthree\n", in, "", in, "");
		else
			buf_printf(b, " |-\n%*sline\n%*sline\n", in, "", in, "");
		return;
	}
	buf_addc(b, ' ');
	flow(b, v);
	end_line(b);
}

static void block(struct buf *b, const json_t *v, int indent, int step, int seq_step)
{
	const char *key;
	json_t *c;
	size_t i, n = 0;
	if (json_is_object(v))
		json_object_foreach ((json_t *)(uintptr_t)v, key, c) {
			buf_printf(b, "%*s%s:", n++ ? indent : 0, "", key);
			member(b, c, indent, step, seq_step, true);
		}
	else
		json_array_foreach (v, i, c) {
			buf_printf(b, "%*s-", i ? indent : 0, "");
			member(b, c, indent, step, seq_step, false);
		}
}

/* ---- changes ---- */

static json_t *scalar_at; /* what was changed, when it was a single line's scalar */

static bool is_line(const json_t *v)
{
	const char *s = json_string_value(v);
	return !json_is_object(v) && !json_is_array(v) && (!s || !strchr(s, '\n'));
}

static void mutate(json_t *v)
{
	size_t n = json_is_object(v) ? json_object_size(v) : json_array_size(v);
	scalar_at = NULL;
	if (json_is_object(v)) {
		const char *key;
		json_t *c;
		void *it = json_object_iter(v);
		for (size_t skip = n ? any((unsigned)n) : 0; it && skip; skip--)
			it = json_object_iter_next(v, it);
		key = it ? json_object_iter_key(it) : NULL;
		c = it ? json_object_iter_value(it) : NULL;
		if (c && (json_is_object(c) || json_is_array(c)) && any(4)) {
			mutate(c);
		} else if (!c || !any(4)) {
			char fresh[8];
			snprintf(fresh, sizeof(fresh), "n%u", any(9));
			json_object_set_new(v, fresh, random_value(2));
		} else if (!any(3)) {
			json_object_del(v, key);
		} else {
			json_t *now = random_value(any(3) ? 0 : 2);
			scalar_at = is_line(c) && is_line(now) ? now : NULL;
			json_object_set_new(v, key, now);
		}
	} else if (json_is_array(v)) {
		size_t i = n ? any((unsigned)n) : 0;
		json_t *c = json_array_get(v, i);
		if (c && (json_is_object(c) || json_is_array(c)) && any(4))
			mutate(c);
		else if (!c || !any(3))
			json_array_insert_new(v, i, random_value(2));
		else if (!any(3))
			json_array_remove(v, i);
		else
			json_array_set_new(v, i, random_value(any(3) ? 0 : 2));
	}
}

static int first(void *ctx, struct object *o)
{
	struct object **out = ctx;
	if (!*out && str_eqz(o->meta.name, "it"))
		*out = o;
	else
		object_unref(&o);
	return 0;
}

static struct object *read_it(struct str text)
{
	struct object *o = NULL;
	struct remarks rs = {0};
	struct file *f;
	struct decoder_options opt = {.sink = first, .ctx = &o, .remarks = &rs};
	assert_int_equal(file_new(&f, "f.yaml", text.p, text.n), 0);
	decode_yaml(f, &opt);
	file_unref(&f);
	remarks_fini(&rs);
	return o;
}

static json_t *json_of(const struct object *o)
{
	AUTO_BUF b = {0};
	object_print_json(&b, o, PRINT_PLAIN);
	return json_loadb(b.p, b.n, 0, NULL);
}

/* Lines that are in one text but not in the other, when one stretch of lines is exchanged. */
static size_t stretch(struct str a, struct str b)
{
	size_t from = 0, line = 0, n = 0;
	while (from < a.n && from < b.n && a.p[from] == b.p[from]) {
		if (a.p[from] == '\n')
			line = from + 1;
		from++;
	}
	size_t end = a.n, other = b.n;
	while (end > line && other > line && a.p[end - 1] == b.p[other - 1]) {
		end--;
		other--;
	}
	for (size_t i = line; i < other; i++)
		n += b.p[i] == '\n';
	return n + 1;
}

static const char head[] = "# top\n%s---\n# mine\n",
		  tail[] = "---\n# other\n'apiVersion' : v1\nkind:   ConfigMap\n"
			   "metadata: { name : z }   # odd\n";

static bool one_round(void)
{
	AUTO_BUF text = {0}, out = {0}, was = {0}, want = {0};
	json_t *tree = json_object();
	json_object_set_new(tree, "apiVersion", json_string("v1"));
	json_object_set_new(tree, "kind", json_string("ConfigMap"));
	json_object_set_new(tree, "metadata", json_pack("{s:s}", "name", "it"));
	json_object_set_new(tree, "data", random_value(4));
	json_object_set_new(tree, "more", random_value(3));
	buf_printf(&text, head, any(2) ? "" : "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
	size_t before = text.n;
	int step = any(2) ? 2 : 4;
	block(&text, tree, 0, step, any(2) ? 0 : 2);
	size_t inner = text.n - before;
	buf_addz(&text, tail);
	json_decref(tree);
	struct object *o = read_it(buf_str(&text)), *now = NULL;
	if (!o)
		fail_msg("the test's own text cannot be read:\n%s", text.p);
	json_t *old = json_of(o), *new = json_deep_copy(old);
	json_t *members = json_object_get(new, any(2) ? "data" : "more");
	unsigned changes = 1 + any(3);
	for (unsigned i = 0; i < changes; i++)
		mutate(members);
	bool line = changes == 1 && scalar_at;
	char *o_text = json_dumps(old, 0), *n_text = json_dumps(new, 0);
	struct edit_ask ask = {.text = buf_str(&text),
			       .path = "f.yaml",
			       .object = o,
			       .old = str_of(o_text),
			       .want = str_of(n_text)};
	struct edit_refusal no;
	int r = edit_text(&ask, &out, &now, &no);
	assert_true(r == 0 || r == -EINVAL);
	if (!r) {
		struct object *again = read_it(buf_str(&out));
		json_t *is = json_of(again);
		if (!json_equal(is, new) || memcmp(out.p, text.p, before) ||
		    out.n < before + sizeof(tail) - 1 ||
		    memcmp(out.p + out.n - sizeof(tail) + 1, tail, sizeof(tail) - 1) ||
		    (line && stretch(buf_str(&text), buf_str(&out)) > 1))
			fail_msg("from\n%s\nto\n%s\nwanted %s", text.p, out.p, n_text);
		json_decref(is);
		object_unref(&again);
	} else if (getenv("WEFT_SHOW")) {
		printf("# %s\n%.*s\n# %s\n", no.why, (int)inner, text.p + before, n_text);
	}
	free(o_text);
	free(n_text);
	json_decref(old);
	json_decref(new);
	object_unref(&now);
	object_unref(&o);
	return !r;
}

static void random_edits(void **unused)
{
	const char *seed = getenv("WEFT_SEED"), *rounds = getenv("WEFT_ROUNDS");
	unsigned n = rounds ? (unsigned)atoi(rounds) : 1500, done = 0;
	(void)unused;
	state = seed ? (uint64_t)atoll(seed) : 1;
	for (unsigned i = 0; i < n; i++)
		done += one_round();
	printf("# %u of %u random changes were written, the others refused\n", done, n);
	assert_true(done * 100 >= n * 95);
}

/* Offsets beyond the first line's mark, CR LF and line ends of other kinds, through the same door. */
static void refusals_name_their_place(void **unused)
{
	struct str text = STR("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: it}\ndata: &a\n  k: v\n");
	struct object *o = read_it(text), *now = NULL;
	AUTO_BUF out = {0};
	struct edit_refusal no;
	(void)unused;
	struct edit_ask ask = {.text = text,
			       .path = "f.yaml",
			       .object = o,
			       .old = STR("{\"metadata\":{},\"data\":{\"k\":\"v\"}}"),
			       .want = STR("{\"metadata\":{},\"data\":{\"k\":\"w\"}}")};
	assert_int_equal(edit_text(&ask, &out, &now, &no), -EINVAL);
	assert_int_equal(no.line, 4);
	assert_int_equal(no.col, 7);
	assert_non_null(strstr(no.why, "anchor"));
	assert_null(now);
	object_unref(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(random_edits),
					   cmocka_unit_test(refusals_name_their_place)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
