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
	const struct memo *memo;	/* of a record; or NULL */
};

/* What numbered tests said of ends, so that a name is compared once for all records of an end: known[(number
 * - 1) * ends + end] is 0, or 1 + what it said. */
struct memo {
	uint8_t *known;
	uint32_t ends;
	uint32_t from, to, via; /* of the record at hand; 0: not known */
};

bool node_match(const struct node *n, const struct subject *s);
/* What the packet's headers say for a field of numbers; false: it is not there, or they do not say. */
bool match_number(const struct dissected *d, enum field_id f, enum side side, uint64_t *out);
/* What the subject has of a test's field at that side, as its values are written; false: it has none, or the
 * field is a flag or a text. */
bool node_value(const struct node *n, const struct subject *s, enum side side, struct value *out);
/* The same of a text: a name and, where it may be written before a slash, its namespace. */
bool node_text(const struct node *n, const struct subject *s, enum side side, struct str *name,
	       struct str *ns);
/* Gives numbers to the tests that can be remembered; returns how many have one by now. */
uint32_t node_number(struct node *n, uint32_t numbered);

#endif
