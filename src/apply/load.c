/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads the BPF object, over pinned BPF maps where there are some, pins what is new, and attaches the socket
 * programs to the cgroup. Holds no rows and no links of interfaces. The object is closed again at once;
 * descriptors remain.
 */
#include "apply/load.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/own.h"
/* Generated text that mixes int and size_t. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "weft.skel.h"
#pragma GCC diagnostic pop

static void own_object(struct bpf_object **o)
{
	if (*o)
		bpf_object__close(*o);
}

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

static void pin_path(const struct kernel *k, const char *what, const char *name, char out[320])
{
	snprintf(out, 320, "%s/%s%s", k->dir, what, name);
}

static int say(struct buf *why, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int say(struct buf *why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(why, fmt, ap);
	va_end(ap);
	buf_printf(why, ": %s", strerror(-err));
	return err;
}

static bool same_shape(const struct bpf_map_info *i, const struct map_desc *d)
{
	return i->type == d->type && i->key_size == d->key_size && i->value_size == d->value_size;
}

/* Takes a pinned BPF map over, or gives the new one its size. */
static int prepare_map(struct kernel *k, struct bpf_map *map, enum plan_map m, const struct kernel_options *o,
		       struct buf *why)
{
	const struct map_desc *d = &map_table[m];
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	char path[320];
	int err;

	pin_path(k, "", d->name, path);
	k->map[m] = bpf_obj_get(path);
	if (k->map[m] < 0) {
		k->fresh = k->fresh || m == 0;
		k->entries[m] = d->rings		      ? k->rings
				: o->entries && o->entries[m] ? o->entries[m]
							      : d->entries;
		err = bpf_map__set_max_entries(map, k->entries[m]);
		return err ? say(why, err, "BPF map %s: cannot set %u entries", d->name, k->entries[m]) : 0;
	}
	err = bpf_obj_get_info_by_fd(k->map[m], &info, &len) ? -errno : 0;
	if (!err && !same_shape(&info, d))
		err = -EINVAL;
	if (!err)
		err = bpf_map__reuse_fd(map, k->map[m]);
	k->entries[m] = info.max_entries;
	return err ? say(why, err, "BPF map %s cannot be taken over; remove the pins below %s", path, k->dir)
		   : 0;
}

/* The ring of each CPU, put into the array of rings. */
static int prepare_rings(struct kernel *k, struct buf *why)
{
	const struct map_desc *d = &map_table[PLAN_MAP_events];

	for (unsigned cpu = 0; cpu < k->rings; cpu++) {
		char name[32], path[320];

		snprintf(name, sizeof(name), "%s_%u", d->name, cpu);
		pin_path(k, "", name, path);
		k->ring[cpu] = bpf_obj_get(path);
		if (k->ring[cpu] < 0) {
			k->ring[cpu] = bpf_map_create(BPF_MAP_TYPE_RINGBUF, name, 0, 0, d->entries, NULL);
			if (k->ring[cpu] < 0)
				return say(why, -errno, "event ring of CPU %u cannot be made", cpu);
			if (bpf_obj_pin(k->ring[cpu], path))
				return say(why, -errno, "%s cannot be pinned", path);
		}
		if (bpf_map_update_elem(k->map[PLAN_MAP_events], &cpu, &k->ring[cpu], BPF_ANY))
			return say(why, -errno, "event ring of CPU %u cannot be set", cpu);
	}
	return 0;
}

static int keep_maps(struct kernel *k, struct bpf_object *obj, struct buf *why)
{
	for (unsigned m = 0; m < PLAN_MAP_COUNT; m++) {
		struct bpf_map *map = bpf_object__find_map_by_name(obj, map_table[m].name);
		char path[320];

		if (k->map[m] >= 0)
			continue;
		k->map[m] = fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 3);
		if (k->map[m] < 0)
			return say(why, -errno, "BPF map %s has no descriptor", map_table[m].name);
		pin_path(k, "", map_table[m].name, path);
		if (bpf_obj_pin(k->map[m], path))
			return say(why, -errno, "%s cannot be pinned; is it on a bpffs that we may write?",
				   path);
	}
	return prepare_rings(k, why);
}

/* Programs are pinned under the hash of the object that they came from: the same build takes them over as
 * they are, which spares the kernel the verification, most of the time of a start. */
static void program_pin(const struct kernel *k, enum program p, char out[320])
{
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "prog_%016llx_", (unsigned long long)k->object_hash);
	pin_path(k, prefix, program_table[p].name, out);
}

