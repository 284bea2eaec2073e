/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One target a container: its timer, its attempt under way, what is held of it and what the hub was told. A
 * target lives as long as its pod's object; a new instance of the container begins anew. After a restart of
 * the observer what the hub holds ready stays ready until a probe says otherwise.
 */
#include "agent/prober.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/attempt.h"
#include "agent/stream.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "observe/probe.h"

enum { REPORT_RETRY_MS = 200, RECONCILE_MS = 1000, WHY_MAX = 96 };

struct target {
	struct prober *p;
	char *key;	    /* "uid/container" */
	struct object *pod; /* reference to the state last seen */
	char instance[160]; /* of the container: id and restart count */
	bool running, seen;
	struct probe_state startup, readiness;
	struct attempt *attempt;
	bool attempt_startup;
	uv_timer_t *timer;
	bool ready, started; /* what holds now */
	bool dirty, exec_told;
	uint64_t told_ms;
	char why[WHY_MAX];
};

struct prober {
	struct curl_loop *curl;
	struct store *store;
	struct hash targets;
	struct transfer report;
	struct target *reporting; /* NULL when it went meanwhile */
	bool busy;
	struct buf body;
	uv_timer_t retry, reconcile;
};

static void report_next(struct prober *p);
static void schedule(struct target *t, uint64_t ms);

static const struct container *container_of(const struct target *t, const struct container_status **status)
{
	const char *name = strchr(t->key, '/') + 1;
	const struct pod_spec *spec = t->pod->pod->spec;
	const struct pod_status *st = t->pod->pod->status;
	const struct container *found = NULL;

	*status = NULL;
	VEC_EACH (&spec->containers, c)
		if (str_eqz(c->name, name))
			found = c;
	VEC_EACH (&spec->init_containers, c)
		if (str_eqz(c->name, name))
			found = c;
	if (!st)
		return found;
	VEC_EACH (&st->container_statuses, s)
		if (str_eqz(s->name, name))
			*status = s;
	VEC_EACH (&st->init_container_statuses, s)
		if (str_eqz(s->name, name))
			*status = s;
	return found;
}

static const struct probe *current_probe(const struct target *t, const struct container *c, bool *startup)
{
	*startup = c->startup_probe && !t->started;
	return *startup ? c->startup_probe : c->readiness_probe;
}

static void settle(struct target *t, const struct container *c)
{
	bool started = !c->startup_probe || t->startup.good;
	bool ready = t->running && started && (!c->readiness_probe || t->readiness.good);

	if (ready != t->ready || started != t->started || !t->told_ms)
		t->dirty = true;
	t->ready = ready;
	t->started = started;
	if (t->dirty)
		report_next(t->p);
}

static bool pod_address(const struct object *pod, struct addr *out)
{
	const struct pod_status *st = pod->pod->status;

	if (!st || !st->pod_ips.len)
		return false;
	return !addr_parse(st->pod_ips.items[0].ip, out);
}

static void on_attempt(void *ctx, bool success, const char *why)
{
	struct target *t = ctx;
	const struct container_status *status;
	const struct container *c = container_of(t, &status);
	const struct probe *probe;
	struct probe_rule rule;
	struct probe_state *state = t->attempt_startup ? &t->startup : &t->readiness;
	bool startup;

	t->attempt = NULL;
	snprintf(t->why, sizeof(t->why), "%s", why);
	if (!c)
		return;
	probe = t->attempt_startup ? c->startup_probe : c->readiness_probe;
	if (!probe)
		return;
	rule = probe_rule(probe);
	if (probe_result(state, &rule, success))
		log_info("%.*s: container %s is %s: %s", STR_ARG(object_key(t->pod)), strchr(t->key, '/') + 1,
			 t->attempt_startup ? "started"
			 : success	    ? "ready"
					    : "not ready",
			 why);
	startup = t->attempt_startup;
	settle(t, c);
	/* Readiness is asked at once when the start is over. */
	if (startup && t->started)
		schedule(t, 0);
	else
		schedule(t, (uint64_t)rule.period_s * 1000);
}

