/* SPDX-License-Identifier: Apache-2.0 */
/* Thresholds of probes. A result that differs from the one before starts its count anew. */
#include "observe/probe.h"

static int64_t number(struct opt_int v, int64_t otherwise, int64_t least)
{
	if (!v.set)
		return otherwise;
	return v.v < least ? least : v.v;
}

struct probe_rule probe_rule(const struct probe *p)
{
	return (struct probe_rule){
	    .delay_s = number(p->initial_delay_seconds, 0, 0),
	    .period_s = number(p->period_seconds, 10, 1),
	    .timeout_s = number(p->timeout_seconds, 1, 1),
	    .successes = number(p->success_threshold, 1, 1),
	    .failures = number(p->failure_threshold, 3, 1),
	};
}

void probe_reset(struct probe_state *s)
{
	*s = (struct probe_state){0};
}

bool probe_result(struct probe_state *s, const struct probe_rule *r, bool success)
{
	bool before = s->good;

	s->run = s->run && s->last == success ? s->run + 1 : 1;
	s->last = success;
	if (s->run >= (success ? r->successes : r->failures)) {
		s->good = success;
		s->judged = true;
	}
	return s->good != before;
}

uint16_t probe_port(const struct container *c, const struct intstr *port)
{
	if (port->type == INTSTR_INT)
		return port->i > 0 && port->i < 65536 ? (uint16_t)port->i : 0;
	if (port->type != INTSTR_STR)
		return 0;
	VEC_EACH (&c->ports, p)
		if (str_eq(p->name, port->s) && p->container_port.set)
			return (uint16_t)p->container_port.v;
	return 0;
}
