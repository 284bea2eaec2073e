/* SPDX-License-Identifier: Apache-2.0 */
/* Time: monotonic milliseconds and microseconds for durations, RFC 3339 in UTC and seconds for objects. */
#ifndef WEFT_BASE_CLOCK_H
#define WEFT_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_us(void); /* CLOCK_MONOTONIC */
static inline uint64_t clock_ms(void)
{
	return clock_us() / 1000;
}
int64_t clock_wall(void); /* seconds since 1970 */
uint64_t clock_wall_ns(void);
/* "2026-01-02T03:04:05Z" into out[21]. */
void clock_rfc3339(int64_t seconds, char out[21]);
/* 0 or -EINVAL; takes fractions and offsets. */
int clock_parse(const char *text, int64_t *seconds);
/* As kubectl shows ages: "5s", "3m20s", "4h", "12d". out[16]. */
void clock_age(int64_t seconds, char out[16]);

#endif
