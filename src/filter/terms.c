/* SPDX-License-Identifier: Apache-2.0 */
/* Terms of a filter: see terms.h. */
#include "filter/terms.h"

#include <errno.h>

#include "base/own.h"
#include "filter/match.h"

enum { ARENA_LIMIT = 32 << 20 };

struct list {
	struct filter_term *items;
	unsigned n;
};

struct expander {
	struct arena *arena;
	unsigned max;
	int error; /* -E2BIG, -ENOMEM; the first */
	const struct node *at;
};

static void fail(struct expander *x, int error, const struct node *at)
{
	if (!x->error) {
		x->error = error;
		x->at = at;
	}
}

static struct list make_list(struct expander *x, unsigned n, const struct node *at)
{
	struct list l = {.n = n};

	if (n > x->max)
		fail(x, -E2BIG, at);
	else if (n && !(l.items = arena_array(x->arena, struct filter_term, n)))
		fail(x, -ENOMEM, at);
	if (x->error)
		l = (struct list){};
	return l;
}

static struct list single(struct expander *x, const struct node *n, enum side side, bool not )
{
	struct list l = make_list(x, 1, n);
	struct node *test = l.n ? arena_new(x->arena, struct node) : NULL;
	struct filter_literal *literal = test ? arena_new(x->arena, struct filter_literal) : NULL;

	if (!literal) {
		fail(x, -ENOMEM, n);
		return (struct list){};
	}
	*test = *n;
	test->side = side;
	*literal = (struct filter_literal){test, not };
	l.items[0] = (struct filter_term){literal, 1};
	return l;
}

static bool overlap(enum filter_type t, const struct value *a, const struct value *b)
{
	if (t == TYPE_ADDRESS)
		return memcmp(&a->from, &b->to, sizeof(a->from)) <= 0 &&
		       memcmp(&b->from, &a->to, sizeof(a->from)) <= 0;
	return a->lo <= b->hi && b->lo <= a->hi;
}

/* No packet holds both. */
static bool exclude(const struct filter_literal *a, const struct filter_literal *b)
{
	const struct node *l = a->test, *r = b->test;

	if (l->field != r->field || l->side != r->side)
		return false;
	if (a->not != b->not )
		return node_eq(l, r) || (a->not ? l : r)->op == NODE_HAS;
	if (a->not || l->op == NODE_HAS || r->op == NODE_HAS || filter_fields[l->field].type == TYPE_FLAG)
		return false;
	for (unsigned i = 0; i < l->values_len; i++)
		for (unsigned k = 0; k < r->values_len; k++)
			if (overlap(filter_fields[l->field].type, &l->values[i], &r->values[k]))
				return false;
	return true;
}

/* By field and side, so that equal terms look alike. */
static bool before(const struct filter_literal *a, const struct filter_literal *b)
{
	if (a->test->field != b->test->field)
		return a->test->field < b->test->field;
	return a->test->side != b->test->side ? a->test->side < b->test->side : a->not < b->not ;
}

/* False: nothing can match both. */
static bool join(struct expander *x, struct filter_term *out, const struct filter_term *l,
		 const struct filter_term *r, const struct node *at)
{
	if (l->n + r->n > TERM_TESTS_MAX) {
		fail(x, -E2BIG, at);
		return false;
	}
	*out = (struct filter_term){.tests = arena_array(x->arena, struct filter_literal, l->n + r->n + 1)};
	if (!out->tests) {
		fail(x, -ENOMEM, at);
		return false;
	}
	for (unsigned i = 0; i < l->n + r->n; i++) {
		const struct filter_literal *add = i < l->n ? &l->tests[i] : &r->tests[i - l->n];
		bool twice = false;
		unsigned to = out->n;

		for (unsigned k = 0; k < out->n; k++) {
			if (exclude(&out->tests[k], add))
				return false;
			twice =
			    twice || (out->tests[k].not == add->not &&node_eq(out->tests[k].test, add->test));
		}
		if (twice)
			continue;
		for (; to && before(add, &out->tests[to - 1]); to--)
			out->tests[to] = out->tests[to - 1];
		out->tests[to] = *add;
		out->n++;
	}
	return true;
}

static struct list both(struct expander *x, const struct list *l, const struct list *r, const struct node *at)
{
	/* What is left may be fewer than all pairs; but so many are tried at most. */
	struct expander tried = {.arena = x->arena, .max = 16 * x->max};
	struct list out = make_list(&tried, l->n * r->n, at);
	unsigned kept = 0;

