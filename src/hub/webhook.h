/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posts to receivers of alerts, beside the hub's loop. One post at a time to each; after a failure the next
 * waits: 1 s, 2 s, 4 s … 60 s. Addresses, headers and tokens are never logged, nor told. Redirects are not
 * followed; what a receiver answers is not kept. Called by alert.c.
 */
#ifndef WEFT_HUB_WEBHOOK_H
#define WEFT_HUB_WEBHOOK_H

#include <uv.h>

#include "base/str.h"

struct webhooks;
int webhooks_new(struct webhooks **out, uv_loop_t *loop); /* 0 or -errno */
void webhooks_stop(struct webhooks *w); /* its timer closes; then the loop runs to its end, then: */
void webhooks_free(struct webhooks **w);

struct webhook;
/* `done` is called once for each post that began, on the loop; why is NULL when it was taken (2xx). NULL: out
 * of memory. */
struct webhook *webhook_new(struct webhooks *w, void (*done)(void *ctx, const char *why), void *ctx);
/* Ends a post that runs, without `done`. */
void webhook_free(struct webhook **h);

struct webhook_post {
	struct str url, token, ca; /* token, ca: empty: none, the system's */
	unsigned timeout_s;
	struct buf body; /* JSON; taken over */
};
/* Neither a post of its own runs, nor its time to wait, nor too many of others. */
bool webhook_ready(const struct webhook *h, uint64_t now_ms);
/* 0; -ENOMEM; -EINVAL: the address is none (this counts as a failure). */
int webhook_post(struct webhook *h, struct webhook_post *p, uint64_t now_ms);
/* Something else went wrong before a post: the next waits. */
void webhook_failed(struct webhook *h, uint64_t now_ms);

#endif
