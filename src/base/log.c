/* SPDX-License-Identifier: Apache-2.0 */
/* One line, one write. See log.h. */
#include "base/log.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

static char log_name[64] = "weft";
static enum log_level log_limit = LOG_INFO;

void log_open(const char *name)
{
	size_t n = strnlen(name, sizeof(log_name) - 1);
	memcpy(log_name, name, n);
	log_name[n] = '\0';
	const char *want = getenv("WEFT_LOG");
	static const char *const names[] = {"error", "warn", "info", "debug"};
	for (unsigned i = 0; want && i < 4; i++)
		if (!strcmp(want, names[i]))
			log_limit = (enum log_level)i;
}

void log_at(enum log_level level, const char *fmt, ...)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	if (level > log_limit)
		return;
	struct timespec now;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	char stamp[32];
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	AUTO_BUF b = {0};
	buf_printf(&b, "%s.%03ldZ %s %s: ", stamp, now.tv_nsec / 1000000, names[level], log_name);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	buf_addc(&b, '\n');
	ssize_t n = b.p ? write(STDERR_FILENO, b.p, b.n) : 0;
	(void)n;
}
