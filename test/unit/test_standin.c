/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of src/standin: what counts as a call, the DNS messages, and a served container spoken to over
 * loopback. Ports are taken from the kernel, so that runs do not collide.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "standin/calls.h"
#include "standin/programs.h"
#include "standin/resolve.h"

static void expect_call(const char *text, const char *host, unsigned port, bool udp)
{
	struct call_place p[4] = {0};

	if (!host) {
		assert_int_equal(calls_find(str_of(text), p, 4), 0);
		return;
	}
	assert_int_equal(calls_find(str_of(text), p, 4), 1);
	assert_true(str_eqz(p[0].host, host));
	assert_int_equal(p[0].port, port);
	assert_int_equal(p[0].udp, udp);
}

static void test_calls_find(void **state)
{
	struct call_place p[4];

	(void)state;
	expect_call("cartservice:7070", "cartservice", 7070, false);
	expect_call("http://frontend", "frontend", 80, false);
	expect_call("https://user:pw@api.shop.svc/v1?x=a:1", "api.shop.svc", 443, false);
	expect_call("postgres://db.data:5433/x", "db.data", 5433, false);
	expect_call("redis://cache/0", "cache", 6379, false);
	expect_call("udp://logs:514", "logs", 514, true);
	expect_call("--upstream=web:80", "web", 80, false);
	expect_call("unknown://web:81/x", "web", 81, false);
	expect_call("web:http", NULL, 0, false);
	expect_call("web:0", NULL, 0, false);
	expect_call("web:65536", NULL, 0, false);
	expect_call("10.0.0.1:80", NULL, 0, false);
	expect_call("8080", NULL, 0, false);
	expect_call("web", NULL, 0, false);
	expect_call("unknown://web", NULL, 0, false);
	expect_call("12:30", NULL, 0, false);
	expect_call("-web:80", NULL, 0, false);
	expect_call("http://", NULL, 0, false);
	expect_call("", NULL, 0, false);
	assert_int_equal(calls_find(STR("a:1,b:2 c:3;d:4 e:5"), p, 4), 5);
	assert_true(str_eqz(p[3].host, "d"));
}

static bool shop_exists(void *ctx, struct str ns, struct str svc)
{
	(void)ctx;
	return (str_eqz(ns, "shop") && str_eqz(svc, "cart")) || (str_eqz(ns, "data") && str_eqz(svc, "db"));
}

static void expect_service(const char *host, const char *ns, const char *svc)
{
	struct str in, found;
	bool ok = calls_service(str_of(host), STR("shop"), shop_exists, NULL, &in, &found);

	assert_int_equal(ok, ns != NULL);
	if (ns) {
		assert_true(str_eqz(in, ns));
		assert_true(str_eqz(found, svc));
	}
}

static void test_calls_service(void **state)
{
	(void)state;
	expect_service("cart", "shop", "cart");
	expect_service("cart.shop", "shop", "cart");
	expect_service("db.data.svc", "data", "db");
	expect_service("db.data.svc.cluster.local", "data", "db");
	expect_service("db.data.svc.cluster.local.", "data", "db");
	expect_service("db-0.db.data", "data", "db");
	expect_service("cart-0.cart", "shop", "cart");
	expect_service("db", NULL, NULL);
	expect_service("cart.data", NULL, NULL);
	expect_service("cart.shop.svc.example.com", NULL, NULL);
	expect_service("cart.shop.example.com", NULL, NULL);
	expect_service("www.example.com", NULL, NULL);
}

