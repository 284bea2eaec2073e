/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What balancers outside ask a node, over HTTP on its own addresses: on a Service's healthCheckNodePort,
 * whether an endpoint of it is ready here; on port 10256, /healthz: whether the node shall get new
 * connections, and /livez: whether its plan is in force. Answers tell numbers and names only. Called by
 * planner.c.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "agent/answer.h"
#include "agent/planner.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"

enum { NODE_PORT = 10256, BACKLOG = 64 };
#define TO_BE_DELETED "ToBeDeletedByClusterAutoscaler"

struct listener {
	struct planner *p;
	struct answers *answers;
	uint16_t port;
	bool wanted, told;
	struct listener *next;
};

static bool in_force(const struct planner *p)
{
	return p->enforcing && p->state != APPLIER_AWAY && !p->alarm.n;
}

struct question {
	uint16_t port;
	bool found;
	struct buf *out;
	unsigned ready;
};

static void find(void *ctx, const struct compiler_health *h)
{
	struct question *q = ctx;

	if (h->port != q->port || q->found)
		return;
	q->found = true;
	q->ready = h->ready;
	buf_addz(q->out, "{\"service\":{\"namespace\":");
	buf_json(q->out, h->ns);
	buf_addz(q->out, ",\"name\":");
	buf_json(q->out, h->name);
	buf_printf(q->out, "},\"localEndpoints\":%u", h->ready);
}

static int answer_service(void *ctx, struct str path, struct buf *out)
{
	const struct listener *l = ctx;
	struct question q = {.port = l->port, .out = out};
	bool healthy = in_force(l->p);

	(void)path;
	if (l->p->compiler)
		compiler_health(l->p->compiler, find, &q);
	if (!q.found)
		return 404;
	buf_printf(out, ",\"serviceProxyHealthy\":%s}\n", healthy ? "true" : "false");
	return healthy && q.ready ? 200 : 503;
}

static bool eligible(const struct planner *p)
{
	const struct object *node = store_get(p->store, KIND_node, (struct str){0}, str_of(p->o.node));

	if (!node || !node->node->spec)
		return true;
	VEC_EACH (&node->node->spec->taints, t)
		if (str_eqz(t->key, TO_BE_DELETED))
			return false;
	return true;
}

static int answer_node(void *ctx, struct str path, struct buf *out)
{
	const struct listener *l = ctx;
	struct str name = str_cut(&path, '?');
	bool healthy = in_force(l->p), wanted = eligible(l->p);
	char now[21];

	if (!str_eqz(name, "/healthz") && !str_eqz(name, "/livez"))
		return 404;
	clock_rfc3339(clock_wall(), now);
	buf_printf(out, "{\"currentTime\":\"%s\",\"inForce\":%s,\"nodeEligible\":%s}\n", now,
		   healthy ? "true" : "false", wanted ? "true" : "false");
	return healthy && (wanted || str_eqz(name, "/livez")) ? 200 : 503;
}

/* All addresses of the node, of both families where it has both. */
static int listen_on(uint16_t port)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	AUTO_FD int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, off = 0;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, BACKLOG))
		return -errno;
	return TAKE_FD(fd);
}

static struct listener *listener_of(struct planner *p, uint16_t port)
{
	for (struct listener *l = p->listeners; l; l = l->next)
		if (l->port == port)
			return l;
	return NULL;
}

static void open_port(struct planner *p, uint16_t port, answer_fn *fn)
{
	struct listener *l = listener_of(p, port);
	int fd, err;

	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l)
			return;
		*l = (struct listener){.p = p, .port = port, .next = p->listeners};
		p->listeners = l;
	}
	l->wanted = true;
	if (l->answers)
		return;
	fd = listen_on(port);
	err = fd < 0 ? fd : answers_new(&l->answers, &p->loop, fd, fn, l);
	if (err && fd >= 0)
		close(fd);
	if (err && !l->told)
		log_warn("health of Services cannot be asked on port %u: %s", port, strerror(-err));
	l->told = err;
}

static void want(void *ctx, const struct compiler_health *h)
{
	if (h->port && h->port != NODE_PORT)
		open_port(ctx, h->port, answer_service);
}

void health_sync(struct planner *p)
{
	struct listener **at = &p->listeners;

	for (struct listener *l = p->listeners; l; l = l->next)
		l->wanted = false;
	open_port(p, NODE_PORT, answer_node);
	if (p->compiler)
		compiler_health(p->compiler, want, p);
	while (*at) {
		struct listener *l = *at;

		if (l->wanted) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		answers_free(&l->answers);
		free(l);
	}
}
