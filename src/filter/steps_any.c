/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many alternatives as steps: each stands under the ranges of a field that it must meet (cover.h), and a
 * search through them by halves leaves the few that are asked whole. Those without such a field come last,
 * one by one. See maker.h.
 */
#include <stdlib.h>

#include "base/own.h"
#include "filter/maker.h"

enum { WORTH = 8 }; /* ranges of a dimension that are searched through */

struct entry {
	struct number from, to;
	uint32_t kid;
};

struct any {
	struct maker *m;
	const struct node *n;
	struct cover *covers;	 /* of each kid */
	uint32_t by[DIMENSIONS]; /* entries */
	uint16_t yes, no;
	/* Of the dimension at hand. */
	const struct dimension *dimension;
	struct number *begins;
};

static bool is_new(const struct entry *e, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (e[k].kid == e[i].kid)
			return false;
	return true;
}

static uint16_t one_by_one(struct any *x, const struct entry *e, uint32_t n)
{
	uint16_t to = x->no;

	for (uint32_t i = n; i-- && x->m->n <= FILTER_STEPS_MAX;)
		if (is_new(e, i))
			to = make_node(x->m, x->n->kids[e[i].kid], x->yes, to);
	return to;
}

/* Of the stretches [from, to) those entries that reach into them. */
static uint16_t halve(struct any *x, uint32_t from, uint32_t to, const struct entry *e, uint32_t n)
{
	uint32_t middle = from + (to - from) / 2, left_n = 0, right_n = 0;
	struct number first = x->begins[middle], last = first;
	AUTO_MEM struct entry *half = NULL;
	uint16_t left, right;

	if (n <= MAKER_FEW || to - from == 1 || x->m->n > FILTER_STEPS_MAX)
		return one_by_one(x, e, n);
	half = calloc(n, sizeof(*half));
	if (!half) {
		x->m->no_memory = true;
		return x->no;
	}
	last.high -= !last.low--;
	for (uint32_t i = 0; i < n; i++)
		if (!number_below(&e[i].to, &first))
			half[right_n++] = e[i];
	right = halve(x, middle, to, half, right_n);
	for (uint32_t i = 0; i < n; i++)
		if (number_below(&e[i].from, &first))
			half[left_n++] = e[i];
	left = halve(x, from, middle, half, left_n);
	return left == right ? left : make_between(x->m, x->dimension, (struct number){0}, last, left, right);
}

static uint16_t search(struct any *x, int dimension)
{
	uint32_t n = 0, stretches = 1, distinct = 0;
	AUTO_MEM struct entry *e = calloc(x->by[dimension], sizeof(*e));
	AUTO_MEM struct number *begins = calloc(2 * (size_t)x->by[dimension] + 1, sizeof(*begins));
	unsigned has = 0;
	uint16_t to;

	if (!e || !begins) {
		x->m->no_memory = true;
		return x->no;
	}
	for (uint32_t i = 0; i < x->n->kids_len; i++)
		for (uint32_t k = 0; !x->covers[i].all && k < x->covers[i].n; k++) {
			const struct key *key = &x->covers[i].keys[k];
			struct number behind = key->to;

			if (key->dimension != (uint32_t)dimension)
				continue;
			e[n++] = (struct entry){key->from, key->to, i};
			begins[stretches++] = key->from;
			behind.high += !++behind.low;
			if (behind.high | behind.low)
				begins[stretches++] = behind;
		}
	qsort(begins, stretches, sizeof(*begins), number_compare);
	for (uint32_t i = 0; i < stretches; i++)
		if (!i || number_below(&begins[distinct - 1], &begins[i]))
			begins[distinct++] = begins[i];
	x->dimension = &cover_dimensions[dimension];
	x->begins = begins;
	to = halve(x, 0, distinct, e, n);
	make_slot(x->dimension->field, x->dimension->side, &has);
	return has ? make_bits(x->m, SLOT_HAS, has, to, x->no) : to;
}

/* Counts entries; an alternative stays only where each of its dimensions is worth a search. */
static void choose(struct any *x)
{
	unsigned has;

	for (uint32_t i = 0; i < x->n->kids_len; i++)
		for (uint32_t k = 0; k < x->covers[i].n; k++)
			x->by[x->covers[i].keys[k].dimension]++;
	for (uint32_t i = 0; i < x->n->kids_len; i++)
		for (uint32_t k = 0; k < x->covers[i].n; k++) {
			const struct dimension *d = &cover_dimensions[x->covers[i].keys[k].dimension];

			if (x->by[x->covers[i].keys[k].dimension] < WORTH ||
			    make_slot(d->field, d->side, &has) == SLOT_COUNT)
				x->covers[i].all = true;
		}
}

uint16_t make_any(struct maker *m, const struct node *n, uint16_t yes, uint16_t no)
{
	struct any x = {.m = m, .n = n, .yes = yes, .no = no};

	x.covers = calloc(n->kids_len, sizeof(*x.covers));
	if (!x.covers) {
		m->no_memory = true;
		return no;
	}
	for (uint32_t i = 0; i < n->kids_len; i++)
		x.covers[i] = cover_of(n->kids[i]);
	choose(&x);
	for (uint32_t i = n->kids_len; i-- && m->n <= FILTER_STEPS_MAX;)
		if (x.covers[i].all)
			x.no = make_node(m, n->kids[i], yes, x.no);
	for (int i = 0; i < DIMENSIONS && m->n <= FILTER_STEPS_MAX; i++)
		if (x.by[i] >= WORTH)
			x.no = search(&x, i);
	for (uint32_t i = 0; i < n->kids_len; i++)
		cover_fini(&x.covers[i]);
	free(x.covers);
	return x.no;
}
