/* SPDX-License-Identifier: Apache-2.0 */
/* Composes phase, conditions and readiness of pods. Publishes nothing itself. See podstatus.h. */
#include "hub/podstatus.h"

#include <errno.h>
#include <jansson.h>

#include "hub/condition.h"
#include "hub/copy.h"
#include "hub/nodelife.h"
#include "hub/podmake.h"

enum { PROBE_KNOWN = 1, PROBE_READY = 2, PROBE_STARTED = 4, PROBE_INSTANCE = 8, PROBE_RESTARTS = 8 };

static struct str probe_key(struct buf *b, struct str uid, struct str container)
{
	buf_adds(b, uid);
	buf_addc(b, '/');
	buf_adds(b, container);
	return buf_str(b);
}

static uintptr_t probe_bits(const struct cluster *c, struct str uid, struct str container)
{
	AUTO_BUF b = {0};
	return (uintptr_t)hash_get(&c->readiness, probe_key(&b, uid, container));
}

bool podstatus_probe(struct cluster *c, struct str uid, struct str container, bool ready, bool started,
		     int64_t restarts)
{
	AUTO_BUF b = {0};
	uintptr_t bits = PROBE_KNOWN | (ready ? PROBE_READY : 0) | (started ? PROBE_STARTED : 0);
	if (restarts >= 0)
		bits |= PROBE_INSTANCE | (uintptr_t)restarts << PROBE_RESTARTS;
	void *old = NULL;
	if (hash_set(&c->readiness, probe_key(&b, uid, container), (void *)bits, &old))
		return false;
	return (uintptr_t)old != bits;
}

void podstatus_recall(struct cluster *c, const struct object *pod)
{
	const struct pod_status *st = pod->pod->status;
	for (size_t i = 0; st && i < st->container_statuses.len; i++) {
		const struct container_status *cs = &st->container_statuses.items[i];
		if (cs->ready.v || cs->started.v)
			podstatus_probe(c, pod->meta.uid, cs->name, cs->ready.v, cs->started.v,
					cs->restart_count.v);
	}
}

void podstatus_forget(struct cluster *c, const struct object *pod)
{
	const struct pod_spec *spec = pod->pod->spec;
	if (!spec)
		return;
	for (int init = 0; init < 2; init++) {
		const struct container_list *l = init ? &spec->init_containers : &spec->containers;
		for (size_t i = 0; i < l->len; i++) {
			AUTO_BUF b = {0};
			hash_del(&c->readiness, probe_key(&b, pod->meta.uid, l->items[i].name));
		}
	}
}

enum run { RUN_WAITING, RUN_RUNNING, RUN_SUCCEEDED, RUN_FAILED };

static enum run run_of(const struct container_status *cs)
{
	if (!cs || !cs->state.n)
		return RUN_WAITING;
	json_t *j = json_loadb(cs->state.p, cs->state.n, 0, NULL);
	enum run r = RUN_WAITING;
	const json_t *end = json_object_get(j, "terminated");
	if (json_object_get(j, "running"))
		r = RUN_RUNNING;
	else if (end)
		r = json_integer_value(json_object_get(end, "exitCode")) ? RUN_FAILED : RUN_SUCCEEDED;
	json_decref(j);
	return r;
}

static struct container_status *status_of(const struct container_status_list *l, struct str name)
{
	for (size_t i = 0; i < l->len; i++)
		if (str_eq(l->items[i].name, name))
			return &l->items[i];
	return NULL;
}

struct tally {
	size_t all, running, succeeded, failed, ready;
	bool initialized, init_failed;
};

static bool is_sidecar(const struct container *ct)
{
	return str_eqz(ct->restart_policy, "Always");
}

/* A probed container is ready when the observer says so, another when it runs. */
static void judge_container(const struct cluster *c, const struct object *o, const struct container *ct,
			    struct container_status *cs, enum run run)
{
	uintptr_t bits = probe_bits(c, o->meta.uid, ct->name);
	bool running = run == RUN_RUNNING;
	if (bits & PROBE_INSTANCE && (int64_t)(bits >> PROBE_RESTARTS) != cs->restart_count.v)
		bits = 0; /* said of an instance that is gone */
	bool started = running && (!ct->startup_probe || bits & PROBE_STARTED);
	cs->started = bool_of(started);
	cs->ready = bool_of(started && (!ct->readiness_probe || bits & PROBE_READY));
}

static void tally_pod(const struct cluster *c, const struct object *o, struct tally *t)
{
	const struct pod_spec *spec = o->pod->spec;
	struct pod_status *st = o->pod->status;
	t->initialized = true;
	for (size_t i = 0; i < spec->init_containers.len; i++) {
		const struct container *ct = &spec->init_containers.items[i];
		struct container_status *cs = status_of(&st->init_container_statuses, ct->name);
		enum run run = run_of(cs);
		if (cs)
			judge_container(c, o, ct, cs, run);
		if (is_sidecar(ct)) {
			t->all++;
			t->ready += cs && cs->ready.v;
			if (!cs || !cs->started.v)
				t->initialized = false;
			continue;
		}
		if (cs)
			cs->ready = bool_of(run == RUN_SUCCEEDED);
		if (run != RUN_SUCCEEDED)
			t->initialized = false;
		if (run == RUN_FAILED)
			t->init_failed = true;
	}
	for (size_t i = 0; i < spec->containers.len; i++) {
		struct container_status *cs =
		    status_of(&st->container_statuses, spec->containers.items[i].name);
		enum run run = run_of(cs);
		t->all++;
		t->running += run == RUN_RUNNING;
		t->succeeded += run == RUN_SUCCEEDED;
		t->failed += run == RUN_FAILED;
		if (!cs)
			continue;
		judge_container(c, o, &spec->containers.items[i], cs, run);
		t->ready += cs->ready.v;
	}
}

