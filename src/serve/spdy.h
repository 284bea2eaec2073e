/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SPDY/3.1 frames as Kubernetes clients send them for exec, attach and port-forward: decoding into events,
 * data without a copy; encoding of the few frames that a server answers with. Header blocks go through zlib
 * with the protocol's dictionary, one state each way. Knows no socket and no stream's meaning. Flow control
 * windows are not kept: the clients do not either; a slow side makes the whole connection wait.
 */
#ifndef WEFT_SERVE_SPDY_H
#define WEFT_SERVE_SPDY_H

#include <zlib.h>

#include "base/str.h"

enum spdy_type {
	SPDY_SYN_STREAM = 1,
	SPDY_SYN_REPLY = 2,
	SPDY_RST_STREAM = 3,
	SPDY_SETTINGS = 4,
	SPDY_PING = 6,
	SPDY_GOAWAY = 7,
	SPDY_HEADERS = 8,
	SPDY_WINDOW_UPDATE = 9
};
enum { SPDY_CONTROL_MAX = 16384, SPDY_HEADERS_MAX = 32, SPDY_BLOCK_MAX = 16384, SPDY_FIN = 1 };
enum spdy_event { SPDY_MORE, SPDY_DATA, SPDY_CONTROL, SPDY_BAD };

struct spdy {
	const char *problem; /* static */
	/* Of the last event: */
	uint32_t stream; /* or the number of a ping */
	enum spdy_type type;
	bool fin; /* no more comes on the stream, after this piece */
	char *data;
	size_t len;
	struct spdy_header {
		struct str name, value;
	} headers[SPDY_HEADERS_MAX]; /* SPDY_SYN_STREAM, SPDY_SYN_REPLY, SPDY_HEADERS; borrowed until the next
					call */
	size_t headers_len;
	/* private */
	unsigned char head[8];
	size_t head_len;
	uint32_t left;
	bool data_frame;
	struct buf control, block;
	z_stream in, out;
	bool in_set, out_set;
};

int spdy_init(struct spdy *s); /* 0 or -ENOMEM */
void spdy_fini(struct spdy *s);
/* Takes from *p and *n up to the next event. Call again until SPDY_MORE. */
enum spdy_event spdy_feed(struct spdy *s, char **p, size_t *n);
/* Value of a header of the last event, or an empty one. Names are in small letters. */
struct str spdy_header(const struct spdy *s, const char *name);

/* A SYN_STREAM (for tests and clients), or a SYN_REPLY, with name-value pairs up to NULL. */
void spdy_headers(struct spdy *s, struct buf *out, enum spdy_type type, uint32_t stream, unsigned flags,
		  const char *const *pairs);
void spdy_data(struct buf *out, uint32_t stream, unsigned flags, struct str data);
/* RST_STREAM, PING, GOAWAY: one or two numbers. */
void spdy_reset(struct buf *out, uint32_t stream, uint32_t status);
void spdy_ping(struct buf *out, uint32_t id);
void spdy_goaway(struct buf *out, uint32_t last_stream);

#endif
