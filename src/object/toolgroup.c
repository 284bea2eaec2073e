/* SPDX-License-Identifier: Apache-2.0 */
/* ToolGroups: members that are there once, weights in range. Whether the tools exist is for the compiler. */
#include "object/check.h"

enum { WEIGHT_MAX = 1000, MEMBERS_MAX = 256 };

static struct str port_of(struct str port)
{
	return port.n ? port : STR("default");
}

static void check(struct check *c)
{
	const struct toolgroup_spec *s = c->o->toolgroup->spec;

	if (!s)
		return; /* the field table says that it is required */
	if (!s->members.len)
		check_fail(c, &s->members, "name tools: [{tool: ids-1}, {tool: ids-2}]", "must not be empty");
	if (s->members.len > MEMBERS_MAX)
		check_fail(c, &s->members, NULL, "%zu members are more than %d", s->members.len,
			   (int)MEMBERS_MAX);
	for (size_t i = 0; i < s->members.len && i < MEMBERS_MAX; i++) {
		const struct group_member *m = &s->members.items[i];

		check_range(c, &m->weight, 1, WEIGHT_MAX);
		for (size_t k = 0; k < i; k++)
			if (str_eq(m->tool, s->members.items[k].tool) &&
			    str_eq(port_of(m->port), port_of(s->members.items[k].port))) {
				check_fail_whole(c, &m->tool, "give it a larger weight instead",
						 "the group has this tool port before");
				break;
			}
	}
}

static int defaults(struct object *o)
{
	struct toolgroup_spec *s = o->toolgroup->spec;

	if (!s)
		return 0;
	for (size_t i = 0; i < s->members.len; i++) {
		default_str(&s->members.items[i].port, "default");
		default_int(&s->members.items[i].weight, 1);
	}
	if (s->standby)
		default_str(&s->standby->port, "default");
	default_str(&s->hash, "Outer");
	default_bool(&s->icmp_errors_follow, true);
	default_bool(&s->sticky, false);
	return 0;
}

const struct kind_rules toolgroup_rules = {.check = check, .defaults = defaults};