static bool gates_open(const struct object *o)
{
	struct str text = o->pod->spec->readiness_gates;
	json_t *gates = text.n ? json_loadb(text.p, text.n, 0, NULL) : NULL;
	bool open = true;
	size_t i;
	json_t *gate;
	json_array_foreach (gates, i, gate) {
		const char *type = json_string_value(json_object_get(gate, "conditionType"));
		if (!type || !condition_true(&o->pod->status->conditions, type))
			open = false;
	}
	json_decref(gates);
	return open;
}

static const char *phase_of(const struct object *o, const struct tally *t)
{
	struct str policy = o->pod->spec->restart_policy;
	size_t n = o->pod->spec->containers.len;
	bool never = str_eqz(policy, "Never"), always = !policy.n || str_eqz(policy, "Always");
	/* The runtime may end a pod as a whole. */
	if (str_eqz(o->pod->status->phase, "Failed"))
		return "Failed";
	if (str_eqz(o->pod->status->phase, "Succeeded"))
		return "Succeeded";
	if (never && t->init_failed)
		return "Failed";
	if (!always && t->succeeded == n && n)
		return "Succeeded";
	if (never && t->failed && t->succeeded + t->failed == n)
		return "Failed";
	return t->initialized && t->running + t->succeeded + t->failed ? "Running" : "Pending";
}

/* Without anybody who runs pods, a pod with a node counts as running and ready. */
static int pretend(struct object *o, const char *now)
{
	struct arena *a = &o->arena;
	const struct pod_spec *spec = o->pod->spec;
	struct pod_status *st = o->pod->status;
	size_t n = spec->containers.len;
	st->container_statuses.items = arena_array(a, struct container_status, n);
	if (n && !st->container_statuses.items)
		return -ENOMEM;
	st->container_statuses.len = n;
	st->container_statuses.set = true;
	for (size_t i = 0; i < n; i++) {
		struct container_status *cs = &st->container_statuses.items[i];
		cs->name = arena_str(a, spec->containers.items[i].name);
		cs->image = text_keep(a, spec->containers.items[i].image);
		cs->state = arena_str(a, STR("{\"running\":{}}"));
		cs->ready = cs->started = bool_of(true);
		cs->restart_count = int_of(0);
	}
	st->phase = arena_str(a, STR("Running"));
	static const char *const types[] = {"Initialized", "Ready", "ContainersReady", "PodScheduled"};
	for (size_t i = 0; i < 4; i++)
		if (condition_set(a, &st->conditions, types[i], true, NULL, NULL, now))
			return -ENOMEM;
	return 0;
}

int podstatus_compose(struct cluster *c, struct object *o)
{
	struct arena *a = &o->arena;
	if (!o->pod->spec)
		return 0;
	if (!o->pod->status)
		o->pod->status = arena_new(a, struct pod_status);
	struct pod_status *st = o->pod->status;
	if (!st)
		return -ENOMEM;
	bool placed = o->pod->spec->node_name.n && st->pod_ips.len;
	if (!st->qos_class.n)
		st->qos_class = arena_str(a, STR("BestEffort"));
	if (!placed) {
		st->phase = arena_str(a, STR("Pending"));
		return 0;
	}
	if (!c->cfg.kubelet)
		return pretend(o, c->now);
	struct tally t = {0};
	tally_pod(c, o, &t);
	bool ended = o->meta.deletion_timestamp.n && t.running == 0;
	const char *phase = phase_of(o, &t);
	bool finished = !strcmp(phase, "Succeeded") || !strcmp(phase, "Failed");
	bool containers = t.initialized && t.all && t.ready == t.all && !finished;
	const char *why = finished ? "PodCompleted" : ended ? "PodTerminating" : "ContainersNotReady";
	st->phase = arena_str(a, str_of(phase));
	int r = condition_set(a, &st->conditions, "PodScheduled", true, NULL, NULL, c->now);
	if (!r)
		r = condition_set(a, &st->conditions, "Initialized", t.initialized || finished,
				  t.initialized || finished ? NULL : "ContainersNotInitialized", NULL,
				  c->now);
	if (!r)
		r = condition_set(a, &st->conditions, "ContainersReady", containers, containers ? NULL : why,
				  NULL, c->now);
	bool gates = gates_open(o);
	const struct object *node = store_get(c->store, KIND_node, STR(""), o->pod->spec->node_name);
	bool lost = node && nodelife_is_lost(node), ready = containers && gates && !lost;
	if (!r)
		r = condition_set(a, &st->conditions, "Ready", ready,
				  ready	       ? NULL
				  : lost       ? "NodeNotReady"
				  : containers ? "ReadinessGatesNotReady"
					       : why,
				  NULL, c->now);
	return r || !st->phase.p ? -ENOMEM : 0;
}
