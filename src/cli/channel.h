/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WebSocket to the hub in the protocol v5.channel.k8s.io: messages that begin with the number of a channel.
 * The caller polls the socket; nothing here waits but the handshake.
 */
#ifndef WEFT_CLI_CHANNEL_H
#define WEFT_CLI_CHANNEL_H

#include "serve/ws.h"

enum { CHANNEL_HIGH = 262144, CHANNEL_CLOSE = 255 };

struct channel {
	int fd; /* -1: none */
	struct buf out;
	size_t sent;
	struct ws_in in;
	struct buf early; /* came with the handshake's answer */
	int number;	  /* of the message that is coming in, -1: none */
	bool over;	  /* closed by either side; nothing more comes */
};
/* A piece of a message on a channel. */
typedef void channel_take(void *ctx, unsigned number, struct str data);

/* Handshake at a path with a query. 0, or -1 (told). */
int channel_open(struct channel *c, const char *socket_path, const char *url);
void channel_fini(struct channel *c);
void channel_put(struct channel *c, unsigned number, struct str data);
void channel_put_close(struct channel *c, unsigned number);
static inline size_t channel_pending(const struct channel *c)
{
	return c->out.n - c->sent;
}
/* Sends what can be sent, without waiting. */
void channel_flush(struct channel *c);
/* Reads what is there, without waiting, and hands it on; sets over at the end. */
void channel_read(struct channel *c, channel_take *fn, void *ctx);

#endif
