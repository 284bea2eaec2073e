/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long it takes from what caused an EndpointSlice to change (a probe's result, as the hub notes it on the
 * slice) until the change is in force in the kernel. A commit that was refused counts when it is in force at
 * last. Called by planner.c and sync.c.
 */
#include "agent/planner.h"

enum { TOO_OLD_US = 60 * 1000000, WAITING_MAX = 10000 };

static bool trigger_of(const struct object *o, int64_t *us)
{
	const struct str *text = o ? strmap_get(&o->meta.annotations, STR(TRIGGER_ANNOTATION)) : NULL;

	return text && !trigger_parse(*text, us);
}

void programming_note(struct planner *p, const struct event *e)
{
	int64_t now, before;

	if (e->object->desc->kind != KIND_endpointslice || e->type == EVENT_DELETED || !p->listed ||
	    !trigger_of(e->object, &now) || (trigger_of(e->old, &before) && before == now))
		return;
	if (p->noted.len < WAITING_MAX)
		(void)vec_push(&p->noted, now);
}

void programming_sent(struct planner *p)
{
	VEC_EACH (&p->noted, t)
		(void)vec_push(&p->sent, *t);
	p->noted.len = 0;
}

void programming_none(struct planner *p)
{
	p->noted.len = 0;
}

/* Clocks that jump give times that were never taken: left out. */
void programming_done(struct planner *p)
{
	int64_t now = wall_us();

	VEC_EACH (&p->sent, t)
		if (now >= *t && now - *t < TOO_OLD_US)
			latency_add(&p->programming, (uint64_t)(now - *t));
	p->sent.len = 0;
}
