/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: a namespace with an uplink each, a real agent inside, and the Node object at the hub. */
#ifndef WEFT_SANDBOX_NODE_H
#define WEFT_SANDBOX_NODE_H

#include "sandbox/cluster.h"

int nodes_make(struct sandbox *s);	/* namespaces and agents; 0 or -errno (told) */
void nodes_register(struct sandbox *s); /* at the hub, as soon as it answers */
void node_beat(struct node *n);		/* a heartbeat now, unless it is down or cut */
void nodes_close(struct sandbox *s);

#endif
