/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks whoever runs this node's containers (the sandbox) to run a program in one, or to end one so that its
 * restart policy decides. JSON lines over one connection that weft-agent opens; it is opened again when it
 * broke, and what was asked on the old one has failed. On the loop's thread only.
 */
#ifndef WEFT_AGENT_RUNTIME_H
#define WEFT_AGENT_RUNTIME_H

#include <uv.h>

#include "agent/attempt.h"

struct runtime;
struct runtime_call;
struct runtime_answer {
	bool ok;	   /* else `error` says why nothing was done */
	bool timeout;	   /* a program ran longer than it may */
	bool missing;	   /* it is not on this machine */
	int exit;	   /* its exit status, 128 + signal */
	const char *error; /* valid during the call */
};
typedef void runtime_done(void *ctx, const struct runtime_answer *a);

/* dial: a connected socket or -errno. */
int runtime_new(struct runtime **out, uv_loop_t *loop, int (*dial)(void *ctx), void *ctx);
/* Each: 0, or -errno (then done is not called). It is called once, from the loop. */
int runtime_exec(struct runtime *r, struct runtime_call **out, const struct attempt_spec *spec,
		 runtime_done *done, void *ctx);
struct runtime_end {
	struct str uid, container, reason;
	int64_t restarts, grace_s; /* restarts: of the instance that is meant */
};
int runtime_end(struct runtime *r, struct runtime_call **out, const struct runtime_end *e, runtime_done *done,
		void *ctx);
/* `done` will not be called. Nulls; NULL is allowed. */
void runtime_forget(struct runtime_call **c);

#endif
