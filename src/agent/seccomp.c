/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the planner may still ask of the kernel once it runs: memory, time, its loop, and reading and writing
 * the sockets that it was given. No socket(), no open for writing, no exec, no bpf. Anything else fails with
 * EPERM.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>

#include "agent/planner.h"
#include "base/log.h"
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

int seccomp_planner(void)
{
	scmp_filter_ctx ctx;
	int err = 0;

	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(allowed) && !err; i++) {
		int nr = seccomp_syscall_resolve_name(allowed[i]);

		if (nr != __NR_SCMP_ERROR)
			err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	/* Sockets to the hub come connected. libcurl 7.88 connects them again all the same, and takes "in progress" for
	 * what it is: a socket that will be writable. */
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EINPROGRESS), SCMP_SYS(connect), 0);
	/* Files only for reading (time zones, the allocator's look at the machine). */
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}
