/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What probes mean for their container: who is ready, who is started, who is to end. After a restart of the
 * observer what the hub holds ready stays ready until a probe says otherwise. See prober_state.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/prober_state.h"
#include "agent/stream.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"

const char *probe_kind_name(enum probe_kind k)
{
	static const char *const names[PROBE_KINDS] = {"startup", "readiness", "liveness"};

	return names[k];
}

const struct probe *target_probe(const struct container *c, enum probe_kind k)
{
	return k == PROBE_STARTUP     ? c->startup_probe
	       : k == PROBE_READINESS ? c->readiness_probe
				      : c->liveness_probe;
}

/* Finds the container and its status in the pod's state. */
static void find_container(struct target *t)
{
	const char *name = strchr(t->key, '/') + 1;
	const struct pod_spec *spec = t->pod->pod->spec;
	const struct pod_status *st = t->pod->pod->status;

	t->container = NULL;
	t->status = NULL;
	VEC_EACH (&spec->containers, c)
		if (str_eqz(c->name, name))
			t->container = c;
	VEC_EACH (&spec->init_containers, c)
		if (str_eqz(c->name, name))
			t->container = c;
	if (!st)
		return;
	VEC_EACH (&st->container_statuses, s)
		if (str_eqz(s->name, name))
			t->status = s;
	VEC_EACH (&st->init_container_statuses, s)
		if (str_eqz(s->name, name))
			t->status = s;
}

bool runner_allowed(const struct runner *r)
{
	const struct target *t = r->t;

	if (!t->running)
		return false;
	if (r->kind == PROBE_READINESS)
		return t->started;
	return !t->killed && !t->leaving && (r->kind == PROBE_STARTUP) == !t->started;
}

/* What holds of the container, told when it changed. */
static void settle(struct target *t)
{
	const struct runner *startup = t->runner[PROBE_STARTUP], *readiness = t->runner[PROBE_READINESS];
	bool started = !startup || startup->state.good;
	bool ready = t->running && started && (!readiness || readiness->state.good);

	if (ready != t->ready || started != t->started || !t->told_ms) {
		t->p->flips += ready != t->ready;
		t->ready = ready;
		t->started = started;
		report_dirty(t);
	}
}

static uint64_t delay_left(const struct target *t, const struct probe_rule *rule)
{
	uint64_t since = clock_ms() - t->running_ms, delay = prober_scaled(t->p, rule->delay_s);

	return since < delay ? delay - since : 0;
}

/* Every probe that may run and does not yet. */
static void start_runners(struct target *t, const struct container *c, bool spread)
{
	for (enum probe_kind k = 0; k < PROBE_KINDS; k++) {
		struct runner *r = t->runner[k];
		const struct probe *probe = target_probe(c, k);
		struct probe_rule rule;
		uint64_t wait;

		if (!r || !probe || !runner_allowed(r) || r->attempt || r->queued || r->due_ms)
			continue;
		rule = probe_rule(probe);
		wait = delay_left(t, &rule);
		if (spread)
			wait += (uint64_t)rand() % (prober_scaled(t->p, rule.period_s) + 1);
		runner_schedule(r, wait);
	}
}

static void tell_change(const struct runner *r, bool success)
{
	log_info("%.*s: container %s is %s: %s", STR_ARG(object_key(r->t->pod)), strchr(r->t->key, '/') + 1,
		 r->kind == PROBE_STARTUP ? "started"
		 : success		  ? "ready"
					  : "not ready",
		 r->why);
}

void target_result(struct runner *r, bool success)
{
	struct target *t = r->t;
	const struct container *c = t->container;
	const struct probe *probe = c ? target_probe(c, r->kind) : NULL;
	struct probe_rule rule;
	bool changed;

	if (!probe)
		return;
	rule = probe_rule(probe);
	changed = probe_result(&r->state, &rule, success);
	if (r->kind != PROBE_READINESS && r->state.judged && !r->state.good) {
		target_kill(r);
		return;
	}
	if (!changed || r->kind == PROBE_LIVENESS)
		return;
	tell_change(r, success);
	t->trigger_us = wall_us();
	settle(t);
	if (r->kind == PROBE_STARTUP)
		start_runners(t, c, false); /* readiness is asked at once when the start is over */
}

static void stop_all(struct target *t)
{
	for (enum probe_kind k = 0; k < PROBE_KINDS; k++) {
		struct runner *r = t->runner[k];

		if (!r)
			continue;
		runner_stop(r);
		probe_reset(&r->state);
		r->state.good = k == PROBE_LIVENESS;
	}
	runtime_forget(&t->killing);
	t->killed = t->kill_told = false;
}

/* Since when it runs: what we saw ourselves, else what the status says, which knows whole seconds only. */
static uint64_t running_since(const struct target *t, const struct container_status *s)
{
	struct str at = json_plain_string(json_member(json_member(s->state, "running"), "startedAt"));
	uint64_t now = clock_ms(), ago;
	char text[40];
	int64_t started;

	if (t->seen)
		return now;
	snprintf(text, sizeof(text), "%.*s", (int)(at.n < sizeof(text) ? at.n : 0), at.p ? at.p : "");
	if (clock_parse(text, &started) || clock_wall() <= started + 1)
		return now;
	ago = (uint64_t)(clock_wall() - started - 1) * 1000;
	return ago < now ? now - ago : 0;
}

