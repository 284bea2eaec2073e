/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control socket: JSON lines (doc/internals.md). control.c answers status and down, reach.c runs the probes
 * of `weft reach` from inside pods.
 */
#ifndef WEFT_SANDBOX_CONTROL_H
#define WEFT_SANDBOX_CONTROL_H

#include "sandbox/cluster.h"

struct reach;
struct fault_wait;
struct client {
	uv_pipe_t pipe; /* first: freed with it */
	struct client *next, **link;
	struct control *control;
	struct sandbox *sandbox;
	struct buf in;
	struct reach *reach; /* under way */
	struct fault_wait *fault;
	unsigned writing;
	bool asked, closing, closed;
};

int control_start(struct sandbox *s);
/* Answers whoever asked for the end, and closes the socket. After teardown. */
void control_stop(struct sandbox *s, int status);

/* Sends one line; takes over the text. client_end(): no more will follow. */
void client_send(struct client *c, struct buf *line);
void client_error(struct client *c, const char *text);
void client_end(struct client *c);

void reach_start(struct client *c, const json_t *request);
/* Ends the probes of a client that went away. */
void reach_cancel(struct reach *r);

#endif
