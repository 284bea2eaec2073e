/* SPDX-License-Identifier: Apache-2.0 */
/* A Deployment's rollout as its controller sees it, and the status that tells of it. */
#ifndef WEFT_HUB_DEPLOYMENT_STATUS_H
#define WEFT_HUB_DEPLOYMENT_STATUS_H

#include "hub/cluster.h"

#define REVISION_ANNOTATION STR("deployment.kubernetes.io/revision")

struct rollout {
	const struct object_refs *sets; /* by revision, oldest first */
	const struct object *newest;	/* of them, the one of the template now; NULL: not made yet */
	int64_t replicas, surge, unavailable;
};

/* Writes what is (not what was just asked for) into the Deployment's status. */
int deployment_status(struct cluster *c, const struct object *d, const struct rollout *w);

#endif
