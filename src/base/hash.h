/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash table from byte keys to pointers; keys are copied in. Open addressing with tombstone-free deletion;
 * iteration order is by slot and so not defined: sort where order is shown.
 */
#ifndef WEFT_BASE_HASH_H
#define WEFT_BASE_HASH_H

#include "base/str.h"

struct hash_slot {
	uint64_t h; /* 0: empty */
	struct str key;
	void *value;
};

struct hash {
	struct hash_slot *slots;
	size_t len, cap; /* cap is 0 or a power of two */
};

/* 64-bit hash of n bytes (wyhash-like mixing of our own); stable across runs and machines. */
uint64_t hash_bytes(const void *p, size_t n, uint64_t seed);

void *hash_get(const struct hash *t, struct str key);
/* Sets key to value (not NULL): 0 or -ENOMEM. *old (may be NULL) gets the former value or NULL. */
int hash_set(struct hash *t, struct str key, void *value, void **old);
/* Removes key and returns its value, or NULL. */
void *hash_del(struct hash *t, struct str key);
void hash_fini(struct hash *t);

#define HASH_EACH(t, slot)                                                                                   \
	for (struct hash_slot *slot = (t)->slots; slot && slot < (t)->slots + (t)->cap; slot++)              \
		if (slot->h)

#endif
