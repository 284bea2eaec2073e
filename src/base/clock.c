/* SPDX-License-Identifier: Apache-2.0 */
/* Clock reading and time formats. See clock.h. */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

uint64_t clock_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int64_t clock_wall(void)
{
	return (int64_t)time(NULL);
}

uint64_t clock_wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void clock_rfc3339(int64_t seconds, char out[21])
{
	time_t t = (time_t)seconds;
	struct tm tm;
	if (seconds < 0 || seconds > 253402300799 || !gmtime_r(&t, &tm))
		memset(&tm, 0, sizeof(tm));
	strftime(out, 21, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

int clock_parse(const char *text, int64_t *seconds)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest)
		return -EINVAL;
	if (*rest == '.')
		rest += 1 + strspn(rest + 1, "0123456789");
	int64_t offset = 0;
	int h, m, used = 0;
	char sign = *rest;
	if (sign == 'Z' || sign == 'z') {
		used = 1;
	} else if ((sign == '+' || sign == '-') && sscanf(rest + 1, "%2d:%2d%n", &h, &m, &used) == 2 &&
		   used == 5) {
		offset = (sign == '-' ? -1 : 1) * (h * 3600 + m * 60);
		used++;
	} else {
		return -EINVAL;
	}
	if (rest[used])
		return -EINVAL;
	*seconds = (int64_t)timegm(&tm) - offset;
	return 0;
}

void clock_age(int64_t s, char out[16])
{
	if (s < 0)
		s = 0;
	if (s < 120)
		snprintf(out, 16, "%ds", (int)s);
	else if (s < 600)
		snprintf(out, 16, s % 60 ? "%dm%ds" : "%dm", (int)(s / 60), (int)(s % 60));
	else if (s < 3 * 3600)
		snprintf(out, 16, "%dm", (int)(s / 60));
	else if (s < 8 * 3600)
		snprintf(out, 16, s / 60 % 60 ? "%dh%dm" : "%dh", (int)(s / 3600), (int)(s / 60 % 60));
	else if (s < 48 * 3600)
		snprintf(out, 16, "%dh", (int)(s / 3600));
	else
		snprintf(out, 16, "%dd", (int)((s / 86400) % 1000000));
}
