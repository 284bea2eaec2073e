/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod's status out of its parts: what runs (the runtime's containerStatuses), what is ready (the observer's
 * word on each probe), what has a node. The hub alone decides phase and conditions.
 */
#ifndef WEFT_HUB_PODSTATUS_H
#define WEFT_HUB_PODSTATUS_H

#include "hub/cluster.h"

/* Makes the status of an unpublished pod agree with itself. 0 or -ENOMEM. */
int podstatus_compose(struct cluster *c, struct object *o);
/* The observer's word on one container, on the instance that was restarted so often (-1: on whichever runs).
 * It says nothing of another instance. Returns true when it is news. */
bool podstatus_probe(struct cluster *c, struct str uid, struct str container, bool ready, bool started,
		     int64_t restarts);
/* After a restart: takes the words over from what the pod's status says. */
void podstatus_recall(struct cluster *c, const struct object *pod);
/* The pod is gone. */
void podstatus_forget(struct cluster *c, const struct object *pod);

#endif
