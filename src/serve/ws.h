/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket frames (RFC 6455), both ends: what came in becomes pieces of messages, without a copy and without
 * a limit on a message; what goes out becomes one frame a message. Strict: what the RFC forbids ends the
 * connection. Knows no socket and no subprotocol.
 */
#ifndef WEFT_SERVE_WS_H
#define WEFT_SERVE_WS_H

#include "base/str.h"

enum ws_opcode { WS_CONTINUE = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };
enum ws_status {
	WS_NORMAL = 1000,
	WS_GOING = 1001,
	WS_PROTOCOL = 1002,
	WS_UNSUPPORTED = 1003,
	WS_BROKEN = 1011
};
enum ws_event {
	WS_MORE,    /* all was consumed */
	WS_DATA,    /* a piece of a binary message */
	WS_CONTROL, /* a ping, pong or close, whole */
	WS_BAD	    /* ws_in.problem says why; nothing may follow */
};

struct ws_in {
	bool client;	     /* we are the client: frames come unmasked */
	const char *problem; /* static */
	/* Of the last event: */
	enum ws_opcode opcode;
	bool first, last; /* WS_DATA: piece of a message */
	char *data;	  /* in the caller's bytes, or in `control` */
	size_t len;
	/* private */
	unsigned char head[14];
	size_t head_len;
	uint64_t left; /* of the payload */
	uint32_t masked;
	bool payload, fin, begun, fresh, closed;
	char control[125];
	size_t control_len;
};

/* Takes from *p and *n up to the next event; unmasks in place. Call again until WS_MORE. */
enum ws_event ws_feed(struct ws_in *w, char **p, size_t *n);
/* Appends one whole frame: a message of `head` followed by `body`. client: masked, with random bits. */
void ws_frame(struct buf *out, enum ws_opcode opcode, bool client, struct str head, struct str body);
void ws_close_frame(struct buf *out, bool client, enum ws_status status, const char *reason);

enum { WS_ACCEPT_SIZE = 29, WS_KEY_SIZE = 25 };
/* Sec-WebSocket-Accept for a key. 0, or -EINVAL when it is not base64 of 16 bytes. */
int ws_accept(const char *key, char out[WS_ACCEPT_SIZE]);
/* A random Sec-WebSocket-Key. */
int ws_key(char out[WS_KEY_SIZE]);

#endif
