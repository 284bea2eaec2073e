/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How values merge, member by member, as the field tables say: for strategic merge patches, server-side
 * apply, the owners of fields, and the schemas that are published. Pure.
 */
#ifndef WEFT_OBJECT_RULE_H
#define WEFT_OBJECT_RULE_H

#include "object/object.h"

enum merge_how {
	MERGE_VALUE, /* one value, replaced as a whole */
	MERGE_MAP,   /* member by member */
	MERGE_KEYED, /* a list of maps that are told apart by the members `keys` */
	MERGE_SET    /* a list of values that are there or not */
};

struct merge_rule {
	enum merge_how how;
	bool free;	     /* what the tables do not know: a map merges, all else is a value */
	const char *keys[2]; /* KEYED; the second may be NULL. Strategic patches know the first only */
	const struct struct_desc *type; /* of the members or items; NULL: free-form */
};

/* The rule of the member `name` of a struct; d NULL: in a free-form map. */
struct merge_rule merge_rule(const struct struct_desc *d, const char *name);
/* The rule of a member of an object itself. */
struct merge_rule merge_rule_top(const struct kind_desc *k, const char *name);

#endif
