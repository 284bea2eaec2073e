/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One try of a probe: over HTTP(S), TCP or gRPC, or a program run in the container, with a time limit. Ends
 * by its callback on the loop, never in the call that began it. Addresses are numbers; names are not
 * resolved.
 */
#ifndef WEFT_AGENT_ATTEMPT_H
#define WEFT_AGENT_ATTEMPT_H

#include "serve/curl_loop.h"
#include "base/addr.h"
#include "object/object.h"

/* How it ended. The last two are mistakes of the prober or the manifest, not of the container: they change no
 * state. */
enum attempt_cause {
	ATTEMPT_SUCCESS,
	ATTEMPT_TIMEOUT,
	ATTEMPT_REFUSED,
	ATTEMPT_UNREACHABLE,
	ATTEMPT_CLOSED,	  /* the connection ended before the answer */
	ATTEMPT_STATUS,	  /* HTTP, `code` */
	ATTEMPT_TLS,	  /* no TLS session */
	ATTEMPT_PROTOCOL, /* the answer is none */
	ATTEMPT_HEALTH,	  /* gRPC health other than SERVING, `code` */
	ATTEMPT_EXIT,	  /* exit status, `code` */
	ATTEMPT_TARGET,	  /* no address or port to ask */
	ATTEMPT_PROBER,
	ATTEMPT_CAUSES,
};
const char *attempt_cause_name(enum attempt_cause c); /* "timeout" */

struct attempt_outcome {
	enum attempt_cause cause;
	int code;
	const char *why; /* "status 503", "refused"; valid during the call */
};
static inline bool attempt_dropped(enum attempt_cause c)
{
	return c >= ATTEMPT_TARGET;
}

struct attempt;
struct runtime;
struct attempt_spec {
	struct addr addr;
	uint16_t port;
	uint64_t timeout_ms;
	const struct http_get_action *http; /* one of the four; borrowed during the call */
	const struct grpc_action *grpc;
	const struct exec_action *exec;
	bool tcp;
	struct runtime *runtime; /* exec's: whom to ask, and in which container */
	struct str uid, container;
};
/* The attempt is gone after. */
typedef void attempt_done(void *ctx, const struct attempt_outcome *o);
/* 0, or -errno (then done is not called). */
int attempt_start(struct attempt **out, struct curl_loop *curl, const struct attempt_spec *spec,
		  attempt_done *done, void *ctx);
/* Ends it without the callback. NULL is allowed; nulls. */
void attempt_cancel(struct attempt **a);

#endif
