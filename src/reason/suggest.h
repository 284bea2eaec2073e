/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NetworkPolicies that allow what was seen and nothing else: one for each workload, for both directions,
 * peers by labels where they are pods, by address else.
 */
#ifndef WEFT_REASON_SUGGEST_H
#define WEFT_REASON_SUGGEST_H

#include "base/addr.h"
#include "base/vec.h"
#include "store/store.h"

struct seen_flow {
	struct addr from, to; /* initiator, responder; after translation */
	uint8_t proto;
	uint16_t port; /* of `to` */
};
struct seen_flows {
	VEC(struct seen_flow) list;
};
struct suggest_options {
	struct str ns;	   /* only workloads of this namespace; empty: of all but kube-system */
	const char *about; /* put as a comment at the top, may have several lines; or NULL */
};
struct suggested {
	size_t policies, flows; /* flows that the policies allow */
	size_t strangers;	/* flows with an end that is no pod any more: left out */
	size_t portless;	/* protocols without ports, that NetworkPolicy cannot name: left out */
};
/* Appends the manifests. 0 or -ENOMEM. */
int suggest(const struct store *s, const struct seen_flows *flows, const struct suggest_options *opt,
	    struct buf *yaml, struct suggested *out);

#endif
