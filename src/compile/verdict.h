/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine: verdicts without a kernel, by the compiled rows of any number of nodes, looked up as the kernel
 * looks them up. Tests hold it against the kernel and against a reference that shares nothing with it
 * (test/model). No function changes a table but those that say so; a table may be asked from one thread.
 */
#ifndef WEFT_COMPILE_VERDICT_H
#define WEFT_COMPILE_VERDICT_H

#include "compile/compile.h"

enum judgement {
	JUDGED_ALLOW,
	JUDGED_DENY_EGRESS,
	JUDGED_DENY_INGRESS,
	JUDGED_NOBODY /* no such destination */
};

struct question {
	struct addr src, dst;	 /* after translation */
	uint8_t proto;		 /* IPPROTO_TCP, UDP, SCTP, ICMP, ICMPV6 */
	bool through_service;	 /* src is dst: the pod reaches itself through a Service (CN18) */
	bool staged;		 /* with staged policies in force, where there are any */
	uint16_t port;		 /* destination, host order; 0 for protocols without */
	const struct str *names; /* under which DNS answers gave dst; in any case, a dot at the end or not */
	size_t names_len;
};
struct answer {
	enum judgement verdict;
	/* What decided at each end: the rule that allows or (Deny rules only) denies, RULE_NONE for the
	 * default; and the set that was asked, SET_NONE where nothing judges. After JUDGED_DENY_EGRESS the
	 * other end was not asked. */
	uint32_t rule_egress, rule_ingress;
	uint32_t set_egress, set_ingress;
};

/* Rows of several nodes: add each node's plan, then ask. 0 or -ENOMEM. */
struct verdict_table;
int verdict_table_new(struct verdict_table **out);
int verdict_table_add(struct verdict_table *t, const struct plan *p); /* copies what it needs */
void verdict_table_free(struct verdict_table **t);
/* A node that is filled by changes, in the order in which they would be applied. */
int verdict_table_node(struct verdict_table *t, size_t *index);
int verdict_table_change(struct verdict_table *t, size_t index, const struct change *ch);

struct answer verdict_ask(const struct verdict_table *t, const struct question *q);

/* What may pass from one address to another: protocols and ports that both ends allow, with their rules. */
struct verdict_range {
	uint8_t proto;	    /* IPPROTO_TCP, UDP, SCTP; 0: protocols without ports (low and high are 0) */
	uint16_t low, high; /* host order, both inclusive */
	uint32_t rule_egress, rule_ingress;
};
struct verdict_ranges {
	VEC(struct verdict_range) list; /* sorted by (proto, low), disjoint; neighbours differ in a rule */
};
/* All that verdict_ask() would allow for q's addresses (and names); q->proto and q->port are not read. An
 * empty list where nothing is allowed or nobody is there. Appends nothing on failure: 0 or -ENOMEM; the list
 * is the caller's, to be freed by vec_free(). */
int verdict_ranges(const struct verdict_table *t, const struct question *q, struct verdict_ranges *out);

/* The parts of a verdict, for who asks much about few sets. Nodes are numbered in the order in which they
 * were added. */
struct verdict_end {
	size_t node;
	uint32_t ifindex, flags;	  /* ENDPOINT_… */
	uint32_t ingress_set, egress_set; /* SET_NONE: nothing judges */
	uint32_t staged_ingress, staged_egress;
};
bool verdict_end(const struct verdict_table *t, const struct addr *a,
		 struct verdict_end *out); /* false: no
					       wired pod */
uint32_t verdict_class(const struct verdict_table *t, size_t node, const struct addr *a);

struct said {
	bool allow;
	uint32_t rule;	/* RULE_NONE: the default */
	uint32_t names; /* denied, but allowed for destinations under a name of this name set; 0: none */
};
/* One set about one class; a set of SET_NONE allows everything. proto as in struct question. */
struct said verdict_set_ask(const struct verdict_table *t, size_t node, uint32_t set, uint32_t class,
			    uint8_t proto, uint16_t port);
struct said_range {
	uint8_t proto; /* as in verdict_range */
	uint16_t low, high;
	struct said said;
};
struct said_ranges {
	VEC(struct said_range) list; /* every port of 0, TCP, UDP, SCTP; sorted, neighbours differ */
};
int verdict_set_ranges(const struct verdict_table *t, size_t node, uint32_t set, uint32_t class,
		       struct said_ranges *out); /* 0 or -ENOMEM, as verdict_ranges() */
/* The rule by which a name set accepts a name, RULE_NONE when it does not. */
uint32_t verdict_name_rule(const struct verdict_table *t, size_t node, uint32_t names, struct str name);

#endif
