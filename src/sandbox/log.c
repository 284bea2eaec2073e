/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log: reads what output.c has written, as `kubectl logs` asks for it: by the files, so that a reader at any
 * pace holds up nobody. It keeps its file open over a rotation; where two rotations passed it by, the lines
 * between are lost to it. Called by session.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/own.h"
#include "sandbox/output.h"
#include "sandbox/pod.h"

enum { CHUNK = 32768, TAGS = OUTPUT_TIME + 10 }; /* a record's text begins at TAGS */

struct log_reader {
	struct container *c;
	struct log_ask ask;
	struct output_ear ear;
	int fd; /* -1: all is read */
	unsigned instance, rotation;
	bool older;    /* fd is the file before the current one, as of now */
	int64_t skip;  /* lines before the tail */
	int64_t left;  /* bytes, or -1 */
	bool mid[2];   /* the stream's last record was part of a line */
	struct buf in; /* read; given out up to `at` */
	size_t at;
	char since[OUTPUT_TIME + 1];
};

static void file_path(const struct log_reader *r, bool older, char path[420])
{
	snprintf(path, 420, "%s/%s%s.log%s", r->c->pod->dir, r->c->name, r->ask.previous ? ".previous" : "",
		 older ? ".1" : "");
}

static int open_file(struct log_reader *r, bool older)
{
	char path[420];

	file_path(r, older, path);
	r->older = older;
	r->fd = open(path, O_RDONLY | O_CLOEXEC);
	return r->fd < 0 ? -errno : 0;
}

/* One whole record at `at`; its length with the line feed, 0 when it is not whole. */
static size_t whole(const struct log_reader *r)
{
	const char *from = r->in.p + r->at;
	const char *end = r->in.n > r->at ? memchr(from, '\n', r->in.n - r->at) : NULL;

	return end ? (size_t)(end - from) + 1 : 0;
}

static bool wanted(const struct log_reader *r, const char *record, size_t n)
{
	return n > TAGS && (!r->ask.since_ns || memcmp(record, r->since, OUTPUT_TIME) >= 0);
}

/* The next file after the one that has no more; false when there is none. */
static bool next_file(struct log_reader *r)
{
	struct output_place now;

	if (r->ask.previous) {
		if (!r->older)
			return false;
		own_fd(&r->fd);
		return !open_file(r, false);
	}
	output_where(r->c, &now);
	if (now.instance != r->instance || now.rotations == r->rotation)
		return false;
	own_fd(&r->fd);
	r->rotation = now.rotations == r->rotation + 1 ? now.rotations : now.rotations - 1;
	return !open_file(r, r->rotation != now.rotations);
}

/* Reads on: false when there is nothing at the moment. */
static bool fill(struct log_reader *r)
{
	char chunk[CHUNK];
	ssize_t n = r->fd < 0 ? 0 : read(r->fd, chunk, sizeof(chunk));

	buf_drop(&r->in, r->at);
	r->at = 0;
	if (n > 0) {
		buf_add(&r->in, chunk, (size_t)n);
		return !r->in.failed;
	}
	/* What was written before the rotation may have come since the last look: it stands in the same file.
	 */
	return n == 0 && next_file(r);
}

static void give(struct log_reader *r, const char *record, size_t n, struct buf *out)
{
	bool err = !memcmp(record + OUTPUT_TIME + 1, "stderr", 6);
	bool part = record[OUTPUT_TIME + 8] == 'P';
	size_t before = out->n;

	if (r->ask.timestamps && !r->mid[err]) {
		buf_add(out, record, OUTPUT_TIME);
		buf_addc(out, ' ');
	}
	buf_add(out, record + TAGS, n - TAGS - 1);
	if (!part)
		buf_addc(out, '\n');
	r->mid[err] = part;
	if (r->left >= 0 && (int64_t)(out->n - before) > r->left) {
		out->n = before + (size_t)r->left;
		r->left = 0;
	} else if (r->left >= 0) {
		r->left -= (int64_t)(out->n - before);
	}
}

static bool is_over(const struct log_reader *r)
{
	struct output_place now;

	if (r->ask.previous || !r->ask.follow)
		return true;
	output_where(r->c, &now);
	return now.instance != r->instance || (now.ended && r->c->state != RUN_ALIVE);
}

int log_read(struct log_reader *r, struct buf *out, size_t room, bool *err)
{
	size_t from = out->n;
	bool first = true;

	while (out->n - from < room && r->left) {
		size_t n = whole(r);
		bool is_err;

		if (!n && !fill(r)) {
			/* Whether it is over is asked before the last look, never after it. */
			bool over = is_over(r);

			if (fill(r))
				continue;
			return out->n > from ? 1 : over ? -1 : 0;
		}
		if (!n)
			continue;
		is_err = n > TAGS && !memcmp(r->in.p + r->at + OUTPUT_TIME + 1, "stderr", 6);
		if (r->ask.apart && !first && is_err != *err)
			return 1;
		if (wanted(r, r->in.p + r->at, n)) {
			bool part = r->in.p[r->at + OUTPUT_TIME + 8] == 'P';

			if (r->skip > 0)
				r->skip -= !part;
			else
				give(r, r->in.p + r->at, n, out);
			*err = is_err;
			first = out->n == from;
		}
		r->at += n;
	}
	return out->n > from || r->left ? 1 : -1;
}

/* Lines that are there and wanted. */
static int64_t count(struct log_reader *r)
{
	int64_t lines = 0;
	bool mid = false;

	do {
		size_t n;

		while ((n = whole(r))) {
			if (wanted(r, r->in.p + r->at, n)) {
				mid = r->in.p[r->at + OUTPUT_TIME + 8] == 'P';
				lines += !mid;
			}
			r->at += n;
		}
	} while (fill(r));
	buf_clear(&r->in);
	r->at = 0;
	return lines + mid;
}

static int begin(struct log_reader *r)
{
	struct output_place now;

	output_where(r->c, &now);
	r->instance = now.instance;
	r->rotation = now.rotations ? now.rotations - 1 : 0;
	own_fd(&r->fd);
	if (!open_file(r, true))
		return 0;
	r->rotation = now.rotations;
	return open_file(r, false);
}

int log_open_reader(struct log_reader **out, struct container *c, const struct log_ask *ask)
{
	struct log_reader *r = calloc(1, sizeof(*r));
	struct output_place now;
	int64_t lines;
	int err;

	if (!r)
		return -ENOMEM;
	*r = (struct log_reader){.c = c, .ask = *ask, .fd = -1, .left = ask->limit < 0 ? -1 : ask->limit};
	output_time(ask->since_ns, r->since);
	err = begin(r);
	if (!err && !ask->tail) {
		own_fd(&r->fd);
		output_where(c, &now);
		r->rotation = now.rotations;
		err = open_file(r, false);
		if (!err)
			lseek(r->fd, 0, SEEK_END);
	} else if (!err && ask->tail > 0) {
		lines = count(r);
		r->skip = lines > ask->tail ? lines - ask->tail : 0;
		err = begin(r);
	}
	if (err) {
		own_fd(&r->fd);
		buf_fini(&r->in);
		free(r);
		return err;
	}
	r->ear = (struct output_ear){.fn = ask->more, .ctx = ask->ctx};
	if (ask->follow)
		output_listen(c, &r->ear);
	*out = r;
	return 0;
}

void log_drop_reader(struct log_reader **at)
{
	struct log_reader *r = *at;

	if (!r)
		return;
	*at = NULL;
	if (r->ask.follow)
		output_unlisten(r->c, &r->ear);
	own_fd(&r->fd);
	buf_fini(&r->in);
	free(r);
}
