/* SPDX-License-Identifier: Apache-2.0 */
/* Output: see output.h. Must never let a program wait for the disk or for a reader. Called by container.c. */
#include "sandbox/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/own.h"
#include "sandbox/pod.h"

enum { CHUNK = 65536, ROUND = 4 }; /* chunks taken from one stream before others have their turn */

struct source {
	uv_poll_t poll; /* first: freed with it */
	int fd;
	bool err;
	struct output *o;
};

struct output {
	struct container *c;
	struct source *sources[2];
	int file; /* -1: none could be made */
	size_t size;
	uint64_t lost;
	unsigned instance, rotations;
	bool told;
	struct output_ear *ears;
};

static void path_of(const struct container *c, const char *which, char path[400])
{
	snprintf(path, 400, "%s/%s%s", c->pod->dir, c->name, which);
}

void output_time(int64_t ns, char *out)
{
	time_t s = (time_t)(ns / 1000000000);
	char text[21];

	clock_rfc3339(s, text);
	snprintf(out, OUTPUT_TIME + 1, "%.19s.%09uZ", text, (unsigned)(ns % 1000000000));
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void tell_ears(const struct output *o)
{
	for (struct output_ear *e = o->ears, *next; e; e = next) {
		next = e->next;
		e->fn(e->ctx);
	}
}

static uint64_t size_of(const char *path)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t n = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);

	return n < 0 ? 0 : (uint64_t)n;
}

static void open_file(struct output *o)
{
	char path[400];

	path_of(o->c, ".log", path);
	o->file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	o->size = 0;
}

static void rotate(struct output *o)
{
	char now[400], old[400];
	uint64_t dropped;

	path_of(o->c, ".log", now);
	path_of(o->c, ".log.1", old);
	dropped = size_of(old);
	own_fd(&o->file);
	if (rename(now, old))
		dropped = o->size;
	o->lost += dropped;
	if (dropped && !o->told)
		sandbox_remark(o->c->pod->sandbox,
			       "%s: container %s prints much: only its last 1 to 2 MiB are kept",
			       o->c->pod->key, o->c->name);
	o->told |= dropped > 0;
	o->rotations++;
	open_file(o);
}

static void keep(struct output *o, const struct buf *text)
{
	ssize_t n;

	if (text->failed) {
		o->lost += text->n;
		return;
	}
	if (o->size && o->size + text->n > OUTPUT_FILE)
		rotate(o);
	n = o->file < 0 ? -1 : write(o->file, text->p, text->n);
	if (n >= 0 && (size_t)n == text->n) {
		o->size += text->n;
		return;
	}
	/* A record is whole or not there. */
	o->lost += text->n;
	if (n > 0 && ftruncate(o->file, (off_t)o->size))
		o->size += (size_t)n;
}

static void record(struct output *o, bool err, const char *p, size_t n)
{
	AUTO_BUF text = {0};
	char head[OUTPUT_TIME + 1];
	const char *end;

	output_time(now_ns(), head);
	for (; n; p = end + 1) {
		size_t len;

		end = memchr(p, '\n', n);
		len = end ? (size_t)(end - p) : n;
		buf_printf(&text, "%s %s %c ", head, err ? "stderr" : "stdout", end ? 'F' : 'P');
		buf_add(&text, p, len);
		buf_addc(&text, '\n');
		if (!end)
			break;
		n -= len + 1;
	}
	keep(o, &text);
}

/* False when the stream has ended. */
static bool take(struct source *s)
{
	static char chunk[CHUNK];

	for (int i = 0; i < ROUND; i++) {
		ssize_t n = read(s->fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		if (!n)
			return false;
		record(s->o, s->err, chunk, (size_t)n);
	}
	return true;
}

static void source_closed(uv_handle_t *h)
{
	own_fd(&((struct source *)h)->fd);
	free(h);
}

static void source_close(struct source **at)
{
	struct source *s = *at;

	if (!s)
		return;
	*at = NULL;
	uv_poll_stop(&s->poll);
	uv_close((uv_handle_t *)&s->poll, source_closed);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct source *s = (struct source *)poll;
	struct output *o = s->o;

	(void)events;
	if (status < 0 || !take(s))
		source_close(&o->sources[s->err]);
	tell_ears(o);
}

static int source_open(struct output *o, bool err)
{
	struct source *s = calloc(1, sizeof(*s));
	int ends[2];

	if (!s || pipe2(ends, O_CLOEXEC)) {
		free(s);
		return -errno;
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*s = (struct source){.fd = ends[0], .err = err, .o = o};
	if (uv_poll_init(&o->c->pod->sandbox->loop, &s->poll, s->fd)) {
		close(ends[0]);
		close(ends[1]);
		free(s);
		return -ENOMEM;
	}
	uv_poll_start(&s->poll, UV_READABLE | UV_DISCONNECT, on_readable);
	o->sources[err] = s;
	return ends[1];
}

static void make_previous(const struct container *c)
{
	char from[400], to[400];

	path_of(c, ".previous.log.1", to);
	unlink(to);
	path_of(c, ".log.1", from);
	rename(from, to);
	path_of(c, ".log", from);
	path_of(c, ".previous.log", to);
	rename(from, to);
}

int output_open(struct container *c, bool apart, int fds[2])
{
	struct output *o = c->output;

	if (!o) {
		o = calloc(1, sizeof(*o));
		if (!o)
			return -ENOMEM;
		*o = (struct output){.c = c, .file = -1};
		c->output = o;
	}
	source_close(&o->sources[0]);
	source_close(&o->sources[1]);
	own_fd(&o->file);
	if (o->instance)
		make_previous(c);
	o->instance++;
	o->rotations = 0;
	open_file(o);
	fds[1] = -1;
	fds[0] = source_open(o, false);
	if (fds[0] >= 0 && apart)
		fds[1] = source_open(o, true);
	if (fds[0] >= 0 && (!apart || fds[1] >= 0))
		return 0;
	int r = fds[0] < 0 ? fds[0] : fds[1];
	own_fd(&fds[0]);
	return r;
}

void output_end(struct container *c)
{
	struct output *o = c->output;

	if (!o)
		return;
	for (int i = 0; i < 2; i++) {
		if (o->sources[i])
			take(o->sources[i]);
		source_close(&o->sources[i]);
	}
	tell_ears(o);
}

void output_free(struct container *c)
{
	struct output *o = c->output;

	if (!o)
		return;
	source_close(&o->sources[0]);
	source_close(&o->sources[1]);
	own_fd(&o->file);
	free(o);
	c->output = NULL;
}

uint64_t output_lost(const struct container *c)
{
	return c->output ? c->output->lost : 0;
}

void output_where(const struct container *c, struct output_place *p)
{
	const struct output *o = c->output;

	*p = (struct output_place){.ended = true};
	path_of(c, ".log", p->path);
	if (!o)
		return;
	p->instance = o->instance;
	p->rotations = o->rotations;
	p->ended = !o->sources[0] && !o->sources[1];
}

void output_listen(struct container *c, struct output_ear *e)
{
	if (!c->output)
		return;
	e->next = c->output->ears;
	c->output->ears = e;
}

void output_unlisten(struct container *c, struct output_ear *e)
{
	if (!c->output)
		return;
	for (struct output_ear **at = &c->output->ears; *at; at = &(*at)->next)
		if (*at == e) {
			*at = e->next;
			return;
		}
}
