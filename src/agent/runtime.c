/* SPDX-License-Identifier: Apache-2.0 */
/* Questions under way by their number; each has a time limit of its own, so that a runtime that says nothing
 * holds nothing up. See runtime.h. */
#include "agent/runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/stream.h"
#include "base/own.h"
#include "base/str.h"

enum { ANSWER_MS = 2000, LINE_MAX_BYTES = 4096 };

struct runtime_call {
	uv_timer_t limit; /* first: freed with it */
	struct runtime *r;
	uint32_t id;
	runtime_done *done;
	void *ctx;
	struct runtime_call *next;
};

struct runtime {
	uv_loop_t *loop;
	int (*dial)(void *ctx);
	void *ctx;
	uv_pipe_t *pipe; /* NULL: not connected */
	uint32_t last_id;
	struct runtime_call *calls;
	struct buf in;
	char chunk[4096];
};

static void free_call(uv_handle_t *h)
{
	free(h);
}

static void drop_call(struct runtime_call *c)
{
	struct runtime_call **at = &c->r->calls;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
	uv_close((uv_handle_t *)&c->limit, free_call);
}

void runtime_forget(struct runtime_call **pc)
{
	struct runtime_call *c = *pc;

	*pc = NULL;
	if (c)
		drop_call(c);
}

static void answer_call(struct runtime_call *c, const struct runtime_answer *a)
{
	runtime_done *done = c->done;
	void *ctx = c->ctx;

	drop_call(c);
	done(ctx, a);
}

static void on_limit(uv_timer_t *t)
{
	struct runtime_answer a = {.error = "whoever runs the containers does not answer"};

	answer_call((struct runtime_call *)t, &a);
}

static void free_pipe(uv_handle_t *h)
{
	free(h);
}

static void disconnect(struct runtime *r)
{
	struct runtime_answer a = {.error = "the connection to whoever runs the containers broke"};

	if (!r->pipe)
		return;
	uv_close((uv_handle_t *)r->pipe, free_pipe);
	r->pipe = NULL;
	buf_clear(&r->in);
	while (r->calls)
		answer_call(r->calls, &a);
}

static long long number_of(struct str json, const char *name)
{
	struct str v = json_member(json, name);
	long long n = 0;

	for (size_t i = 0; i < v.n && i < 9 && v.p[i] >= '0' && v.p[i] <= '9'; i++)
		n = n * 10 + (v.p[i] - '0');
	return n;
}

static void take_line(struct runtime *r, struct str line)
{
	uint32_t id = (uint32_t)number_of(line, "id");
	struct str error = json_plain_string(json_member(line, "error"));
	char text[160];
	struct runtime_answer a = {.ok = str_eqz(json_member(line, "ok"), "true"),
				   .timeout = str_eqz(json_member(line, "timeout"), "true"),
				   .missing = str_eqz(json_member(line, "missing"), "true"),
				   .exit = (int)number_of(line, "exit"),
				   .error = text};

	snprintf(text, sizeof(text), STR_FMT, STR_ARG(error));
	for (struct runtime_call *c = r->calls; c; c = c->next)
		if (c->id == id) {
			answer_call(c, &a);
			return;
		}
}

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *buf)
{
	struct runtime *r = h->data;

	(void)n;
	*buf = uv_buf_init(r->chunk, sizeof(r->chunk));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct runtime *r = s->data;
	const char *end;

	if ((uv_stream_t *)r->pipe != s || !n)
		return;
	if (n > 0)
		buf_add(&r->in, buf->base, (size_t)n);
	if (n < 0 || r->in.failed) {
		disconnect(r);
		return;
	}
	while (r->in.n && (end = memchr(r->in.p, '\n', r->in.n))) {
		AUTO_BUF line = {0};
		size_t len = (size_t)(end + 1 - r->in.p);

		buf_add(&line, r->in.p, len - 1);
		memmove(r->in.p, r->in.p + len, r->in.n - len);
		r->in.n -= len;
		take_line(r, buf_str(&line));
	}
	if (r->in.n > LINE_MAX_BYTES)
		disconnect(r);
}

