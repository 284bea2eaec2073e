/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a connection is allowed or refused, as this node sees it: where it is translated to, which way it goes,
 * and for the pod at this end the tiers in their order, the rule that decided, the policies that isolate, and
 * the nearest rules that missed. The verdict is that of the rows in force; the words come from the objects,
 * and where the two do not agree it says so. PURE; called by the planner, by the command line and by tests.
 */
#ifndef WEFT_COMPILE_WHY_H
#define WEFT_COMPILE_WHY_H

#include "compile/compile.h"
#include "compile/verdict.h"
#include "seam/ask.h"

enum why_reason {
	WHY_UNSELECTED, /* no policy selects the pod in this direction */
	WHY_OPEN,	/* only cluster policies select it, and none of their rules matches */
	WHY_RULE,	/* a rule of a NetworkPolicy matches */
	WHY_ACCEPT,	/* a rule of a cluster policy matches */
	WHY_DENY,
	WHY_DEFAULT,  /* isolated, and no rule matches */
	WHY_OWN_NODE, /* sockets of the pod's own node always get in */
	WHY_SELF,     /* a pod reaches itself */
};

struct why_place {	 /* a policy that selects the pod; words live in the explanation's arena */
	struct str name; /* "NetworkPolicy shop/web" */
	struct str tier; /* "Admin", "Baseline"; empty for a NetworkPolicy, which isolates */
	int64_t priority;
	struct pos pos;
	size_t rules; /* for the direction */
	bool staged;
};
struct why_rule {
	struct str policy;     /* "NetworkPolicy shop/web" */
	struct str path, name; /* "ingress[0]"; what the rule is called, or empty */
	struct str text;       /* as name_rule() tells it: "shop/web/ingress/0" */
	struct str tier;       /* "Admin", "Baseline"; empty for a NetworkPolicy */
	int64_t priority;
	struct pos pos;
};
struct why_miss { /* a rule that would have allowed it, and what kept it from matching */
	struct str policy, what;
	struct pos pos;
	unsigned fields, distance;
};
struct why_name { /* a domain name that would allow the destination once a DNS answer gives it */
	struct str pattern;
	uint32_t class; /* as in seam/name.h; 0: not in force here */
	struct why_rule rule;
};
struct why_side { /* one reading of one direction */
	bool allowed;
	enum why_reason reason;
	struct why_rule rule;
	VEC(struct why_rule) passed; /* Pass of the Admin tier, at most one */
	VEC(struct why_rule) allow;  /* all rules of NetworkPolicies that match */
	VEC(struct why_place)
	policies;		     /* that select the pod for this direction, in the order of the search */
	VEC(struct why_miss) misses; /* nearest first, at most three */
	VEC(struct why_name) names;
};
struct explanation {
	int dir; /* DIR_INGRESS or DIR_EGRESS of state.h: 0 or 1 */
	struct str pod, peer;
	struct why_side now, staged;
	bool any_staged; /* a staged policy selects the pod: `staged` is what all would say */
	struct {
		bool found, allowed;
		uint32_t set, class, portset, rule;
		struct str rule_text;
	} rows;
	struct ask ask; /* the same question for the kernel; the caller may let it answer, unless `self` */
	bool asked, self;
	struct arena arena;
};

struct why_question {
	struct addr src, dst;
	uint8_t proto;
	uint16_t port; /* host order */
	bool outside;  /* src is no pod of the cluster and no socket of this node */
	bool self;     /* to WHY about ingress: it came through a Service from the pod itself */
};
enum why_way {
	WAY_HERE,
	WAY_OVER_TUNNEL,
	WAY_BY_ROUTE,
	WAY_TO_NODE,
	WAY_OUT,
	WAY_OWN_NODE,
	WAY_NOBODY,
	WAY_NO_SERVICE, /* a Service's address, but not this port: refused */
	WAY_UNASSIGNED	/* in the range of Services, and no Service has it: dropped */
};
struct why_flow {		   /* one backend, or the destination itself */
	struct addr dst, seen_src; /* seen_src: the source as the destination's policies see it */
	uint16_t port;
	bool masquerade, self;
	enum why_way way;
	struct str pod, node; /* at dst; node: where it is, empty where that is no node of ours */
	bool judged;	      /* egress says something: the source is a pod of this node */
	struct explanation egress;
};
struct why_answer {
	struct str node;
	struct str service; /* "Service shop/cart", empty: not translated */
	struct pos service_pos;
	struct str as;		 /* "cluster", "nodePort", "balancer", "external", "hostPort" */
	struct str announced_by; /* the node that answers for a balancer's address; empty: none of ours */
	uint32_t affinity;	 /* seconds that a client stays with its backend; 0: it does not */
	bool maglev;
	bool direct;	   /* backends of other nodes answer by themselves */
	struct str no_way; /* why there are no flows; empty: the Service has no endpoint and is refused */
	VEC(struct why_flow) flows; /* none with a service: it has no endpoint */
	struct arena arena;
};

/* From this node's end: translation, ways, egress. 0 or -ENOMEM; fini in any case. */
int why_from(const struct compiler *c, const struct why_question *q, struct why_answer *out);
/* At this node's end: ingress of the pod that has q->dst. -ENOENT: no pod of this node has it. */
int why_to(const struct compiler *c, const struct why_question *q, struct explanation *out);
void why_answer_fini(struct why_answer *a);
void explanation_fini(struct explanation *e);

/* As JSON (doc/internals.md). "differs" tells where rows, objects and kernel do not say the same. */
void why_answer_json(struct buf *b, const struct why_answer *a);
void explanation_json(struct buf *b, const struct explanation *e);

/* What the number of a drop's cause or of a rule stands for, as JSON: policies of a set or the rule, with
 * positions; "over": no longer in force. false: not known (any more). */
bool why_cause_json(const struct compiler *c, struct buf *b, uint32_t id);

#endif
