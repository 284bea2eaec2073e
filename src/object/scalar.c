/* SPDX-License-Identifier: Apache-2.0 */
/* Resolving unquoted scalars, JSON's number grammar. See scalar.h. */
#include "object/scalar.h"

static size_t digits(struct str s, size_t at)
{
	size_t n = 0;
	while (at + n < s.n && s.p[at + n] >= '0' && s.p[at + n] <= '9')
		n++;
	return n;
}

/* RFC 8259 section 6. */
bool scalar_is_json_number(struct str s)
{
	size_t i = s.n && s.p[0] == '-', n = digits(s, i);
	if (!n || (n > 1 && s.p[i] == '0'))
		return false;
	i += n;
	if (i < s.n && s.p[i] == '.') {
		n = digits(s, i + 1);
		if (!n)
			return false;
		i += 1 + n;
	}
	if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
		i++;
		i += i < s.n && (s.p[i] == '+' || s.p[i] == '-');
		n = digits(s, i);
		if (!n)
			return false;
		i += n;
	}
	return i == s.n;
}

static bool among(struct str s, const char *const *words)
{
	for (; *words; words++)
		if (str_eqz(s, *words))
			return true;
	return false;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_float(struct str s)
{
	size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+');
	size_t whole = digits(s, i), part = 0;
	i += whole;
	if (i < s.n && s.p[i] == '.') {
		part = digits(s, i + 1);
		i += 1 + part;
	}
	if (!whole && !part)
		return false;
	if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
		i++;
		i += i < s.n && (s.p[i] == '+' || s.p[i] == '-');
		size_t n = digits(s, i);
		if (!n)
			return false;
		i += n;
	}
	return i == s.n;
}

/* Decimal, 0x, 0o, 0b and the octal form 0755; underscores between digits. 1 whole number, -1 too big, 0 not
 * one. */
static int whole_number(struct str s, int64_t *out)
{
	size_t i = 0;
	bool neg = s.n && s.p[0] == '-';
	i += neg || (s.n && s.p[0] == '+');
	unsigned base = 10;
	if (i + 1 < s.n && s.p[i] == '0') {
		char c = s.p[i + 1];
		base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
		i += c == 'x' || c == 'b' || c == 'o' ? 2 : 1;
	}
	uint64_t v = 0;
	bool some = false, over = false;
	for (; i < s.n; i++) {
		char c = s.p[i];
		unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
			     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
			     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
						    : 99;
		if (c == '_' && some)
			continue;
		if (d >= base)
			return 0;
		some = true;
		over |= __builtin_mul_overflow(v, (uint64_t)base, &v) ||
			__builtin_add_overflow(v, (uint64_t)d, &v);
	}
	if (!some)
		return 0;
	if (over || v > (uint64_t)INT64_MAX + neg)
		return -1;
	*out = neg ? (int64_t)(0 - v) : (int64_t)v;
	return 1;
}

/* Null, true, yes and what else stands for a value; none of them begins with a digit. */
static bool word(struct str s, struct scalar *out)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const yes[] = {"true", "True", "TRUE", NULL};
	static const char *const no[] = {"false", "False", "FALSE", NULL};
	static const char *const yes_words[] = {"y", "Y", "yes", "Yes", "YES", "on", "On", "ON", NULL};
	static const char *const no_words[] = {"n", "N", "no", "No", "NO", "off", "Off", "OFF", NULL};
	static const char *const odd[] = {".inf", ".Inf", ".INF", "+.inf", "-.inf",
					  ".nan", ".NaN", ".NAN", NULL};
	if (digits(s, 0))
		return false;
	if (among(s, nulls))
		*out = (struct scalar){.type = SCALAR_NULL};
	else if (among(s, yes) || among(s, no))
		*out = (struct scalar){.type = SCALAR_BOOL, .b = among(s, yes)};
	else if (among(s, yes_words) || among(s, no_words))
		*out = (struct scalar){.type = SCALAR_WORD, .b = among(s, yes_words)};
	else if (among(s, odd))
		*out = (struct scalar){.type = SCALAR_FLOAT};
	else
		return false;
	return true;
}

struct scalar scalar_resolve(struct str s)
{
	struct scalar out = {.type = SCALAR_TEXT};
	if (s.n > 40) /* longer than any number that is meant as one; keeps huge texts cheap */
		return out;
	if (word(s, &out))
		return out;
	int whole = whole_number(s, &out.i);
	if (whole)
		out.type = whole > 0 ? SCALAR_INT : SCALAR_FLOAT;
	else if (is_float(s))
		out.type = SCALAR_FLOAT;
	return out;
}
