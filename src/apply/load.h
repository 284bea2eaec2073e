/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs and BPF maps of a node: loading, pins, links. Everything is found by its path below one folder
 * of a bpffs, never by id. Opening over pins of the same layout takes the BPF maps over as they are; the new
 * programs replace the old ones hook by hook, under traffic. Only apply/ calls it.
 */
#ifndef WEFT_APPLY_LOAD_H
#define WEFT_APPLY_LOAD_H

#include "apply/tables.h"
#include "base/hash.h"
#include "seam/ask.h"

enum { RINGS_MAX = 64 };

struct kernel {
	int map[PLAN_MAP_COUNT];
	uint32_t entries[PLAN_MAP_COUNT]; /* capacity */
	struct hash
	    keys[PLAN_MAP_COUNT]; /* map.c: exact keys of tries, whose look-up finds what covers a key */
	int program[PROG_COUNT];
	int link[PROG_COUNT]; /* of cgroup programs and of the tracepoint; -1 */
	int ring[RINGS_MAX];
	unsigned rings;
	uint64_t object_hash;
	bool fresh;		   /* no pins were there */
	bool made[PLAN_MAP_COUNT]; /* pin.c: not pinned yet */
	bool remade;   /* some BPF map was not pinned, or had another size: programs must be loaded */
	bool verified; /* programs.c: they were */
	char dir[256]; /* of the pins */
};

struct kernel_options {
	const char *bpf_dir; /* on a bpffs; made if missing */
	const char *cgroup;  /* cgroup2 folder that holds the pods; NULL: no socket programs */
	const uint32_t
	    *entries; /* [PLAN_MAP_COUNT], 0: the table's, or what is pinned; NULL: all. Planned BPF maps that
			 are pinned are made anew with their elements where that differs */
};

/* 0 or -errno; `why` then says what failed and what to do. kernel_close() is legal on zeroed and half-built.
 */
int kernel_open(struct kernel *k, const struct kernel_options *o, struct buf *why);
void kernel_init(struct kernel *k);
void kernel_close(struct kernel *k);
/* Removes all pins: links first. */
void kernel_unpin(const struct kernel *k);
/* run.c: runs weft_gc, which ages connections out and does what `flags` (GC_… of seam/conn.h) say. *removed
 * may be NULL. 0 or -errno. */
int kernel_gc(const struct kernel *k, uint32_t flags, uint32_t *removed);
/* run.c: asks weft_ask; fills the answer. 0 or -errno. */
int kernel_ask(const struct kernel *k, struct ask *a);
/* run.c: sends a frame (at most ANNOUNCE_MAX bytes) out of the uplink by weft_announce. 0 or -errno. */
enum { ANNOUNCE_MAX = 128 };
int kernel_announce(const struct kernel *k, const void *frame, size_t n);
/* A second descriptor of a pinned BPF map that cannot write, for the observer: descriptor or -errno. */
int kernel_map_readonly(const struct kernel *k, enum plan_map m);
/* Cgroup links that are missing or lost their cgroup, one line each. */
void kernel_faults(const struct kernel *k, struct buf *out);

#endif
