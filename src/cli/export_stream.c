/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks over a connection (TCP, Unix) or to standard output. What a connection that broke had not taken goes
 * again over the next one: TCP says how much was acknowledged. A Unix socket says only whether all was read,
 * so each chunk waits for that. Never waits longer than some 100 ms for a reader.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
/* after those of the C library */
#include <linux/sockios.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/export.h"

enum { CONNECT_MS = 1000, WRITE_MS = 100, SLICE = 4096, STALL_MS = 1000, SETTLE_MS = 2, GOODBYE_TRIES = 500 };

static bool is_socket(const struct sink *k)
{
	return k->to->kind != EXPORT_STDOUT;
}

static int connect_to(int family, const struct sockaddr *at, socklen_t len)
{
	AUTO_FD int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t n = sizeof(error);

	if (fd < 0)
		return -errno;
	if (connect(fd, at, len) && errno != EINPROGRESS)
		return -errno;
	if (poll(&p, 1, CONNECT_MS) <= 0)
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) || error)
		return error ? -error : -errno;
	return TAKE_FD(fd);
}

/* A descriptor, -errno, or a name's failure in *why. */
static int dial(const struct sink *k, const char **why)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int r;

	if (k->to->kind == EXPORT_UNIX) {
		memcpy(at.sun_path, k->to->path, strlen(k->to->path));
		return connect_to(AF_UNIX, (struct sockaddr *)&at, sizeof(at));
	}
	r = getaddrinfo(k->to->host, k->to->port, &hints, &found);
	if (r) {
		*why = gai_strerror(r);
		return -ENOENT;
	}
	r = -ENOENT;
	for (const struct addrinfo *a = found; a && r < 0; a = a->ai_next)
		r = connect_to(a->ai_family, a->ai_addr, a->ai_addrlen);
	freeaddrinfo(found);
	return r;
}

static enum sink_result reconnect(struct sink *k)
{
	const char *why = NULL;
	int fd = dial(k, &why);

	if (fd < 0)
		return sink_stand(k, "--to %s: %s", k->o->to, why ? why : strerror(-fd));
	k->fd = fd;
	k->written = k->part = 0;
	k->told.len = 0;
	k->statistics = true;
	buf_clear(&k->front);
	k->moved_at = clock_ms();
	return SINK_TAKEN;
}

/* A collector that is not there yet is waited for; a name that nobody has is a mistake. */
int stream_open(struct sink *k)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	int r = k->to->kind == EXPORT_TCP ? getaddrinfo(k->to->host, k->to->port, &hints, &found) : 0;

	if (r) {
		cli_error("is the name right, and does this machine resolve it?", "--to %s: %s", k->to->host,
			  gai_strerror(r));
		return -ENOENT;
	}
	if (found)
		freeaddrinfo(found);
	return 0;
}

/* --- a connection that broke ----------------------------------------------------------------------- */

static size_t untaken(const struct sink *k)
{
	int n = 0;

	return is_socket(k) && !ioctl(k->fd, SIOCOUTQ, &n) && n > 0 ? (size_t)n : 0;
}

static void take_back(struct sink *k, const struct export_chunk *c)
{
	struct export_state *s = k->s;

	s->written--;
	s->done -= c->done;
	s->records -= c->records;
	s->messages--;
	s->bytes -= c->n;
}

/* A collector that says goodbye may still read what is on its way: how much, is known when that is over. What
 * it has not taken then, it must not get later. */
