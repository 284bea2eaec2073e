/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's word on one packet, held against the reference's. */
#ifndef WEFT_TEST_PROVE_WITNESS_H
#define WEFT_TEST_PROVE_WITNESS_H

#include "judge.h"

/* "shop/web/ingress/0": does that rule of a NetworkPolicy match? */
bool rule_text_matches(const struct lab *l, const struct model *m, struct str text, bool egress,
		       const struct model_question *q);
/* Is rule `id` the one that the reference names? Any matching rule of a NetworkPolicy is. */
bool rule_agreed(const struct lab *l, const struct model *m, int node, uint32_t id,
		 const struct model_half *h, bool egress, const struct model_question *q, const char *who,
		 struct buf *why);
bool kernel_agreed(struct lab *l, const struct shot *s, const struct model_answer *want, struct cover *c,
		   struct buf *why);
/* Sends a frame from pod to pod; true: it was delivered. */
bool frame_passes(struct lab *l, const struct addr *src, const struct addr *dst, const uint8_t *frame,
		  size_t len);
/* The same, and its answer too. */
bool exchange_passes(struct lab *l, const struct addr *src, const struct addr *dst, const uint8_t *frame,
		     size_t len);

#endif
