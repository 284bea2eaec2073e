/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users: a program's root and all its other uids are uids of their own on the machine, which own nothing
 * there. See box.h. Called by main.c and inside.c.
 */
#include "box/box.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROCESSES_MAX = 4096 };

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	int err = errno;

	if (fd >= 0)
		close(fd);
	errno = err;
	return ok;
}

int user_namespace(unsigned base)
{
	int made[2], end[2], fd = -1;
	char path[64], map[64], byte;
	pid_t p;

	if (pipe2(made, O_CLOEXEC) || pipe2(end, O_CLOEXEC))
		box_fail("pipe: %s", strerror(errno));
	p = fork();
	if (!p) {
		close(end[1]);
		if (unshare(CLONE_NEWUSER) || write(made[1], "+", 1) != 1)
			_exit(1);
		_exit(read(end[0], &byte, 1) < 0);
	}
	close(made[1]);
	close(end[0]);
	if (p < 0 || read(made[0], &byte, 1) != 1)
		box_fail("this machine lets nobody make a user namespace, which programs need: see "
			 "user.max_user_namespaces of sysctl(8)");
	snprintf(map, sizeof(map), "0 %u %u\n", base, (unsigned)BOX_UIDS);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", p);
	if (!write_file(path, map))
		box_fail("%s: %s", path, strerror(errno));
	snprintf(path, sizeof(path), "/proc/%d/gid_map", p);
	if (!write_file(path, map))
		box_fail("%s: %s", path, strerror(errno));
	snprintf(path, sizeof(path), "/proc/%d/ns/user", p);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		box_fail("%s: %s", path, strerror(errno));
	close(made[0]);
	close(end[1]);
	waitpid(p, NULL, 0);
	return fd;
}

/* What container runtimes leave a root, less what would need a network of its own. */
static const int kept[] = {CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FSETID,	       CAP_FOWNER,     CAP_SETGID,
			   CAP_SETUID, CAP_SETPCAP,	 CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT, CAP_KILL};

static void keep_caps(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	for (int cap = 0; cap < 64; cap++) {
		bool keep = false;

		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
			keep |= kept[i] == cap;
		if (!keep)
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
		else
			data[cap / 32].effective = data[cap / 32].permitted |= 1u << (cap % 32);
	}
	if (syscall(SYS_capset, &head, data))
		box_fail("capabilities: %s", strerror(errno));
}

void user_enter(const struct box *b)
{
	const struct rlimit processes = {PROCESSES_MAX, PROCESSES_MAX}, core = {0, 0};

	setrlimit(RLIMIT_CORE, &core);
	if (setns(b->users, CLONE_NEWUSER))
		box_fail("user namespace: %s", strerror(errno));
	if (syscall(SYS_setgroups, 0, NULL) || syscall(SYS_setresgid, 0, 0, 0) ||
	    syscall(SYS_setresuid, 0, 0, 0))
		box_fail("becoming root of the container: %s", strerror(errno));
	setrlimit(RLIMIT_NPROC, &processes);
	/* No namespace in the namespace: their rights are what most holes of kernels need. */
	write_file("/proc/sys/user/max_user_namespaces", "0");
	keep_caps();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		box_fail("no new privileges: %s", strerror(errno));
	prctl(PR_SET_DUMPABLE, 0);
}

void user_become(const struct box *b)
{
	const json_t *list = json_object_get(b->spec, "groups"), *o;
	gid_t groups[64];
	size_t i, n = 0;
	gid_t gid = (gid_t)json_integer_value(json_object_get(b->spec, "gid"));
	uid_t uid = (uid_t)json_integer_value(json_object_get(b->spec, "uid"));

	json_array_foreach (list, i, o)
		if (n < sizeof(groups) / sizeof(groups[0]))
			groups[n++] = (gid_t)json_integer_value(o);
	if (syscall(SYS_setgroups, n, groups) || syscall(SYS_setresgid, gid, gid, gid) ||
	    syscall(SYS_setresuid, uid, uid, uid))
		box_fail("becoming uid %u: %s", uid, strerror(errno));
}
