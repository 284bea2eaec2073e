/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group's window: see window.h. Lengths of times are kept by eighths of a power of two, of microseconds; a
 * percentile is read between the bounds of one. Distinct values are a sketch of 1,024 registers (HyperLogLog,
 * with linear counting for few).
 */
#include "observe/window.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { LENGTHS = 280, REGISTERS = 1024, REGISTER_BITS = 10 };

static bool by_length(const struct alert_terms *t)
{
	return !t->watch && alert_is_time(t->measure) && t->statistic <= ALERT_P99;
}

static bool by_sketch(const struct alert_terms *t)
{
	return !t->watch && !alert_is_sum(t->measure) && !alert_is_time(t->measure);
}

static size_t more_bytes(const struct alert_terms *t)
{
	if (by_length(t))
		return (size_t)ALERT_SLOTS * LENGTHS * sizeof(uint32_t);
	return by_sketch(t) ? (size_t)ALERT_SLOTS * REGISTERS : 0;
}

size_t window_bytes(const struct alert_terms *t)
{
	return sizeof(struct alert_group) + more_bytes(t);
}

int window_open(const struct alert_terms *t, struct alert_group *g)
{
	if (more_bytes(t))
		g->times = calloc(1, more_bytes(t));
	return more_bytes(t) && !g->times ? -ENOMEM : 0;
}

bool window_holds(uint64_t slot_ms, uint64_t now_ms, uint64_t at_ms)
{
	return now_ms / slot_ms - at_ms / slot_ms < ALERT_SLOTS;
}

/* --- lengths --------------------------------------------------------------------------------------- */

static unsigned length_of(uint64_t ns)
{
	uint64_t us = ns / 1000;

	if (us < 8)
		return (unsigned)us;
	unsigned top = 63 - (unsigned)__builtin_clzll(us);
	unsigned i = (top - 2) * 8 + (unsigned)(us >> (top - 3) & 7);

	return i < LENGTHS ? i : LENGTHS - 1;
}

static double lower_bound(unsigned i) /* ns */
{
	return i < 8 ? i * 1e3 : ldexp(8 + i % 8, (int)(i / 8) - 1) * 1e3;
}

static uint64_t percentile(const uint64_t all[LENGTHS], uint64_t n, double share, uint64_t max)
{
	double rank = share * (double)n, seen = 0;

	for (unsigned i = 0; i < LENGTHS; i++) {
		double here = (double)all[i];

		if (here && seen + here >= rank) {
			double low = lower_bound(i),
			       v = low + (lower_bound(i + 1) - low) * (rank - seen) / here;

			return v < (double)max ? (uint64_t)v : max;
		}
		seen += here;
	}
	return max;
}

/* --- distinct values ------------------------------------------------------------------------------- */

static void sketch(uint8_t *registers, uint64_t hash)
{
	uint64_t rest = hash >> REGISTER_BITS | UINT64_C(1) << (64 - REGISTER_BITS);
	uint8_t zeros = (uint8_t)(__builtin_ctzll(rest) + 1), *at = &registers[hash % REGISTERS];

	if (zeros > *at)
		*at = zeros;
}

static uint64_t estimate(const uint8_t registers[REGISTERS])
{
	double sum = 0, e;
	unsigned empty = 0;

	for (unsigned i = 0; i < REGISTERS; i++) {
		sum += ldexp(1, -registers[i]);
		empty += !registers[i];
	}
	e = 0.7213 / (1 + 1.079 / REGISTERS) * REGISTERS * REGISTERS / sum;
	if (e <= 2.5 * REGISTERS && empty)
		e = REGISTERS * log((double)REGISTERS / empty);
	return (uint64_t)(e + 0.5);
}

/* --- slots ----------------------------------------------------------------------------------------- */

void window_add(const struct alert_terms *t, struct alert_group *g, uint64_t slot,
		const struct window_sample *s)
{
	unsigned at = (unsigned)(slot % ALERT_SLOTS);
	struct alert_slot *x = &g->slots[at];

	if (x->number != slot) { /* of a window before */
		*x = (struct alert_slot){.number = slot};
		if (by_length(t))
			memset(g->times + at * LENGTHS, 0, LENGTHS * sizeof(*g->times));
		else if (by_sketch(t))
			memset(g->registers + at * REGISTERS, 0, REGISTERS);
	}
	x->n += s->n;
	if (by_sketch(t)) {
		sketch(g->registers + at * REGISTERS, s->v);
		return;
	}
	x->sum += s->v;
	x->max = s->v > x->max ? s->v : x->max;
	if (by_length(t))
		g->times[at * LENGTHS + length_of(s->v)]++;
}

static uint64_t value_of_lengths(const struct alert_terms *t, const struct alert_group *g, const bool in[],
				 const struct alert_slot *sum)
{
	static const double shares[] = {
	    [ALERT_P50] = 0.5, [ALERT_P90] = 0.9, [ALERT_P95] = 0.95, [ALERT_P99] = 0.99};
	uint64_t all[LENGTHS] = {0};

	for (unsigned i = 0; i < ALERT_SLOTS; i++)
		for (unsigned k = 0; in[i] && k < LENGTHS; k++)
			all[k] += g->times[i * LENGTHS + k];
	return percentile(all, sum->n, shares[t->statistic], sum->max);
}

static uint64_t value_of_sketch(const struct alert_group *g, const bool in[])
{
	uint8_t all[REGISTERS] = {0};

	for (unsigned i = 0; i < ALERT_SLOTS; i++)
		for (unsigned k = 0; in[i] && k < REGISTERS; k++)
			if (g->registers[i * REGISTERS + k] > all[k])
				all[k] = g->registers[i * REGISTERS + k];
	return estimate(all);
}

uint64_t window_value(const struct alert_terms *t, const struct alert_group *g, uint64_t slot, uint64_t *n)
{
	struct alert_slot sum = {0};
	bool in[ALERT_SLOTS];

	for (unsigned i = 0; i < ALERT_SLOTS; i++) {
		const struct alert_slot *x = &g->slots[i];

		in[i] = x->number <= slot && slot - x->number < ALERT_SLOTS;
		sum.n += in[i] ? x->n : 0;
		sum.sum += in[i] ? x->sum : 0;
		sum.max = in[i] && x->max > sum.max ? x->max : sum.max;
	}
	*n = sum.n;
	if (by_sketch(t))
		return value_of_sketch(g, in);
	if (t->watch || alert_is_sum(t->measure))
		return sum.sum;
	if (!sum.n || t->statistic == ALERT_MAX)
		return sum.max;
	return t->statistic == ALERT_MEAN ? sum.sum / sum.n : value_of_lengths(t, g, in, &sum);
}
