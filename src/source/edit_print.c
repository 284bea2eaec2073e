/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as a person would write them: plain where every reader of YAML sees the same text, else quoted.
 * Called by edit_change.c.
 */
#include <stdlib.h>

#include "base/own.h"
#include "object/scalar.h"
#include "source/edit_state.h"

static struct str text_of(const json_t *v)
{
	return (struct str){.p = json_string_value(v), .n = json_string_length(v)};
}

static bool all_of(struct str s, const char *set)
{
	for (size_t i = 0; i < s.n; i++)
		if (!strchr(set, s.p[i]))
			return false;
	return true;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool has_letter(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (is_letter(s.p[i]))
			return true;
	return false;
}

/* Addresses and ranges: digits with at least two points. */
static bool is_dotted(struct str s)
{
	size_t dots = 0;
	for (size_t i = 0; i < s.n; i++)
		dots += s.p[i] == '.';
	return dots > 1 && all_of(s, "0123456789./");
}

static bool is_plain(struct str s, bool inside)
{
	static const char safe[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+=@%~ :,";
	if (!s.n || s.n > 200 || s.p[0] == ' ' || s.p[s.n - 1] == ' ' || s.p[s.n - 1] == ':')
		return false;
	if (!(is_letter(s.p[0]) || s.p[0] == '/' || s.p[0] == '.' || (s.p[0] >= '0' && s.p[0] <= '9')))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!s.p[i] || !strchr(safe, s.p[i]) || (inside && (s.p[i] == ',' || s.p[i] == ':')))
			return false;
		if (s.p[i] == ':' && s.p[i + 1] == ' ')
			return false;
	}
	if (!is_letter(s.p[0]) && s.p[0] != '/' &&
	    (memchr(s.p, ':', s.n) || (!has_letter(s) && !is_dotted(s))))
		return false;
	return scalar_resolve(s).type == SCALAR_TEXT;
}

static void add_double(struct buf *b, struct str s)
{
	static const char from[] = "\"\\\n\t\r\b\f", to[] = "\"\\ntrbf";
	buf_addc(b, '"');
	for (size_t i = 0; i < s.n;) {
		unsigned char c = (unsigned char)s.p[i];
		const char *e = c ? strchr(from, (char)c) : NULL;
		size_t n = str_utf8(s.p + i, s.n - i);
		if (e) {
			buf_addc(b, '\\');
			buf_addc(b, to[e - from]);
		} else if (c < 0x20 || c == 0x7f) {
			buf_printf(b, "\\u%04x", c);
		} else if (n == 2 && c == 0xc2 && (unsigned char)s.p[i + 1] < 0xa0) {
			buf_printf(b, "\\u00%02x", (unsigned char)s.p[i + 1]);
		} else if (n == 3 && !memcmp(s.p + i, "\xe2\x80\xa8", 3)) {
			buf_addz(b, "\\u2028");
		} else if (n == 3 && !memcmp(s.p + i, "\xe2\x80\xa9", 3)) {
			buf_addz(b, "\\u2029");
		} else if (n == 3 && !memcmp(s.p + i, "\xef\xbb\xbf", 3)) {
			buf_addz(b, "\\ufeff");
		} else {
			buf_add(b, s.p + i, n ? n : 1);
		}
		i += n ? n : 1;
	}
	buf_addc(b, '"');
}

/* Printable ASCII only, which is what single quotes leave alone. */
static bool is_printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			return false;
	return true;
}

static void add_single(struct buf *b, struct str s)
{
	buf_addc(b, '\'');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\'')
			buf_addc(b, '\'');
		buf_addc(b, s.p[i]);
	}
	buf_addc(b, '\'');
}

static void add_bare(struct buf *b, const json_t *v)
{
	AUTO_MEM char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
	buf_addz(b, text ? text : "");
	b->failed |= !text;
}

void edit_print_scalar(struct buf *b, const json_t *v, bool inside, char style)
{
	struct str s = text_of(v);
	if (!json_is_string(v))
		add_bare(b, v);
	else if (style == '\'' && is_printable(s))
		add_single(b, s);
	else if (style != '"' && is_plain(s, inside))
		buf_adds(b, s);
	else
		add_double(b, s);
}

void edit_print_key(struct buf *b, const char *key, bool inside, const struct edit_manner *m)
{
	struct str s = str_of(key);
	if (!m->json && is_plain(s, inside))
		buf_adds(b, s);
	else
		add_double(b, s);
}

