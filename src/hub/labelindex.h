/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which objects of a namespace carry a label pair: finds the pods of a selector, and the Services whose
 * selector names a pod's label, without looking at all of them. Kept by the cluster from the store's events.
 */
#ifndef WEFT_HUB_LABELINDEX_H
#define WEFT_HUB_LABELINDEX_H

#include "hub/keyset.h"
#include "object/object.h"

struct labelindex {
	struct hash buckets; /* "namespace\0key\0value" → struct keyset of names */
};

int labelindex_add(struct labelindex *x, struct str ns, const struct strpair *pair, struct str name);
void labelindex_del(struct labelindex *x, struct str ns, const struct strpair *pair, struct str name);
/* NULL when nothing carries the pair. */
const struct keyset *labelindex_get(const struct labelindex *x, struct str ns, const struct strpair *pair);
void labelindex_fini(struct labelindex *x);

#endif
