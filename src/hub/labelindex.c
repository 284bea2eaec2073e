/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets of names by label pair. See labelindex.h. */
#include "hub/labelindex.h"

#include <errno.h>

static struct str bucket_key(struct buf *b, struct str ns, const struct strpair *pair)
{
	buf_adds(b, ns);
	buf_addc(b, 0);
	buf_adds(b, pair->key);
	buf_addc(b, 0);
	buf_adds(b, pair->value);
	return buf_str(b);
}

int labelindex_add(struct labelindex *x, struct str ns, const struct strpair *pair, struct str name)
{
	AUTO_BUF b = {0};
	struct str key = bucket_key(&b, ns, pair);
	if (b.failed)
		return -ENOMEM;
	struct keyset *s = hash_get(&x->buckets, key);
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return -ENOMEM;
		if (hash_set(&x->buckets, key, s, NULL)) {
			free(s);
			return -ENOMEM;
		}
	}
	return keyset_add(s, name);
}

void labelindex_del(struct labelindex *x, struct str ns, const struct strpair *pair, struct str name)
{
	AUTO_BUF b = {0};
	struct str key = bucket_key(&b, ns, pair);
	struct keyset *s = b.failed ? NULL : hash_get(&x->buckets, key);
	if (!s)
		return;
	keyset_del(s, name);
	if (!s->set.len) {
		hash_del(&x->buckets, key);
		keyset_fini(s);
		free(s);
	}
}

const struct keyset *labelindex_get(const struct labelindex *x, struct str ns, const struct strpair *pair)
{
	AUTO_BUF b = {0};
	struct str key = bucket_key(&b, ns, pair);
	return b.failed ? NULL : hash_get(&x->buckets, key);
}

void labelindex_fini(struct labelindex *x)
{
	HASH_EACH (&x->buckets, slot) {
		keyset_fini(slot->value);
		free(slot->value);
	}
	hash_fini(&x->buckets);
}
