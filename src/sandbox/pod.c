/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod: the life of one pod: namespace, network by the node's agent, init containers in order, containers,
 * end. No process of a pod starts before the agent has said that the pod's policy is in force. Called by
 * kubelet.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "sandbox/cgroup.h"
#include "sandbox/dns.h"
#include "sandbox/files.h"
#include "sandbox/pod.h"
#include "sandbox/runtime.h"

enum { ADD_AGAIN_MS = 300, LAST_WAIT_MS = 20, LATE_GRACE_S = 2 };

int pod_netns(const struct pod *p)
{
	return p->host_network ? p->node->netns.fd : p->netns.fd;
}

bool pod_wired(const struct pod *p)
{
	return p->step >= POD_INIT;
}

void pod_trouble(const struct pod *p, char *why, size_t cap)
{
	snprintf(why, cap, "%s", pod_wired(p) ? "" : p->error ? p->error : "no network yet");
	for (size_t i = 0; pod_wired(p) && i < p->containers_len; i++) {
		const struct container *c = &p->containers[i];

		/* An init container that waits for another pod is at work; one that ended badly is not. */
		if (c->lacks)
			snprintf(why, cap, "container %s: %s", c->name, c->lacks);
		if (c->state == RUN_ENDED && c->exit_code)
			snprintf(why, cap, "container %s ended with status %d; see %s/%s.log", c->name,
				 c->exit_code, p->dir, c->name);
	}
}

static int write_resolv_conf(const struct pod *p)
{
	AUTO_BUF text = {0};
	char path[PATH_LEN + 32];

	snprintf(path, sizeof(path), "%s/etc-resolv.conf", p->dir);
	buf_printf(&text,
		   "nameserver " DNS_SERVICE4 "\nnameserver " DNS_SERVICE6
		   "\nsearch %s.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n",
		   p->ns);
	return text.failed ? -ENOMEM : file_write(path, buf_str(&text));
}

static int make_places(struct pod *p)
{
	char name[NETNS_NAME];
	int r = file_make_dir(p->dir, 0755);

	r = r ? r : cgroup_make(p->cgroup);
	r = r ? r : write_resolv_conf(p);
	if (r || p->host_network)
		return r;
	if (snprintf(name, sizeof(name), "weft-%s-%s.%s", p->sandbox->opt->name, p->ns, p->label) >=
	    NETNS_NAME)
		return -ENAMETOOLONG;
	return netns_make(&p->netns, name, NETNS_POD);
}

static json_t *question(const struct pod *p, const char *op)
{
	return json_pack("{ssssssss}", "op", op, "namespace", p->ns, "pod", p->name, "uid", p->uid);
}

static void pod_ask_add(struct pod *p);

static void add_again(uv_timer_t *t)
{
	pod_ask_add(t->data);
}

static void pod_added(void *ctx, const json_t *answer)
{
	struct pod *p = ctx;
	const char *error = json_text(json_object_get(answer, "error"));

	p->question = 0;
	if (p->step != POD_WIRING)
		return;
	if (json_is_true(json_object_get(answer, "ok"))) {
		free(p->error);
		p->error = NULL;
		p->step = POD_INIT;
		pod_advance(p);
		if (!p->sandbox->ready_told)
			p->sandbox->wired_us = clock_us() - p->sandbox->start_us;
		kubelet_check(p->sandbox);
		return;
	}
	if (!p->error || strcmp(p->error, error))
		log_warn("%s: no network yet: %s", p->key, *error ? error : "the agent gave no reason");
	free(p->error);
	p->error = strdup(error);
	pod_status_changed(p);
	uv_timer_start(&p->timer, add_again, ADD_AGAIN_MS, 0);
}

static void pod_ask_add(struct pod *p)
{
	json_t *body = question(p, "add");
	int fds[3] = {p->netns.fd, p->netns.route, p->netns.diag};

	json_object_set_new(body, "containerID", json_string(p->uid));
	json_object_set_new(body, "ifname", json_string("eth0"));
	p->question = agent_ask(&p->node->agent, body, fds, 3, pod_added, p);
	if (!p->question)
		uv_timer_start(&p->timer, add_again, ADD_AGAIN_MS, 0);
}

static void make_label(const char *name, char out[POD_LABEL])
{
	size_t n = strlen(name);

	if (n < POD_LABEL)
		memcpy(out, name, n + 1);
	else
		snprintf(out, POD_LABEL, "%.70s-%016llx", name, (unsigned long long)hash_bytes(name, n, 0));
}

