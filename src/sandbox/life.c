/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life: how a container is ended (preStop, SIGTERM, SIGKILL after the grace) and how long it waits before it
 * is started again. Decides nothing about when; that is the pod's, the observer's or a fault's. Called by
 * pod.c, runtime.c and fault.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/own.h"
#include "sandbox/pod.h"
#include "sandbox/program.h"

/* As kubelet has them: the first restart comes at once, the next after 10 s, then twice as long each time;
 * ten minutes without an end and all is forgotten. Whoever is asked to end has 2 s left after a long preStop.
 */
enum { BACK_OFF_MS = 10000, BACK_OFF_MAX_MS = 300000, CALM_MS = 600000 };
enum { GRACE_S = 30, GRACE_LEFT_MS = 2000, KILL_AGAIN_MS = 2000 };

uint64_t container_back_off(struct container *c)
{
	const struct sandbox_options *o = c->pod->sandbox->opt;
	uint64_t fast = o->fast_probes ? o->fast_probes : 1, wait;

	if (clock_ms() - c->started_ms > CALM_MS / fast)
		c->back_off_ms = 0;
	wait = c->back_off_ms;
	c->back_off_ms = wait ? 2 * wait : BACK_OFF_MS / fast;
	if (c->back_off_ms > BACK_OFF_MAX_MS / fast)
		c->back_off_ms = BACK_OFF_MAX_MS / fast;
	return wait;
}

bool pod_has_object(const struct pod *p, const json_t **now)
{
	*now = mirror_get(&p->sandbox->pods_seen, p->key);
	return *now && !strcmp(json_text(json_at(*now, "metadata", "uid", NULL)), p->uid);
}

/* Whoever deletes may have asked for another grace than the pod's own. */
int64_t pod_grace(const struct pod *p)
{
	const json_t *spec = json_at(p->spec, "spec", "terminationGracePeriodSeconds", NULL), *now;

	if (p->step == POD_ENDING && pod_has_object(p, &now) &&
	    json_at(now, "metadata", "deletionGracePeriodSeconds", NULL))
		spec = json_at(now, "metadata", "deletionGracePeriodSeconds", NULL);
	return json_is_integer(spec) ? json_integer_value(spec) : GRACE_S;
}

static void kill_now(uv_timer_t *t)
{
	struct container *c = t->data;

	hook_drop(&c->hook);
	container_signal(c, SIGKILL);
}

static void container_term(struct container *c)
{
	uint64_t now = clock_ms(), left = c->deadline_ms > now ? c->deadline_ms - now : 0;
	bool hooked = c->hook != NULL;

	hook_drop(&c->hook);
	if (hooked && left < GRACE_LEFT_MS)
		left = GRACE_LEFT_MS;
	container_signal(c, left ? SIGTERM : SIGKILL);
	uv_timer_start(&c->timer, kill_now, left ? left : KILL_AGAIN_MS, KILL_AGAIN_MS);
}

int container_kill(struct container *c, int64_t grace_s, const char *why)
{
	const json_t *hook = json_at(c->spec, "lifecycle", "preStop", NULL);
	uint64_t grace_ms;

	if (c->state != RUN_ALIVE || c->ending)
		return 0;
	own_mem(&c->end.why);
	c->end.why = why ? strdup(why) : NULL;
	c->ending = true;
	grace_ms = (uint64_t)(grace_s < 0 ? pod_grace(c->pod) : grace_s) * 1000;
	c->deadline_ms = clock_ms() + grace_ms;
	c->hook = hook && grace_ms ? hook_start(c, hook, grace_ms, container_term) : NULL;
	if (!c->hook)
		container_term(c);
	return 0;
}

void container_buried(struct container *c)
{
	uv_timer_stop(&c->timer);
	hook_drop(&c->hook);
	if (!c->ending)
		own_mem(&c->end.why);
	c->ending = false;
}
