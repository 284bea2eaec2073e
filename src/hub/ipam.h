/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses: of pods out of their node's ranges, of Services out of the cluster's, and node ports. What is in
 * use is told by ipam_*_note() from the store's events; choosing only finds what is free. The choice for a
 * Service follows from its name, so that it is the same offline, and after a restart.
 */
#ifndef WEFT_HUB_IPAM_H
#define WEFT_HUB_IPAM_H

#include "base/addr.h"
#include "store/store.h"

enum { NODEPORT_FIRST = 30000, NODEPORT_LAST = 32767 };

struct ipam;
int ipam_new(struct ipam **out, const struct prefix *services4, const struct prefix *services6);
void ipam_free(struct ipam **ip);

/* The object is now (or no longer) in force: what it holds is taken (or free). NULL is passed over. */
void ipam_service_note(struct ipam *ip, const struct object *was, const struct object *now);
void ipam_node_note(struct ipam *ip, const struct object *was, const struct object *now);
void ipam_pod_note(struct ipam *ip, const struct object *was, const struct object *now);

/* Fills clusterIP(s), ipFamilies and nodePorts of an unpublished Service. Asked-for ones are honoured; what
 * is taken or out of range is an error in rs that names the holder and its position. `old` is the version in
 * force, or NULL. 0, -EINVAL with remarks, -ENOMEM. */
int ipam_service_fill(struct ipam *ip, const struct store *s, struct object *o, const struct object *old,
		      struct remarks *rs);

/* What a Service of type LoadBalancer wants of one family. */
struct balancer_wish {
	struct str key;		  /* "ns/name" */
	struct str pool;	  /* named by its annotation; empty: any that gives to all */
	const struct addr *asked; /* loadBalancerIP, or NULL */
	const struct addr *had;	  /* NULL: none yet */
};
enum balancer_answer {
	BALANCER_GIVEN,
	BALANCER_TAKEN,
	BALANCER_OUTSIDE,
	BALANCER_EXHAUSTED,
	BALANCER_NO_POOL
};
enum balancer_answer ipam_balancer_pick(const struct ipam *ip, const struct store *s,
					const struct balancer_wish *w, bool v6, struct addr *out);
/* "ns/name" of the Service that has it, or NULL. */
const char *ipam_balancer_holder(const struct ipam *ip, const struct addr *a);
/* Addresses of a pool in use. */
int64_t ipam_pool_used(const struct ipam *ip, const struct object *pool);

/* A free place in the node's ranges: out4, out6 are zero where the node lacks the family. Addresses move on,
 * so that one just given back is not given out at once. 0 or -ENOSPC (also: no such node, no ranges). */
int ipam_pod_pick(struct ipam *ip, struct str node, struct addr *out4, struct addr *out6);
size_t ipam_node_free(const struct ipam *ip, struct str node);

#endif
