/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel → rows. What a planner gets to compare with its plan, and the check of each step after it was
 * applied. Reads the kernel, never our memory of it, but for the link rows' words that only their alias
 * holds.
 */
#include <errno.h>

#include "apply/state.h"
#include "seam/config.h"

struct each {
	int (*fn)(void *ctx, const struct row *r);
	void *ctx;
	uint16_t table;
};

static int map_row(void *ctx, const void *key, const void *value)
{
	uint8_t config[sizeof(struct config_value)];
	struct each *e = ctx;
	struct row r = {.type = ROW_MAP,
			.table = e->table,
			.key_len = (uint16_t)map_table[e->table].key_size,
			.value_len = (uint16_t)map_table[e->table].value_size,
			.key = key,
			.value = value};

	if (e->table == PLAN_MAP_config) {
		memcpy(config, value, sizeof(config));
		fault_unmark(config);
		r.value = config;
	}
	return e->fn(e->ctx, &r);
}

static int route_row(void *ctx, const struct route_key *key, const struct route_value *value)
{
	struct each *e = ctx;
	struct row r = {.type = ROW_ROUTE,
			.key_len = sizeof(*key),
			.value_len = sizeof(*value),
			.key = (const uint8_t *)key,
			.value = (const uint8_t *)value};

	return e->fn(e->ctx, &r);
}

static int address_row(void *ctx, const struct address_key *key)
{
	struct each *e = ctx;
	struct row r = {.type = ROW_ADDRESS, .key_len = sizeof(*key), .key = (const uint8_t *)key};

	return e->fn(e->ctx, &r);
}

int readback_rows(const struct applier *a, int (*fn)(void *ctx, const struct row *r), void *ctx)
{
	struct each e = {fn, ctx, 0};
	int err;

	for (uint16_t m = 0; m < PLAN_MAP_COUNT; m++) {
		if (map_table[m].writer != WRITER_PLAN)
			continue;
		e.table = m;
		err = map_each(&a->kernel, m, map_row, &e);
		if (err)
			return err;
	}
	HASH_EACH (&a->links, s) {
		const struct pod_link *l = s->value;
		struct link_key key = {.ifindex = l->index};
		struct row r = {.type = ROW_LINK,
				.key_len = sizeof(key),
				.value_len = sizeof(l->value),
				.key = (const uint8_t *)&key,
				.value = (const uint8_t *)&l->value};

		if (pod_link_check(a, l, NULL) == -ENODEV)
			continue;
		err = fn(ctx, &r);
		if (err)
			return err;
	}
	err = routes_each(a, route_row, &e);
	return err ? err : addresses_each(a, address_row, &e);
}

void readback_faults(const struct applier *a, struct buf *out)
{
	kernel_faults(&a->kernel, out);
	device_faults(a, out);
	HASH_EACH (&a->links, s)
		pod_link_check(a, s->value, out);
}

static int check_map(const struct applier *a, const struct change *c)
{
	uint8_t value[MAP_VALUE_MAX];
	int err = map_get(&a->kernel, c->row.table, c->row.key, value);

	if (c->op == CHANGE_DEL)
		return err == -ENOENT || map_table[c->row.table].type == BPF_MAP_TYPE_ARRAY ? 0 : -EBADE;
	return !err && !memcmp(value, c->row.value, c->row.value_len) ? 0 : -EBADE;
}

static int check_link(const struct applier *a, const struct change *c)
{
	const struct pod_link *l;
	uint32_t index;

	memcpy(&index, c->row.key, sizeof(index));
	l = pod_link_get(a, index);
	if (c->op == CHANGE_DEL)
		return l ? -EBADE : 0;
	return l ? pod_link_check(a, l, NULL) : -EBADE;
}

struct found {
	struct hash rows; /* key → value copy */
	int err;
};

static int keep_route(void *ctx, const struct route_key *key, const struct route_value *value)
{
	struct found *f = ctx;
	struct route_value *copy = malloc(sizeof(*copy));
	void *old = NULL;
	int err;

	if (!copy)
		return -ENOMEM;
	*copy = *value;
	err = hash_set(&f->rows, (struct str){.p = (const char *)key, .n = sizeof(*key)}, copy, &old);
	free(err ? (void *)copy : old);
	return err;
}

static int check_route(const struct found *f, const struct change *c)
{
	const void *v = hash_get(&f->rows, (struct str){.p = (const char *)c->row.key, .n = c->row.key_len});

	if (c->op == CHANGE_DEL)
		return v ? -EBADE : 0;
	return v && !memcmp(v, c->row.value, sizeof(struct route_value)) ? 0 : -EBADE;
}

struct presence {
	struct addr addr;
	bool there;
};

static int is_there(void *ctx, const struct address_key *key)
{
	struct presence *p = ctx;

	p->there |= addr_eq(&p->addr, &key->addr);
	return 0;
}

static int check_address(const struct applier *a, const struct change *c)
{
	struct presence p = {0};
	int err;

	memcpy(&p.addr, c->row.key, sizeof(p.addr));
	err = addresses_each(a, is_there, &p);
	return err ? err : p.there == (c->op != CHANGE_DEL) ? 0 : -EBADE;
}

void readback_check(const struct applier *a, const struct change *c, size_t n, int32_t *results)
{
	struct found f = {0};
	bool routes = false;

	for (size_t i = 0; i < n; i++) {
		if (results[i])
			continue;
		switch (c[i].row.type) {
		case ROW_MAP:
			results[i] = check_map(a, &c[i]);
			break;
		case ROW_LINK:
			results[i] = check_link(a, &c[i]);
			break;
		case ROW_ADDRESS:
			results[i] = check_address(a, &c[i]);
			break;
		default:
			routes = true;
			break;
		}
	}
	if (!routes)
		return;
	f.err = routes_each(a, keep_route, &f);
	for (size_t i = 0; i < n; i++)
		if (c[i].row.type == ROW_ROUTE && !results[i])
			results[i] = f.err ? f.err : check_route(&f, &c[i]);
	HASH_EACH (&f.rows, s)
		free(s->value);
	hash_fini(&f.rows);
}
