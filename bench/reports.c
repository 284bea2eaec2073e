/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-reports SOCKET NODE COUNT [SECONDS [EACH_MS]] <addresses: tells a hub of flows as a node's observer
 * does: COUNT ended connections between the addresses of standard input (one a line) and outside hosts,
 * numbered from 1 in an epoch of their own. Prints one JSON line: seconds until the hub has them all. With
 * SECONDS it goes on for so long: COUNT connections that stay, each between two of the addresses, of each of
 * which it tells once a second, or each EACH_MS, so that what takes hours is seen in minutes; one in a
 * hundred and fifty is refused in place of it, and one connection each time ends while another begins
 * elsewhere. For bench/run and tests of a hub without nodes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "base/vec.h"
#include "observe/report.h"
#include "seam/event.h"

enum { BATCH = 8192, OUTSIDE = 20000 };

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "reports: %s\n", what);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint32_t random32(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static void add_record(struct buf *b, const struct addr *addr, size_t n, uint64_t number, uint64_t *seed)
{
	static const uint16_t ports[] = {80, 443, 5432, 6379, 8080, 9090};
	bool out = random32(seed) % 4 == 0;
	int64_t at = now_ns();
	struct record r = {
	    .from = {addr[random32(seed) % n], (uint16_t)(32768 + random32(seed) % 28000), NULL},
	    .to = {out ? addr_from4(0x5db80000 + random32(seed) % OUTSIDE) : addr[random32(seed) % n],
		   ports[random32(seed) % ARRAY_LEN(ports)], NULL},
	    .proto = 6,
	    .state = STATE_CLOSED,
	    .ended = true,
	    .bytes = {random32(seed) % 100000, random32(seed) % 3000000},
	    .packets = {10, 20},
	    .first = at - 1000000,
	    .last = at,
	    .id = number + 1,
	    .epoch = 1,
	    .handshake_us = 100 + random32(seed) % 900,
	    .rtt_us = {random32(seed) % 30000, 1}};

	report_add(b, &r);
}

static void send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent <= 0)
			die("the hub's socket broke");
		p += sent;
		n -= (size_t)sent;
	}
}

/* One request on a connection that stays; the answer is short, and must be a 200. */
static void post(int fd, const char *node, const struct buf *body)
{
	char head[512], answer[4096] = "";
	size_t n = 0;
	int len = snprintf(head, sizeof(head),
			   "POST /apis/weft.network/internal/flows/%s HTTP/1.1\r\nHost: hub\r\n"
			   "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n",
			   node, body->n);

	send_all(fd, head, (size_t)len);
	send_all(fd, body->p, body->n);
	while (n < sizeof(answer) - 1) {
		ssize_t got = recv(fd, answer + n, sizeof(answer) - 1 - n, 0);

		if (got <= 0)
			die("the hub ended the connection");
		n += (size_t)got;
		answer[n] = 0;
		if (strstr(answer, "\r\n\r\n") && strstr(answer, "}\n"))
			break;
	}
	if (strncmp(answer, "HTTP/1.1 200", 12) != 0)
		die(answer);
}

