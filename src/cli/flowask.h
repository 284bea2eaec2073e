/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the hub for flows, and words for them; for `weft flows` and `weft top`. Keeps nothing. */
#ifndef WEFT_CLI_FLOWASK_H
#define WEFT_CLI_FLOWASK_H

#include <jansson.h>

#include "base/str.h"

/* "90s", "5m", "2h", "1d" as ns: 0 or -EINVAL. */
int flow_span(const char *text, int64_t *out);
int64_t flow_now(void); /* ns since 1970 */
/* The hub's answer to a question of hub/flows.h (owned), or NULL (told). */
json_t *flow_ask(const char *cluster, const json_t *question);
/* Tells on stderr which nodes' flows are unknown or were lost. */
void flow_tell_silent(const json_t *answer);
/* Appends "shop/web-1:8080", or the address. */
void flow_end_text(struct buf *b, const json_t *end);
/* Appends 1234567 as "1.2M". */
void flow_amount(struct buf *b, double v);
/* Of "bytes" or "packets" those "there" or "back". */
json_int_t flow_way(const json_t *flow, const char *what, const char *which);

#endif