/* An answer as a server writes it: the question, a CNAME, then one address through a compression pointer. */
static size_t make_answer(uint8_t *m, uint16_t id)
{
	size_t n = resolve_question(m, 512, "web.shop", id, 1) - 11;

	m[2] |= 0x80;
	m[7] = 2;  /* answers */
	m[11] = 0; /* no OPT */
	memcpy(m + n,
	       "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x05\x00\x04\x01"
	       "a\xc0\x0c",
	       16);
	n += 16;
	memcpy(m + n, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x60\x00\x07", 16);
	return n + 16;
}

static void test_dns_wire(void **state)
{
	struct addr addrs[RESOLVE_ADDRS];
	unsigned len = 0;
	uint8_t m[512];
	size_t n = make_answer(m, 7);
	char text[ADDR_TEXT];

	(void)state;
	assert_int_equal(resolve_answer(m, n, 7, 1, addrs, &len), RESOLVE_OK);
	assert_int_equal(len, 1);
	addr_print(&addrs[0], text);
	assert_string_equal(text, "10.96.0.7");
	assert_int_equal(resolve_answer(m, n, 8, 1, addrs, &len), -1);
	assert_int_equal(resolve_answer(m, n, 7, 28, addrs, &len), -1);
	m[3] = 3;
	assert_int_equal(resolve_answer(m, n, 7, 1, addrs, &len), RESOLVE_NONE);
	m[3] = 2;
	assert_int_equal(resolve_answer(m, n, 7, 1, addrs, &len), RESOLVE_FAILED);
	assert_int_equal(resolve_question(m, 512, "a..b", 1, 1), 0);
	assert_int_equal(resolve_question(m, 512, "", 1, 1), 0);
	assert_int_equal(resolve_question(m, 30, "long.name.that.does.not.fit", 1, 1), 0);
}

/* Every cut and every changed byte of a good answer is read without leaving it (the sanitizers watch). */
static void test_dns_wire_hostile(void **state)
{
	struct addr addrs[RESOLVE_ADDRS];
	uint8_t m[512];
	size_t n = make_answer(m, 7);

	(void)state;
	for (size_t cut = 0; cut <= n; cut++) {
		AUTO_MEM uint8_t *copy = malloc(cut + 1);
		unsigned len = 0;

		memcpy(copy, m, cut);
		resolve_answer(copy, cut, 7, 1, addrs, &len);
		assert_true(cut == n || len == 0);
	}
	for (size_t at = 0; at < n; at++)
		for (unsigned v = 0; v < 256; v++) {
			uint8_t was = m[at];
			unsigned len = 0;

			m[at] = (uint8_t)v;
			resolve_answer(m, n, 7, 1, addrs, &len);
			m[at] = was;
			assert_true(len <= RESOLVE_ADDRS);
		}
}

static uint16_t free_port(void)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6};
	socklen_t n = sizeof(a);
	AUTO_FD int fd = socket(AF_INET6, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	return ntohs(a.sin6_port);
}

struct served {
	uint16_t tcp, udp;
	pid_t pid;
};

static int dial_to(uint16_t port, int type, bool four)
{
	struct sockaddr_in a4 = {
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 a6 = {
	    .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(four ? AF_INET : AF_INET6, type, 0);

	if (connect(fd, four ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6,
		    four ? sizeof(a4) : sizeof(a6))) {
		close(fd);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 3}, sizeof(struct timeval));
	return fd;
}

static int start_server(void **state)
{
	static struct served s;
	struct spec spec = {
	    .pod = "web-1", .ns = "shop", .node = "node-1", .container = "c", .interval_ms = 1000};

	s.tcp = free_port();
	s.udp = free_port();
	vec_push(&spec.ports, (struct spec_port){.port = s.tcp});
	vec_push(&spec.ports, (struct spec_port){.port = s.udp, .proto = PROTO_UDP});
	vec_push(&spec.health, (char *)"shop.Cart");
	s.pid = fork();
	if (!s.pid)
		_exit(standin_serve(&spec, NULL));
	vec_free(&spec.ports);
	vec_free(&spec.health);
	for (int tries = 0; tries < 3000; tries++) {
		AUTO_FD int fd = dial_to(s.tcp, SOCK_STREAM, true);

		if (fd >= 0)
			break;
		usleep(1000);
	}
	*state = &s;
	return 0;
}

static int stop_server(void **state)
{
	struct served *s = *state;

	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	return 0;
}

/* Sends, reads until `until` is in the answer or nothing more comes, and gives the answer back. */
static const char *ask(int fd, const char *text, size_t n, const char *until)
{
	static char in[8192];
	size_t len = 0;
	ssize_t r;

	assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), (ssize_t)n);
	in[0] = 0;
	while (len < sizeof(in) - 1 && !memmem(in, len, until, strlen(until)) &&
	       (r = recv(fd, in + len, sizeof(in) - 1 - len, 0)) > 0) {
		len += (size_t)r;
		in[len] = 0;
	}
	return in;
}

#define ASK(fd, text, until) ask(fd, text, sizeof(text) - 1, until)

static void test_http1(void **state)
{
	struct served *s = *state;
	AUTO_FD int fd = dial_to(s->tcp, SOCK_STREAM, true), six = dial_to(s->tcp, SOCK_STREAM, false);
	const char *in = ASK(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "}\n");

	assert_non_null(strstr(in, "200 OK"));
	assert_non_null(
	    strstr(in, "\"pod\":\"web-1\",\"namespace\":\"shop\",\"node\":\"node-1\",\"container\":\"c\""));
	assert_non_null(strstr(in, "\"client\":\"127.0.0.1\""));
	assert_non_null(strstr(in, "\"family\":\"IPv4\""));
	/* The connection stays, a body is skipped, two requests in one segment get two answers. */
	in = ASK(fd, "POST /b HTTP/1.1\r\nContent-Length: 4\r\n\r\nGET GET /c HTTP/1.1\r\n\r\n", "\"/c\"}\n");
	assert_non_null(strstr(in, "\"path\":\"/b\""));
	assert_non_null(strstr(in, "\"path\":\"/c\""));
	in = ASK(fd, "GET x\r\n\r\n", "never");
	assert_non_null(strstr(in, "400 Bad Request"));
	in = ASK(six, "GET / HTTP/1.0\r\n\r\n", "never");
	assert_non_null(strstr(in, "\"family\":\"IPv6\""));
	assert_non_null(strstr(in, "Connection: close"));
}

