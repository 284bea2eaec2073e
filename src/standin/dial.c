/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dial: see dial.h. Holds the client's side of one exchange; must never retry a TCP connection by itself (the
 * caller counts each). Called by caller.c, init.c and probe.c.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/own.h"
#include "standin/dial.h"

enum { UDP_TRIES = 3, DNS_PORT = 53 };

const char *dial_result_name(enum dial_result r)
{
	static const char *const names[] = {"ok", "refused", "timeout", "unreachable", "dns"};

	return names[r];
}

static void dial_finish(struct dial *d, enum dial_result r)
{
	dial_cancel(d);
	d->took_us = clock_us() - d->start_us;
	d->done(d, r);
}

void dial_cancel(struct dial *d)
{
	struct loop *l = d->resolver->loop;

	if (d->looking)
		lookup_cancel(&d->lookup);
	d->looking = false;
	loop_disarm(l, &d->timer);
	loop_disarm(l, &d->again);
	loop_close(l, &d->watch);
}

static enum dial_result result_of(int err)
{
	switch (err) {
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
		return DIAL_REFUSED;
	case ETIMEDOUT:
		return DIAL_TIMEOUT;
	default:
		return DIAL_UNREACHABLE;
	}
}

struct str dial_identity(const struct dial *d)
{
	const char *body = memmem(d->answer, d->answer_len, "\r\n\r\n", 4);
	const char *from = body ? body + 4 : d->answer, *end = d->answer + d->answer_len;
	const char *last;

	while (from < end && *from != '{')
		from++;
	last = memrchr(from, '}', (size_t)(end - from));
	if (!last)
		return (struct str){0};
	return (struct str){.p = from, .n = (size_t)(last + 1 - from)};
}

static void dial_timeout(struct timer *t)
{
	struct dial *d = CONTAINER_OF(t, struct dial, timer);

	/* Connected but silent is a server that waits for its own protocol: it was reached. */
	if (d->looking)
		d->dns = RESOLVE_SILENT;
	dial_finish(d, d->looking ? DIAL_DNS : d->connected && !d->place.udp ? DIAL_OK : DIAL_TIMEOUT);
}

static void dial_ask(struct dial *d)
{
	char request[512];
	int n = 1;

	if (d->place.udp) {
		d->sent++;
		request[0] = '?';
		/* A name server answers only what it can read; any answer of it will do. */
		if (d->place.port == DNS_PORT)
			n = (int)resolve_question((uint8_t *)request, sizeof(request),
						  "dns-version.cluster.local", 1, 16);
		loop_arm(d->resolver->loop, &d->again, d->place.timeout_ms / UDP_TRIES);
	} else {
		n = snprintf(request, sizeof(request),
			     "GET / HTTP/1.1\r\nHost: %.255s:%u\r\nUser-Agent: weft-standin\r\nConnection: "
			     "close\r\n\r\n",
			     d->place.host, d->place.port);
	}
	if (send(d->watch.fd, request, (size_t)n, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		dial_finish(d, result_of(errno));
}

static void dial_again(struct timer *t)
{
	struct dial *d = CONTAINER_OF(t, struct dial, again);

	if (d->sent < UDP_TRIES)
		dial_ask(d);
}

/* HTTP answers are complete at the length they announce; others at the first bytes. */
static bool answer_complete(const struct dial *d)
{
	const char *body, *length;
	struct str s;
	int64_t n = 0;

	if (d->place.udp || d->answer_len < 5 || memcmp(d->answer, "HTTP/", 5))
		return d->answer_len > 0;
	body = memmem(d->answer, d->answer_len, "\r\n\r\n", 4);
	if (!body)
		return false;
	length = memmem(d->answer, (size_t)(body - d->answer), "Content-Length: ", 16);
	if (!length)
		return false;
	s = (struct str){.p = length + 16, .n = (size_t)(body + 2 - length - 16)};
	s = str_trim(str_cut(&s, '\r'));
	return !str_to_i64(s, 0, 1 << 20, &n) && (size_t)(d->answer + d->answer_len - body - 4) >= (size_t)n;
}

static void dial_event(struct watch *w, uint32_t events)
{
	struct dial *d = CONTAINER_OF(w, struct dial, watch);
	int err = 0;
	ssize_t n;

	if (!d->connected) {
		if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &err, &(socklen_t){sizeof(err)}) || err) {
			dial_finish(d, result_of(err));
			return;
		}
		if (!(events & EPOLLOUT))
			return;
		d->connected = true;
		loop_change(d->resolver->loop, w, EPOLLIN);
		dial_ask(d);
		return;
	}
	for (;;) {
		char over[512];
		size_t room = sizeof(d->answer) - d->answer_len;

		n = recv(w->fd, room ? d->answer + d->answer_len : over, room ? room : sizeof(over),
			 MSG_DONTWAIT);
		if (n <= 0)
			break;
		if (room)
			d->answer_len += (size_t)n;
		if (answer_complete(d)) {
			dial_finish(d, DIAL_OK);
			return;
		}
	}
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		dial_finish(d, result_of(errno));
	else if (!d->place.udp)
		dial_finish(d, DIAL_OK);
}