struct pod *pod_new(struct sandbox *s, struct node *n, const json_t *object)
{
	struct pod *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return NULL;
	*p =
	    (struct pod){.sandbox = s, .node = n, .spec = json_incref((json_t *)object), .netns = NETNS_NONE};
	snprintf(p->ns, sizeof(p->ns), "%s", json_text(json_at(object, "metadata", "namespace", NULL)));
	snprintf(p->name, sizeof(p->name), "%s", json_text(json_at(object, "metadata", "name", NULL)));
	snprintf(p->uid, sizeof(p->uid), "%s", json_text(json_at(object, "metadata", "uid", NULL)));
	snprintf(p->key, sizeof(p->key), "%s/%s", p->ns, p->name);
	make_label(p->name, p->label);
	snprintf(p->dir, sizeof(p->dir), "%s/pods/%s_%s", s->dir, p->ns, p->label);
	snprintf(p->cgroup, sizeof(p->cgroup), "%s/%s/%s.%s", s->cgroup, n->name, p->ns, p->label);
	p->host_network = json_is_true(json_at(object, "spec", "hostNetwork", NULL));
	p->dns = dns_plays(object);
	p->started = clock_wall();
	uv_timer_init(&s->loop, &p->timer);
	p->timer.data = p;
	r = make_places(p);
	r = r ? r : containers_new(p);
	if (r) {
		log_error("%s: cannot be made: %s", p->key, strerror(-r));
		cgroup_remove(p->cgroup);
		file_remove_tree(p->dir);
		pod_free(p);
		return NULL;
	}
	if (p->host_network) {
		p->step = POD_INIT;
		pod_advance(p);
	} else {
		pod_ask_add(p);
	}
	return p;
}

/* Starts what may start now: init containers one after the other, then all others. */
void pod_advance(struct pod *p)
{
	if (p->node->down)
		return;
	if (p->step >= POD_ENDING) {
		pod_status_changed(p);
		pod_end(p, p->hard);
		return;
	}
	for (size_t i = 0; p->step == POD_INIT && i < p->inits; i++) {
		struct container *c = &p->containers[i];

		if (c->state == RUN_WAITING && container_start(c))
			return;
		if (!c->sidecar && (c->state != RUN_ENDED || c->exit_code || c->exit_signal)) {
			pod_status_changed(p);
			return;
		}
	}
	if (p->step == POD_INIT) {
		p->step = POD_RUNNING;
		for (size_t i = p->inits; i < p->containers_len; i++)
			container_start(&p->containers[i]);
	}
	pod_status_changed(p);
}

static void pod_forgotten(void *ctx, int status, const json_t *reply)
{
	struct pod *p = ctx;

	(void)reply;
	if (status > 0 && status != 200 && status != 404 && status != 409)
		log_warn("%s: the hub did not take its end: %d", p->key, status);
	kubelet_gone(p);
}

static void pod_deleted(void *ctx, const json_t *answer)
{
	struct pod *p = ctx;
	AUTO_BUF path = {0};
	json_t *body;

	(void)answer;
	p->question = 0;
	containers_free(p);
	netns_drop(&p->netns);
	runtime_forget_pod(p);
	cgroup_kill(p->cgroup, LAST_WAIT_MS);
	cgroup_remove(p->cgroup);
	file_remove_tree(p->dir);
	if (p->hard) {
		kubelet_gone(p);
		return;
	}
	buf_printf(&path, "/api/v1/namespaces/%s/pods/%s", p->ns, p->name);
	body = json_pack("{sssssis{ss}}", "kind", "DeleteOptions", "apiVersion", "v1", "gracePeriodSeconds",
			 0, "preconditions", "uid", p->uid);
	api_request(&p->sandbox->api, "DELETE", path.p, NULL, body, pod_forgotten, p);
	json_decref(body);
}

static void pod_leave(struct pod *p)
{
	p->step = POD_LEAVING;
	uv_timer_stop(&p->timer);
	if (p->question)
		agent_forget(&p->node->agent, p->question);
	p->question = 0;
	dns_pod_gone(p);
	if (p->host_network) {
		pod_deleted(p, NULL);
		return;
	}
	p->question = agent_ask(&p->node->agent, question(p, "del"), NULL, 0, pod_deleted, p);
	if (!p->question)
		pod_deleted(p, NULL);
}

/* What is left of the grace, in whole seconds: those who are told late have less. */
static int64_t grace_left(const struct pod *p)
{
	uint64_t now = clock_ms();
	int64_t left = p->deadline_ms > now ? (int64_t)((p->deadline_ms - now + 999) / 1000) : 0;

	return left < LATE_GRACE_S && pod_grace(p) ? LATE_GRACE_S : left;
}

/* Tells those of the range that run to end, the last first; the number of those that run. */
static size_t end_range(struct pod *p, size_t from, size_t to)
{
	size_t alive = 0;

	for (size_t i = to; i-- > from;) {
		struct container *c = &p->containers[i];

		if (c->state != RUN_ALIVE) {
			uv_timer_stop(&c->timer);
			c->back_off = 0;
			continue;
		}
		alive++;
		container_kill(c, grace_left(p), NULL);
	}
	return alive;
}

/* Containers end first, together; sidecars serve until the last of them has ended. */
void pod_end(struct pod *p, bool hard)
{
	bool first = p->step < POD_ENDING;

	p->hard |= hard;
	if (p->step == POD_LEAVING || p->node->down)
		return;
	p->step = POD_ENDING;
	if (first)
		p->deadline_ms = clock_ms() + (uint64_t)pod_grace(p) * 1000;
	if (first)
		uv_timer_stop(&p->timer);
	if (!end_range(p, p->inits, p->containers_len) && !end_range(p, 0, p->inits))
		pod_leave(p);
}

void pod_free(struct pod *p)
{
	if (p->question)
		agent_forget(&p->node->agent, p->question);
	api_forget(&p->sandbox->api, p);
	containers_free(p);
	netns_drop(&p->netns);
	json_decref(p->spec);
	free(p->error);
	uv_close((uv_handle_t *)&p->timer, (uv_close_cb)free);
}
