/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the history smaller while the packet is still judged differently. */
#ifndef WEFT_TEST_PROVE_SHRINK_H
#define WEFT_TEST_PROVE_SHRINK_H

#include "judge.h"

/* Replays h; false: something differs there, `why` says what. s NULL: only the batches are applied. */
bool replay(const struct history *h, const struct witnesses *w, const struct shot *s, struct buf *why);
/* h becomes the smallest history found whose difference begins as `why` does. */
void shrink(struct history *h, const struct witnesses *w, const struct shot *s, const char *why);

#endif
