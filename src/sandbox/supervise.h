/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Supervise: a program that must always run (hub, agents). Its output goes to a log file; when it ends it is
 * started again, at once the first time, then with a wait that doubles up to a bound and is forgotten after a
 * calm minute.
 */
#ifndef WEFT_SANDBOX_SUPERVISE_H
#define WEFT_SANDBOX_SUPERVISE_H

#include "sandbox/spawn.h"

struct daemon {
	struct sandbox *sandbox;
	const char *what; /* for logs: "weft-hub", "weft-agent of node-1" */
	char *program, *log;
	char **argv; /* owned, ends with NULL */
	size_t argc;
	bool short_of_memory; /* an argument is missing: it must not start */
	int netns;	      /* borrowed; -1: the caller's */
	struct child child;
	uv_timer_t timer;
	uint64_t started_ms;
	uint64_t gone_ms;   /* when it ended last after a run of some length; 0: never */
	size_t log_from;    /* where this run's output begins */
	unsigned fast_ends; /* in a row */
	bool needed;	    /* nothing goes without it: give up where it never comes up */
	bool open, stopping, held;
};

/* what is copied. program: name of a private program, or a path; log: file name below log/. 0 or -errno
 * (told). */
int daemon_open(struct daemon *d, struct sandbox *s, const char *what, const char *program, const char *log);
/* Appends an argument (copied). */
void daemon_arg(struct daemon *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int daemon_start(struct daemon *d);
/* Kills it and leaves it dead until daemon_resume(). */
void daemon_hold(struct daemon *d);
int daemon_resume(struct daemon *d);
/* For how long it has not run, in ms; short runs in between do not count. -1: it runs. */
int64_t daemon_away_ms(const struct daemon *d);
/* Stops supervising; the process itself ends with the cluster's cgroup. */
void daemon_close(struct daemon *d);

#endif
