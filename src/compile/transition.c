/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From dirty rows to the steps of a change. Called once a run, when all that is wanted is known and what is
 * in force has not been touched.
 */
#include "compile/transition.h"

#include <errno.h>
#include <stdlib.h>

/* Tables in the order in which rows are added; they go in the opposite order. */
static unsigned rank(const struct row *r)
{
	static const uint8_t maps[PLAN_MAP_COUNT] = {
	    [PLAN_MAP_port] = 1,       [PLAN_MAP_policy] = 2,	 [PLAN_MAP_block] = 3,
	    [PLAN_MAP_block_trie] = 3, [PLAN_MAP_address] = 4,	 [PLAN_MAP_node] = 5,
	    [PLAN_MAP_range] = 6,      [PLAN_MAP_config] = 7,	 [PLAN_MAP_backend] = 8,
	    [PLAN_MAP_service] = 9,    [PLAN_MAP_endpoint] = 11, [PLAN_MAP_iface] = 12,
	};
	if (r->type == ROW_MAP)
		return maps[r->table];
	return r->type == ROW_LINK ? 10 : 13;
}

static int change_cmp(const void *x, const void *y)
{
	const struct change *a = x, *b = y;
	if (a->op != b->op)
		return a->op < b->op ? -1 : 1;
	unsigned ra = rank(&a->row), rb = rank(&b->row);
	int r = ra != rb ? (ra < rb ? -1 : 1) : row_cmp(&a->row, &b->row);
	return a->op == CHANGE_DEL ? -r : r;
}

void step_sort(struct plan_step *s)
{
	if (s->changes.len)
		qsort(s->changes.items, s->changes.len, sizeof(*s->changes.items), change_cmp);
}

static const uint8_t *keep(struct plan_delta *d, const uint8_t *p, size_t n)
{
	uint8_t *copy = arena_alloc(&d->arena, n);
	if (copy)
		memcpy(copy, p, n);
	return copy;
}

int step_add(struct plan_delta *d, struct plan_step *s, enum change_op op, const struct prow *r,
	     const struct rowval *v, const uint8_t *value)
{
	struct change ch = {.op = (uint8_t)op, .row = row_of(r, v)};
	if (ch.row.origin.object)
		ch.row.origin.object = arena_strz(&d->arena, str_of(ch.row.origin.object));
	ch.row.key = keep(d, r->key, r->key_len);
	ch.row.value = keep(d, value, r->value_len);
	if (!ch.row.key || !ch.row.value)
		return -ENOMEM;
	return vec_push(&s->changes, ch);
}

static int one_step(struct compiler *c, struct plan_delta *out)
{
	struct plan_step s = {0};
	int e = 0;
	for (size_t i = 0; i < c->rows.dirty.len && !e; i++) {
		const struct prow *r = c->rows.dirty.items[i];
		const struct rowval *was = r->in_force, *now = r->want;
		if (was && now && memcmp(was->bytes, now->bytes, r->value_len))
			e = step_add(out, &s, CHANGE_SET, r, now, now->bytes);
		else if (!was && now)
			e = step_add(out, &s, CHANGE_ADD, r, now, now->bytes);
		else if (was && !now)
			e = step_add(out, &s, CHANGE_DEL, r, was, was->bytes);
	}
	step_sort(&s);
	if (!e && s.changes.len)
		e = vec_push(&out->steps, s);
	else
		vec_free(&s.changes);
	return e;
}

int transition(struct compiler *c, struct plan_delta *out)
{
	return one_step(c, out);
}