static int keep_programs(struct kernel *k, struct bpf_object *obj, struct buf *why)
{
	for (unsigned p = 0; p < PROG_COUNT; p++) {
		struct bpf_program *prog = bpf_object__find_program_by_name(obj, program_table[p].name);
		char path[320];

		if (!prog)
			return say(why, -ENOENT, "program %s is not in the BPF object",
				   program_table[p].name);
		k->program[p] = fcntl(bpf_program__fd(prog), F_DUPFD_CLOEXEC, 3);
		if (k->program[p] < 0)
			return say(why, -errno, "program %s has no descriptor", program_table[p].name);
		program_pin(k, p, path);
		if (bpf_obj_pin(k->program[p], path) && errno != EEXIST)
			return say(why, -errno, "%s cannot be pinned", path);
	}
	return 0;
}

/* Pins of programs: of other builds, or all. */
static void unpin_programs(const struct kernel *k, bool all)
{
	char own[32], path[sizeof(k->dir) + 260];
	DIR *dir = opendir(k->dir);
	const struct dirent *e;

	snprintf(own, sizeof(own), "prog_%016llx_", (unsigned long long)k->object_hash);
	while (dir && (e = readdir(dir))) {
		if (strncmp(e->d_name, "prog_", 5) || (!all && !strncmp(e->d_name, own, strlen(own))))
			continue;
		snprintf(path, sizeof(path), "%s/%s", k->dir, e->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
}

static bool take_pinned(struct kernel *k, enum plan_map m)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	char path[320];

	pin_path(k, "", map_table[m].name, path);
	k->map[m] = bpf_obj_get(path);
	if (k->map[m] < 0 || bpf_obj_get_info_by_fd(k->map[m], &info, &len) ||
	    !same_shape(&info, &map_table[m]))
		return false;
	k->entries[m] = info.max_entries;
	return true;
}

/* True when everything of this very build is pinned; nothing is loaded then. */
static bool take_all_pinned(struct kernel *k)
{
	char path[320];
	bool all = true;

	for (unsigned m = 0; m < PLAN_MAP_COUNT && all; m++)
		all = take_pinned(k, m);
	for (unsigned p = 0; p < PROG_COUNT && all; p++) {
		program_pin(k, p, path);
		k->program[p] = bpf_obj_get(path);
		all = k->program[p] >= 0;
	}
	if (all)
		return true;
	for (unsigned m = 0; m < PLAN_MAP_COUNT; m++)
		own_fd(&k->map[m]);
	for (unsigned p = 0; p < PROG_COUNT; p++)
		own_fd(&k->program[p]);
	return false;
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
		return say(why, -errno, "program %s cannot be attached to the cgroup", program_table[p].name);
	if (bpf_obj_pin(k->link[p], path))
		return say(why, -errno, "%s cannot be pinned", path);
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
		return say(why, -errno, "cgroup %s cannot be opened", cgroup);
	for (unsigned p = PROG_CGROUP_FIRST; p < PROG_COUNT && !err; p++)
		err = attach_cgroup(k, p, fd, why);
	return err;
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

static int load(struct kernel *k, const void *elf, size_t size, const struct kernel_options *o,
		struct buf *why)
{
	AUTO(own_object) struct bpf_object *obj = bpf_object__open_mem(elf, size, NULL);
	int err;

	if (!obj)
		return say(why, -errno, "the BPF object cannot be read");
	for (unsigned m = 0; m < PLAN_MAP_COUNT; m++) {
		struct bpf_map *map = bpf_object__find_map_by_name(obj, map_table[m].name);

		if (!map)
			return say(why, -ENOENT, "BPF map %s is not in the BPF object", map_table[m].name);
		err = prepare_map(k, map, m, o, why);
		if (err)
			return err;
	}
	err = bpf_object__load(obj);
	if (err)
		return say(why, err,
			   "the kernel refuses the programs (needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON)");
	err = keep_maps(k, obj, why);
	if (!err)
		err = keep_programs(k, obj, why);
	if (!err)
		unpin_programs(k, false);
	return err;
}

int kernel_open(struct kernel *k, const struct kernel_options *o, struct buf *why)
{
	int cpus, err = 0;
	size_t size;
	const void *elf = weft__elf_bytes(&size);

	kernel_init(k);
	libbpf_set_print(quiet);
	cpus = libbpf_num_possible_cpus();
	if (cpus < 1 || cpus > RINGS_MAX)
		return say(why, -ERANGE, "%d CPUs; up to %d are supported", cpus, RINGS_MAX);
	k->rings = (unsigned)cpus;
	k->object_hash = hash_bytes(elf, size, 0);
	snprintf(k->dir, sizeof(k->dir), "%s/%016llx", o->bpf_dir, (unsigned long long)map_layout());
	if ((mkdir(o->bpf_dir, 0700) && errno != EEXIST) || (mkdir(k->dir, 0700) && errno != EEXIST))
		return say(why, -errno, "%s cannot be made", k->dir);
	if (!take_all_pinned(k))
		err = load(k, elf, size, o, why);
	if (!err)
		err = prepare_rings(k, why);
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

	for (unsigned p = PROG_CGROUP_FIRST; p < PROG_COUNT; p++) {
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
	unpin_programs(k, true);
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
