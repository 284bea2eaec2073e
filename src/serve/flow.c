/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's end of the runtime's socket. See flow.h. */
#include "serve/flow.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/own.h"

void flow_fail(struct flow *f, int code, const char *reason, const char *message)
{
	bool asked = f->state == FLOW_ASKED;
	if (f->state == FLOW_OVER)
		return;
	f->state = FLOW_OVER;
	duplex_read(&f->io, false);
	if (asked)
		f->ops->answered(f, code, reason, message);
	else
		f->ops->ended(f);
}

static void append(struct buf *b, unsigned channel, struct str data)
{
	do {
		size_t n = data.n < STREAM_FRAME_MAX ? data.n : STREAM_FRAME_MAX;
		const unsigned char head[4] = {(unsigned char)channel, 0, (unsigned char)(n >> 8),
					       (unsigned char)n};
		buf_add(b, head, 4);
		buf_add(b, data.p, n);
		data.p += n;
		data.n -= n;
	} while (data.n);
}

void flow_send(struct flow *f, enum stream_channel channel, struct str data)
{
	if (f->state == FLOW_OVER)
		return;
	append(f->state == FLOW_ASKED ? &f->early : &f->io.out, channel, data);
	if (f->state == FLOW_OPEN)
		duplex_flush(&f->io);
}

/* The first line: {} or what a Status has. */
static void take_answer(struct flow *f, struct str line)
{
	json_t *j = json_loadb(line.p, line.n, 0, NULL);
	const json_t *code = json_object_get(j, "code");
	const char *reason = json_string_value(json_object_get(j, "reason"));
	const char *message = json_string_value(json_object_get(j, "message"));
	int64_t n = json_integer_value(code);
	if (!json_is_object(j)) {
		flow_fail(f, 502, "BadGateway", "the runtime's answer is no JSON object");
	} else if (code) {
		flow_fail(f, n >= 400 && n <= 599 ? (int)n : 500, reason ? reason : "InternalError",
			  message ? message : "the runtime refused without saying why");
	} else {
		f->state = FLOW_OPEN;
		f->io.piece = 0;
		buf_adds(&f->io.out, buf_str(&f->early));
		f->io.out.failed |= f->early.failed;
		buf_fini(&f->early);
		f->ops->answered(f, 0, NULL, NULL);
		if (f->state == FLOW_OPEN)
			duplex_flush(&f->io);
	}
	json_decref(j);
}

/* Returns the bytes taken from p. */
static size_t take_line(struct flow *f, const char *p, size_t n)
{
	const char *nl = memchr(p, '\n', n);
	size_t take = nl ? (size_t)(nl - p) + 1 : n;
	buf_add(&f->whole, p, take);
	if (f->whole.failed || f->whole.n > FLOW_ANSWER_MAX) {
		flow_fail(f, 502, "BadGateway", "the runtime's answer is too long");
		return take;
	}
	if (nl) {
		struct buf line = f->whole;
		f->whole = (struct buf){0};
		take_answer(f, buf_str(&line));
		buf_fini(&line);
	}
	return take;
}

static bool is_piecewise(unsigned channel)
{
	return channel == STREAM_IN || channel == STREAM_OUT || channel == STREAM_ERR;
}

static void take_frames(struct flow *f, char *p, size_t n)
{
	while (n && f->state == FLOW_OPEN) {
		if (f->head_len < 4) {
			f->head[f->head_len++] = (unsigned char)*p++;
			n--;
			if (f->head_len < 4)
				continue;
			f->left = (size_t)f->head[2] << 8 | f->head[3];
			buf_clear(&f->whole);
			if (f->left > STREAM_FRAME_MAX || f->head[1]) {
				flow_fail(f, 502, "BadGateway", "the runtime sent a malformed frame");
				return;
			}
		}
		size_t take = f->left < n ? f->left : n;
		char *at = p;
		f->left -= take;
		p += take;
		n -= take;
		if (!f->left)
			f->head_len = 0;
		if (is_piecewise(f->head[0])) {
			if (take)
				f->ops->data(f, f->head[0], at, take);
			continue;
		}
		buf_add(&f->whole, at, take);
		if (!f->left && !f->whole.failed)
			f->ops->data(f, f->head[0], f->whole.p, f->whole.n);
	}
}

static void on_data(struct duplex *d, char *p, size_t n)
{
	struct flow *f = CONTAINER_OF(d, struct flow, io);
	if (f->state == FLOW_ASKED) {
		size_t took = take_line(f, p, n);
		p += took;
		n -= took;
	}
	take_frames(f, p, n);
}

static void on_ended(struct duplex *d)
{
	flow_fail(CONTAINER_OF(d, struct flow, io), 502, "BadGateway",
		  "the runtime closed the connection without an answer");
}

static void on_drained(struct duplex *d)
{
	struct flow *f = CONTAINER_OF(d, struct flow, io);
	if (f->state == FLOW_OPEN && f->ops->drained)
		f->ops->drained(f);
}

int flow_new(struct flow **out, uv_loop_t *loop, const char *path, struct str request,
	     const struct flow_ops *ops, void *ctx)
{
	static const struct duplex_ops io = {on_data, on_ended, on_drained};
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	strncpy(at.sun_path, path, sizeof(at.sun_path) - 1);
	struct flow *f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) ? -errno : 0;
	if (!r)
		r = duplex_init(&f->io, loop, fd, &io);
	if (r) {
		free(f);
		return r;
	}
	TAKE_FD(fd);
	/* Not a byte after the answer's line: what follows waits in the socket until its owner can take it.
	 */
	f->io.piece = 1;
	f->ops = ops;
	f->ctx = ctx;
	f->since_ms = clock_ms();
	buf_adds(&f->io.out, request);
	buf_addc(&f->io.out, '\n');
	duplex_flush(&f->io);
	*out = f;
	return 0;
}

static void on_freed(struct duplex *d)
{
	struct flow *f = CONTAINER_OF(d, struct flow, io);
	buf_fini(&f->whole);
	buf_fini(&f->early);
	free(f);
}

void flow_close(struct flow **pf)
{
	struct flow *f = *pf;
	*pf = NULL;
	if (!f)
		return;
	f->state = FLOW_OVER;
	duplex_close(&f->io, on_freed);
	close(f->io.fd);
}
