/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One TCP connection: decides by its first bytes whether it speaks HTTP/1, HTTP/2 or neither (then it is
 * echoed), and moves bytes. Memory is bounded: nothing is read while an answer waits to be written. Called by
 * listen.c.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/own.h"
#include "standin/server.h"

enum { DRAIN_IDLE_MS = 2000, LINGER_MS = 5000, LAST_READS = 16 };

static void conn_free(struct conn *c)
{
	loop_disarm(&c->server->loop, &c->timer);
	loop_disarm(&c->server->loop, &c->late);
	if (c->tls)
		c->server->tls->close(c->tls);
	if (c->prev)
		c->prev->next = c->next;
	else
		c->server->all = c->next;
	if (c->next)
		c->next->prev = c->prev;
	loop_close(&c->server->loop, &c->watch);
	http2_free(c);
	buf_fini(&c->in);
	buf_fini(&c->out);
	c->server->conns--;
	free(c);
}

static enum speech sniff(struct str first)
{
	static const struct {
		const char *text;
		enum speech speech;
	} known[] = {
	    {"GET ", SPEECH_HTTP1},	{"POST ", SPEECH_HTTP1},
	    {"HEAD ", SPEECH_HTTP1},	{"PUT ", SPEECH_HTTP1},
	    {"DELETE ", SPEECH_HTTP1},	{"PATCH ", SPEECH_HTTP1},
	    {"TRACE ", SPEECH_HTTP1},	{"OPTIONS ", SPEECH_HTTP1},
	    {"CONNECT ", SPEECH_HTTP1}, {"PRI * HTTP/2.0\r\n", SPEECH_HTTP2},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		size_t n = strlen(known[i].text);

		if (first.n >= n && !memcmp(first.p, known[i].text, n))
			return known[i].speech;
		if (first.n < n && !memcmp(first.p, known[i].text, first.n))
			return SPEECH_UNKNOWN;
	}
	return SPEECH_ECHO;
}

static bool conn_speak(struct conn *c)
{
	if (c->speech == SPEECH_UNKNOWN)
		c->speech = sniff(buf_str(&c->in));
	switch (c->speech) {
	case SPEECH_UNKNOWN:
		loop_arm(&c->server->loop, &c->timer, SNIFF_MS);
		return true;
	case SPEECH_HTTP1:
		return http1_read(c);
	case SPEECH_HTTP2:
		return http2_read(c);
	case SPEECH_ECHO:
		break;
	}
	buf_adds(&c->out, buf_str(&c->in));
	buf_clear(&c->in);
	c->closing |= c->server->draining;
	return !c->out.failed;
}

/* In order (RFC 9293 3.6): our end, then all that the client still sends, then the client's end. Closing at
 * once would answer a byte under way with a reset, which takes answers from the client that it has not read
 * yet. False when nothing is left to wait for. */
static bool conn_shut(struct conn *c)
{
	if (c->ended || c->tls || c->shut || shutdown(c->watch.fd, SHUT_WR))
		return false;
	c->shut = true;
	loop_arm(&c->server->loop, &c->timer, LINGER_MS);
	loop_change(&c->server->loop, &c->watch, EPOLLIN);
	return true;
}

/* False when the client has ended, too. */
static bool conn_discard(struct conn *c)
{
	char data[IN_MAX];
	ssize_t n;

	do
		n = recv(c->watch.fd, data, sizeof(data), MSG_DONTWAIT);
	while (n > 0);
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Writes what it can: false when the connection is gone. */
static bool conn_write(struct conn *c)
{
	/* The last answer and the end come together: who has read the one sees the other. */
	int more = c->closing ? MSG_MORE : 0;
	size_t done = 0;

	while (done < c->out.n) {
		const char *at = c->out.p + done;
		ssize_t n = c->tls
				? c->server->tls->send(c->tls, at, c->out.n - done)
				: send(c->watch.fd, at, c->out.n - done, MSG_NOSIGNAL | MSG_DONTWAIT | more);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0)
			break;
		done += (size_t)n;
	}
	buf_drop(&c->out, done);
	if (!c->out.n && c->out.cap > IN_MAX)
		buf_fini(&c->out);
	if (!c->out.n && c->closing)
		return conn_shut(c);
	loop_change(&c->server->loop, &c->watch, c->out.n ? EPOLLOUT : EPOLLIN);
	return true;
}

