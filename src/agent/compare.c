/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows in force against rows wanted. Values are compared as bytes. In one step rows are added in the order in
 * which they point to each other, so that nothing points to what is not there yet. Called by sync.c.
 */
#include "agent/compare.h"

#include <errno.h>
#include <stdlib.h>

enum { ROW_KEY_MAX = 3 + 264 };

void kept_forget(struct hash *actual)
{
	HASH_EACH (actual, s)
		free(s->value);
	hash_fini(actual);
	*actual = (struct hash){0};
}

static struct str packed(const struct row *r, char out[ROW_KEY_MAX])
{
	out[0] = (char)r->type;
	memcpy(out + 1, &r->table, 2);
	memcpy(out + 3, r->key, r->key_len);
	return (struct str){.p = out, .n = 3U + r->key_len};
}

int kept_add(struct hash *actual, const struct row *r)
{
	char key[ROW_KEY_MAX];
	struct kept_row *k;
	void *old = NULL;
	int err;

	if (r->key_len + 3U > sizeof(key))
		return -EINVAL;
	k = calloc(1, sizeof(*k) + r->key_len + r->value_len);
	if (!k)
		return -ENOMEM;
	k->type = r->type;
	k->table = r->table;
	k->key_len = r->key_len;
	k->value_len = r->value_len;
	memcpy(k->bytes, r->key, r->key_len);
	if (r->value_len)
		memcpy(k->bytes + r->key_len, r->value, r->value_len);
	err = hash_set(actual, packed(r, key), k, &old);
	free(err ? (void *)k : old);
	return err;
}

/* In which order rows of a comparison are added: first what others point to. Removed in the opposite order.
 */
static unsigned rank(uint8_t type, uint16_t table)
{
	static const uint8_t maps[PLAN_MAP_COUNT] = {
	    [PLAN_MAP_name_match] = 1,	 [PLAN_MAP_name] = 2,	   [PLAN_MAP_port] = 3,
	    [PLAN_MAP_policy] = 4,	 [PLAN_MAP_backend] = 5,   [PLAN_MAP_node] = 6,
	    [PLAN_MAP_source_range] = 7, [PLAN_MAP_range] = 8,	   [PLAN_MAP_service] = 9,
	    [PLAN_MAP_address] = 10,	 [PLAN_MAP_block] = 11,	   [PLAN_MAP_block_trie] = 11,
	    [PLAN_MAP_config] = 12,	 [PLAN_MAP_endpoint] = 13, [PLAN_MAP_iface] = 14};

	if (type == ROW_MAP)
		return maps[table];
	return type == ROW_LINK ? 15 : type == ROW_ROUTE ? 16 : 17;
}

static int order(const void *x, const void *y)
{
	const struct change *a = x, *b = y;
	int ra = (int)rank(a->row.type, a->row.table), rb = (int)rank(b->row.type, b->row.table);

	if (a->op != b->op)
		return a->op - b->op;
	if (ra != rb)
		return a->op == CHANGE_DEL ? rb - ra : ra - rb;
	return row_cmp(&a->row, &b->row);
}

int kept_compare(struct hash *actual, const struct plan *want, struct plan_delta *out)
{
	struct plan_step step = {0};

	VEC_EACH (&want->rows, r) {
		char key[ROW_KEY_MAX];
		struct kept_row *k = hash_get(actual, packed(r, key));
		struct change c = {.op = k ? CHANGE_SET : CHANGE_ADD, .row = *r};

		if (k)
			k->wanted = true;
		if (k && k->value_len == r->value_len &&
		    (!r->value_len || !memcmp(k->bytes + k->key_len, r->value, r->value_len)))
			continue;
		if (vec_push(&step.changes, c))
			goto nomem;
	}
	HASH_EACH (actual, s) {
		const struct kept_row *k = s->value;
		struct change c = {.op = CHANGE_DEL,
				   .row = {.type = k->type,
					   .table = k->table,
					   .key_len = k->key_len,
					   .value_len = k->value_len,
					   .key = k->bytes,
					   .value = k->bytes + k->key_len}};

		if (!k->wanted && vec_push(&step.changes, c))
			goto nomem;
	}
	if (step.changes.len)
		qsort(step.changes.items, step.changes.len, sizeof(*step.changes.items), order);
	if (!vec_push(&out->steps, step))
		return 0;
nomem:
	vec_free(&step.changes);
	return -ENOMEM;
}
