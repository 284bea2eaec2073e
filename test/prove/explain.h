/* SPDX-License-Identifier: Apache-2.0 */
/* What `weft why` would say of the packet, held against the reference. */
#ifndef WEFT_TEST_PROVE_EXPLAIN_H
#define WEFT_TEST_PROVE_EXPLAIN_H

#include "judge.h"

bool explained(const struct lab *l, const struct shot *s, const struct model_answer *want, struct buf *why);

#endif
