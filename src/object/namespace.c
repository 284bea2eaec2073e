/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces: their defaults. The label with the name lets policies select a namespace by name. */
#include <errno.h>

#include "object/check.h"

static int defaults(struct object *o)
{
	struct namespace *n = o->namespace;
	int r = strmap_set(&o->arena, &o->meta.labels, STR("kubernetes.io/metadata.name"), o->meta.name);
	if (r)
		return r;
	if (!n->status)
		n->status = arena_new(&o->arena, struct namespace_status);
	if (!n->status)
		return -ENOMEM;
	default_str(&n->status->phase, "Active");
	return 0;
}

const struct kind_rules namespace_rules = {.defaults = defaults};
