/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assertions: "ns=dev cannot reach ns=db except tcp/5432". One a line:
 *
 *   SELECTOR can|cannot reach SELECTOR [on PORTS] [except PORTS]
 *   SELECTOR  TERM [and TERM]…           a comma is "and"
 *   TERM      any · pods · outside · nodes · ns=NAME · pod=NS/NAME (or a workload) · svc=NS/NAME (pods behind
 * it) node=NAME · KEY=VALUE (a pod's label) · ns:KEY=VALUE (its namespace's label) · 10.0.0.0/8
 *             "!=" in place of "=": those pods for which it does not hold
 *   PORTS     tcp/80 tcp/8000-8100 udp sctp icmp any 5432, with commas; icmp stands for all without ports
 */
#ifndef WEFT_REASON_ASSERTION_H
#define WEFT_REASON_ASSERTION_H

#include "base/addr.h"
#include "base/arena.h"
#include "base/vec.h"
#include "reason/portfn.h"

enum term_kind {
	TERM_ANY,
	TERM_PODS,
	TERM_OUTSIDE,
	TERM_NODES,
	TERM_NS,
	TERM_POD,
	TERM_SVC,
	TERM_NODE,
	TERM_LABEL,
	TERM_NS_LABEL,
	TERM_CIDR
};
struct term {
	enum term_kind kind;
	bool negated;
	struct str key, value; /* of labels; value is the name of ns, pod, svc, node; key their namespace */
	struct prefix cidr;
};
struct selection {
	VEC(struct term) terms; /* all must hold */
	struct str text;
};
struct assertion {
	struct selection from, to;
	bool can;
	VEC(struct port_span) ports; /* sorted, apart from each other: `on` without `except` */
	struct str text;
};

/* Parses one assertion; texts are kept in the arena. 0; -EINVAL with *column (from 1) and *why (in the
 * arena), -ENOMEM. */
int assertion_parse(struct assertion *out, struct arena *a, struct str text, size_t *column,
		    const char **why);
void assertion_fini(struct assertion *a);

#endif
