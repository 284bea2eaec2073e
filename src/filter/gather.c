/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree of the same meaning in which alternatives that differ in one comparison alone are one, with the
 * values of all: (udp && dst.port == 1) || (udp && dst.port == 2) is udp && dst.port in {1, 2}. Of a set that
 * long the right value is searched for, not asked for one by one. See node.h.
 */
#include "base/hash.h"
#include "base/own.h"
#include "filter/node.h"

enum { ANY = UINT32_MAX };

struct part { /* alternatives that became one */
	struct node *first;
	uint32_t varies; /* which of its comparisons; ANY: none yet */
	uint32_t last, values;
};

struct alternatives {
	struct arena *arena;
	struct node **kids;
	uint32_t *next; /* of a kid: 1 + the next one of its part; 0: none */
	struct part *parts;
	uint32_t n;
	struct hash known; /* what is left of a part without one comparison → struct place */
};

struct place {
	uint32_t part, at;
};

/* The i-th of those that must all hold; a comparison stands for itself. */
static struct node *one_of(struct node *n, uint32_t i)
{
	return n->op == NODE_AND ? n->kids[i] : n;
}

static uint32_t count_of(const struct node *n)
{
	return n->op == NODE_AND ? n->kids_len : 1;
}

static bool has_values(const struct node *n)
{
	return n->op == NODE_TEST && n->values_len && filter_fields[n->field].type != TYPE_FLAG;
}

static void print_rest(struct buf *out, struct node *n, uint32_t without)
{
	const struct node *it = one_of(n, without);

	buf_clear(out);
	buf_printf(out, "%u %u %u " STR_FMT, without, it->field, it->side, STR_ARG(it->key));
	for (uint32_t i = 0; i < count_of(n); i++)
		if (i != without) {
			buf_addz(out, " && ");
			node_print(out, one_of(n, i));
		}
}

static int add_to(struct alternatives *x, const struct place *p, uint32_t kid)
{
	struct part *part = &x->parts[p->part];

	part->varies = p->at;
	part->values += one_of(x->kids[kid], p->at)->values_len;
	x->next[part->last] = kid + 1;
	part->last = kid;
	return 0;
}

static int add_part(struct alternatives *x, uint32_t kid, struct buf *rest)
{
	struct node *n = x->kids[kid];
	uint32_t number = x->n++;

	x->parts[number] = (struct part){.first = n, .varies = ANY, .last = kid};
	for (uint32_t i = 0; i < count_of(n); i++) {
		struct place *p;

		if (!has_values(one_of(n, i)))
			continue;
		p = arena_new(x->arena, struct place);
		print_rest(rest, n, i);
		if (!p || rest->failed || hash_set(&x->known, buf_str(rest), p, NULL))
			return -1;
		*p = (struct place){number, i};
	}
	return 0;
}

static int sort_in(struct alternatives *x, uint32_t kid, struct buf *rest)
{
	struct node *n = x->kids[kid];

	for (uint32_t i = 0; (n->op == NODE_AND || n->op == NODE_TEST) && i < count_of(n); i++) {
		const struct place *p;

		if (!has_values(one_of(n, i)))
			continue;
		print_rest(rest, n, i);
		p = rest->failed ? NULL : hash_get(&x->known, buf_str(rest));
		if (p && (x->parts[p->part].varies == ANY || x->parts[p->part].varies == i))
			return add_to(x, p, kid);
	}
	return add_part(x, kid, rest);
}

/* The part's first alternative, with the values of all. */
static struct node *whole(struct alternatives *x, const struct part *part, uint32_t first)
{
	struct node *n = arena_new(x->arena, struct node), *test = n;

	if (!n)
		return NULL;
	*n = *part->first;
	if (n->op == NODE_AND) {
		test = arena_new(x->arena, struct node);
		n->kids = arena_array(x->arena, struct node *, n->kids_len);
		if (!test || !n->kids)
			return NULL;
		memcpy(n->kids, part->first->kids, n->kids_len * sizeof(*n->kids));
		*test = *n->kids[part->varies];
		n->kids[part->varies] = test;
	}
	test->values = arena_array(x->arena, struct value, part->values + test->values_len);
	test->values_len = 0;
	if (!test->values)
		return NULL;
	for (uint32_t i = first + 1; i; i = x->next[i - 1]) {
		const struct node *from = one_of(x->kids[i - 1], part->varies);

		memcpy(test->values + test->values_len, from->values,
		       from->values_len * sizeof(*from->values));
		test->values_len += from->values_len;
	}
	node_settle(test);
	return n;
}

static struct node *gather_or(struct arena *a, struct node *n)
{
	AUTO_BUF rest = {0};
	struct alternatives x = {.arena = a,
				 .kids = n->kids,
				 .next = arena_array(a, uint32_t, n->kids_len),
				 .parts = arena_array(a, struct part, n->kids_len)};
	bool good = x.next && x.parts;
	uint32_t *first = good ? arena_array(a, uint32_t, n->kids_len) : NULL;

	good = first;
	for (uint32_t i = 0; good && i < n->kids_len; i++) {
		first[x.n] = i; /* stays where it becomes a part of its own */
		good = !sort_in(&x, i, &rest);
	}
	hash_fini(&x.known);
	n->kids = good ? arena_array(a, struct node *, x.n) : NULL;
	good = n->kids;
	for (uint32_t i = 0; good && i < x.n; i++) {
		n->kids[i] = x.parts[i].varies == ANY ? x.parts[i].first : whole(&x, &x.parts[i], first[i]);
		good = n->kids[i];
	}
	n->kids_len = x.n;
	return !good ? NULL : n->kids_len == 1 ? n->kids[0] : n;
}

struct node *node_gather(struct arena *a, const struct node *from)
{
	struct node *n = arena_new(a, struct node);

	if (!n)
		return NULL;
	*n = *from;
	if (!n->kids_len)
		return n;
	n->kids = arena_array(a, struct node *, n->kids_len);
	for (unsigned i = 0; i < n->kids_len; i++)
		if (!n->kids || !(n->kids[i] = node_gather(a, from->kids[i])))
			return NULL;
	return n->op == NODE_OR ? gather_or(a, n) : n;
}
