/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this build has in the kernel: BPF maps (pin.c), programs (programs.c), and here the links of the
 * socket programs to the cgroup, and the end of all of it. Holds no rows and no links of interfaces.
 */
#include "apply/pin.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char text[512];

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	log_warn("%s", text);
	return 0;
}

/* A pinned link gets the new program; a husk (its cgroup is gone) is replaced by a new link. */
static int attach_cgroup(struct kernel *k, enum program p, int cgroup_fd, struct buf *why)
{
	char path[320];

	pin_path(k, "link_", program_table[p].name, path);
	k->link[p] = bpf_obj_get(path);
	if (k->link[p] >= 0) {
		if (!bpf_link_update(k->link[p], k->program[p], NULL))
			return 0;
		own_fd(&k->link[p]);
		unlink(path);
	}
	k->link[p] = bpf_link_create(k->program[p], cgroup_fd, program_table[p].attach, NULL);
	if (k->link[p] < 0)
		return pin_say(why, -errno, "program %s cannot be attached to the cgroup",
			       program_table[p].name);
	if (bpf_obj_pin(k->link[p], path))
		return pin_say(why, -errno, "%s cannot be pinned", path);
	return 0;
}

static int attach_cgroups(struct kernel *k, const char *cgroup, struct buf *why)
{
	AUTO_FD int fd = -1;
	int err = 0;

	if (!cgroup)
		return 0;
	fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return pin_say(why, -errno, "cgroup %s cannot be opened", cgroup);
	for (unsigned p = PROG_CGROUP_FIRST; p < PROG_COUNT && !err; p++)
		err = attach_cgroup(k, p, fd, why);
	return err;
}

static bool is_link_of(int link, int program)
{
	struct bpf_link_info l = {0};
	struct bpf_prog_info p = {0};
	uint32_t nl = sizeof(l), np = sizeof(p);

	return !bpf_obj_get_info_by_fd(link, &l, &nl) && !bpf_obj_get_info_by_fd(program, &p, &np) &&
	       l.prog_id == p.id;
}

/* A link of a tracepoint cannot be given another program: the old one goes first, so that no drop is counted
 * twice. */
static int attach_trace(struct kernel *k, enum program p, const char *path)
{
	int fd = bpf_obj_get(path);

	if (fd >= 0 && is_link_of(fd, k->program[p])) {
		k->link[p] = fd;
		return 0;
	}
	own_fd(&fd);
	unlink(path);
	fd = bpf_raw_tracepoint_open("kfree_skb", k->program[p]);
	if (fd < 0)
		return -errno;
	if (bpf_obj_pin(fd, path)) {
		int err = -errno;

		close(fd);
		return err;
	}
	k->link[p] = fd;
	return 0;
}

/* Where the kernel tells whose socket a packet was for, the program that asks for it. Without either Weft
 * works, and what the kernel drops is unknown. */
static void watch_drops(struct kernel *k)
{
	uint32_t zero = 0, watching;
	char path[320];
	int err;

	pin_path(k, "link_", program_table[PROG_KERNEL_DROP].name, path);
	err = attach_trace(k, PROG_KERNEL_DROP_OF, path);
	if (err)
		err = attach_trace(k, PROG_KERNEL_DROP, path);
	if (err)
		log_warn("what the kernel's stack drops is unknown: tracepoint kfree_skb: %s",
			 strerror(-err));
	watching = !err;
	if (bpf_map_update_elem(k->map[PLAN_MAP_watching], &zero, &watching, BPF_ANY))
		log_warn("BPF map watching cannot be written: %s", strerror(errno));
}

void kernel_init(struct kernel *k)
{
	*k = (struct kernel){0};
	for (unsigned i = 0; i < PLAN_MAP_COUNT; i++)
		k->map[i] = -1;
	for (unsigned i = 0; i < PROG_COUNT; i++)
		k->program[i] = k->link[i] = -1;
	for (unsigned i = 0; i < RINGS_MAX; i++)
		k->ring[i] = -1;
}

struct ringing {
	const struct kernel *k;
	struct buf why;
	int err;
};

static void *set_rings(void *ctx)
{
	struct ringing *r = ctx;

	r->err = pin_rings(r->k, &r->why);
	return NULL;
}

