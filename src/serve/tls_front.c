/* SPDX-License-Identifier: Apache-2.0 */
/* TLS by GnuTLS on the loop. See tls_front.h. */
#include "serve/tls_front.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "serve/duplex.h"

enum { HANDSHAKE_MS = 10000, DEAD_PEER_MS = 60000, RECORD = 16384 };

struct front_conn {
	struct tls_front *front;
	struct front_conn *next, **prev;
	gnutls_session_t tls;
	int fd;		      /* the client's */
	uv_poll_t poll;	      /* of it */
	struct duplex inside; /* our end of the pair */
	struct buf out;	      /* to the client */
	size_t sent;
	int events, handles;
	bool up, closed, inside_open, ending, tried;
	uint64_t address;
	uint64_t since_ms;
};

struct tls_front {
	uv_loop_t *loop;
	uv_poll_t poll;
	uv_timer_t tick;
	int listener, handles;
	unsigned n, max;
	bool asks; /* clients for a certificate */
	gnutls_certificate_credentials_t cred;
	gnutls_priority_t priority;
	struct front_conn *conns;
	tls_front_accept *fn;
	void *ctx;
};

static void conn_watch(struct front_conn *c);

static void conn_free(struct front_conn *c)
{
	if (--c->handles)
		return;
	gnutls_deinit(c->tls);
	close(c->fd);
	buf_fini(&c->out);
	free(c);
}

static void on_poll_closed(uv_handle_t *h)
{
	conn_free(h->data);
}

static void on_inside_freed(struct duplex *d)
{
	conn_free(CONTAINER_OF(d, struct front_conn, inside));
}

static void conn_close(struct front_conn *c)
{
	if (c->closed)
		return;
	c->closed = true;
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->front->n--;
	if (c->inside_open) {
		duplex_close(&c->inside, on_inside_freed);
		close(c->inside.fd);
	}
	uv_poll_stop(&c->poll);
	shutdown(c->fd, SHUT_RDWR);
	uv_close((uv_handle_t *)&c->poll, on_poll_closed);
}

/* From the server to the client. */
static void conn_send(struct front_conn *c)
{
	while (!c->closed && c->sent < c->out.n) {
		size_t left = c->out.n - c->sent;
		ssize_t n = gnutls_record_send(c->tls, c->out.p + c->sent, left < RECORD ? left : RECORD);
		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
			break;
		if (n < 0) {
			conn_close(c);
			return;
		}
		c->sent += (size_t)n;
	}
	if (c->sent == c->out.n) {
		if (c->out.cap > DUPLEX_LOW)
			buf_fini(&c->out);
		else
			buf_clear(&c->out);
		c->sent = 0;
		if (c->ending) {
			gnutls_bye(c->tls, GNUTLS_SHUT_WR);
			conn_close(c);
			return;
		}
	}
	duplex_read(&c->inside, c->out.n - c->sent < DUPLEX_HIGH);
	conn_watch(c);
}

static void on_inside_data(struct duplex *d, char *p, size_t n)
{
	struct front_conn *c = CONTAINER_OF(d, struct front_conn, inside);
	/* A record that could not be sent must be tried again with the same bytes: they stay where they are
	 * in `out`. */
	if (c->sent > DUPLEX_LOW) {
		buf_drop(&c->out, c->sent);
		c->sent = 0;
	}
	buf_add(&c->out, p, n);
	if (c->out.failed)
		conn_close(c);
	else
		conn_send(c);
}

static void on_inside_ended(struct duplex *d)
{
	struct front_conn *c = CONTAINER_OF(d, struct front_conn, inside);
	c->ending = true;
	conn_send(c);
}

static void on_inside_drained(struct duplex *d)
{
	conn_watch(CONTAINER_OF(d, struct front_conn, inside));
}

/* From the client to the server. What GnuTLS has unpacked already causes no event: it is taken to the end. */
static void conn_receive(struct front_conn *c)
{
	static char bytes[RECORD];
	for (int i = 0; i < 16 || gnutls_record_check_pending(c->tls); i++) {
		ssize_t n = gnutls_record_recv(c->tls, bytes, sizeof(bytes));
		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
			break;
		if (n <= 0) {
			conn_close(c);
			return;
		}
		buf_add(&c->inside.out, bytes, (size_t)n);
		duplex_flush(&c->inside);
		if (duplex_pending(&c->inside) > DUPLEX_HIGH && !gnutls_record_check_pending(c->tls))
			break;
	}
	conn_watch(c);
}

static void conn_up(struct front_conn *c)
{
	static const struct duplex_ops ops = {on_inside_data, on_inside_ended, on_inside_drained};
	unsigned status = 1;
	int pair[2];
	bool trusted = c->front->asks && !gnutls_certificate_verify_peers2(c->tls, &status) && !status;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) {
		conn_close(c);
		return;
	}
	if (duplex_init(&c->inside, c->front->loop, pair[0], &ops)) {
		close(pair[0]);
		close(pair[1]);
		conn_close(c);
		return;
	}
	c->handles++;
	c->up = c->inside_open = true;
	if (c->front->fn(c->front->ctx, pair[1], trusted, c->address)) {
		conn_close(c);
		return;
	}
	conn_receive(c);
}

static void conn_handshake(struct front_conn *c)
{
	int r;
	do
		r = gnutls_handshake(c->tls);
	while (r < 0 && r != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(r));
	if (r == GNUTLS_E_AGAIN)
		conn_watch(c);
	else if (r < 0)
		conn_close(c);
	else
		conn_up(c);
}

static void on_conn(uv_poll_t *p, int status, int events)
{
	struct front_conn *c = p->data;
	if (status < 0) {
		c->events = 0;
		conn_close(c);
	} else if (!c->up) {
		conn_handshake(c);
	} else {
		if (events & UV_WRITABLE)
			conn_send(c);
		if (!c->closed && events & UV_READABLE)
			conn_receive(c);
	}
}

