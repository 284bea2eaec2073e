/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The turns of all probes: a timer each, so many attempts at a time, first come first served. A probe keeps
 * its beat: a try that comes late does not shift those after it, and a beat that was left out is counted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/prober_state.h"
#include "base/clock.h"
#include "base/log.h"

/* Beats lie on a grid: probes that are due at about the same time are tried by one turn of the loop, and
 * their answers come to a few more, in place of two for each. */
enum { LEAST_MS = 50, GRID_MS = 20 };

static void try_now(struct runner *r);

uint64_t prober_scaled(const struct prober *p, int64_t seconds)
{
	return (uint64_t)seconds * 1000 / (p->o.faster ? p->o.faster : 1);
}

static uint64_t period_ms(const struct prober *p, const struct probe_rule *rule)
{
	uint64_t ms = prober_scaled(p, rule->period_s);

	return ms < LEAST_MS ? LEAST_MS : ms;
}

static void enqueue(struct runner *r)
{
	struct prober *p = r->t->p;

	r->queued = true;
	r->next = NULL;
	if (p->last)
		p->last->next = r;
	else
		p->first = r;
	p->last = r;
	p->queued++;
}

static struct runner *dequeue(struct prober *p)
{
	struct runner *r = p->first;

	if (!r)
		return NULL;
	p->first = r->next;
	if (!p->first)
		p->last = NULL;
	r->queued = false;
	p->queued--;
	return r;
}

static void leave_queue(struct runner *r)
{
	struct prober *p = r->t->p;
	struct runner **at = &p->first, *before = NULL;

	while (*at != r) {
		before = *at;
		at = &before->next;
	}
	*at = r->next;
	if (p->last == r)
		p->last = before;
	r->queued = false;
	p->queued--;
}

static void on_timer(uv_timer_t *timer)
{
	struct runner *r = (struct runner *)timer;

	if (r->attempt || r->queued || !runner_allowed(r))
		return;
	if (r->t->p->running >= r->t->p->limit)
		enqueue(r);
	else
		try_now(r);
}

void runner_schedule(struct runner *r, uint64_t ms)
{
	uv_update_time(r->t->p->o.curl->loop);
	r->due_ms = clock_ms() + ms;
	uv_timer_start(&r->timer, on_timer, ms, 0);
}

static void next_turns(struct prober *p)
{
	struct runner *r;

	while (p->running < p->limit && (r = dequeue(p)))
		if (runner_allowed(r))
			try_now(r);
}

void runner_stop(struct runner *r)
{
	struct prober *p = r->t->p;

	uv_timer_stop(&r->timer);
	r->due_ms = 0;
	if (r->queued)
		leave_queue(r);
	if (!r->attempt)
		return;
	attempt_cancel(&r->attempt);
	p->running--;
}

/* The next beat after now; those between were left out by us when the last try began late. */
static void schedule_next(struct runner *r, const struct probe_rule *rule)
{
	uint64_t period = period_ms(r->t->p, rule), now = clock_ms();
	uint64_t due = (r->due_ms + period + GRID_MS - 1) / GRID_MS * GRID_MS;

	if (due <= now) {
		if (r->began_us / 1000 >= due)
			r->t->p->missed += (r->began_us / 1000 - r->due_ms) / period;
		due = now + period - (now - r->due_ms) % period;
	}
	r->due_ms = due;
	uv_update_time(r->t->p->o.curl->loop); /* else it would come early, and alone */
	uv_timer_start(&r->timer, on_timer, due - now, 0);
}

static void keep_record(struct runner *r, const struct attempt_outcome *o)
{
	uint64_t took = r->began_us ? clock_us() - r->began_us : 0;
	struct record *rec = &r->records[r->n_records++ % RECORDS_KEPT];

	*rec = (struct record){.at_us = wall_us(),
			       .took_us = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took,
			       .code = (int16_t)o->code,
			       .cause = (uint8_t)o->cause};
	snprintf(r->why, sizeof(r->why), "%s", o->why);
	r->t->p->ended[r->kind][o->cause]++;
	latency_add(&r->t->p->took, took);
}

