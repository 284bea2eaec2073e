/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spawn: see spawn.h. Between clone and exec only system calls, no memory is taken. Called by supervise.c,
 * container.c and reach.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/own.h"
#include "sandbox/cluster.h"
#include "sandbox/spawn.h"

enum { MORE = 3, STRAYS_MAX = 1024 };

static void fail(const char *what)
{
	dprintf(STDERR_FILENO, "cannot start: %s: %s\n", what, strerror(errno));
	_exit(127);
}

static void wire_fds(const struct spawn *s)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int in = s->in >= 0 ? s->in : null, out = s->out >= 0 ? s->out : null,
	    err = s->err >= 0 ? s->err
		  : s->apart  ? null
			      : out;

	if (dup2(err, STDERR_FILENO) < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(127);
	if (s->more > 0 && (s->more == MORE ? fcntl(MORE, F_SETFD, 0) : dup2(s->more, MORE)) < 0)
		_exit(127);
}

static void drop_privileges(void)
{
	for (int cap = 0; cap < 64; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (syscall(SYS_setgroups, 0, NULL) ||
	    syscall(SYS_setresgid, WORKLOAD_UID, WORKLOAD_UID, WORKLOAD_UID) ||
	    syscall(SYS_setresuid, WORKLOAD_UID, WORKLOAD_UID, WORKLOAD_UID) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fail("dropping privileges");
}

/* A pod's own resolv.conf lies over the machine's; where the machine has none there is nothing to lie over,
 * and the environment alone tells. */
static void take_resolv_conf(const char *path)
{
	if (unshare(CLONE_NEWNS))
		fail("mount namespace of the pod");
	if (mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) && errno != ENOENT)
		fail("/etc/resolv.conf of the pod");
}

_Noreturn static void become(const struct spawn *s, char *const *env)
{
	sigset_t none;

	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	if (s->daemon) {
		signal(SIGHUP, SIG_IGN);
		signal(SIGPIPE, SIG_IGN); /* who reads its log may be killed */
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	wire_fds(s);
	if (s->terminal && ioctl(STDIN_FILENO, TIOCSCTTY, 0))
		fail("terminal");
	if (s->netns >= 0 && setns(s->netns, CLONE_NEWNET))
		fail("network namespace");
	if (s->mntns >= 0 && setns(s->mntns, CLONE_NEWNS))
		fail("mount namespace");
	if (s->resolv_conf)
		take_resolv_conf(s->resolv_conf);
	if (chdir(s->dir ? s->dir : "/"))
		fail(s->dir ? s->dir : "/");
	/* A workload may lack the right to reach the program by its path (a build below /root). */
	int program = open(s->program, O_PATH | O_CLOEXEC);
	if (s->unprivileged)
		drop_privileges();
	execve(s->program, s->argv, env);
	if (errno == EACCES && program >= 0)
		syscall(SYS_execveat, program, "", s->argv, env, AT_EMPTY_PATH);
	fail(s->program);
	_exit(127);
}

/* Killed, but not dead yet when they were forgotten. Beyond the bound they stay until this process ends. */
static pid_t strays[STRAYS_MAX];
static size_t strays_len;

void child_reap(void)
{
	for (size_t i = strays_len; i-- > 0;)
		if (waitpid(strays[i], NULL, WNOHANG))
			strays[i] = strays[--strays_len];
}

static void child_poll(uv_poll_t *p, int status, int events)
{
	struct child *c = p->data;
	int how = 0;
	pid_t r;

	(void)status;
	(void)events;
	/* ECHILD: somebody else took its status; it has ended all the same. */
	r = waitpid(c->pid, &how, WNOHANG);
	if (r != c->pid && !(r < 0 && errno == ECHILD))
		return;
	child_forget(c);
	c->ended(c, how);
}

int child_start(struct child *c, uv_loop_t *loop, const struct spawn *s)
{
	int pidfd = -1;
	AUTO_FD int cgroup = open(s->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct clone_args args = {.flags = CLONE_PIDFD | CLONE_INTO_CGROUP,
				  .exit_signal = SIGCHLD,
				  .pidfd = (uint64_t)(uintptr_t)&pidfd,
				  .cgroup = (unsigned)cgroup};
	uv_poll_t *poll = calloc(1, sizeof(*poll));
	char resolv[PATH_LEN + 64] = "";
	char *pod_env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", resolv, NULL};
	sigset_t all, before;
	long pid;

	if (s->resolv_conf)
		snprintf(resolv, sizeof(resolv), "WEFT_RESOLV_CONF=%s", s->resolv_conf);
	else
		pod_env[1] = NULL;

	if (cgroup < 0 || !poll) {
		free(poll);
		return cgroup < 0 ? -errno : -ENOMEM;
	}
	/* Until it has handlers of its own a signal for the child would come to the handlers of this process,
	 * whose pipe to the loop it shares: what was to end the child would end the sandbox. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (!pid)
		become(s, s->env ? s->env : s->unprivileged ? pod_env : environ);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0) {
		free(poll);
		return -errno;
	}
	c->pid = (pid_t)pid;
	c->pidfd = pidfd;
	c->poll = poll;
	poll->data = c;
	uv_poll_init(loop, poll, pidfd);
	uv_poll_start(poll, UV_READABLE, child_poll);
	return 0;
}

void child_signal(struct child *c, int sig)
{
	if (c->pid)
		syscall(SYS_pidfd_send_signal, c->pidfd, sig, NULL, 0);
}

static void poll_closed(uv_handle_t *h)
{
	free(h);
}

void child_forget(struct child *c)
{
	if (!c->pid)
		return;
	if (!waitpid(c->pid, NULL, WNOHANG) && strays_len < STRAYS_MAX)
		strays[strays_len++] = c->pid;
	uv_poll_stop(c->poll);
	uv_close((uv_handle_t *)c->poll, poll_closed);
	c->poll = NULL;
	close(c->pidfd);
	c->pidfd = -1;
	c->pid = 0;
}
