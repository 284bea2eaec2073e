/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of an AddressPool, as text and as addresses. See addresspool.c. */
#ifndef WEFT_OBJECT_ADDRESSPOOL_H
#define WEFT_OBJECT_ADDRESSPOOL_H

#include "base/addr.h"
#include "object/object.h"

struct address_range {
	struct addr first, last; /* of one family; first is not above last */
};

/* "198.51.100.0/28", "FIRST-LAST" or one address; of an IPv6 prefix the first address, which stands for its
 * routers, is not in it. 0, or -EINVAL with *why (static). */
int address_range_parse(struct str text, struct address_range *out, const char **why);
static inline bool address_range_has(const struct address_range *r, const struct addr *a)
{
	return memcmp(&r->first, a, sizeof(*a)) <= 0 && memcmp(a, &r->last, sizeof(*a)) <= 0;
}
static inline bool address_range_meets(const struct address_range *a, const struct address_range *b)
{
	return memcmp(&a->first, &b->last, sizeof(b->last)) <= 0 &&
	       memcmp(&b->first, &a->last, sizeof(a->last)) <= 0;
}
/* Number of addresses, at most 2^20. */
uint64_t address_range_size(const struct address_range *r);

#endif
