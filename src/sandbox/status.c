/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod's status towards the hub: what runs and what ended. Phase, conditions and readiness are the hub's to
 * compose. One request is under way for a pod at most; what changes meanwhile goes with the next. Called by
 * pod.c.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "sandbox/pod.h"

enum { BOX_FAILED = 128 }; /* weft-box could not start the program */

static void status_send(struct pod *p);

static json_t *time_of(int64_t t)
{
	char text[21];

	clock_rfc3339(t, text);
	return json_string(text);
}

static json_t *end_of(const struct container *c)
{
	const struct run_end *e = &c->end;
	json_t *o = json_pack("{sisssoso}", "exitCode", e->code, "reason", e->code ? "Error" : "Completed",
			      "startedAt", time_of(e->started), "finishedAt", time_of(e->finished));

	if (e->signal)
		json_object_set_new(o, "signal", json_integer(e->signal));
	if (c->program && e->code == BOX_FAILED)
		json_object_set_new(o, "reason", json_string("StartError"));
	if (e->message || e->why)
		json_object_set_new(o, "message", json_string(e->message ? e->message : e->why));
	return json_pack("{so}", "terminated", o);
}

static const char *meta(const struct pod *p, const char *name)
{
	return json_text(json_at(p->spec, "metadata", name, NULL));
}

/* In the kubelet's words: 500ms, 10s, 1m20s. */
static json_t *backs_off(const struct container *c)
{
	unsigned long long ms = c->back_off, minutes = ms / 60000;
	AUTO_BUF b = {0};

	buf_addz(&b, "back-off ");
	if (minutes)
		buf_printf(&b, "%llum", minutes);
	if (ms < 1000)
		buf_printf(&b, "%llums", ms);
	else
		buf_printf(&b, "%.15gs", (double)(ms % 60000) / 1000);
	buf_printf(&b, " restarting failed container=%s pod=%s_%s(%s)", c->name, meta(c->pod, "name"),
		   meta(c->pod, "namespace"), meta(c->pod, "uid"));
	return json_pack("{s{ssss}}", "waiting", "reason", "CrashLoopBackOff", "message", b.p ? b.p : "");
}

static json_t *state_of(const struct container *c)
{
	const struct pod *p = c->pod;

	if (container_serves(c))
		return json_pack("{s{so}}", "running", "startedAt", time_of(c->started));
	if (c->back_off)
		return backs_off(c);
	if (c->state == RUN_ENDED)
		return end_of(c);
	if (p->error)
		return json_pack("{s{ssss}}", "waiting", "reason", "NetworkNotReady", "message", p->error);
	if (c->lacks)
		return json_pack("{s{ssss}}", "waiting", "reason", "CreateContainerConfigError", "message",
				 c->lacks);
	return json_pack("{s{ss}}", "waiting", "reason",
			 p->step == POD_INIT ? "PodInitializing" : "ContainerCreating");
}

static json_t *container_status(const struct container *c)
{
	const char *image = json_text(json_object_get(c->spec, "image"));
	json_t *o =
	    json_pack("{sssssssisosb}", "name", c->name, "image", image, "imageID", "", "restartCount",
		      (int)c->restarts, "state", state_of(c), "started", container_serves(c));
	AUTO_BUF id = {0};

	buf_printf(&id, "weft://%s/%s/%u", c->pod->uid, c->name, c->restarts);
	if (!id.failed && (c->state == RUN_ALIVE || c->end.is))
		json_object_set_new(o, "containerID", json_string(id.p));
	/* Merged: what went must be said. */
	json_object_set_new(o, "lastState",
			    c->end.is && (c->state == RUN_ALIVE || c->back_off) ? end_of(c) : json_object());
	return o;
}

static void status_sent(void *ctx, int status, const json_t *reply)
{
	struct pod *p = ctx;

	(void)reply;
	p->status_asked = false;
	if (status >= 400 && status != 404 && status != 409)
		log_warn("%s: the hub refused its status: %d %s", p->key, status,
			 json_text(json_object_get(reply, "message")));
	if (status < 0 || status == 409) {
		p->status_wanted = true;
		kubelet_later(p->sandbox);
	} else {
		pod_status_flush(p);
	}
}

static void status_send(struct pod *p)
{
	json_t *status = json_pack("{so}", "startTime", time_of(p->started));
	json_t *inits = json_array(), *mains = json_array(), *body;
	char path[600];

	for (size_t i = 0; i < p->containers_len; i++)
		json_array_append_new(i < p->inits ? inits : mains, container_status(&p->containers[i]));
	if (json_array_size(inits))
		json_object_set(status, "initContainerStatuses", inits);
	json_object_set(status, "containerStatuses", mains);
	json_decref(inits);
	json_decref(mains);
	body = json_pack("{so}", "status", status);
	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/pods/%s/status", p->ns, p->name);
	p->status_wanted = false;
	p->status_asked = true;
	api_request(&p->sandbox->api, "PATCH", path, "application/merge-patch+json", body, status_sent, p);
	json_decref(body);
}

void pod_status_flush(struct pod *p)
{
	if (p->status_wanted && !p->status_asked && p->step < POD_LEAVING && !p->node->down)
		status_send(p);
}

void pod_status_changed(struct pod *p)
{
	if (p->status_asked || p->hard || p->node->down)
		p->status_wanted = true;
	else
		status_send(p);
}