static int connect_now(struct runtime *r)
{
	int fd, err;

	if (r->pipe)
		return 0;
	fd = r->dial(r->ctx);
	if (fd < 0)
		return fd;
	r->pipe = calloc(1, sizeof(*r->pipe));
	if (!r->pipe) {
		close(fd);
		return -ENOMEM;
	}
	uv_pipe_init(r->loop, r->pipe, 0);
	r->pipe->data = r;
	err = uv_pipe_open(r->pipe, fd);
	if (err)
		close(fd);
	else
		err = uv_read_start((uv_stream_t *)r->pipe, on_alloc, on_read);
	if (err) {
		uv_close((uv_handle_t *)r->pipe, free_pipe);
		r->pipe = NULL;
	}
	return err;
}

struct line {
	uv_write_t write; /* first: freed with it */
	struct buf text;
};

static void on_written(uv_write_t *w, int status)
{
	struct line *l = (struct line *)w;

	(void)status; /* a broken connection is told by reading */
	buf_fini(&l->text);
	free(l);
}

/* Takes the text over in any case. */
static int send_line(struct runtime *r, struct buf *text)
{
	struct line *l = text->failed ? NULL : calloc(1, sizeof(*l));
	uv_buf_t b;
	int err;

	if (!l) {
		buf_fini(text);
		return -ENOMEM;
	}
	l->text = *text;
	*text = (struct buf){0};
	b = uv_buf_init(l->text.p, (unsigned)l->text.n);
	err = uv_write(&l->write, (uv_stream_t *)r->pipe, &b, 1, on_written);
	if (err)
		on_written(&l->write, err);
	return err;
}

static int ask(struct runtime *r, struct runtime_call **out, struct buf *text, uint64_t limit_ms,
	       runtime_done *done, void *ctx)
{
	struct runtime_call *c;
	int err = r ? connect_now(r) : -ENOTCONN;

	if (err) {
		buf_fini(text);
		return err;
	}
	err = send_line(r, text);
	if (err)
		return err;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	*c = (struct runtime_call){.r = r, .id = r->last_id, .done = done, .ctx = ctx, .next = r->calls};
	r->calls = c;
	uv_timer_init(r->loop, &c->limit);
	uv_timer_start(&c->limit, on_limit, limit_ms, 0);
	*out = c;
	return 0;
}

static void begin_line(struct runtime *r, struct buf *b, const char *op, struct str uid, struct str container)
{
	buf_printf(b, "{\"id\":%u,\"op\":\"%s\",\"uid\":", r ? ++r->last_id : 0, op);
	buf_json(b, uid);
	buf_addz(b, ",\"container\":");
	buf_json(b, container);
}

int runtime_exec(struct runtime *r, struct runtime_call **out, const struct attempt_spec *spec,
		 runtime_done *done, void *ctx)
{
	struct buf b = {0};
	bool any = false;

	begin_line(r, &b, "exec", spec->uid, spec->container);
	buf_addz(&b, ",\"command\":[");
	VEC_EACH (&spec->exec->command, word) {
		buf_addz(&b, any ? "," : "");
		any = true;
		buf_json(&b, *word);
	}
	buf_printf(&b, "],\"timeoutMs\":%llu}\n", (unsigned long long)spec->timeout_ms);
	return ask(r, out, &b, spec->timeout_ms + ANSWER_MS, done, ctx);
}

int runtime_end(struct runtime *r, struct runtime_call **out, const struct runtime_end *e, runtime_done *done,
		void *ctx)
{
	struct buf b = {0};

	begin_line(r, &b, "restart", e->uid, e->container);
	buf_printf(&b, ",\"restartCount\":%lld,\"graceSeconds\":%lld,\"reason\":", (long long)e->restarts,
		   (long long)e->grace_s);
	buf_json(&b, e->reason);
	buf_addz(&b, "}\n");
	return ask(r, out, &b, ANSWER_MS, done, ctx);
}

int runtime_new(struct runtime **out, uv_loop_t *loop, int (*dial)(void *ctx), void *ctx)
{
	struct runtime *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	*r = (struct runtime){.loop = loop, .dial = dial, .ctx = ctx};
	*out = r;
	return 0;
}
