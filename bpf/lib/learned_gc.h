/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * weft_gc's part for learned names. An element whose names have all ended stays for a while, since open
 * connections may be judged by it (CN16), unless the table is crowded. The packet programs write into an
 * element in place only while one of its names holds, so an element that goes has no writer.
 */
#ifndef WEFT_BPF_LEARNED_GC_H
#define WEFT_BPF_LEARNED_GC_H

#include "bpf/maps.h"

#define LEARNED_KEEP  3600  /* seconds */
#define LEARNED_REST  2	    /* the same in a crowd */
#define LEARNED_CROWD 16384 /* elements */

/* Kept are next - first. `first` is any number that the verifier does not know: before 6.7 it takes a
 * callback's context for what it is at the first call, and cuts out what could happen at later ones only. */
struct gc_names {
	__u32 now; /* monotonic seconds */
	__u32 first, next, removed;
};

ALWAYS_INLINE struct gc_names gc_names_begin(__u64 now_ns)
{
	struct gc_names g = {.now = (__u32)(now_ns / 1000000000), .first = (__u32)now_ns};

	g.next = g.first;
	return g;
}

static long gc_learned(struct bpf_map *map, struct addr16 *key, struct learned_value *v, struct gc_names *g)
{
	__s32 rest = g->next - g->first < LEARNED_CROWD ? LEARNED_KEEP : LEARNED_REST;

	for (int i = 0; i < LEARNED_SLOTS; i++) {
		if (v->slot[i].name && (__s32)(g->now - v->slot[i].until) < rest) {
			g->next++;
			return 0;
		}
	}
	if (!bpf_map_delete_elem(map, key))
		g->removed++;
	return 0;
}

#endif
