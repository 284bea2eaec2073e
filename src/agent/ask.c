/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planner's questions to the kernel, through the applier, and who waits for the answers: they come in the
 * order of the questions. Knows nothing of what is asked. Called by request.c, told by applier_link.c.
 */
#include <errno.h>

#include "agent/planner.h"

int planner_ask(struct planner *p, const struct ask *asks, size_t n, planner_answered *fn, void *ctx)
{
	struct buf b = {0};

	if (n > WIRE_ASKS_MAX)
		return -E2BIG;
	if (p->state == APPLIER_AWAY)
		return -EPIPE;
	wire_asks(&b, WIRE_ASK, p->txn, 0, asks, n);
	if (b.failed || vec_push(&p->asked, (struct asked){.n = n, .fn = fn, .ctx = ctx})) {
		buf_fini(&b);
		return -ENOMEM;
	}
	link_send(p, &b, NULL, 0);
	return 0;
}

int ask_take(struct planner *p, const void *message, size_t n)
{
	static struct ask asks[WIRE_ASKS_MAX];
	struct asked first;
	int32_t result;
	size_t count;

	if (!p->asked.len || wire_asks_read(message, n, &result, asks, &count))
		return -EPROTO;
	first = p->asked.items[0];
	if (result > 0 || count != (result ? 0 : first.n))
		return -EPROTO;
	vec_remove(&p->asked, 0);
	first.fn(first.ctx, result, asks, count);
	return 0;
}

void ask_lost(struct planner *p)
{
	while (p->asked.len) {
		struct asked first = p->asked.items[0];

		vec_remove(&p->asked, 0);
		first.fn(first.ctx, -EPIPE, NULL, 0);
	}
	vec_free(&p->asked);
}
