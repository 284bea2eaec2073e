/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's multi interface on a libuv loop. One per process; transfers end by their `done` callback, on the
 * loop.
 */
#ifndef WEFT_SERVE_CURL_LOOP_H
#define WEFT_SERVE_CURL_LOOP_H

#include <curl/curl.h>
#include <uv.h>

struct curl_loop {
	CURLM *multi;
	uv_loop_t *loop;
	uv_timer_t timer;
	int (*dial)(void *ctx); /* a connected socket to the hub or -errno */
	void *ctx;
};

struct transfer { /* embedded in who owns it */
	CURL *easy;
	size_t (*body)(struct transfer *t, const char *p, size_t n); /* n, or less to stop */
	/* The end: status of HTTP, or 0 when there was none; `error` is curl's code. The handle may be used
	 * again. */
	void (*done)(struct transfer *t, long status, CURLcode error);
};

int curl_loop_init(struct curl_loop *c, uv_loop_t *loop, int (*dial)(void *ctx), void *ctx);
/* Begins a request for `path` ("/api/v1/pods?watch=true") of the hub. Options of t->easy set before are kept;
 * NULL makes it. 0 or -ENOMEM. */
int transfer_start(struct curl_loop *c, struct transfer *t, const char *path);
/* The same for any address by TCP; `url`, time-outs and headers were set on t->easy by the caller. */
int transfer_begin(struct curl_loop *c, struct transfer *t);
/* Stops it without `done`. */
void transfer_stop(struct curl_loop *c, struct transfer *t);

#endif
