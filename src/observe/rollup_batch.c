/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between roll-ups and their file: takes out what waits to be written, puts back what could not be, takes up
 * what an earlier run wrote. Called by the hub, and by rollup_file.c at its opening.
 */
#include "observe/rollup_state.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"

int rollup_drain(struct rollup *r, struct rollup_batch *out)
{
	struct rollup_batch b = {};

	if (vec_reserve(&b.open, r->dirty.len) || vec_reserve(&b.nodes, r->nodes.len)) {
		vec_free(&b.open);
		vec_free(&b.nodes);
		return -ENOMEM;
	}
	VEC_EACH (&r->dirty, k) {
		b.open.items[b.open.len++] = (*k)->o;
		(*k)->o.key->refs++;
		(*k)->dirty = 0;
		(*k)->saved = true;
	}
	r->dirty.len = 0;
	VEC_EACH (&r->nodes, n)
		if ((*n)->dirty) {
			b.nodes.items[b.nodes.len++] = **n;
			(*n)->dirty = false;
		}
	memcpy(&b.cells, &r->cells, sizeof(b.cells));
	memcpy(&b.over, &r->over, sizeof(b.over));
	memset(&r->cells, 0, sizeof(r->cells));
	memset(&r->over, 0, sizeof(r->over));
	hash_fini(&r->by_cell);
	r->by_cell = (struct hash){};
	r->fresh = 0;
	*out = b;
	return 0;
}

void rollup_written(struct rollup *r, struct rollup_batch *b)
{
	VEC_EACH (&b->cells, c)
		rollup_key_unref(r, c->key);
	VEC_EACH (&b->open, o)
		rollup_key_unref(r, o->key);
	VEC_EACH (&b->over, o)
		rollup_key_unref(r, o->key);
	vec_free(&b->cells);
	vec_free(&b->open);
	vec_free(&b->over);
	vec_free(&b->nodes);
}

static void reindex(struct rollup *r)
{
	hash_fini(&r->by_cell);
	r->by_cell = (struct hash){};
	for (size_t i = 0; i < r->cells.len; i++) {
		struct rollup_cell *c = &r->cells.items[i];
		struct cell_key k = {c->t, c->key, c->level};

		/* Out of memory: it is written as a cell of its own. */
		hash_set(&r->by_cell, cell_str(&k), (void *)(uintptr_t)(i + 1), NULL);
	}
}

/* Gives up seconds: the older half of those that wait. Minutes and hours keep what they were. */
static void give_up(struct rollup *r)
{
	size_t seconds = 0, kept = 0, n = 0;
	int64_t lo = INT64_MAX, hi = 0;

	VEC_EACH (&r->cells, c)
		if (c->level == ROLLUP_SECOND) {
			seconds++;
			lo = c->t < lo ? c->t : lo;
			hi = c->t > hi ? c->t : hi;
		}
	if (seconds <= r->limits.cells)
		return;
	int64_t before = lo + (hi - lo) / 2 + 1;

	for (; n < r->cells.len; n++) {
		struct rollup_cell *c = &r->cells.items[n];

		if (c->level == ROLLUP_SECOND && c->t < before) {
			r->n.gave_up++;
			rollup_key_unref(r, c->key);
		} else {
			r->cells.items[kept++] = *c;
		}
	}
	r->cells.len = kept;
	reindex(r);
}

void rollup_restore(struct rollup *r, struct rollup_batch *b)
{
	uint32_t fresh = r->fresh;

	VEC_EACH (&b->cells, c)
		if (rollup_add_at(r, c->t, c->level, c->key, c->v))
			r->n.gave_up++;
	r->fresh = fresh;
	VEC_EACH (&b->open, o) {
		struct rollup_open_key key = rollup_open_key(o->id, o->node);
		struct rollup_known *k = hash_get(&r->open, rollup_open_str(&key));

		if (k)
			rollup_mark(r, k);
	}
	VEC_EACH (&b->over, o)
		if (!vec_push(&r->over, *o))
			o->key->refs++;
	VEC_EACH (&r->nodes, n)
		(*n)->dirty = true;
	rollup_written(r, b);
	give_up(r);
}

void rollup_each(const struct rollup *r, void (*fn)(void *ctx, const struct rollup_cell *c), void *ctx)
{
	VEC_EACH (&r->cells, c)
		fn(ctx, c);
}

struct rollup_node *const *rollup_nodes(const struct rollup *r, size_t *n)
{
	*n = r->nodes.len;
	return r->nodes.items;
}

int rollup_load_open(struct rollup *r, const struct rollup_open *o)
{
	struct rollup_open_key key = rollup_open_key(o->id, o->key->node);
	struct rollup_known *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->o = *o;
	k->o.node = o->key->node;
	k->saved = true;
	if (hash_get(&r->open, rollup_open_str(&key)) || hash_set(&r->open, rollup_open_str(&key), k, NULL)) {
		free(k);
		return -ENOMEM;
	}
	return 0;
}

int rollup_load_node(struct rollup *r, const struct rollup_node *known)
{
	struct rollup_node *n = rollup_node_get(r, str_of(known->name));
	char *name = n ? n->name : NULL;

	if (!n)
		return -ENOMEM;
	if (n->to > known->to)
		return 0;
	*n = *known;
	n->name = name;
	n->mono = 0;
	n->dirty = false;
	n->old_open = false;
	return 0;
}

void rollup_begins(struct rollup *r, uint64_t mono)
{
	r->begins = mono;
}

void rollup_forget_file(struct rollup *r)
{
	r->begins = 0;
	HASH_EACH (&r->keys, s) {
		struct rollup_key *k = s->value;

		k->file_id = k->file_hour = 0;
	}
	HASH_EACH (&r->open, s)
		rollup_mark(r, s->value);
	VEC_EACH (&r->over, o)
		rollup_key_unref(r, o->key);
	r->over.len = 0;
	VEC_EACH (&r->nodes, n)
		(*n)->dirty = true;
}
