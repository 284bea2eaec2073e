/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: their pod address ranges. */
#include "object/check.h"

static void check(struct check *c)
{
	const struct node_spec *s = c->o->node->spec;
	if (!s)
		return;
	check_families(c, &s->pod_cidrs);
	if (s->pod_cidr.n && s->pod_cidrs.len && !str_eq(s->pod_cidr, s->pod_cidrs.items[0]))
		check_fail(c, &s->pod_cidrs.items[0], "write the same range first",
			   "differs from podCIDR, " STR_FMT, STR_ARG(s->pod_cidr));
	for (size_t i = 0; i < s->taints.len; i++)
		if (s->taints.items[i].key.n)
			check_rule(c, &s->taints.items[i].key, s->taints.items[i].key,
				   syntax_label_key(s->taints.items[i].key), "taint key");
}

const struct kind_rules node_rules = {.check = check};
