/* SPDX-License-Identifier: Apache-2.0 */
/* Chained hash table whose entries are part of the items. See index.h. */
#include "compile/index.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"

enum { CROWD = 16 }; /* as good as any number above */

uint64_t index_key(const void *scope, const struct strpair *pair)
{
	uint64_t h = hash_bytes(&scope, sizeof(scope), 0);
	if (!pair)
		return h;
	h = hash_bytes(pair->key.p, pair->key.n, h);
	return hash_bytes(pair->value.p, pair->value.n, h);
}

static void link_in(struct index *x, struct entry *e)
{
	struct entry **head = &x->heads[e->h & (x->cap - 1)];
	e->next = *head;
	e->at = head;
	if (e->next)
		e->next->at = &e->next;
	*head = e;
}

static int grow(struct index *x)
{
	struct index big = {.cap = x->cap ? 2 * x->cap : 8, .len = x->len};
	big.heads = calloc(big.cap, sizeof(struct entry *));
	if (!big.heads)
		return -ENOMEM;
	for (size_t i = 0; i < x->cap; i++) {
		for (struct entry *e = x->heads[i], *next; e; e = next) {
			next = e->next;
			link_in(&big, e);
		}
	}
	free(x->heads);
	*x = big;
	return 0;
}

int index_add(struct index *x, struct entry *e, uint64_t key, void *item)
{
	if (x->len == x->cap) {
		int r = grow(x);
		if (r)
			return r;
	}
	e->h = key;
	e->item = item;
	link_in(x, e);
	x->len++;
	return 0;
}

void index_remove(struct index *x, struct entry *e)
{
	if (!e->at)
		return;
	*e->at = e->next;
	if (e->next)
		e->next->at = e->at;
	e->at = NULL;
	x->len--;
}

void index_fini(struct index *x)
{
	free(x->heads);
	*x = (struct index){0};
}

static struct entry *seek(struct entry *e, uint64_t key)
{
	while (e && e->h != key)
		e = e->next;
	return e;
}

struct entry *index_first(const struct index *x, uint64_t key)
{
	return x->cap ? seek(x->heads[key & (x->cap - 1)], key) : NULL;
}

struct entry *index_next(const struct entry *e)
{
	return seek(e->next, e->h);
}

static void consider(const struct index *x, const void *scope, const struct strpair *pair, uint64_t *key,
		     unsigned *fewest)
{
	uint64_t k = index_key(scope, pair);
	unsigned n = 0;
	for (struct entry *e = index_first(x, k); e && n < CROWD; e = index_next(e))
		n++;
	if (n >= *fewest)
		return;
	*fewest = n;
	*key = k;
}

bool index_rarest(const struct index *x, const void *scope, const struct label_selector *s, uint64_t *key)
{
	const unsigned none = CROWD + 1;
	unsigned fewest = none;
	if (!s)
		return false;
	for (size_t i = 0; i < s->match_labels.len; i++)
		consider(x, scope, &s->match_labels.items[i], key, &fewest);
	for (size_t i = 0; i < s->match_expressions.len; i++) {
		const struct selector_requirement *r = &s->match_expressions.items[i];
		if (str_eqz(r->op, "In") && r->values.len == 1)
			consider(x, scope, &(struct strpair){.key = r->key, .value = r->values.items[0]}, key,
				 &fewest);
	}
	return fewest < none;
}

void index_asked(const struct index *x, const void *scope, const struct strmap *labels, index_fn *fn,
		 void *ctx)
{
	INDEX_EACH(x, index_key(scope, NULL), e)
	fn(e->item, ctx);
	for (size_t i = 0; i < labels->len; i++)
		INDEX_EACH(x, index_key(scope, &labels->items[i]), f)
	fn(f->item, ctx);
}
