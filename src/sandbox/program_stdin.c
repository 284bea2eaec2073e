/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stdin of an own program that asked for one (`stdin: true`): a pipe into which one attached session
 * writes at a time. Called by session_log.c and program.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/own.h"
#include "sandbox/program_state.h"
#include "sandbox/streams.h"

enum { FULL = 64 << 10 };

struct program_in {
	uv_pipe_t pipe;	     /* first: freed with it */
	struct container *c; /* NULL: closed */
	struct session *writer;
	size_t queued;
	bool last; /* it ends when all is written */
};

struct word {
	uv_write_t write; /* first: freed with it */
	struct program_in *in;
	size_t n;
	char bytes[];
};

static void freed(uv_handle_t *h)
{
	free(h);
}

int program_stdin_open(struct container *c)
{
	struct program_in *in;
	int ends[2];

	program_stdin_close(c);
	if (!json_is_true(json_object_get(c->spec, "stdin")))
		return -1;
	in = calloc(1, sizeof(*in));
	if (!in || pipe2(ends, O_CLOEXEC)) {
		free(in);
		return -1;
	}
	uv_pipe_init(&c->pod->sandbox->loop, &in->pipe, 0);
	if (uv_pipe_open(&in->pipe, ends[1])) {
		close(ends[0]);
		close(ends[1]);
		uv_close((uv_handle_t *)&in->pipe, freed);
		return -1;
	}
	in->c = c;
	c->in = in;
	return ends[0];
}

void program_stdin_close(struct container *c)
{
	if (!c->in)
		return;
	c->in->c = NULL;
	uv_close((uv_handle_t *)&c->in->pipe, freed);
	c->in = NULL;
}

bool program_has_stdin(const struct container *c)
{
	return c->in != NULL;
}

static void written(uv_write_t *w, int status)
{
	struct word *d = (struct word *)w;
	struct program_in *in = d->in;

	in->queued -= d->n;
	free(d);
	if (!in->c)
		return;
	if (in->last && !in->queued)
		program_stdin_close(in->c);
	else if (status >= 0 && in->writer && in->queued < FULL)
		session_resume(in->writer);
}

void program_stdin(struct container *c, struct session *s, const char *p, size_t len)
{
	struct program_in *in = c->in;
	struct word *d;
	uv_buf_t b;

	if (!in || (in->writer && in->writer != s))
		return;
	if (!len) {
		in->last = json_is_true(json_object_get(c->spec, "stdinOnce"));
		if (in->last && !in->queued)
			program_stdin_close(c);
		return;
	}
	in->writer = s;
	d = malloc(sizeof(*d) + len);
	if (!d)
		return;
	d->in = in;
	d->n = len;
	memcpy(d->bytes, p, len);
	b = uv_buf_init(d->bytes, (unsigned)len);
	in->queued += len;
	if (uv_write(&d->write, (uv_stream_t *)&in->pipe, &b, 1, written)) {
		in->queued -= len;
		free(d);
	} else if (in->queued >= FULL) {
		session_hold(s);
	}
}

void program_stdin_left(struct container *c, const struct session *s)
{
	if (c && c->in && c->in->writer == s) {
		c->in->writer = NULL;
		c->in->last = json_is_true(json_object_get(c->spec, "stdinOnce"));
		if (c->in->last && !c->in->queued)
			program_stdin_close(c);
	}
}