/* Fills the address and port of a probe: 0, or -EINVAL with a reason. */
static int aim(const struct target *t, const struct container *c, const struct probe *probe,
	       struct attempt_spec *spec, const char **why)
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
	} else {
		spec->grpc = probe->grpc;
		spec->port = probe->grpc->port.set ? (uint16_t)probe->grpc->port.v : 0;
	}
	if (port)
		spec->port = probe_port(c, port);
	*why = "the probe's port is declared by no container port";
	if (!spec->port)
		return -EINVAL;
	*why = "the pod has no address yet";
	if (!host.n && !pod_address(t->pod, &spec->addr))
		return -EINVAL;
	*why = "the probe's host is no address";
	return host.n ? addr_parse(host, &spec->addr) : 0;
}

static void on_timer(uv_timer_t *timer)
{
	struct target *t = timer->data;
	struct attempt_spec spec = {0};
	const struct container_status *status;
	const struct container *c = container_of(t, &status);
	const struct probe *probe;
	const char *why;

	if (!c || !t->running || t->attempt)
		return;
	probe = current_probe(t, c, &t->attempt_startup);
	if (!probe)
		return;
	if (!probe->http_get && !probe->tcp_socket && !probe->grpc) {
		if (!t->exec_told)
			log_warn("%.*s: container %s has an exec probe; a stand-in has no programs, so it "
				 "counts as "
				 "success",
				 STR_ARG(object_key(t->pod)), strchr(t->key, '/') + 1);
		t->exec_told = true;
		on_attempt(t, true, "exec counts as success: stand-ins have no programs");
		return;
	}
	spec.timeout_ms = (uint64_t)probe_rule(probe).timeout_s * 1000;
	if (aim(t, c, probe, &spec, &why)) {
		on_attempt(t, false, why);
		return;
	}
	if (attempt_start(&t->attempt, t->p->curl, &spec, on_attempt, t))
		on_attempt(t, false, "the attempt could not be started");
}

static void schedule(struct target *t, uint64_t ms)
{
	uv_timer_start(t->timer, on_timer, ms, 0);
}

/* A container instance began: from when its delay counts. */
static void begin(struct target *t, const struct container *c, const struct container_status *s)
{
	struct str at = json_plain_string(json_member(json_member(s->state, "running"), "startedAt"));
	const struct probe *probe;
	char text[40];
	int64_t since = 0, started;
	bool startup, kept;
	struct probe_rule rule;

	attempt_cancel(&t->attempt);
	probe_reset(&t->startup);
	probe_reset(&t->readiness);
	/* The observer began after the container: what held goes on to hold. */
	kept = !t->seen && s->ready.set && s->ready.v;
	t->startup.good = kept || (s->started.set && s->started.v && !t->seen);
	t->readiness.good = kept;
	t->started = !c->startup_probe || t->startup.good;
	t->ready = kept;
	snprintf(text, sizeof(text), "%.*s", (int)(at.n < sizeof(text) ? at.n : 0), at.p ? at.p : "");
	if (!clock_parse(text, &started) && clock_wall() > started)
		since = clock_wall() - started;
	probe = current_probe(t, c, &startup);
	if (!probe)
		return;
	rule = probe_rule(probe);
	if (kept)
		schedule(t, (uint64_t)(rand() % (int)(rule.period_s * 1000)));
	else
		schedule(t, since < rule.delay_s ? (uint64_t)(rule.delay_s - since) * 1000 : 0);
	settle(t, c);
}

static void look(struct target *t)
{
	const struct container_status *s;
	const struct container *c = container_of(t, &s);
	bool running = s && json_member(s->state, "running").p;
	char instance[sizeof(t->instance)];

	if (!c)
		return;
	snprintf(instance, sizeof(instance), "%.*s#%lld",
		 s ? (int)(s->container_id.n < 128 ? s->container_id.n : 128) : 0,
		 s && s->container_id.p ? s->container_id.p : "",
		 s && s->restart_count.set ? (long long)s->restart_count.v : 0);
	if (running && (!t->running || strcmp(instance, t->instance))) {
		t->running = true;
		memcpy(t->instance, instance, sizeof(instance));
		begin(t, c, s);
	} else if (!running && t->running) {
		t->running = false;
		uv_timer_stop(t->timer);
		attempt_cancel(&t->attempt);
		probe_reset(&t->startup);
		probe_reset(&t->readiness);
		settle(t, c);
	}
	t->seen = true;
}

