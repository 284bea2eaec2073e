/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Place: which of a broker's sources a pod, a node's uplink or an interface is, by the objects in force. A
 * place may be several of them: it is one source all the same. Pure.
 */
#ifndef WEFT_BROKER_PLACE_H
#define WEFT_BROKER_PLACE_H

#include "broker/broker.h"

/* Numbers of the broker's sources, rising; `out` has room for b->sources_n. Each returns how many there are.
 *
 * A pod is one by its labels and its namespace's, and by the Services whose selector takes it; a Service
 * without a selector has the pods whose addresses its EndpointSlices name. Pods in their node's network are
 * none: their packets are the node's own. */
uint32_t place_pod(const struct broker *b, const struct store *s, const struct object *pod, uint32_t *out);
uint32_t place_uplink(const struct broker *b, const struct object *node, uint32_t *out);
/* An interface source that names no node is there on each node. */
uint32_t place_interface(const struct broker *b, struct str node, struct str name, uint32_t *out);

/*
 * The pod of another node that a pod tool's copies go to when `node` has none: of those that are ready, the
 * oldest, of equals the first by name. So all nodes choose alike, also after a restart, and one that comes
 * takes nothing from one that is there. Borrowed from the store; NULL: there is none.
 */
const struct object *place_tool_pod(const struct store *s, const struct broker_destination *to,
				    struct str node);
/* By which a node's copies for the tool port are known on another node: 56 bits, never 0, that only who may
 * read the Tool can know; another one when the Tool is made anew. */
uint64_t place_tool_key(struct str uid, struct str port);

#endif
