/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Index: which of many filters a packet can match at all. Each filter is entered under the most selective of
 * the fields that it must meet (a port, an address, a protocol, a tag…), as ranges of its values; a packet's
 * own values then name the few filters that are worth asking. What no field bounds (a pcap expression, a
 * negation, everything) is asked always. Never leaves out a filter that matches; says nothing of those that
 * it names. For packets of which nothing but their bytes is known. Pure.
 */
#ifndef WEFT_FILTER_INDEX_H
#define WEFT_FILTER_INDEX_H

#include "filter/dissect.h"

struct filter_index;

/* Bounded memory: where ranges overlap too much, their filters are asked always. The filters need not outlive
 * it. 0 or -ENOMEM. */
int filter_index_new(struct filter_index **out, const struct filter *const *filters, uint32_t n);
void filter_index_free(struct filter_index **x);
/* Bit i: filter i is to be asked; of n bits, rounded up to whole words. */
void filter_index_look(const struct filter_index *x, const struct dissected *d, uint64_t *ask);
/* How many of them are asked of every packet. */
uint32_t filter_index_always(const struct filter_index *x);

#endif
