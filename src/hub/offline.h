/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster without a cluster: what the hub would make of objects from files, with every pod placed, running
 * and ready. For `weft plan`, `weft reach --offline` and tests. Pure.
 */
#ifndef WEFT_HUB_OFFLINE_H
#define WEFT_HUB_OFFLINE_H

#include "base/addr.h"
#include "store/store.h"

struct cluster_options {
	unsigned nodes; /* node-1 to node-N, unless the files bring Nodes; 0: 2 */
	bool no_dns;	/* leave out kube-system/kube-dns */
};

/* The ranges of Services in a sandbox, both families. */
void cluster_service_ranges(struct prefix *v4, struct prefix *v6);

/* Works on a store filled from files: adds nodes, namespaces, kube-dns, pods, addresses and endpoints, and
 * fills in what the server would. What cannot be (two Services that want one address) is an error in rs, and
 * that object is left out of the store. 0, -EINVAL when there were errors, -ENOMEM. */
int cluster_expand(struct store *s, const struct cluster_options *opt, struct remarks *rs);

#endif
