/* SPDX-License-Identifier: Apache-2.0 */
/* What the prober knows, as JSON. Reads only. */
#include <stdio.h>

#include "agent/prober_state.h"
#include "base/clock.h"

static const char *word(bool v)
{
	return v ? "true" : "false";
}

void prober_counts(const struct prober *p, unsigned *probed, unsigned *ready)
{
	*probed = *ready = 0;
	HASH_EACH (&p->targets, s) {
		++*probed;
		*ready += ((const struct target *)s->value)->ready;
	}
}

void prober_stats(const struct prober *p, struct buf *b)
{
	bool any = false;

	buf_printf(b,
		   "{\"running\":%u,\"waiting\":%u,\"atOnce\":%u,\"missed\":%llu,\"ended\":%llu,\"changes\":%"
		   "llu,\"tries\":[",
		   p->running, p->queued, p->limit, (unsigned long long)p->missed,
		   (unsigned long long)p->kills, (unsigned long long)p->flips);
	for (enum probe_kind k = 0; k < PROBE_KINDS; k++)
		for (enum attempt_cause c = 0; c < ATTEMPT_CAUSES; c++) {
			if (!p->ended[k][c])
				continue;
			buf_printf(b, "%s{\"kind\":\"%s\",\"cause\":\"%s\",\"count\":%llu}", any ? "," : "",
				   probe_kind_name(k), attempt_cause_name(c),
				   (unsigned long long)p->ended[k][c]);
			any = true;
		}
	buf_addz(b, "],\"late\":");
	latency_print(&p->late, b);
	buf_addz(b, ",\"took\":");
	latency_print(&p->took, b);
	buf_addz(b, ",\"resultToHub\":");
	latency_print(&p->told, b);
	buf_addc(b, '}');
}

static const char *state_of(const struct runner *r)
{
	const struct target *t = r->t;

	if (!t->running)
		return "stopped";
	if (r->kind == PROBE_STARTUP && r->state.good)
		return "done";
	if (r->kind != PROBE_READINESS && t->killed)
		return "restarting";
	if (r->kind != PROBE_READINESS && t->leaving)
		return "ended";
	if (r->kind != PROBE_STARTUP && !t->started)
		return "held";
	if (r->kind == PROBE_LIVENESS || r->state.judged || r->state.good)
		return r->state.good ? "passing" : "failing";
	return "waiting";
}

static void print_records(const struct runner *r, struct buf *b)
{
	unsigned n = r->n_records < RECORDS_KEPT ? r->n_records : RECORDS_KEPT;

	buf_addz(b, ",\"results\":[");
	for (unsigned i = 1; i <= n; i++) {
		const struct record *rec = &r->records[(r->n_records - i) % RECORDS_KEPT];
		char at[TRIGGER_TEXT];

		trigger_print(rec->at_us, at);
		buf_printf(b, "%s{\"at\":\"%s\",\"cause\":\"%s\",\"code\":%d,\"tookMs\":%.3f}",
			   i > 1 ? "," : "", at, attempt_cause_name(rec->cause), rec->code,
			   (double)rec->took_us / 1000);
	}
	buf_addc(b, ']');
}

static const char *how(const struct probe *probe)
{
	if (probe->http_get)
		return str_eqz(probe->http_get->scheme, "HTTPS") ? "https" : "http";
	return probe->tcp_socket ? "tcp" : probe->grpc ? "grpc" : "exec";
}

static void print_runner(const struct runner *r, bool whole, struct buf *b)
{
	const struct target *t = r->t;
	const struct container *c = t->container;
	const struct probe *probe = c ? target_probe(c, r->kind) : NULL;
	uint64_t now = clock_ms();
	char at[TRIGGER_TEXT];

	buf_addz(b, "{\"pod\":");
	buf_json(b, object_key(t->pod));
	buf_addz(b, ",\"container\":");
	buf_json(b, str_of(strchr(t->key, '/') + 1));
	buf_printf(b, ",\"kind\":\"%s\",\"how\":\"%s\",\"state\":\"%s\"", probe_kind_name(r->kind),
		   probe ? how(probe) : "", state_of(r));
	buf_printf(b, ",\"running\":%s,\"started\":%s,\"ready\":%s,\"streak\":%lld,\"tries\":%u,\"last\":",
		   word(t->running), word(t->started), word(t->ready), (long long)r->state.run, r->n_records);
	buf_json(b, str_of(r->why));
	if (r->n_records) {
		const struct record *rec = &r->records[(r->n_records - 1) % RECORDS_KEPT];

		trigger_print(rec->at_us, at);
		buf_printf(b, ",\"cause\":\"%s\",\"code\":%d,\"tookMs\":%.3f,\"at\":\"%s\"",
			   attempt_cause_name(rec->cause), rec->code, (double)rec->took_us / 1000, at);
	}
	if (r->due_ms && runner_allowed(r) && !r->attempt)
		buf_printf(b, ",\"nextMs\":%llu",
			   (unsigned long long)(r->due_ms > now ? r->due_ms - now : 0));
	if (probe) {
		struct probe_rule rule = probe_rule(probe);

		buf_printf(b, ",\"periodMs\":%llu,\"timeoutMs\":%lld,\"successes\":%lld,\"failures\":%lld",
			   (unsigned long long)prober_scaled(t->p, rule.period_s),
			   (long long)rule.timeout_s * 1000, (long long)rule.successes,
			   (long long)rule.failures);
	}
	if (whole)
		print_records(r, b);
	buf_addc(b, '}');
}

void prober_print(const struct prober *p, struct str pod, struct buf *b)
{
	bool any = false;

	HASH_EACH (&p->targets, s) {
		const struct target *t = s->value;

		if (pod.n && !str_eq(object_key(t->pod), pod))
			continue;
		for (enum probe_kind k = 0; k < PROBE_KINDS; k++) {
			if (!t->runner[k])
				continue;
			buf_addz(b, any ? "," : "");
			any = true;
			print_runner(t->runner[k], pod.n > 0, b);
		}
	}
}
