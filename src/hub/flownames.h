/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for the nodes' flows: follows the store's pods, nodes, Services and EndpointSlices, and gives each
 * end of a record the name that it had at the record's first packet. On the hub's loop.
 */
#ifndef WEFT_HUB_FLOWNAMES_H
#define WEFT_HUB_FLOWNAMES_H

#include "observe/identity.h"
#include "store/store.h"

struct flow_names;
int flow_names_new(struct flow_names **out, struct store *s, struct identities *ids); /* 0 or -errno */
void flow_names_free(struct flow_names **n);
/* Sets both ends' `who`, the Service that was called (flowplaces.h; none: NULL; several: NULL) with its own
 * address and port, and `again`; r->node is the node that saw it. */
void flow_names_set(struct flow_names *n, struct record *r);
/* Sets the workload of `out` to what controls the pod, or what controls its ReplicaSet; nobody: leaves it. */
void flow_names_workload(const struct store *s, const struct object *pod, struct identity *out);
/* It has no address any more. */
bool flow_names_pod_is_over(const struct object *pod);
/* Forgets who had what before that time, ns since 1970. */
void flow_names_forget(struct flow_names *n, int64_t before);

#endif