/* The kernel waits for its readers when the rings are set; the programs are verified meanwhile. */
static int open_programs(struct kernel *k, struct buf *why)
{
	struct ringing r = {.k = k};
	pthread_t thread;
	bool begun = !pthread_create(&thread, NULL, set_rings, &r);
	int err = programs_open(k, why);

	if (begun)
		pthread_join(thread, NULL);
	else
		set_rings(&r);
	if (!err && r.err)
		buf_adds(why, buf_str(&r.why));
	buf_fini(&r.why);
	return err ? err : r.err;
}

int kernel_open(struct kernel *k, const struct kernel_options *o, struct buf *why)
{
	int cpus, err;

	kernel_init(k);
	libbpf_set_print(quiet);
	cpus = libbpf_num_possible_cpus();
	if (cpus < 1 || cpus > RINGS_MAX)
		return pin_say(why, -ERANGE, "%d CPUs; up to %d are supported", cpus, RINGS_MAX);
	k->rings = (unsigned)cpus;
	snprintf(k->dir, sizeof(k->dir), "%s/%016llx", o->bpf_dir, (unsigned long long)map_layout());
	if ((mkdir(o->bpf_dir, 0700) && errno != EEXIST) || (mkdir(k->dir, 0700) && errno != EEXIST))
		return pin_say(why, -errno, "%s cannot be made", k->dir);
	err = pin_open(k, o, why);
	if (!err)
		err = open_programs(k, why);
	/* Programs that use a BPF map which is no longer pinned must not be found by the next start. */
	if (!err && k->remade)
		programs_unpin(k, true);
	if (!err)
		err = pin_keep(k, why);
	if (!err)
		err = programs_keep(k, why);
	if (!err)
		watch_drops(k);
	return err ? err : attach_cgroups(k, o->cgroup, why);
}

void kernel_close(struct kernel *k)
{
	for (unsigned i = 0; i < PLAN_MAP_COUNT; i++) {
		own_fd(&k->map[i]);
		hash_fini(&k->keys[i]);
	}
	for (unsigned i = 0; i < PROG_COUNT; i++) {
		own_fd(&k->program[i]);
		own_fd(&k->link[i]);
	}
	for (unsigned i = 0; i < RINGS_MAX; i++)
		own_fd(&k->ring[i]);
}

void kernel_unpin(const struct kernel *k)
{
	char path[320], name[32];

	for (unsigned p = PROG_KERNEL_DROP; p < PROG_COUNT; p++) {
		pin_path(k, "link_", program_table[p].name, path);
		unlink(path);
	}
	for (unsigned m = 0; m < PLAN_MAP_COUNT; m++) {
		pin_path(k, "", map_table[m].name, path);
		unlink(path);
	}
	for (unsigned cpu = 0; cpu < k->rings; cpu++) {
		snprintf(name, sizeof(name), "%s_%u", map_table[PLAN_MAP_events].name, cpu);
		pin_path(k, "", name, path);
		unlink(path);
	}
	programs_unpin(k, true);
	rmdir(k->dir);
}

int kernel_map_readonly(const struct kernel *k, enum plan_map m)
{
	union bpf_attr attr = {0};
	char path[320];
	int fd;

	pin_path(k, "", map_table[m].name, path);
	attr.pathname = (uint64_t)(uintptr_t)path;
	attr.file_flags = BPF_F_RDONLY;
	fd = (int)syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr));
	return fd < 0 ? -errno : fd;
}

void kernel_faults(const struct kernel *k, struct buf *out)
{
	for (unsigned p = PROG_CGROUP_FIRST; p < PROG_COUNT; p++) {
		struct bpf_link_info info = {0};
		uint32_t len = sizeof(info);
		char path[320];

		if (k->link[p] < 0)
			continue;
		pin_path(k, "link_", program_table[p].name, path);
		if (access(path, F_OK))
			buf_printf(out, "pin %s is missing\n", path);
		if (bpf_obj_get_info_by_fd(k->link[p], &info, &len) || !info.cgroup.cgroup_id)
			buf_printf(out, "program %s is not attached: its cgroup is gone\n",
				   program_table[p].name);
	}
}
