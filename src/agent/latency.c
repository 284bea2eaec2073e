/* SPDX-License-Identifier: Apache-2.0 */
/* See latency.h. */
#include "agent/latency.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"

static const unsigned bounds_ms[LATENCY_BOUNDS] = {1, 2, 3, 5, 7, 10, 20, 50, 100, 200, 500, 1000};

void latency_add(struct latency *l, uint64_t us)
{
	l->count++;
	l->sum_us += us;
	l->last_us = us;
	l->max_us = us > l->max_us ? us : l->max_us;
	for (unsigned i = 0; i < LATENCY_BOUNDS; i++)
		if (us <= bounds_ms[i] * 1000ull) {
			l->within[i]++;
			return;
		}
}

uint64_t latency_quantile(const struct latency *l, unsigned percent)
{
	uint64_t rank = (l->count * percent + 99) / 100, sum = 0;

	for (unsigned i = 0; i < LATENCY_BOUNDS; i++) {
		uint64_t bound = bounds_ms[i] * 1000ull;

		sum += l->within[i];
		if (sum >= rank)
			return bound < l->max_us ? bound : l->max_us;
	}
	return l->max_us;
}

void latency_print(const struct latency *l, struct buf *b)
{
	uint64_t sum = 0;

	buf_printf(b, "{\"count\":%llu,\"sumUs\":%llu,\"maxUs\":%llu,\"lastUs\":%llu,\"buckets\":[",
		   (unsigned long long)l->count, (unsigned long long)l->sum_us, (unsigned long long)l->max_us,
		   (unsigned long long)l->last_us);
	for (unsigned i = 0; i < LATENCY_BOUNDS; i++) {
		sum += l->within[i];
		buf_printf(b, "%s{\"leMs\":%u,\"count\":%llu}", i ? "," : "", bounds_ms[i],
			   (unsigned long long)sum);
	}
	buf_printf(b, "],\"p50Us\":%llu,\"p99Us\":%llu}", (unsigned long long)latency_quantile(l, 50),
		   (unsigned long long)latency_quantile(l, 99));
}

int64_t wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void trigger_print(int64_t us, char out[TRIGGER_TEXT])
{
	char seconds[21];

	clock_rfc3339(us / 1000000, seconds);
	snprintf(out, TRIGGER_TEXT, "%.19s.%06u000Z", seconds, (unsigned)(us % 1000000) % 1000000);
}

int trigger_parse(struct str text, int64_t *us)
{
	char copy[48];
	int64_t seconds, part = 0, unit = 100000;
	const char *p;

	if (!text.n || text.n >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (clock_parse(copy, &seconds))
		return -EINVAL;
	p = strchr(copy, '.');
	for (p = p ? p + 1 : ""; *p >= '0' && *p <= '9'; p++, unit /= 10)
		part += (*p - '0') * unit;
	*us = seconds * 1000000 + part;
	return 0;
}
