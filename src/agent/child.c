/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a program with exactly its privileges and descriptors 0 to 3, and how long to wait before the next
 * try. */
#include "agent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/fdpass.h"
#include "agent/privilege.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"

enum { STEADY_MS = 5000, BACKOFF_FIRST_MS = 20, BACKOFF_MAX_MS = 5000 };

static void become(const struct child *c, int program, int control, char **argv)
{
	sigset_t none;
	int err;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (control == CONTROL_FD)
		fcntl(control, F_SETFD, 0);
	else if (dup2(control, CONTROL_FD) < 0)
		_exit(126);
	if (c->cwd && chdir(c->cwd)) {
		log_error("%s: cannot enter %s: %s", c->program, c->cwd, strerror(errno));
		_exit(126);
	}
	err = privilege_drop(c->capabilities);
	if (err) {
		log_error("%s: cannot drop privileges: %s", c->program, strerror(-err));
		_exit(126);
	}
	fexecve(program, argv, environ);
	log_error("%s cannot be executed: %s", c->program, strerror(errno));
	_exit(127);
}

/* In the folder given, or beside weft-agent itself (a build tree has the agent's programs together, and
 * weft-copier in the folder of its room). */
static int open_program(const char *libexec, const char *name)
{
	char path[512], self[384];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", libexec, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && (n = readlink("/proc/self/exe", self, sizeof(self) - 1)) > 0) {
		self[n] = '\0';
		*strrchr(self, '/') = '\0';
		snprintf(path, sizeof(path), "%s/%s", self, name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 && !strncmp(name, "weft-", 5)) {
			snprintf(path, sizeof(path), "%s/../%s/%s", self, name + 5, name);
			fd = open(path, O_RDONLY | O_CLOEXEC);
		}
	}
	return fd;
}

int child_begin(struct child *c, const char *libexec, char **argv)
{
	AUTO_FD int program = -1, theirs = -1;
	int pair[2];

	c->started = clock_ms();
	c->next = UINT64_MAX;
	program = open_program(libexec, c->program);
	/* Below 4 a descriptor would be overwritten on the way. */
	if (program >= 0 && program <= CONTROL_FD) {
		int high = fcntl(program, F_DUPFD_CLOEXEC, CONTROL_FD + 1);

		close(program);
		program = high;
	}
	if (program < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		int err = -errno;

		log_error("%s cannot be started: %s", c->program, strerror(-err));
		c->next = clock_ms() + BACKOFF_MAX_MS;
		return err;
	}
	theirs = pair[1];
	argv[0] = (char *)(uintptr_t)c->program;
	c->pid = fork();
	if (!c->pid)
		become(c, program, theirs, argv);
	if (c->pid < 0) {
		int err = -errno;

		c->pid = 0;
		close(pair[0]);
		c->next = clock_ms() + BACKOFF_MAX_MS;
		return err;
	}
	c->control = pair[0];
	return 0;
}

void child_ended(struct child *c, int status)
{
	uint64_t now = clock_ms(), wait = 0;

	if (now - c->started > STEADY_MS)
		c->quick = 0;
	if (c->quick) {
		wait = (uint64_t)BACKOFF_FIRST_MS << (c->quick < 9 ? c->quick : 9);
		wait = wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS;
	}
	c->quick++;
	c->next = now + wait;
	c->pid = 0;
	own_fd(&c->control);
	if (WIFSIGNALED(status))
		log_warn("%s ended by signal %d; again in %llu ms", c->program, WTERMSIG(status),
			 (unsigned long long)wait);
	else
		log_warn("%s ended with status %d; again in %llu ms", c->program, WEXITSTATUS(status),
			 (unsigned long long)wait);
}
