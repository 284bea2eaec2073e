/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transaction: rows are collected, then all are validated and counted against the BPF maps' sizes, then
 * applied step by step in the order given, and read back. What does not fit or is not allowed is refused
 * whole. When a BPF map fails in the middle, all its elements are put back; links and routes that fail are
 * reported one by one.
 */
#include <errno.h>

#include "apply/state.h"
#include "base/clock.h"

void txn_reset(struct txn *t)
{
	arena_fini(&t->arena);
	vec_free(&t->changes);
	vec_free(&t->steps);
	vec_free(&t->results);
	vec_free(&t->made);
	*t = (struct txn){0};
}

/* Steps only grow, and inside a step ADDs, SETs and DELs follow in that order. */
static bool in_order(const struct txn *t, unsigned step, const struct change *c)
{
	size_t n = t->changes.len;

	return !n || step > t->steps.items[n - 1] ||
	       (step == t->steps.items[n - 1] && c->op >= t->changes.items[n - 1].op);
}

int txn_add(struct txn *t, unsigned step, const struct change *c)
{
	struct change copy = *c;
	uint8_t *bytes;
	uint32_t index;

	if (t->changes.len >= WIRE_ROWS_MAX || !in_order(t, step, c))
		return -EPROTO;
	bytes = arena_alloc(&t->arena, (size_t)c->row.key_len + c->row.value_len + 8);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, c->row.key, c->row.key_len);
	copy.row.key = bytes;
	if (c->row.value_len) {
		uint8_t *value = bytes + ((c->row.key_len + 7U) & ~7U);

		memcpy(value, c->row.value, c->row.value_len);
		copy.row.value = value;
	}
	if (c->row.type == ROW_LINK && c->op != CHANGE_DEL) {
		memcpy(&index, c->row.key, sizeof(index));
		if (vec_push(&t->made, index))
			return -ENOMEM;
	}
	if (vec_push(&t->results, -ECANCELED) || vec_push(&t->steps, (uint8_t)step) ||
	    vec_push(&t->changes, copy))
		return -ENOMEM;
	return 0;
}

static int validate(struct applier *a, struct buf *why)
{
	struct txn *t = &a->txn;

	for (size_t i = 0; i < t->changes.len; i++) {
		int err;

		err = guard_change(a, &t->changes.items[i], why);
		if (err) {
			t->results.items[i] = err;
			return err;
		}
	}
	return 0;
}

static bool counted(const struct change *c)
{
	return c->row.type == ROW_LINK ||
	       (c->row.type == ROW_MAP && map_table[c->row.table].type != BPF_MAP_TYPE_ARRAY);
}

/* Each link has an element of BPF map netns. */
static enum plan_map counted_as(const struct change *c)
{
	return c->row.type == ROW_LINK ? PLAN_MAP_netns : c->row.table;
}

static bool exists(const struct applier *a, const struct change *c)
{
	uint8_t value[MAP_VALUE_MAX];
	uint32_t index;

	if (c->row.type == ROW_LINK) {
		memcpy(&index, c->row.key, sizeof(index));
		return pod_link_get(a, index);
	}
	return !map_get(&a->kernel, c->row.table, c->row.key, value);
}

/* Elements of BPF map netns: the node's own namespace has one, too. */
static uint32_t namespaces(const struct applier *a)
{
	return (uint32_t)a->links.len + 1;
}

static void say_full(const struct applier *a, enum plan_map m, struct buf *why)
{
	uint32_t had = m == PLAN_MAP_netns ? namespaces(a) : a->counts[m], more = 0;
	const char *name = map_table[m].name;

	VEC_EACH (&a->txn.changes, c)
		more += counted(c) && counted_as(c) == m && c->op == CHANGE_ADD && !exists(a, c);
	buf_printf(why,
		   "map-full: BPF map %s has room for %u elements; %u are in force and this change adds %u. "
		   "Nothing was changed; the last good state stays in force. "
		   "Use fewer objects, or start the agent with --entries %s=%u",
		   name, a->kernel.entries[m], had, more, name, (had + more) * 2);
}

/* The most elements that each BPF map holds at any moment of the transaction. `exact` looks keys up; else
 * every ADD counts as new and every DEL as a hit. */
