/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spawn: starts a program inside a cgroup, a network namespace and a mount namespace, with or without
 * privileges, and tells when it ends. A child is born into its cgroup, so that no packet of it escapes the
 * cgroup's programs.
 */
#ifndef WEFT_SANDBOX_SPAWN_H
#define WEFT_SANDBOX_SPAWN_H

#include <stdbool.h>
#include <uv.h>

struct spawn {
	const char *program;	 /* path */
	char *const *argv;	 /* ends by NULL; argv[0] is the name shown */
	const char *cgroup;	 /* folder of a cgroup2 */
	int netns;		 /* -1: the caller's */
	int mntns;		 /* a mount_template; -1: the caller's */
	const char *resolv_conf; /* bound over /etc/resolv.conf in a private copy of mntns; or NULL */
	const char *dir;	 /* working folder, or NULL */
	bool unprivileged;	 /* as nobody, without capabilities, never to gain any */
	int in, out;		 /* become stdin, and stdout + stderr; -1: /dev/null */
	int err;		 /* stderr where it differs; -1: as out */
	char *const *env;	 /* NULL: the caller's, of the unprivileged a PATH alone */
	int more;		 /* becomes descriptor 3; 0: none */
	bool apart;		 /* an err of -1 is /dev/null all the same */
	bool terminal;		 /* in is one, and shall control the session */
	bool daemon; /* born deaf to SIGHUP and SIGPIPE: a stand-in, which may not have asked for the first
			yet */
};

struct child {
	pid_t pid; /* 0: not running */
	int pidfd;
	uv_poll_t *poll;
	void *owner;
	void (*ended)(struct child *c, int status); /* wait status; c->pid is 0 by then */
};

/* 0 or -errno. ended() is called from the loop, once. */
int child_start(struct child *c, uv_loop_t *loop, const struct spawn *s);
/* By pidfd, so never a stranger; no effect when it has ended. */
void child_signal(struct child *c, int sig);
/* Forgets the child without waiting; ended() will not be called. child_reap() takes its status. */
void child_forget(struct child *c);
/* Takes the status of those that were forgotten and have ended since. Called now and then. */
void child_reap(void);

#endif
