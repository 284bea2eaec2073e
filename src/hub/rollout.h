/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the controllers of workloads share: how many pods may be missing or too many meanwhile, which pods
 * count as available, and the pods and sets of an owner. Private to the controllers.
 */
#ifndef WEFT_HUB_ROLLOUT_H
#define WEFT_HUB_ROLLOUT_H

#include "hub/cluster.h"

/* A number, or percent of `total`, rounded up or down. `unset` is the value where there is none. */
int64_t share_of(const struct intstr *v, int64_t total, bool up, int64_t unset);
/* Bounds of a Deployment's rolling update; not both are 0. */
void rollout_bounds(const struct deployment_spec *spec, int64_t replicas, int64_t *surge,
		    int64_t *unavailable);
bool strategy_is(const struct update_strategy *s, const char *type);
static inline int64_t replicas_of(const struct opt_int *n)
{
	return n->set ? n->v : 1;
}

/* Active and ready for min_ready seconds. What is ready for less has the owner looked at again. */
bool pod_is_available(struct cluster *c, const struct object *owner, const struct object *pod,
		      const struct opt_int *min_ready);

/* Objects of one kind that `owner` controls, references held. */
struct owned {
	struct object_refs refs;
};
int owned_get(struct cluster *c, enum kind k, const struct object *owner, struct owned *out);
void owned_put(struct owned *w);
#define AUTO_OWNED __attribute__((cleanup(owned_put))) struct owned

/* Labels of pods by their template: controller-revision-hash. out[11]. */
void revision_text(char out[11], const struct pod_template *t);
bool revision_is(const struct object *pod, const char *revision);
int label_set(struct object *o, struct str key, struct str value);
#define REVISION_LABEL STR("controller-revision-hash")

/* Publishes o when it differs from old, else drops it. */
int put_changed(struct cluster *c, struct object *o, const struct object *old);
/* cluster_delete(), where it is no failure that the object is gone already. */
int delete_owned(struct cluster *c, const struct object *o);

#endif
