/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The observer's parts: descriptors from the applier, pods of this node from the hub, probes, questions.
 * Private to observer.c and observer_answer.c.
 */
#ifndef WEFT_AGENT_OBSERVER_H
#define WEFT_AGENT_OBSERVER_H

#include "agent/answer.h"
#include "agent/hub.h"
#include "agent/options.h"
#include "agent/prober.h"
#include "agent/reporter.h"

struct observed;
struct flows;
struct observer {
	struct agent_options o;
	uv_loop_t loop;
	uv_poll_t control;
	uv_poll_t *descriptors; /* socket to the applier, until its descriptors came */
	int descriptors_fd;
	uv_timer_t rings, sweeps;
	struct curl_loop curl;
	struct store *store;
	struct hub *hub;
	struct prober *prober;
	struct answers *answers;
	struct observed *observed; /* NULL until the applier gave its descriptors */
	struct flows *flows;	   /* seen since the start */
	struct reporter *reporter;
	char selector[200];
};

/* observer_answer.c: the body for a path: HTTP status. */
int observer_answer(void *ctx, struct str path, struct buf *out);
/* observer_nat.c: the body for /nat?address=A&port=N (both may be left out): HTTP status. */
int observer_nat(struct observer *ob, struct str query, struct buf *out);
/* observer_account.c: whether this node's numbers add up (/account): HTTP status. */
int observer_taps(struct observer *ob, struct buf *out);
int observer_account(struct observer *ob, struct buf *out);
/* observer_metrics.c: /metrics, in Prometheus' text format: HTTP status. Names what cannot be read as such.
 */
int observer_metrics(struct observer *ob, struct buf *out);
/* Tells the same to the hub from now on. 0 or -errno. */
int observer_metrics_start(struct observer *ob);
/* observer_seen.c: gathers flows from now on, 0 or -errno; the body for /seen: HTTP status. */
int observer_seen_start(struct observer *ob);
int observer_seen(struct observer *ob, struct buf *out);

#endif
