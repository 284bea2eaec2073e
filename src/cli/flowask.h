/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the hub for flows, and words for them; for `weft flows`, `weft top` and `weft history`. Keeps
 * nothing. */
#ifndef WEFT_CLI_FLOWASK_H
#define WEFT_CLI_FLOWASK_H

#include <jansson.h>

#include "base/str.h"
#include "cli/when.h"

/* The hub's answer (owned) to a question about "flows" (hub/flows.h) or "history" (hub/rollup.h), or NULL
 * (told). */
json_t *flow_ask(const char *cluster, const char *what, const json_t *question);
/* Tells on stderr what of the time that was asked for the answer cannot know. */
void flow_tell_gaps(const json_t *answer, const struct when *w);
/* Tells on stderr which nodes' flows are unknown or were lost. */
void flow_tell_silent(const json_t *answer);
/* Appends "shop/web-1:8080", or the address. */
void flow_end_text(struct buf *b, const json_t *end);
/* Appends 1234567 as "1.2M". */
void flow_amount(struct buf *b, double v);
/* Appends microseconds as "41 µs", "2.3 ms", "1.2 s", "5m2s". */
void flow_time(struct buf *b, double us);
/* Of "bytes" or "packets" those "there" or "back". */
json_int_t flow_way(const json_t *flow, const char *what, const char *which);

#endif
