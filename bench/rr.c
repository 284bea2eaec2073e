/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connect, request, answer, close: the server half (serves until it is killed) and the client half (as many
 * as it can for some milliseconds, then one JSON line). Both pin themselves to one CPU, so that a round is
 * all work and no waiting for another CPU to wake. Called by bench/run inside namespaces.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define REQUEST 64
#define ANSWER	256

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "rr: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		die("sched_setaffinity");
}

/* An address of either family in the v4-mapped form, for one kind of socket. */
static struct sockaddr_in6 address(const char *host, int port)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	char mapped[64];

	if (inet_pton(AF_INET6, host, &sa.sin6_addr) == 1)
		return sa;
	snprintf(mapped, sizeof(mapped), "::ffff:%s", host);
	if (inet_pton(AF_INET6, mapped, &sa.sin6_addr) != 1) {
		fprintf(stderr, "rr: %s is no address\n", host);
		exit(2);
	}
	return sa;
}

static void set(int fd, int level, int option)
{
	int on = 1;

	if (setsockopt(fd, level, option, &on, sizeof(on)) < 0)
		die("setsockopt");
}

static _Noreturn void serve(int port)
{
	static char answer[ANSWER];
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	char request[REQUEST];
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	set(fd, SOL_SOCKET, SO_REUSEADDR);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 1024) < 0)
		die("listen");
	puts("ready");
	fflush(stdout);
	for (;;) {
		int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (c < 0)
			continue;
		/* The server closes first: the client's ports stay free. */
		if (recv(c, request, sizeof(request), MSG_WAITALL) == REQUEST)
			(void)send(c, answer, sizeof(answer), MSG_NOSIGNAL);
		close(c);
	}
}

/* One round; 0 or -1 with errno. */
static int round_trip(const struct sockaddr_in6 *sa)
{
	static char buf[ANSWER];
	struct timeval limit = {.tv_sec = 2};
	ssize_t n;
	size_t got = 0;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ||
	    send(fd, buf, REQUEST, MSG_NOSIGNAL) < 0)
		goto fail;
	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		got += (size_t)n;
	if (got != ANSWER) {
		if (n == 0)
			errno = EPROTO;
		goto fail;
	}
	close(fd);
	return 0;
fail:
	n = errno;
	close(fd);
	errno = (int)n;
	return -1;
}

int main(int argc, char **argv)
{
	struct sockaddr_in6 sa;
	uint64_t end, wall, cpu, done = 0, failed = 0;
	int why = 0;

	if (argc == 4 && !strcmp(argv[1], "serve")) {
		pin(atoi(argv[3]));
		serve(atoi(argv[2]));
	}
	if (argc != 6 || strcmp(argv[1], "ask") != 0) {
		fputs("usage: bench-rr serve PORT CPU\n       bench-rr ask ADDRESS PORT CPU MILLISECONDS\n",
		      stderr);
		return 2;
	}
	sa = address(argv[2], atoi(argv[3]));
	pin(atoi(argv[4]));
	if (round_trip(&sa) < 0)
		die("first round");
	cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	wall = now(CLOCK_MONOTONIC);
	end = wall + (uint64_t)atoi(argv[5]) * 1000000u;
	while (now(CLOCK_MONOTONIC) < end) {
		if (round_trip(&sa) == 0) {
			done++;
			continue;
		}
		failed++;
		why = errno;
		if (failed > 20)
			break;
	}
	wall = now(CLOCK_MONOTONIC) - wall;
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("{\"done\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"wall_ns\":%" PRIu64 ",\"cpu_ns\":%" PRIu64
	       ",\"why\":\"%s\"}\n",
	       done, failed, wall, cpu, why ? strerror(why) : "");
	return 0;
}
