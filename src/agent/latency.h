/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long things take, as counts per bound, and the time of a cause as objects carry it
 * (endpoints.kubernetes.io/last-change-trigger-time). Wall clock where two processes compare.
 */
#ifndef WEFT_AGENT_LATENCY_H
#define WEFT_AGENT_LATENCY_H

#include "base/str.h"

enum { LATENCY_BOUNDS = 12, TRIGGER_TEXT = 32 };
#define TRIGGER_ANNOTATION "endpoints.kubernetes.io/last-change-trigger-time"

struct latency {
	uint64_t count, sum_us, max_us, last_us;
	uint64_t within[LATENCY_BOUNDS]; /* not cumulated; above all bounds: count less their sum */
};
void latency_add(struct latency *l, uint64_t us);
/* The bound below which so many percent lie, by the buckets; 0 without any. */
uint64_t latency_quantile(const struct latency *l, unsigned percent);
/* {"count":…,"sumUs":…,"maxUs":…,"lastUs":…,"buckets":[{"leMs":1,"count":…},…],"p50Us":…,"p99Us":…}, counts
 * cumulated. */
void latency_print(const struct latency *l, struct buf *b);

int64_t wall_us(void); /* since 1970 */
/* "2026-01-02T03:04:05.123456000Z" */
void trigger_print(int64_t us, char out[TRIGGER_TEXT]);
/* 0 or -EINVAL. */
int trigger_parse(struct str text, int64_t *us);

#endif
