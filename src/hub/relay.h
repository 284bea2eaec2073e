/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relay: what a node's weft-copier streams, on to a client of the API. Whole blocks of pcapng, counted as
 * they pass; read no faster than the client reads, so a slow one loses only its own packets, at the node,
 * which counts them. Nothing waits on the hub's loop.
 */
#ifndef WEFT_HUB_RELAY_H
#define WEFT_HUB_RELAY_H

#include <uv.h>

#include "serve/api.h"
#include "serve/curl_loop.h"

enum { RELAYS_MAX = 256 };
struct relays { /* of relay.c and gather.c */
	struct curl_loop curl;
	char *dir;
	unsigned running; /* questions to nodes */
};
/* dir: the cluster's runtime folder, below which DIR/NODE/copier.sock are. 0 or -errno. */
int relays_new(struct relays **out, uv_loop_t *loop, const char *dir);
void relays_stop(
    struct relays *r); /* after the server ended; its timer closes; then the loop runs to its end, then: */
void relays_free(struct relays **r);

struct relay_sums {
	uint64_t packets, bytes; /* handed to the client; bytes of packets as captured */
	uint64_t dropped;	 /* lost at the node since the client was slow */
};

/* Told once that the stream began, as it goes on about each second, and once that it is over (in that order;
 * none is called where it never began). why: how it ended. */
struct relay_told {
	bool (*may)(void *ctx); /* asked meanwhile: whether he may have them still; NULL: he may */
	void (*began)(void *ctx);
	void (*goes)(void *ctx, const struct relay_sums *s);
	void (*over)(void *ctx, const struct relay_sums *s, const char *why);
	void (*free)(void *ctx); /* once, last, in any case */
	void *ctx;
};
/* Asks the node's weft-copier for `path`, and answers the request with its stream, or with why there is none.
 * pcapng: the answer is such a stream; else a short text, handed on as it is. `t` is taken over. NULL:
 * refused, e says why. */
struct http_later *relay_ask(struct relays *r, const char *node, const char *path, bool pcapng,
			     const struct relay_told *t, struct api_error *e);

/* A question to the node's weft-copier, not begun. NULL: out of memory. */
CURL *relay_question(const struct relays *all, const char *node, const char *path);

#endif
