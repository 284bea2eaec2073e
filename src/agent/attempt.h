/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One try of a probe: over HTTP(S), TCP or gRPC, with a time limit. Ends by its callback on the loop, never
 * in the call that began it. Addresses are numbers; names are not resolved.
 */
#ifndef WEFT_AGENT_ATTEMPT_H
#define WEFT_AGENT_ATTEMPT_H

#include "agent/curl_loop.h"
#include "base/addr.h"
#include "object/object.h"

struct attempt;
struct attempt_spec {
	struct addr addr;
	uint16_t port;
	uint64_t timeout_ms;
	const struct http_get_action *http; /* one of the three; borrowed during the call */
	const struct grpc_action *grpc;
	bool tcp;
};
/* `why` says how it went ("status 503", "refused", "time is over"), valid during the call. The attempt is
 * gone after. */
typedef void attempt_done(void *ctx, bool success, const char *why);
/* 0, or -errno (then done is not called). */
int attempt_start(struct attempt **out, struct curl_loop *curl, const struct attempt_spec *spec,
		  attempt_done *done, void *ctx);
/* Ends it without the callback. NULL is allowed; nulls. */
void attempt_cancel(struct attempt **a);

#endif
