/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows: their order, their sizes, the names of their tables, and the end of a delta. Knows the records of
 * seam/ by size only; never what a row is for. Called by compile, apply and the wire between planner and
 * applier.
 */
#include "compile/plan.h"

#include <errno.h>

#include "seam/addr.h"
#include "seam/class.h"
#include "seam/config.h"
#include "seam/conn.h"
#include "seam/endpoint.h"
#include "seam/name.h"
#include "seam/policy.h"
#include "seam/service.h"
#include "seam/tap.h"

_Static_assert(sizeof(struct route_key) == 20, "route_key has no holes");
_Static_assert(sizeof(struct route_value) == 28, "route_value has no holes");
_Static_assert(sizeof(struct address_key) == 16, "address_key has no holes");
_Static_assert(sizeof(struct link_value) == 88, "link_value has no holes");

int row_cmp(const struct row *a, const struct row *b)
{
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	if (a->table != b->table)
		return a->table < b->table ? -1 : 1;
	size_t n = a->key_len < b->key_len ? a->key_len : b->key_len;
	int r = n ? memcmp(a->key, b->key, n) : 0;
	return r ? r : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

void plan_delta_fini(struct plan_delta *d)
{
	VEC_EACH (&d->steps, s)
		vec_free(&s->changes);
	vec_free(&d->steps);
	arena_fini(&d->arena);
	*d = (struct plan_delta){0};
}

size_t plan_delta_changes(const struct plan_delta *d)
{
	size_t n = 0;
	VEC_EACH (&d->steps, s)
		n += s->changes.len;
	return n;
}

/* Sizes of planned BPF maps; the programs' own have 0. */
struct map_size {
	const char *name;
	uint16_t key, value;
};
#define SIZE_PLAN(k, v)	  (uint16_t)sizeof(k), (uint16_t)sizeof(v)
#define SIZE_KERNEL(k, v) 0, 0
static const struct map_size map_sizes[PLAN_MAP_COUNT] = {
#define BPF_MAP(id, type, k, v, entries, flags, writer, sentence)                                            \
	[PLAN_MAP_##id] = {#id, SIZE_##writer(k, v)},
#include "tables/maps.def"
#undef BPF_MAP
};

int row_sizes(uint8_t type, uint16_t table, uint16_t *key_len, uint16_t *value_len)
{
	if (type == ROW_MAP) {
		if (table >= PLAN_MAP_COUNT || !map_sizes[table].key)
			return -EINVAL;
		*key_len = map_sizes[table].key;
		*value_len = map_sizes[table].value;
		return 0;
	}
	if (table)
		return -EINVAL;
	if (type == ROW_LINK) {
		*key_len = sizeof(struct link_key);
		*value_len = sizeof(struct link_value);
		return 0;
	}
	if (type == ROW_ROUTE) {
		*key_len = sizeof(struct route_key);
		*value_len = sizeof(struct route_value);
		return 0;
	}
	if (type == ROW_ADDRESS) {
		*key_len = sizeof(struct address_key);
		*value_len = 0;
		return 0;
	}
	return -EINVAL;
}

const char *plan_map_name(enum plan_map m)
{
	return (unsigned)m < PLAN_MAP_COUNT ? map_sizes[m].name : "?";
}
