/* SPDX-License-Identifier: Apache-2.0 */
/* Which policies select a pod, straight from the objects: for telling who isolates it. */
#ifndef WEFT_REASON_SELECT_H
#define WEFT_REASON_SELECT_H

#include "store/store.h"

/* NetworkPolicies of the pod's namespace that isolate it in a direction; staged ones only where `staged`.
 * Borrowed, sorted by name; out is freed by vec_free(&out->list). 0 or -ENOMEM. */
int policies_isolating(const struct store *s, const struct object *pod, bool egress, bool staged,
		       struct object_refs *out);
bool policy_has_direction(const struct object *o, bool egress);
bool select_subject(const struct store *s, const struct cluster_subject *c, const struct object *pod);
bool select_namespace(const struct store *s, const struct label_selector *sel, struct str ns);

#endif
