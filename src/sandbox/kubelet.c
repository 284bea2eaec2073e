/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubelet: follows the pods that the hub binds to our nodes, makes and ends them, and tells when all that was
 * asked for runs. Must never decide where a pod runs or what its address is. Called by run.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "sandbox/dns.h"
#include "sandbox/outside.h"
#include "sandbox/pod.h"
#include "sandbox/run_word.h"

enum { QUIET_MS = 60, LATER_MS = 100, GIVE_UP_MS = 30000, PROGRESS_US = 100000 };

static bool finished(const json_t *object)
{
	const char *phase = json_text(json_at(object, "status", "phase", NULL));

	return !strcmp(phase, "Succeeded") || !strcmp(phase, "Failed");
}

static bool ending(const json_t *object)
{
	return *json_text(json_at(object, "metadata", "deletionTimestamp", NULL));
}

static void buried(void *ctx, int status, const json_t *reply)
{
	(void)reply;
	if (status < 0)
		kubelet_later(ctx);
}

/* A pod of ours that has no process and is to be deleted. */
static void bury(struct sandbox *s, const json_t *object)
{
	char path[600];
	json_t *body =
	    json_pack("{sssssis{ss}}", "kind", "DeleteOptions", "apiVersion", "v1", "gracePeriodSeconds", 0,
		      "preconditions", "uid", json_text(json_at(object, "metadata", "uid", NULL)));

	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/pods/%s",
		 json_text(json_at(object, "metadata", "namespace", NULL)),
		 json_text(json_at(object, "metadata", "name", NULL)));
	api_request(&s->api, "DELETE", path, NULL, body, buried, s);
	json_decref(body);
}

static void consider(struct sandbox *s, const char *key, const json_t *now)
{
	struct pod *p = hash_get(&s->pods, str_of(key));
	struct node *n = now ? sandbox_node(s, json_text(json_at(now, "spec", "nodeName", NULL))) : NULL;
	bool host = json_is_true(json_at(now, "spec", "hostNetwork", NULL));

	/* Nobody is there who could do anything for it. */
	if ((p && p->node->down) || (n && n->down))
		return;
	if (p && (!now || strcmp(p->uid, json_text(json_at(now, "metadata", "uid", NULL))))) {
		pod_end(p, true);
		return;
	}
	if (p) {
		if (ending(now))
			pod_end(p, false);
		return;
	}
	if (!n || !s->services.listed)
		return;
	if (ending(now)) {
		bury(s, now);
		return;
	}
	if (finished(now) || (!host && !json_array_size(json_at(now, "status", "podIPs", NULL))))
		return;
	p = pod_new(s, n, now);
	if (p && hash_set(&s->pods, str_of(key), p, NULL))
		pod_end(p, true);
}

static void pod_moved(struct mirror *m, const char *key, json_t *was, json_t *now)
{
	struct sandbox *s = m->ctx;

	(void)was;
	consider(s, key, now);
	if (!now)
		dns_object_gone(s, key);
	dns_changed(s);
	kubelet_check(s);
}

static void consider_all(struct sandbox *s)
{
	HASH_EACH (&s->pods_seen.objects, slot) {
		char key[400];

		snprintf(key, sizeof(key), STR_FMT, STR_ARG(slot->key));
		consider(s, key, slot->value);
	}
	kubelet_check(s);
}

static void listed(struct mirror *m)
{
	struct sandbox *s = m->ctx;

	if (s->services.listed && s->pods_seen.listed)
		dns_create_objects(s);
	outside_look(s);
	consider_all(s);
}

static void slice_moved(struct mirror *m, const char *key, json_t *was, json_t *now)
{
	(void)key;
	(void)was;
	(void)now;
	dns_changed(m->ctx);
}

static void service_moved(struct mirror *m, const char *key, json_t *was, json_t *now)
{
	struct sandbox *s = m->ctx;

	slice_moved(m, key, was, now);
	outside_look(s);
	if (was || !now)
		return;
	HASH_EACH (&s->pods, slot)
		containers_look_again(slot->value);
}

void kubelet_gone(struct pod *p)
{
	struct sandbox *s = p->sandbox;
	char key[400];

	snprintf(key, sizeof(key), "%s", p->key);
	hash_del(&s->pods, str_of(key));
	pod_free(p);
	/* A pod of the same name may wait for its turn. The one that is gone may still be in the mirror, as
	 * ending. */
	if (mirror_get(&s->pods_seen, key) && !ending(mirror_get(&s->pods_seen, key)))
		consider(s, key, mirror_get(&s->pods_seen, key));
	kubelet_later(s);
	kubelet_check(s);
}

static void later(uv_timer_t *t)
{
	struct sandbox *s = t->data;

	HASH_EACH (&s->pods, slot)
		pod_status_flush(slot->value);
	consider_all(s);
}

