/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fault: see fault.h. What a stand-in can play goes into its spec, loss to the node's agent, a crash is a
 * SIGKILL; a node that is down has neither processes nor carrier. Everything is held in struct pod and struct
 * node, so that --list and --clear know it. Called by control.c.
 */
#include "sandbox/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/own.h"
#include "sandbox/cgroup.h"
#include "sandbox/fabric.h"
#include "sandbox/node.h"
#include "sandbox/pod.h"
#include "sandbox/program.h"

enum { POWER_MS = 200, SLOW_MAX_MS = 600000, MILLION = 1000000 };

struct fault_wait { /* for agents' answers */
	struct client *client;
	unsigned left;
	char error[200];
};

static void answer(struct client *c)
{
	struct buf b = {0};

	buf_addz(&b, "{\"ok\":true}\n");
	client_send(c, &b);
	client_end(c);
}

static void wait_less(struct fault_wait *w)
{
	struct client *c = w->client;

	if (--w->left)
		return;
	if (c)
		c->fault = NULL;
	if (c && *w->error)
		client_error(c, w->error);
	else if (c)
		answer(c);
	free(w);
}

void fault_cancel(struct fault_wait *w)
{
	w->client = NULL;
}

static void loss_set(void *ctx, const json_t *reply)
{
	struct fault_wait *w = ctx;
	const char *error = json_text(json_object_get(reply, "error"));

	if (!json_is_true(json_object_get(reply, "ok")))
		snprintf(w->error, sizeof(w->error), "the agent: %s", *error ? error : "no reason given");
	wait_less(w);
}

static void set_loss(struct fault_wait *w, struct pod *p, unsigned millionths)
{
	json_t *body = json_pack("{sssssssf}", "op", "fault", "namespace", p->ns, "pod", p->name, "loss",
				 (double)millionths / MILLION);

	p->fault.loss = millionths;
	w->left++;
	if (!agent_ask(&p->node->agent, body, NULL, 0, loss_set, w)) {
		snprintf(w->error, sizeof(w->error), "out of memory");
		wait_less(w);
	}
}

/* Whether one of the pod's containers is played by a stand-in, with a readiness probe or in any case. */
static bool has_standin(const struct pod *p, bool probed)
{
	for (size_t i = 0; i < p->containers_len; i++) {
		const struct container *c = &p->containers[i];

		if (!program_wanted(c) && (!c->init || c->sidecar) &&
		    (!probed || json_object_get(c->spec, "readinessProbe")))
			return true;
	}
	return false;
}

/* NULL, or why it cannot be. */
static const char *refused(const struct pod *p, const json_t *o)
{
	bool ready = json_is_true(json_object_get(o, "notReady"));
	bool plays = ready || json_is_true(json_object_get(o, "refuse")) || json_object_get(o, "slowMs");
	json_int_t slow = json_integer_value(json_object_get(o, "slowMs"));
	json_int_t loss = json_integer_value(json_object_get(o, "loss"));

	if (p->node->down)
		return "its node is down: weft fault node/NAME --clear first";
	if (p->step >= POD_ENDING)
		return "the pod is ending";
	if (plays && p->dns)
		return "the DNS pod is no stand-in: --crash and --loss are what it can have";
	if (plays && !has_standin(p, false))
		return "a program of one's own runs there, and only stand-ins can be told so: --crash and "
		       "--loss are "
		       "what it can have";
	if (ready && !has_standin(p, true))
		return "no stand-in of the pod has a readiness probe, so it is ready while it runs: --refuse "
		       "or "
		       "--crash";
	if (slow < 0 || slow > SLOW_MAX_MS)
		return "--slow: from 0 to 600 s";
	if (loss < 0 || loss > MILLION)
		return "--loss: from 0 to 100%";
	if (loss && p->host_network)
		return "the pod is on its node's network and has no interface of its own";
	return NULL;
}

static void fault_pod(struct fault_wait *w, struct pod *p, const json_t *o)
{
	bool clear = json_is_true(json_object_get(o, "clear"));
	bool had_loss = p->fault.loss > 0;
	const json_t *loss = json_object_get(o, "loss"), *slow = json_object_get(o, "slowMs");

	if (clear)
		p->fault = (struct pod_fault){0};
	if (json_is_true(json_object_get(o, "notReady")))
		p->fault.not_ready = true;
	if (json_is_true(json_object_get(o, "refuse")))
		p->fault.refuse = true;
	if (slow)
		p->fault.slow_ms = (unsigned)json_integer_value(slow);
	if (!p->node->down)
		containers_tell(p);
	if (loss || (clear && had_loss))
		set_loss(w, p, (unsigned)json_integer_value(loss));
	for (size_t i = 0; json_is_true(json_object_get(o, "crash")) && i < p->containers_len; i++)
		container_signal(&p->containers[i], SIGKILL);
}

