/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads up to the empty line, answers, closes. Slow or talkative clients are ended by a time limit and a size
 * limit; at most CLIENTS_MAX are served at a time.
 */
#include "agent/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 8192, CLIENTS_MAX = 64, LIMIT_MS = 5000 };

struct answers {
	uv_loop_t *loop;
	uv_poll_t poll;
	int fd;
	unsigned clients;
	bool freed, closed;
	answer_fn *fn;
	void *ctx;
};

struct client {
	struct answers *s;
	uv_pipe_t pipe;
	uv_timer_t limit;
	uv_write_t write;
	struct buf in, out;
	unsigned open;
	bool answered, closing;
	char chunk[1024];
};

static void maybe_free(struct answers *s)
{
	if (s->closed && !s->clients)
		free(s);
}

static void on_closed(uv_handle_t *h)
{
	struct client *c = h->data;

	if (--c->open)
		return;
	c->s->clients--;
	maybe_free(c->s);
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
}

static void on_poll_closed(uv_handle_t *h)
{
	struct answers *s = h->data;

	s->closed = true;
	maybe_free(s);
}

void answers_free(struct answers **ps)
{
	struct answers *s = *ps;

	*ps = NULL;
	if (!s)
		return;
	s->freed = true;
	uv_poll_stop(&s->poll);
	close(s->fd);
	uv_close((uv_handle_t *)&s->poll, on_poll_closed);
}

static void client_end(struct client *c)
{
	if (c->closing)
		return;
	c->closing = true;
	uv_close((uv_handle_t *)&c->pipe, on_closed);
	uv_close((uv_handle_t *)&c->limit, on_closed);
}

static void on_limit(uv_timer_t *t)
{
	client_end(t->data);
}

static void on_written(uv_write_t *w, int status)
{
	(void)status;
	client_end(w->data);
}

static const char *reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	default:
		return "Service Unavailable";
	}
}

static void answer(struct client *c)
{
	struct str line = buf_str(&c->in), method, path;
	struct buf body = {0};
	uv_buf_t b;
	int status;

	line = str_cut(&line, '\n');
	method = str_cut(&line, ' ');
	path = str_cut(&line, ' ');
	if (!path.n || path.p[0] != '/' || !str_starts(str_trim(line), STR("HTTP/1.")))
		status = 400;
	else if (!str_eqz(method, "GET"))
		status = 405;
	else
		status = c->s->freed ? 404 : c->s->fn(c->s->ctx, path, &body);
	if (status != 200 && !body.n)
		buf_printf(&body, "{\"error\":\"%s\"}\n", reason(status));
	buf_printf(&c->out,
		   "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: "
		   "close\r\n\r\n",
		   status, reason(status),
		   body.n && body.p[0] == '#' ? "text/plain; version=0.0.4" : "application/json", body.n);
	buf_adds(&c->out, buf_str(&body));
	buf_fini(&body);
	c->answered = true;
	b = uv_buf_init(c->out.p, (unsigned)c->out.n);
	if (c->out.failed || uv_write(&c->write, (uv_stream_t *)&c->pipe, &b, 1, on_written))
		client_end(c);
}

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *buf)
{
	struct client *c = h->data;

	(void)n;
	*buf = uv_buf_init(c->chunk, sizeof(c->chunk));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct client *c = s->data;

	if (n < 0) {
		/* Who closes after asking still gets the answer if it can be written. */
		if (!c->answered)
			client_end(c);
		return;
	}
	if (c->answered)
		return;
	buf_add(&c->in, buf->base, (size_t)n);
	if (c->in.n > HEAD_MAX || c->in.failed)
		client_end(c);
	else if (c->in.n && (memmem(c->in.p, c->in.n, "\r\n\r\n", 4) || memmem(c->in.p, c->in.n, "\n\n", 2)))
		answer(c);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct answers *s = poll->data;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;

	(void)status;
	(void)events;
	if (fd < 0)
		return;
	c = s->clients < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		close(fd);
		return;
	}
	c->s = s;
	c->open = 2;
	s->clients++;
	uv_pipe_init(s->loop, &c->pipe, 0);
	uv_timer_init(s->loop, &c->limit);
	c->pipe.data = c->limit.data = c->write.data = c;
	if (uv_pipe_open(&c->pipe, fd)) {
		close(fd);
		client_end(c);
		return;
	}
	uv_timer_start(&c->limit, on_limit, LIMIT_MS, 0);
	uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read);
}

int answers_new(struct answers **out, uv_loop_t *loop, int fd, answer_fn *fn, void *ctx)
{
	struct answers *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	*s = (struct answers){.loop = loop, .fd = fd, .fn = fn, .ctx = ctx};
	err = uv_poll_init(loop, &s->poll, fd);
	if (err) {
		free(s);
		return err;
	}
	s->poll.data = s;
	uv_poll_start(&s->poll, UV_READABLE, on_poll);
	*out = s;
	return 0;
}
