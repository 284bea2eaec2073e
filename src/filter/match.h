/* SPDX-License-Identifier: Apache-2.0 */
/* The evaluator of the native form. Called by filter.c. */
#ifndef WEFT_FILTER_MATCH_H
#define WEFT_FILTER_MATCH_H

#include "filter/dissect.h"
#include "filter/node.h"

/* What is judged: a record, or a packet and perhaps what is known of it. */
struct subject {
	const struct dissected *packet; /* NULL: the record alone */
	const struct record *record;	/* may be NULL with a packet */
};

bool node_match(const struct node *n, const struct subject *s);

#endif
