/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TrafficMaps: whether each is in force, as condition Accepted of its status. What the nodes' planners make
 * of all maps and tools together is made here too, whenever one of them changed. On the hub's loop.
 */
#ifndef WEFT_HUB_MAPSTATUS_H
#define WEFT_HUB_MAPSTATUS_H

#include "store/store.h"

struct mapstatus;
int mapstatus_new(struct mapstatus **out, struct store *s); /* 0 or -errno */
void mapstatus_free(struct mapstatus **m);
/* About each second: looks at all maps where something changed, and writes what is new. */
void mapstatus_tick(struct mapstatus *m);

#endif