/* All that ran there lost its processes; init containers run again, as after any boot. */
void kubelet_node_back(struct node *n)
{
	struct sandbox *s = n->sandbox;

	consider_all(s);
	HASH_EACH (&s->pods, slot) {
		struct pod *p = slot->value;

		if (p->node != n || (p->step != POD_INIT && p->step != POD_RUNNING))
			continue;
		for (size_t i = 0; i < p->containers_len; i++) {
			struct container *c = &p->containers[i];

			if (c->child.pid)
				continue; /* it is not one of those that the node took with it */
			uv_timer_stop(&c->timer);
			c->back_off = 0;
			c->restarts += c->state == RUN_ENDED;
			c->state = RUN_WAITING;
		}
		p->step = POD_INIT;
		pod_advance(p);
	}
}

void kubelet_later(struct sandbox *s)
{
	if (s->kubelet_open && !uv_is_active((uv_handle_t *)&s->later))
		uv_timer_start(&s->later, later, LATER_MS, 0);
}

static void tell_ready(struct sandbox *s, unsigned pods, const char *failed)
{
	struct sandbox_ready r = {.name = s->opt->name,
				  .dir = s->dir,
				  .nodes = s->nodes_len,
				  .pods = pods,
				  .wired_us = s->wired_us,
				  .failed = failed};

	s->ready_told = true;
	run_words_check(s);
	if (s->opt->step)
		s->opt->step(s->opt->ctx, "pods", s->wired_us, true);
	if (s->opt->ready)
		s->opt->ready(s->opt->ctx, &r);
}

/* Tells readiness once nothing has moved for a moment: the hub may still be making pods. */
static void quiet(uv_timer_t *t)
{
	struct sandbox *s = t->data;
	uint64_t since = clock_us() - s->start_us;
	char text[2048] = "";
	unsigned wired = 0, missing = 0;

	if (s->ready_told || s->stopping)
		return;
	HASH_EACH (&s->pods_seen.objects, slot) {
		struct pod *p = hash_get(&s->pods, slot->key);
		char why[512] = "no node or no address";

		if (finished(slot->value) || ending(slot->value))
			continue;
		if (p)
			pod_trouble(p, why, sizeof(why));
		if (!*why)
			wired++;
		else if (missing++ < 4)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s" STR_FMT ": %s",
				 missing > 1 ? "; " : "", STR_ARG(slot->key), why);
	}
	if (!missing && s->pods_seen.listed && wired) {
		tell_ready(s, wired, NULL);
	} else if (since > GIVE_UP_MS * 1000ull) {
		if (!missing)
			snprintf(text, sizeof(text), "the hub named no pods; see %s/log/hub.log", s->dir);
		tell_ready(s, wired, text);
	} else {
		uv_timer_start(&s->quiet, quiet, QUIET_MS, 0);
	}
}

/* How far the start is, for who watches: at most ten times a second. */
static void tell_progress(struct sandbox *s)
{
	uint64_t now = clock_us();
	unsigned running = 0;
	char text[64];

	if (!s->opt->step || now - s->shown_us < PROGRESS_US)
		return;
	HASH_EACH (&s->pods, slot)
		running += ((const struct pod *)slot->value)->step == POD_RUNNING;
	s->shown_us = now;
	snprintf(text, sizeof(text), "pods: %u of %zu", running, s->pods_seen.objects.len);
	s->opt->step(s->opt->ctx, text, 0, false);
}

void kubelet_check(struct sandbox *s)
{
	if (s->ready_told || !s->kubelet_open)
		return;
	tell_progress(s);
	uv_timer_start(&s->quiet, quiet, QUIET_MS, 0);
}

int kubelet_start(struct sandbox *s)
{
	uv_timer_init(&s->loop, &s->quiet);
	uv_timer_init(&s->loop, &s->later);
	s->quiet.data = s->later.data = s;
	s->kubelet_open = true;
	mirror_start(&s->services, &s->api, "/api/v1/services", service_moved, listed, s);
	mirror_start(&s->pods_seen, &s->api, "/api/v1/pods", pod_moved, listed, s);
	mirror_start(&s->slices, &s->api, "/apis/discovery.k8s.io/v1/endpointslices", slice_moved, NULL, s);
	uv_timer_start(&s->quiet, quiet, QUIET_MS, 0);
	return 0;
}

void kubelet_stop(struct sandbox *s)
{
	if (!s->kubelet_open)
		return;
	s->kubelet_open = false;
	mirror_stop(&s->services);
	mirror_stop(&s->pods_seen);
	mirror_stop(&s->slices);
	HASH_EACH (&s->pods, slot)
		pod_free(slot->value);
	hash_fini(&s->pods);
	uv_close((uv_handle_t *)&s->quiet, NULL);
	uv_close((uv_handle_t *)&s->later, NULL);
}
