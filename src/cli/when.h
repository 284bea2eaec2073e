/* SPDX-License-Identifier: Apache-2.0 */
/* Times as people type them: --since 5m, --at 10:42. In ns since 1970, or ns. */
#ifndef WEFT_CLI_WHEN_H
#define WEFT_CLI_WHEN_H

#include <stdint.h>

int64_t when_now(void);
/* "90s", "5m", "2h", "1d", also "1.5h": above 0. 0 or -EINVAL. */
int when_span(const char *text, int64_t *out);
/* "10:42" (that minute) or "10:42:30" (that second) of today, of yesterday where that is still to come; RFC
 * 3339 (that second): [since, until). 0 or -EINVAL. */
int when_at(const char *text, int64_t *since, int64_t *until);

#endif
