/* SPDX-License-Identifier: Apache-2.0 */
/* Label selectors, address blocks and patterns of names, each by its definition. Called by the model only. */
#include <errno.h>

#include "match.h"

static const struct str *value_of(const struct strmap *labels, struct str key)
{
	for (size_t i = 0; i < labels->len; i++)
		if (str_eq(labels->items[i].key, key))
			return &labels->items[i].value;
	return NULL;
}

static bool in(const struct strlist *values, struct str v)
{
	for (size_t i = 0; i < values->len; i++)
		if (str_eq(values->items[i], v))
			return true;
	return false;
}

/* NP17: NotIn and DoesNotExist also match what lacks the key. */
static bool requirement(const struct selector_requirement *r, const struct strmap *labels)
{
	const struct str *v = value_of(labels, r->key);
	if (str_eqz(r->op, "In"))
		return v && in(&r->values, *v);
	if (str_eqz(r->op, "NotIn"))
		return !v || !in(&r->values, *v);
	if (str_eqz(r->op, "Exists"))
		return v;
	return !v; /* DoesNotExist */
}

/* NP03: an empty selector selects everything. */
bool labels_match(const struct label_selector *sel, const struct strmap *labels)
{
	for (size_t i = 0; i < sel->match_labels.len; i++) {
		const struct str *v = value_of(labels, sel->match_labels.items[i].key);
		if (!v || !str_eq(*v, sel->match_labels.items[i].value))
			return false;
	}
	for (size_t i = 0; i < sel->match_expressions.len; i++)
		if (!requirement(&sel->match_expressions.items[i], labels))
			return false;
	return true;
}

/* NP38: a block covers its own family only. */
bool block_has(struct str cidr, const struct addr *a)
{
	struct prefix p;
	if (prefix_parse(cidr, &p) == -EINVAL || !memchr(cidr.p, ':', cidr.n) != addr_is4(a))
		return false;
	for (unsigned bit = 0; bit < p.len; bit++)
		if ((p.addr.b[bit / 8] ^ a->b[bit / 8]) & (0x80 >> bit % 8))
			return false;
	return true;
}

static bool letters_equal(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		char x = a.p[i], y = b.p[i];
		x = (char)(x >= 'A' && x <= 'Z' ? x + 32 : x);
		y = (char)(y >= 'A' && y <= 'Z' ? y + 32 : y);
		if (x != y)
			return false;
	}
	return true;
}

/* CN15: "*.example.org" is one or more whole labels to the left, and not example.org itself. */
bool domain_matches(struct str pattern, struct str name)
{
	if (pattern.n && pattern.p[pattern.n - 1] == '.')
		pattern.n--;
	if (pattern.n < 2 || pattern.p[0] != '*')
		return letters_equal(pattern, name);
	struct str below = {pattern.p + 1, pattern.n - 1}; /* ".example.org" */
	struct str end = {name.p + name.n - below.n, below.n};
	return name.n > below.n && letters_equal(below, end);
}
