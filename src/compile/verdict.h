/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts without a kernel. verdict_*: by the compiled rows, looked up as the kernel looks them up (the
 * engine). model_*: by the objects, straight from the words of the specification, slow and simple (the
 * reference). Tests hold the two against each other and against the kernel.
 */
#ifndef WEFT_COMPILE_VERDICT_H
#define WEFT_COMPILE_VERDICT_H

#include "compile/compile.h"
#include "store/store.h"

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

/* By the objects of a store. */
enum judgement model_ask(const struct store *s, const struct question *q);

#endif
