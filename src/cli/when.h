/* SPDX-License-Identifier: Apache-2.0 */
/* Times as people type them: --since 5m, --since 10:40 --until 10:45, --at 10:42; and as they read them. In
 * ns since 1970, or ns. */
#ifndef WEFT_CLI_WHEN_H
#define WEFT_CLI_WHEN_H

#include <stdbool.h>
#include <stdint.h>

int64_t when_now(void);
/* "90s", "5m", "2h", "1d", also "1.5h" and "1h30m": above 0. 0 or -EINVAL. */
int when_span(const char *text, int64_t *out);
/* A minute (10:42), a second (10:42:30) or a part of one (10:42:30.250), of today, or of yesterday where that
 * is still to come; after a date (11-23, 2026-11-23) and a space or T, of that day; RFC 3339. [since, until),
 * as long as what was said last. 0 or -EINVAL. */
int when_at(const char *text, int64_t *since, int64_t *until);

struct when {
	int64_t since, until; /* since 0: from the first on; until 0: now */
};
/* The time that options ask for; each may be NULL. --since and --until are a time, or a span before now; --at
 * stands alone. EXIT_OK, or EXIT_USAGE after telling. */
int when_range(struct when *out, const char *since, const char *until, const char *at);

enum { WHEN_TEXT = 24 };
/* The local time: "10:42:30.250", with the date before it ("11-23 …") where it is not of today; without the
 * part of a second where ms is false. */
void when_text(int64_t ns, bool ms, char out[WHEN_TEXT]);

#endif
