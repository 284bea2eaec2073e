/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 on copier.sock: GET only, one answer a connection, whole or as a stream that goes on. Bounded in
 * clients, in the size of a request and in what waits for a slow reader; nothing blocks. Knows nothing of
 * what is served.
 */
#ifndef WEFT_COPIER_HTTP_H
#define WEFT_COPIER_HTTP_H

#include <uv.h>

#include "base/str.h"

/* An answer that goes on. The owner embeds it. */
struct http_body {
	/* Called when all that was given before is sent: appends to `out` and may set `done`; nothing
	 * appended: it sleeps until http_wake(). */
	void (*pull)(struct http_body *b, struct buf *out);
	/* Once: at the end, or when the client is gone. Frees it. */
	void (*close)(struct http_body *b);
	bool done;
	void *client; /* private */
};
void http_wake(struct http_body *b);

struct http_reply {
	int status;
	const char *type;
	struct buf body;
	struct http_body *stream; /* in place of a body */
};
/* `path` and `query` as they came; the answer's type is JSON where it says none. */
typedef void http_answer(void *ctx, struct str path, struct str query, struct http_reply *out);

enum {
	HTTP_CLIENTS_MAX = 64, /* one more is hung up on */
	HTTP_STREAMS_MAX = 48, /* one more is answered 503 */
};

struct http;
/* Serves on a listening socket, which it owns from now on. 0 or -errno. */
int http_new(struct http **out, uv_loop_t *loop, int fd, http_answer *answer, void *ctx);
/* The first line of a request's head: 0, its path (which begins with "/") and query (behind "?", or empty),
 * which point into the head; else the status that refuses it, 400 or 405. */
int http_parse(struct str head, struct str *path, struct str *query);
/* A value of a query "a=1&b=2", empty when it is not there; %XX is not read. */
struct str http_query(struct str query, const char *key);
/* Ends all connections. */
void http_free(struct http **h);

#endif
