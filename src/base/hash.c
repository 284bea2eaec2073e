/* SPDX-License-Identifier: Apache-2.0 */
/* Hash table with linear probing and backward-shift deletion. See hash.h. */
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t mix(uint64_t a, uint64_t b)
{
	__uint128_t m = (__uint128_t)a * b;
	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

uint64_t hash_bytes(const void *p, size_t n, uint64_t seed)
{
	const unsigned char *c = p;
	uint64_t h = seed ^ 0x9e3779b97f4a7c15ULL ^ (uint64_t)n;
	while (n >= 8) {
		uint64_t w;
		memcpy(&w, c, 8);
		h = mix(h ^ w, 0xd6e8feb86659fd93ULL);
		c += 8;
		n -= 8;
	}
	uint64_t tail = 0;
	if (n)
		memcpy(&tail, c, n);
	h = mix(h ^ tail, 0xa0761d6478bd642fULL);
	return mix(h, 0xe7037ed1a0b428dbULL);
}

static uint64_t key_hash(struct str key)
{
	uint64_t h = hash_bytes(key.p, key.n, 0);
	return h ? h : 1;
}

static struct hash_slot *find(const struct hash *t, struct str key, uint64_t h)
{
	if (!t->cap)
		return NULL;
	for (size_t i = h & (t->cap - 1);; i = (i + 1) & (t->cap - 1)) {
		struct hash_slot *s = &t->slots[i];
		if (!s->h || (s->h == h && str_eq(s->key, key)))
			return s;
	}
}

void *hash_get(const struct hash *t, struct str key)
{
	struct hash_slot *s = find(t, key, key_hash(key));
	return s && s->h ? s->value : NULL;
}

static int grow(struct hash *t)
{
	size_t cap = t->cap ? t->cap * 2 : 16;
	struct hash_slot *slots = calloc(cap, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	struct hash next = {.slots = slots, .len = t->len, .cap = cap};
	HASH_EACH (t, s)
		*find(&next, s->key, s->h) = *s;
	free(t->slots);
	*t = next;
	return 0;
}

int hash_set(struct hash *t, struct str key, void *value, void **old)
{
	uint64_t h = key_hash(key);
	struct hash_slot *s = find(t, key, h);
	if (s && s->h) {
		if (old)
			*old = s->value;
		s->value = value;
		return 0;
	}
	if ((t->len + 1) * 4 > t->cap * 3) {
		int r = grow(t);
		if (r)
			return r;
		s = find(t, key, h);
	}
	char *copy = malloc(key.n + 1);
	if (!copy)
		return -ENOMEM;
	if (key.n)
		memcpy(copy, key.p, key.n);
	copy[key.n] = '\0';
	*s = (struct hash_slot){.h = h, .key = {copy, key.n}, .value = value};
	t->len++;
	if (old)
		*old = NULL;
	return 0;
}

void *hash_del(struct hash *t, struct str key)
{
	struct hash_slot *s = find(t, key, key_hash(key));
	if (!s || !s->h)
		return NULL;
	void *value = s->value;
	free((void *)(uintptr_t)s->key.p);
	size_t hole = (size_t)(s - t->slots), mask = t->cap - 1;
	for (size_t i = (hole + 1) & mask; t->slots[i].h; i = (i + 1) & mask) {
		size_t home = t->slots[i].h & mask;
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		t->slots[hole] = t->slots[i];
		hole = i;
	}
	t->slots[hole] = (struct hash_slot){0};
	t->len--;
	return value;
}

void hash_fini(struct hash *t)
{
	HASH_EACH (t, s)
		free((void *)(uintptr_t)s->key.p);
	free(t->slots);
	*t = (struct hash){0};
}
