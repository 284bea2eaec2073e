/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flow: one session with the runtime over its socket, as stream.h describes it: asks, tells the answer, then
 * hands frames on and takes them. Knows nothing of who the client is.
 */
#ifndef WEFT_SERVE_FLOW_H
#define WEFT_SERVE_FLOW_H

#include "serve/duplex.h"
#include "serve/stream.h"

enum { FLOW_ANSWER_MAX = 65536 };

struct flow;
struct flow_ops { /* on the loop; each may close the flow. ended comes once, and none after it */
	/* code 0: it goes on; else as in a Status, and the flow is over. */
	void (*answered)(struct flow *f, int code, const char *reason, const char *message);
	/* A piece of what came on a channel; of STATUS, RESIZE and CLOSE the whole frame. */
	void (*data)(struct flow *f, unsigned channel, char *p, size_t n);
	void (*ended)(struct flow *f);
	void (*drained)(struct flow *f);
};

struct flow {
	struct duplex io;
	const struct flow_ops *ops;
	void *ctx;
	enum { FLOW_ASKED, FLOW_OPEN, FLOW_OVER } state;
	uint64_t since_ms; /* asked */
	/* private */
	struct buf whole, early;
	unsigned char head[4];
	size_t head_len, left;
};

/* Connects and sends the request, a line of JSON. 0 or -errno of connect. */
int flow_new(struct flow **out, uv_loop_t *loop, const char *path, struct str request,
	     const struct flow_ops *ops, void *ctx);
/* To the runtime; before the answer it waits here. */
void flow_send(struct flow *f, enum stream_channel channel, struct str data);
/* Bytes that the runtime did not take yet. */
static inline size_t flow_pending(const struct flow *f)
{
	return duplex_pending(&f->io) + f->early.n;
}
/* As if the runtime had refused. */
void flow_fail(struct flow *f, int code, const char *reason, const char *message);
/* Ends the session; NULL is allowed and left behind. */
void flow_close(struct flow **f);

#endif
