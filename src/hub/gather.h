/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gather: what the weft-copiers of several nodes stream of one Capture or ring, as one stream of pcapng for
 * a client of the API, merged by time. A node that is away, or that has not heard of the Capture yet, is
 * asked again as long as the Capture runs. Read no faster than the client reads. Nothing waits on the hub's
 * loop.
 */
#ifndef WEFT_HUB_GATHER_H
#define WEFT_HUB_GATHER_H

#include "hub/relay.h"

struct gather_ask {
	const char *const *nodes;
	unsigned n;
	const char *path;	 /* of weft-copier, as for relay_ask() */
	bool (*runs)(void *ctx); /* told.ctx: whether more will come. NULL: what is there is all */
	/* told.ctx: whether the client may know of the pod or Service "shop/cart": the stream has no other
	 * names, and no comments with such. NULL: all. */
	bool (*sees)(void *ctx, struct str name);
};
/* `t` is taken over. NULL: refused, e says why. */
struct http_later *gather_ask(struct relays *r, const struct gather_ask *q, const struct relay_told *t,
			      struct api_error *e);

#endif
