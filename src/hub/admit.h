/* SPDX-License-Identifier: Apache-2.0 */
/* Facts of nodes that the hub and offline plans agree on. See admit.c; cluster.h has the rest. */
#ifndef WEFT_HUB_ADMIT_H
#define WEFT_HUB_ADMIT_H

#include "hub/cluster.h"

/* An unpublished Node as the sandbox would register number i (from 0): "node-<i+1>", its fabric addresses and
 * pod ranges. 0 or -ENOMEM. */
int node_make(struct object **out, unsigned i);

/* A Service that changes its type, unpublished: what only the old type had goes. See service_change.c. */
void service_settle(struct object *o, const struct object *old);

#endif
