/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of the messages of compile/wire.h. A row is {op, type, table, step, key_len, value_len} and then the
 * key and the value as they lie in memory. Never reads beyond the message; never allocates while decoding.
 */
#include "compile/wire.h"

#include <errno.h>

struct row_head {
	uint8_t op, type;
	uint16_t table;
	uint16_t key_len, value_len;
	uint8_t step, pad;
};

void wire_start(struct buf *b, enum wire_type type, uint32_t txn)
{
	struct wire_head h = {.version = WIRE_VERSION, .type = (uint16_t)type, .txn = txn};

	buf_clear(b);
	buf_add(b, &h, sizeof(h));
}

static void count_up(struct buf *b)
{
	struct wire_head h;

	memcpy(&h, b->p, sizeof(h));
	h.count++;
	memcpy(b->p, &h, sizeof(h));
}

int wire_put(struct buf *b, unsigned step, const struct change *c)
{
	const struct row *r = &c->row;
	uint16_t key_len, value_len;
	bool del = c->op == CHANGE_DEL;
	struct row_head h = {
	    .op = c->op, .type = r->type, .table = r->table, .key_len = r->key_len, .step = (uint8_t)step};

	if (row_sizes(r->type, r->table, &key_len, &value_len) || step >= WIRE_STEPS_MAX ||
	    r->key_len != key_len || (!del && r->value_len != value_len))
		return -EINVAL;
	h.value_len = del ? 0 : value_len;
	if (b->n + sizeof(h) + h.key_len + h.value_len > WIRE_MESSAGE_MAX)
		return -EMSGSIZE;
	buf_add(b, &h, sizeof(h));
	buf_add(b, r->key, h.key_len);
	if (h.value_len)
		buf_add(b, r->value, h.value_len);
	if (b->failed)
		return -ENOMEM;
	count_up(b);
	return 0;
}

int wire_put_result(struct buf *b, int32_t result)
{
	if (b->n + sizeof(result) > WIRE_MESSAGE_MAX)
		return -EMSGSIZE;
	buf_add(b, &result, sizeof(result));
	if (b->failed)
		return -ENOMEM;
	count_up(b);
	return 0;
}

void wire_asks(struct buf *b, enum wire_type type, uint32_t txn, int32_t result, const struct ask *asks,
	       size_t n)
{
	struct wire_head h = {
	    .version = WIRE_VERSION, .type = (uint16_t)type, .count = (uint16_t)n, .txn = txn};

	buf_clear(b);
	buf_add(b, &h, sizeof(h));
	if (type == WIRE_ANSWER)
		buf_add(b, &result, sizeof(result));
	if (n)
		buf_add(b, asks, n * sizeof(*asks));
}

int wire_asks_read(const void *message, size_t n, int32_t *result, struct ask asks[WIRE_ASKS_MAX],
		   size_t *count)
{
	const uint8_t *p = message;
	struct wire_head h;

	memcpy(&h, p, sizeof(h));
	p += sizeof(h);
	n -= sizeof(h);
	if (h.type == WIRE_ANSWER) {
		if (n < sizeof(*result))
			return -EPROTO;
		memcpy(result, p, sizeof(*result));
		p += sizeof(*result);
		n -= sizeof(*result);
	}
	if (h.count > WIRE_ASKS_MAX || n != h.count * sizeof(*asks))
		return -EPROTO;
	*count = h.count;
	if (n)
		memcpy(asks, p, n);
	return 0;
}

int wire_head(const void *p, size_t n, struct wire_head *out)
{
	if (n < sizeof(*out) || n > WIRE_MESSAGE_MAX)
		return -EPROTO;
	memcpy(out, p, sizeof(*out));
	if (out->version != WIRE_VERSION || out->type < WIRE_HELLO || out->type >= WIRE_TYPE_END)
		return -EPROTO;
	return 0;
}

void wire_reader_init(struct wire_reader *r, const void *message, size_t n)
{
	struct wire_head h;

	memcpy(&h, message, sizeof(h));
	*r = (struct wire_reader){
	    .p = (const uint8_t *)message + sizeof(h), .n = n - sizeof(h), .left = h.count};
}

int wire_next(struct wire_reader *r, unsigned *step, struct change *c)
{
	struct row_head h;
	uint16_t key_len, value_len;

	if (!r->left)
		return r->n ? -EPROTO : 0;
	if (r->n < sizeof(h))
		return -EPROTO;
	memcpy(&h, r->p, sizeof(h));
	if (h.op > CHANGE_DEL || h.pad || h.step >= WIRE_STEPS_MAX ||
	    row_sizes(h.type, h.table, &key_len, &value_len))
		return -EPROTO;
	if (h.key_len != key_len || h.value_len != (h.op == CHANGE_DEL ? 0 : value_len))
		return -EPROTO;
	if (r->n - sizeof(h) < (size_t)h.key_len + h.value_len)
		return -EPROTO;
	*c = (struct change){.op = h.op,
			     .row = {.type = h.type,
				     .table = h.table,
				     .key_len = h.key_len,
				     .value_len = h.value_len,
				     .key = r->p + sizeof(h),
				     .value = h.value_len ? r->p + sizeof(h) + h.key_len : NULL}};
	*step = h.step;
	r->p += sizeof(h) + h.key_len + h.value_len;
	r->n -= sizeof(h) + h.key_len + h.value_len;
	r->left--;
	return 1;
}
