/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes between two stores: every flow (source, destination, protocol, port) that one allows and the
 * other refuses, exactly, in lines that a person can read. Sources and destinations are all pods that both
 * know, nodes, and all addresses outside.
 */
#ifndef WEFT_REASON_DIFF_H
#define WEFT_REASON_DIFF_H

#include "reason/ends.h"

enum cause_kind {
	CAUSE_ALLOWS,	/* a rule of the second store lets it pass */
	CAUSE_DENIES,	/* a rule of the second store refuses it */
	CAUSE_ISOLATES, /* a policy of the second store isolates the pod, and no rule lets it pass */
	CAUSE_ALLOWED,	/* a rule of the first store did, and nothing does any more */
	CAUSE_DENIED,
	CAUSE_ISOLATED
};
struct diff_cause { /* owned by the diff */
	enum cause_kind kind;
	char *text; /* "NetworkPolicy shop/web" */
	char *rule; /* "shop/web/ingress/0", or NULL */
	struct file *file;
	uint32_t line, col; /* of the rule, or of the policy */
};
struct diff_change {		      /* everyone of `sources` to everyone of `destinations` */
	bool *sources, *destinations; /* by end; owned */
	uint64_t flows;		      /* pairs of ends */
	int family;		      /* 4, 6; 0: all that the ends share */
	uint8_t was, now;	      /* enum port_word */
	VEC(struct port_span) ports;
	VEC(uint32_t) causes; /* indexes */
};
struct diff {
	struct ends ends;
	VEC(struct diff_change) changes;
	VEC(struct diff_cause) causes;
	uint64_t compared; /* pairs of ends */
	uint64_t changed;  /* of them, with any change */
};

struct diff_options {
	bool staged; /* staged policies count, as in the engines */
};
/* Engine 0 is before, 1 is after. Both must outlive the diff. 0 or -ENOMEM. */
int diff_new(struct diff *out, struct engine *const engines[ENGINES], struct port_fns *fns,
	     const struct pod_pairs *pairs, const struct diff_options *opt);
void diff_fini(struct diff *d);

#endif
