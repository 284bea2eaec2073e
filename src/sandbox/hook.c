/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hook: a container's preStop: a program run in the container, a GET from the node, or a sleep. Its outcome
 * changes nothing but the time when SIGTERM comes; failures are remarks. Called by life.c.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/addr.h"
#include "base/own.h"
#include "sandbox/fabric.h"
#include "sandbox/pod.h"
#include "sandbox/runtime.h"

struct hook {
	uv_timer_t timer; /* first, it is freed with it: the sleep, or the end of patience */
	struct container *container;
	hook_done *done;
	struct get *get;
};

struct get {
	uv_tcp_t tcp; /* first: freed with it */
	uv_connect_t connect;
	uv_write_t write;
	struct hook *hook; /* NULL: dropped */
	struct buf text;
	char answer[512];
};

static void hook_over(struct hook *h)
{
	h->done(h->container); /* which drops it */
}

static void timer_over(uv_timer_t *t)
{
	hook_over((struct hook *)t);
}

static void exec_done(void *ctx, int result)
{
	struct hook *h = ctx;
	const struct container *c = h->container;

	if (result == -ENOENT)
		sandbox_remark(c->pod->sandbox,
			       "%s: container %s: the program of its preStop hook is not on this machine: "
			       "played as success",
			       c->pod->key, c->name);
	else if (result)
		sandbox_remark(c->pod->sandbox, "%s: container %s: its preStop hook failed (%d)", c->pod->key,
			       c->name, result);
	hook_over(h);
}

static int exec_start(struct hook *h, const json_t *command, uint64_t timeout_ms)
{
	size_t n = json_array_size(command), i;
	AUTO_MEM char **argv = calloc(n + 1, sizeof(*argv));
	const json_t *o;

	if (!argv || !n)
		return -EINVAL;
	json_array_foreach ((json_t *)(uintptr_t)command, i, o)
		argv[i] = (char *)(uintptr_t)json_text(o);
	return runtime_exec(h->container, argv, timeout_ms, exec_done, h);
}

static void get_closed(uv_handle_t *h)
{
	struct get *g = (struct get *)h;

	buf_fini(&g->text);
	free(g);
}

static void get_over(struct get *g)
{
	struct hook *h = g->hook;

	if (h)
		hook_over(h);
}

static void get_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	struct get *g = (struct get *)h;

	(void)want;
	*b = uv_buf_init(g->answer, sizeof(g->answer));
}

static void get_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	(void)b;
	if (n)
		get_over((struct get *)s);
}

static void get_written(uv_write_t *w, int status)
{
	(void)w;
	(void)status; /* what follows is an answer or the end */
}

static void get_connected(uv_connect_t *c, int status)
{
	struct get *g = CONTAINER_OF(c, struct get, connect);
	uv_buf_t b = uv_buf_init(g->text.p, (unsigned)g->text.n);

	if (!g->hook)
		return;
	if (status || uv_write(&g->write, (uv_stream_t *)&g->tcp, &b, 1, get_written) ||
	    uv_read_start((uv_stream_t *)&g->tcp, get_alloc, get_read)) {
		sandbox_remark(g->hook->container->pod->sandbox,
			       "%s: container %s: its preStop hook could not connect",
			       g->hook->container->pod->key, g->hook->container->name);
		get_over(g);
	}
}

/* A socket of the node's, as kubelet would have it. */
static int node_socket(const struct node *n, int family)
{
	AUTO_FD int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int fd;

	if (own < 0 || setns(n->netns.fd, CLONE_NEWNET))
		return -errno;
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	fd = fd < 0 ? -errno : fd;
	if (setns(own, CLONE_NEWNET))
		abort(); /* on the wrong side for ever */
	return fd;
}

static int where(const struct container *c, const json_t *http, struct sockaddr_storage *to)
{
	const char *host = json_text(json_object_get(http, "host"));
	json_int_t port = container_port(c, json_object_get(http, "port"));
	char node[ADDRESS_TEXT];
	const json_t *now;

	fabric_node4(c->pod->node->index, node);
	if (!*host && c->pod->host_network)
		host = node;
	else if (!*host && pod_has_object(c->pod, &now))
		host = json_text(
		    json_object_get(json_array_get(json_at(now, "status", "podIPs", NULL), 0), "ip"));
	if (port < 1 || port > 65535)
		return -EINVAL;
	return uv_ip4_addr(host, (int)port, (struct sockaddr_in *)to)
		   ? uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)to)
		   : 0;
}

static int get_start(struct hook *h, const json_t *http)
{
	const struct container *c = h->container;
	const char *path = json_text(json_object_get(http, "path"));
	struct sockaddr_storage to = {0};
	int r = where(c, http, &to), fd = r ? r : node_socket(c->pod->node, to.ss_family);
	struct get *g = fd < 0 ? NULL : calloc(1, sizeof(*g));

	if (!g) {
		own_fd(&fd);
		return fd < 0 ? fd : -ENOMEM;
	}
	uv_tcp_init(&c->pod->sandbox->loop, &g->tcp);
	buf_printf(&g->text,
		   "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: kube-lifecycle/1\r\nConnection: close\r\n\r\n",
		   *path ? path : "/", c->pod->name);
	r = g->text.failed ? -ENOMEM : uv_tcp_open(&g->tcp, fd);
	if (r)
		close(fd);
	r = r ? r : uv_tcp_connect(&g->connect, &g->tcp, (const struct sockaddr *)&to, get_connected);
	if (r) {
		uv_close((uv_handle_t *)&g->tcp, get_closed);
		return r;
	}
	g->hook = h;
	h->get = g;
	return 0;
}

struct hook *hook_start(struct container *c, const json_t *handler, uint64_t timeout_ms, hook_done *done)
{
	const json_t *http = json_object_get(handler, "httpGet"), *nap = json_object_get(handler, "sleep");
	struct hook *h = calloc(1, sizeof(*h));
	uint64_t wait = timeout_ms;
	int r = 0;

	if (!h)
		return NULL;
	h->container = c;
	h->done = done;
	uv_timer_init(&c->pod->sandbox->loop, &h->timer);
	if (nap) {
		uint64_t ms = (uint64_t)json_integer_value(json_object_get(nap, "seconds")) * 1000;

		wait = ms < wait ? ms : wait;
	} else if (!strcmp(json_text(json_object_get(http, "scheme")), "HTTPS")) {
		r = -EPROTONOSUPPORT;
	} else if (http) {
		r = get_start(h, http);
	} else {
		r = exec_start(h, json_at(handler, "exec", "command", NULL), timeout_ms);
	}
	if (r) {
		sandbox_remark(c->pod->sandbox, "%s: container %s: its preStop hook was not played: %s",
			       c->pod->key, c->name, strerror(-r));
		hook_drop(&h);
		return NULL;
	}
	uv_timer_start(&h->timer, timer_over, wait, 0);
	return h;
}

void hook_drop(struct hook **h)
{
	struct hook *was = *h;

	if (!was)
		return;
	*h = NULL;
	runtime_forget(was);
	if (was->get) {
		was->get->hook = NULL;
		uv_close((uv_handle_t *)&was->get->tcp, get_closed);
	}
	uv_close((uv_handle_t *)&was->timer, (uv_close_cb)free);
}
