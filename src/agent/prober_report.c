/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the prober tells others: readiness to the hub, one request at a time with all that changed until then,
 * and containers that failed to the runtime, until it has taken the word. A target that changed again
 * meanwhile is told its newest state.
 */
#include <errno.h>
#include <stdio.h>

#include "agent/prober_state.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"

enum { REPORT_RETRY_MS = 200, RECONCILE_MS = 1000, REPORT_MAX = 500 };

static void report_next(struct prober *p);

static void mark(struct target *t)
{
	if (t->dirty)
		return;
	t->dirty = true;
	t->next_dirty = t->p->dirty;
	t->p->dirty = t;
}

void report_dirty(struct target *t)
{
	mark(t);
	report_next(t->p);
}

void report_forget(struct target *t)
{
	struct target **at = &t->p->dirty;

	while (*at && *at != t)
		at = &(*at)->next_dirty;
	if (*at)
		*at = t->next_dirty;
	VEC_EACH (&t->p->in_flight, x)
		if (*x == t)
			*x = NULL;
}

static size_t on_report_body(struct transfer *tr, const char *bytes, size_t n)
{
	(void)tr;
	(void)bytes;
	return n;
}

static void on_retry(uv_timer_t *timer)
{
	report_next(timer->data);
}

static void again_later(struct prober *p)
{
	VEC_EACH (&p->in_flight, t)
		if (*t)
			mark(*t);
	p->in_flight.len = 0;
	p->busy = false;
	uv_timer_start(&p->retry, on_retry, REPORT_RETRY_MS, 0);
}

static void on_reported(struct transfer *tr, long status, CURLcode error)
{
	struct prober *p = CONTAINER_OF(tr, struct prober, report);
	int64_t now = wall_us();

	(void)error;
	if (status != 200 && status != 404) {
		again_later(p);
		return;
	}
	VEC_EACH (&p->in_flight, t) {
		if (!*t)
			continue;
		(*t)->told_ms = clock_ms();
		if ((*t)->trigger_us && now > (*t)->trigger_us && !(*t)->dirty)
			latency_add(&p->told, (uint64_t)(now - (*t)->trigger_us));
		if (!(*t)->dirty)
			(*t)->trigger_us = 0;
	}
	p->in_flight.len = 0;
	p->busy = false;
	report_next(p);
}

static const char *reason_of(const struct target *t)
{
	const struct runner *startup = t->runner[PROBE_STARTUP], *readiness = t->runner[PROBE_READINESS];

	if (startup && !t->started)
		return startup->why;
	return readiness ? readiness->why : "";
}

static void describe(struct buf *b, const struct target *t)
{
	char at[TRIGGER_TEXT];

	buf_addz(b, "{\"pod\":");
	buf_json(b, object_key(t->pod));
	buf_addz(b, ",\"uid\":");
	buf_json(b, t->pod->meta.uid);
	buf_addz(b, ",\"container\":");
	buf_json(b, str_of(strchr(t->key, '/') + 1));
	buf_printf(b, ",\"restartCount\":%lld,\"ready\":%s,\"started\":%s", (long long)t->restarts,
		   t->ready ? "true" : "false", t->started ? "true" : "false");
	if (t->trigger_us) {
		trigger_print(t->trigger_us, at);
		buf_printf(b, ",\"at\":\"%s\"", at);
	}
	buf_addz(b, ",\"reason\":");
	buf_json(b, str_of(reason_of(t)));
	buf_addc(b, '}');
}

static void gather(struct prober *p)
{
	buf_clear(&p->body);
	buf_addz(&p->body, "{\"list\":[");
	p->in_flight.len = 0;
	while (p->dirty && p->in_flight.len < REPORT_MAX) {
		struct target *t = p->dirty;

		if (vec_push(&p->in_flight, t))
			break;
		p->dirty = t->next_dirty;
		t->dirty = false;
		t->told_ms = t->told_ms ? t->told_ms : 1;
		buf_addz(&p->body, p->in_flight.len > 1 ? "," : "");
		describe(&p->body, t);
	}
	buf_addz(&p->body, "]}");
}

