/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of keys ("namespace/name"): what is dirty, what a label bucket holds. Taking them out gives them
 * sorted, so that controllers work in the same order whatever the order of events was.
 */
#ifndef WEFT_HUB_KEYSET_H
#define WEFT_HUB_KEYSET_H

#include "base/hash.h"
#include "base/vec.h"

struct keyset {
	struct hash set;
};
struct keys { /* owns its texts */
	VEC(char *) list;
};

int keyset_add(struct keyset *s, struct str key);
void keyset_del(struct keyset *s, struct str key);
static inline bool keyset_has(const struct keyset *s, struct str key)
{
	return hash_get(&s->set, key) != NULL;
}
/* Appends copies of all keys, sorted; the set stays. 0 or -ENOMEM. */
int keyset_list(const struct keyset *s, struct keys *out);
/* The same, and the set is empty afterwards. */
int keyset_take(struct keyset *s, struct keys *out);
void keyset_fini(struct keyset *s);
void keys_fini(struct keys *k);

#define AUTO_KEYS __attribute__((cleanup(keys_fini))) struct keys

#endif
