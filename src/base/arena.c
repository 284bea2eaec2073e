/* SPDX-License-Identifier: Apache-2.0 */
/* Arena of chained blocks that double from 512 bytes to 64 KiB. See arena.h. */
#include "base/arena.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* BLOCK_LATER: what is added to a copy of exact size is little. */
enum { BLOCK_LATER = 192, BLOCK_MIN = 512, BLOCK_MAX = 64 * 1024 };

struct arena_block {
	struct arena_block *next;
	size_t size, used;
	bool exact; /* made by arena_reserve(): says nothing of how much will follow */
	_Alignas(8) char data[];
};

static struct arena_block *add_block(struct arena *a, size_t size)
{
	struct arena_block *b = size <= SIZE_MAX - sizeof(*b) ? calloc(1, sizeof(*b) + size) : NULL;
	if (!b)
		return NULL;
	b->size = size;
	b->next = a->head;
	a->head = b;
	return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
	size_t want = (n + 7) & ~(size_t)7;
	if (want < n || (a->limit && a->used + want > a->limit))
		return NULL;
	struct arena_block *b = a->head;
	if (!b || b->size - b->used < want) {
		size_t size = !b ? BLOCK_MIN : b->exact ? BLOCK_LATER : b->size * 2;
		if (size > BLOCK_MAX)
			size = BLOCK_MAX;
		if (size < want)
			size = want;
		b = add_block(a, size);
		if (!b)
			return NULL;
	}
	void *p = b->data + b->used;
	b->used += want;
	a->used += want;
	return p;
}

int arena_reserve(struct arena *a, size_t n)
{
	size_t want = (n + 7) & ~(size_t)7;
	if (a->head && a->head->size - a->head->used >= want)
		return 0;
	struct arena_block *b = want >= n ? add_block(a, want) : NULL;
	if (!b)
		return -ENOMEM;
	b->exact = true;
	return 0;
}

void *arena_alloc_array(struct arena *a, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return arena_alloc(a, bytes);
}

struct str arena_str(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);
	if (!p)
		return (struct str){0};
	if (s.n)
		memcpy(p, s.p, s.n);
	return (struct str){.p = p, .n = s.n};
}

char *arena_strz(struct arena *a, struct str s)
{
	return (char *)(uintptr_t)arena_str(a, s).p;
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	char *p = n >= 0 ? arena_alloc(a, (size_t)n + 1) : NULL;
	if (p)
		vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return (struct str){.p = p, .n = p ? (size_t)n : 0};
}

void arena_join(struct arena *dst, struct arena *src)
{
	struct arena_block **end = &dst->head;
	while (*end)
		end = &(*end)->next;
	*end = src->head;
	dst->used += src->used;
	src->head = NULL;
	src->used = 0;
}

void arena_fini(struct arena *a)
{
	for (struct arena_block *b = a->head, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	a->head = NULL;
	a->used = 0;
}
