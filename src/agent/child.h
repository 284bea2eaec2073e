/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child of weft-agent: one of the three programs, with its control socket and its back-off. Only agent.c
 * uses it.
 */
#ifndef WEFT_AGENT_CHILD_H
#define WEFT_AGENT_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
	const char *program; /* "weft-applier" */
	uint64_t capabilities;
	const char *cwd; /* entered before privileges go, so that the child needs no right on the way there;
			    or NULL */
	pid_t pid;	 /* 0: not running */
	int control;	 /* our end; -1 */
	uint64_t started, next; /* ms: of the last start; of the next one allowed */
	unsigned quick;		/* ends in a row soon after the start */
};

/* Starts it with argv (NULL-terminated, [0] is replaced). 0 or -errno. */
int child_begin(struct child *c, const char *libexec, char **argv);
/* Notes that it ended with a wait status, logs why, and sets when it may start again. */
void child_ended(struct child *c, int status);

#endif
