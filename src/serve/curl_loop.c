/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The glue between libcurl and libuv: one poll handle a socket, one timer. Connections to the hub come from
 * whoever may open the hub's socket, so this process needs no right on its path.
 */
#include "serve/curl_loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct socket_poll {
	uv_poll_t poll;
	struct curl_loop *c;
	curl_socket_t fd;
};

static void collect(struct curl_loop *c)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(c->multi, &left))) {
		struct transfer *t;
		long status = 0;
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
		curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
		curl_multi_remove_handle(c->multi, m->easy_handle);
		t->done(t, status, code);
	}
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct socket_poll *s = poll->data;
	struct curl_loop *c = s->c;
	int flags = 0, running;

	if (status < 0)
		flags = CURL_CSELECT_ERR;
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	curl_multi_socket_action(c->multi, s->fd, flags, &running);
	collect(c);
}

static void on_timer(uv_timer_t *timer)
{
	struct curl_loop *c = timer->data;
	int running;

	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(c);
}

static int want_timer(CURLM *multi, long ms, void *ctx)
{
	struct curl_loop *c = ctx;

	(void)multi;
	if (ms < 0)
		uv_timer_stop(&c->timer);
	else
		uv_timer_start(&c->timer, on_timer, (uint64_t)ms, 0);
	return 0;
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket)
{
	struct curl_loop *c = ctx;
	struct socket_poll *s = socket;
	int events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s) {
			uv_poll_stop(&s->poll);
			uv_close((uv_handle_t *)&s->poll, on_closed);
			curl_multi_assign(c->multi, fd, NULL);
		}
		return 0;
	}
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return -1;
		s->c = c;
		s->fd = fd;
		s->poll.data = s;
		if (uv_poll_init_socket(c->loop, &s->poll, fd)) {
			free(s);
			return -1;
		}
		s->poll.data = s;
		curl_multi_assign(c->multi, fd, s);
	}
	if (what != CURL_POLL_IN)
		events |= UV_WRITABLE;
	if (what != CURL_POLL_OUT)
		events |= UV_READABLE;
	uv_poll_start(&s->poll, events, on_poll);
	return 0;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;

	return t->body(t, p, size * n);
}

static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct curl_loop *c = ctx;
	int fd = c->dial(c->ctx);

	(void)purpose;
	(void)to;
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int connected(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	(void)ctx;
	(void)fd;
	(void)purpose;
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

int curl_loop_init(struct curl_loop *c, uv_loop_t *loop, int (*dial)(void *ctx), void *ctx)
{
	*c = (struct curl_loop){.loop = loop, .dial = dial, .ctx = ctx};
	if (curl_global_init(CURL_GLOBAL_NOTHING))
		return -ENOMEM;
	c->multi = curl_multi_init();
	if (!c->multi)
		return -ENOMEM;
	uv_timer_init(loop, &c->timer);
	c->timer.data = c;
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	return 0;
}

int transfer_begin(struct curl_loop *c, struct transfer *t)
{
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
	return curl_multi_add_handle(c->multi, t->easy) ? -ENOMEM : 0;
}

int transfer_start(struct curl_loop *c, struct transfer *t, const char *path)
{
	char url[768];

	if (!t->easy)
		t->easy = curl_easy_init();
	if (!t->easy || snprintf(url, sizeof(url), "http://hub%s", path) >= (int)sizeof(url))
		return -ENOMEM;
	curl_easy_setopt(t->easy, CURLOPT_URL, url);
	curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http");
	/* Only the form of the address counts, and that it is longer than one of the internet (syscalls.c):
	 * the socket comes from `dial`. */
	curl_easy_setopt(t->easy, CURLOPT_UNIX_SOCKET_PATH, "/the/hub/behind/a/socket/that/is/open");
	curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, c);
	curl_easy_setopt(t->easy, CURLOPT_SOCKOPTFUNCTION, connected);
	curl_easy_setopt(t->easy, CURLOPT_BUFFERSIZE, 65536L);
	return transfer_begin(c, t);
}

void transfer_stop(struct curl_loop *c, struct transfer *t)
{
	if (t->easy)
		curl_multi_remove_handle(c->multi, t->easy);
}
