/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A native filter as terms: a packet matches when every test of one term holds. The form for look-ups that
 * judge many filters at once (bitmaps of terms); what has no such form, or too many terms, is said and runs
 * as a program (filter_program()). Exact: terms that nothing can match are left out, none is widened. Pure.
 */
#ifndef WEFT_FILTER_TERMS_H
#define WEFT_FILTER_TERMS_H

#include "filter/node.h"

struct filter_literal {
	const struct node *test; /* TEST or HAS; its side is never SIDE_EITHER where the field has sides */
	bool not ;		 /* holds where the test does not, so also where the field is not there */
};
struct filter_term {
	struct filter_literal *tests; /* by field and side */
	unsigned n;		      /* 0: every packet */
};
struct filter_terms {
	struct arena arena;
	struct filter_term *items;
	unsigned n; /* 0: no packet */
};

enum { TERMS_MAX = 1024, TERM_TESTS_MAX = 64 };

/* At most `max` (to TERMS_MAX) terms. 0; -ENOTSUP: a pcap expression, or a field that the kernel has not;
 * -E2BIG: too many terms or tests; both with the reason and the term in why (may be NULL). -ENOMEM.
 * filter_terms_fini() is legal on zeroed ones. The filter must live as long. */
int filter_terms(struct filter_terms *out, const struct filter *f, unsigned max, struct buf *why);
void filter_terms_fini(struct filter_terms *t);
/* As the terms say; the same as filter_packet(). */
bool filter_terms_packet(const struct filter_terms *t, const struct filter_packet *p);
/* Prints as a filter. */
void filter_terms_print(const struct filter_terms *t, struct buf *out);

#endif
