/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The observer's answer to /seen: every flow since its start, with how many of its connections are open now.
 * Times are ages in milliseconds, as monotonic clocks mean nothing to who asks.
 */
#include "agent/observer.h"
#include "base/clock.h"
#include "observe/kernel.h"
#include "observe/seen.h"

static void on_sweep(uv_timer_t *t)
{
	struct observer *ob = t->data;

	if (ob->observed)
		flows_sweep(ob->flows, ob->observed);
}

int observer_seen_start(struct observer *ob)
{
	int r = flows_new(&ob->flows);

	if (r)
		return r;
	uv_timer_init(&ob->loop, &ob->sweeps);
	ob->sweeps.data = ob;
	return uv_timer_start(&ob->sweeps, on_sweep, SEEN_SWEEP_MS, SEEN_SWEEP_MS);
}

struct flow_printer {
	struct buf *out;
	uint64_t now;
	size_t n;
};

static unsigned long long age_ms(uint64_t now, uint64_t then)
{
	return then < now ? (now - then) / 1000000 : 0;
}

static int print_flow(void *ctx, const struct flow *f)
{
	struct flow_printer *p = ctx;
	char from[ADDR_TEXT], to[ADDR_TEXT];

	addr_print(&f->from, from);
	addr_print(&f->to, to);
	buf_printf(p->out,
		   "%s{\"from\":\"%s\",\"to\":\"%s\",\"protocol\":%u,\"port\":%u,\"answered\":%s,\"live\":%u,"
		   "\"firstMs\":%llu,\"lastMs\":%llu}",
		   p->n++ ? "," : "", from, to, f->proto, f->port, f->answered ? "true" : "false", f->live,
		   age_ms(p->now, f->first), age_ms(p->now, f->last));
	return p->out->failed;
}

int observer_seen(struct observer *ob, struct buf *out)
{
	struct flow_printer p = {.out = out, .now = clock_us() * 1000};

	if (flows_sweep(ob->flows, ob->observed))
		return 503;
	buf_addz(out, "{\"node\":");
	buf_json(out, str_of(ob->o.node));
	buf_addz(out, ",\"flows\":[");
	flows_each(ob->flows, print_flow, &p);
	buf_printf(out, "],\"lost\":%llu,\"sinceMs\":%llu}\n", (unsigned long long)flows_lost(ob->flows),
		   age_ms(p.now, flows_since(ob->flows)));
	return 200;
}
