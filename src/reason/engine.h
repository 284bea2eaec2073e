/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiler of a node that would host every pod, run once over a store, and what its rows say: which
 * policy sets a pod has, which class an address has, which port function a set has for a class. Pods whose
 * answers are equal can then be judged as one. Where a pod really runs does not matter to policies, but for
 * its own node, whose sockets always get in: callers see to that.
 */
#ifndef WEFT_REASON_ENGINE_H
#define WEFT_REASON_ENGINE_H

#include "compile/compile.h"
#include "reason/portfn.h"
#include "store/store.h"

struct engine_options {
	struct prefix services4, services6;
	bool staged; /* staged policies count as enforced */
};

struct engine;
/* Borrows the store and fns. Remarks of the compiler go to rs. 0, -ENOMEM, -E2BIG with a remark. */
int engine_new(struct engine **out, const struct store *s, struct port_fns *fns,
	       const struct engine_options *opt, struct remarks *rs);
void engine_free(struct engine **e);
const struct store *engine_store(const struct engine *e);

struct engine_sets {
	bool known; /* a pod with this address is judged */
	uint32_t ingress, egress;
};
struct engine_sets engine_sets(const struct engine *e, const struct addr *a);
/* A pod whose open connections end when they are no longer allowed. */
bool engine_strict(const struct engine *e, const struct addr *a);
uint32_t engine_class(const struct engine *e, const struct addr *a);
/* Number of the port function in fns; FN_ALL for SET_NONE. 0 or -ENOMEM. */
int engine_fn(struct engine *e, uint32_t set, uint32_t class, uint32_t *fn);
/* The rule's text ("shop/web/ingress/0"), and where it stands. */
struct origin engine_rule(const struct engine *e, uint32_t rule, struct buf *text);

#define ANNOTATION_STAGED "weft.network/staged"
bool policy_is_staged(const struct object *o);

#endif
