/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the HTTP server share. Private to serve/http*.c. */
#ifndef WEFT_SERVE_HTTP_STATE_H
#define WEFT_SERVE_HTTP_STATE_H

#include <microhttpd.h>

#include "serve/request.h"
#include "serve/tls_front.h"

struct http_conn {
	struct listener *listener;
	int fd;
	uint64_t since_ms; /* when the request now coming in could have begun */
	bool served;	   /* one request was complete */
	bool busy;	   /* a request is being answered */
	bool trusted;	   /* its client certificate was checked */
	uint64_t address;  /* of its client: IPv4, or what stands for another */
	struct http_conn *next, **prev;
};

struct listener {
	struct http_server *server;
	struct MHD_Daemon *daemon;
	uv_poll_t poll;
	uv_timer_t timer;
	bool tls;
	enum http_door door;
	http_handler *handler;
	void *ctx;
	const struct http_fixed *headers; /* of each answer */
	size_t headers_len;
	struct tls_front *front; /* NULL: plain */
	bool trusted;		 /* of the connection that is being added */
	uint64_t address;
	int open_handles;
	struct http_conn *conns;
	struct listener *next;
};

struct http_server {
	uv_loop_t *loop;
	struct http_options opt;
	struct listener *listeners;
	struct http_stream *streams;
	struct http_later *laters;
	struct http_upgrade *upgrades;
	size_t queued;	 /* bytes of large answers that are not sent */
	uv_timer_t tick; /* slow and dead clients */
	bool closing;
};

struct exchange { /* one request and its answer */
	struct request_parts parts;
	struct buf body;
	size_t got; /* bytes of the body that came */
	bool begun, too_large, bad;
	struct http_later *later;     /* asked, not answered */
	struct http_upgrade *upgrade; /* answered, not opened */
};

/* http.c: has the daemon look at its connections on the next turn. */
void listener_soon(struct listener *l);
void listener_on_timer(uv_timer_t *t);

/* http_reply.c: all headers of an answer. */
void reply_headers(const struct listener *l, struct MHD_Response *r, const struct http_reply *rp);
void reply_free(struct http_reply *rp);

/* http_upgrade.c */
uint64_t client_of(const struct listener *l, struct MHD_Connection *mc);
void later_begin(struct listener *l, struct MHD_Connection *mc, struct exchange *x, struct http_later *later);
/* False: the server ends. */
bool later_answer(struct exchange *x, struct http_reply *rp);
enum MHD_Result upgrade_answer(struct listener *l, struct MHD_Connection *mc, struct http_upgrade *u);
void exchange_gone(struct exchange *x);
/* Ends all that waits or was upgraded: a daemon must not stop before. */
void http_state_end(struct http_server *s);

#endif
