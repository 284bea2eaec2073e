/* SPDX-License-Identifier: Apache-2.0 */
/* The table of rows, see rows.h: open addressing on (type, table, key). Knows nothing of what rows mean. */
#include "compile/rows.h"

#include <errno.h>
#include <stdlib.h>

static uint32_t row_hash(uint8_t type, uint16_t table, const void *key, size_t n)
{
	uint64_t h = hash_bytes(key, n, (uint64_t)type << 16 | table);
	return (uint32_t)(h ^ (h >> 32));
}

static struct prow **slot_of(const struct rows *t, uint32_t h, uint8_t type, uint16_t table, const void *key,
			     size_t n)
{
	for (size_t i = h & (t->cap - 1);; i = (i + 1) & (t->cap - 1)) {
		struct prow *r = t->slots[i];
		if (!r || (r->hash == h && r->type == type && r->table == table && !memcmp(r->key, key, n)))
			return &t->slots[i];
	}
}

struct prow *row_find(const struct rows *t, uint8_t type, uint16_t table, const void *key)
{
	uint16_t kn, vn;
	if (!t->cap || row_sizes(type, table, &kn, &vn))
		return NULL;
	return *slot_of(t, row_hash(type, table, key, kn), type, table, key, kn);
}

static int grow(struct rows *t)
{
	size_t cap = t->cap ? t->cap * 2 : 64;
	struct prow **slots = calloc(cap, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < t->cap; i++) {
		if (!t->slots[i])
			continue;
		size_t j = t->slots[i]->hash & (cap - 1);
		while (slots[j])
			j = (j + 1) & (cap - 1);
		slots[j] = t->slots[i];
	}
	free(t->slots);
	t->slots = slots;
	t->cap = cap;
	return 0;
}

static struct prow *row_make(struct rows *t, uint8_t type, uint16_t table, const void *key)
{
	uint16_t kn, vn;
	if (row_sizes(type, table, &kn, &vn))
		return NULL;
	if ((t->len + 1) * 4 > t->cap * 3 && grow(t))
		return NULL;
	uint32_t h = row_hash(type, table, key, kn);
	struct prow **slot = slot_of(t, h, type, table, key, kn);
	struct prow *r = *slot;
	if (r)
		return r;
	r = calloc(1, sizeof(*r) + kn);
	if (!r)
		return NULL;
	r->hash = h;
	r->type = type;
	r->table = table;
	r->key_len = kn;
	r->value_len = vn;
	memcpy(r->key, key, kn);
	*slot = r;
	t->len++;
	return r;
}

static void row_free(struct rows *t, struct prow *r)
{
	size_t mask = t->cap - 1, hole = r->hash & mask;
	while (t->slots[hole] != r)
		hole = (hole + 1) & mask;
	t->slots[hole] = NULL;
	for (size_t i = (hole + 1) & mask; t->slots[i]; i = (i + 1) & mask) {
		size_t home = t->slots[i]->hash & mask;
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		t->slots[hole] = t->slots[i];
		t->slots[i] = NULL;
		hole = i;
	}
	t->len--;
	free(r);
}

static int mark(struct rows *t, struct prow *r)
{
	if (r->dirty)
		return 0;
	int e = vec_push(&t->dirty, r);
	r->dirty = !e;
	t->failed |= e != 0;
	return e;
}

static int owner_cmp(const struct owner *a, const struct owner *b)
{
	if (!a->src || !b->src)
		return (b->src != NULL) - (a->src != NULL);
	return strcmp(a->src->text, b->src->text);
}

/* A claim of ow in r, cut out of the list when `cut`. */
static struct rowval **claim_of(struct prow *r, const struct owner *ow)
{
	struct rowval **at = &r->want;
	while (*at && (*at)->owner != ow)
		at = &(*at)->next;
	return at;
}

static struct rowval *claim_make(struct prow *r, struct owner *ow, const void *value)
{
	size_t n = offsetof(struct rowval, bytes) + r->value_len;
	struct rowval *v = malloc(n > sizeof(*v) ? n : sizeof(*v));
	if (!v)
		return NULL;
	*v = (struct rowval){.owner = ow, .claimed = true};
	memcpy(v->bytes, value, r->value_len);
	return v;
}

