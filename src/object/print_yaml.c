/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects as YAML in block style, keys in alphabetical order, as `kubectl get -o yaml` shows them: the
 * object's JSON, read back and laid out. Text is quoted only where it would read as something else.
 */
#include <stdlib.h>

#include "base/own.h"
#include "object/scalar.h"
#include "object/tree.h"

static bool plain_safe(struct str s)
{
	static const char first_bad[] = "-?:,[]{}#&*!|>'\"%@` \t=<";
	if (scalar_resolve(s).type != SCALAR_TEXT || strchr(first_bad, s.p[0]) || s.p[s.n - 1] == ' ' ||
	    s.p[s.n - 1] == ':')
		return false;
	if (str_starts(s, STR("---")) || str_starts(s, STR("...")))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c < 0x20 || c >= 0x7f)
			return false;
		if ((c == ':' && i + 1 < s.n && s.p[i + 1] == ' ') || (c == '#' && i && s.p[i - 1] == ' '))
			return false;
	}
	return true;
}

/* Whether text over several lines can stand below "|". */
static bool block_safe(struct str s)
{
	if (!s.n || !memchr(s.p, '\n', s.n) || s.p[0] == ' ' || s.p[0] == '\n' || str_ends(s, STR("\n\n")))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if ((c < 0x20 && c != '\n') || c >= 0x7f)
			return false;
		if (c == ' ' && (i + 1 == s.n || s.p[i + 1] == '\n'))
			return false;
	}
	return true;
}

static void indent(struct buf *b, unsigned by)
{
	while (by--)
		buf_addc(b, ' ');
}

static void print_block(struct buf *b, struct str s, unsigned by)
{
	bool ends = s.p[s.n - 1] == '\n';
	buf_addz(b, ends ? "|" : "|-");
	s.n -= ends;
	for (bool more = true; more;) {
		more = memchr(s.p, '\n', s.n);
		struct str line = str_cut(&s, '\n');
		buf_addc(b, '\n');
		if (line.n)
			indent(b, by);
		buf_adds(b, line);
	}
}

/* Characters that YAML does not take as they are, or folds as line ends: C1 controls, U+2028, U+2029, U+FEFF,
 * U+FFFE, U+FFFF. s.p[i] starts a valid sequence of n bytes. */
static unsigned must_escape(const char *at, size_t n)
{
	const unsigned char *p = (const unsigned char *)at;
	unsigned c = n == 2   ? (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu)
		     : n == 3 ? (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu)
			      : 'a';
	return c < 0xa0 || c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe || c == 0xffff ? c : 0;
}

/* In double quotes: JSON's form, with more escapes. */
static void print_quoted(struct buf *b, struct str s)
{
	AUTO_BUF json = {0};
	buf_json(&json, s);
	for (size_t i = 0; i < json.n;) {
		size_t n = str_utf8(json.p + i, json.n - i);
		unsigned c = n == 2 || n == 3 ? must_escape(json.p + i, n) : 0;
		if (c)
			buf_printf(b, "\\u%04x", c);
		else
			buf_add(b, json.p + i, n ? n : 1);
		i += n ? n : 1;
	}
	b->failed |= json.failed;
}

static void print_text(struct buf *b, struct str s, unsigned by)
{
	if (s.n && plain_safe(s))
		buf_adds(b, s);
	else if (block_safe(s))
		print_block(b, s, by);
	else
		print_quoted(b, s);
}

static int by_key(const void *pa, const void *pb)
{
	const struct link *const *a = pa, *const *b = pb;
	return str_cmp((*a)->key->text, (*b)->key->text);
}

static void print_value(struct buf *b, const struct value *v, unsigned by, bool in_seq);

/* The first line of a map in a list follows its "- ". */
static void print_map(struct buf *b, const struct value *v, unsigned by, bool in_seq)
{
	const struct link **sorted = calloc(v->count, sizeof(struct link *));
	size_t n = 0;
	if (!sorted) {
		b->failed = true;
		return;
	}
	for (const struct link *l = v->first; l; l = l->next)
		sorted[n++] = l;
	qsort(sorted, n, sizeof(sorted[0]), by_key);
	for (size_t i = 0; i < n; i++) {
		if (i || !in_seq) {
			buf_addc(b, '\n');
			indent(b, by);
		}
		print_text(b, sorted[i]->key->text, by);
		buf_addc(b, ':');
		print_value(b, sorted[i]->value, by, false);
	}
	free(sorted);
}

static void print_seq(struct buf *b, const struct value *v, unsigned by, bool in_seq)
{
	for (const struct link *l = v->first; l; l = l->next) {
		if (l != v->first || !in_seq) {
			buf_addc(b, '\n');
			indent(b, by);
		}
		buf_addc(b, '-');
		print_value(b, l->value, by + 2, true);
	}
}

/* After "key:" or "-". Lists stand at their key's own indentation, maps two further in. */
static void print_value(struct buf *b, const struct value *v, unsigned by, bool in_seq)
{
	if (v->type == VALUE_SCALAR) {
		buf_addc(b, ' ');
		if (v->plain)
			buf_adds(b, v->text);
		else
			print_text(b, v->text, in_seq ? by : by + 2);
	} else if (!v->count) {
		buf_addz(b, v->type == VALUE_MAP ? " {}" : " []");
	} else if (in_seq) {
		buf_addc(b, ' ');
		if (v->type == VALUE_MAP)
			print_map(b, v, by, true);
		else
			print_seq(b, v, by, true);
	} else if (v->type == VALUE_MAP) {
		print_map(b, v, by + 2, false);
	} else {
		print_seq(b, v, by, false);
	}
}

void object_print_yaml(struct buf *b, const struct object *o, unsigned flags)
{
	/* Our own text: limits only bound what a caller could have put into an opaque member. */
	static const struct decode_limits limits = {.depth = 200, .nodes = SIZE_MAX, .aliases = 0};
	AUTO_BUF json = {0};
	object_print_json(&json, o, flags);
	struct json_feed f;
	struct remarks rs = {0};
	struct tree t = {.limits = &limits, .rs = &rs};
	struct feed_event ev;
	struct value *top;
	json_feed_init(&f, buf_str(&json), NULL, &rs);
	if (json.failed || f.feed.next(&f.feed, &ev) || tree_value(&t, &f.feed, &ev, 1, &top)) {
		b->failed = true;
	} else {
		print_map(b, top, 0, true);
		buf_addc(b, '\n');
	}
	json_feed_fini(&f);
	tree_fini(&t);
	remarks_fini(&rs);
}
