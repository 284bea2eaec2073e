/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arena: memory that lives and dies together (one compile run, one request, one object).
 * Allocations are zeroed and 8-byte aligned; nothing is freed one by one. `limit` bounds the whole (0: none).
 */
#ifndef WEFT_BASE_ARENA_H
#define WEFT_BASE_ARENA_H

#include "base/str.h"

struct arena_block;
struct arena {
	struct arena_block *head;
	size_t used;  /* bytes handed out */
	size_t limit; /* 0: unbounded */
};

/* NULL when out of memory or over the limit. */
void *arena_alloc(struct arena *a, size_t n);
#define arena_new(a, T)	     ((T *)arena_alloc((a), sizeof(T)))
#define arena_array(a, T, n) ((T *)arena_alloc_array((a), (n), sizeof(T)))
void *arena_alloc_array(struct arena *a, size_t n, size_t size);
/* Makes room for n bytes in one block of just that size, so that a copy of known size wastes nothing: 0 or
 * -ENOMEM. */
int arena_reserve(struct arena *a, size_t n);
/* Copies; the result is NUL-terminated too. .p is NULL when out of memory. */
struct str arena_str(struct arena *a, struct str s);
char *arena_strz(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Hands all memory of src over to dst; src is empty then. */
void arena_join(struct arena *dst, struct arena *src);
void arena_fini(struct arena *a);

#define AUTO_ARENA __attribute__((cleanup(arena_fini))) struct arena

#endif