static int node_down(struct sandbox *s, struct node *n)
{
	char path[PATH_LEN + 32];
	int r = n->cut ? 0 : fabric_cable(s, n, false);

	n->down = true;
	daemon_hold(&n->daemon);
	snprintf(path, sizeof(path), "%s/%s", s->cgroup, n->name);
	cgroup_kill_members(path, POWER_MS);
	HASH_EACH (&s->pods, slot) {
		struct pod *p = slot->value;

		if (p->node == n)
			containers_lost(p);
	}
	return r;
}

static int node_clear(struct sandbox *s, struct node *n)
{
	bool down = n->down;
	int r = down || n->cut ? fabric_cable(s, n, true) : 0;

	n->down = n->cut = false;
	if (down) {
		r = r ? r : daemon_resume(&n->daemon);
		kubelet_node_back(n);
	}
	node_beat(n);
	return r;
}

static int fault_node(struct sandbox *s, struct node *n, const json_t *o)
{
	int r = 0;

	if (json_is_true(json_object_get(o, "clear")))
		r = node_clear(s, n);
	if (!r && json_is_true(json_object_get(o, "cut")) && !n->cut && !n->down) {
		r = fabric_cable(s, n, false);
		n->cut = !r;
	}
	if (!r && json_is_true(json_object_get(o, "down")) && !n->down)
		r = node_down(s, n);
	return r;
}

static void add_item(struct buf *b, bool *any, const char *kind, const char *name, const char *fault)
{
	buf_printf(b, "%s{\"%s\":", *any ? "," : "", kind);
	buf_json(b, str_of(name));
	buf_addz(b, ",\"fault\":");
	buf_json(b, str_of(fault));
	buf_addc(b, '}');
	*any = true;
}

static void list(struct client *c)
{
	struct sandbox *s = c->sandbox;
	struct buf b = {0};
	bool any = false;

	buf_addz(&b, "{\"ok\":true,\"faults\":[");
	for (unsigned i = 0; i < s->nodes_len; i++)
		if (s->nodes[i].down || s->nodes[i].cut)
			add_item(&b, &any, "node", s->nodes[i].name, s->nodes[i].down ? "down" : "cut");
	HASH_EACH (&s->pods, slot) {
		const struct pod *p = slot->value;
		char text[48];

		if (p->fault.not_ready)
			add_item(&b, &any, "pod", p->key, "not-ready");
		if (p->fault.refuse)
			add_item(&b, &any, "pod", p->key, "refuse");
		if (p->fault.slow_ms) {
			snprintf(text, sizeof(text), "slow %ums", p->fault.slow_ms);
			add_item(&b, &any, "pod", p->key, text);
		}
		if (p->fault.loss) {
			snprintf(text, sizeof(text), "loss %g%%", (double)p->fault.loss / 10000);
			add_item(&b, &any, "pod", p->key, text);
		}
	}
	buf_addz(&b, "]}\n");
	client_send(c, &b);
	client_end(c);
}

static int clear_all(struct fault_wait *w, struct sandbox *s, const json_t *o)
{
	int r = 0;

	for (unsigned i = 0; i < s->nodes_len; i++)
		r = r ? r : fault_node(s, &s->nodes[i], o);
	HASH_EACH (&s->pods, slot)
		fault_pod(w, slot->value, o);
	return r;
}

void fault_request(struct client *c, const json_t *o)
{
	struct sandbox *s = c->sandbox;
	const char *pod = json_text(json_object_get(o, "pod")), *node = json_text(json_object_get(o, "node"));
	struct pod *p = *pod ? hash_get(&s->pods, str_of(pod)) : NULL;
	struct node *n = *node ? sandbox_node(s, node) : NULL;
	const char *why = p ? refused(p, o) : NULL;
	struct fault_wait *w;
	int r = 0;

	if (json_is_true(json_object_get(o, "list"))) {
		list(c);
		return;
	}
	if (*pod && !p)
		why = "there is no such pod on a node of this cluster: NAMESPACE/NAME";
	if (*node && !n)
		why = "there is no such node";
	if (p && json_is_true(json_object_get(o, "clear")) && p->step < POD_ENDING)
		why = NULL;
	w = why ? NULL : calloc(1, sizeof(*w));
	if (!w) {
		client_error(c, why ? why : "out of memory");
		return;
	}
	*w = (struct fault_wait){.client = c, .left = 1};
	c->fault = w;
	if (n)
		r = fault_node(s, n, o);
	else if (p)
		fault_pod(w, p, o);
	else
		r = clear_all(w, s, o);
	if (r)
		snprintf(w->error, sizeof(w->error), "%s", strerror(-r));
	wait_less(w);
}
