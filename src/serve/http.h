/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 on the event loop: listeners (a Unix socket, TLS on loopback, the page), requests with whole
 * bodies, answers and streams that clients may read slowly. Knows nothing of what is served. Bounds: 64 KiB
 * of headers, a body limit, a number of connections, a time for a request to come in.
 */
#ifndef WEFT_SERVE_HTTP_H
#define WEFT_SERVE_HTTP_H

#include <uv.h>

#include "base/str.h"
#include "base/vec.h"

/* Where a request came in. */
enum http_door {
	HTTP_SOCKET,	  /* the Unix socket: this machine's own processes */
	HTTP_CERTIFICATE, /* TLS, with a client certificate of the cluster */
	HTTP_PAGE,	  /* anybody's browser */
};

struct who;
struct http_param {
	char *key, *value; /* decoded; value is "" when there was no '=' */
};

struct http_request {
	const char *method;
	const char *path; /* decoded, without query; no NUL, no "//" */
	const struct http_param *query;
	size_t query_len;
	const char *accept, *content_type, *agent; /* "" when absent; agent: User-Agent */
	struct str body;
	bool local; /* came over the Unix socket */
	bool tls;
	enum http_door door;
	/* Set by the page for what it hands on; NULL: as the door says. Read it by who_of(). */
	const struct who *who;
	uint64_t client; /* the same for all requests of one user (Unix socket) or one address */
	void *connection;
};
/* The first header of that name, or "". */
const char *http_header(const struct http_request *rq, const char *name);
/* Whether a header of that name, any of them, has the word in its list. Letters' case does not matter. */
bool http_header_has(const struct http_request *rq, const char *name, const char *word);

/* An answer that goes on. The owner embeds it; `pull` is called on the loop when `out` has been sent: it
 * appends to `out`, sets `done`, or does nothing, and then waits for http_stream_wake(). `close` is called
 * once, at the end or when the client is gone; it frees the stream. */
struct http_stream {
	void (*pull)(struct http_stream *s);
	void (*close)(struct http_stream *s);
	/* Asked each second, also while the client takes nothing: whether it has to end. NULL: never. It is
	 * pulled then, to end by itself; one that is in the middle of being sent is cut off. */
	bool (*over)(struct http_stream *s);
	struct buf out;
	bool done;
	/* private */
	void *connection, *listener;
	int fd;
	size_t sent;
	bool asleep, gone;
	struct http_stream *next, **prev;
};
void http_stream_wake(struct http_stream *s);
/* Whether its client hung up: one that sleeps is closed within a second after that. */
bool http_stream_left(const struct http_stream *s);

/* An answer that is not known yet: the connection waits until http_later_wake(), then `answer` fills the
 * reply. Either that or `gone` is called, once: the client is away, or the server ends. */
struct http_reply;
struct http_later {
	void (*answer)(struct http_later *l, struct http_reply *rp);
	void (*gone)(struct http_later *l);
	/* private */
	void *connection, *listener;
	struct http_later *next, **prev;
	bool asleep;
};
void http_later_wake(struct http_later *l);

/* The connection becomes another protocol's after the answer 101. `opened` gets its socket (which stays the
 * server's, until http_upgrade_close() ends it) and what the client sent too early; `gone` is called in place
 * of it when that never came to be. `stop` is called when the server ends: close at once. */
struct http_upgrade {
	void (*opened)(struct http_upgrade *u, int fd, struct str early);
	void (*gone)(struct http_upgrade *u);
	void (*stop)(struct http_upgrade *u);
	struct {
		const char *name;
		char value[64];
	} headers[4];
	size_t headers_len;
	/* private */
	void *listener, *handle;
	struct http_upgrade *next, **prev;
};
void http_upgrade_header(struct http_upgrade *u, const char *name, const char *value);
void http_upgrade_close(struct http_upgrade *u);

struct http_extra { /* a header */
	const char *name;
	char *value; /* owned */
};

struct http_reply {
	int status;
	const char *content_type;     /* NULL: application/json */
	struct buf body;	      /* owned; freed by the server */
	struct str fixed;	      /* in place of a body: bytes that outlive the server */
	struct http_stream *stream;   /* in place of a body */
	struct http_later *later;     /* in place of an answer */
	struct http_upgrade *upgrade; /* in place of a body, with status 101 */
	VEC(char *) warnings;	      /* texts of Warning headers, owned */
	VEC(struct http_extra) headers;
	bool retry; /* adds Retry-After: 1 */
};
/* A further header; a Cache-Control takes the place of the usual one. */
void http_reply_header(struct http_reply *rp, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Fills the answer; called on the loop, must not block. */
typedef void http_handler(void *ctx, const struct http_request *rq, struct http_reply *rp);

struct http_options {
	http_handler *handler;
	void *ctx;
	size_t body_max;	  /* 0: 3 MiB */
	unsigned connections;	  /* 0: 4096 a listener, or as many as there are descriptors */
	unsigned request_seconds; /* 0: 10: until the first request is complete */
};

struct http_server;
int http_new(struct http_server **out, uv_loop_t *loop, const struct http_options *opt);
/* Takes over a listening socket. tls_* are PEM texts, NULL for plain. With TLS each request needs a client
 * certificate of the authority `tls_ca`. 0 or -errno. */
int http_listen(struct http_server *s, int fd, const char *tls_key, const char *tls_cert, const char *tls_ca);

struct http_fixed { /* a header of each answer */
	const char *name, *value;
};
struct http_page {
	http_handler *handler;
	void *ctx;
	const struct http_fixed *headers; /* of each answer, refusals too */
	size_t headers_len;
	unsigned connections;
	const char *tls_key, *tls_cert; /* NULL: plain */
};
/* The same for browsers: a handler of its own, and no certificates of clients. */
int http_listen_page(struct http_server *s, int fd, const struct http_page *p);
/* Value of a query parameter, or NULL. */
const char *http_query(const struct http_request *rq, const char *key);
/* Ends all connections, streams and upgrades; the loop must still run once for its handles to close. */
void http_free(struct http_server **s);

#endif
