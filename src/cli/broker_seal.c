/* SPDX-License-Identifier: Apache-2.0 */
/* What is left to a process that parses what strangers sent: memory, and the files and sockets that are open.
 */
#include <errno.h>
#include <seccomp.h>

#include "base/own.h"
#include "cli/broker.h"

int broker_seal(void)
{
	static const char *const allowed[] = {
	    "brk",	   "clock_gettime",   "close",		"exit",
	    "exit_group",  "fcntl",	      "fstat",		"fsync",
	    "ftruncate",   "futex",	      "getpid",		"getrandom",
	    "gettid",	   "ioctl",	      "lseek",		"madvise",
	    "mmap",	   "mprotect",	      "mremap",		"munmap",
	    "newfstatat",  "pwrite64",	      "read",		"readv",
	    "poll",	   "recvfrom",	      "recvmsg",	"sendmsg",
	    "sendto",	   "rt_sigaction",    "rt_sigprocmask", "rt_sigreturn",
	    "sched_yield", "sigaltstack",     "tgkill",		"write",
	    "writev",	   "restart_syscall", "gettimeofday"};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < ARRAY_LEN(allowed); i++) {
		int nr = seccomp_syscall_resolve_name(allowed[i]);

		if (nr != __NR_SCMP_ERROR)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	if (!r)
		r = seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	return r;
}
