/* SPDX-License-Identifier: Apache-2.0 */
/* See since.h. Sets, classes and port sets are named by what they hold, so what a row says changes only with
 * it. */
#include "agent/since.h"

#include <string.h>

enum since_whom { SINCE_ADDRESS, SINCE_SET, SINCE_ALL };

/* False: packets are not judged by it. */
static bool judges(const struct change *c, struct since_change *out)
{
	const struct row *r = &c->row;

	if (r->type != ROW_MAP)
		return false;
	switch (r->table) {
	case PLAN_MAP_endpoint:
	case PLAN_MAP_address:
		out->whom = SINCE_ADDRESS;
		memcpy(out->addr.b, r->key, sizeof(out->addr.b));
		return true;
	case PLAN_MAP_policy:
		out->whom = SINCE_SET;
		memcpy(&out->set, r->key, sizeof(out->set));
		return true;
	case PLAN_MAP_port: /* of a new or an old port set; a known one says something else */
	case PLAN_MAP_name_match:
		out->whom = SINCE_ALL;
		return c->op == CHANGE_SET;
	case PLAN_MAP_block:
	case PLAN_MAP_block_trie:
	case PLAN_MAP_name:
		out->whom = SINCE_ALL;
		return true;
	default:
		return false;
	}
}

void since_begin(struct since *s, const struct plan_delta *d)
{
	s->begun = s->n;
	VEC_EACH (&d->steps, step)
		VEC_EACH (&step->changes, c) {
			struct since_change new = {0};

			if (!judges(c, &new))
				continue;
			/* What is overwritten may be one of these, which has no time yet. */
			if (s->n >= SINCE_MAX && s->ring[s->n % SINCE_MAX].at > s->floor && s->floor)
				s->floor = s->ring[s->n % SINCE_MAX].at;
			s->ring[s->n++ % SINCE_MAX] = new;
		}
}

void since_end(struct since *s, bool in_force, uint64_t now)
{
	uint64_t from = s->n - s->begun > SINCE_MAX ? s->n - SINCE_MAX : s->begun;

	if (!in_force || !s->floor || s->n - s->begun > SINCE_MAX)
		s->floor = in_force ? now : 0;
	for (uint64_t i = from; i < s->n; i++)
		s->ring[i % SINCE_MAX].at = now;
	if (s->n != s->begun)
		s->newest = now;
	s->begun = s->n;
}

uint64_t since_of(const struct since *s, const struct addr *a, const struct addr *b, uint32_t set)
{
	uint64_t first = s->n > SINCE_MAX ? s->n - SINCE_MAX : 0, at = s->floor;

	for (uint64_t i = s->n; s->floor && i-- > first;) {
		const struct since_change *c = &s->ring[i % SINCE_MAX];

		if (c->at <= at)
			break; /* they stand in the order of time */
		if (c->whom == SINCE_ALL || (c->whom == SINCE_SET && c->set == set) ||
		    (c->whom == SINCE_ADDRESS && (addr_eq(&c->addr, a) || addr_eq(&c->addr, b))))
			at = c->at;
	}
	return at;
}

uint64_t since_any(const struct since *s)
{
	return s->floor && s->newest > s->floor ? s->newest : s->floor;
}
