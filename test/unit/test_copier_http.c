/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copier.sock's server against clients that mean no good: broken requests, ones that never end, readers that
 * never read. Questions are answered all the same.
 */
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/own.h"
#include "copier/http.h"

static uv_loop_t loop;
static struct http *http;
static struct sockaddr_un at = {.sun_family = AF_UNIX};
static unsigned open_streams;

static void endless(struct http_body *b, struct buf *out)
{
	(void)b;
	for (int i = 0; i < 4096; i++)
		buf_addz(out, "0123456789abcdef");
}

static void closed(struct http_body *b)
{
	open_streams--;
	free(b);
}

static void answer(void *ctx, struct str path, struct str query, struct http_reply *out)
{
	(void)ctx;
	(void)query;
	out->status = 200;
	if (str_eqz(path, "/stream")) {
		out->stream = calloc(1, sizeof(*out->stream));
		assert_non_null(out->stream);
		*out->stream = (struct http_body){.pull = endless, .close = closed};
		open_streams++;
	} else if (str_eqz(path, "/large")) {
		for (int i = 0; i < 1 << 20; i++)
			buf_addz(&out->body, "0123456789abcdef");
	} else {
		buf_addz(&out->body, "{}\n");
	}
}

static int begin(void **state)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	(void)state;
	/* an abstract name, of this process alone */
	snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1, "weft-t-http-%d", (int)getpid());
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 256), 0);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(http_new(&http, &loop, fd, answer, NULL), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	http_free(&http);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_int_equal(open_streams, 0);
	return 0;
}

static void turn(void)
{
	for (int i = 0; i < 20; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
}

static int ask(const char *request)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	turn();
	return fd;
}

/* The answer's status; 0: hung up on; -1: nothing came. */
static int status(int fd)
{
	char head[64] = {0};
	ssize_t n = read(fd, head, sizeof(head) - 1);
	int s = 0;

	if (n < 0)
		return errno == ECONNRESET ? 0 : -1;
	return n && sscanf(head, "HTTP/1.1 %d", &s) == 1 ? s : 0;
}

static int asked(const char *request)
{
	AUTO_FD int fd = ask(request);

	return status(fd);
}

static void only_what_is_asked_for_right_is_answered(void **state)
{
	char much[9001] = {0};

	(void)state;
	assert_int_equal(asked("GET /account HTTP/1.1\r\n\r\n"), 200);
	assert_int_equal(asked("GET /a?b=c HTTP/1.0\r\nX: y\r\n\r\n"), 200);
	assert_int_equal(asked("POST /account HTTP/1.1\r\n\r\n"), 405);
	assert_int_equal(asked("GET account HTTP/1.1\r\n\r\n"), 400);
	assert_int_equal(asked("GET /account\r\n\r\n"), 400);
	assert_int_equal(asked("\r\n\r\n"), 400);
	assert_int_equal(asked("GET /account HTTP/1.1\r\n"), -1);
	memset(much, 'a', sizeof(much) - 1);
	assert_int_equal(asked(much), 0);
}

static void streams_leave_room_for_questions(void **state)
{
	int fds[HTTP_CLIENTS_MAX];

	(void)state;
	for (int i = 0; i < HTTP_CLIENTS_MAX; i++)
		fds[i] = ask("GET /stream HTTP/1.1\r\n\r\n");
	assert_int_equal(open_streams, HTTP_STREAMS_MAX);
	assert_int_equal(asked("GET /account HTTP/1.1\r\n\r\n"), 200);
	for (int i = 0; i < HTTP_CLIENTS_MAX; i++)
		assert_int_equal(status(fds[i]), i < HTTP_STREAMS_MAX ? 200 : 503);
	close(fds[0]);
	turn();
	assert_int_equal(asked("GET /stream HTTP/1.1\r\n\r\n"), 200); /* its place is free again */
	for (int i = 1; i < HTTP_CLIENTS_MAX; i++)
		close(fds[i]);
	turn();
	assert_int_equal(open_streams, 0);
}

static void who_says_or_takes_nothing_is_hung_up_on(void **state)
{
	int fds[HTTP_CLIENTS_MAX];
	uint64_t until;

	(void)state;
	/* half send no request to its end, half do not read a whole answer */
	for (int i = 0; i < HTTP_CLIENTS_MAX; i++)
		fds[i] = ask(i % 2 ? "GET /" : "GET /large HTTP/1.1\r\n\r\n");
	assert_int_equal(asked("GET /account HTTP/1.1\r\n\r\n"), 0);
	until = clock_ms() + 20000;
	while (clock_ms() < until && asked("GET /account HTTP/1.1\r\n\r\n") != 200)
		uv_run(&loop, UV_RUN_ONCE);
	turn();
	assert_int_equal(asked("GET /account HTTP/1.1\r\n\r\n"), 200);
	for (int i = 0; i < HTTP_CLIENTS_MAX; i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_what_is_asked_for_right_is_answered),
	    cmocka_unit_test(streams_leave_room_for_questions),
	    cmocka_unit_test(who_says_or_takes_nothing_is_hung_up_on),
	};

	return cmocka_run_group_tests_name("copier.sock", tests, begin, end);
}
