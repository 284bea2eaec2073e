/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference: verdicts by the objects, in the words of the specification and nothing else. No index, no
 * class, no row, nothing of compile/; it must stay so simple that one can check it by reading. Each clause
 * names the line of the specification (NP…, CN…) that it is. Called by tests only.
 */
#ifndef WEFT_TEST_MODEL_MODEL_H
#define WEFT_TEST_MODEL_MODEL_H

#include "base/addr.h"
#include "store/store.h"

/* A name that a DNS answer gave an address, on the node that is asked. */
struct model_name {
	struct str name; /* lower case, without the dot at the end */
	struct addr addr;
};

struct model {
	struct object_refs nodes, namespaces, pods, policies, cluster_policies; /* sorted by name */
	bool staged; /* policies marked staged are in force too */
	const struct model_name *names;
	size_t names_len;
};
/* Reads the store; holds until its next write. 0 or -ENOMEM. */
int model_init(struct model *m, const struct store *s);
void model_fini(struct model *m);

struct model_question {
	struct addr src, dst; /* after translation */
	uint8_t proto;	      /* of the IP header */
	uint16_t port;	      /* of the destination, host order; 0 for protocols without */
	bool service;	      /* it went to a Service; plays a part where src is dst (CN18, NP64) */
};

enum model_verdict { MODEL_ALLOW, MODEL_DENY_EGRESS, MODEL_DENY_INGRESS, MODEL_NOBODY };

enum model_stage {
	STAGE_NONE,	/* this end is no pod of the cluster: nobody judges */
	STAGE_SELF,	/* a pod and itself */
	STAGE_NODE,	/* the node's own sockets */
	STAGE_ADMIN,	/* a rule of the Admin tier */
	STAGE_POLICY,	/* a rule of a NetworkPolicy */
	STAGE_ISOLATED, /* no rule of the NetworkPolicies that isolate */
	STAGE_BASELINE, /* a rule of the Baseline tier */
	STAGE_OPEN,	/* nothing said no */
	STAGE_COUNT
};

struct model_half { /* what one end says */
	enum model_stage stage;
	bool allow;
	const struct object *policy; /* ADMIN, POLICY, BASELINE: whose rule; the first one that matches */
	size_t rule;
};
struct model_answer {
	enum model_verdict verdict;
	struct model_half egress, ingress; /* ingress: STAGE_NONE where egress refuses */
};
struct model_answer model_ask(const struct model *m, const struct model_question *q);

/* The verdict alone, by a store as it is. */
enum model_verdict model_verdict_of(const struct store *s, const struct model_question *q);

/* The same for one end, whatever the other one says. */
struct model_half model_half(const struct model *m, const struct model_question *q, bool egress);
/* Does this very rule of a NetworkPolicy match? Several may; the order among them means nothing. */
bool model_rule_matches(const struct model *m, const struct object *policy, bool egress, size_t rule,
			const struct model_question *q);

/* Is the policy in force for that end, and does it isolate it? */
bool model_isolates(const struct model *m, const struct object *policy, bool egress,
		    const struct model_question *q);

/* Are the pod's connections cut when policies no longer allow them? By a policy that selects it, is marked
 * strict and is in force (NP66). */
bool model_strict(const struct model *m, const struct object *pod);

/* The pod that has the address, NULL: none. */
const struct object *model_pod_at(const struct model *m, const struct addr *a);
/* The node that has it. */
const struct object *model_node_at(const struct model *m, const struct addr *a);
bool model_in_pod_range(const struct model *m, const struct addr *a);

#endif
