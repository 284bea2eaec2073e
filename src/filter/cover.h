/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cover: what a packet must have for a filter to match, as ranges of one field's values for each of its
 * alternatives: the most selective ones. Wider than the filter, never narrower: for who wants to know which
 * of many filters are worth asking. Called by index.c and steps_any.c. Pure.
 */
#ifndef WEFT_FILTER_COVER_H
#define WEFT_FILTER_COVER_H

#include "filter/node.h"

/* A field of numbers or addresses, of one end where it has sides. */
struct dimension {
	enum field_id field;
	enum side side;
	uint8_t bits; /* of its values, as far as packets differ in them */
};
enum { DIMENSIONS = 19 };
extern const struct dimension cover_dimensions[DIMENSIONS];

struct number { /* an address as two, the high half first; else `low` alone */
	uint64_t high, low;
};

struct key {
	uint32_t dimension;
	struct number from, to;
};

struct cover { /* a packet that matches lies in one of the keys */
	struct key *keys;
	uint32_t n;
	bool all;     /* of every packet, for all that is known */
	double share; /* guess of how many packets do */
};

struct cover cover_of(const struct node *n);
void cover_fini(struct cover *c);

static inline bool number_below(const struct number *a, const struct number *b)
{
	return (a->high < b->high) | ((a->high == b->high) & (a->low < b->low));
}
struct number number_of(const struct addr *a);
/* For qsort(). */
int number_compare(const void *a, const void *b);

#endif
