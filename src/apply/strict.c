/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict pods: after a change of what policies say, weft_gc marks every connection, so that the next packet
 * of one with a strict pod at an end is judged again. Many changes in a row are one mark; each is repeated
 * with the next tick, for packets that were judged by the old rows while the mark was made. Called by rows.c
 * and applier.c.
 */
#include <errno.h>

#include "apply/state.h"
#include "base/clock.h"
#include "seam/conn.h"
#include "seam/endpoint.h"

enum { APART_MS = 50 };

static int note(struct applier *a, const void *key, const void *value)
{
	static char there;
	struct str k = {.p = key, .n = sizeof(struct addr16)};
	struct endpoint_value v = {0};

	if (value)
		memcpy(&v, value, sizeof(v));
	if (v.flags & ENDPOINT_STRICT)
		return hash_set(&a->strict.pods, k, &there, NULL);
	hash_del(&a->strict.pods, k);
	return 0;
}

static bool judges(const struct change *c)
{
	static const bool maps[PLAN_MAP_COUNT] = {
	    [PLAN_MAP_policy] = true, [PLAN_MAP_port] = true,	    [PLAN_MAP_endpoint] = true,
	    [PLAN_MAP_iface] = true,  [PLAN_MAP_address] = true,    [PLAN_MAP_block] = true,
	    [PLAN_MAP_name] = true,   [PLAN_MAP_block_trie] = true, [PLAN_MAP_name_match] = true,
	    [PLAN_MAP_config] = true};

	return c->row.type == ROW_MAP && maps[c->row.table];
}

void strict_settle(struct applier *a)
{
	bool judged = false;

	VEC_EACH (&a->txn.changes, c) {
		judged |= judges(c);
		/* Out of memory: then every change marks. */
		if (c->row.type == ROW_MAP && c->row.table == PLAN_MAP_endpoint &&
		    note(a, c->row.key, c->op == CHANGE_DEL ? NULL : c->row.value))
			a->strict.always = true;
	}
	a->strict.due |= judged && (a->strict.pods.len || a->strict.always);
}

uint64_t strict_due(const struct applier *a)
{
	return a->strict.due ? a->strict.last + APART_MS : UINT64_MAX;
}

uint32_t strict_begin(struct applier *a, bool tick)
{
	uint64_t now = clock_ms();
	bool mark = (a->strict.due && now >= a->strict.last + APART_MS) || (tick && a->strict.again);

	if (!mark)
		return 0;
	a->strict.again = a->strict.due;
	a->strict.due = false;
	a->strict.last = now;
	return GC_RECHECK;
}

static int learn_one(void *ctx, const void *key, const void *value)
{
	return note(ctx, key, value);
}

int strict_learn(struct applier *a)
{
	int err = map_each(&a->kernel, PLAN_MAP_endpoint, learn_one, a);

	/* An earlier process may have ended between a change and its mark. */
	a->strict.due = a->strict.pods.len;
	return err;
}
