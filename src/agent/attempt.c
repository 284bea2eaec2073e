/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an attempt, its time limit, and the two simplest kinds: a TCP connection is success, no byte is
 * sent; a program is run by the container's runtime. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/attempt_state.h"
#include "base/clock.h"

enum { LATE_US = 20000 };

const char *attempt_cause_name(enum attempt_cause c)
{
	static const char *const names[ATTEMPT_CAUSES] = {
	    [ATTEMPT_SUCCESS] = "success",  [ATTEMPT_TIMEOUT] = "timeout",
	    [ATTEMPT_REFUSED] = "refused",  [ATTEMPT_UNREACHABLE] = "unreachable",
	    [ATTEMPT_CLOSED] = "closed",    [ATTEMPT_STATUS] = "status",
	    [ATTEMPT_TLS] = "tls",	    [ATTEMPT_PROTOCOL] = "protocol",
	    [ATTEMPT_HEALTH] = "health",    [ATTEMPT_EXIT] = "exit",
	    [ATTEMPT_TARGET] = "no-target", [ATTEMPT_PROBER] = "prober",
	};

	return c < ATTEMPT_CAUSES ? names[c] : "";
}

static void on_closed(uv_handle_t *h)
{
	struct attempt *a = h->data;

	if (!--a->handles) {
		attempt_grpc_free(a);
		attempt_plain_free(a);
		free(a);
	}
}

void attempt_let_tcp_go(struct attempt *a)
{
	if (a->has_tcp)
		uv_close((uv_handle_t *)&a->tcp, on_closed);
	a->has_tcp = false;
}

static void release(struct attempt *a)
{
	a->ended = true;
	runtime_forget(&a->call);
	if (a->transfer.easy) {
		transfer_stop(a->curl, &a->transfer);
		curl_easy_cleanup(a->transfer.easy);
		a->transfer.easy = NULL;
	}
	curl_slist_free_all(a->headers);
	a->headers = NULL;
	attempt_let_tcp_go(a);
	uv_close((uv_handle_t *)&a->limit, on_closed);
}

void attempt_end(struct attempt *a, enum attempt_cause cause, int code, const char *why)
{
	struct attempt_outcome o = {.cause = cause, .code = code, .why = why};

	if (a->ended)
		return;
	release(a);
	a->done(a->ctx, &o);
}

void attempt_cancel(struct attempt **pa)
{
	struct attempt *a = *pa;

	*pa = NULL;
	if (a && !a->ended)
		release(a);
}

/* When this process itself was held up, the answer may be there already, unread: one more turn of the loop
 * before the container is blamed. */
static void on_limit(uv_timer_t *t)
{
	struct attempt *a = t->data;

	if (!a->late && clock_us() > a->deadline_us + LATE_US) {
		a->late = true;
		uv_timer_start(t, on_limit, 1, 0);
		return;
	}
	attempt_end(a, ATTEMPT_TIMEOUT, 0, "time is over");
}

static enum attempt_cause cause_of(int status)
{
	switch (status) {
	case UV_ECONNREFUSED:
		return ATTEMPT_REFUSED;
	case UV_ETIMEDOUT:
		return ATTEMPT_TIMEOUT;
	case UV_ECONNRESET:
	case UV_EPIPE:
		return ATTEMPT_CLOSED;
	case UV_EHOSTUNREACH:
	case UV_ENETUNREACH:
		return ATTEMPT_UNREACHABLE;
	default: /* no socket, no port, no memory, no right */
		return ATTEMPT_PROBER;
	}
}

static void on_connect(uv_connect_t *req, int status)
{
	struct attempt *a = req->data;

	if (a->ended)
		return;
	if (status)
		attempt_end(a, cause_of(status), status,
			    status == UV_ECONNREFUSED ? "refused" : uv_strerror(status));
	else if (a->grpc)
		attempt_grpc_connected(a);
	else if (a->plain)
		attempt_plain_connected(a);
	else
		attempt_end(a, ATTEMPT_SUCCESS, 0, "connected");
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

static void on_exec(void *ctx, const struct runtime_answer *r)
{
	struct attempt *a = ctx;
	char why[32];

	a->call = NULL;
	if (!r->ok) {
		attempt_end(a, ATTEMPT_PROBER, 0, r->error);
	} else if (r->timeout) {
		attempt_end(a, ATTEMPT_TIMEOUT, 0, "time is over");
	} else if (r->missing) {
		attempt_end(a, ATTEMPT_SUCCESS, r->exit,
			    "the program is not on this machine: its stand-in counts as success");
	} else {
		snprintf(why, sizeof(why), "exit status %d", r->exit);
		attempt_end(a, r->exit ? ATTEMPT_EXIT : ATTEMPT_SUCCESS, r->exit, why);
	}
}

static int run_program(struct attempt *a, const struct attempt_spec *spec)
{
	/* The runtime keeps the time; ours is only for a runtime that does not answer. */
	uv_timer_stop(&a->limit);
	return runtime_exec(spec->runtime, &a->call, spec, on_exec, a);
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
	a->deadline_us = clock_us() + spec->timeout_ms * 1000;
	uv_timer_start(&a->limit, on_limit, spec->timeout_ms, 0);
	if (spec->http) {
		err = attempt_plain_new(a, spec);
		if (err == -EOPNOTSUPP)
			err = attempt_http(a, spec);
		else if (!err)
			err = connect_to(a, spec);
	} else if (spec->exec) {
		err = run_program(a, spec);
	} else {
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
