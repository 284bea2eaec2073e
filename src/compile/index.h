/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From labels to what asks for them, and from selectors to what has the labels: a table of entries by the
 * hash of one (key, value) within a scope (a namespace, or NULL for all). Who looks up tests what is found:
 * other labels may be asked for too. An entry lies within its item, which must take it out before it goes.
 */
#ifndef WEFT_COMPILE_INDEX_H
#define WEFT_COMPILE_INDEX_H

#include "object/object.h"

struct entry {
	struct entry *next, **at; /* at: what points to it; NULL: in no index */
	uint64_t h;
	void *item;
};

struct index {
	struct entry **heads;
	size_t len, cap; /* cap is 0 or a power of two */
};

/* pair NULL: of what asks for no pair. */
uint64_t index_key(const void *scope, const struct strpair *pair);
/* 0 or -ENOMEM; e is in no index. */
int index_add(struct index *x, struct entry *e, uint64_t key, void *item);
void index_remove(struct index *x, struct entry *e); /* nothing where e is in no index */
void index_fini(struct index *x);		     /* does not look at the entries */

/* Of the pairs that the selector (NULL: none) requires the one that fewest entries have; false: it requires
 * none. */
bool index_rarest(const struct index *x, const void *scope, const struct label_selector *s, uint64_t *key);

struct entry *index_first(const struct index *x, uint64_t key);
struct entry *index_next(const struct entry *e); /* of the same key */

#define INDEX_EACH(x, key, e) for (struct entry *e = index_first((x), (key)); e; e = index_next(e))

/* Where the items are what has selectors: all that may select these labels, each once. */
typedef void index_fn(void *item, void *ctx);
void index_asked(const struct index *x, const void *scope, const struct strmap *labels, index_fn *fn,
		 void *ctx);

#endif
