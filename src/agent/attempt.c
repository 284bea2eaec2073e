/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an attempt, its time limit, and the simplest kind: a TCP connection is success, no byte is
 * sent. */
#include <errno.h>
#include <stdlib.h>

#include "agent/attempt_state.h"

static void on_closed(uv_handle_t *h)
{
	struct attempt *a = h->data;

	if (!--a->handles) {
		attempt_grpc_free(a);
		free(a);
	}
}

static void release(struct attempt *a)
{
	a->ended = true;
	if (a->transfer.easy) {
		transfer_stop(a->curl, &a->transfer);
		curl_easy_cleanup(a->transfer.easy);
		a->transfer.easy = NULL;
	}
	curl_slist_free_all(a->headers);
	a->headers = NULL;
	if (a->has_tcp)
		uv_close((uv_handle_t *)&a->tcp, on_closed);
	uv_close((uv_handle_t *)&a->limit, on_closed);
}

void attempt_end(struct attempt *a, bool success, const char *why)
{
	if (a->ended)
		return;
	release(a);
	a->done(a->ctx, success, why);
}

void attempt_cancel(struct attempt **pa)
{
	struct attempt *a = *pa;

	*pa = NULL;
	if (a && !a->ended)
		release(a);
}

static void on_limit(uv_timer_t *t)
{
	attempt_end(t->data, false, "time is over");
}

static void on_connect(uv_connect_t *req, int status)
{
	struct attempt *a = req->data;

	if (a->ended)
		return;
	if (status)
		attempt_end(a, false, status == UV_ECONNREFUSED ? "refused" : uv_strerror(status));
	else if (a->grpc)
		attempt_grpc_connected(a);
	else
		attempt_end(a, true, "connected");
}

static int connect_to(struct attempt *a, const struct attempt_spec *spec)
{
	struct sockaddr_in s4 = {.sin_family = AF_INET, .sin_port = __builtin_bswap16(spec->port)};
	struct sockaddr_in6 s6 = {.sin6_family = AF_INET6, .sin6_port = __builtin_bswap16(spec->port)};
	bool is4 = addr_is4(&spec->addr);
	int err = uv_tcp_init(a->curl->loop, &a->tcp);

	if (err)
		return err;
	a->has_tcp = true;
	a->handles++;
	a->tcp.data = a->connect.data = a;
	memcpy(&s4.sin_addr, spec->addr.b + 12, 4);
	memcpy(&s6.sin6_addr, spec->addr.b, 16);
	return uv_tcp_connect(&a->connect, &a->tcp, is4 ? (struct sockaddr *)&s4 : (struct sockaddr *)&s6,
			      on_connect);
}

int attempt_start(struct attempt **out, struct curl_loop *curl, const struct attempt_spec *spec,
		  attempt_done *done, void *ctx)
{
	struct attempt *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	a->curl = curl;
	a->done = done;
	a->ctx = ctx;
	a->handles = 1;
	uv_timer_init(curl->loop, &a->limit);
	a->limit.data = a;
	uv_timer_start(&a->limit, on_limit, spec->timeout_ms, 0);
	if (spec->http)
		err = attempt_http(a, spec);
	else {
		err = spec->grpc ? attempt_grpc_new(a, spec) : 0;
		if (!err)
			err = connect_to(a, spec);
	}
	if (err) {
		release(a);
		return err;
	}
	*out = a;
	return 0;
}
