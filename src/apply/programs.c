/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs: taken over where this very build is pinned, else verified by the kernel, which is most of the
 * time of a start: so in two threads, each with the object for itself and about half of the instructions.
 * Called by load.c.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "apply/pin.h"
#include "base/hash.h"
#include "base/own.h"
/* Generated text that mixes int and size_t. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "weft.skel.h"
#pragma GCC diagnostic pop

enum { LOADERS = 2 };

static void own_object(struct bpf_object **o)
{
	if (*o)
		bpf_object__close(*o);
}

/* Programs are pinned under the hash of the object that they came from. */
static void program_pin(const struct kernel *k, enum program p, char out[320])
{
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "prog_%016llx_", (unsigned long long)k->object_hash);
	pin_path(k, prefix, program_table[p].name, out);
}

static bool take_pinned(struct kernel *k)
{
	char path[320];
	bool all = true;

	for (unsigned p = 0; p < PROG_COUNT && all; p++) {
		program_pin(k, p, path);
		k->program[p] = bpf_obj_get(path);
		all = k->program[p] >= 0;
	}
	for (unsigned p = 0; p < PROG_COUNT && !all; p++)
		own_fd(&k->program[p]);
	return all;
}

struct loader {
	struct kernel *k;
	unsigned number;
	int err;
	struct buf why;
};

/* Each loader knows by itself which programs are whose: the next one goes to who has least. */
static unsigned share(size_t load[LOADERS], size_t instructions)
{
	unsigned least = 0;

	for (unsigned i = 1; i < LOADERS; i++)
		least = load[i] < load[least] ? i : least;
	load[least] += instructions;
	return least;
}

static int prepare(const struct loader *l, struct bpf_object *obj, struct buf *why)
{
	size_t load[LOADERS] = {0};

	for (unsigned m = 0; m < PLAN_MAP_COUNT; m++) {
		struct bpf_map *map = bpf_object__find_map_by_name(obj, map_table[m].name);
		int err = map ? bpf_map__reuse_fd(map, l->k->map[m]) : -ENOENT;

		if (err)
			return pin_say(why, err, "BPF map %s of the BPF object", map_table[m].name);
	}
	for (unsigned p = 0; p < PROG_COUNT; p++) {
		struct bpf_program *prog = bpf_object__find_program_by_name(obj, program_table[p].name);

		if (!prog)
			return pin_say(why, -ENOENT, "program %s is not in the BPF object",
				       program_table[p].name);
		bpf_program__set_autoload(prog, share(load, bpf_program__insn_cnt(prog)) == l->number);
	}
	return 0;
}

static void *load_share(void *ctx)
{
	struct loader *l = ctx;
	size_t size;
	const void *elf = weft__elf_bytes(&size);
	AUTO(own_object) struct bpf_object *obj = bpf_object__open_mem(elf, size, NULL);

	l->err = obj ? prepare(l, obj, &l->why) : pin_say(&l->why, -errno, "the BPF object cannot be read");
	if (l->err)
		return NULL;
	l->err = bpf_object__load(obj);
	if (l->err) {
		pin_say(&l->why, l->err,
			"the kernel refuses the programs (needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON)");
		return NULL;
	}
	for (unsigned p = 0; p < PROG_COUNT; p++) {
		const struct bpf_program *prog = bpf_object__find_program_by_name(obj, program_table[p].name);

		if (!bpf_program__autoload(prog))
			continue;
		l->k->program[p] = fcntl(bpf_program__fd(prog), F_DUPFD_CLOEXEC, 3);
		if (l->k->program[p] < 0)
			l->err =
			    pin_say(&l->why, -errno, "program %s has no descriptor", program_table[p].name);
	}
	return NULL;
}

static int load(struct kernel *k, struct buf *why)
{
	struct loader loaders[LOADERS] = {0};
	pthread_t thread[LOADERS];
	bool begun[LOADERS] = {0};
	int err = 0;

	for (unsigned i = LOADERS; i-- > 0;) {
		loaders[i] = (struct loader){.k = k, .number = i};
		begun[i] = i && !pthread_create(&thread[i], NULL, load_share, &loaders[i]);
		if (!begun[i])
			load_share(&loaders[i]);
	}
	for (unsigned i = 0; i < LOADERS; i++) {
		if (begun[i])
			pthread_join(thread[i], NULL);
		if (loaders[i].err && !err) {
			err = loaders[i].err;
			buf_adds(why, buf_str(&loaders[i].why));
		}
		buf_fini(&loaders[i].why);
	}
	return err;
}

int programs_open(struct kernel *k, struct buf *why)
{
	size_t size;
	const void *elf = weft__elf_bytes(&size);

	k->object_hash = hash_bytes(elf, size, 0);
	if (!k->remade && take_pinned(k))
		return 0;
	k->verified = true;
	return load(k, why);
}

int programs_keep(struct kernel *k, struct buf *why)
{
	if (!k->verified)
		return 0;
	for (unsigned p = 0; p < PROG_COUNT; p++) {
		char path[320];

		program_pin(k, p, path);
		unlink(path);
		if (bpf_obj_pin(k->program[p], path))
			return pin_say(why, -errno, "%s cannot be pinned", path);
	}
	programs_unpin(k, false);
	return 0;
}

void programs_unpin(const struct kernel *k, bool all)
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
