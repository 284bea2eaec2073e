/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server side of the stand-in, shared by its files: the process's state, one TCP connection, and the answer
 * that says who is speaking. A connection is created by listen.c, sniffed by conn.c and then spoken to by
 * http1.c, http2.c or echoed.
 */
#ifndef WEFT_STANDIN_SERVER_H
#define WEFT_STANDIN_SERVER_H

#include <sys/types.h>

#include "base/addr.h"
#include "base/str.h"
#include "standin/loop.h"
#include "standin/resolve.h"
#include "standin/spec.h"

enum { CONNS_MAX = 4096, IN_MAX = 16384, IDLE_MS = 75000, SNIFF_MS = 200 };

struct caller;
struct conn;
struct listener;

/* TLS under a connection; not part of the plain stand-in (tls.c). recv and send are as those of sockets. */
struct tls;
struct tls_part {
	struct tls *(*open)(int fd); /* NULL: out of memory */
	ssize_t (*recv)(struct tls *t, void *data, size_t cap);
	ssize_t (*send)(struct tls *t, const void *data, size_t n);
	void (*close)(struct tls *t);
};

struct server {
	struct loop loop;
	const struct spec *spec;
	const struct tls_part *tls; /* NULL: there is none */
	struct spec_fault fault;    /* as it is now */
	struct listener *listeners;
	size_t listeners_len;
	struct conn *all;    /* open connections */
	struct timer drain;  /* the steps of an orderly end */
	bool draining, deaf; /* SIGTERM came; and takes no connections any more */
	unsigned late;	     /* datagrams that wait to be answered late */
	struct resolver resolver;
	struct caller *callers;
	unsigned conns;
	uint64_t refused; /* connections closed at once since CONNS_MAX were open */
};

struct listener {
	struct watch watch;
	struct server *server;
	uint16_t port;
	enum proto proto;
};

/* What the program was built with; set before a server starts. */
extern const struct tls_part *server_tls;
const struct tls_part *tls_part(void); /* tls.c, or NULL of tls_none.c */

enum speech { SPEECH_UNKNOWN, SPEECH_HTTP1, SPEECH_HTTP2, SPEECH_ECHO };

struct http2;
struct conn {
	struct watch watch;
	struct timer timer;
	struct server *server;
	uint16_t port, client_port;
	struct addr client;
	enum speech speech;
	struct conn *prev, *next;
	struct timer late;   /* the answer is held back */
	uint64_t touched_ms; /* when the client last sent */
	bool sniffed;	     /* TLS or not is known */
	struct tls *tls;
	struct buf in, out;
	uint64_t body_left; /* HTTP/1: bytes of the request's body still to be skipped */
	bool closing;	    /* close when `out` is written */
	bool ended;	    /* the client has sent its last byte */
	bool shut;	    /* ours was sent; what still comes is thrown away until the client's end */
	struct http2 *http2;
};

struct question { /* what the answer says about the request */
	uint16_t port, client_port;
	const struct addr *client;
	const char *protocol; /* "HTTP/1.1", "HTTP/2", "UDP" */
	struct str path, host;
};

/* Appends the JSON object that names this container. */
void server_identity(const struct server *s, const struct question *q, struct buf *out);

/* Opens and closes ports as faults and the end ask for; a failure is told. */
void server_listen_again(struct server *s);
/* Takes what waits to be taken, then closes all ports of TCP. */
void server_deafen(struct server *s);
/* Whether the readiness probe that asks there is to fail. */
bool server_not_ready(const struct server *s, uint16_t port, struct str path, struct str service);
/* Ends connections that can end: idle ones after some time, others with their next answer; the number of
 * those left. */
unsigned conns_drain(struct server *s);

/* Opens all ports of the spec: 0, or -errno with a line for each port that failed. */
int server_listen(struct server *s);

void conn_new(struct server *s, int fd, uint16_t port, const struct addr *client, uint16_t client_port);

/* Each reads c->in and appends to c->out; false: the connection is to be dropped. */
bool http1_read(struct conn *c);
bool http2_read(struct conn *c);
void http2_free(struct conn *c);
/* Tells the client to ask no more; true when nothing is left to be answered. */
bool http2_drain(struct conn *c);

#endif
