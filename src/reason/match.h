/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pod of one store is which pod of another. A changed template gives pods other names, and one pod more
 * shifts the addresses of those after it; neither is a change of policy. So pods are matched by workload, and
 * those of the second store get the nodes and addresses of the first.
 */
#ifndef WEFT_REASON_MATCH_H
#define WEFT_REASON_MATCH_H

#include "base/vec.h"
#include "store/store.h"

struct pod_pair {
	const struct object *a, *b; /* one may be NULL: only there */
};
struct pod_pairs {
	VEC(struct pod_pair) list; /* sorted by namespace, workload, name */
};

/* Changes pods of b. Pairs are borrowed from the stores until their next write. 0 or -ENOMEM. */
int match_pods(const struct store *a, struct store *b, struct pod_pairs *out);

/* What controls the pod, or what controls its ReplicaSet; the pod's own name without a controller. */
struct str pod_workload(const struct store *s, const struct object *pod);

#endif
