/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes of this node's pods: follows the pods in a store, runs startup and readiness probes from the node's
 * namespace, and tells the hub whenever the readiness of a container changes. Containers without such probes
 * are not its matter. On the loop's thread only.
 */
#ifndef WEFT_AGENT_PROBER_H
#define WEFT_AGENT_PROBER_H

#include "agent/curl_loop.h"
#include "store/store.h"

struct prober;
int prober_new(struct prober **out, struct curl_loop *curl, struct store *store);
/* Number of containers that are probed, and of those ready. */
void prober_counts(const struct prober *p, unsigned *probed, unsigned *ready);
/* One JSON object for each probed container, comma-separated. */
void prober_print(const struct prober *p, struct buf *b);

#endif
