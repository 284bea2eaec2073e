/* SPDX-License-Identifier: Apache-2.0 */
/* Names: DNS answers on their way from the cluster's DNS to a pod of each node, as real packets. */
#ifndef WEFT_TEST_PROVE_LEARN_H
#define WEFT_TEST_PROVE_LEARN_H

#include "lab.h"

/* Sends the batch's answers to each node where policies let a pod ask; l->names says who was told what. */
void learn(struct lab *l, const struct batch *b);

#endif