static int connect_to(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(a.sun_path))
		die("the socket's path is too long");
	memcpy(a.sun_path, path, strlen(path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		die("the hub's socket does not answer");
	return fd;
}

static int64_t tell_all(int fd, const char *node, const struct addr *addr, size_t n, uint64_t count)
{
	AUTO_BUF body = {};
	uint64_t seed = 1;
	int64_t began = now_ns();

	for (uint64_t done = 0; done < count;) {
		uint32_t some = count - done < BATCH ? (uint32_t)(count - done) : BATCH;

		buf_clear(&body);
		report_begin(&body,
			     &(struct report){.epoch = 1, .first = done, .ends = done, .at = now_ns()});
		for (uint32_t i = 0; i < some; i++)
			add_record(&body, addr, n, done + i, &seed);
		report_end(&body, some);
		if (body.failed)
			die("out of memory");
		post(fd, node, &body);
		done += some;
	}
	return now_ns() - began;
}

/* --- connections that stay -------------------------------------------------------------------------- */

struct lasting {
	uint64_t id;
	uint32_t from, to;
	int64_t first;
	uint64_t bytes[2];
};

static void begin(struct lasting *l, size_t n, uint64_t id, uint64_t *seed)
{
	*l = (struct lasting){.id = id, .first = now_ns(), .from = random32(seed) % (uint32_t)n};
	do
		l->to = random32(seed) % (uint32_t)n;
	while (l->to == l->from);
}

static void add_lasting(struct buf *b, struct lasting *l, const struct addr *addr, bool refused, bool ends,
			uint64_t *seed)
{
	struct record r = {.kind = refused ? RECORD_DROP : RECORD_FLOW,
			   .from = {addr[l->from], (uint16_t)(32768 + l->id % 28000), NULL},
			   .to = {addr[l->to], (uint16_t)(8000 + l->id % 7), NULL},
			   .proto = 6,
			   .verdict = refused ? VERDICT_DROPPED : VERDICT_FORWARDED,
			   .reason = refused ? DROP_POLICY_INGRESS : 0,
			   .first = l->first,
			   .last = now_ns(),
			   .id = l->id};

	if (!refused) {
		l->bytes[0] += random32(seed) % 20000;
		l->bytes[1] += random32(seed) % 600000;
		r.state = ends ? STATE_CLOSED : STATE_OPEN;
		r.ended = ends;
		memcpy(r.bytes, l->bytes, sizeof(r.bytes));
		r.packets[0] = l->bytes[0] / 200;
		r.packets[1] = l->bytes[1] / 1000;
		r.handshake_us = 100 + (uint32_t)(l->id % 900);
		r.rtt_us[0] = 200 + random32(seed) % 30000;
		r.rtt_us[1] = 1;
	}
	report_add(b, &r);
}

static void keep_telling(int fd, const char *node, const struct addr *addr, size_t n, uint64_t count,
			 uint64_t seconds, uint64_t each_ms)
{
	AUTO_BUF body = {};
	struct lasting *all = calloc(count, sizeof(*all));
	uint64_t seed = 1, told = 0, ends = 0, id = 0;
	struct timespec next;

	if (!all || n < 2 || count > REPORT_RECORDS_MAX)
		die("two addresses at least, and so many connections as one report holds at most");
	for (uint64_t i = 0; i < count; i++)
		begin(&all[i], n, ++id, &seed);
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (uint64_t s = 0; s < seconds * 1000 / each_ms; s++) {
		uint64_t ended = s % count, over = 1;

		buf_clear(&body);
		report_begin(&body,
			     &(struct report){.epoch = 1, .first = told, .ends = ends, .at = now_ns()});
		for (uint64_t i = 0; i < count; i++) {
			bool refused = i != ended && all[i].id % 150 == 7;

			over += refused;
			add_lasting(&body, &all[i], addr, refused, i == ended, &seed);
		}
		report_end(&body, (uint32_t)count);
		if (body.failed)
			die("out of memory");
		post(fd, node, &body);
		told += count;
		ends += over;
		begin(&all[ended], n, ++id, &seed);
		next.tv_nsec += (long)(each_ms * 1000000);
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	free(all);
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	uint64_t seconds = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
	uint64_t each_ms = argc > 5 ? strtoull(argv[5], NULL, 10) : 1000;
	VEC(struct addr) addr = {};
	char line[128];
	struct addr a;

	if (!count || !each_ms)
		die("bench-reports SOCKET NODE COUNT [SECONDS [EACH_MS]] <addresses");
	while (fgets(line, sizeof(line), stdin))
		if (!addr_parse(str_trim(str_of(line)), &a) && vec_push(&addr, a))
			die("out of memory");
	if (!addr.len)
		die("no address on standard input");
	int fd = connect_to(argv[1]);

	if (seconds)
		keep_telling(fd, argv[2], addr.items, addr.len, count, seconds, each_ms);
	else
		printf("{\"records\": %llu, \"seconds\": %.3f}\n", (unsigned long long)count,
		       (double)tell_all(fd, argv[2], addr.items, addr.len, count) / 1e9);
	close(fd);
	vec_free(&addr);
	return 0;
}
