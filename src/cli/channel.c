/* SPDX-License-Identifier: Apache-2.0 */
/* The command line's end of a stream. See channel.h. */
#include "cli/channel.h"

#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { HEAD_MAX = 65536 };

static int dial(const char *socket_path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", socket_path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		cli_error("is the cluster running, and are you who ran `weft up`? `weft doctor` may help",
			  "cannot connect to %s: %s", socket_path, strerror(errno));
		return -1;
	}
	return TAKE_FD(fd);
}

/* Up to the empty line, and what came after it. Its place, or NULL. */
static char *read_head(int fd, struct buf *in)
{
	char piece[4096];

	for (;;) {
		char *end = in->n ? memmem(in->p, in->n, "\r\n\r\n", 4) : NULL;
		if (end)
			return end;
		ssize_t n = recv(fd, piece, sizeof(piece), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || in->n > HEAD_MAX)
			return NULL;
		buf_add(in, piece, (size_t)n);
		if (in->failed)
			return NULL;
	}
}

/* The rest of a refusal is a Status. */
static void tell_refusal(int fd, struct buf *in, size_t body)
{
	char piece[4096];
	int code = 0;
	ssize_t n;

	if (in->n < 12 || sscanf(in->p, "HTTP/1.1 %d", &code) != 1)
		code = 0;
	while (in->n < HEAD_MAX && (n = recv(fd, piece, sizeof(piece), 0)) > 0)
		buf_add(in, piece, (size_t)n);
	http_tell(code, (struct str){in->p + body, in->n - body});
}

int channel_open(struct channel *c, const char *socket_path, const char *url)
{
	char key[WS_KEY_SIZE], accept[WS_ACCEPT_SIZE];
	AUTO_BUF request = {0}, in = {0};

	*c = (struct channel){.fd = -1, .number = -1, .in = {.client = true}};
	AUTO_FD int fd = dial(socket_path);
	if (fd < 0 || ws_key(key) || ws_accept(key, accept))
		return -1;
	buf_printf(&request,
		   "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: "
		   "v5.channel.k8s.io\r\n\r\n",
		   url, key);
	for (size_t at = 0; at < request.n;) {
		ssize_t n = send(fd, request.p + at, request.n - at, MSG_NOSIGNAL);
		if (n <= 0 && errno != EINTR) {
			cli_error(NULL, "%s: %s", socket_path, strerror(errno));
			return -1;
		}
		at += n > 0 ? (size_t)n : 0;
	}
	char *end = read_head(fd, &in);
	if (!end) {
		cli_error(NULL, "%s: the hub ended the connection", socket_path);
		return -1;
	}
	size_t body = (size_t)(end - in.p) + 4;
	if (strncmp(in.p, "HTTP/1.1 101", 12) != 0) {
		/* What follows is as long as the server keeps the connection: it is asked to end it. */
		shutdown(fd, SHUT_WR);
		tell_refusal(fd, &in, body);
		return -1;
	}
	if (!memmem(in.p, body, accept, strlen(accept))) {
		cli_error(NULL, "%s: the answer is not that of a WebSocket", socket_path);
		return -1;
	}
	buf_drop(&in, body);
	c->early = in;
	in = (struct buf){0};
	c->fd = TAKE_FD(fd);
	return 0;
}

void channel_fini(struct channel *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->over = true;
	buf_fini(&c->out);
	buf_fini(&c->early);
}

void channel_put(struct channel *c, unsigned number, struct str data)
{
	const char head = (char)number;

	if (c->over)
		return;
	ws_frame(&c->out, WS_BINARY, true, (struct str){&head, 1}, data);
	channel_flush(c);
}

void channel_put_close(struct channel *c, unsigned number)
{
	const char what = (char)number;

	channel_put(c, CHANNEL_CLOSE, (struct str){&what, 1});
}

void channel_flush(struct channel *c)
{
	while (!c->over && c->sent < c->out.n) {
		ssize_t n = send(c->fd, c->out.p + c->sent, c->out.n - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			c->over = true;
		c->sent += n > 0 ? (size_t)n : 0;
	}
	buf_clear(&c->out);
	c->sent = 0;
}

static void take_control(struct channel *c)
{
	struct str body = {c->in.data, c->in.len};

	if (c->in.opcode == WS_PING)
		ws_frame(&c->out, WS_PONG, true, (struct str){0}, body);
	if (c->in.opcode == WS_CLOSE)
		ws_frame(&c->out, WS_CLOSE, true, (struct str){0}, body);
	channel_flush(c);
	c->over |= c->in.opcode == WS_CLOSE;
}

static void take(struct channel *c, char *p, size_t n, channel_take *fn, void *ctx)
{
	enum ws_event e;

	while (!c->over && (e = ws_feed(&c->in, &p, &n)) != WS_MORE) {
		if (e == WS_BAD) {
			c->over = true;
			return;
		}
		if (e == WS_CONTROL) {
			take_control(c);
			continue;
		}
		struct str data = {c->in.data, c->in.len};
		if (c->in.first)
			c->number = -1;
		if (c->number < 0 && data.n) {
			c->number = (unsigned char)*data.p++;
			data.n--;
		}
		if (c->number >= 0 && data.n)
			fn(ctx, (unsigned)c->number, data);
	}
}

void channel_read(struct channel *c, channel_take *fn, void *ctx)
{
	char bytes[65536];

	if (c->early.n) {
		take(c, c->early.p, c->early.n, fn, ctx);
		buf_fini(&c->early);
	}
	if (c->over)
		return;
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n > 0)
		take(c, bytes, (size_t)n, fn, ctx);
	else if (!n || (errno != EAGAIN && errno != EINTR))
		c->over = true;
}
