/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts without a kernel: by the compiled rows, looked up as the kernel looks them up (the engine). Tests
 * hold it against the kernel and against a reference that knows objects only (test/model).
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
	struct addr src, dst; /* after translation */
	uint8_t proto;	      /* IPPROTO_TCP, UDP, SCTP, ICMP, ICMPV6 */
	uint16_t port;	      /* destination, host order; 0 for protocols without */
};
struct answer {
	enum judgement verdict;
	uint32_t rule_egress, rule_ingress;
};

/* Rows of several nodes: add each node's plan, then ask. */
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

#endif
