/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What exists in the kernel by our doing, as tables: the BPF maps of tables/maps.def with their sizes, and
 * the programs with the hook that each belongs to. Constants only. Read by every file of apply/ and by nobody
 * else.
 */
#ifndef WEFT_APPLY_TABLES_H
#define WEFT_APPLY_TABLES_H

#include <linux/bpf.h>

#include "compile/plan.h"

enum map_writer { WRITER_PLAN, WRITER_KERNEL, WRITER_BOTH };

struct map_desc {
	const char *name;
	uint32_t type; /* enum bpf_map_type; ARRAY_OF_MAPS for rings, RINGBUF for a ring */
	uint32_t key_size, value_size;
	uint32_t entries; /* rings, ring: bytes of each */
	uint32_t flags;
	enum map_writer writer;
	bool rings;
};
extern const struct map_desc map_table[PLAN_MAP_COUNT];

/* Hash of names, types, sizes and flags of all BPF maps: names the folder of the pins. Two builds with the
 * same value may use each other's BPF maps. */
uint64_t map_layout(void);

enum program {
	PROG_FROM_POD,
	PROG_TO_POD,
	PROG_UPLINK,
	PROG_UPLINK_OUT,
	PROG_TUNNEL_IN,
	PROG_TUNNEL_OUT,
	PROG_GC,
	PROG_ASK,
	PROG_ANNOUNCE,
	PROG_TAP_IN,
	PROG_TAP_OUT,
	PROG_COPY_OUT,
	PROG_COPY_STOP,
	PROG_COPY_BACK,
	PROG_EDIT,
	PROG_KERNEL_DROP,
	PROG_KERNEL_DROP_OF,
	PROG_CGROUP_FIRST,
	PROG_CONNECT4 = PROG_CGROUP_FIRST,
	PROG_CONNECT6,
	PROG_SENDMSG4,
	PROG_SENDMSG6,
	PROG_RECVMSG4,
	PROG_RECVMSG6,
	PROG_GETPEERNAME4,
	PROG_GETPEERNAME6,
	PROG_COUNT,
};
struct program_desc {
	const char *name;
	uint32_t attach; /* enum bpf_attach_type for the cgroup programs, else 0 */
};
extern const struct program_desc program_table[PROG_COUNT];

#endif