static void claim_let_go(struct prow *r, struct rowval *v)
{
	v->claimed = false;
	v->next = NULL;
	if (v != r->in_force)
		free(v);
}

int row_put(struct rows *t, struct owner *ow, uint8_t type, uint16_t table, const void *key,
	    const void *value, const struct src *src, const void *member)
{
	struct prow *r = row_make(t, type, table, key);
	if (!r || mark(t, r)) {
		t->failed = true;
		return -ENOMEM;
	}
	struct rowval **at = claim_of(r, ow), *v = *at;
	bool listed_now = v && v->gen == ow->gen;
	if (!v || memcmp(v->bytes, value, r->value_len)) {
		struct rowval *fresh = claim_make(r, ow, value);
		if (!fresh) {
			t->failed = true;
			return -ENOMEM;
		}
		if (v) {
			*at = v->next;
			claim_let_go(r, v);
		}
		struct rowval **to = &r->want;
		while (*to && owner_cmp((*to)->owner, ow) < 0)
			to = &(*to)->next;
		fresh->next = *to;
		*to = fresh;
		v = fresh;
	}
	v->src = src;
	v->member = member;
	v->gen = ow->gen;
	if (!ow->listed || listed_now)
		return 0;
	int e = vec_push(&ow->rows, r);
	t->failed |= e != 0;
	return e;
}

void row_drop(struct rows *t, struct owner *ow, struct prow *r)
{
	struct rowval **at = claim_of(r, ow), *v = *at;
	if (!v || mark(t, r))
		return;
	*at = v->next;
	claim_let_go(r, v);
}

void owner_begin(struct owner *ow)
{
	ow->gen++;
	vec_free(&ow->old);
	ow->old.items = ow->rows.items;
	ow->old.len = ow->rows.len;
	ow->old.cap = ow->rows.cap;
	ow->rows.items = NULL;
	ow->rows.len = ow->rows.cap = 0;
}

void owner_end(struct rows *t, struct owner *ow)
{
	VEC_EACH (&ow->old, r) {
		struct rowval *v = *claim_of(*r, ow);
		if (v && v->gen != ow->gen)
			row_drop(t, ow, *r);
	}
	vec_free(&ow->old);
}

void owner_clear(struct rows *t, struct owner *ow)
{
	owner_begin(ow);
	owner_end(t, ow);
	vec_free(&ow->rows);
}

void owner_fini(struct owner *ow)
{
	vec_free(&ow->rows);
	vec_free(&ow->old);
}

void rows_commit(struct rows *t)
{
	VEC_EACH (&t->dirty, it) {
		struct prow *r = *it;
		struct rowval *was = r->in_force;
		r->in_force = r->want;
		r->dirty = false;
		if (was && was != r->in_force && !was->claimed)
			free(was);
		if (!r->in_force)
			row_free(t, r);
	}
	t->dirty.len = 0;
}

int rows_forget(struct rows *t)
{
	static const struct src nobody = {.o = NULL, .text = NULL};
	if (vec_reserve(&t->dirty, t->len))
		return -ENOMEM;
	t->dirty.len = 0;
	t->failed = false;
	for (size_t i = 0; i < t->cap; i++) {
		struct prow *r = t->slots[i];
		if (!r)
			continue;
		for (struct rowval *v = r->want, *next; v; v = next) {
			next = v->next;
			claim_let_go(r, v);
		}
		r->want = NULL;
		r->dirty = true;
		t->dirty.items[t->dirty.len++] = r;
		if (r->in_force) {
			r->in_force->owner = NULL;
			r->in_force->src = &nobody;
			r->in_force->member = NULL;
		}
	}
	return 0;
}

void rows_fini(struct rows *t)
{
	for (size_t i = 0; i < t->cap; i++) {
		struct prow *r = t->slots[i];
		if (!r)
			continue;
		for (struct rowval *v = r->want, *next; v; v = next) {
			next = v->next;
			claim_let_go(r, v);
		}
		free(r->in_force);
		free(r);
	}
	free(t->slots);
	vec_free(&t->dirty);
	*t = (struct rows){0};
}
