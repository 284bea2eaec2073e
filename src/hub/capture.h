/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captures: who may see packets, when a Capture is over, what its status says, and the audit log of all of
 * it. On the hub's loop. One that nobody reads ends by itself, so that no node copies packets for nobody.
 */
#ifndef WEFT_HUB_CAPTURE_H
#define WEFT_HUB_CAPTURE_H

#include <uv.h>

#include "hub/audit.h"
#include "serve/api.h"

enum {
	CAPTURE_UNREAD_S = 15, /* without a reader, it is over */
	CAPTURE_KEPT_S = 30,   /* its object stays so long after it is over */
	CAPTURES_MAX = 256,    /* that run at once, in the whole cluster */
};

struct captures;
/* Follows the store's Captures. dir: the runtime folder; audit is borrowed. 0 or -errno. */
int captures_new(struct captures **out, uv_loop_t *loop, struct store *s, const char *dir,
		 struct audit *audit);
void captures_stop(struct captures *c); /* after the server ended; then the loop runs to its end, then: */
void captures_free(struct captures **c);

/* The one place that says who may see which packets: asked for each new Capture and each download. of: the
 * Capture or Tool; who NULL: all rights. 0, or -EINVAL with e: 403, which goes into the audit log. */
int captures_may(struct captures *c, const char *user, const struct who *who, const struct object *of,
		 struct api_error *e);
/* Whether one more may run beside those that do; a new one is asked for. 0, or -EINVAL with e: 429. */
int captures_room(const struct captures *c, struct api_error *e);
/* What the server sets in an unpublished Capture that `user` writes; old is NULL for a new one. 0 or -ENOMEM.
 */
int capture_admit(struct object *o, const struct object *old, const char *user);

/* As api_ops.packets. */
struct http_later *captures_packets(struct captures *c, const struct api_packets *q, struct api_error *e);
/* Once a second; writes to the store. Captures that are to go are handed to `remove`. */
void captures_tick(struct captures *c, void (*remove)(void *ctx, const struct object *o), void *ctx);

#endif
