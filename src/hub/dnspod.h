/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's DNS as objects: pod and Service kube-system/kube-dns, unless the objects bring their own. */
#ifndef WEFT_HUB_DNSPOD_H
#define WEFT_HUB_DNSPOD_H

#include "hub/cluster.h"

/* Adds what is missing of the two. 0, -EINVAL with remarks, -ENOMEM. */
int dnspod_add(struct cluster *c, struct remarks *rs);

#endif
