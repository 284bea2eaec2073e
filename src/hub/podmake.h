/* SPDX-License-Identifier: Apache-2.0 */
/* Pods out of templates, and what the workload controllers ask of a pod. Private to the controllers. */
#ifndef WEFT_HUB_PODMAKE_H
#define WEFT_HUB_PODMAKE_H

#include "hub/cluster.h"

/* An unpublished pod of `owner` from its template: labels, annotations and spec copied, owner set, position
 * that of the template. */
int pod_from_template(struct object **out, const struct object *owner, const struct pod_template *t,
		      struct str name);
/* A free pod name: prefix-xxxxx, from the owner's uid and the index. */
int pod_name(struct cluster *c, const struct object *owner, struct str prefix, uint64_t index,
	     struct buf *out);
/* ownerReference of a controller. */
int own_object(struct object *o, const struct object *owner);
/* Hash of everything in a template, for revision labels. */
uint64_t template_hash(const struct pod_template *t);

/* Neither ending nor finished. */
bool pod_is_active(const struct object *o);
bool pod_is_finished(const struct object *o);
bool pod_is_ready(const struct object *o);
/* Orders pods by whom to remove first: without node, not ready, then by name from the end. */
void pods_by_worth(struct object_refs *pods);

#endif