static bool speaks_tls(const struct conn *c)
{
	VEC_EACH (&c->server->spec->tls, p)
		if (*p == c->port)
			return c->server->tls != NULL;
	return false;
}

/* A port of an HTTPS probe speaks TLS to those who begin with it. False: out of memory. */
static bool conn_sniff_tls(struct conn *c)
{
	char first;
	ssize_t n = speaks_tls(c) ? recv(c->watch.fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) : 0;

	if (n < 0)
		return true;
	c->sniffed = true;
	if (n == 1 && first == 0x16) {
		c->tls = c->server->tls->open(c->watch.fd);
		return c->tls != NULL;
	}
	return true;
}

/* Writes, or waits with it where answers are to be late. */
static bool conn_answer(struct conn *c)
{
	uint32_t slow = c->server->fault.slow_ms;

	if (!slow || !c->out.n)
		return conn_write(c);
	if (!c->late.armed) {
		loop_arm(&c->server->loop, &c->late, slow);
		loop_change(&c->server->loop, &c->watch, 0);
	}
	return true;
}

static void conn_late(struct timer *t)
{
	struct conn *c = CONTAINER_OF(t, struct conn, late);

	if (!conn_write(c))
		conn_free(c);
}

unsigned conns_drain(struct server *s)
{
	uint64_t now = clock_ms();
	struct conn *next;

	for (struct conn *c = s->all; c; c = next) {
		bool idle = !c->in.n && !c->out.n && !c->body_left && now - c->touched_ms > DRAIN_IDLE_MS;

		next = c->next;
		if (c->shut || c->late.armed || !(c->http2 || idle))
			continue;
		c->closing |= c->http2 ? http2_drain(c) : true;
		if (!conn_write(c))
			conn_free(c);
	}
	return s->conns;
}

/* -1: gone; 0: end of their side; 1: go on. */
static int conn_fill(struct conn *c)
{
	char data[IN_MAX];
	size_t total = 0;
	ssize_t n;

	if (!c->sniffed && !conn_sniff_tls(c))
		return -1;
	do { /* TLS may hold more than the socket shows */
		n = c->tls ? c->server->tls->recv(c->tls, data, sizeof(data))
			   : recv(c->watch.fd, data, sizeof(data), MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 1 : -1;
		buf_add(&c->in, data, (size_t)n);
		total += (size_t)n;
	} while (c->tls && n && total < IN_MAX && !c->in.failed);
	return c->in.failed ? -1 : n > 0;
}

static void conn_event(struct watch *w, uint32_t events)
{
	struct conn *c = CONTAINER_OF(w, struct conn, watch);
	int more = 1;

	if (c->shut) {
		if (!conn_discard(c))
			conn_free(c);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		loop_arm(&c->server->loop, &c->timer, IDLE_MS);
		c->touched_ms = clock_ms();
		/* What has arrived before the last answer is answered with it. */
		for (int i = 0; more > 0 && i < (c->server->draining ? LAST_READS : 1); i++)
			more = conn_fill(c);
		if (more < 0 || (c->in.n && !conn_speak(c))) {
			conn_free(c);
			return;
		}
		c->ended |= !more;
		c->closing |= c->ended;
	}
	if (!(events & EPOLLOUT ? conn_write(c) : conn_answer(c)))
		conn_free(c);
}

static void conn_timer(struct timer *t)
{
	struct conn *c = CONTAINER_OF(t, struct conn, timer);

	if (c->speech == SPEECH_UNKNOWN && c->in.n && !c->shut) {
		c->speech = SPEECH_ECHO;
		loop_arm(&c->server->loop, &c->timer, IDLE_MS);
		if (conn_speak(c) && conn_answer(c))
			return;
	}
	if (!c->out.n && conn_shut(c))
		return;
	conn_free(c);
}

void conn_new(struct server *s, int fd, uint16_t port, const struct addr *client, uint16_t client_port)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return;
	}
	*c = (struct conn){.server = s, .port = port, .client = *client, .client_port = client_port};
	c->watch = (struct watch){.fd = fd, .fn = conn_event};
	c->timer.fn = conn_timer;
	c->late.fn = conn_late;
	c->touched_ms = clock_ms();
	c->next = s->all;
	if (c->next)
		c->next->prev = c;
	s->all = c;
	s->conns++;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	loop_arm(&s->loop, &c->timer, IDLE_MS);
	if (loop_watch(&s->loop, &c->watch, EPOLLIN))
		conn_free(c);
}
