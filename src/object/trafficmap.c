/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TrafficMaps: each source and each target is of one kind, the filter can be asked of packets. Whether what
 * is named exists is for the compiler, which knows all objects.
 */
#include "object/check.h"

void check_traffic_source(struct check *c, const struct traffic_source *s)
{
	int n = !!s->pods + !!s->service + !!s->uplink + !!s->interface;

	if (n != 1)
		check_fail_whole(c, s, "write \"- interface: {name: eth1}\", one entry for each source",
				 n ? "has more than one of pods, service, uplink, interface"
				   : "needs pods, service, uplink or interface");
	if (s->feed.set && s->feed.v && !s->interface)
		check_fail(c, &s->feed, "leave feed out", "is for interfaces: nothing else is a feed");
}

static void check_target(struct check *c, const struct traffic_target *t)
{
	if (!t->tool.n == !t->group.n)
		check_fail_whole(c, &t->tool, "write \"- tool: NAME\" or \"- group: NAME\"",
				 t->tool.n ? "has both tool and group" : "needs tool or group");
	else if (t->group.n && t->port.n)
		check_fail(c, &t->port, "the members of the group name their ports",
			   "cannot stand beside group");
}

static void check(struct check *c)
{
	const struct trafficmap_spec *s = c->o->trafficmap->spec;

	if (!s)
		return; /* the field table says that it is required */
	if (!s->from.len)
		check_fail(c, &s->from, "name sources, e.g. [{interface: {name: eth1}}]",
			   "must not be empty");
	if (!s->to.len)
		check_fail(
		    c, &s->to,
		    "name tools, e.g. [{tool: ids}]; a tool with discard: true takes what nobody needs",
		    "must not be empty");
	for (size_t i = 0; i < s->from.len; i++)
		check_traffic_source(c, &s->from.items[i]);
	for (size_t i = 0; i < s->to.len; i++)
		check_target(c, &s->to.items[i]);
	if (s->filter.n)
		check_filter(c, &s->filter, FILTER_BYTES);
	check_distinct(c, &s->filter_refs);
	check_distinct(c, &s->except);
	if (s->rest.set && s->rest.v && s->except.len)
		check_fail(c, &s->except, "leave except out: rest means what no other map took",
			   "cannot stand beside rest");
}

static int defaults(struct object *o)
{
	struct trafficmap_spec *s = o->trafficmap->spec;

	if (!s)
		return 0;
	default_str(&s->direction, "Both");
	default_str(&s->packets, "Forwarded");
	for (size_t i = 0; i < s->to.len; i++)
		if (s->to.items[i].tool.n)
			default_str(&s->to.items[i].port, "default");
	for (size_t i = 0; i < s->from.len; i++)
		if (s->from.items[i].service)
			default_str(&s->from.items[i].service->ns, "default");
	return 0;
}

const struct kind_rules trafficmap_rules = {.check = check, .defaults = defaults};
