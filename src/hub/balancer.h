/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of Services of type LoadBalancer, and what pools tell of themselves. See balancer.c. */
#ifndef WEFT_HUB_BALANCER_H
#define WEFT_HUB_BALANCER_H

#include "hub/cluster.h"

/* Of type LoadBalancer, and not of a loadBalancerClass that somebody else serves. */
bool balancer_is_ours(const struct object *service);
/* Gives the Service its addresses, or says in its status why not; takes them where it is none any more.
 * Called by cluster_pass() only. */
int balancer_run(struct cluster *c, const struct object *service, struct remarks *rs);
/* Numbers in the status of all pools. */
int pools_run(struct cluster *c);
/* Ranges of an unpublished pool that meet those of another, of pods, or of Services: errors. 0, -EINVAL. */
int pool_admit(struct cluster *c, const struct object *pool, struct remarks *rs);

#endif
