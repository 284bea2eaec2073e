/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pinned UDP sender: as many datagrams as it can for some milliseconds, then one JSON line with what was
 * sent and what it cost. On a veth path the receiver's half runs on the sender's CPU, in its softirq, so the
 * time of this thread and of that CPU's ksoftirqd is the whole cost of the path. Called by bench/run inside a
 * namespace; the receiving side drops and counts. It never receives.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Time that ksoftirqd of `cpu` has run, ns; 0 when the kernel does not tell. */
static uint64_t softirqd_ns(int cpu)
{
	static char path[64];
	char text[128], want[32];
	uint64_t ns = 0;
	FILE *f;

	if (path[0] == '\0') {
		snprintf(want, sizeof(want), "ksoftirqd/%d\n", cpu);
		for (int pid = 2; pid < 4096 && path[0] == '\0'; pid++) {
			snprintf(path, sizeof(path), "/proc/%d/comm", pid);
			f = fopen(path, "re");
			path[0] = '\0';
			if (!f)
				continue;
			if (fgets(text, sizeof(text), f) && !strcmp(text, want))
				snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
			fclose(f);
		}
	}
	f = path[0] != '\0' ? fopen(path, "re") : NULL;
	if (!f)
		return 0;
	if (fscanf(f, "%" SCNu64, &ns) != 1)
		ns = 0;
	fclose(f);
	return ns;
}

static int open_to(const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *ai;
	int fd;

	if (getaddrinfo(host, port, &hints, &ai)) {
		fprintf(stderr, "flood: %s port %s is no numeric address\n", host, port);
		exit(2);
	}
	fd = socket(ai->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, ai->ai_addr, ai->ai_addrlen) < 0)
		die("connect");
	freeaddrinfo(ai);
	return fd;
}

int main(int argc, char **argv)
{
	static char payload[2048];
	struct iovec iov = {.iov_base = payload};
	struct mmsghdr msgs[BATCH];
	uint64_t end, wall, cpu, soft, sent = 0, failed = 0;
	cpu_set_t set;
	int fd, cpu_no;

	if (argc != 6) {
		fputs("usage: bench-flood ADDRESS PORT CPU MILLISECONDS PAYLOAD-BYTES\n", stderr);
		return 2;
	}
	fd = open_to(argv[1], argv[2]);
	cpu_no = atoi(argv[3]);
	iov.iov_len = (size_t)atoi(argv[5]);
	if (iov.iov_len > sizeof(payload))
		iov.iov_len = sizeof(payload);
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu_no, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		die("sched_setaffinity");
	memset(msgs, 0, sizeof(msgs));
	for (int i = 0; i < BATCH; i++) {
		msgs[i].msg_hdr.msg_iov = &iov;
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	(void)softirqd_ns(cpu_no);
	sendmmsg(fd, msgs, BATCH, 0); /* neighbours, caches, first connection entry */

	soft = softirqd_ns(cpu_no);
	cpu = now(CLOCK_THREAD_CPUTIME_ID);
	wall = now(CLOCK_MONOTONIC);
	end = wall + (uint64_t)atoi(argv[4]) * 1000000u;
	while (now(CLOCK_MONOTONIC) < end) {
		int n = sendmmsg(fd, msgs, BATCH, 0);

		if (n > 0)
			sent += (uint64_t)n;
		else if (errno == ECONNREFUSED || errno == ENOBUFS || errno == EAGAIN || errno == EPERM)
			failed++;
		else
			die("sendmmsg");
	}
	wall = now(CLOCK_MONOTONIC) - wall;
	cpu = now(CLOCK_THREAD_CPUTIME_ID) - cpu;
	soft = softirqd_ns(cpu_no) - soft;
	printf("{\"sent\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"wall_ns\":%" PRIu64 ",\"cpu_ns\":%" PRIu64
	       ",\"ksoftirqd_ns\":%" PRIu64 "}\n",
	       sent, failed, wall, cpu, soft);
	return 0;
}
