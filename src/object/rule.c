/* SPDX-License-Identifier: Apache-2.0 */
/* Rules from the field tables, and of the few lists inside of what the tables keep as text. See rule.h. */
#include "object/rule.h"

#include "base/own.h"

static const struct field_desc *field_of(const struct struct_desc *d, const char *json)
{
	for (uint32_t i = 0; d && i < d->n; i++)
		if (!strcmp(d->fields[i].json, json))
			return &d->fields[i];
	return NULL;
}

/* Lists in opaque members, and opaque lists: Kubernetes' own keys. */
static struct merge_rule rule_opaque(const char *name)
{
	static const char *const keyed[][3] = {
	    {"volumes", "name", NULL},
	    {"volumeMounts", "mountPath", NULL},
	    {"volumeDevices", "devicePath", NULL},
	    {"imagePullSecrets", "name", NULL},
	    {"hostAliases", "ip", NULL},
	    {"hostIPs", "ip", NULL},
	    {"ephemeralContainers", "name", NULL},
	    {"claims", "name", NULL},
	    {"topologySpreadConstraints", "topologyKey", "whenUnsatisfiable"},
	};
	for (size_t i = 0; i < ARRAY_LEN(keyed); i++)
		if (!strcmp(name, keyed[i][0]))
			return (struct merge_rule){.how = MERGE_KEYED, .keys = {keyed[i][1], keyed[i][2]}};
	return (struct merge_rule){.free = true};
}

static struct merge_rule rule_many(const struct field_desc *f)
{
	struct merge_rule r = {.type = f->type};
	for (uint32_t i = 0; i < f->type->n; i++) {
		const struct field_desc *key = &f->type->fields[i];
		if (key->flags & FIELD_KEY)
			r.keys[0] = key->json;
		if (key->flags & FIELD_KEY2)
			r.keys[1] = key->json;
	}
	if (r.keys[0])
		r.how = MERGE_KEYED;
	return r;
}

struct merge_rule merge_rule(const struct struct_desc *d, const char *name)
{
	const struct field_desc *f = field_of(d, name);
	if (f && f->flags & FIELD_ATOMIC)
		return (struct merge_rule){.type = f->type};
	if (!f || f->shape == SHAPE_OPAQUE)
		return rule_opaque(name);
	switch (f->shape) {
	case SHAPE_MAP:
		return (struct merge_rule){.how = MERGE_MAP};
	case SHAPE_ONE:
		return (struct merge_rule){.how = MERGE_MAP, .type = f->type};
	case SHAPE_MANY:
		return rule_many(f);
	case SHAPE_STRS:
		return (struct merge_rule){.how = f->flags & FIELD_SET ? MERGE_SET : MERGE_VALUE};
	default:
		return (struct merge_rule){0};
	}
}

struct merge_rule merge_rule_top(const struct kind_desc *k, const char *name)
{
	if (!strcmp(name, "metadata"))
		return (struct merge_rule){.how = MERGE_MAP, .type = &metadata_desc};
	return merge_rule(k->members, name);
}
