/* SPDX-License-Identifier: Apache-2.0 */
/* A socket with a buffer on the loop. See duplex.h. */
#include "serve/duplex.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

static void watch(struct duplex *d);

static void end(struct duplex *d)
{
	if (d->ended)
		return;
	d->ended = true;
	buf_fini(&d->out);
	d->sent = 0;
	watch(d);
	d->ops->ended(d);
}

static void read_some(struct duplex *d)
{
	static char bytes[DUPLEX_READ];
	ssize_t n = recv(d->fd, bytes, d->piece ? d->piece : sizeof(bytes), MSG_DONTWAIT);
	if (n > 0)
		d->ops->data(d, bytes, (size_t)n);
	else if (!n || (errno != EAGAIN && errno != EINTR))
		end(d);
}

/* What cannot be sent is found out by the next read: an end must not come from within a write. */
static void give_up(struct duplex *d)
{
	buf_fini(&d->out);
	d->sent = 0;
	d->owes = false;
	shutdown(d->fd, SHUT_RDWR);
	d->reading = true;
	watch(d);
}

void duplex_flush(struct duplex *d)
{
	if (!d->open || d->ended) {
		buf_clear(&d->out);
		return;
	}
	if (d->out.failed) {
		give_up(d);
		return;
	}
	while (d->sent < d->out.n) {
		ssize_t n = send(d->fd, d->out.p + d->sent, d->out.n - d->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			give_up(d);
			return;
		}
		d->sent += (size_t)n;
	}
	if (d->sent == d->out.n) {
		/* Thousands of idle ones must not each keep what they needed once. */
		if (d->out.cap > DUPLEX_LOW)
			buf_fini(&d->out);
		else
			buf_clear(&d->out);
		d->sent = 0;
	} else {
		d->owes = true;
		if (d->sent > DUPLEX_LOW) {
			buf_drop(&d->out, d->sent);
			d->sent = 0;
		}
	}
	watch(d);
}

static void on_poll(uv_poll_t *p, int status, int events)
{
	struct duplex *d = p->data;
	bool bad = status < 0;
	if (bad)
		d->events = 0; /* the library has stopped it */
	if ((bad || events & UV_DISCONNECT) && d->hangs_up && !d->reading) {
		end(d);
		return;
	}
	/* Who closes with something unread resets a Unix socket; what it had sent before is there all the
	 * same, and is read to its end. */
	if (bad)
		give_up(d);
	if (events & UV_WRITABLE) {
		duplex_flush(d);
		if (d->open && !d->ended && duplex_pending(d) <= DUPLEX_LOW) {
			d->owes = duplex_pending(d);
			watch(d);
			if (d->ops->drained)
				d->ops->drained(d);
		}
	}
	if (d->open && !d->ended && d->reading && (bad || events & (UV_READABLE | UV_DISCONNECT)))
		read_some(d);
}

static void watch(struct duplex *d)
{
	int want = 0;
	if (!d->open)
		return;
	if (!d->ended) {
		want |= d->reading ? UV_READABLE : 0;
		want |= duplex_pending(d) || d->owes ? UV_WRITABLE : 0;
		want |= d->hangs_up && !d->reading ? UV_DISCONNECT : 0;
	}
	if (want == d->events)
		return;
	d->events = want;
	if (want)
		uv_poll_start(&d->poll, want, on_poll);
	else
		uv_poll_stop(&d->poll);
}

int duplex_init(struct duplex *d, uv_loop_t *loop, int fd, const struct duplex_ops *ops)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return -errno;
	int r = uv_poll_init(loop, &d->poll, fd);
	if (r)
		return r;
	d->poll.data = d;
	d->ops = ops;
	d->fd = fd;
	d->open = d->reading = true;
	d->events = 0;
	watch(d);
	return 0;
}

void duplex_read(struct duplex *d, bool on)
{
	if (d->reading == on)
		return;
	d->reading = on;
	watch(d);
}

static void on_closed(uv_handle_t *h)
{
	struct duplex *d = h->data;
	buf_fini(&d->out);
	d->freed(d);
}

void duplex_close(struct duplex *d, void (*freed)(struct duplex *d))
{
	if (!d->open)
		return;
	d->open = false;
	d->freed = freed;
	uv_poll_stop(&d->poll);
	uv_close((uv_handle_t *)&d->poll, on_closed);
}