static void conn_watch(struct front_conn *c)
{
	int want = 0;
	if (c->closed)
		return;
	if (!c->up)
		want = gnutls_record_get_direction(c->tls) ? UV_WRITABLE : UV_READABLE;
	else
		want = (c->sent < c->out.n ? UV_WRITABLE : 0) |
		       (duplex_pending(&c->inside) <= DUPLEX_HIGH ? UV_READABLE : 0);
	if (want == c->events)
		return;
	c->events = want;
	if (want)
		uv_poll_start(&c->poll, want, on_conn);
	else
		uv_poll_stop(&c->poll);
}

static int conn_new(struct tls_front *f, int fd, uint64_t address)
{
	unsigned ms = DEAD_PEER_MS;
	int one = 1;
	struct front_conn *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	if (gnutls_init(&c->tls, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL)) {
		free(c);
		return -ENOMEM;
	}
	if (gnutls_priority_set(c->tls, f->priority) ||
	    gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, f->cred) ||
	    uv_poll_init(f->loop, &c->poll, fd)) {
		gnutls_deinit(c->tls);
		free(c);
		return -EIO;
	}
	if (f->asks)
		gnutls_certificate_server_set_request(c->tls, GNUTLS_CERT_REQUEST);
	gnutls_transport_set_int(c->tls, fd);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->front = f;
	c->fd = fd;
	c->address = address;
	c->poll.data = c;
	c->handles = 1;
	c->since_ms = clock_ms();
	c->next = f->conns;
	if (c->next)
		c->next->prev = &c->next;
	c->prev = &f->conns;
	f->conns = c;
	f->n++;
	conn_watch(c);
	return 0;
}

uint64_t address_number(const struct sockaddr_storage *at)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)at;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)at;
	uint64_t n = 0;
	if (at->ss_family == AF_INET)
		return ntohl(four->sin_addr.s_addr);
	for (size_t i = 0; at->ss_family == AF_INET6 && i < 8; i++)
		n = n << 8 | six->sin6_addr.s6_addr[i];
	return n;
}

static void on_accept(uv_poll_t *p, int status, int events)
{
	struct tls_front *f = p->data;
	struct sockaddr_storage at = {0};
	socklen_t len = sizeof(at);
	(void)status;
	(void)events;
	/* Who comes when all places are taken waits in the kernel's queue. */
	if (f->n >= f->max)
		return;
	int fd = accept4(f->listener, (struct sockaddr *)&at, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0 && conn_new(f, fd, address_number(&at)))
		close(fd);
	if (f->n >= f->max)
		uv_poll_stop(&f->poll);
}

static void on_tick(uv_timer_t *t)
{
	struct tls_front *f = t->data;
	uint64_t now = clock_ms();
	for (struct front_conn *c = f->conns, *next; c; c = next) {
		next = c->next;
		if (!c->up && now - c->since_ms > HANDSHAKE_MS)
			conn_close(c);
	}
	if (f->n < f->max && !uv_is_active((uv_handle_t *)&f->poll))
		uv_poll_start(&f->poll, UV_READABLE, on_accept);
}

static int load(struct tls_front *f, const char *key, const char *cert, const char *ca)
{
	gnutls_datum_t k = {(unsigned char *)(uintptr_t)key, (unsigned)strlen(key)};
	gnutls_datum_t c = {(unsigned char *)(uintptr_t)cert, (unsigned)strlen(cert)};
	gnutls_datum_t a = {(unsigned char *)(uintptr_t)ca, ca ? (unsigned)strlen(ca) : 0};
	if (gnutls_certificate_allocate_credentials(&f->cred) < 0 ||
	    gnutls_certificate_set_x509_key_mem(f->cred, &c, &k, GNUTLS_X509_FMT_PEM) < 0 ||
	    (ca && gnutls_certificate_set_x509_trust_mem(f->cred, &a, GNUTLS_X509_FMT_PEM) < 1) ||
	    gnutls_priority_init(&f->priority, "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1", NULL) < 0)
		return -EIO;
	return 0;
}

static void fini(struct tls_front *f)
{
	if (f->cred)
		gnutls_certificate_free_credentials(f->cred);
	if (f->priority)
		gnutls_priority_deinit(f->priority);
	free(f);
}

int tls_front_new(struct tls_front **out, uv_loop_t *loop, int listener, const char *key, const char *cert,
		  const char *ca, unsigned connections, tls_front_accept *fn, void *ctx)
{
	struct tls_front *f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	int r = load(f, key, cert, ca);
	if (!r)
		r = uv_poll_init(loop, &f->poll, listener);
	if (r) {
		fini(f);
		return r;
	}
	f->loop = loop;
	f->listener = listener;
	f->max = connections;
	f->asks = ca != NULL;
	f->fn = fn;
	f->ctx = ctx;
	uv_timer_init(loop, &f->tick);
	f->poll.data = f->tick.data = f;
	uv_poll_start(&f->poll, UV_READABLE, on_accept);
	uv_timer_start(&f->tick, on_tick, 1000, 1000);
	*out = f;
	return 0;
}

static void on_front_closed(uv_handle_t *h)
{
	struct tls_front *f = h->data;
	if (!--f->handles)
		fini(f);
}

void tls_front_free(struct tls_front **pf)
{
	struct tls_front *f = *pf;
	*pf = NULL;
	if (!f)
		return;
	while (f->conns)
		conn_close(f->conns);
	f->handles = 2;
	uv_close((uv_handle_t *)&f->poll, on_front_closed);
	uv_close((uv_handle_t *)&f->tick, on_front_closed);
	close(f->listener);
}
