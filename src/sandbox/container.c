/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers of a pod: each one stand-in process (unbound in the DNS pod), started, restarted by the pod's
 * policy, and its end noted. How it is ended: life.c. Must never start a process outside the pod's cgroup and
 * namespaces. Called by pod.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "sandbox/dns.h"
#include "sandbox/files.h"
#include "sandbox/output.h"
#include "sandbox/pod.h"
#include "sandbox/program.h"
#include "sandbox/streams.h"

enum { AFRESH_S = 2, LACKS_MS = 500 };

static size_t add_list(struct pod *p, size_t at, const char *key, bool init)
{
	const json_t *o;
	size_t i;

	json_array_foreach (json_at(p->spec, "spec", key, NULL), i, o) {
		struct container *c = &p->containers[at++];

		c->pod = p;
		c->spec = o;
		c->name = json_text(json_object_get(o, "name"));
		c->init = init;
		c->sidecar = init && !strcmp(json_text(json_object_get(o, "restartPolicy")), "Always");
		uv_timer_init(&p->sandbox->loop, &c->timer);
		c->timer.data = c;
	}
	return at;
}

int containers_new(struct pod *p)
{
	size_t inits = json_array_size(json_at(p->spec, "spec", "initContainers", NULL));
	size_t n = inits + json_array_size(json_at(p->spec, "spec", "containers", NULL));

	p->containers = calloc(n + 1, sizeof(*p->containers));
	if (!p->containers)
		return -ENOMEM;
	p->inits = add_list(p, 0, "initContainers", true);
	p->containers_len = add_list(p, p->inits, "containers", false);
	return 0;
}

struct grave { /* containers whose timers libuv still holds */
	struct container *containers;
	size_t left;
};

static void timer_closed(uv_handle_t *h)
{
	struct grave *g = h->data;

	if (--g->left)
		return;
	free(g->containers);
	free(g);
}

void containers_free(struct pod *p)
{
	struct grave *g = p->containers_len ? calloc(1, sizeof(*g)) : NULL;

	streams_forget_pod(p);
	if (!g) {
		free(p->containers);
	} else {
		*g = (struct grave){.containers = p->containers, .left = p->containers_len};
		for (size_t i = 0; i < p->containers_len; i++) {
			child_forget(&p->containers[i].child);
			hook_drop(&p->containers[i].hook);
			ear_drop(&p->containers[i]);
			program_free(&p->containers[i]);
			output_free(&p->containers[i]);
			own_mem(&p->containers[i].end.why);
			p->containers[i].timer.data = g;
			uv_close((uv_handle_t *)&p->containers[i].timer, timer_closed);
		}
	}
	p->containers = NULL;
	p->containers_len = p->inits = 0;
}

bool container_is_task(const struct container *c)
{
	const json_t *owner;
	size_t i;

	if (c->init || json_array_size(json_object_get(c->spec, "ports")))
		return false;
	json_array_foreach (json_at(c->pod->spec, "metadata", "ownerReferences", NULL), i, owner)
		if (!strcmp(json_text(json_object_get(owner, "kind")), "Job"))
			return true;
	return false;
}

static bool restarts_after(const struct container *c)
{
	const char *policy = json_text(json_at(c->pod->spec, "spec", "restartPolicy", NULL));
	bool failed = c->exit_code || c->exit_signal;

	if (c->sidecar)
		return true;
	if (c->init)
		return failed && strcmp(policy, "Never");
	return !strcmp(policy, "Never") ? false : !strcmp(policy, "OnFailure") ? failed : true;
}

static void restart(uv_timer_t *t)
{
	struct container *c = t->data;

	c->restarts += c->state == RUN_ENDED;
	c->state = RUN_WAITING;
	c->back_off = 0;
	if (c->init && !c->sidecar)
		pod_advance(c->pod);
	else if (!container_start(c))
		pod_status_changed(c->pod);
}

static void container_again(struct container *c)
{
	uint64_t wait = container_back_off(c);

	if (c->afresh)
		wait = c->back_off_ms = 0;
	c->afresh = false;
	c->back_off = wait;
	uv_timer_start(&c->timer, restart, wait, 0);
}

void container_afresh(struct container *c)
{
	c->afresh = true;
	if (c->state == RUN_ALIVE) {
		container_kill(c, AFRESH_S, "it is to run something else");
		return;
	}
	if (c->state == RUN_ENDED || c->lacks)
		container_again(c);
}

static void container_ended(struct child *child, int status)
{
	struct container *c = child->owner;

	container_buried(c);
	ear_drop(c);
	c->state = RUN_ENDED;
	output_end(c);

	c->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	c->exit_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	if (c->program)
		program_ended(c);
	else
		own_mem(&c->end.message);
	c->end.is = true;
	c->end.code = c->exit_code;
	c->end.signal = c->exit_signal;
	c->end.started = c->started;
	c->end.finished = clock_wall();
	if (c->pod->node->down)
		return;
	if (c->pod->step < POD_ENDING && (c->afresh || restarts_after(c)))
		container_again(c);
	pod_advance(c->pod);
}