/* --- targets and pods --- */

static void free_timer(uv_handle_t *h)
{
	free(h);
}

static void target_free(struct target *t)
{
	if (t->p->reporting == t)
		t->p->reporting = NULL;
	attempt_cancel(&t->attempt);
	if (t->timer) {
		uv_timer_stop(t->timer);
		uv_close((uv_handle_t *)t->timer, free_timer);
	}
	object_unref(&t->pod);
	free(t->key);
	free(t);
}

static struct target *target_get(struct prober *p, const struct object *pod, const struct container *c)
{
	AUTO_BUF key = {0};
	struct target *t;

	buf_printf(&key, STR_FMT "/" STR_FMT, STR_ARG(pod->meta.uid), STR_ARG(c->name));
	if (key.failed)
		return NULL;
	t = hash_get(&p->targets, buf_str(&key));
	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->p = p;
	t->key = TAKE(key.p);
	t->timer = calloc(1, sizeof(*t->timer));
	if (!t->timer || hash_set(&p->targets, str_of(t->key), t, NULL)) {
		free(t->timer);
		free(t->key);
		free(t);
		return NULL;
	}
	uv_timer_init(p->curl->loop, t->timer);
	t->timer->data = t;
	return t;
}

static void pod_changed(struct prober *p, const struct object *pod, const struct container *c)
{
	struct target *t;

	if (!c->readiness_probe && !c->startup_probe)
		return;
	t = target_get(p, pod, c);
	if (!t) {
		log_error("out of memory");
		return;
	}
	object_unref(&t->pod);
	t->pod = object_ref(pod);
	look(t);
}

static void pod_gone(struct prober *p, const struct object *pod, const struct container *c)
{
	AUTO_BUF key = {0};
	struct target *t;

	buf_printf(&key, STR_FMT "/" STR_FMT, STR_ARG(pod->meta.uid), STR_ARG(c->name));
	t = hash_del(&p->targets, buf_str(&key));
	if (t)
		target_free(t);
}

static void on_change(void *ctx, const struct event *e)
{
	struct prober *p = ctx;
	const struct object *o = e->object;
	bool replaced = e->old && !str_eq(e->old->meta.uid, o->meta.uid);

	if (o->desc->kind != KIND_pod || !o->pod->spec)
		return;
	for (unsigned i = 0; i < 2; i++) {
		const struct container_list *list =
		    i ? &o->pod->spec->init_containers : &o->pod->spec->containers;

		VEC_EACH (list, c) {
			if (replaced)
				pod_gone(p, e->old, c);
			if (e->type == EVENT_DELETED)
				pod_gone(p, o, c);
			else if (!i || str_eqz(c->restart_policy, "Always"))
				pod_changed(p, o, c);
		}
	}
}

/* --- telling the hub --- */

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

static void on_reported(struct transfer *tr, long status, CURLcode error)
{
	struct prober *p = CONTAINER_OF(tr, struct prober, report);
	struct target *t = p->reporting;

	(void)error;
	p->reporting = NULL;
	p->busy = false;
	if (t && status == 200)
		t->told_ms = clock_ms();
	else if (t && status != 404)
		t->dirty = true;
	if (status == 200 || status == 404)
		report_next(p);
	else
		uv_timer_start(&p->retry, on_retry, REPORT_RETRY_MS, 0);
}

