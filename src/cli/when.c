/* SPDX-License-Identifier: Apache-2.0 */
/* Times as people type them: see when.h. */
#include "cli/when.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/own.h"

#define SECOND_NS 1000000000ll

int64_t when_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
}

int when_span(const char *text, int64_t *out)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	char *end;
	double n = strtod(text, &end);

	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (end != text && end[0] == units[i].unit && !end[1] && n > 0 && n < 1e5) {
			*out = (int64_t)(n * (double)units[i].s * 1e9);
			return 0;
		}
	return -EINVAL;
}

int when_at(const char *text, int64_t *since, int64_t *until)
{
	int h = 0, m = 0, s = 0, n = 0, parts;
	time_t now = time(NULL);
	int64_t seconds;
	struct tm tm;

	if (!clock_parse(text, &seconds)) {
		*since = seconds * SECOND_NS;
		*until = *since + SECOND_NS;
		return 0;
	}
	parts = sscanf(text, "%2d:%2d%n:%2d%n", &h, &m, &n, &s, &n);
	if (parts < 2 || text[n] || h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 59)
		return -EINVAL;
	localtime_r(&now, &tm);
	tm.tm_hour = h;
	tm.tm_min = m;
	tm.tm_sec = s;
	tm.tm_isdst = -1;
	seconds = mktime(&tm);
	if (seconds > now) {
		tm.tm_mday--; /* days that clocks are set on have not 24 hours */
		tm.tm_hour = h;
		tm.tm_isdst = -1;
		seconds = mktime(&tm);
	}
	*since = seconds * SECOND_NS;
	*until = *since + (parts == 3 ? 1 : 60) * SECOND_NS;
	return 0;
}
