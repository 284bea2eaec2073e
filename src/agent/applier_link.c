/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planner's end of the conversation with the applier: a queue out, messages in. Never waits; a broken
 * message drops the applier, which weft-agent then introduces anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "agent/planner.h"
#include "base/log.h"
#include "base/own.h"

enum { QUEUE_MAX = 100000 };

static void watch(struct planner *p);

static void outgoing_fini(struct outgoing *o)
{
	buf_fini(&o->message);
	while (o->nfds)
		close(o->fds[--o->nfds]);
}

static void free_handle(uv_handle_t *h)
{
	free(h);
}

void link_drop(struct planner *p)
{
	if (p->state == APPLIER_AWAY)
		return;
	uv_poll_stop(p->applier_poll);
	uv_close((uv_handle_t *)p->applier_poll, free_handle);
	p->applier_poll = NULL;
	own_fd(&p->applier);
	VEC_EACH (&p->out, o)
		outgoing_fini(o);
	vec_free(&p->out);
	vec_free(&p->results);
	p->state = APPLIER_AWAY;
	ask_lost(p);
	losing_lost(p);
	taps_applier_lost(p);
	sync_lost(p);
}

static void flush(struct planner *p)
{
	size_t sent = 0;

	while (sent < p->out.len) {
		struct outgoing *o = &p->out.items[sent];
		int err = fdpass_send(p->applier, o->message.p, o->message.n, o->fds, o->nfds);

		if (err == -EAGAIN)
			break;
		if (err) {
			log_warn("the applier is gone: %s", strerror(-err));
			break; /* its end is heard by poll */
		}
		outgoing_fini(o);
		sent++;
	}
	memmove(p->out.items, p->out.items + sent, (p->out.len - sent) * sizeof(*p->out.items));
	p->out.len -= sent;
	watch(p);
}

void link_send(struct planner *p, struct buf *b, const int *fds, unsigned nfds)
{
	struct outgoing o = {.message = *b, .nfds = nfds};

	*b = (struct buf){0};
	for (unsigned i = 0; i < nfds; i++)
		o.fds[i] = fds[i];
	if (p->state == APPLIER_AWAY || o.message.failed || p->out.len >= QUEUE_MAX || vec_push(&p->out, o)) {
		outgoing_fini(&o);
		return;
	}
	if (p->out.len == 1)
		flush(p);
}

void link_simple(struct planner *p, enum wire_type type)
{
	struct buf b = {0};

	wire_start(&b, type, p->txn);
	link_send(p, &b, NULL, 0);
}

static int take_rows(struct planner *p, const uint8_t *message, size_t n)
{
	struct wire_reader r;
	struct change c;
	unsigned step;
	int ret;

	wire_reader_init(&r, message, n);
	while ((ret = wire_next(&r, &step, &c)) == 1)
		sync_row(p, &c.row);
	return ret;
}

static int take(struct planner *p, const uint8_t *message, size_t n)
{
	const uint8_t *body = message + sizeof(struct wire_head);
	size_t left = n - sizeof(struct wire_head);
	struct wire_done done;
	struct wire_head h;

	if (wire_head(message, n, &h))
		return -EPROTO;
	switch (h.type) {
	case WIRE_WELCOME:
		if (left != sizeof(p->welcome) || p->state != APPLIER_HELLO)
			return -EPROTO;
		memcpy(&p->welcome, body, left);
		sync_welcome(p);
		return 0;
	case WIRE_ROWS:
		return p->state == APPLIER_READING ? take_rows(p, message, n) : -EPROTO;
	case WIRE_FAULTS:
		if (p->state != APPLIER_READING)
			return -EPROTO;
		sync_read(p, (struct str){.p = (const char *)body, .n = left});
		return 0;
	case WIRE_RESULTS:
		if (p->state != APPLIER_COMMITTING || left != (size_t)h.count * sizeof(int32_t) ||
		    vec_reserve(&p->results, p->results.len + h.count))
			return -EPROTO;
		memcpy(p->results.items + p->results.len, body, left);
		p->results.len += h.count;
		return 0;
	case WIRE_ANSWER:
		return ask_take(p, message, n);
	case WIRE_TAPPED: {
		int32_t result;

		if (left < sizeof(result))
			return -EPROTO;
		memcpy(&result, body, sizeof(result));
		taps_tapped(
		    p, result,
		    (struct str){.p = (const char *)body + sizeof(result), .n = left - sizeof(result)});
		return 0;
	}
	case WIRE_LOST:
		return losing_take(p, body, left);
	case WIRE_DONE:
		if (p->state != APPLIER_COMMITTING || left < sizeof(done))
			return -EPROTO;
		memcpy(&done, body, sizeof(done));
		sync_done(p, &done,
			  (struct str){.p = (const char *)body + sizeof(done), .n = left - sizeof(done)});
		return 0;
	default:
		return -EPROTO;
	}
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	static uint8_t message[WIRE_MESSAGE_MAX];
	struct planner *p = poll->data;

	if (status == 0 && (events & UV_WRITABLE))
		flush(p);
	for (unsigned i = 0; i < 16 && (status < 0 || (events & UV_READABLE)); i++) {
		unsigned nfds;
		ssize_t n = fdpass_recv(p->applier, message, sizeof(message), NULL, &nfds, 0);

		if (n == -EAGAIN)
			return;
		if (n <= 0 || take(p, message, (size_t)n)) {
			log_warn("the applier is gone%s", n > 0 ? ": it broke the protocol" : "");
			link_drop(p);
			return;
		}
	}
}

static void watch(struct planner *p)
{
	uv_poll_start(p->applier_poll, UV_READABLE | (p->out.len ? UV_WRITABLE : 0), on_poll);
}

void link_take(struct planner *p, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	link_drop(p);
	p->applier_poll = calloc(1, sizeof(*p->applier_poll));
	if (!p->applier_poll || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ||
	    uv_poll_init(&p->loop, p->applier_poll, fd)) {
		free(p->applier_poll);
		p->applier_poll = NULL;
		close(fd);
		return;
	}
	p->applier_poll->data = p;
	p->applier = fd;
	p->state = APPLIER_HELLO;
	p->txn++;
	watch(p);
	link_simple(p, WIRE_HELLO);
}
