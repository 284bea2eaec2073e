/* SPDX-License-Identifier: Apache-2.0 */
/* Captures: sources as those of a TrafficMap, a filter that can be asked of packets, a bounded time. */
#include "object/check.h"

enum { SECONDS_MAX = 86400, SNAP_MIN = 14, SNAP_MAX = 65535 };

static void check(struct check *c)
{
	const struct capture_spec *s = c->o->capture->spec;

	if (!s)
		return; /* the field table says that it is required */
	for (size_t i = 0; i < s->from.len; i++) {
		check_traffic_source(c, &s->from.items[i]);
		if (s->from.items[i].feed.set && s->from.items[i].feed.v)
			check_fail(c, &s->from.items[i].feed, "leave feed out: a TrafficMap says so",
				   "a capture takes nothing away from a host");
	}
	if (s->filter.n)
		check_filter(c, &s->filter, FILTER_BYTES);
	check_range(c, &s->snap, SNAP_MIN, SNAP_MAX);
	check_range(c, &s->seconds, 1, SECONDS_MAX);
}

static int defaults(struct object *o)
{
	struct capture_spec *s = o->capture->spec;

	if (!s)
		return 0;
	default_str(&s->direction, "Both");
	default_str(&s->packets, "All");
	default_int(&s->seconds, 3600);
	for (size_t i = 0; i < s->from.len; i++)
		if (s->from.items[i].service)
			default_str(&s->from.items[i].service->ns, "default");
	return 0;
}

const struct kind_rules capture_rules = {.check = check, .defaults = defaults};
