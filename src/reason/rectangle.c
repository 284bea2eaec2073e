/* SPDX-License-Identifier: Apache-2.0 */
/* Joins columns with equal sources, then columns that become equal where pairs that are never judged count as
 * one likes. See rectangle.h. Called by diff.c. */
#include "reason/rectangle.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"

int grid_put(struct grid *g, uint32_t cell, uint32_t source, uint32_t destination)
{
	struct rectangles *c = &g->columns;
	struct rectangle *hit = NULL;

	if (g->open < c->list.len && c->list.items[g->open].destinations.items[0] != destination)
		g->open = c->list.len;
	for (size_t i = g->open; i < c->list.len && !hit; i++)
		if (c->list.items[i].cell == cell)
			hit = &c->list.items[i];
	if (!hit) {
		struct rectangle fresh = {.cell = cell};
		if (vec_push(&fresh.destinations, destination) || vec_push(&c->list, fresh)) {
			vec_free(&fresh.destinations);
			return -ENOMEM;
		}
		hit = &c->list.items[c->list.len - 1];
	}
	return vec_push(&hit->sources, source);
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Sources of the rectangle that can be left out or put in: nothing goes from them to any destination. */
static bool is_free(const struct ends *e, const struct rectangle *r, uint32_t source)
{
	for (size_t i = 0; i < r->destinations.len; i++)
		if (groups_pairs(e, &e->groups.items[source], &e->groups.items[r->destinations.items[i]]))
			return false;
	return true;
}

static int add_free(const struct ends *e, struct rectangle *r)
{
	size_t n = r->sources.len;
	int err = 0;

	/* Only pods' own groups and nodes can be free: few are asked for. */
	for (uint32_t g = 0; g < e->groups.len && !err; g++) {
		const struct group *group = &e->groups.items[g];
		bool near = group->kind == END_NODE;
		for (size_t i = 0; i < r->destinations.len && !near; i++)
			near = r->destinations.items[i] == g;
		if (near && !bsearch(&g, r->sources.items, n, sizeof(g), by_number) && is_free(e, r, g))
			err = vec_push(&r->sources, g);
	}
	if (r->sources.len > 1)
		qsort(r->sources.items, r->sources.len, sizeof(*r->sources.items), by_number);
	return err;
}

static int join(struct rectangles *in, struct rectangles *out)
{
	struct hash by_sources = {0};
	int err = 0;

	VEC_EACH (&in->list, r) {
		AUTO_BUF key = {0};
		buf_add(&key, &r->cell, sizeof(r->cell));
		buf_add(&key, r->sources.items, r->sources.len * sizeof(*r->sources.items));
		size_t at = (size_t)(uintptr_t)hash_get(&by_sources, buf_str(&key));
		if (err || key.failed) {
			err = -ENOMEM;
			break;
		}
		if (!at) {
			err = vec_push(&out->list, *r);
			if (err)
				break;
			*r = (struct rectangle){0};
			at = out->list.len;
			err = hash_set(&by_sources, buf_str(&key), (void *)(uintptr_t)at, NULL);
			continue;
		}
		for (size_t i = 0; i < r->destinations.len && !err; i++)
			err = vec_push(&out->list.items[at - 1].destinations, r->destinations.items[i]);
	}
	hash_fini(&by_sources);
	VEC_EACH (&out->list, r)
		if (r->destinations.len > 1)
			qsort(r->destinations.items, r->destinations.len, sizeof(*r->destinations.items),
			      by_number);
	return err;
}

int grid_rectangles(struct grid *g, const struct ends *e, struct rectangles *out)
{
	struct rectangles half = {0};
	int err = join(&g->columns, &half);

	VEC_EACH (&half.list, r)
		err = err ? err : add_free(e, r);
	if (!err)
		err = join(&half, out);
	rectangles_fini(&half);
	return err;
}

void grid_fini(struct grid *g)
{
	rectangles_fini(&g->columns);
}

void rectangles_fini(struct rectangles *rs)
{
	VEC_EACH (&rs->list, r) {
		vec_free(&r->sources);
		vec_free(&r->destinations);
	}
	vec_free(&rs->list);
}