static void dial_connect(struct dial *d)
{
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(d->place.port)};
	struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(d->place.port)};
	bool v4 = addr_is4(&d->addr);
	int type = (d->place.udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;

	d->watch.fd = socket(v4 ? AF_INET : AF_INET6, type, 0);
	if (d->watch.fd < 0) {
		dial_finish(d, DIAL_UNREACHABLE);
		return;
	}
	to4.sin_addr.s_addr = htonl(v4 ? addr_to4(&d->addr) : 0);
	memcpy(&to6.sin6_addr, d->addr.b, 16);
	if (connect(d->watch.fd, v4 ? (const struct sockaddr *)&to4 : (const struct sockaddr *)&to6,
		    v4 ? sizeof(to4) : sizeof(to6)) &&
	    errno != EINPROGRESS) {
		dial_finish(d, result_of(errno));
		return;
	}
	if (loop_watch(d->resolver->loop, &d->watch, EPOLLIN | EPOLLOUT))
		dial_finish(d, DIAL_UNREACHABLE);
}

static void dial_resolved(struct lookup *l, enum resolve_result r)
{
	struct dial *d = CONTAINER_OF(l, struct dial, lookup);
	unsigned i = 0;

	d->looking = false;
	d->dns = r;
	while (i < l->addrs_len && d->place.family && addr_is4(&l->addrs[i]) != (d->place.family == 4))
		i++;
	if (i >= l->addrs_len && d->place.prefer)
		i = 0;
	if (r == RESOLVE_OK && i < l->addrs_len) {
		d->addr = l->addrs[i];
		dial_connect(d);
		return;
	}
	if (r == RESOLVE_OK)
		d->dns = RESOLVE_NONE;
	dial_finish(d, DIAL_DNS);
}

void dial_start(struct dial *d, struct resolver *r, const struct dial_place *place,
		void (*done)(struct dial *d, enum dial_result r))
{
	uint32_t wait = place->timeout_ms / 3;

	d->place = *place;
	d->resolver = r;
	d->done = done;
	d->watch = (struct watch){.fd = -1, .fn = dial_event};
	d->timer = (struct timer){.fn = dial_timeout};
	d->again = (struct timer){.fn = dial_again};
	d->connected = false;
	d->looking = true;
	d->sent = 0;
	d->answer_len = 0;
	d->addr = (struct addr){0};
	d->dns = RESOLVE_OK;
	d->start_us = clock_us();
	loop_arm(r->loop, &d->timer, place->timeout_ms);
	lookup_start(&d->lookup, r, place->host, wait < 100 ? 100 : wait, dial_resolved);
}
