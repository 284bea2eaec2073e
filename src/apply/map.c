/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batched updates with a log for taking them back, and iteration. An ADD whose key exists already becomes a
 * SET, so that sending a plan twice is harmless. The config array has one element that always exists:
 * deleting writes zeros. A look-up in a trie finds the nearest prefix, so their exact keys are kept here.
 */
#include "apply/map.h"

#include <bpf/bpf.h>
#include <errno.h>

#include "base/own.h"

enum { BATCH = 512 };

void undo_fini(struct undo_log *u)
{
	vec_free(&u->list);
	arena_fini(&u->arena);
	*u = (struct undo_log){0};
}

static bool is_array(enum plan_map m)
{
	return map_table[m].type == BPF_MAP_TYPE_ARRAY;
}

static bool is_trie(enum plan_map m)
{
	return map_table[m].type == BPF_MAP_TYPE_LPM_TRIE;
}

static struct str key_str(enum plan_map m, const void *key)
{
	return (struct str){.p = key, .n = map_table[m].key_size};
}

int map_get(const struct kernel *k, enum plan_map m, const void *key, void *value)
{
	if (is_trie(m) && !hash_get(&k->keys[m], key_str(m, key)))
		return -ENOENT;
	return bpf_map_lookup_elem(k->map[m], key, value) ? -errno : 0;
}

/* Writes one element: 0 or -errno. */
static int put(struct kernel *k, enum plan_map m, const void *key, const void *value)
{
	static char there;
	int err = is_trie(m) ? hash_set(&k->keys[m], key_str(m, key), &there, NULL) : 0;

	if (!err && bpf_map_update_elem(k->map[m], key, value, BPF_ANY))
		err = -errno;
	return err;
}

static int drop(struct kernel *k, enum plan_map m, const void *key)
{
	if (bpf_map_delete_elem(k->map[m], key))
		return -errno;
	if (is_trie(m))
		hash_del(&k->keys[m], key_str(m, key));
	return 0;
}

static int remember(struct undo_log *u, const struct change *c, uint16_t op, const void *value)
{
	const struct map_desc *d = &map_table[c->row.table];
	struct undo one = {.map = c->row.table, .op = op, .key = c->row.key};

	if (op != CHANGE_ADD) {
		uint8_t *copy = arena_alloc(&u->arena, d->value_size);

		if (!copy)
			return -ENOMEM;
		memcpy(copy, value, d->value_size);
		one.value = copy;
	}
	return vec_push(&u->list, one);
}

/* One change by itself, whatever its op. */
static int apply_one(struct kernel *k, const struct change *c, struct undo_log *u)
{
	enum plan_map m = c->row.table;
	uint8_t old[MAP_VALUE_MAX];
	static const uint8_t zero[MAP_VALUE_MAX];
	bool had = !map_get(k, m, c->row.key, old);
	int err;

	if (c->op == CHANGE_DEL) {
		if (!had)
			return 0;
		err = remember(u, c, CHANGE_DEL, old);
		if (err)
			return err;
		err = is_array(m) ? put(k, m, c->row.key, zero) : drop(k, m, c->row.key);
	} else {
		err = remember(u, c, had ? CHANGE_SET : CHANGE_ADD, old);
		if (err)
			return err;
		err = put(k, m, c->row.key, c->row.value);
		/* A key of a trie that the kernel did not take is not there. */
		if (err && !had && is_trie(m))
			hash_del(&k->keys[m], key_str(m, c->row.key));
	}
	if (err)
		u->list.len--;
	return err;
}

/* Writes up to BATCH rows at once. The kernel's batch cannot say which keys were new, so they are looked up
 * before, unless the BPF map is known to be empty. */
static int add_batch(const struct kernel *k, const struct change *c, size_t n, bool empty, struct undo_log *u,
		     size_t *done)
{
	const struct map_desc *d = &map_table[c->row.table];
	size_t before = u->list.len;
	uint32_t count = (uint32_t)n;
	uint8_t old[MAP_VALUE_MAX];
	AUTO_MEM uint8_t *keys = malloc(n * d->key_size), *values = malloc(n * d->value_size);
	int err = !keys || !values ? -ENOMEM : 0;

	*done = 0;
	for (size_t i = 0; i < n && !err; i++) {
		bool had = !empty && !map_get(k, c->row.table, c[i].row.key, old);

		memcpy(keys + i * d->key_size, c[i].row.key, d->key_size);
		memcpy(values + i * d->value_size, c[i].row.value, d->value_size);
		err = remember(u, &c[i], had ? CHANGE_SET : CHANGE_ADD, old);
	}
	if (!err && bpf_map_update_batch(k->map[c->row.table], keys, values, &count, NULL)) {
		err = -errno;
		/* A refusal before the first element leaves count as it was. */
		count = count == n ? 0 : count;
	} else if (err) {
		count = 0;
	}
	u->list.len = before + count;
	*done = count;
	return err;
}

