/* SPDX-License-Identifier: Apache-2.0 */
/*
 * API calls: one connection each, answers read by length, by chunks or to the end (RFC 9112). Must never
 * block. Called by mirror.c and by the kubelet part.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/own.h"
#include "sandbox/api_call.h"

enum { ANSWER_MAX = 256 << 20 };

json_t *json_at(const json_t *o, ...)
{
	const char *key;
	va_list ap;

	va_start(ap, o);
	while (o && (key = va_arg(ap, const char *)))
		o = json_object_get(o, key);
	va_end(ap);
	return (json_t *)o;
}

const char *json_text(const json_t *o)
{
	const char *s = json_string_value(o);

	return s ? s : "";
}

void api_init(struct api *a, uv_loop_t *loop, const char *socket)
{
	*a = (struct api){.loop = loop};
	snprintf(a->socket, sizeof(a->socket), "%s", socket);
}

static void call_closed(uv_handle_t *h)
{
	struct api_call *c = h->data;

	buf_fini(&c->out);
	buf_fini(&c->in);
	buf_fini(&c->body);
	free(c);
}

void api_call_close(struct api_call *c)
{
	if (c->closed)
		return;
	c->closed = true;
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	uv_close((uv_handle_t *)&c->pipe, call_closed);
}

static void call_end(struct api_call *c, int status)
{
	if (c->closed)
		return;
	api_call_close(c);
	if (c->stream) {
		c->stream(c->ctx, status, (struct str){0});
	} else if (c->done) {
		json_t *reply = c->body.n ? json_loadb(c->body.p, c->body.n, 0, NULL) : NULL;

		c->done(c->ctx, status, reply);
		json_decref(reply);
	}
}

/* Hands over whole lines of a stream's body. */
static void call_lines(struct api_call *c)
{
	size_t from = 0;

	while (!c->closed && from < c->body.n) {
		const char *end = memchr(c->body.p + from, '\n', c->body.n - from);
		struct str line = {.p = c->body.p + from};

		if (!end)
			break;
		line.n = (size_t)(end - line.p);
		from += line.n + 1;
		if (line.n)
			c->stream(c->ctx, c->status, line);
	}
	if (!c->closed)
		buf_drop(&c->body, from);
}

/* Moves what is complete of c->in into c->body: 1 at the end of the answer, 0 for more, -errno. */
static int call_body(struct api_call *c)
{
	while (c->in.n) {
		size_t take = c->in.n;

		if (c->chunked && !c->left) {
			const char *end = memmem(c->in.p, c->in.n, "\r\n", 2);
			char *stop;

			if (!end)
				return 0;
			if (end == c->in.p) { /* behind a chunk's data */
				buf_drop(&c->in, 2);
				continue;
			}
			c->left = strtoull(c->in.p, &stop, 16);
			if (stop == c->in.p || c->left > ANSWER_MAX)
				return -EPROTO;
			buf_drop(&c->in, (size_t)(end + 2 - c->in.p));
			if (!c->left)
				return 1;
			continue;
		}
		if (!c->to_end)
			take = take < c->left ? take : (size_t)c->left;
		buf_add(&c->body, c->in.p, take);
		buf_drop(&c->in, take);
		c->left -= c->to_end ? 0 : take;
		if (c->body.failed || c->body.n > ANSWER_MAX)
			return -ENOMEM;
		if (!c->to_end && !c->chunked && !c->left)
			return 1;
	}
	return 0;
}