	if (tried.error)
		fail(x, tried.error, at);
	for (unsigned i = 0; i < l->n && !x->error; i++)
		for (unsigned k = 0; k < r->n && !x->error; k++)
			kept += join(x, &out.items[kept], &l->items[i], &r->items[k], at);
	if (kept > x->max)
		fail(x, -E2BIG, at);
	out.n = x->error ? 0 : kept;
	return out;
}

static struct list either(struct expander *x, const struct list *l, const struct list *r,
			  const struct node *at)
{
	struct list out = make_list(x, l->n + r->n, at);

	if (out.n && l->n)
		memcpy(out.items, l->items, l->n * sizeof(*l->items));
	if (out.n && r->n)
		memcpy(out.items + l->n, r->items, r->n * sizeof(*r->items));
	return out;
}

static struct list expand(struct expander *x, const struct node *n, bool not )
{
	struct list out = {}, next;
	bool all = (n->op == NODE_AND) != not ;

	switch (n->op) {
	case NODE_ALL:
	case NODE_NONE:
		return make_list(x, (n->op == NODE_ALL) != not, n); /* one term without a test, or none */
	case NODE_NOT:
		return expand(x, n->kids[0], !not );
	case NODE_AND:
	case NODE_OR:
		out = expand(x, n->kids[0], not );
		for (unsigned i = 1; i < n->kids_len && !x->error; i++) {
			next = expand(x, n->kids[i], not );
			out = all ? both(x, &out, &next, n) : either(x, &out, &next, n);
		}
		return out;
	case NODE_TEST:
	case NODE_HAS:
		if (!filter_fields[n->field].sided || n->side != SIDE_EITHER)
			return single(x, n, n->side, not );
		out = single(x, n, SIDE_SRC, not );
		next = single(x, n, SIDE_DST, not );
		return not ? both(x, &out, &next, n) : either(x, &out, &next, n);
	}
	return out;
}

int filter_terms(struct filter_terms *out, const struct filter *f, unsigned max, struct buf *why)
{
	struct filter_terms t = {.arena = {.limit = ARENA_LIMIT}};
	struct expander x = {.arena = &t.arena, .max = max < TERMS_MAX ? max : TERMS_MAX};
	struct list l;
	int r = filter_uses(f, FILTER_KERNEL, why);

	if (!r && f->pcap) {
		if (why)
			buf_addz(why, "a pcap expression has no terms; it runs as a program");
		r = -ENOTSUP;
	}
	if (r)
		return r;
	l = expand(&x, f->root, false);
	if (x.error) {
		if (why && x.error == -E2BIG) {
			buf_printf(why,
				   "it has more than %u terms, or a term more than %u tests, at: ", x.max,
				   TERM_TESTS_MAX);
			node_print(why, x.at);
		}
		arena_fini(&t.arena);
		return x.error;
	}
	t.items = l.items;
	t.n = l.n;
	*out = t;
	return 0;
}

void filter_terms_fini(struct filter_terms *t)
{
	arena_fini(&t->arena);
	*t = (struct filter_terms){};
}

bool filter_terms_packet(const struct filter_terms *t, const struct filter_packet *p)
{
	struct dissected d;
	struct subject s = {.packet = &d, .record = p->who};

	dissect(&d, p);
	for (unsigned i = 0; i < t->n; i++) {
		unsigned k = 0;

		while (k < t->items[i].n &&
		       node_match(t->items[i].tests[k].test, &s) != t->items[i].tests[k].not )
			k++;
		if (k == t->items[i].n)
			return true;
	}
	return false;
}

void filter_terms_print(const struct filter_terms *t, struct buf *out)
{
	if (!t->n)
		buf_addz(out, "false");
	for (unsigned i = 0; i < t->n; i++) {
		buf_addz(out, i ? " || " : "");
		if (!t->items[i].n)
			buf_addz(out, "true");
		for (unsigned k = 0; k < t->items[i].n; k++) {
			buf_addz(out, k ? " && " : "");
			buf_addz(out, t->items[i].tests[k].not ? "!(" : "");
			node_print(out, t->items[i].tests[k].test);
			buf_addz(out, t->items[i].tests[k].not ? ")" : "");
		}
	}
}