int map_apply(struct kernel *k, const struct change *c, size_t n, bool empty, struct undo_log *u,
	      size_t *done)
{
	bool batch = c->op == CHANGE_ADD && !is_array(c->row.table) && !is_trie(c->row.table);

	*done = 0;
	while (*done < n) {
		size_t some = 1;
		int err;

		if (batch && n - *done > 3) {
			err = add_batch(k, c + *done, n - *done < BATCH ? n - *done : BATCH, empty, u, &some);
			*done += some;
		} else {
			err = apply_one(k, c + *done, u);
			*done += err ? 0 : 1;
		}
		if (err)
			return err;
	}
	return 0;
}

size_t map_undo(struct kernel *k, struct undo_log *u)
{
	size_t failed = 0;

	while (u->list.len) {
		const struct undo *one = &u->list.items[--u->list.len];
		int err;

		if (one->op == CHANGE_ADD)
			err = drop(k, one->map, one->key);
		else
			err = put(k, one->map, one->key, one->value);
		failed += err ? 1 : 0;
	}
	return failed;
}

int map_raise(const struct kernel *k, enum plan_map m)
{
	uint32_t key = 0, n;
	int err = map_get(k, m, &key, &n);

	n++;
	if (!err && bpf_map_update_elem(k->map[m], &key, &n, BPF_ANY))
		err = -errno;
	return err;
}

int map_each(const struct kernel *k, enum plan_map m,
	     int (*fn)(void *ctx, const void *key, const void *value), void *ctx)
{
	static const uint8_t zero[MAP_VALUE_MAX];
	const struct map_desc *d = &map_table[m];
	uint8_t in[MAP_KEY_MAX], out[MAP_KEY_MAX];
	bool first = true;
	AUTO_MEM uint8_t *keys = malloc((size_t)2 * BATCH * d->key_size);
	AUTO_MEM uint8_t *values = malloc((size_t)2 * BATCH * d->value_size);

	if (!keys || !values)
		return -ENOMEM;
	if (is_array(m)) {
		uint32_t i = 0;
		int err = map_get(k, m, &i, values);

		return err ? err : memcmp(values, zero, d->value_size) ? fn(ctx, &i, values) : 0;
	}
	for (;;) {
		uint32_t n = 2 * BATCH;
		int err = bpf_map_lookup_batch(k->map[m], first ? NULL : in, out, keys, values, &n, NULL)
			      ? -errno
			      : 0;

		if (err && err != -ENOENT)
			return err;
		for (uint32_t i = 0; i < n; i++) {
			int ret = fn(ctx, keys + (size_t)i * d->key_size, values + (size_t)i * d->value_size);

			if (ret)
				return ret;
		}
		if (err)
			return 0;
		memcpy(in, out, sizeof(in));
		first = false;
	}
}

struct learning {
	struct kernel *k;
	enum plan_map m;
};

static int learn_one(void *ctx, const void *key, const void *value)
{
	static char there;
	const struct learning *l = ctx;

	(void)value;
	return hash_set(&l->k->keys[l->m], key_str(l->m, key), &there, NULL);
}

int map_learn(struct kernel *k)
{
	for (unsigned m = 0; m < PLAN_MAP_COUNT; m++) {
		struct learning l = {k, m};
		int err = is_trie(m) ? map_each(k, m, learn_one, &l) : 0;

		if (err)
			return err;
	}
	return 0;
}

static int count_one(void *ctx, const void *key, const void *value)
{
	(void)key;
	(void)value;
	++*(uint32_t *)ctx;
	return 0;
}

int map_count(const struct kernel *k, enum plan_map m, uint32_t *out)
{
	*out = 0;
	return map_each(k, m, count_one, out);
}
