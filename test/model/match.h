/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the model ask each other: who is at an address, and does a selector, a block, a port or a
 * name match. Called by the model only.
 */
#ifndef WEFT_TEST_MODEL_MATCH_H
#define WEFT_TEST_MODEL_MATCH_H

#include "model.h"

/* cluster.c */
bool node_has(const struct object *node, const struct addr *a);
bool namespace_matches(const struct model *m, const struct label_selector *sel, struct str ns);
bool is_staged(const struct object *policy);
bool is_strict(const struct object *policy);

/* match.c */
bool labels_match(const struct label_selector *sel, const struct strmap *labels);
bool block_has(struct str cidr, const struct addr *a);
bool domain_matches(struct str pattern, struct str name);

/* port.c */
const char *protocol_name(uint8_t proto); /* "" for those that policies cannot name */
/* The number that a pod declares under a name with that protocol; 0: none. */
int64_t declared_port(const struct object *pod, struct str name, uint8_t proto);

bool policy_selects(const struct object *policy, const struct object *pod);
bool cluster_policy_selects(const struct model *m, const struct object *policy, const struct object *pod);
/* networkpolicy.c, clusternetworkpolicy.c: one stage each; false: it does not decide. */
bool policies_judge(const struct model *m, const struct model_question *q, bool egress,
		    struct model_half *out);
bool tier_judges(const struct model *m, const char *tier, const struct model_question *q, bool egress,
		 struct model_half *out);

#endif
