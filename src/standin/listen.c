/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners of the stand-in: one dual-stack socket for each port, and the answers to datagrams. Must never
 * wait. Called by serve.c.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/own.h"
#include "standin/server.h"

enum { LATE_MAX = 1024 };

void server_identity(const struct server *s, const struct question *q, struct buf *out)
{
	char client[ADDR_TEXT];

	addr_print(q->client, client);
	buf_addz(out, "{\"pod\":");
	buf_json(out, str_of(s->spec->pod));
	buf_addz(out, ",\"namespace\":");
	buf_json(out, str_of(s->spec->ns));
	buf_addz(out, ",\"node\":");
	buf_json(out, str_of(s->spec->node));
	buf_addz(out, ",\"container\":");
	buf_json(out, str_of(s->spec->container));
	buf_printf(out,
		   ",\"port\":%u,\"client\":\"%s\",\"clientPort\":%u,\"family\":\"%s\",\"protocol\":\"%s\"",
		   q->port, client, q->client_port, addr_is4(q->client) ? "IPv4" : "IPv6", q->protocol);
	if (q->path.n) {
		buf_addz(out, ",\"host\":");
		buf_json(out, q->host);
		buf_addz(out, ",\"path\":");
		buf_json(out, q->path);
	}
	buf_addz(out, "}\n");
}

static void accept_all(struct watch *w, uint32_t events)
{
	struct listener *l = CONTAINER_OF(w, struct listener, watch);

	(void)events;
	for (int i = 0; i < 64; i++) {
		struct sockaddr_in6 from;
		socklen_t size = sizeof(from);
		struct addr client;
		int fd = accept4(w->fd, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		if (l->server->conns >= CONNS_MAX) {
			l->server->refused++;
			close(fd);
			continue;
		}
		memcpy(client.b, &from.sin6_addr, 16);
		conn_new(l->server, fd, l->port, &client, ntohs(from.sin6_port));
	}
}

struct late_datagram {
	struct timer timer;
	struct listener *listener;
	struct sockaddr_in6 from;
	size_t control_len, len;
	char control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	char data[];
};

static void send_late(struct timer *t)
{
	struct late_datagram *d = CONTAINER_OF(t, struct late_datagram, timer);
	struct iovec iov = {.iov_base = d->data, .iov_len = d->len};
	struct msghdr m = {.msg_name = &d->from,
			   .msg_namelen = sizeof(d->from),
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = d->control,
			   .msg_controllen = d->control_len};

	if (d->listener->watch.fd >= 0)
		sendmsg(d->listener->watch.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	d->listener->server->late--;
	free(d);
}

/* Keeps a copy; beyond the bound a datagram is lost, as datagrams may. */
static void answer_late(struct listener *l, const struct msghdr *m)
{
	struct server *s = l->server;
	struct late_datagram *d = s->late < LATE_MAX ? malloc(sizeof(*d) + m->msg_iov->iov_len) : NULL;

	if (!d)
		return;
	*d = (struct late_datagram){.listener = l,
				    .timer.fn = send_late,
				    .control_len = m->msg_controllen,
				    .len = m->msg_iov->iov_len};
	memcpy(&d->from, m->msg_name, sizeof(d->from));
	memcpy(d->control, m->msg_control, m->msg_controllen);
	memcpy(d->data, m->msg_iov->iov_base, d->len);
	s->late++;
	loop_arm(&s->loop, &d->timer, s->fault.slow_ms);
}

/* "?" asks who is there; everything else comes back as it is. The answer leaves from the address that was
 * asked. */
static void answer_datagrams(struct watch *w, uint32_t events)
{
	struct listener *l = CONTAINER_OF(w, struct listener, watch);
	static char data[65536];

	(void)events;
	for (int i = 0; i < 64; i++) {
		char control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct sockaddr_in6 from;
		struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
		struct msghdr m = {.msg_name = &from,
				   .msg_namelen = sizeof(from),
				   .msg_iov = &iov,
				   .msg_iovlen = 1,
				   .msg_control = control,
				   .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(w->fd, &m, MSG_DONTWAIT);
		AUTO_BUF answer = {0};
		struct addr client;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0)
			continue; /* an ICMP error for an earlier answer */
		iov.iov_len = (size_t)n;
		if (n == 1 && data[0] == '?') {
			struct question q = {.port = l->port,
					     .client = &client,
					     .protocol = "UDP",
					     .client_port = ntohs(from.sin6_port)};

			memcpy(client.b, &from.sin6_addr, 16);
			server_identity(l->server, &q, &answer);
			if (answer.failed)
				continue;
			iov = (struct iovec){.iov_base = answer.p, .iov_len = answer.n};
		}
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
			if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
				((struct in6_pktinfo *)(void *)CMSG_DATA(c))->ipi6_ifindex = 0;
		m.msg_flags = 0;
		if (l->server->fault.slow_ms)
			answer_late(l, &m);
		else
			sendmsg(w->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

static int listener_open(struct listener *l)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(l->port)};
	bool udp = l->proto == PROTO_UDP;
	int fd = socket(AF_INET6, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){0}, sizeof(int));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (udp)
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &(int){1}, sizeof(int));
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) || (!udp && listen(fd, 1024))) {
		err = -errno;
		close(fd);
		return err;
	}
	l->watch = (struct watch){.fd = fd, .fn = udp ? answer_datagrams : accept_all};
	return loop_watch(&l->server->loop, &l->watch, EPOLLIN);
}

