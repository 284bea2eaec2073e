/* SPDX-License-Identifier: Apache-2.0 */
/* Histories as data, and as text that `weft` reads. */
#include "history.h"

#include <stdio.h>
#include <stdlib.h>

#include "object/decode.h"

void *must_have(void *p)
{
	if (p)
		return p;
	fprintf(stderr, "prove: out of memory\n");
	exit(2);
}

void batch_put(struct batch *b, enum kind kind, const char *ns, const char *name, const char *json)
{
	struct op op = {.kind = kind};
	snprintf(op.ns, sizeof(op.ns), "%s", ns);
	snprintf(op.name, sizeof(op.name), "%s", name);
	op.json = json ? must_have(strdup(json)) : NULL;
	if (vec_push(&b->ops, op))
		must_have(NULL);
}

void batch_answer(struct batch *b, const char *name, const struct addr *a)
{
	struct dns_answer answer = {.addr = *a};
	snprintf(answer.name, sizeof(answer.name), "%s", name);
	if (vec_push(&b->answers, answer))
		must_have(NULL);
}

void batch_keep(struct batch *b, const struct kept *k)
{
	if (vec_push(&b->kept, *k))
		must_have(NULL);
}

void batch_fini(struct batch *b)
{
	VEC_EACH (&b->ops, op)
		free(op->json);
	vec_free(&b->ops);
	vec_free(&b->answers);
	vec_free(&b->kept);
}

void history_fini(struct history *h)
{
	VEC_EACH (&h->batches, b)
		batch_fini(b);
	vec_free(&h->batches);
}

static void answers_copy(struct batch *to, const struct batch *from)
{
	VEC_EACH (&from->answers, a)
		batch_answer(to, a->name, &a->addr);
}

static void batch_copy(struct batch *to, const struct batch *from)
{
	answers_copy(to, from);
	VEC_EACH (&from->kept, k)
		batch_keep(to, k);
	VEC_EACH (&from->ops, op)
		batch_put(to, op->kind, op->ns, op->name, op->json);
}

void history_copy(struct history *to, const struct history *from, size_t batches)
{
	*to = (struct history){0};
	for (size_t i = 0; i < batches; i++) {
		struct batch b = {0};
		batch_copy(&b, &from->batches.items[i]);
		if (vec_push(&to->batches, b))
			must_have(NULL);
	}
}

static bool same_object(const struct op *a, const struct op *b)
{
	return a->kind == b->kind && !strcmp(a->ns, b->ns) && !strcmp(a->name, b->name);
}

void history_flatten(struct history *to, const struct history *from)
{
	struct batch all = {0}, last = {0};
	VEC_EACH (&from->batches, b)
		batch_copy(&all, b);
	for (size_t i = 0; i < all.ops.len; i++) {
		const struct op *op = &all.ops.items[i];
		bool later = false;
		for (size_t j = i + 1; j < all.ops.len; j++)
			later |= same_object(op, &all.ops.items[j]);
		if (!later && op->json)
			batch_put(&last, op->kind, op->ns, op->name, op->json);
	}
	batch_fini(&all); /* with the connections kept: there is nothing after it */
	if (from->batches.len)
		answers_copy(&last, &from->batches.items[from->batches.len - 1]);
	*to = (struct history){0};
	if (vec_push(&to->batches, last))
		must_have(NULL);
}

static void print_op(struct buf *b, const struct op *op)
{
	struct object *o = NULL;
	struct remarks rs = {0};
	if (!op->json) {
		buf_printf(b, "# away: %s %s%s%s\n", kind_table[op->kind].name, op->ns, *op->ns ? "/" : "",
			   op->name);
		return;
	}
	buf_addz(b, "---\n");
	if (decode_json_object(str_of(op->json), NULL, NULL, &o, &rs))
		buf_printf(b, "%s\n", op->json);
	else
		object_print_yaml(b, o, PRINT_PLAIN);
	object_unref(&o);
	remarks_fini(&rs);
}

void history_print(struct buf *b, const struct history *h)
{
	for (size_t i = 0; i < h->batches.len; i++) {
		if (i)
			buf_printf(b, "# then, change %zu:\n", i);
		VEC_EACH (&h->batches.items[i].ops, op)
			print_op(b, op);
		VEC_EACH (&h->batches.items[i].answers, a) {
			char text[ADDR_TEXT];
			addr_print(&a->addr, text);
			buf_printf(b, "# DNS says: %s is %s\n", a->name, text);
		}
		VEC_EACH (&h->batches.items[i].kept, k) {
			char src[ADDR_TEXT], dst[ADDR_TEXT];
			addr_print(&k->src, src);
			addr_print(&k->dst, dst);
			buf_printf(b, "# open: %s port %u → %s port %u, protocol %u\n", src, k->sport, dst,
				   k->dport, k->proto);
		}
	}
}
