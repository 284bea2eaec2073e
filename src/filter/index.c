/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters by the values that they must meet: see index.h. A field's values are cut into stretches at the ends
 * of all ranges, so that one search finds the stretch, and with it its filters.
 */
#include "filter/index.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "base/vec.h"
#include "filter/cover.h"
#include "filter/match.h"

enum {
	SMALL = 4,	      /* so few are asked faster than found */
	PLACES_MAX = 1 << 20, /* filters in stretches, each as often as it stands there */
	BUCKETS_MAX = 1024
};

struct entry {
	struct number from, to;
	uint32_t filter;
};

struct stretches { /* of one dimension */
	VEC(struct entry) entries;
	struct number *begins; /* sorted; the first is 0 */
	uint32_t *first;       /* in filters, of each; and one more behind */
	uint32_t *filters;
	uint32_t n;
	/* Where numbers, or the low halves of addresses, from begins[1] to begins[n - 1] begin to be looked
	 * for: of each 2^shift of them the last that begins before. NULL: the whole is searched. */
	uint32_t *buckets;
	unsigned shift;
};

struct filter_index {
	struct stretches by[DIMENSIONS];
	uint64_t *always;
	size_t words;
	uint32_t always_n;
};

/* --- making ----------------------------------------------------------------------------------------- */

static void ask_always(struct filter_index *x, uint32_t filter)
{
	x->always[filter / 64] |= 1ull << (filter % 64);
	x->always_n++;
}

static int enter(struct filter_index *x, const struct filter *f, uint32_t number)
{
	struct cover c = f->pcap ? (struct cover){.all = true} : cover_of(f->root);
	int r = 0;

	if (c.all)
		ask_always(x, number);
	for (uint32_t i = 0; !r && i < c.n; i++)
		r = vec_push(&x->by[c.keys[i].dimension].entries,
			     ((struct entry){c.keys[i].from, c.keys[i].to, number}));
	cover_fini(&c);
	return r;
}

static int cut(struct stretches *s)
{
	uint32_t n = 0;

	s->begins = calloc(2 * s->entries.len + 1, sizeof(*s->begins));
	if (!s->begins)
		return -ENOMEM;
	s->n = 1; /* from 0 on */
	for (size_t i = 0; i < s->entries.len; i++) {
		struct number to = s->entries.items[i].to;

		s->begins[s->n++] = s->entries.items[i].from;
		to.high += !++to.low;
		if (to.high | to.low)
			s->begins[s->n++] = to;
	}
	qsort(s->begins, s->n, sizeof(*s->begins), number_compare);
	for (uint32_t i = 0; i < s->n; i++)
		if (!i || number_below(&s->begins[n - 1], &s->begins[i]))
			s->begins[n++] = s->begins[i];
	s->n = n;
	return 0;
}

/* Of those in [from, to] the last that begins at or below v; the first does. */
static uint32_t search(const struct stretches *s, const struct number *v, uint32_t from, uint32_t to)
{
	const struct number *at = &s->begins[from];
	uint32_t n = to - from + 1;

	while (n > 1) {
		uint32_t half = n / 2;

		at = number_below(v, &at[half]) ? at : at + half;
		n -= half;
	}
	return (uint32_t)(at - s->begins);
}

static uint32_t find(const struct stretches *s, const struct number *v)
{
	uint64_t bucket;

	if (s->n == 1 || number_below(v, &s->begins[1]))
		return 0;
	if (!number_below(v, &s->begins[s->n - 1]))
		return s->n - 1;
	if (!s->buckets)
		return search(s, v, 1, s->n - 1);
	bucket = (v->low - s->begins[1].low) >> s->shift;
	return search(s, v, s->buckets[bucket], s->buckets[bucket + 1]);
}

static int bucket(struct stretches *s)
{
	const struct number *last = &s->begins[s->n - 1];
	uint64_t width, n;

	if (s->n < 4 || s->begins[1].high != last->high)
		return 0;
	width = last->low - s->begins[1].low;
	while (width >> s->shift >= BUCKETS_MAX)
		s->shift++;
	n = (width >> s->shift) + 1;
	s->buckets = calloc(n + 1, sizeof(*s->buckets));
	if (!s->buckets)
		return -ENOMEM;
	for (uint64_t i = 0; i < n; i++) {
		const struct number v = {last->high, s->begins[1].low + (i << s->shift)};

		s->buckets[i] = search(s, &v, 1, s->n - 1);
	}
	s->buckets[n] = s->n - 1;
	return 0;
}

