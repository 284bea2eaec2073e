/* SPDX-License-Identifier: Apache-2.0 */
/* The server on copier.sock: see http.h. */
#include "copier/http.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/own.h"

enum { HEAD_MAX = 8192, LIMIT_MS = 5000 };

struct client {
	struct client *next, **prev;
	struct http *http;
	uv_poll_t poll;
	uv_timer_t limit;
	unsigned handles;
	int fd;
	bool answered, ending;
	bool streams; /* it is one of the http's streams */
	struct buf in, out;
	size_t sent;
	struct http_body *stream;
};

struct http {
	uv_loop_t *loop;
	uv_poll_t poll;
	int fd;
	http_answer *answer;
	void *ctx;
	struct client *clients;
	unsigned n, streams;
};

static void on_closed(uv_handle_t *h)
{
	struct client *c = h->data;

	if (--c->handles)
		return;
	close(c->fd);
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
}

static void client_end(struct client *c)
{
	if (c->ending)
		return;
	c->ending = true;
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->http->n--;
	c->http->streams -= c->streams;
	if (c->stream) {
		struct http_body *b = TAKE(c->stream);

		b->client = NULL;
		b->close(b);
	}
	uv_poll_stop(&c->poll);
	uv_close((uv_handle_t *)&c->poll, on_closed);
	uv_close((uv_handle_t *)&c->limit, on_closed);
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

/* The stream's next bytes as one chunk. */
static void pull(struct client *c)
{
	AUTO_BUF piece = {0};

	c->stream->pull(c->stream, &piece);
	if (piece.n) {
		buf_printf(&c->out, "%zx\r\n", piece.n);
		buf_adds(&c->out, buf_str(&piece));
		buf_addz(&c->out, "\r\n");
	}
	if (!c->stream->done && !piece.failed)
		return;
	struct http_body *b = TAKE(c->stream);

	buf_addz(&c->out, "0\r\n\r\n");
	b->client = NULL;
	b->close(b);
}

static void on_event(uv_poll_t *poll, int status, int events);
static void on_limit(uv_timer_t *t);

/* Sends what the client takes; false: the client has ended. */
static bool push(struct client *c)
{
	for (;;) {
		ssize_t n;

		if (c->sent == c->out.n) {
			buf_clear(&c->out);
			c->sent = 0;
			if (c->stream)
				pull(c);
			if (c->out.failed || (!c->out.n && !c->stream)) {
				client_end(c);
				return false;
			}
			if (!c->out.n)
				break;
		}
		n = write(c->fd, c->out.p + c->sent, c->out.n - c->sent);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			client_end(c);
			return false;
		}
		c->sent += (size_t)n;
	}
	uv_poll_start(&c->poll, UV_READABLE | (c->out.n ? UV_WRITABLE : 0), on_event);
	return true;
}

void http_wake(struct http_body *b)
{
	struct client *c = b->client;

	if (c && !c->ending && c->sent == c->out.n)
		push(c);
}

/* One stream more than there may be is refused, so that readers that keep theirs leave room for questions. */
static void admit(struct client *c, struct http_reply *r)
{
	if (!r->stream)
		return;
	if (c->http->streams < HTTP_STREAMS_MAX) {
		c->http->streams++;
		c->streams = true;
		return;
	}
	struct http_body *b = TAKE(r->stream);

	b->close(b);
	r->status = 503;
	r->type = NULL;
}

static void begin(struct client *c, struct http_reply *r)
{
	admit(c, r);
	if (!r->stream && r->status != 200 && !r->body.n)
		buf_printf(&r->body, "{\"error\":\"%s\"}\n", reason(r->status));
	buf_printf(&c->out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nConnection: close\r\n", r->status,
		   reason(r->status), r->type ?: "application/json");
	if (r->stream) {
		buf_addz(&c->out, "Transfer-Encoding: chunked\r\n\r\n");
		c->stream = r->stream;
		c->stream->client = c;
	} else {
		buf_printf(&c->out, "Content-Length: %zu\r\n\r\n", r->body.n);
		buf_adds(&c->out, buf_str(&r->body));
	}
	buf_fini(&r->body);
	c->answered = true;
	if (c->stream) /* it is as slow as its reader; what is whole is taken in time */
		uv_timer_stop(&c->limit);
	else
		uv_timer_start(&c->limit, on_limit, LIMIT_MS, 0);
	push(c);
}

int http_parse(struct str head, struct str *path, struct str *query)
{
	struct str line = str_cut(&head, '\n'), method = str_cut(&line, ' '), target = str_cut(&line, ' ');

	*path = str_cut(&target, '?');
	*query = target;
	if (!path->n || path->p[0] != '/' || !str_starts(str_trim(line), STR("HTTP/1.")))
		return 400;
	return str_eqz(method, "GET") ? 0 : 405;
}

static void answer(struct client *c)
{
	struct http_reply r = {.status = 404};
	struct str path, query;
	int wrong = http_parse(buf_str(&c->in), &path, &query);

	if (wrong)
		r.status = wrong;
	else
		c->http->answer(c->http->ctx, path, query, &r);
	begin(c, &r);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	struct client *c = poll->data;
	char chunk[1024];
	ssize_t n;

	if (status < 0) {
		client_end(c);
		return;
	}
	if (events & UV_READABLE) {
		n = read(c->fd, chunk, sizeof(chunk));
		if (!n || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			client_end(c);
			return;
		}
		if (n > 0 && !c->answered) {
			buf_add(&c->in, chunk, (size_t)n);
			if (c->in.failed || c->in.n > HEAD_MAX) {
				client_end(c);
				return;
			}
			if (memmem(c->in.p, c->in.n, "\r\n\r\n", 4)) {
				answer(c);
				return;
			}
		}
	}
	if (events & UV_WRITABLE)
		push(c);
}

static void on_limit(uv_timer_t *t)
{
	client_end(t->data);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct http *h = poll->data;
	int fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;

	(void)status;
	(void)events;
	if (fd < 0)
		return;
	c = h->n < HTTP_CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c || uv_poll_init(h->loop, &c->poll, fd)) {
		close(fd);
		free(c);
		return;
	}
	uv_timer_init(h->loop, &c->limit);
	c->handles = 2;
	c->http = h;
	c->fd = fd;
	c->poll.data = c->limit.data = c;
	c->next = h->clients;
	c->prev = &h->clients;
	if (c->next)
		c->next->prev = &c->next;
	h->clients = c;
	h->n++;
	uv_timer_start(&c->limit, on_limit, LIMIT_MS, 0);
	uv_poll_start(&c->poll, UV_READABLE, on_event);
}

int http_new(struct http **out, uv_loop_t *loop, int fd, http_answer *fn, void *ctx)
{
	struct http *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	*h = (struct http){.loop = loop, .fd = fd, .answer = fn, .ctx = ctx};
	r = uv_poll_init(loop, &h->poll, fd);
	if (r) {
		free(h);
		return r;
	}
	h->poll.data = h;
	uv_poll_start(&h->poll, UV_READABLE, on_connection);
	*out = h;
	return 0;
}

struct str http_query(struct str query, const char *key)
{
	while (query.n) {
		struct str value = str_cut(&query, '&'), name = str_cut(&value, '=');

		if (str_eqz(name, key))
			return value;
	}
	return (struct str){0};
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct http *h = handle->data;

	close(h->fd);
	free(h);
}

void http_free(struct http **hp)
{
	struct http *h = TAKE(*hp);

	if (!h)
		return;
	while (h->clients)
		client_end(h->clients);
	uv_poll_stop(&h->poll);
	uv_close((uv_handle_t *)&h->poll, on_listener_closed);
}
