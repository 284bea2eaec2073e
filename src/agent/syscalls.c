/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of what is allowed. Both programs: memory, time, their loop, and reading and writing the sockets that
 * they were given. No open for writing, no exec; the planner listens, but connects to nobody, and cannot
 * say bpf().
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <sys/socket.h>

#include "agent/syscalls.h"
#include "base/own.h"

static const char *const allowed[] = {
    "accept4",	     "brk",
    "clock_gettime", "clock_nanosleep",
    "close",	     "epoll_ctl",
    "epoll_pwait",   "epoll_wait",
    "exit",	     "exit_group",
    "fcntl",	     "fstat",
    "futex",	     "getpeername",
    "getpid",	     "getrandom",
    "getsockname",   "getsockopt",
    "gettid",	     "gettimeofday",
    "ioctl",	     "lseek",
    "madvise",	     "mmap",
    "mprotect",	     "mremap",
    "munmap",	     "newfstatat",
    "nanosleep",     "poll",
    "ppoll",	     "read",
    "readv",	     "recvfrom",
    "recvmsg",	     "restart_syscall",
    "rt_sigaction",  "rt_sigprocmask",
    "rt_sigreturn",  "sched_yield",
    "sendmsg",	     "sendto",
    "setsockopt",    "shutdown",
    "tgkill",	     "uname",
    "write",	     "writev",
    "epoll_create1", "eventfd2",
    "pipe2",	     "dup",
    "getuid",	     "geteuid",
    "sysinfo",	     "set_robust_list",
    "rseq",	     "clock_getres",
};

static const char *const observer_too[] = {"socket", "bpf", "bind", "epoll_create1", "prlimit64"};
/* Only to listen: connect() with an address of the internet stays closed to it. Memory with a descriptor
 * hands large messages over. */
static const char *const planner_too[] = {"bind", "listen", "memfd_create"};

static int allow(scmp_filter_ctx ctx, const char *const *names, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);

		if (nr != __NR_SCMP_ERROR)
			err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	return err;
}

static int install(int observer)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err;

	if (!ctx)
		return -ENOMEM;
	err = allow(ctx, allowed, ARRAY_LEN(allowed));
	if (!err && observer)
		err = allow(ctx, observer_too, ARRAY_LEN(observer_too));
	if (!err && !observer)
		err = allow(ctx, planner_too, ARRAY_LEN(planner_too));
	if (!err && !observer)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				       SCMP_A0(SCMP_CMP_EQ, AF_INET6));
	/* Sockets to the hub come connected. libcurl 7.88 connects them again all the same, and takes "in
	 * progress" for what it is: a socket that will be writable. Addresses of Unix sockets are longer than
	 * those of the internet. */
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EINPROGRESS), SCMP_SYS(connect), 1,
				       SCMP_A2(SCMP_CMP_GT, sizeof(struct sockaddr_in6)));
	if (!err && observer)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(connect), 1,
				       SCMP_A2(SCMP_CMP_LE, sizeof(struct sockaddr_in6)));
	/* Files only for reading (time zones, the allocator's look at the machine). */
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

int seccomp_planner(void)
{
	return install(0);
}

int seccomp_observer(void)
{
	return install(1);
}
