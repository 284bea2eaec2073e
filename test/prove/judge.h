/* SPDX-License-Identifier: Apache-2.0 */
/* One packet before all witnesses: the reference, the engine, the kernel. They must agree on the verdict, on
 * who gave it, and on what staged policies would have said. */
#ifndef WEFT_TEST_PROVE_JUDGE_H
#define WEFT_TEST_PROVE_JUDGE_H

#include "cover.h"
#include "lab.h"

struct shot {
	struct model_question q;
	bool cut;	  /* in two parts; the first has the ports (NP73) */
	bool reply;	  /* the answer to it is sent too, if it passes */
	struct addr to;	  /* q.service: where the packet goes before it is translated, */
	uint16_t to_port; /* and its port */
};

/* Random; false: there is nobody to ask about (no pod). */
bool shot_pick(struct lab *l, struct generator *g, struct shot *s);
void shot_print(struct buf *b, const struct lab *l, const struct shot *s);
/* True: they agree. Else `why` says who says what. */
bool shot_agreed(struct lab *l, const struct shot *s, struct cover *c, struct buf *why);

#endif