static bool is_always(const struct filter_index *x, uint32_t filter)
{
	return x->always[filter / 64] >> (filter % 64) & 1;
}

/* Each entry into all its stretches; as much as there is room for, the narrow ones first. */
static int fill(struct filter_index *x, struct stretches *s, uint32_t *room)
{
	uint32_t total = 0;

	s->first = calloc((size_t)s->n + 2, sizeof(*s->first));
	if (!s->first)
		return -ENOMEM;
	for (size_t i = 0; i < s->entries.len; i++) {
		const struct entry *e = &s->entries.items[i];
		uint32_t from = find(s, &e->from), to = find(s, &e->to) + 1;

		if (is_always(x, e->filter))
			continue;
		if (to - from > *room) {
			ask_always(x, e->filter);
			continue;
		}
		*room -= to - from;
		total += to - from;
	}
	s->filters = calloc((size_t)total + 1, sizeof(*s->filters));
	if (!s->filters)
		return -ENOMEM;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < s->entries.len; i++) {
			const struct entry *e = &s->entries.items[i];

			if (is_always(x, e->filter))
				continue;
			for (uint32_t k = find(s, &e->from); k <= find(s, &e->to); k++)
				if (round)
					s->filters[s->first[k + 1]++] = e->filter;
				else
					s->first[k + 2]++;
		}
		for (uint32_t k = 0; !round && k < s->n; k++)
			s->first[k + 2] += s->first[k + 1];
	}
	vec_free(&s->entries);
	return 0;
}

int filter_index_new(struct filter_index **out, const struct filter *const *filters, uint32_t n)
{
	AUTO(filter_index_free) struct filter_index *x = calloc(1, sizeof(*x));
	uint32_t room = PLACES_MAX;
	int r = 0;

	if (!x)
		return -ENOMEM;
	x->words = (size_t)n / 64 + 1;
	x->always = calloc(x->words, sizeof(*x->always));
	if (!x->always)
		return -ENOMEM;
	for (uint32_t i = 0; !r && i < n; i++) {
		if (n <= SMALL)
			ask_always(x, i);
		else
			r = enter(x, filters[i], i);
	}
	for (int i = 0; !r && i < DIMENSIONS; i++)
		if (x->by[i].entries.len) {
			r = cut(&x->by[i]);
			r = r ? r : bucket(&x->by[i]);
			r = r ? r : fill(x, &x->by[i], &room);
		}
	if (!r)
		*out = TAKE(x);
	return r;
}

void filter_index_free(struct filter_index **xp)
{
	struct filter_index *x = *xp;

	if (!x)
		return;
	for (int i = 0; i < DIMENSIONS; i++) {
		vec_free(&x->by[i].entries);
		free(x->by[i].begins);
		free(x->by[i].first);
		free(x->by[i].filters);
		free(x->by[i].buckets);
	}
	free(x->always);
	free(x);
	*xp = NULL;
}

uint32_t filter_index_always(const struct filter_index *x)
{
	return x->always_n;
}

void filter_index_look(const struct filter_index *x, const struct dissected *d, uint64_t *ask)
{
	memcpy(ask, x->always, x->words * sizeof(*ask));
	for (int i = 0; i < DIMENSIONS; i++) {
		const struct stretches *s = &x->by[i];
		struct number v = {0};
		uint32_t at;

		if (!s->n)
			continue;
		if (cover_dimensions[i].field == FIELD_IP) {
			if (!(d->has & HAS_IP))
				continue;
			v = number_of(cover_dimensions[i].side == SIDE_DST ? &d->dst : &d->src);
		} else if (!match_number(d, cover_dimensions[i].field, cover_dimensions[i].side, &v.low)) {
			continue;
		}
		at = find(s, &v);
		for (uint32_t k = s->first[at]; k < s->first[at + 1]; k++)
			ask[s->filters[k] / 64] |= 1ull << (s->filters[k] % 64);
	}
}
