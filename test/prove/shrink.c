/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shrinks by trying: all in one batch, then without batches, without objects, without members of lists inside
 * objects. What does not differ any more, or is refused, is put back. Walks objects by their descriptors.
 */
#include "shrink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "object/decode.h"

bool replay(const struct history *h, const struct witnesses *w, const struct shot *s, struct buf *why)
{
	struct lab l;
	bool same = true;
	int e = lab_new(&l, w);
	for (size_t i = 0; i < h->batches.len && !e; i++)
		e = lab_apply(&l, &h->batches.items[i], why);
	if (e == -EUCLEAN)
		same = false;
	if (!e && s)
		same = shot_agreed(&l, s, NULL, why);
	lab_free(&l);
	return same;
}

enum { TRIES_MAX = 6000, SAME_WORDS = 28 };

struct shrinking {
	struct history *h;
	const struct witnesses *witnesses;
	const struct shot *shot;
	char first[SAME_WORDS + 1]; /* how the difference begins */
	unsigned tries;
};

static bool still(struct shrinking *k, const struct history *h)
{
	AUTO_BUF why = {0};
	return k->tries++ < TRIES_MAX && !replay(h, k->witnesses, k->shot, &why) && why.n &&
	       !strncmp(why.p, k->first, SAME_WORDS);
}

static void without_batches(struct shrinking *k)
{
	struct history flat;
	history_flatten(&flat, k->h);
	if (still(k, &flat)) {
		history_fini(k->h);
		*k->h = flat;
		return;
	}
	history_fini(&flat);
	for (size_t i = 1; i + 1 < k->h->batches.len;) { /* two neighbours become one */
		struct history h;
		history_copy(&h, k->h, k->h->batches.len);
		VEC_EACH (&h.batches.items[i].ops, op)
			batch_put(&h.batches.items[i - 1], op->kind, op->ns, op->name, op->json);
		h.batches.items[i - 1].kept.len = h.batches.items[i - 1].answers.len = 0;
		VEC_EACH (&h.batches.items[i].kept, kept)
			batch_keep(&h.batches.items[i - 1], kept);
		VEC_EACH (&h.batches.items[i].answers, a)
			batch_answer(&h.batches.items[i - 1], a->name, &a->addr);
		batch_fini(&h.batches.items[i]);
		vec_remove(&h.batches, i);
		if (still(k, &h)) {
			history_fini(k->h);
			*k->h = h;
		} else {
			history_fini(&h);
			i++;
		}
	}
}

static bool without_ops(struct shrinking *k)
{
	bool some = false;
	for (size_t b = k->h->batches.len; b-- > 0;) {
		for (size_t i = k->h->batches.items[b].ops.len; i-- > 0;) {
			struct batch *batch = &k->h->batches.items[b];
			struct op op = batch->ops.items[i];
			vec_remove(&batch->ops, i);
			if (still(k, k->h)) {
				free(op.json);
				some = true;
				continue;
			}
			if (vec_push(&batch->ops, op)) /* room for it is there */
				must_have(NULL);
			memmove(&batch->ops.items[i + 1], &batch->ops.items[i],
				(batch->ops.len - 1 - i) * sizeof(op));
			batch->ops.items[i] = op;
		}
	}
	return some;
}

/* Without connections that were open, and without what DNS said. */
#define WITHOUT_EACH(k, list)                                                                                \
	for (size_t i = (list)->len; i-- > 0;) {                                                             \
		__typeof__(*(list)->items) was = (list)->items[i];                                           \
		vec_remove(list, i);                                                                         \
		if (still(k, (k)->h)) {                                                                      \
			some = true;                                                                         \
			continue;                                                                            \
		}                                                                                            \
		memmove(&(list)->items[i + 1], &(list)->items[i], ((list)->len - i) * sizeof(was));          \
		(list)->items[i] = was;                                                                      \
		(list)->len++;                                                                               \
	}

static bool without_rest(struct shrinking *k)
{
	bool some = false;
	VEC_EACH (&k->h->batches, b) {
		WITHOUT_EACH(k, &b->kept);
		WITHOUT_EACH(k, &b->answers);
	}
	return some;
}

/* A cut: the n-th thing inside an object that can be taken away. */
struct cut {
	size_t left;
	bool done;
};

static void cut_struct(struct cut *c, const struct struct_desc *d, void *at);

static void cut_list(struct cut *c, const struct field_desc *f, void *at)
{
	struct { /* the shape of every list */
		char *items;
		size_t len;
		bool set;
	} *list = at;
	size_t size = f->shape == SHAPE_MANY  ? f->type->size
		      : f->shape == SHAPE_MAP ? sizeof(struct strpair)
					      : sizeof(struct str);
	for (size_t i = list->len; i-- > 0 && !c->done;) {
		if (!c->left--) {
			memmove(list->items + i * size, list->items + (i + 1) * size,
				(list->len - i - 1) * size);
			list->len--;
			list->set = list->len || !(f->flags & FIELD_REQ);
			c->done = true;
		} else if (f->shape == SHAPE_MANY) {
			cut_struct(c, f->type, list->items + i * size);
		}
	}
}

static void cut_struct(struct cut *c, const struct struct_desc *d, void *at)
{
	for (uint32_t i = 0; i < d->n && !c->done; i++) {
		const struct field_desc *f = &d->fields[i];
		void *m = (char *)at + f->offset;
		if (f->shape == SHAPE_MANY || f->shape == SHAPE_MAP || f->shape == SHAPE_STRS)
			cut_list(c, f, m);
		else if (f->shape == SHAPE_ONE && *(void **)m) {
			if (!(f->flags & FIELD_REQ) && !c->left--) {
				*(void **)m = NULL;
				c->done = true;
			} else {
				cut_struct(c, f->type, *(void **)m);
			}
		}
	}
}

/* The object without its n-th part as JSON, NULL: it has no more parts. */
static char *cut_object(const char *json, size_t n)
{
	struct object *o = NULL;
	struct remarks rs = {0};
	struct cut c = {.left = n};
	AUTO_BUF b = {0};
	if (!decode_json_object(str_of(json), NULL, NULL, &o, &rs)) {
		cut_struct(&c, &metadata_desc, &o->meta);
		if (!c.done && o->desc->body)
			cut_struct(&c, o->desc->body, o->body);
		if (c.done)
			object_print_json(&b, o, PRINT_PLAIN);
	}
	object_unref(&o);
	remarks_fini(&rs);
	return c.done ? must_have(strdup(b.p)) : NULL;
}

static bool without_parts(struct shrinking *k)
{
	bool some = false;
	VEC_EACH (&k->h->batches, b) {
		VEC_EACH (&b->ops, op) {
			for (size_t n = 0; op->json;) {
				char *was = op->json, *less = cut_object(was, n);
				if (!less)
					break;
				op->json = less;
				if (still(k, k->h)) {
					free(was);
					some = true;
					continue;
				}
				op->json = was;
				free(less);
				n++;
			}
		}
	}
	return some;
}

void shrink(struct history *h, const struct witnesses *w, const struct shot *s, const char *why)
{
	struct shrinking k = {.h = h, .witnesses = w, .shot = s};
	snprintf(k.first, sizeof(k.first), "%s", why);
	without_batches(&k);
	for (bool some = true; some && k.tries < TRIES_MAX;) {
		some = without_ops(&k);
		some |= without_rest(&k);
		some |= without_parts(&k);
	}
	fprintf(stderr, "prove: shrunk in %u tries\n", k.tries);
}