static void settle_outcome(struct runner *r, const struct attempt_outcome *o)
{
	struct target *t = r->t;
	const struct container *c = t->container;
	const struct probe *probe = c ? target_probe(c, r->kind) : NULL;
	struct probe_rule rule;

	keep_record(r, o);
	if (!probe)
		return;
	rule = probe_rule(probe);
	schedule_next(r, &rule);
	if (!attempt_dropped(o->cause))
		target_result(r, o->cause == ATTEMPT_SUCCESS);
	if (!runner_allowed(r))
		runner_stop(r);
}

static void on_attempt(void *ctx, const struct attempt_outcome *o)
{
	struct runner *r = ctx;
	struct prober *p = r->t->p;

	r->attempt = NULL;
	p->running--;
	settle_outcome(r, o);
	next_turns(p);
}

static void no_attempt(struct runner *r, enum attempt_cause cause, const char *why)
{
	struct attempt_outcome o = {.cause = cause, .why = why};

	settle_outcome(r, &o);
}

static bool pod_address(const struct object *pod, struct addr *out)
{
	const struct pod_status *st = pod->pod->status;

	return st && st->pod_ips.len && !addr_parse(st->pod_ips.items[0].ip, out);
}

/* Fills the address and port of a probe: whether it has them; else why not. */
static bool aim(const struct target *t, const struct container *c, const struct probe *probe,
		struct attempt_spec *spec, struct attempt_outcome *no)
{
	struct str host = {0};
	const struct intstr *port = NULL;

	if (probe->http_get) {
		host = probe->http_get->host;
		port = &probe->http_get->port;
		spec->http = probe->http_get;
	} else if (probe->tcp_socket) {
		host = probe->tcp_socket->host;
		port = &probe->tcp_socket->port;
		spec->tcp = true;
	} else if (probe->grpc) {
		spec->grpc = probe->grpc;
		spec->port = probe->grpc->port.set ? (uint16_t)probe->grpc->port.v : 0;
	} else if (probe->exec) {
		spec->exec = probe->exec;
		return true;
	}
	if (port)
		spec->port = probe_port(c, port);
	no->cause = ATTEMPT_TARGET;
	no->why = "the probe's port is declared by no container port";
	if (!spec->port)
		return false;
	no->why = "the pod has no address yet";
	if (!host.n)
		return pod_address(t->pod, &spec->addr);
	no->cause = ATTEMPT_UNREACHABLE;
	no->why = "the probe's host is no address, and names are not resolved";
	return !addr_parse(host, &spec->addr);
}

static void try_now(struct runner *r)
{
	struct target *t = r->t;
	struct prober *p = t->p;
	const struct container *c = t->container;
	const struct probe *probe = c ? target_probe(c, r->kind) : NULL;
	struct attempt_spec spec = {.runtime = p->o.runtime, .uid = t->pod->meta.uid};
	struct attempt_outcome no = {0};
	uint64_t now = clock_ms();
	int err;

	if (!probe)
		return;
	spec.container = c->name;
	spec.timeout_ms = (uint64_t)probe_rule(probe).timeout_s * 1000;
	r->began_us = clock_us();
	latency_add(&p->late, now > r->due_ms ? (now - r->due_ms) * 1000 : 0);
	if (!aim(t, c, probe, &spec, &no)) {
		no_attempt(r, no.cause, no.why);
		return;
	}
	err = attempt_start(&r->attempt, p->o.curl, &spec, on_attempt, r);
	if (!err)
		p->running++;
	else if (err == -ENETUNREACH || err == -EHOSTUNREACH)
		no_attempt(r, ATTEMPT_UNREACHABLE, "unreachable");
	else
		no_attempt(r, ATTEMPT_PROBER,
			   spec.exec ? "nobody here runs programs in containers"
				     : "the attempt could not be started");
}