static int fits(const struct applier *a, bool exact, struct buf *why)
{
	uint32_t now[PLAN_MAP_COUNT];
	const struct txn *t = &a->txn;

	memcpy(now, a->counts, sizeof(now));
	now[PLAN_MAP_netns] = namespaces(a);
	for (size_t i = 0; i < t->changes.len; i++) {
		const struct change *c = &t->changes.items[i];
		enum plan_map m = counted_as(c);
		uint32_t *n = &now[m];

		if (!counted(c) || (c->op == CHANGE_SET && !exact))
			continue;
		if (c->op == CHANGE_DEL) {
			*n -= *n && (!exact || exists(a, c)) ? 1 : 0;
			continue;
		}
		if (exact && exists(a, c))
			continue;
		if (++*n <= a->kernel.entries[m])
			continue;
		if (why)
			say_full(a, m, why);
		return -E2BIG;
	}
	return 0;
}

static size_t run_length(const struct txn *t, size_t from)
{
	const struct change *c = &t->changes.items[from];
	size_t i = from + 1;

	while (i < t->changes.len && t->steps.items[i] == t->steps.items[from] &&
	       t->changes.items[i].op == c->op && t->changes.items[i].row.type == c->row.type &&
	       t->changes.items[i].row.table == c->row.table)
		i++;
	return i - from;
}

static int apply_run(struct applier *a, size_t from, size_t n, struct undo_log *undo)
{
	const struct change *c = &a->txn.changes.items[from];
	int32_t *results = &a->txn.results.items[from];
	size_t done = 0;
	int err;

	if (c->row.type == ROW_LINK) {
		pod_links_apply(a, c, n, results);
		return 0;
	}
	if (c->row.type == ROW_ROUTE) {
		routes_apply(a, c, n, results);
		return 0;
	}
	if (c->row.type == ROW_ADDRESS) {
		addresses_apply(a, c, n, results);
		return 0;
	}
	if (c->row.table == PLAN_MAP_config && c->op != CHANGE_DEL)
		fault_mark(a, (void *)(uintptr_t)c->row.value); /* our own copy */
	err = c->row.table == PLAN_MAP_address ? gone_before_rows(a, c, n) : 0;
	if (!err)
		err = map_apply(&a->kernel, c, n, !a->counts[c->row.table], undo, &done);
	/* Connections remember what `endpoint` said of their target. */
	if (done && c->row.table == PLAN_MAP_endpoint && map_raise(&a->kernel, PLAN_MAP_wiring) && !err)
		err = -EIO;
	for (size_t i = 0; i < done; i++)
		results[i] = 0;
	if (done)
		reaper_note(a->reaper, c, done);
	if (err && done < n)
		results[done] = err;
	return err;
}

/* Counts follow the log: it knows which ADDs were new and which DELs hit. */
static void settle(struct applier *a, const struct undo_log *undo)
{
	VEC_EACH (&undo->list, u) {
		if (map_table[u->map].type == BPF_MAP_TYPE_ARRAY)
			continue;
		if (u->op == CHANGE_ADD)
			a->counts[u->map]++;
		else if (u->op == CHANGE_DEL && a->counts[u->map])
			a->counts[u->map]--;
	}
}

static enum wire_status apply_all(struct applier *a, struct buf *why)
{
	struct txn *t = &a->txn;
	struct undo_log undo = {0};
	enum wire_status status = WIRE_APPLIED;
	size_t step = 0;
	int err = 0;

	for (size_t i = 0; i < t->changes.len && !err;) {
		size_t n = run_length(t, i);

		err = apply_run(a, i, n, &undo);
		i += n;
		if (!err && (i == t->changes.len || t->steps.items[i] != t->steps.items[step])) {
			readback_check(a, &t->changes.items[step], i - step, &t->results.items[step]);
			step = i;
		}
	}
	if (err) {
		size_t lost = map_undo(&a->kernel, &undo);

		map_raise(&a->kernel, PLAN_MAP_wiring);

		buf_printf(why, "a BPF map refused an element: %s; all elements were put back",
			   strerror(-err));
		if (lost)
			buf_printf(why, ", but for %zu that could not be", lost);
		status = WIRE_PARTLY;
	} else {
		settle(a, &undo);
		strict_settle(a);
		reaper_kick(a->reaper);
	}
	undo_fini(&undo);
	return status;
}

struct wire_done txn_commit(struct applier *a, struct buf *why)
{
	struct wire_done d = {.status = WIRE_REFUSED};
	uint64_t start = clock_us();
	int err = validate(a, why);

	if (!err && fits(a, false, NULL))
		err = fits(a, true, why);
	if (!err)
		d.status = apply_all(a, why);
	VEC_EACH (&a->txn.results, r)
		d.failed += *r ? 1 : 0;
	if (d.status == WIRE_APPLIED && d.failed) {
		d.status = WIRE_PARTLY;
		buf_printf(why, "%u rows failed", d.failed);
	}
	d.us = (uint32_t)(clock_us() - start);
	return d;
}
