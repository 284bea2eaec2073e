/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends of a probe with nothing around them. "serve" answers HTTP on one port and takes connections on
 * another, in each of the named network namespaces, by one loop. "ask" probes the same endpoints from where
 * it stands by bare sockets (half by HTTP, half by a connection alone) at a steady rate, and prints one JSON
 * line: what was asked, and the CPU time that it took. Called by bench/run beside the observer, which does
 * the same with everything that a probe needs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HTTP_PORT 8080
#define TCP_PORT  8081

enum role { LISTEN_HTTP, LISTEN_TCP, CONNECTION };

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "answer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void add(int ep, int fd, enum role role, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.u64 = (uint64_t)role << 32 | (uint32_t)fd};

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl");
}

static void listen_on(int ep, uint16_t port, enum role role)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int on = 1, fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 1024) < 0)
		die("listen");
	add(ep, fd, role, EPOLLIN);
}

static void enter(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die(path);
	close(fd);
}

static void accept_on(int ep, int fd, enum role role)
{
	int c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (c < 0)
		return;
	if (role == LISTEN_HTTP)
		add(ep, c, CONNECTION, EPOLLIN);
	else
		close(c);
}

static void reply(int fd)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
	char request[4096];

	if (recv(fd, request, sizeof(request), 0) > 0)
		(void)send(fd, ok, sizeof(ok) - 1, MSG_NOSIGNAL);
	close(fd);
}

static _Noreturn void serve(char **names)
{
	struct epoll_event events[256];
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0)
		die("epoll_create1");
	for (; *names; names++) {
		enter(*names);
		listen_on(ep, HTTP_PORT, LISTEN_HTTP);
		listen_on(ep, TCP_PORT, LISTEN_TCP);
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(ep, events, 256, -1);

		for (int i = 0; i < n; i++) {
			int fd = (int)(uint32_t)events[i].data.u64;
			enum role role = (enum role)(events[i].data.u64 >> 32);

			if (role == CONNECTION)
				reply(fd);
			else
				accept_on(ep, fd, role);
		}
	}
}

struct tally {
	uint64_t good, bad;
};

/* One probe, blocking: both ends run by the time that it returns, so little is waited for. */
static int ask_one(const struct in_addr *to, int http)
{
	static const char get[] = "GET /healthz HTTP/1.1\r\nHost: pod\r\nUser-Agent: bare\r\nAccept: */*\r\n"
				  "Connection: close\r\n\r\n";
	struct sockaddr_in sa = {
	    .sin_family = AF_INET, .sin_port = htons(http ? HTTP_PORT : TCP_PORT), .sin_addr = *to};
	struct linger reset = {.l_onoff = 1};
	char answer[1024];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), ok;

	if (fd < 0)
		return 0;
	ok = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;
	if (ok && http) {
		ok = send(fd, get, sizeof(get) - 1, MSG_NOSIGNAL) > 0 &&
		     recv(fd, answer, sizeof(answer), 0) > 12 && !memcmp(answer + 9, "200", 3);
	} else {
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	}
	close(fd);
	return ok;
}

static int ask(uint64_t per_second, uint64_t seconds, char **addresses)
{
	struct in_addr to[1024];
	struct tally tally = {0};
	unsigned n = 0;
	uint64_t began, cpu, total = per_second * seconds;

	for (; *addresses && n < 1024; addresses++)
		if (inet_pton(AF_INET, *addresses, &to[n++]) != 1) {
			fprintf(stderr, "answer: %s is no IPv4 address\n", *addresses);
			return 2;
		}
	if (!n)
		return 2;
	began = now(CLOCK_MONOTONIC);
	cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	for (uint64_t i = 0; i < total; i++) {
		uint64_t due = began + i * 1000000000u / per_second, t = now(CLOCK_MONOTONIC);

		if (t < due) {
			struct timespec wait = {.tv_sec = (time_t)((due - t) / 1000000000u),
						.tv_nsec = (long)((due - t) % 1000000000u)};

			nanosleep(&wait, NULL);
		}
		if (ask_one(&to[i % n], (int)(i / n & 1)))
			tally.good++;
		else
			tally.bad++;
	}
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("{\"good\":%" PRIu64 ",\"bad\":%" PRIu64 ",\"cpu_ns\":%" PRIu64 ",\"wall_ns\":%" PRIu64 "}\n",
	       tally.good, tally.bad, cpu, now(CLOCK_MONOTONIC) - began);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "serve"))
		serve(argv + 2);
	if (argc >= 5 && !strcmp(argv[1], "ask") && atoi(argv[2]) > 0)
		return ask((uint64_t)atoi(argv[2]), (uint64_t)atoi(argv[3]), argv + 4);
	fputs(
	    "usage: bench-answer serve NAMESPACE...\n       bench-answer ask PER-SECOND SECONDS ADDRESS...\n",
	    stderr);
	return 2;
}
