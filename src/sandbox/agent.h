/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agent: the sandbox as a client of a node's agent, over the same socket and protocol as a container
 * runtime's plugin (doc/internals.md). Questions wait while the agent is away and are asked again when it is
 * back.
 */
#ifndef WEFT_SANDBOX_AGENT_H
#define WEFT_SANDBOX_AGENT_H

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#include "base/vec.h"

typedef void agent_done(void *ctx, const json_t *answer); /* borrowed */

struct agent_question {
	unsigned id;
	json_t *body;
	int fds[3],
	    fds_len; /* borrowed from the pod; they live at least until the answer or agent_forget() */
	bool sent;
	agent_done *done;
	void *ctx;
};

struct agent {
	uv_loop_t *loop;
	char socket[108];
	int fd; /* -1: not connected */
	uv_poll_t *poll;
	uv_timer_t again;
	unsigned next_id;
	bool open;
	VEC(struct agent_question) asked;
};

void agent_open(struct agent *a, uv_loop_t *loop, const char *socket);
void agent_close(struct agent *a);
/* body is taken over; its "id" is set here. Returns the id, 0 when out of memory. */
unsigned agent_ask(struct agent *a, json_t *body, const int *fds, int fds_len, agent_done *done, void *ctx);
/* The answer to that question is no longer wanted. */
void agent_forget(struct agent *a, unsigned id);

#endif
