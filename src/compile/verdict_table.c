/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of the engine: rows of nodes in, by whole plans or by changes. Judges nothing; verdict.c does.
 * Called by the command line, by scenes and by tests.
 */
#include "compile/verdict_table.h"

#include <errno.h>
#include <stdlib.h>

#include "seam/class.h"

int verdict_table_new(struct verdict_table **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void node_free(struct node_table *n)
{
	for (int m = 0; m < PLAN_MAP_COUNT; m++) {
		HASH_EACH (&n->maps[m], s)
			free(s->value);
		hash_fini(&n->maps[m]);
	}
	HASH_EACH (&n->port_keys, s) {
		struct port_keys *keys = s->value;
		vec_free(&keys->list);
		free(keys);
	}
	hash_fini(&n->port_keys);
	free(n);
}

void verdict_table_free(struct verdict_table **tp)
{
	struct verdict_table *t = *tp;
	if (!t)
		return;
	*tp = NULL;
	HASH_EACH (&t->endpoints, s)
		free(s->value);
	hash_fini(&t->endpoints);
	VEC_EACH (&t->nodes, n)
		node_free(*n);
	vec_free(&t->nodes);
	free(t);
}

int verdict_table_node(struct verdict_table *t, size_t *index)
{
	struct node_table *n = calloc(1, sizeof(*n));
	if (!n || vec_push(&t->nodes, n)) {
		free(n);
		return -ENOMEM;
	}
	*index = n->index = t->nodes.len - 1;
	return 0;
}

static bool asked(uint16_t map)
{
	switch ((enum plan_map)map) {
	case PLAN_MAP_address:
	case PLAN_MAP_block:
	case PLAN_MAP_block_trie:
	case PLAN_MAP_range:
	case PLAN_MAP_iface:
	case PLAN_MAP_policy:
	case PLAN_MAP_port:
	case PLAN_MAP_name:
	case PLAN_MAP_name_match:
		return true;
	default:
		return false;
	}
}

static void count_len(struct node_table *n, const struct row *r, bool more)
{
	uint32_t len, *at = NULL;
	memcpy(&len, r->key, sizeof(len));
	if (r->table == PLAN_MAP_block_trie && len <= 128)
		at = &n->trie_count[len];
	if (r->table == PLAN_MAP_range && len <= 128)
		at = &n->range_count[len];
	if (at)
		*at += more ? 1 : (uint32_t)-1;
}

static int port_key_in(struct node_table *n, const struct row *r)
{
	struct port_key k;
	memcpy(&k, r->key, sizeof(k));
	struct str id = {(const char *)&k.portset, sizeof(k.portset)};
	struct port_keys *keys = hash_get(&n->port_keys, id);
	if (!keys) {
		keys = calloc(1, sizeof(*keys));
		if (!keys || hash_set(&n->port_keys, id, keys, NULL)) {
			free(keys);
			return -ENOMEM;
		}
	}
	return vec_push(&keys->list, k);
}

static void port_key_out(struct node_table *n, const struct row *r)
{
	struct port_key k;
	memcpy(&k, r->key, sizeof(k));
	struct str id = {(const char *)&k.portset, sizeof(k.portset)};
	struct port_keys *keys = hash_get(&n->port_keys, id);
	for (size_t i = keys ? keys->list.len : 0; i-- > 0;)
		if (!memcmp(&keys->list.items[i], &k, sizeof(k)))
			keys->list.items[i] = keys->list.items[--keys->list.len];
	if (keys && !keys->list.len) {
		hash_del(&n->port_keys, id);
		vec_free(&keys->list);
		free(keys);
	}
}

static int endpoint_put(struct verdict_table *t, struct node_table *n, const struct row *r)
{
	struct local *l = malloc(sizeof(*l));
	void *old = NULL;
	if (!l || hash_set(&t->endpoints, (struct str){(const char *)r->key, r->key_len}, l, &old)) {
		free(l);
		return -ENOMEM;
	}
	free(old);
	l->node = n;
	memcpy(&l->value, r->value, sizeof(l->value));
	return 0;
}

static int row_in(struct verdict_table *t, struct node_table *n, const struct row *r)
{
	if (r->type != ROW_MAP)
		return 0;
	if (r->table == PLAN_MAP_config)
		memcpy(&n->config, r->value, sizeof(n->config));
	if (r->table == PLAN_MAP_endpoint)
		return endpoint_put(t, n, r);
	if (!asked(r->table))
		return 0;
	void *copy = malloc(r->value_len), *old = NULL;
	if (!copy ||
	    hash_set(&n->maps[r->table], (struct str){(const char *)r->key, r->key_len}, copy, &old)) {
		free(copy);
		return -ENOMEM;
	}
	memcpy(copy, r->value, r->value_len);
	free(old);
	if (old)
		return 0;
	count_len(n, r, true);
	return r->table == PLAN_MAP_port ? port_key_in(n, r) : 0;
}

static void row_out(struct verdict_table *t, struct node_table *n, const struct row *r)
{
	struct str key = {(const char *)r->key, r->key_len};
	if (r->type != ROW_MAP)
		return;
	if (r->table == PLAN_MAP_endpoint)
		free(hash_del(&t->endpoints, key));
	if (!asked(r->table))
		return;
	void *old = hash_del(&n->maps[r->table], key);
	if (!old)
		return;
	free(old);
	count_len(n, r, false);
	if (r->table == PLAN_MAP_port)
		port_key_out(n, r);
}

int verdict_table_change(struct verdict_table *t, size_t index, const struct change *ch)
{
	struct node_table *n = t->nodes.items[index];
	if (ch->op == CHANGE_DEL) {
		row_out(t, n, &ch->row);
		return 0;
	}
	return row_in(t, n, &ch->row);
}

int verdict_table_add(struct verdict_table *t, const struct plan *p)
{
	size_t index;
	int e = verdict_table_node(t, &index);
	for (size_t i = 0; i < p->rows.len && !e; i++)
		e = row_in(t, t->nodes.items[index], &p->rows.items[i]);
	return e;
}

const void *table_prefix(const struct node_table *n, enum plan_map m, const struct addr *a, unsigned len)
{
	struct block_key k = {.len = len};
	struct addr masked = *a;
	prefix_mask(&masked, len);
	memcpy(&k.addr, &masked, sizeof(k.addr));
	return table_find(n, m, &k, sizeof(k));
}

const void *table_longest(const struct node_table *n, enum plan_map m, const uint32_t count[129],
			  const struct addr *a)
{
	for (unsigned len = 129; len-- > 0;) {
		const void *v = count[len] ? table_prefix(n, m, a, len) : NULL;
		if (v)
			return v;
	}
	return NULL;
}
