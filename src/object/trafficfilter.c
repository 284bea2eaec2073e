/* SPDX-License-Identifier: Apache-2.0 */
/* TrafficFilters: a filter that can be asked of packets. */
#include "object/check.h"

static void check(struct check *c)
{
	const struct trafficfilter_spec *s = c->o->trafficfilter->spec;

	if (s)
		check_filter(c, &s->filter, FILTER_BYTES);
}

const struct kind_rules trafficfilter_rules = {.check = check};
