/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids: 32-bit names of contents (policy sets, classes, port sets, rules, backend lists, nodes). An id is a
 * hash of the content, so equal content has the same id on every node and after every restart; where two
 * contents meet on one id, the later one is hashed again with a salt. Ids below 16 are reserved
 * (seam/policy.h).
 */
#ifndef WEFT_COMPILE_ID_H
#define WEFT_COMPILE_ID_H

#include "base/hash.h"

enum { ID_FIRST = 16 };

struct ids { /* one name space of ids; zeroed is empty */
	struct hash by_id;
};

/* The id of a content with hash h; `content` is what id_find() gives back, and must be unique for the
 * content. 0 when out of memory. */
uint32_t id_take(struct ids *t, uint64_t h, void *content);
/* The same with the bits of `mask` being those of `bits`. */
uint32_t id_take_as(struct ids *t, uint64_t h, void *content, uint32_t mask, uint32_t bits);
void id_drop(struct ids *t, uint32_t id);
void *id_find(const struct ids *t, uint32_t id); /* NULL when free */
void ids_fini(struct ids *t);

#endif