/* A container instance began. */
static void begin(struct target *t, const struct container *c, const struct container_status *s)
{
	bool kept = !t->seen && s->ready.set && s->ready.v;
	bool started = kept || (!t->seen && s->started.set && s->started.v);

	stop_all(t);
	/* The observer began after the container: what held goes on to hold. */
	if (t->runner[PROBE_STARTUP])
		t->runner[PROBE_STARTUP]->state.good = started;
	if (t->runner[PROBE_READINESS])
		t->runner[PROBE_READINESS]->state.good = kept;
	t->running_ms = running_since(t, s);
	t->restarts = s->restart_count.set ? s->restart_count.v : 0;
	t->trigger_us = 0;
	t->told_ms = kept ? clock_ms() : 0;
	t->ready = kept;
	t->started = !t->runner[PROBE_STARTUP] || started;
	settle(t);
	start_runners(t, c, !t->seen && !t->p->listed);
}

static void look(struct target *t)
{
	const struct container_status *s = t->status;
	const struct container *c = t->container;
	const struct pod_status *st = t->pod->pod->status;
	bool ended = st && (str_eqz(st->phase, "Succeeded") || str_eqz(st->phase, "Failed"));
	bool running = s && !ended && json_member(s->state, "running").p;
	char instance[sizeof(t->instance)];

	if (!c)
		return;
	t->leaving = t->pod->meta.deletion_timestamp.n;
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
		t->trigger_us = 0;
		stop_all(t);
		settle(t);
	}
	for (enum probe_kind k = 0; k < PROBE_KINDS; k++)
		if (t->runner[k] && !runner_allowed(t->runner[k]))
			runner_stop(t->runner[k]);
	t->seen = true;
}

/* --- targets and pods --- */

static void free_runner(uv_handle_t *h)
{
	free(h);
}

static void target_free(struct target *t)
{
	report_forget(t);
	runtime_forget(&t->killing);
	for (enum probe_kind k = 0; k < PROBE_KINDS; k++)
		if (t->runner[k]) {
			runner_stop(t->runner[k]);
			uv_close((uv_handle_t *)&t->runner[k]->timer, free_runner);
		}
	object_unref(&t->pod);
	free(t->key);
	free(t);
}

static int add_runners(struct target *t, const struct container *c)
{
	for (enum probe_kind k = 0; k < PROBE_KINDS; k++) {
		struct runner *r;

		if (!target_probe(c, k))
			continue;
		r = t->runner[k] = calloc(1, sizeof(*r));
		if (!r)
			return -ENOMEM;
		r->t = t;
		r->kind = k;
		r->state.good = k == PROBE_LIVENESS;
		uv_timer_init(t->p->o.curl->loop, &r->timer);
	}
	return 0;
}

static void key_of(struct buf *b, const struct object *pod, const struct container *c)
{
	buf_printf(b, STR_FMT "/" STR_FMT, STR_ARG(pod->meta.uid), STR_ARG(c->name));
}

static struct target *target_get(struct prober *p, const struct object *pod, const struct container *c)
{
	AUTO_BUF key = {0};
	struct target *t;

	key_of(&key, pod, c);
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
	if (add_runners(t, c) || hash_set(&p->targets, str_of(t->key), t, NULL)) {
		target_free(t);
		return NULL;
	}
	return t;
}

static void pod_changed(struct prober *p, const struct object *pod, const struct container *c)
{
	struct target *t;

	if (!c->readiness_probe && !c->startup_probe && !c->liveness_probe)
		return;
	t = target_get(p, pod, c);
	if (!t) {
		log_error("out of memory");
		return;
	}
	object_unref(&t->pod);
	t->pod = object_ref(pod);
	find_container(t);
	look(t);
}

static void pod_gone(struct prober *p, const struct object *pod, const struct container *c)
{
	AUTO_BUF key = {0};
	struct target *t;

	key_of(&key, pod, c);
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

void prober_listed(struct prober *p)
{
	p->listed = true;
}

/* As many tries at a time as there are descriptors for them. */
static unsigned turns(void)
{
	enum { MOST = 4096, KEPT = 128, FEWEST = 16 };
	long most = sysconf(_SC_OPEN_MAX);

	if (most < KEPT + 2 * FEWEST)
		return FEWEST;
	/* libcurl may hold two a try for a moment. */
	return (most - KEPT) / 2 > MOST ? MOST : (unsigned)(most - KEPT) / 2;
}

int prober_new(struct prober **out, const struct prober_options *o)
{
	struct prober *p = calloc(1, sizeof(*p));
	struct subscription *sub;
	int err;

	if (!p)
		return -ENOMEM;
	p->o = *o;
	p->limit = turns();
	err = report_start(p);
	if (err) {
		free(p);
		return err;
	}
	*out = p;
	return store_subscribe(o->store, on_change, p, &sub);
}
