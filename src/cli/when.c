/* SPDX-License-Identifier: Apache-2.0 */
/* Times as people type and read them: see when.h. */
#include "cli/when.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/own.h"
#include "cli/command.h"

#define SECOND_NS 1000000000ll
#define TIMES	  "like 10:42, 10:42:30, 11-23 10:42, 2026-11-23T10:42:30Z"

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
	int64_t sum = 0;

	if (!isdigit((unsigned char)*text) && *text != '.')
		return -EINVAL;
	while (*text) {
		char *end;
		double n = strtod(text, &end);
		size_t i = 0;

		while (i < ARRAY_LEN(units) && *end != units[i].unit)
			i++;
		if (end == text || i == ARRAY_LEN(units) || !(n >= 0 && n < 1e5))
			return -EINVAL;
		sum += (int64_t)(n * (double)units[i].s * 1e9);
		text = end + 1;
	}
	if (sum <= 0)
		return -EINVAL;
	*out = sum;
	return 0;
}

/* Reads what stands before the hour: "2026-11-23", "11-23", or nothing. */
static const char *read_date(const char *text, struct tm *tm, bool *dated)
{
	int y = tm->tm_year + 1900, m = 0, d = 0, n = 0;

	*dated = false;
	if (sscanf(text, "%4d-%2d-%2d%n", &y, &m, &d, &n) != 3 || !n) {
		n = 0;
		y = tm->tm_year + 1900;
		if (sscanf(text, "%2d-%2d%n", &m, &d, &n) != 2 || !n)
			return text;
	}
	if ((text[n] != ' ' && text[n] != 'T') || m < 1 || m > 12 || d < 1 || d > 31)
		return NULL;
	tm->tm_year = y - 1900;
	tm->tm_mon = m - 1;
	tm->tm_mday = d;
	*dated = true;
	return text + n + 1;
}

/* ".250" after a second, in ns, and how long what it names is. */
static const char *read_part(const char *text, int64_t *ns, int64_t *unit)
{
	if (*text != '.' || !isdigit((unsigned char)text[1]))
		return text;
	for (text++; isdigit((unsigned char)*text); text++)
		if (*unit > 1) {
			*unit /= 10;
			*ns += (*text - '0') * *unit;
		}
	return text;
}

/* "", "Z", "+01:00": the seconds that the time is ahead of UTC; local: none is said. */
static int read_zone(const char *text, bool *local, int64_t *ahead)
{
	int h, m, n = 0;

	*local = !*text;
	*ahead = 0;
	if (!*text || !strcmp(text, "Z") || !strcmp(text, "z"))
		return 0;
	if ((*text != '+' && *text != '-') || sscanf(text + 1, "%2d:%2d%n", &h, &m, &n) != 2 || n != 5 ||
	    text[6])
		return -EINVAL;
	*ahead = (*text == '-' ? -1 : 1) * (h * 3600 + m * 60);
	return 0;
}

int when_at(const char *text, int64_t *since, int64_t *until)
{
	int h = 0, m = 0, s = 0, n = 0, parts;
	time_t now = time(NULL);
	int64_t seconds, ahead, ns = 0, unit = SECOND_NS;
	bool dated, local;
	struct tm tm;

	localtime_r(&now, &tm);
	text = read_date(text, &tm, &dated);
	parts = text ? sscanf(text, "%2d:%2d%n:%2d%n", &h, &m, &n, &s, &n) : 0;
	if (parts < 2 || h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 59)
		return -EINVAL;
	text += n;
	if (parts == 3)
		text = read_part(text, &ns, &unit);
	if (read_zone(text, &local, &ahead) || (!local && !dated))
		return -EINVAL;
	tm.tm_hour = h;
	tm.tm_min = m;
	tm.tm_sec = s;
	tm.tm_isdst = -1;
	seconds = local ? mktime(&tm) : timegm(&tm) - ahead;
	if (!dated && seconds > now) {
		tm.tm_mday--; /* days that clocks are set on have not 24 hours */
		tm.tm_hour = h;
		tm.tm_isdst = -1;
		seconds = mktime(&tm);
	}
	*since = seconds * SECOND_NS + ns;
	*until = *since + (parts == 3 ? unit : 60 * SECOND_NS);
	return 0;
}

/* --since 5m, --since 10:42 */
static int read_point(const char *option, const char *text, int64_t now, int64_t *out)
{
	int64_t end;

	if (!when_span(text, out)) {
		*out = now - *out;
		return EXIT_OK;
	}
	if (!when_at(text, out, &end))
		return EXIT_OK;
	cli_error("a span like 90s, 5m, 1h30m, 1d before now, or a time " TIMES, "%s: \"%s\" is no time",
		  option, text);
	return EXIT_USAGE;
}

int when_range(struct when *out, const char *since, const char *until, const char *at)
{
	int64_t now = when_now();

	*out = (struct when){0};
	if (at && (since || until)) {
		cli_error(NULL, "--at cannot be used together with --since or --until");
		return EXIT_USAGE;
	}
	if (at && when_at(at, &out->since, &out->until)) {
		cli_error(TIMES, "--at: \"%s\" is no time", at);
		return EXIT_USAGE;
	}
	if ((since && read_point("--since", since, now, &out->since)) ||
	    (until && read_point("--until", until, now, &out->until)))
		return EXIT_USAGE;
	if (until && out->until <= out->since) {
		cli_error(NULL, "--until %s is not after --since %s", until, since);
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

void when_text(int64_t ns, bool ms, char out[WHEN_TEXT])
{
	time_t at = (time_t)(ns / SECOND_NS), now = time(NULL);
	struct tm tm, today;
	size_t n;

	localtime_r(&at, &tm);
	localtime_r(&now, &today);
	n = strftime(
	    out, WHEN_TEXT,
	    tm.tm_yday == today.tm_yday && tm.tm_year == today.tm_year ? "%H:%M:%S" : "%m-%d %H:%M:%S", &tm);
	if (ms)
		snprintf(out + n, WHEN_TEXT - n, ".%03d", (int)(ns % SECOND_NS / 1000000));
}
