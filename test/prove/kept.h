/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections under change (NP21, NP65, NP66): some are open while the next batch comes. Afterwards a packet
 * of each must go on, unless a strict pod no longer allows it, or an end of it has another owner.
 */
#ifndef WEFT_TEST_PROVE_KEPT_H
#define WEFT_TEST_PROVE_KEPT_H

#include "lab.h"

/* Opens the batch's connections; those that policies refuse are left out. */
void kept_open(struct lab *l, const struct batch *b);
/* Picks some that may be open, for the batch. */
void kept_pick(struct lab *l, struct generator *g, struct batch *b);
/* What the applier does of its own when an address gets another owner, before the row is changed, */
void kept_owner(struct lab *l, int node, const struct change *c);
/* and after a change where strict pods are. 0 or -errno. */
int kept_mark(struct lab *l, int node, const struct plan *p);
/* After the change. False: `why` says what. */
bool kept_agreed(struct lab *l, struct buf *why);

#endif