static void report(struct prober *p, struct target *t)
{
	t->dirty = false;
	t->told_ms = t->told_ms ? t->told_ms : 1;
	p->reporting = t;
	p->busy = true;
	buf_clear(&p->body);
	buf_addz(&p->body, "{\"pod\":");
	buf_json(&p->body, object_key(t->pod));
	buf_addz(&p->body, ",\"uid\":");
	buf_json(&p->body, t->pod->meta.uid);
	buf_addz(&p->body, ",\"container\":");
	buf_json(&p->body, str_of(strchr(t->key, '/') + 1));
	buf_printf(&p->body, ",\"ready\":%s,\"started\":%s,\"reason\":", t->ready ? "true" : "false",
		   t->started ? "true" : "false");
	buf_json(&p->body, str_of(t->why));
	buf_addc(&p->body, '}');
	if (!p->report.easy)
		p->report.easy = curl_easy_init();
	if (!p->report.easy || p->body.failed) {
		p->reporting = NULL;
		p->busy = false;
		t->dirty = true;
		uv_timer_start(&p->retry, on_retry, REPORT_RETRY_MS, 0);
		return;
	}
	curl_easy_setopt(p->report.easy, CURLOPT_CUSTOMREQUEST, "PUT");
	curl_easy_setopt(p->report.easy, CURLOPT_POSTFIELDSIZE, (long)p->body.n);
	curl_easy_setopt(p->report.easy, CURLOPT_POSTFIELDS, p->body.p);
	curl_easy_setopt(p->report.easy, CURLOPT_TIMEOUT_MS, 5000L);
	if (transfer_start(p->curl, &p->report, "/apis/weft.network/internal/readiness")) {
		p->reporting = NULL;
		p->busy = false;
		t->dirty = true;
	}
}

/* One report at a time; a target that changed again meanwhile is told its newest state. */
static void report_next(struct prober *p)
{
	if (p->busy || uv_is_active((uv_handle_t *)&p->retry))
		return;
	HASH_EACH (&p->targets, s) {
		struct target *t = s->value;

		if (t->dirty) {
			report(p, t);
			return;
		}
	}
}

/* What the hub holds may be older than us (it was restarted): told again until it agrees. */
static void on_reconcile(uv_timer_t *timer)
{
	struct prober *p = timer->data;
	uint64_t now = clock_ms();

	HASH_EACH (&p->targets, s) {
		struct target *t = s->value;
		const struct container_status *st;

		if (!container_of(t, &st) || !st || !t->running || now - t->told_ms < RECONCILE_MS)
			continue;
		if (st->ready.set && st->ready.v != t->ready)
			t->dirty = true;
	}
	report_next(p);
}

void prober_counts(const struct prober *p, unsigned *probed, unsigned *ready)
{
	*probed = *ready = 0;
	HASH_EACH (&p->targets, s) {
		++*probed;
		*ready += ((const struct target *)s->value)->ready;
	}
}

void prober_print(const struct prober *p, struct buf *b)
{
	bool any = false;

	HASH_EACH (&p->targets, s) {
		const struct target *t = s->value;

		buf_addz(b, any ? ",{\"pod\":" : "{\"pod\":");
		any = true;
		buf_json(b, object_key(t->pod));
		buf_addz(b, ",\"container\":");
		buf_json(b, str_of(strchr(t->key, '/') + 1));
		buf_printf(
		    b, ",\"running\":%s,\"started\":%s,\"ready\":%s,\"last\":", t->running ? "true" : "false",
		    t->started ? "true" : "false", t->ready ? "true" : "false");
		buf_json(b, str_of(t->why));
		buf_addc(b, '}');
	}
}

int prober_new(struct prober **out, struct curl_loop *curl, struct store *store)
{
	struct prober *p = calloc(1, sizeof(*p));
	struct subscription *sub;

	if (!p)
		return -ENOMEM;
	p->curl = curl;
	p->store = store;
	p->report.body = on_report_body;
	p->report.done = on_reported;
	uv_timer_init(curl->loop, &p->retry);
	uv_timer_init(curl->loop, &p->reconcile);
	p->retry.data = p->reconcile.data = p;
	uv_timer_start(&p->reconcile, on_reconcile, RECONCILE_MS, RECONCILE_MS);
	*out = p;
	return store_subscribe(store, on_change, p, &sub);
}
