/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds of attempt share. Private to attempt*.c. */
#ifndef WEFT_AGENT_ATTEMPT_STATE_H
#define WEFT_AGENT_ATTEMPT_STATE_H

#include "agent/attempt.h"

struct grpc_call; /* attempt_grpc.c */

struct attempt {
	struct curl_loop *curl;
	attempt_done *done;
	void *ctx;
	bool ended;
	unsigned handles; /* of libuv, not yet closed */
	uv_timer_t limit;
	/* HTTP */
	struct transfer transfer;
	struct curl_slist *headers;
	unsigned redirects;
	/* TCP and gRPC */
	uv_tcp_t tcp;
	uv_connect_t connect;
	bool has_tcp;
	struct grpc_call *grpc;
};

/* Calls `done` once and lets everything go; the memory follows when the loop has closed the handles. */
void attempt_end(struct attempt *a, bool success, const char *why);
int attempt_http(struct attempt *a, const struct attempt_spec *spec);
/* After the connection: the health question. */
int attempt_grpc_new(struct attempt *a, const struct attempt_spec *spec);
void attempt_grpc_connected(struct attempt *a);
void attempt_grpc_free(struct attempt *a);

#endif
