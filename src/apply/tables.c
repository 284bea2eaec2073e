/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of apply/tables.h, expanded from tables/maps.def and the seam headers. Holds no state. */
#include "apply/tables.h"

#include "base/hash.h"
#include "base/own.h"
#include "seam/asked.h"
#include "seam/class.h"
#include "seam/config.h"
#include "seam/conn.h"
#include "seam/endpoint.h"
#include "seam/event.h"
#include "seam/name.h"
#include "seam/policy.h"
#include "seam/service.h"
#include "seam/tap.h"

#define TYPE_HASH	  BPF_MAP_TYPE_HASH
#define TYPE_LRU_HASH	  BPF_MAP_TYPE_LRU_HASH
#define TYPE_PERCPU_HASH  BPF_MAP_TYPE_PERCPU_HASH
#define TYPE_ARRAY	  BPF_MAP_TYPE_ARRAY
#define TYPE_PERCPU_ARRAY BPF_MAP_TYPE_PERCPU_ARRAY
#define TYPE_LPM_TRIE	  BPF_MAP_TYPE_LPM_TRIE
#define TYPE_PROG_ARRAY	  BPF_MAP_TYPE_PROG_ARRAY
#define TYPE_RINGS	  BPF_MAP_TYPE_ARRAY_OF_MAPS
#define TYPE_RING	  BPF_MAP_TYPE_RINGBUF

const struct map_desc map_table[PLAN_MAP_COUNT] = {
#define BPF_MAP(id, TYPE, key, value, n, f, w, sentence)                                                     \
	[PLAN_MAP_##id] = {.name = #id,                                                                      \
			   .type = TYPE_##TYPE,                                                              \
			   .key_size = TYPE_##TYPE == TYPE_RING ? 0 : sizeof(key),                           \
			   .value_size = TYPE_##TYPE == TYPE_RING    ? 0                                     \
					 : TYPE_##TYPE == TYPE_RINGS ? sizeof(__u32)                         \
								     : sizeof(value),                        \
			   .entries = (n),                                                                   \
			   .flags = (f),                                                                     \
			   .writer = WRITER_##w,                                                             \
			   .rings = TYPE_##TYPE == TYPE_RINGS},
#include "tables/maps.def"
#undef BPF_MAP
};

const struct program_desc program_table[PROG_COUNT] = {
    [PROG_FROM_POD] = {"weft_from_pod", 0},
    [PROG_TO_POD] = {"weft_to_pod", 0},
    [PROG_UPLINK] = {"weft_uplink", 0},
    [PROG_UPLINK_OUT] = {"weft_uplink_out", 0},
    [PROG_TUNNEL_IN] = {"weft_tunnel_in", 0},
    [PROG_TUNNEL_OUT] = {"weft_tunnel_out", 0},
    [PROG_GC] = {"weft_gc", 0},
    [PROG_ASK] = {"weft_ask", 0},
    [PROG_ANNOUNCE] = {"weft_announce", 0},
    [PROG_KERNEL_DROP] = {"weft_kernel_drop", 0},
    [PROG_KERNEL_DROP_OF] = {"weft_kernel_drop_of", 0},
    [PROG_TAP_IN] = {"weft_tap_in", 0},
    [PROG_TAP_OUT] = {"weft_tap_out", 0},
    [PROG_COPY_OUT] = {"weft_copy_out", 0},
    [PROG_COPY_STOP] = {"weft_copy_stop", 0},
    [PROG_COPY_BACK] = {"weft_copy_back", 0},
    [PROG_EDIT] = {"weft_edit", 0},
    [PROG_CONNECT4] = {"weft_connect4", BPF_CGROUP_INET4_CONNECT},
    [PROG_CONNECT6] = {"weft_connect6", BPF_CGROUP_INET6_CONNECT},
    [PROG_SENDMSG4] = {"weft_sendmsg4", BPF_CGROUP_UDP4_SENDMSG},
    [PROG_SENDMSG6] = {"weft_sendmsg6", BPF_CGROUP_UDP6_SENDMSG},
    [PROG_RECVMSG4] = {"weft_recvmsg4", BPF_CGROUP_UDP4_RECVMSG},
    [PROG_RECVMSG6] = {"weft_recvmsg6", BPF_CGROUP_UDP6_RECVMSG},
    [PROG_GETPEERNAME4] = {"weft_getpeername4", BPF_CGROUP_INET4_GETPEERNAME},
    [PROG_GETPEERNAME6] = {"weft_getpeername6", BPF_CGROUP_INET6_GETPEERNAME},
};

uint64_t map_layout(void)
{
	uint64_t h = 0;

	for (size_t i = 0; i < ARRAY_LEN(map_table); i++) {
		const struct map_desc *m = &map_table[i];
		uint32_t shape[] = {m->type, m->key_size, m->value_size, m->flags};

		h = hash_bytes(m->name, strlen(m->name), h);
		h = hash_bytes(shape, sizeof(shape), h);
	}
	return h;
}
