/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of ends in few words: "shop/cart", "all of shop", "every pod", "outside 10.0.0.0/8", "everybody". */
#ifndef WEFT_REASON_LABEL_H
#define WEFT_REASON_LABEL_H

#include "reason/ends.h"

struct labels {
	VEC(char *) list; /* owned */
};
/* The words for the ends with in[i]; where neutral[i] (may be NULL) it may count as in, to say it shorter. */
int ends_label(struct labels *out, const struct ends *e, const bool *in, const bool *neutral);
void labels_fini(struct labels *l);
/* "shop/cart-x2b5f" or "shop/cart" where the workload has one pod; "node:node-1". */
void end_print(struct buf *b, const struct ends *e, const struct end *end);

#endif
