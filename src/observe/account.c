/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a node's numbers add up: see account.h. */
#include "observe/account.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "seam/event.h"

const struct account_term account_terms[] = {
#define TERM(sum, side, what, words) {SUM_##sum, SIDE_##side, ACCOUNT_##what, #what, words},
#include "tables/account.def"
};
const size_t account_terms_count = ARRAY_LEN(account_terms);

const char *account_name(enum account_sum s)
{
	static const char *const names[] = {
#define SUM(id, name, says) name,
#include "tables/account.def"
	};

	return names[s];
}

const char *account_says(enum account_sum s)
{
	static const char *const all[] = {
#define SUM(id, name, says) says,
#include "tables/account.def"
	};

	return all[s];
}

/* --- reading --------------------------------------------------------------------------------------- */

static int count_one(void *ctx, const struct conn *c)
{
	uint64_t *n = ctx;

	(void)c;
	++*n;
	return 0;
}

static int read_counters(const struct observed *o, uint64_t *out)
{
	uint64_t values[OBSERVE_COUNTERS_MAX];
	int n = observed_counters(o, values);

	if (n >= 0)
		memcpy(out, values, COUNTER_MAX * sizeof(*out));
	return n < 0 ? n : 0;
}

static int sum_drops(const struct observed *o, int (*read)(const struct observed *, struct drop_counts *),
		     uint64_t *out)
{
	struct drop_counts drops = {0};
	int err = read(o, &drops);

	*out = 0;
	VEC_EACH (&drops.list, d)
		*out += d->packets;
	vec_free(&drops.list);
	return err;
}

/* A table that was gone through while its counters moved by `more` and `less`: what it held at one moment. */
static void spread(struct account *a, enum account_quantity q, uint64_t read, uint64_t more, uint64_t less)
{
	a->low[q] = read > more ? read - more : 0;
	a->high[q] = read + less;
}

static uint64_t moved(const struct account *a, enum account_quantity q)
{
	return a->high[q] - a->low[q];
}

int account_read(const struct observed *o, struct account *a)
{
	uint64_t answered = 0, unanswered = 0, drops, staged, by_kernel, events, fell;
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	int err;

	*a = (struct account){.cpus = cpus > 0 ? (unsigned)cpus : 1};
	err = read_counters(o, a->low);
	if (!err)
		err = sum_drops(o, observed_drops, &drops);
	if (!err)
		err = sum_drops(o, observed_staged, &staged);
	if (!err)
		err = sum_drops(o, observed_kernel_drops, &by_kernel);
	a->unwatched = err == -ENODATA;
	if (a->unwatched)
		err = 0;
	if (!err)
		err = observed_conns(o, false, count_one, &unanswered);
	if (!err)
		err = observed_conns(o, true, count_one, &answered);
	if (!err)
		err = read_counters(o, a->high);
	if (err)
		return err;
	fell = moved(a, ACCOUNT_POD_DROP) + moved(a, ACCOUNT_HOST_DROP) + moved(a, ACCOUNT_UPLINK_DROP) +
	       moved(a, ACCOUNT_TUNNEL_DROP) + moved(a, ACCOUNT_STACK_DROP) + moved(a, ACCOUNT_LEAVE_DROP) +
	       moved(a, ACCOUNT_CALL_DROP);
	events = moved(a, ACCOUNT_EVENTS_TOLD) + moved(a, ACCOUNT_EVENTS_LOST);
	spread(a, ACCOUNT_DROPS_TOLD, drops, fell, fell);
	spread(a, ACCOUNT_STAGED_TOLD, staged, events, events);
	spread(a, ACCOUNT_KERNEL_TOLD, by_kernel, moved(a, ACCOUNT_KERNEL_DROP),
	       moved(a, ACCOUNT_KERNEL_DROP));
	spread(a, ACCOUNT_LIVE_ANSWERED, answered, moved(a, ACCOUNT_CONN_INSERTED),
	       moved(a, ACCOUNT_CONN_REMOVED));
	spread(a, ACCOUNT_LIVE_UNANSWERED, unanswered, moved(a, ACCOUNT_HALF_INSERTED),
	       moved(a, ACCOUNT_HALF_REMOVED) + moved(a, ACCOUNT_HALF_INSERTED) +
		   moved(a, ACCOUNT_CONN_INSERTED));
	return 0;
}

/* --- judging --------------------------------------------------------------------------------------- */

static bool has_rest(enum account_sum s)
{
	for (size_t i = 0; i < account_terms_count; i++)
		if (account_terms[i].sum == s && account_terms[i].side == SIDE_REST)
			return true;
	return false;
}

/* in − out lies between 0 and what is within the hooks: exactly 0 when nothing moved. */
struct account_result account_judge(const struct account *a, enum account_sum s)
{
	struct account_result r = {0};
	uint64_t slack;

	for (size_t i = 0; i < account_terms_count; i++) {
		const struct account_term *t = &account_terms[i];

		if (t->sum != s || t->side == SIDE_REST)
			continue;
		*(t->side == SIDE_IN ? &r.in_low : &r.out_low) += a->low[t->quantity];
		*(t->side == SIDE_IN ? &r.in_high : &r.out_high) += a->high[t->quantity];
	}
	bool still = r.in_low == r.in_high && r.out_low == r.out_high;

	slack = still ? 0 : a->cpus;
	if (r.out_low > r.in_high + slack)
		r.off = -(int64_t)(r.out_low - r.in_high);
	else if (r.in_low > r.out_high + slack && !has_rest(s))
		r.off = (int64_t)(r.in_low - r.out_high);
	if (a->unwatched && s == SUM_KERNEL)
		r.says = ACCOUNT_UNKNOWN;
	else if (r.off)
		r.says = ACCOUNT_WRONG;
	else
		r.says = still ? ACCOUNT_EXACT : ACCOUNT_WITHIN;
	return r;
}

uint64_t account_rest(const struct account *a, enum account_sum s)
{
	struct account_result r = account_judge(a, s);

	return has_rest(s) && r.in_low > r.out_high ? r.in_low - r.out_high : 0;
}
