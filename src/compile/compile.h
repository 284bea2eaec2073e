/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiler of one node: objects in, rows out. PURE: no file descriptor, clock, log, libbpf or global; the
 * same objects give the same plan, in whatever order they came, and changing step by step gives the same plan
 * as compiling whole (ids are hashes of content, see compile/id.h).
 */
#ifndef WEFT_COMPILE_COMPILE_H
#define WEFT_COMPILE_COMPILE_H

#include "base/remark.h"
#include "compile/plan.h"
#include "object/object.h"

struct compile_config {
	struct str node;	 /* name of this node */
	uint32_t mode;		 /* MODE_VXLAN or MODE_ROUTES of seam/config.h */
	uint32_t uplink, tunnel; /* ifindexes; 0 offline */
	uint8_t uplink_mac[6];
	uint32_t mtu;			    /* of the uplink; pods get 50 less under VXLAN over IPv4 */
	struct prefix services4, services6; /* ranges of Service addresses; len 0: none */
	bool strict;	      /* each pod is strict: connections that policy no longer allows are cut */
	bool no_external_ips; /* externalIPs of Services are not served (SV45) */
};

struct compiler;
int compiler_new(struct compiler **out, const struct compile_config *cfg); /* copies cfg */
void compiler_free(struct compiler **c);

/* Tells of an object: now NULL when it is gone. References are taken. Only notes; compiler_run() does the
 * work. Kinds used: Namespace, Node, Pod, Service, EndpointSlice, AddressPool, NetworkPolicy,
 * ClusterNetworkPolicy; others are ignored. 0 or -ENOMEM. */
int compiler_tell(struct compiler *c, const struct object *was, const struct object *now);

/* A pod is wired when its namespace was handed over (agent): only then its link, endpoint and iface rows
 * exist. Offline (`weft plan`) wire_all makes every pod of the node wired. */
int compiler_wire(struct compiler *c, struct str uid, bool wired);
void compiler_wire_all(struct compiler *c);

/* Computes what the noted changes mean. On success `out` (zeroed by the caller) holds the steps, the state
 * moves on, and remarks say e.g. which policies select nothing, which named ports resolve nowhere. On failure
 * (-ENOMEM, -E2BIG with a remark) nothing moves. */
int compiler_run(struct compiler *c, struct plan_delta *out, struct remarks *rs);

/* The whole plan in force after the last run; borrowed rows, freed by vec_free(&p->rows). */
int compiler_plan(const struct compiler *c, struct plan *out);
const struct plan_names *compiler_names(const struct compiler *c);

/* ifindex and MAC that the plan gives to a pod of this node; -ENOENT while it has no address here. */
int compiler_pod_link(const struct compiler *c, struct str uid, struct link_key *key,
		      struct link_value *value);

/* For each Service with a healthCheckNodePort: how many of its endpoints are ready on this node, without
 * those that end. Text is borrowed until the next run; the order is any. */
struct compiler_health {
	uint16_t port;
	struct str ns, name;
	unsigned ready;
};
typedef void compiler_health_fn(void *ctx, const struct compiler_health *h);
void compiler_health(const struct compiler *c, compiler_health_fn *fn, void *ctx);

#endif