/* A fault closes the port: what connects is refused. */
static bool is_closed(const struct listener *l)
{
	const struct server *s = l->server;

	if (s->fault.refuse)
		return true;
	VEC_EACH (&s->spec->ready, r)
		if (s->fault.not_ready && r->plain && r->port == l->port && l->proto == PROTO_TCP)
			return true;
	return s->deaf && l->proto == PROTO_TCP;
}

bool server_not_ready(const struct server *s, uint16_t port, struct str path, struct str service)
{
	VEC_EACH (&s->spec->ready, r)
		if (s->fault.not_ready && !r->plain && r->port == port &&
		    (path.n ? *r->path && str_eqz(path, r->path) : !*r->path && str_eqz(service, r->service)))
			return true;
	return false;
}

static int listener_set(struct listener *l)
{
	bool closed = is_closed(l);
	int r;

	if (l->proto == PROTO_SCTP || closed == (l->watch.fd < 0))
		return 0;
	if (closed) {
		loop_close(&l->server->loop, &l->watch);
		return 0;
	}
	r = listener_open(l);
	if (r)
		log_error("port %u/%s: %s", l->port, l->proto == PROTO_UDP ? "UDP" : "TCP", strerror(-r));
	return r;
}

void server_listen_again(struct server *s)
{
	for (size_t i = 0; i < s->listeners_len; i++)
		listener_set(&s->listeners[i]);
}

void server_deafen(struct server *s)
{
	s->deaf = true;
	for (size_t i = 0; i < s->listeners_len; i++)
		if (s->listeners[i].watch.fd >= 0 && s->listeners[i].proto == PROTO_TCP)
			accept_all(&s->listeners[i].watch, 0);
	server_listen_again(s);
}

int server_listen(struct server *s)
{
	int first = 0;

	s->listeners = calloc(s->spec->ports.len + 1, sizeof(*s->listeners));
	if (!s->listeners)
		return -ENOMEM;
	for (size_t i = 0; i < s->spec->ports.len; i++) {
		const struct spec_port *p = &s->spec->ports.items[i];
		struct listener *l = &s->listeners[s->listeners_len++];
		int r;

		*l = (struct listener){.server = s, .port = p->port, .proto = p->proto, .watch.fd = -1};
		if (p->proto == PROTO_SCTP)
			log_warn("port %u/SCTP is not served: stand-ins speak TCP and UDP", p->port);
		r = listener_set(l);
		first = first ? first : r;
	}
	return first;
}
