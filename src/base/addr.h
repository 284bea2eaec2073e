/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses and prefixes of both families in one 16-byte form: IPv4 is kept v4-mapped (::ffff:a.b.c.d), so
 * that keys, sorting and matching know one shape. The unspecified IPv6 address :: with valid = false is
 * "none".
 */
#ifndef WEFT_BASE_ADDR_H
#define WEFT_BASE_ADDR_H

#include "base/str.h"

struct addr {
	uint8_t b[16]; /* network order */
};

struct prefix {
	struct addr addr; /* host bits are 0 */
	uint8_t len;	  /* in the 128-bit form: an IPv4 /24 has 120 */
};

enum { ADDR_TEXT = 46, PREFIX_TEXT = 50 };

bool addr_is4(const struct addr *a);
bool addr_is_zero(const struct addr *a);
static inline bool addr_eq(const struct addr *a, const struct addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}
struct addr addr_from4(uint32_t host_order);
uint32_t addr_to4(const struct addr *a); /* host order */
/* Whole text is one address: 0 or -EINVAL. No zones, no leading zeros in IPv4 parts. */
int addr_parse(struct str s, struct addr *out);
void addr_print(const struct addr *a, char out[ADDR_TEXT]);
void addr_add(struct addr *a, uint64_t n); /* a += n in the low 64 bits, carrying */

/* "10.0.0.0/8", "fd00::/48". 0, -EINVAL (not a prefix), -EDOM (host bits set; out is then masked). */
int prefix_parse(struct str s, struct prefix *out);
void prefix_print(const struct prefix *p, char out[PREFIX_TEXT]);
bool prefix_has(const struct prefix *p, const struct addr *a);
/* q lies inside p (equal counts). */
bool prefix_covers(const struct prefix *p, const struct prefix *q);
bool prefix_overlaps(const struct prefix *p, const struct prefix *q);
void prefix_mask(struct addr *a, unsigned len);

#endif
