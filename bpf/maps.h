/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The BPF maps of tables/maps.def as definitions that the loader reads, and the one that is private to the
 * programs. Nothing else defines a BPF map. The loader sets sizes: entries from the plan, one ring per CPU.
 */
#ifndef WEFT_BPF_MAPS_H
#define WEFT_BPF_MAPS_H

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

#define MAP_PLAIN(id, TYPE, key_type, value_type, entries, flags)                                            \
	struct {                                                                                             \
		__uint(type, BPF_MAP_TYPE_##TYPE);                                                           \
		__type(key, key_type);                                                                       \
		__type(value, value_type);                                                                   \
		__uint(max_entries, entries);                                                                \
		__uint(map_flags, flags);                                                                    \
	} id SEC(".maps");
#define MAP_HASH(...)	      MAP_PLAIN(__VA_ARGS__)
#define MAP_LRU_HASH(...)     MAP_PLAIN(__VA_ARGS__)
#define MAP_PERCPU_HASH(...)  MAP_PLAIN(__VA_ARGS__)
#define MAP_ARRAY(...)	      MAP_PLAIN(__VA_ARGS__)
#define MAP_PERCPU_ARRAY(...) MAP_PLAIN(__VA_ARGS__)
#define MAP_LPM_TRIE(...)     MAP_PLAIN(__VA_ARGS__)
#define MAP_PROG_ARRAY(...)   MAP_PLAIN(__VA_ARGS__)

/* A ring has neither keys nor sizes of values. */
#define MAP_RING(id, TYPE, key_type, value_type, entries, flags)                                             \
	struct {                                                                                             \
		__uint(type, BPF_MAP_TYPE_RINGBUF);                                                          \
		__uint(max_entries, entries);                                                                \
	} id SEC(".maps");

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 262144);
};
#define MAP_RINGS(id, TYPE, key_type, value_type, entries, flags)                                            \
	struct {                                                                                             \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                                    \
		__uint(key_size, sizeof(key_type));                                                          \
		__uint(max_entries, 1);                                                                      \
		__array(values, struct ring);                                                                \
	} id SEC(".maps");

#define BPF_MAP(id, TYPE, key_type, value_type, entries, flags, writer, sentence)                            \
	MAP_##TYPE(id, TYPE, key_type, value_type, entries, flags)
#include "tables/maps.def"
#undef BPF_MAP

#endif
