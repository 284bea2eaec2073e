/* SPDX-License-Identifier: Apache-2.0 */
/* Which nodes live: by the words that their agents give. See nodelife.c. */
#ifndef WEFT_HUB_NODELIFE_H
#define WEFT_HUB_NODELIFE_H

#include "hub/cluster.h"

/* Called by cluster_tick(). 0 or -ENOMEM. */
int nodelife_tick(struct cluster *c, int64_t mono);
/* It gave words once, and gives none any more. */
bool nodelife_is_lost(const struct object *node);

#endif
