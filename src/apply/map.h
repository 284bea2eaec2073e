/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elements of BPF maps: batches in, lookups, whole contents out. Knows sizes, not meaning. Only apply/ calls
 * it.
 */
#ifndef WEFT_APPLY_MAP_H
#define WEFT_APPLY_MAP_H

#include "apply/load.h"

/* Applies `n` changes of one BPF map, all with the same op, in their order. For each that was done *undo (an
 * arena and a list kept by the caller) gets what puts it back. 0, or -errno of the first that failed; *done
 * counts. */
struct undo {
	enum plan_map map;
	uint16_t op; /* CHANGE_ADD: delete again; CHANGE_SET, CHANGE_DEL: write `value` */
	const uint8_t *key, *value;
};
struct undo_log {
	VEC(struct undo) list;
	struct arena arena;
};
void undo_fini(struct undo_log *u);
int map_apply(struct kernel *k, const struct change *c, size_t n, bool empty, struct undo_log *u,
	      size_t *done);
/* Takes all of it back, newest first. Returns how many could not be taken back. */
size_t map_undo(struct kernel *k, struct undo_log *u);

/* Learns the keys of the tries that are there already: 0 or -errno. Called once, before the others. */
int map_learn(struct kernel *k);
/* The largest key and value of a planned BPF map. */
enum { MAP_KEY_MAX = 264, MAP_VALUE_MAX = 128 };
/* 0, -ENOENT or -errno; value has the table's size. Exact, in tries too. */
int map_get(const struct kernel *k, enum plan_map m, const void *key, void *value);
/* Adds 1 to the one element, a __u32, of an array: 0 or -errno. */
int map_raise(const struct kernel *k, enum plan_map m);
/* Every element: 0, -errno, or what fn returned when not 0. An all-zero config counts as no element. */
int map_each(const struct kernel *k, enum plan_map m,
	     int (*fn)(void *ctx, const void *key, const void *value), void *ctx);
/* Number of elements: 0 or -errno. */
int map_count(const struct kernel *k, enum plan_map m, uint32_t *out);

#endif