static void test_echo(void **state)
{
	struct served *s = *state;
	AUTO_FD int fd = dial_to(s->tcp, SOCK_STREAM, false), short_fd = dial_to(s->tcp, SOCK_STREAM, true);

	assert_string_equal(ASK(fd, "hello", "hello"), "hello");
	assert_string_equal(ASK(fd, "GET / HTTP/1.1\r\n\r\n", "\r\n\r\n"), "GET / HTTP/1.1\r\n\r\n");
	assert_string_equal(ASK(short_fd, "PO", "PO"), "PO");
}

static void test_udp(void **state)
{
	struct served *s = *state;
	AUTO_FD int fd = dial_to(s->udp, SOCK_DGRAM, true), six = dial_to(s->udp, SOCK_DGRAM, false);

	assert_string_equal(ASK(fd, "ping", "ping"), "ping");
	assert_non_null(strstr(ASK(fd, "?", "}\n"), "\"pod\":\"web-1\""));
	assert_non_null(strstr(ASK(six, "?", "}\n"), "\"client\":\"::1\""));
}

/* HTTP/2 preface, empty SETTINGS, HEADERS of POST /grpc.health.v1.Health/Check (literal fields), DATA. */
static size_t health_request(char *out, const char *service)
{
	static const char fields[][2][32] = {{":method", "POST"},
					     {":scheme", "http"},
					     {":path", "/grpc.health.v1.Health/Check"},
					     {":authority", "x"},
					     {"content-type", "application/grpc"},
					     {"te", "trailers"}};
	size_t n = 0, head, len = strlen(service);

	memcpy(out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 33);
	n = 33;
	head = n;
	memcpy(out + n, "\0\0\0\x01\x04\0\0\0\x01", 9);
	n += 9;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		out[n++] = 0;
		for (int k = 0; k < 2; k++) {
			size_t l = strlen(fields[i][k]);

			out[n++] = (char)l;
			memcpy(out + n, fields[i][k], l);
			n += l;
		}
	}
	out[head + 2] = (char)(n - head - 9);
	memcpy(out + n, "\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0", 14);
	out[n + 2] = (char)(5 + (len ? len + 2 : 0));
	out[n + 13] = (char)(len ? len + 2 : 0);
	n += 14;
	if (len) {
		out[n++] = 0x0a;
		out[n++] = (char)len;
		memcpy(out + n, service, len);
		n += len;
	}
	return n;
}

static void expect_health(uint16_t port, const char *service, bool serving)
{
	AUTO_FD int fd = dial_to(port, SOCK_STREAM, true);
	char out[512], in[4096];
	size_t n = health_request(out, service), len = 0;
	const char *message = "\0\0\0\0\x02\x08\x01";
	bool found = false;

	assert_int_equal(send(fd, out, n, MSG_NOSIGNAL), (ssize_t)n);
	while (!found) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t r =
		    poll(&p, 1, serving ? 3000 : 200) == 1 ? recv(fd, in + len, sizeof(in) - len, 0) : 0;

		if (r <= 0)
			break;
		len += (size_t)r;
		found = memmem(in, len, message, 7) != NULL;
	}
	assert_int_equal(found, serving);
	assert_true(len > 9);
}

static void test_grpc_health(void **state)
{
	struct served *s = *state;

	expect_health(s->tcp, "", true);
	expect_health(s->tcp, "shop.Cart", true);
	expect_health(s->tcp, "shop.Nothing", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_calls_find),
	    cmocka_unit_test(test_calls_service),
	    cmocka_unit_test(test_dns_wire),
	    cmocka_unit_test(test_dns_wire_hostile),
	    cmocka_unit_test_setup_teardown(test_http1, start_server, stop_server),
	    cmocka_unit_test_setup_teardown(test_echo, start_server, stop_server),
	    cmocka_unit_test_setup_teardown(test_udp, start_server, stop_server),
	    cmocka_unit_test_setup_teardown(test_grpc_health, start_server, stop_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