static size_t say_goodbye(struct sink *k, int error)
{
	struct linger at_once = {.l_onoff = 1};

	for (unsigned i = 0; error == EPIPE && k->to->kind == EXPORT_TCP && i < GOODBYE_TRIES && untaken(k);
	     i++)
		poll(NULL, 0, SETTLE_MS);
	if (untaken(k))
		setsockopt(k->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	return untaken(k);
}

static enum sink_result broke(struct sink *k, struct export_batch *b, int error)
{
	struct export_state *s = k->s;
	size_t rest = is_socket(k) ? say_goodbye(k, error) : 0;
	struct export_chunk *last = s->written ? &b->chunks.items[s->written - 1] : NULL;

	s->in_write = 0;
	if (!is_socket(k))
		return SINK_ENDED;
	if (k->to->kind == EXPORT_TCP) {
		for (; s->written && (last = &b->chunks.items[s->written - 1])->end > k->written - rest;)
			take_back(k, last);
	} else if (rest && last && last->end) {
		s->lost[LOSS_UNSURE] += last->records;
		s->records -= last->records;
	}
	VEC_EACH (&b->chunks, c)
		c->end = 0;
	close(TAKE_FD(k->fd));
	return sink_stand(k, "--to %s: %s", k->o->to, strerror(error));
}

/* Whether the reader is gone: 0 or an errno. What it says is not asked for. */
static int gone(const struct sink *k)
{
	struct pollfd p = {.fd = k->fd, .events = is_socket(k) ? POLLIN | POLLRDHUP : 0};
	char ignored[256];
	int error = 0;
	socklen_t n = sizeof(error);

	if (poll(&p, 1, 0) <= 0)
		return 0;
	if (p.revents & (POLLERR | POLLHUP | POLLRDHUP)) {
		if (is_socket(k) && !getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &error, &n) && error)
			return error;
		return EPIPE;
	}
	while (recv(k->fd, ignored, sizeof(ignored), MSG_DONTWAIT) > 0)
		;
	return 0;
}

/* --- out ------------------------------------------------------------------------------------------- */

static bool is_stalled(const struct sink *k)
{
	return clock_ms() - k->moved_at > STALL_MS;
}

static enum sink_result wait_for_reader(struct sink *k)
{
	if (!is_stalled(k))
		return SINK_STANDS;
	k->wait_ms = 0;
	return sink_stand(k, "--to %s: the reader takes nothing", k->o->to);
}

/* Bytes taken; 0: the reader has no room; -errno. */
static ssize_t write_some(struct sink *k, const char *p, size_t n)
{
	struct pollfd out = {.fd = k->fd, .events = POLLOUT};
	ssize_t w;

	if (poll(&out, 1, WRITE_MS) <= 0)
		return 0;
	/* a pipe that is ready has room for so much */
	w = is_socket(k) ? send(k->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL)
			 : write(k->fd, p, n < SLICE ? n : SLICE);
	if (w < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	k->written += (size_t)w;
	k->moved_at = w ? clock_ms() : k->moved_at;
	return w;
}

/* 1: all of the front is out. */
static ssize_t write_front(struct sink *k)
{
	while (k->front.n) {
		ssize_t w = write_some(k, k->front.p, k->front.n);

		if (w <= 0)
			return w;
		buf_drop(&k->front, (size_t)w);
	}
	return 1;
}

/* in_write stands around the last bytes only: half a chunk is worth nothing to its reader. */
static ssize_t write_chunk(struct sink *k, const struct export_batch *b, const struct export_chunk *c)
{
	while (k->part < c->n) {
		ssize_t w;

		k->s->in_write = k->s->written + 1;
		w = write_some(k, b->bytes.p + c->at + k->part, c->n - k->part);
		if (w > 0)
			k->part += (size_t)w;
		if (k->part < c->n)
			k->s->in_write = 0;
		if (w <= 0)
			return w;
	}
	return 1;
}

enum sink_result stream_put(struct sink *k, struct export_batch *b)
{
	struct export_chunk *c = &b->chunks.items[k->s->written];
	ssize_t w;
	int error;

	if (k->fd < 0 && reconnect(k) != SINK_TAKEN)
		return SINK_STANDS;
	error = gone(k);
	if (error)
		return broke(k, b, error);
	if (k->to->kind == EXPORT_UNIX && !k->part && stream_settle(k, b) != SINK_TAKEN)
		return SINK_STANDS;
	if (!k->part && !k->front.n) {
		sink_add_templates(k, c->domain, c->sequence);
		sink_add_statistics(k);
	}
	w = write_front(k);
	if (w > 0)
		w = write_chunk(k, b, c);
	if (w < 0)
		return broke(k, b, (int)-w);
	if (!w)
		return wait_for_reader(k);
	k->part = 0;
	c->end = k->written;
	sink_commit(k, c);
	return SINK_TAKEN;
}

enum sink_result stream_settle(struct sink *k, struct export_batch *b)
{
	struct pollfd p = {.fd = k->fd, .events = POLLRDHUP};
	int error;

	if (k->fd < 0 || !untaken(k))
		return SINK_TAKEN;
	poll(&p, 1, SETTLE_MS);
	error = gone(k);
	if (error)
		return broke(k, b, error);
	return untaken(k) ? wait_for_reader(k) : SINK_TAKEN;
}
