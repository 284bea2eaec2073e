/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of keys over base/hash. See keyset.h. */
#include "hub/keyset.h"

#include <errno.h>

int keyset_add(struct keyset *s, struct str key)
{
	return hash_set(&s->set, key, (void *)1, NULL);
}

void keyset_del(struct keyset *s, struct str key)
{
	hash_del(&s->set, key);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int keyset_list(const struct keyset *s, struct keys *out)
{
	if (vec_reserve(&out->list, out->list.len + s->set.len))
		return -ENOMEM;
	HASH_EACH (&s->set, slot) {
		char *copy = strndup(slot->key.p, slot->key.n);
		if (!copy)
			return -ENOMEM;
		out->list.items[out->list.len++] = copy;
	}
	if (out->list.len > 1)
		qsort(out->list.items, out->list.len, sizeof(char *), by_bytes);
	return 0;
}

int keyset_take(struct keyset *s, struct keys *out)
{
	int r = keyset_list(s, out);
	if (!r)
		keyset_fini(s);
	return r;
}

void keyset_fini(struct keyset *s)
{
	hash_fini(&s->set);
}

void keys_fini(struct keys *k)
{
	VEC_EACH (&k->list, p)
		free(*p);
	vec_free(&k->list);
}
