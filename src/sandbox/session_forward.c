/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions that forward a connection into a pod: to a port of its own loopback address, as kubelet has it, so
 * past the pod's policies and past the packet path. Called by streams.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/own.h"
#include "sandbox/streams.h"

enum { FULL = 256 << 10 };

struct far {
	uv_tcp_t tcp; /* first: freed with it */
	uv_connect_t connect;
	uv_shutdown_t shutdown;
	struct session *session; /* NULL: dropped */
	unsigned port;
	bool six, reading, shut_in, shut_out;
	size_t queued;
};

struct piece {
	uv_write_t write; /* first: freed with it */
	struct far *far;
	size_t n;
	char bytes[];
};

static void freed(uv_handle_t *h)
{
	free(h);
}

static void drop(struct session *s)
{
	struct far *f = s->work;

	if (!f)
		return;
	f->session = NULL;
	uv_close((uv_handle_t *)&f->tcp, freed);
}

static void over_if_both(struct far *f)
{
	if (f->shut_in && f->shut_out && f->session)
		session_finish(f->session);
}

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	static char chunk[STREAM_FRAME_MAX];

	(void)h;
	(void)want;
	*b = uv_buf_init(chunk, sizeof(chunk));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	static const char out = STREAM_OUT;
	struct far *f = (struct far *)stream;

	if (!n || !f->session)
		return;
	if (n > 0) {
		session_send(f->session, STREAM_OUT, b->base, (size_t)n);
	} else if (n == UV_EOF) {
		session_send(f->session, STREAM_CLOSE, &out, 1);
		f->shut_out = true;
		over_if_both(f);
		return;
	} else {
		session_finish(f->session);
		return;
	}
	if (f->session && !session_has_room(f->session)) {
		f->reading = false;
		uv_read_stop(stream);
	}
}

static void on(struct session *s)
{
	struct far *f = s->work;

	if (f->reading || f->shut_out)
		return;
	f->reading = true;
	uv_read_start((uv_stream_t *)&f->tcp, on_alloc, on_read);
}

static void shut(uv_shutdown_t *r, int status)
{
	(void)status;
	over_if_both(CONTAINER_OF(r, struct far, shutdown));
}

static void piece_written(uv_write_t *w, int status)
{
	struct piece *p = (struct piece *)w;
	struct far *f = p->far;

	f->queued -= p->n;
	free(p);
	if (!f->session)
		return;
	if (status < 0)
		session_finish(f->session);
	else if (f->queued < FULL)
		session_resume(f->session);
}

static void take(struct session *s, unsigned channel, const char *bytes, size_t len)
{
	struct far *f = s->work;
	struct piece *p;
	uv_buf_t b;

	if (channel != STREAM_IN || f->shut_in)
		return;
	if (!len) {
		f->shut_in = true;
		uv_shutdown(&f->shutdown, (uv_stream_t *)&f->tcp, shut);
		return;
	}
	p = malloc(sizeof(*p) + len);
	if (!p) {
		session_finish(s);
		return;
	}
	p->far = f;
	p->n = len;
	memcpy(p->bytes, bytes, len);
	b = uv_buf_init(p->bytes, (unsigned)len);
	f->queued += len;
	if (uv_write(&p->write, (uv_stream_t *)&f->tcp, &b, 1, piece_written)) {
		f->queued -= len;
		free(p);
		session_finish(s);
	} else if (f->queued >= FULL) {
		session_hold(s);
	}
}

static const struct session_do forward = {.take = take, .on = on, .drop = drop};

static int pod_socket(const struct pod *p, int family)
{
	AUTO_FD int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int fd;

	if (own < 0 || setns(pod_netns(p), CLONE_NEWNET))
		return -errno;
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	fd = fd < 0 ? -errno : fd;
	if (setns(own, CLONE_NEWNET))
		abort(); /* on the wrong side for ever */
	return fd;
}

static void begin(struct session *s, unsigned port, bool six);

static void connected(uv_connect_t *c, int status)
{
	struct far *f = CONTAINER_OF(c, struct far, connect);
	struct session *s = f->session;

	if (!s)
		return;
	if (!status) {
		session_accept(s);
		session_resume(s);
		on(s);
		return;
	}
	drop(s);
	s->work = NULL;
	s->does = NULL;
	if (!f->six)
		begin(s, f->port, true);
	else
		session_refuse(s, 500, "InternalError",
			       "failed to connect to localhost:%u inside the namespace of pod %s, "
			       "IPv4: IPv6: dial tcp [::1]:%u: connect: %s",
			       f->port, s->pod->key, f->port, uv_strerror(status));
}

static void begin(struct session *s, unsigned port, bool six)
{
	struct far *f = calloc(1, sizeof(*f));
	struct sockaddr_storage to = {0};
	int fd = pod_socket(s->pod, six ? AF_INET6 : AF_INET), r;

	if (!f || fd < 0) {
		free(f);
		own_fd(&fd);
		session_refuse(s, 500, "InternalError", "no socket in the pod's network: %s",
			       fd < 0 ? strerror(-fd) : "out of memory");
		return;
	}
	*f = (struct far){.session = s, .port = port, .six = six};
	if (six)
		uv_ip6_addr("::1", (int)port, (struct sockaddr_in6 *)&to);
	else
		uv_ip4_addr("127.0.0.1", (int)port, (struct sockaddr_in *)&to);
	uv_tcp_init(&s->pod->sandbox->loop, &f->tcp);
	r = uv_tcp_open(&f->tcp, fd);
	if (r)
		close(fd);
	r = r ? r : uv_tcp_connect(&f->connect, &f->tcp, (const struct sockaddr *)&to, connected);
	s->work = f;
	s->does = &forward;
	if (!r) {
		session_hold(s); /* until there is somebody to take what it sends */
		return;
	}
	drop(s);
	s->work = NULL;
	s->does = NULL;
	session_refuse(s, 500, "InternalError", "port %u of pod %s: %s", port, s->pod->key, uv_strerror(r));
}

void session_forward(struct session *s, const json_t *ask)
{
	json_int_t port = json_integer_value(json_object_get(ask, "port"));

	if (port < 1 || port > 65535)
		session_refuse(s, 400, "BadRequest", "a port is a number from 1 to 65535");
	else if (!pod_wired(s->pod))
		session_refuse(s, 400, "BadRequest", "pod %s has no network yet", s->pod->name);
	else
		begin(s, (unsigned)port, false);
}
