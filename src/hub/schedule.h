/* SPDX-License-Identifier: Apache-2.0 */
/* What others ask of the scheduler. See schedule.c. */
#ifndef WEFT_HUB_SCHEDULE_H
#define WEFT_HUB_SCHEDULE_H

#include "hub/cluster.h"

/* Labels and taints allow the pod there (DaemonSets ask; load and cordon do not count for them). */
bool schedule_node_suits(const struct pod_spec *spec, const struct object *node);
/* "TCP:80@0.0.0.0" in b: how a hostPort is counted. */
struct str schedule_port_key(struct buf *b, const struct container_port *p);

#endif
