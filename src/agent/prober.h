/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes of this node's pods: follows the pods in a store, runs startup, readiness and liveness probes from
 * the node's namespace, tells the hub whenever the readiness of a container changes, and has the runtime end
 * a container whose liveness or startup failed. Containers without probes are not its matter. On the loop's
 * thread only.
 */
#ifndef WEFT_AGENT_PROBER_H
#define WEFT_AGENT_PROBER_H

#include "serve/curl_loop.h"
#include "agent/runtime.h"
#include "store/store.h"

struct prober;
struct prober_options {
	struct curl_loop *curl;
	struct store *store;
	struct runtime *runtime;
	unsigned faster; /* delays and periods are divided by it; 0 is 1 */
};
int prober_new(struct prober **out, const struct prober_options *o);
/* The pods that were there when this process began are known now. */
void prober_listed(struct prober *p);
/* Number of containers that are probed, and of those ready. */
void prober_counts(const struct prober *p, unsigned *probed, unsigned *ready);
/* What was tried and how long it took: one JSON object. */
void prober_stats(const struct prober *p, struct buf *b);
/* One JSON object for each probe, comma-separated; with the results kept of one pod ("ns/name") when it is
 * named, else of none. */
void prober_print(const struct prober *p, struct str pod, struct buf *b);

#endif