static void report_next(struct prober *p)
{
	if (p->busy || !p->dirty || uv_is_active((uv_handle_t *)&p->retry))
		return;
	p->busy = true;
	gather(p);
	if (!p->report.easy)
		p->report.easy = curl_easy_init();
	if (!p->report.easy || p->body.failed) {
		again_later(p);
		return;
	}
	curl_easy_setopt(p->report.easy, CURLOPT_CUSTOMREQUEST, "PUT");
	curl_easy_setopt(p->report.easy, CURLOPT_POSTFIELDSIZE, (long)p->body.n);
	curl_easy_setopt(p->report.easy, CURLOPT_POSTFIELDS, p->body.p);
	curl_easy_setopt(p->report.easy, CURLOPT_TIMEOUT_MS, 5000L);
	if (transfer_start(p->o.curl, &p->report, "/apis/weft.network/internal/readiness"))
		again_later(p);
}

/* --- the runtime --- */

static void on_killed(void *ctx, const struct runtime_answer *a)
{
	struct target *t = ctx;

	t->killing = NULL;
	t->kill_told = a->ok;
	if (!a->ok)
		log_warn("%.*s: container %s cannot be ended: %s", STR_ARG(object_key(t->pod)),
			 strchr(t->key, '/') + 1, a->error);
}

static void ask_kill(struct target *t)
{
	struct runtime_end e = {.uid = t->pod->meta.uid,
				.container = str_of(strchr(t->key, '/') + 1),
				.reason = str_of(t->kill_reason),
				.restarts = t->restarts,
				.grace_s = t->kill_grace_s};
	int err = runtime_end(t->p->o.runtime, &t->killing, &e, on_killed, t);

	if (err)
		log_warn("%.*s: nobody ends container %s: %s", STR_ARG(object_key(t->pod)),
			 strchr(t->key, '/') + 1, strerror(-err));
}

void target_kill(struct runner *r)
{
	struct target *t = r->t;
	const struct container *c = t->container;
	const struct probe *probe = c ? target_probe(c, r->kind) : NULL;
	const struct pod_spec *spec = t->pod->pod->spec;

	if (t->killed || t->leaving || !probe)
		return;
	t->killed = true;
	t->p->kills++;
	t->kill_grace_s =
	    probe->termination_grace_period_seconds.set	 ? probe->termination_grace_period_seconds.v
	    : spec->termination_grace_period_seconds.set ? spec->termination_grace_period_seconds.v
							 : 30;
	snprintf(t->kill_reason, sizeof(t->kill_reason), "%s probe failed: %s", probe_kind_name(r->kind),
		 r->why);
	log_info("%.*s: container %s ends: %s", STR_ARG(object_key(t->pod)), strchr(t->key, '/') + 1,
		 t->kill_reason);
	ask_kill(t);
}

/* What the hub holds may be older than us (it was restarted): told again until it agrees; and who was to end
 * and does not know it yet is told again. */
static void on_reconcile(uv_timer_t *timer)
{
	struct prober *p = timer->data;
	uint64_t now = clock_ms();

	HASH_EACH (&p->targets, s) {
		struct target *t = s->value;
		const struct container_status *st = t->status;

		if (t->killed && !t->kill_told && !t->killing && t->running)
			ask_kill(t);
		if (now - t->told_ms < RECONCILE_MS || !st || !t->running)
			continue;
		if ((st->ready.set && st->ready.v != t->ready) ||
		    (st->started.set && st->started.v != t->started))
			mark(t);
	}
	report_next(p);
}

int report_start(struct prober *p)
{
	p->report.body = on_report_body;
	p->report.done = on_reported;
	uv_timer_init(p->o.curl->loop, &p->retry);
	uv_timer_init(p->o.curl->loop, &p->reconcile);
	p->retry.data = p->reconcile.data = p;
	return uv_timer_start(&p->reconcile, on_reconcile, RECONCILE_MS, RECONCILE_MS);
}