void containers_lost(struct pod *p)
{
	for (size_t i = 0; i < p->containers_len; i++) {
		struct container *c = &p->containers[i];

		uv_timer_stop(&c->timer); /* who waits for his next start does not get it there */
		if (c->state != RUN_ALIVE)
			continue;
		child_signal(&c->child, SIGKILL);
		child_forget(&c->child);
		container_ended(&c->child, SIGKILL);
	}
}

/* in: becomes its stdin; -1: none. */
static int start_process(struct container *c, const char *program, char *const *argv, int in)
{
	struct pod *p = c->pod;
	int fds[2] = {-1, -1}, r = output_open(c, false, fds);
	AUTO_FD int out = fds[0];
	char resolv[PATH_LEN + 32];
	struct spawn s = {.program = program,
			  .argv = argv,
			  .cgroup = p->cgroup,
			  .netns = pod_netns(p),
			  .mntns = p->sandbox->mounts.fd,
			  .resolv_conf = resolv,
			  .unprivileged = true,
			  .in = in,
			  .out = out,
			  .err = -1,
			  .daemon = true};

	if (r)
		return r;
	snprintf(resolv, sizeof(resolv), "%s/etc-resolv.conf", p->dir);
	return child_start(&c->child, &p->sandbox->loop, &s);
}

static void spec_path(const struct container *c, char *path, size_t cap)
{
	snprintf(path, cap, "%s/%s.json", c->pod->dir, c->name);
}

static bool plays_to_end(const struct container *c)
{
	return (c->init && !c->sidecar) || container_is_task(c);
}

static void container_tell(struct container *c)
{
	char path[PATH_LEN + 80];

	if (c->state != RUN_ALIVE || c->program || plays_to_end(c) || (c->pod->dns && !c->init))
		return;
	spec_path(c, path, sizeof(path));
	if (!container_write_spec(c, path))
		child_signal(&c->child, SIGHUP);
}

void containers_look_again(struct pod *p)
{
	for (size_t i = 0; i < p->containers_len; i++)
		if (p->containers[i].unknown)
			container_tell(&p->containers[i]);
}

void containers_tell(struct pod *p)
{
	for (size_t i = 0; i < p->containers_len; i++)
		container_tell(&p->containers[i]);
}

/* A probe by HTTPS is to be answered. */
static bool speaks_tls(const struct container *c)
{
	static const char *const probes[] = {"readinessProbe", "livenessProbe", "startupProbe"};

	for (size_t i = 0; i < ARRAY_LEN(probes); i++)
		if (!strcmp(json_text(json_at(c->spec, probes[i], "httpGet", "scheme", NULL)), "HTTPS"))
			return true;
	return false;
}

static int start_standin(struct container *c)
{
	char program[PATH_LEN], path[PATH_LEN + 80];
	char *serve[] = {"weft-standin", "serve", "--spec", path, NULL};
	int r;

	if (!sandbox_program(c->pod->sandbox, speaks_tls(c) ? "weft-standin-tls" : "weft-standin", program))
		return -ENOENT;
	if (plays_to_end(c))
		serve[1] = "init";
	spec_path(c, path, sizeof(path));
	r = container_write_spec(c, path);
	if (r || plays_to_end(c))
		return r ? r : start_process(c, program, serve, -1);
	AUTO_FD int in = ear_open(c);
	r = in < 0 ? in : start_process(c, program, serve, in);
	if (r)
		ear_drop(c);
	return r;
}

/* What it needs is not there: asked again until it is. */
static void container_waits(struct container *c)
{
	AUTO_MEM char *was = c->lacked;

	c->lacked = strdup(c->lacks);
	c->state = RUN_WAITING;
	uv_timer_start(&c->timer, restart, LACKS_MS, 0);
	if (!was || !c->lacked || strcmp(was, c->lacked) != 0)
		pod_status_changed(c->pod);
}

int container_start(struct container *c)
{
	struct pod *p = c->pod;
	char conf[PATH_LEN + 32];
	char *unbound[] = {"unbound", "-d", "-c", conf, NULL};
	int r;

	/* Two of them would share ports and a log, and the first would be nobody's to end. */
	if (c->child.pid) {
		log_error("%s: container %s runs already", p->key, c->name);
		return -EBUSY;
	}
	c->child.owner = c;
	c->child.ended = container_ended;
	c->program = program_wanted(c);
	c->killed = false;
	if (c->program) {
		r = program_start(c);
	} else if (p->dns && !c->init) {
		r = dns_pod_prepare(p, conf, sizeof(conf));
		r = r ? r : start_process(c, dns_program(), unbound, -1);
	} else {
		r = start_standin(c);
	}
	c->started = clock_wall();
	c->started_ms = clock_ms();
	if (r == -EAGAIN && c->lacks) {
		container_waits(c);
		return r;
	}
	if (r) {
		log_error("%s: container %s: %s", p->key, c->name, strerror(-r));
		c->state = RUN_ENDED;
		c->exit_code = 127;
		own_mem(&c->end.why);
		c->end =
		    (struct run_end){.is = true, .code = 127, .started = c->started, .finished = c->started};
		container_again(c);
		return r;
	}
	c->state = RUN_ALIVE;
	return 0;
}