static int call_head(struct api_call *c)
{
	const char *end = c->in.n ? memmem(c->in.p, c->in.n, "\r\n\r\n", 4) : NULL;
	struct str head, line;
	int64_t n;

	if (!end)
		return c->in.n > 65536 ? -EPROTO : 0;
	head = (struct str){.p = c->in.p, .n = (size_t)(end - c->in.p)};
	line = str_cut(&head, '\n');
	if (line.n < 12 || memcmp(line.p, "HTTP/1.", 7) ||
	    str_to_i64((struct str){.p = line.p + 9, .n = 3}, 100, 599, &n))
		return -EPROTO;
	c->status = (int)n;
	c->to_end = true;
	while (head.n) {
		struct str value = str_trim(str_cut(&head, '\n')), name = str_cut(&value, ':');

		value = str_trim(value);
		if (name.n == 17 && !strncasecmp(name.p, "transfer-encoding", 17)) {
			c->chunked = true;
			c->to_end = false;
		} else if (name.n == 14 && !strncasecmp(name.p, "content-length", 14)) {
			if (str_to_i64(value, 0, ANSWER_MAX, &n))
				return -EPROTO;
			c->left = (uint64_t)n;
			c->to_end = false;
		}
	}
	c->have_head = true;
	buf_drop(&c->in, (size_t)(end + 4 - c->in.p));
	return !c->chunked && !c->to_end && !c->left;
}

static void call_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct api_call *c = s->data;
	int r = 0;

	if (n == 0)
		return;
	if (n < 0) {
		call_end(c, c->have_head && c->to_end ? c->status : n == UV_EOF ? -ECONNRESET : (int)n);
		return;
	}
	buf_add(&c->in, b->base, (size_t)n);
	if (!c->have_head)
		r = call_head(c);
	if (!r && c->have_head)
		r = call_body(c);
	if (c->stream && c->status == 200)
		call_lines(c);
	if (!c->closed && r)
		call_end(c, r < 0 ? r : c->status);
}

static void call_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	static char chunk[65536];

	(void)h;
	(void)want;
	*b = uv_buf_init(chunk, sizeof(chunk));
}

static void call_written(uv_write_t *w, int status)
{
	struct api_call *c = w->data;

	if (status < 0 && !c->closed)
		call_end(c, status);
}

static void call_connected(uv_connect_t *r, int status)
{
	struct api_call *c = r->data;
	uv_buf_t b;

	if (c->closed)
		return;
	if (status < 0) {
		call_end(c, status);
		return;
	}
	b = uv_buf_init(c->out.p, (unsigned)c->out.n);
	c->write.data = c;
	uv_write(&c->write, (uv_stream_t *)&c->pipe, &b, 1, call_written);
	uv_read_start((uv_stream_t *)&c->pipe, call_alloc, call_read);
}

struct api_call *api_call_new(struct api *a, const char *method, const char *path, const char *type,
			      const json_t *body)
{
	struct api_call *c = calloc(1, sizeof(*c));
	AUTO_MEM char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	if (!c)
		return NULL;
	buf_printf(&c->out,
		   "%s %s HTTP/1.1\r\nHost: hub\r\nAccept: application/json\r\nUser-Agent: weft-sandbox\r\n"
		   "Connection: close\r\n",
		   method, path);
	if (text)
		buf_printf(&c->out, "Content-Type: %s\r\nContent-Length: %zu\r\n",
			   type ? type : "application/json", strlen(text));
	buf_addz(&c->out, "\r\n");
	if (text)
		buf_addz(&c->out, text);
	uv_pipe_init(a->loop, &c->pipe, 0);
	c->pipe.data = c;
	c->connect.data = c;
	c->next = a->calls;
	c->link = &a->calls;
	if (c->next)
		c->next->link = &c->next;
	a->calls = c;
	uv_pipe_connect(&c->connect, &c->pipe, a->socket, call_connected);
	return c;
}

void api_request(struct api *a, const char *method, const char *path, const char *type, const json_t *body,
		 api_done *done, void *ctx)
{
	struct api_call *c = a->closing ? NULL : api_call_new(a, method, path, type, body);

	if (!c) {
		if (done && !a->closing)
			done(ctx, -ENOMEM, NULL);
		return;
	}
	c->done = done;
	c->ctx = ctx;
}

void api_forget(struct api *a, const void *ctx)
{
	struct api_call *next;

	for (struct api_call *c = a->calls; c; c = next) {
		next = c->next;
		if (c->ctx == ctx)
			api_call_close(c);
	}
}

void api_fini(struct api *a)
{
	a->closing = true;
	while (a->calls)
		api_call_close(a->calls);
}
