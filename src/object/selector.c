/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label selectors: matching, and kubectl's text form, e.g. "app=web,tier in (a,b),!old". Never looks names
 * up: callers bring the labels.
 */
#include <errno.h>

#include "object/object.h"
#include "object/syntax.h"

static bool listed(const struct strlist *l, struct str s)
{
	for (size_t i = 0; i < l->len; i++)
		if (str_eq(l->items[i], s))
			return true;
	return false;
}

static bool requirement_holds(const struct selector_requirement *r, const struct strmap *labels)
{
	const struct str *have = strmap_get(labels, r->key);
	if (str_eqz(r->op, "In"))
		return have && listed(&r->values, *have);
	if (str_eqz(r->op, "NotIn"))
		return !have || !listed(&r->values, *have);
	if (str_eqz(r->op, "Exists"))
		return have;
	if (str_eqz(r->op, "DoesNotExist"))
		return !have;
	return false;
}

bool selector_matches(const struct label_selector *s, const struct strmap *labels)
{
	if (!s || !strmap_contains(labels, &s->match_labels))
		return false;
	for (size_t i = 0; i < s->match_expressions.len; i++)
		if (!requirement_holds(&s->match_expressions.items[i], labels))
			return false;
	return true;
}

/* Parser of the text form. `rest` is what is still to be read. */
struct parser {
	struct arena *a;
	struct str rest;
	const char *why;
	struct label_selector *s;
};

static int refuse(struct parser *p, const char *what, struct str near)
{
	struct str why = arena_printf(p->a, "%s near \"" STR_FMT "\"", what, STR_ARG(near));
	p->why = why.p ? why.p : what;
	return -EINVAL;
}

static int append_requirement(struct parser *p, struct str key, const char *op, struct strlist values)
{
	struct selector_requirement_list *l = &p->s->match_expressions;
	struct selector_requirement *items = arena_array(p->a, struct selector_requirement, l->len + 1);
	if (!items)
		return -ENOMEM;
	if (l->len)
		memcpy(items, l->items, l->len * sizeof(*items));
	items[l->len] = (struct selector_requirement){.key = key, .op = str_of(op), .values = values};
	*l = (struct selector_requirement_list){.items = items, .len = l->len + 1, .set = true};
	return 0;
}

static void skip_space(struct parser *p)
{
	while (p->rest.n && p->rest.p[0] == ' ') {
		p->rest.p++;
		p->rest.n--;
	}
}

static struct str take(struct parser *p, const char *until)
{
	struct str word = {.p = p->rest.p, .n = 0};
	while (word.n < p->rest.n && !strchr(until, p->rest.p[word.n]))
		word.n++;
	p->rest.p += word.n;
	p->rest.n -= word.n;
	return word;
}

static bool accept(struct parser *p, const char *lit)
{
	if (!str_starts(p->rest, str_of(lit)))
		return false;
	p->rest.p += strlen(lit);
	p->rest.n -= strlen(lit);
	return true;
}

static int parse_value(struct parser *p, struct str raw, struct strlist *values)
{
	struct str v = str_trim(raw);
	if (syntax_label_value(v))
		return refuse(p, "not a label value", v);
	struct str *items = arena_array(p->a, struct str, values->len + 1);
	if (!items)
		return -ENOMEM;
	if (values->len)
		memcpy(items, values->items, values->len * sizeof(*items));
	items[values->len] = arena_str(p->a, v);
	*values = (struct strlist){.items = items, .len = values->len + 1, .set = true};
	return items[values->len - 1].p ? 0 : -ENOMEM;
}

static int parse_set(struct parser *p, struct str key, const char *op)
{
	struct strlist values = {0};
	skip_space(p);
	if (!accept(p, "("))
		return refuse(p, "expected \"(\"", p->rest);
	struct str inner = take(p, ")");
	if (!accept(p, ")"))
		return refuse(p, "expected \")\"", inner);
	for (bool more = true; more;) {
		more = inner.n && memchr(inner.p, ',', inner.n);
		int r = parse_value(p, str_cut(&inner, ','), &values);
		if (r)
			return r;
	}
	return append_requirement(p, key, op, values);
}

static int parse_requirement(struct parser *p)
{
	skip_space(p);
	bool not = accept(p, "!");
	skip_space(p);
	struct str raw = take(p, " =!,(");
	if (syntax_label_key(raw))
		return refuse(p, "not a label key", raw.n ? raw : p->rest);
	struct str key = arena_str(p->a, raw);
	if (!key.p)
		return -ENOMEM;
	skip_space(p);
	if (not || !p->rest.n || p->rest.p[0] == ',')
		return append_requirement(p, key, not ? "DoesNotExist" : "Exists", (struct strlist){0});
	if (accept(p, "in ") || (str_starts(p->rest, STR("in(")) && accept(p, "in")))
		return parse_set(p, key, "In");
	if (accept(p, "notin ") || (str_starts(p->rest, STR("notin(")) && accept(p, "notin")))
		return parse_set(p, key, "NotIn");
	const char *op = accept(p, "!=") ? "NotIn" : accept(p, "==") || accept(p, "=") ? "In" : NULL;
	if (!op)
		return refuse(p, "expected =, !=, in or notin", p->rest);
	struct strlist values = {0};
	int r = parse_value(p, take(p, ","), &values);
	return r ? r : append_requirement(p, key, op, values);
}

int selector_parse(struct arena *a, struct str text, struct label_selector **out, const char **why)
{
	struct parser p = {.a = a, .rest = str_trim(text), .why = "out of memory"};
	p.s = arena_new(a, struct label_selector);
	int r = p.s ? 0 : -ENOMEM;
	while (!r && p.rest.n) {
		r = parse_requirement(&p);
		skip_space(&p);
		if (!r && p.rest.n && (!accept(&p, ",") || !p.rest.n))
			r = refuse(&p, "expected a requirement after \",\"", p.rest);
	}
	if (r) {
		*why = p.why;
		return r;
	}
	*out = p.s;
	return 0;
}

static void print_requirement(struct buf *b, const struct selector_requirement *r)
{
	if (str_eqz(r->op, "DoesNotExist"))
		buf_addc(b, '!');
	buf_adds(b, r->key);
	if (str_eqz(r->op, "In") || str_eqz(r->op, "NotIn")) {
		buf_addz(b, str_eqz(r->op, "In") ? " in (" : " notin (");
		for (size_t i = 0; i < r->values.len; i++) {
			if (i)
				buf_addc(b, ',');
			buf_adds(b, r->values.items[i]);
		}
		buf_addc(b, ')');
	}
}

void selector_print(struct buf *b, const struct label_selector *s)
{
	size_t from = b->n;
	for (size_t i = 0; s && i < s->match_labels.len; i++) {
		if (b->n > from)
			buf_addc(b, ',');
		buf_printf(b, STR_FMT "=" STR_FMT, STR_ARG(s->match_labels.items[i].key),
			   STR_ARG(s->match_labels.items[i].value));
	}
	for (size_t i = 0; s && i < s->match_expressions.len; i++) {
		if (b->n > from)
			buf_addc(b, ',');
		print_requirement(b, &s->match_expressions.items[i]);
	}
}
