/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into a program, it kills it by SIGKILL at its Nth call that leaves a trace outside: a write, a
 * sync, a message, a rename. For tests that ask whether every moment of a kill is a good one. Armed once the
 * file KILL_AT_FILE is there, whose text is N; KILL_AT_COMM names the process (its comm).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static long left = -1;

static void count(void)
{
	const char *path = getenv("KILL_AT_FILE"), *want = getenv("KILL_AT_COMM");
	char comm[16] = "", text[16] = "";

	if (!path || !want || prctl(PR_GET_NAME, comm) || strcmp(comm, want) != 0)
		return;
	if (left < 0) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return;
		if (read(fd, text, sizeof(text) - 1) > 0)
			left = atol(text);
		close(fd);
	}
	if (left > 0 && !--left)
		kill(getpid(), SIGKILL);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *p, size_t n)
{
	count();
	return REAL(write)(fd, p, n);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	count();
	return REAL(pwrite64)(fd, p, n, at);
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
	count();
	return REAL(send)(fd, p, n, flags);
}

int fsync(int fd)
{
	count();
	return REAL(fsync)(fd);
}

int fdatasync(int fd)
{
	count();
	return REAL(fdatasync)(fd);
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
	count();
	return REAL(renameat2)(a, from, b, to, flags);
}

int unlinkat(int dir, const char *path, int flags)
{
	count();
	return REAL(unlinkat)(dir, path, flags);
}
