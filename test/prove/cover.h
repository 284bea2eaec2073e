/* SPDX-License-Identifier: Apache-2.0 */
/* What was met: verdicts, who gave them, and what the deciding rules were made of. A proof that met one
 * answer only shows nothing. */
#ifndef WEFT_TEST_PROVE_COVER_H
#define WEFT_TEST_PROVE_COVER_H

#include "model.h"

enum { COVER_MAX = 64 };

struct cover {
	uint64_t verdict[4], stage[2][2][STAGE_COUNT]; /* [egress][allowed] */
	uint64_t protocol[5];			       /* TCP, UDP, SCTP, ICMP, others */
	uint64_t tries, family[2], by_name, explained, cut, told, services, replies, in_kernel,
	    staged_differs, cross_node, went_on, was_cut, inherited;
	struct {
		const char *what;
		uint64_t n;
	} part[COVER_MAX]; /* of rules that decided */
};

void cover_add(struct cover *c, const struct model_question *q, const struct model_answer *a);
void cover_sum(struct cover *to, const struct cover *from);
/* Lines "  what  n". */
void cover_print(struct buf *b, const struct cover *c);

#endif
