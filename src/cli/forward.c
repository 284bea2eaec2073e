/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft forward`: ports of this machine's loopback that lead into a pod, as `kubectl port-forward` does: each
 * connection is one stream to the hub. Of a Service's ports those of a pod behind it are meant, as kubectl
 * takes them.
 */
#include "base/own.h"
#include "cli/channel.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/podname.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

enum { PORTS_MAX = 16, CONNS_MAX = 128 };

struct port {
	int fds[2];
	unsigned local, remote;
};

struct conn {
	int fd;
	struct channel c;
	struct buf out; /* to the local side */
	size_t sent;
	struct buf error;
	unsigned remote, port_bytes;
	bool in_over, out_over, shut, broken;
};

struct forwarding {
	const char *socket_path;
	struct podname pod;
	struct port ports[PORTS_MAX];
	size_t n_ports;
	VEC(struct conn *) conns;
};

static volatile sig_atomic_t stop;

static void on_stop(int number)
{
	(void)number;
	stop = 1;
}

/* Which port of the pod a word means: a number, or the name of a container's port. 0: none. */
static unsigned pod_port(const json_t *pod, const json_t *word)
{
	json_t *list = json_object_get(json_object_get(pod, "spec"), "containers"), *c, *p;
	const char *name = json_string_value(word);
	int64_t n = json_integer_value(word);
	size_t i, j;

	if (name && !str_to_i64(str_of(name), 1, 65535, &n))
		return (unsigned)n;
	if (!name)
		return n > 0 && n < 65536 ? (unsigned)n : 0;
	json_array_foreach (list, i, c) {
		json_array_foreach (json_object_get(c, "ports"), j, p) {
			const char *is = json_string_value(json_object_get(p, "name"));
			if (is && !strcmp(is, name))
				return (unsigned)json_integer_value(json_object_get(p, "containerPort"));
		}
	}
	return 0;
}

static unsigned remote_port(const struct podname *pod, const char *text)
{
	json_t *ports = json_object_get(json_object_get(pod->service, "spec"), "ports"), *p;
	AUTO_JSON word = json_string(text);
	int64_t n = 0;
	size_t i;

	if (!pod->service)
		return pod_port(pod->object, word);
	str_to_i64(str_of(text), 1, 65535, &n);
	json_array_foreach (ports, i, p) {
		const char *name = json_string_value(json_object_get(p, "name"));
		json_t *target = json_object_get(p, "targetPort");
		if ((name && !strcmp(name, text)) ||
		    (n && json_integer_value(json_object_get(p, "port")) == n))
			return pod_port(pod->object, target ? target : json_object_get(p, "port"));
	}
	return 0;
}

/* "8080", "8080:80", ":80", "http", "8080:http". */
static int read_port(struct forwarding *f, const char *text)
{
	struct port *p = &f->ports[f->n_ports];
	const char *colon = strchr(text, ':'), *remote = colon ? colon + 1 : text;
	struct str local = {text, colon ? (size_t)(colon - text) : 0};
	int64_t n = 0;

	*p = (struct port){.fds = {-1, -1}};
	if (colon && local.n && str_to_i64(local, 0, 65535, &n)) {
		cli_error("PORT, LOCAL:PORT or :PORT, as 8080:80", "\"%s\" has no local port", text);
		return EXIT_USAGE;
	}
	p->remote = remote_port(&f->pod, remote);
	if (!p->remote) {
		cli_error(f->pod.service ? "`weft get svc -o yaml` shows its ports"
					 : "a number, or the name of a container's port",
			  "%s has no port \"%s\"", f->pod.service ? "the Service" : f->pod.pod, remote);
		return EXIT_FAILED;
	}
	p->local = colon ? (unsigned)n : p->remote;
	/* Of a Service's port its own number is the local one. */
	if (!colon && f->pod.service && !str_to_i64(str_of(text), 1, 65535, &n))
		p->local = (unsigned)n;
	f->n_ports++;
	return EXIT_OK;
}

static int listen_on(bool six, unsigned port)
{
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 a6 = {
	    .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = in6addr_loopback};
	int one = 1;

	a4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	AUTO_FD int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    (six && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one))) ||
	    bind(fd, six ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4, six ? sizeof(a6) : sizeof(a4)) ||
	    listen(fd, 128))
		return -1;
	return TAKE_FD(fd);
}

static int open_port(struct port *p)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	p->fds[0] = listen_on(false, p->local);
	if (p->fds[0] < 0) {
		cli_error("choose another: OTHER:PORT, or :PORT for any", "127.0.0.1:%u: %s", p->local,
			  strerror(errno));
		return EXIT_FAILED;
	}
	if (!getsockname(p->fds[0], (struct sockaddr *)&at, &len))
		p->local = ntohs(at.sin_port);
	/* A machine without IPv6 has the one address. */
	p->fds[1] = listen_on(true, p->local);
	printf("Forwarding from 127.0.0.1:%u -> %u\n", p->local, p->remote);
	if (p->fds[1] >= 0)
		printf("Forwarding from [::1]:%u -> %u\n", p->local, p->remote);
	fflush(stdout);
	return EXIT_OK;
}

static void conn_free(struct conn *x)
{
	if (x->error.n > 2)
		cli_error(NULL, "port %u: %.*s", x->remote, (int)x->error.n - 2, x->error.p + 2);
	close(x->fd);
	channel_fini(&x->c);
	buf_fini(&x->out);
	buf_fini(&x->error);
	free(x);
}

static void on_accept(struct forwarding *f, int listener, unsigned remote)
{
	AUTO_BUF url = {0};
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct conn *x = fd < 0 ? NULL : calloc(1, sizeof(*x));

	if (!x) {
		if (fd >= 0)
			close(fd);
		return;
	}
	x->fd = fd;
	x->remote = remote;
	x->c.fd = -1;
	podname_url(&url, f->pod.ns, f->pod.pod, "portforward");
	buf_printf(&url, "ports=%u", remote);
	if (channel_open(&x->c, f->socket_path, url.p) || vec_push(&f->conns, x))
		conn_free(x);
}

static void flush_local(struct conn *x)
{
	while (x->sent < x->out.n) {
		ssize_t n = send(x->fd, x->out.p + x->sent, x->out.n - x->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			x->broken = true;
			return;
		}
		x->sent += (size_t)n;
	}
	buf_clear(&x->out);
	x->sent = 0;
	if (x->out_over && !x->shut) {
		x->shut = true;
		shutdown(x->fd, SHUT_WR);
	}
}

/* 0: data, 1: errors; both begin with two bytes of the port. */
static void take(void *ctx, unsigned number, struct str data)
{
	struct conn *x = ctx;

	if (number == 1 && x->error.n < 4096) {
		buf_adds(&x->error, data);
	} else if (number == 0) {
		size_t skip = x->port_bytes < 2 ? 2 - x->port_bytes : 0;
		skip = skip < data.n ? skip : data.n;
		x->port_bytes += (unsigned)skip;
		data.p += skip;
		data.n -= skip;
		buf_adds(&x->out, data);
		flush_local(x);
	} else if (number == CHANNEL_CLOSE && data.p[0] == 0) {
		x->out_over = true;
		flush_local(x);
	}
}

static void read_local(struct conn *x)
{
	char bytes[32768];
	ssize_t n = recv(x->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n > 0) {
		channel_put(&x->c, 0, (struct str){bytes, (size_t)n});
	} else if (!n) {
		x->in_over = true;
		channel_put_close(&x->c, 0);
	} else if (errno != EAGAIN && errno != EINTR) {
		x->broken = true;
	}
}

static bool conn_is_over(const struct conn *x)
{
	return x->broken || (x->c.over && x->sent == x->out.n) ||
	       (x->out_over && x->in_over && x->sent == x->out.n);
}

static void conn_poll(const struct conn *x, struct pollfd p[2])
{
	bool in = !x->in_over && !x->c.over && channel_pending(&x->c) < CHANNEL_HIGH;
	bool out = !x->c.over && x->out.n - x->sent < CHANNEL_HIGH;

	p[0] = (struct pollfd){.fd = x->fd,
			       .events = (short)((in ? POLLIN : 0) | (x->sent < x->out.n ? POLLOUT : 0))};
	p[1] =
	    (struct pollfd){.fd = x->c.over ? -1 : x->c.fd,
			    .events = (short)((out ? POLLIN : 0) | (channel_pending(&x->c) ? POLLOUT : 0))};
	if (!p[0].events)
		p[0].fd = -1;
}

static void conn_run(struct conn *x, const struct pollfd p[2])
{
	if (p[1].revents & POLLOUT)
		channel_flush(&x->c);
	if (p[1].revents & (POLLIN | POLLHUP | POLLERR) || x->c.early.n)
		channel_read(&x->c, take, x);
	if (p[0].revents & POLLOUT)
		flush_local(x);
	if (p[0].revents & (POLLIN | POLLHUP | POLLERR) && !x->in_over)
		read_local(x);
}

static void loop(struct forwarding *f)
{
	struct pollfd p[2 * (PORTS_MAX + CONNS_MAX)];

	while (!stop) {
		bool room = f->conns.len < CONNS_MAX, at_once = false;
		size_t n = 0, had = f->conns.len;
		for (size_t i = 0; i < f->n_ports; i++)
			for (size_t j = 0; j < 2; j++)
				p[n++] =
				    (struct pollfd){.fd = room ? f->ports[i].fds[j] : -1, .events = POLLIN};
		VEC_EACH (&f->conns, x) {
			conn_poll(*x, &p[n]);
			at_once |= (*x)->c.early.n;
			n += 2;
		}
		if (poll(p, n, at_once ? 0 : -1) < 0)
			continue;
		for (size_t i = had; i-- > 0;) {
			struct conn *x = f->conns.items[i];
			conn_run(x, &p[2 * (f->n_ports + i)]);
			if (conn_is_over(x)) {
				vec_remove(&f->conns, i);
				conn_free(x);
			}
		}
		for (size_t i = 0; i < 2 * f->n_ports; i++)
			if (p[i].revents & POLLIN && f->conns.len < CONNS_MAX)
				on_accept(f, p[i].fd, f->ports[i / 2].remote);
	}
}

int cmd_forward(const struct options_forward *o)
{
	char socket_path[CLUSTER_PATH];
	struct forwarding f = {.socket_path = socket_path};
	const struct sigaction act = {.sa_handler = on_stop};
	int r = EXIT_OK;

	if (!cluster_name(o->name))
		return EXIT_USAGE;
	if (o->n_args > PORTS_MAX) {
		cli_error(NULL, "at most %d ports at once", PORTS_MAX - 1);
		return EXIT_USAGE;
	}
	if (!cluster_need(cluster_name(o->name)))
		return EXIT_FAILED;
	cluster_path(socket_path, cluster_name(o->name), "hub.sock");
	if (podname_find(&f.pod, cluster_name(o->name), socket_path, o->args[0], o->ns))
		return EXIT_FAILED;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	for (int i = 1; i < o->n_args && !r; i++)
		r = read_port(&f, o->args[i]);
	for (size_t i = 0; i < f.n_ports && !r; i++)
		r = open_port(&f.ports[i]);
	if (!r)
		loop(&f);
	VEC_EACH (&f.conns, x)
		conn_free(*x);
	vec_free(&f.conns);
	for (size_t i = 0; i < f.n_ports; i++)
		for (size_t j = 0; j < 2; j++)
			if (f.ports[i].fds[j] > 0)
				close(f.ports[i].fds[j]);
	podname_fini(&f.pod);
	return r;
}
