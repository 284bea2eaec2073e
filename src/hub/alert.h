/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alerts: follows the Alert objects, lets each see the records and the nodes' states, writes what it says
 * into its status, the log and the metrics, and tells its receivers. On the hub's loop, which it never holds
 * up: receivers are told by transfers beside it.
 */
#ifndef WEFT_HUB_ALERT_H
#define WEFT_HUB_ALERT_H

#include <uv.h>

#include "observe/alert.h"
#include "store/store.h"

struct flows;
struct metrics;

struct alerts;
/* Follows the store; what an earlier run left in the objects' status goes on. 0 or -errno. */
int alerts_new(struct alerts **out, uv_loop_t *loop, struct store *s, struct flows *f, struct metrics *m);
/* Starts no more transfers and ends those that run; then the loop runs to its end, then: */
void alerts_stop(struct alerts *a);
void alerts_free(struct alerts **a);

/* Whether any alert looks at records. */
bool alerts_want(const struct alerts *a);
void alerts_take(struct alerts *a, const struct sight *s);
/* Takes over Alerts that were written since; writes to the store. Once a loop turn. */
void alerts_settle(struct alerts *a);
/* Once a second: judges, writes what changed, tells. */
void alerts_tick(struct alerts *a);
void alerts_metrics(const struct alerts *a, struct buf *out);

#endif
