/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds of attempt share. Private to attempt*.c. */
#ifndef WEFT_AGENT_ATTEMPT_STATE_H
#define WEFT_AGENT_ATTEMPT_STATE_H

#include "agent/attempt.h"
#include "agent/runtime.h"

struct grpc_call; /* attempt_grpc.c */
struct plain_get; /* attempt_plain.c */

struct attempt {
	struct curl_loop *curl;
	attempt_done *done;
	void *ctx;
	bool ended, late;
	unsigned handles;     /* of libuv, not yet closed */
	uint64_t deadline_us; /* monotonic */
	uv_timer_t limit;
	/* HTTP */
	struct transfer transfer;
	struct curl_slist *headers;
	unsigned redirects;
	/* TCP, gRPC and plain HTTP */
	uv_tcp_t tcp;
	uv_connect_t connect;
	bool has_tcp;
	struct grpc_call *grpc;
	struct plain_get *plain;
	/* exec */
	struct runtime_call *call;
};

/* Calls `done` once and lets everything go; the memory follows when the loop has closed the handles. */
void attempt_end(struct attempt *a, enum attempt_cause cause, int code, const char *why);
/* Closes the connection of an attempt that goes on. */
void attempt_let_tcp_go(struct attempt *a);
int attempt_http(struct attempt *a, const struct attempt_spec *spec);
int attempt_http_header(struct attempt *a, const char *line);
/* Asks `url` by libcurl, with the headers added. */
int attempt_http_follow(struct attempt *a, const char *url);
/* The end, by a status; same: of a redirect to the same host that was not followed, away: to another. */
void attempt_http_judge(struct attempt *a, long status, bool same, bool away);
bool attempt_same_host(const char *url, const char *other);
/* Without libcurl; -EOPNOTSUPP: not this one. After the connection: the request. */
int attempt_plain_new(struct attempt *a, const struct attempt_spec *spec);
void attempt_plain_connected(struct attempt *a);
void attempt_plain_free(struct attempt *a);
/* After the connection: the health question. */
int attempt_grpc_new(struct attempt *a, const struct attempt_spec *spec);
void attempt_grpc_connected(struct attempt *a);
void attempt_grpc_free(struct attempt *a);

#endif
