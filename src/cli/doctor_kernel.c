/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes of the kernel and of this process's rights: capabilities, BTF, the bpf() system call, file systems.
 * Each tries the thing itself, since a version number says little inside a container. Called by doctor.c.
 */
#include "base/own.h"
#include "cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>

enum { CAP_NET_ADMIN_BIT = 12, CAP_SYS_ADMIN_BIT = 21, CAP_PERFMON_BIT = 38, CAP_BPF_BIT = 39 };

static uint64_t effective_capabilities(void)
{
	unsigned long long caps = 0;
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	if (f)
		fclose(f);
	return caps;
}

enum finding doctor_privileges(struct buf *found)
{
	static const struct {
		int bit;
		const char *name;
	} needed[] = {{CAP_SYS_ADMIN_BIT, "CAP_SYS_ADMIN"},
		      {CAP_NET_ADMIN_BIT, "CAP_NET_ADMIN"},
		      {CAP_BPF_BIT, "CAP_BPF"},
		      {CAP_PERFMON_BIT, "CAP_PERFMON"}};
	uint64_t caps = effective_capabilities();
	bool all = true;

	buf_printf(found, "user id %u", (unsigned)geteuid());
	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		if (caps >> needed[i].bit & 1)
			continue;
		buf_printf(found, "%s %s", all ? ", without" : "", needed[i].name);
		all = false;
	}
	return all && !geteuid() ? FOUND_OK : FOUND_MISSING;
}

enum finding doctor_kernel(struct buf *found)
{
	struct utsname u;
	int major = 0, minor = 0;

	if (uname(&u))
		return FOUND_UNKNOWN;
	buf_printf(found, "Linux %s", u.release);
	if (sscanf(u.release, "%d.%d", &major, &minor) != 2)
		return FOUND_UNKNOWN;
	return major > 6 || (major == 6 && minor >= 1) ? FOUND_OK : FOUND_MISSING;
}

enum finding doctor_btf(struct buf *found)
{
	static const char path[] = "/sys/kernel/btf/vmlinux";
	bool there = !access(path, R_OK);

	buf_printf(found, there ? "%s" : "no %s", path);
	return there ? FOUND_OK : FOUND_MISSING;
}

static int bpf_call(int cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static enum finding tell_errno(struct buf *found, const char *what)
{
	int e = errno;

	buf_printf(found, "%s: %s", what, strerror(e));
	return (e == EPERM || e == EACCES) && geteuid() ? FOUND_UNKNOWN : FOUND_MISSING;
}

enum finding doctor_bpf_map(struct buf *found)
{
	union bpf_attr attr = {
	    .map_type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 4, .max_entries = 1};
	AUTO_FD int fd = bpf_call(BPF_MAP_CREATE, &attr);

	if (fd < 0)
		return tell_errno(found, "making a BPF map");
	buf_addz(found, "a BPF map can be made");
	return FOUND_OK;
}

/* Loads the smallest program of a type: r0 = 1; exit. */
static enum finding load_program(struct buf *found, enum bpf_prog_type type, enum bpf_attach_type attach,
				 const char *what)
{
	const struct bpf_insn code[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1},
					{.code = BPF_JMP | BPF_EXIT}};
	union bpf_attr attr = {.prog_type = type,
			       .expected_attach_type = attach,
			       .insn_cnt = ARRAY_LEN(code),
			       .insns = (uintptr_t)code,
			       .license = (uintptr_t) "Dual BSD/GPL"};
	AUTO_FD int fd = bpf_call(BPF_PROG_LOAD, &attr);

	if (fd < 0)
		return tell_errno(found, what);
	buf_addz(found, "a program can be loaded");
	return FOUND_OK;
}

enum finding doctor_bpf_tc(struct buf *found)
{
	return load_program(found, BPF_PROG_TYPE_SCHED_CLS, 0, "loading a tc program");
}

enum finding doctor_bpf_cgroup(struct buf *found)
{
	return load_program(found, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT,
			    "loading a cgroup program");
}

/* A program at the tracepoint that tells why the kernel drops a packet; it runs for a moment. */
enum finding doctor_kernel_drops(struct buf *found)
{
	const struct bpf_insn code[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
					{.code = BPF_JMP | BPF_EXIT}};
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT,
			       .insn_cnt = ARRAY_LEN(code),
			       .insns = (uintptr_t)code,
			       .license = (uintptr_t) "Dual BSD/GPL"};
	AUTO_FD int prog = bpf_call(BPF_PROG_LOAD, &attr);
	AUTO_FD int link = -1;

	if (prog < 0)
		return tell_errno(found, "loading a program for a tracepoint");
	attr =
	    (union bpf_attr){.raw_tracepoint = {.name = (uintptr_t) "kfree_skb", .prog_fd = (uint32_t)prog}};
	link = bpf_call(BPF_RAW_TRACEPOINT_OPEN, &attr);
	if (link < 0)
		return tell_errno(found, "tracepoint kfree_skb");
	buf_addz(found, "tracepoint kfree_skb can be watched");
	return FOUND_OK;
}

/* The child mounts over /tmp in a mount namespace of its own; its exit status is the errno. */
enum finding doctor_bpffs(struct buf *found)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return tell_errno(found, "fork");
	if (!pid) {
		if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("none", "/tmp", "bpf", 0, NULL))
			_exit(errno & 0x7f);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		buf_addz(found, "can be mounted");
		return FOUND_OK;
	}
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return tell_errno(found, "mounting it");
}

enum finding doctor_cgroup2(struct buf *found)
{
	static const char *const roots[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
	struct statfs fs;

	for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
		AUTO_BUF probe = {0};
		if (statfs(roots[i], &fs) || (unsigned long)fs.f_type != CGROUP2_SUPER_MAGIC)
			continue;
		buf_printf(&probe, "%s/weft-doctor.%d", roots[i], (int)getpid());
		if (probe.failed || mkdir(probe.p, 0700))
			return tell_errno(found, roots[i]);
		rmdir(probe.p);
		buf_addz(found, roots[i]);
		return FOUND_OK;
	}
	buf_addz(found, "not mounted at /sys/fs/cgroup or /sys/fs/cgroup/unified");
	return FOUND_MISSING;
}

enum finding doctor_proc_sys(struct buf *found)
{
	static const char path[] = "/proc/sys/net/ipv4/ip_forward";
	AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0) {
		buf_printf(found, "%s: %s", path, strerror(errno));
		return errno == EACCES && geteuid() ? FOUND_UNKNOWN : FOUND_MISSING;
	}
	buf_addz(found, "writable");
	return FOUND_OK;
}

enum finding doctor_memlock(struct buf *found)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_MEMLOCK, &r))
		return FOUND_UNKNOWN;
	if (r.rlim_cur == RLIM_INFINITY)
		buf_addz(found, "unlimited");
	else
		buf_printf(found, "%llu kB; kernels since 5.11 charge BPF maps to the cgroup",
			   (unsigned long long)r.rlim_cur / 1024);
	return FOUND_OK;
}
