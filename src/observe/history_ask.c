/* SPDX-License-Identifier: Apache-2.0 */
/*
 * History asked: the newest records that a filter finds, and ended ones one after the other for a reader who
 * keeps its place. Changes nothing. Called by the hub through history.h.
 */
#include "observe/history_state.h"

#include <errno.h>
#include <stdlib.h>

enum { FOLLOW_SCAN_MAX = 65536 };

struct found {
	int64_t last;
	uint64_t news;
	const struct kept *k;
};

struct asking {
	const struct history *h;
	const struct history_query *q;
	struct filter_run *run; /* NULL: no filter */
	bool questions;
	VEC(struct found) heap; /* with a limit: the oldest of the newest so many on top */
	uint64_t judged;
};

static bool is_older(const struct found *a, const struct found *b)
{
	return a->last != b->last ? a->last < b->last : a->news < b->news;
}

static void sink(struct asking *a, size_t i)
{
	struct found *f = a->heap.items;

	for (size_t least = i;; i = least) {
		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < a->heap.len; child++)
			if (is_older(&f[child], &f[least]))
				least = child;
		if (least == i)
			return;
		struct found x = f[i];

		f[i] = f[least];
		f[least] = x;
	}
}

static int keep(struct asking *a, const struct kept *k)
{
	struct found one = {k->last, k->news, k};

	if (!a->q->limit || a->heap.len < a->q->limit) {
		if (vec_push(&a->heap, one))
			return -ENOMEM;
		if (a->heap.len == a->q->limit)
			for (size_t i = a->heap.len / 2 + 1; i--;)
				sink(a, i);
	} else if (is_older(&a->heap.items[0], &one)) {
		a->heap.items[0] = one;
		sink(a, 0);
	}
	return 0;
}

static int consider(struct asking *a, const struct kept *k)
{
	struct found one = {k->last, k->news, k};
	struct record r;

	if ((k->again && !a->q->again) || (a->q->drops_only && k->kind != RECORD_DROP) ||
	    (k->kind == RECORD_DNS && !a->questions) || k->news <= a->q->news || k->last < a->q->since ||
	    (a->q->until && k->first >= a->q->until))
		return 0;
	if (a->q->limit && a->heap.len == a->q->limit && !is_older(&a->heap.items[0], &one))
		return 0;
	a->judged++;
	if (a->run || a->q->view) {
		kept_unpack(a->h, k, &r);
		if (a->q->view && !a->q->view(a->q->view_ctx, &r))
			return 0;
		if (a->run && !filter_run_record(a->run, &r, k->from, k->to, k->via))
			return 0;
	}
	return keep(a, k);
}

static int newest_first(const void *x, const void *y)
{
	return is_older(x, y) ? 1 : is_older(y, x) ? -1 : 0;
}

int history_query(const struct history *h, const struct history_query *q,
		  int (*fn)(void *ctx, const struct record *r), void *ctx)
{
	struct asking a = {.h = h, .q = q};
	int r = 0;

	if (q->filter && !(a.run = filter_run_new(q->filter, (uint32_t)h->ends.len)))
		return -ENOMEM;
	a.questions = q->filter && filter_asks_dns(q->filter);
	VEC_EACH (&h->open, k)
		if (!r)
			r = consider(&a, k);
	for (unsigned i = 0; !q->open_only && i < RINGS; i++) {
		const struct circle *c = &h->rings[i];

		if (i == QUESTIONS && !a.questions)
			continue;
		/* newest first: what cannot be among the newest is passed over without a look */
		for (uint32_t left = c->len, at = c->next; left-- && !r;) {
			at = (at ? at : c->max) - 1;
			r = consider(&a, &c->items[at]);
		}
	}
	filter_run_free(&a.run);
	if (q->judged)
		*q->judged = a.judged;
	if (!r && a.heap.len)
		qsort(a.heap.items, a.heap.len, sizeof(*a.heap.items), newest_first);
	for (size_t i = 0; !r && i < a.heap.len; i++) {
		struct record record;

		kept_unpack(h, a.heap.items[i].k, &record);
		if (!q->view || q->view(q->view_ctx, &record))
			r = fn(ctx, &record);
	}
	vec_free(&a.heap);
	return r;
}

/* --- followed -------------------------------------------------------------------------------------- */

_Static_assert((int)HISTORY_RINGS == (int)RINGS, "a place has a number for each ring");

static unsigned rings_for(const struct filter *filter)
{
	return filter && filter_asks_dns(filter) ? RINGS : QUESTIONS;
}

struct history_place history_oldest(const struct history *h, const struct filter *filter)
{
	struct history_place p = {};

	for (unsigned i = 0; i < rings_for(filter); i++)
		p.at[i] = h->rings[i].entered - h->rings[i].len;
	return p;
}

struct history_place history_newest(const struct history *h, const struct filter *filter)
{
	struct history_place p = {};

	for (unsigned i = 0; i < rings_for(filter); i++)
		p.at[i] = h->rings[i].entered;
	return p;
}

static const struct kept *entry(const struct history *h, unsigned ring, uint64_t number)
{
	const struct circle *c = &h->rings[ring];

	return &c->items[(c->next + c->max - (uint32_t)(c->entered - number)) % c->max];
}

/* Of both rings that which comes next; NULL: none. */
static const struct kept *next_ended(const struct history *h, struct history_follow *f)
{
	const struct kept *best = NULL;
	unsigned ring = 0;

	for (unsigned i = 0; i < RINGS; i++) {
		const struct kept *k = f->at.at[i] < f->to.at[i] ? entry(h, i, f->at.at[i]) : NULL;

		if (k && (!best || k->last < best->last)) {
			best = k;
			ring = i;
		}
	}
	f->at.at[ring] += best != NULL;
	return best;
}

int history_follow(const struct history *h, struct history_follow *f,
		   int (*fn)(void *ctx, const struct record *r), void *ctx)
{
	struct history_place oldest = history_oldest(h, f->filter), newest = history_newest(h, f->filter);
	struct filter_run *run = f->filter ? filter_run_new(f->filter, (uint32_t)h->ends.len) : NULL;
	const struct kept *k;
	uint32_t n = 0;
	int r = 0;

	if (f->filter && !run)
		return -ENOMEM;
	f->lost = 0;
	for (unsigned i = 0; i < RINGS; i++) {
		if (f->to.at[i] > newest.at[i])
			f->to.at[i] = newest.at[i];
		if (f->at.at[i] < oldest.at[i]) {
			f->lost += oldest.at[i] - f->at.at[i];
			f->at.at[i] = oldest.at[i];
		}
	}
	for (unsigned looked = 0; !r && n < f->limit && looked < FOLLOW_SCAN_MAX; looked++) {
		struct record record;

		k = next_ended(h, f);
		if (!k)
			break;
		kept_unpack(h, k, &record);
		if ((k->again && !f->again) ||
		    (run && !filter_run_record(run, &record, k->from, k->to, k->via)))
			continue;
		n++;
		r = fn(ctx, &record);
	}
	filter_run_free(&run);
	return r;
}