static void add_lines(struct buf *b, const json_t *v, unsigned indent, const struct edit_manner *m,
		      bool lines)
{
	bool map = json_is_object(v), any = false;
	const char *key;
	json_t *child;
	size_t i = 0;
	if (!map && !json_is_array(v)) {
		if (m->json && json_is_string(v))
			add_double(b, text_of(v));
		else
			edit_print_scalar(b, v, true, 0);
		return;
	}
	lines &= map ? json_object_size(v) > 0 : json_array_size(v) > 0;
	buf_addc(b, map ? '{' : '[');
#define NEXT                                                                                                 \
	do {                                                                                                 \
		if (lines)                                                                                   \
			buf_printf(b, "%s%s%*s", any ? "," : "", m->eol, (int)(indent + m->step), "");       \
		else if (any)                                                                                \
			buf_addz(b, ", ");                                                                   \
		any = true;                                                                                  \
	} while (0)
	if (map)
		json_object_foreach ((json_t *)(uintptr_t)v, key, child) {
			NEXT;
			edit_print_key(b, key, true, m);
			buf_addz(b, ": ");
			add_lines(b, child, indent + m->step, m, lines);
		}
	else
		json_array_foreach (v, i, child) {
			NEXT;
			add_lines(b, child, indent + m->step, m, lines);
		}
#undef NEXT
	if (lines)
		buf_printf(b, "%s%*s", m->eol, (int)indent, "");
	buf_addc(b, map ? '}' : ']');
}

void edit_print_flow(struct buf *b, const json_t *v, const struct edit_manner *m)
{
	add_lines(b, v, 0, m, false);
}

void edit_print_lines(struct buf *b, const json_t *v, unsigned indent, const struct edit_manner *m)
{
	add_lines(b, v, indent, m, true);
}

/* Text of several lines that literal lines give back as it is. */
static bool is_literal(struct str s)
{
	if (!s.n || !memchr(s.p, '\n', s.n) || strchr(" \n\t", s.p[0]))
		return false;
	if (s.n > 1 && s.p[s.n - 1] == '\n' && s.p[s.n - 2] == '\n')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
			return false;
		if (c == 0xc2 || c == 0xef || (c == 0xe2 && i + 1 < s.n && (unsigned char)s.p[i + 1] == 0x80))
			return false; /* other line ends, marks: not worth telling apart */
		if (c == '\n' && i && strchr(" \t", s.p[i - 1]))
			return false;
	}
	return !strchr(" \t", s.p[s.n - 1]);
}

bool edit_print_literal(struct buf *b, struct str s, unsigned indent, const struct edit_manner *m)
{
	if (!is_literal(s) || m->json)
		return false;
	bool end = s.p[s.n - 1] == '\n';
	buf_addz(b, end ? "|" : "|-");
	if (end)
		s.n--;
	while (s.n || s.p) {
		const char *nl = memchr(s.p, '\n', s.n);
		struct str line = {.p = s.p, .n = nl ? (size_t)(nl - s.p) : s.n};
		buf_addz(b, m->eol);
		if (line.n)
			buf_printf(b, "%*s" STR_FMT, (int)indent, "", STR_ARG(line));
		if (!nl)
			break;
		s = (struct str){.p = nl + 1, .n = s.n - line.n - 1};
	}
	return true;
}

static bool is_empty(const json_t *v)
{
	return json_is_object(v) ? !json_object_size(v) : !json_array_size(v);
}

void edit_print_member(struct buf *b, const json_t *v, unsigned column, const struct edit_manner *m)
{
	bool collection = json_is_object(v) || json_is_array(v);
	if (collection && !is_empty(v)) {
		unsigned in = column + (json_is_object(v) ? m->step : m->seq_step);
		buf_printf(b, "%s%*s", m->eol, (int)in, "");
		edit_print_block(b, v, in, m);
		return;
	}
	buf_addc(b, ' ');
	if (collection)
		edit_print_flow(b, v, m);
	else if (!json_is_string(v) || !edit_print_literal(b, text_of(v), column + m->step, m))
		edit_print_scalar(b, v, false, 0);
}

void edit_print_block(struct buf *b, const json_t *v, unsigned indent, const struct edit_manner *m)
{
	const char *key, *between = "";
	json_t *child;
	size_t i = 0;
	if (is_empty(v))
		edit_print_flow(b, v, m);
	if (json_is_object(v))
		json_object_foreach ((json_t *)(uintptr_t)v, key, child) {
			if (*between)
				buf_printf(b, "%s%*s", between, (int)indent, "");
			between = m->eol;
			edit_print_key(b, key, false, m);
			buf_addc(b, ':');
			edit_print_member(b, child, indent, m);
		}
	else
		json_array_foreach (v, i, child) {
			if (*between)
				buf_printf(b, "%s%*s", between, (int)indent, "");
			between = m->eol;
			buf_addz(b, "-");
			if ((json_is_object(child) || json_is_array(child)) && !is_empty(child)) {
				buf_addc(b, ' ');
				edit_print_block(b, child, indent + 2, m);
			} else {
				edit_print_member(b, child, indent, m);
			}
		}
}
