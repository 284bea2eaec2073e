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

struct gc_names {
	__u32 now; /* monotonic seconds */
	__u32 kept, removed;
};

static long gc_learned(struct bpf_map *map, struct addr16 *key, struct learned_value *v, struct gc_names *g)
{
	__s32 rest = g->kept < LEARNED_CROWD ? LEARNED_KEEP : LEARNED_REST;

	for (int i = 0; i < LEARNED_SLOTS; i++) {
		if (v->slot[i].name && (__s32)(g->now - v->slot[i].until) < rest) {
			g->kept++;
			return 0;
		}
	}
	if (!bpf_map_delete_elem(map, key))
		g->removed++;
	return 0;
}

#endif
