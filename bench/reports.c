/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-reports SOCKET NODE COUNT [SECONDS [EACH_MS [ENDS [FILL]]]] <addresses: tells a hub of flows as a
 * node's observer does: COUNT ended connections between the addresses of standard input (one a line) and
 * outside hosts, numbered from 1 in an epoch of their own. Prints one JSON line: seconds until the hub has
 * them all. With SECONDS it goes on for so long: COUNT connections that stay, each between two of the
 * addresses, of each of which it tells once a second, or each EACH_MS, so that what takes hours is seen in
 * minutes; one in a hundred and fifty is refused in place of it, and one connection each time, or ENDS of
 * them, ends while another begins elsewhere. Before it FILL ended ones, so that what is bounded is full; then
 * it prints a line as above. For bench/run and tests of a hub without nodes.
 */
#include <inttypes.h>
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

enum { BATCH = 8192, OUTSIDE = 20000, FILL_BATCH = 1500, FILL_MS = 1000 };

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
			   .ended = refused || ends,
			   .first = l->first,
			   .last = now_ns()};

	if (refused) {
		r.first = r.last;
		r.packets[0] = 1;
		r.bytes[0] = 60;
	} else {
		r.id = l->id;
		l->bytes[0] += random32(seed) % 20000;
		l->bytes[1] += random32(seed) % 600000;
		r.state = ends ? STATE_CLOSED : STATE_OPEN;
		memcpy(r.bytes, l->bytes, sizeof(r.bytes));
		r.packets[0] = l->bytes[0] / 200;
		r.packets[1] = l->bytes[1] / 1000;
		r.handshake_us = 100 + (uint32_t)(l->id % 900);
		r.rtt_us[0] = 200 + random32(seed) % 30000;
		r.rtt_us[1] = 1;
	}
	report_add(b, &r);
}

struct talk {
	int fd;
	const char *node;
	const struct addr *addr;
	size_t n;
	uint64_t told, ends, id, seed;
};

static void tell(struct talk *t, struct buf *body, uint32_t count, uint64_t ends)
{
	report_end(body, count);
	if (body->failed)
		die("out of memory");
	post(t->fd, t->node, body);
	t->told += count;
	t->ends += ends;
	buf_clear(body);
}

static void report_of(const struct talk *t, struct buf *body)
{
	report_begin(body, &(struct report){.epoch = 1, .first = t->told, .ends = t->ends, .at = now_ns()});
}

/* Each between two others, a quarter of them refused: not faster than a hub with a history of 32 MiB tells
 * their keys apart. */
static void fill(struct talk *t, uint64_t count)
{
	const struct timespec pause = {.tv_sec = FILL_MS / 1000, .tv_nsec = FILL_MS % 1000 * 1000000};
	AUTO_BUF body = {};
	int64_t began = now_ns();

	while (t->told < count) {
		uint32_t some = count - t->told < FILL_BATCH ? (uint32_t)(count - t->told) : FILL_BATCH;

		report_of(t, &body);
		for (uint32_t i = 0; i < some; i++) {
			struct lasting l;

			begin(&l, t->n, ++t->id, &t->seed);
			add_lasting(&body, &l, t->addr, t->id % 4 == 0, true, &t->seed);
		}
		tell(t, &body, some, some);
		nanosleep(&pause, NULL);
	}
	printf("{\"records\": %" PRIu64 ", \"seconds\": %.3f}\n", count, (double)(now_ns() - began) / 1e9);
	fflush(stdout);
}

static void wait_for(struct timespec *next, uint64_t ms)
{
	next->tv_nsec += (long)(ms * 1000000);
	next->tv_sec += next->tv_nsec / 1000000000;
	next->tv_nsec %= 1000000000;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, next, NULL);
}

static void keep_telling(struct talk *t, uint64_t count, uint64_t times, uint64_t each_ms, uint64_t ends)
{
	AUTO_BUF body = {};
	struct lasting *all = calloc(count, sizeof(*all));
	struct timespec next;

	if (!all || count > REPORT_RECORDS_MAX || ends > count)
		die("a report holds fewer connections than that, or fewer connections end");
	for (uint64_t i = 0; i < count; i++)
		begin(&all[i], t->n, ++t->id, &t->seed);
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (uint64_t s = 0; s < times; s++) {
		uint64_t first = s * ends % count, over = ends;

		report_of(t, &body);
		for (uint64_t i = 0; i < count; i++) {
			bool last = (i + count - first) % count < ends,
			     refused = !last && all[i].id % 150 == 7;

			over += refused;
			add_lasting(&body, &all[i], t->addr, refused, last, &t->seed);
		}
		tell(t, &body, (uint32_t)count, over);
		for (uint64_t i = 0; i < ends; i++)
			begin(&all[(first + i) % count], t->n, ++t->id, &t->seed);
		wait_for(&next, each_ms);
	}
	free(all);
}

static uint64_t word(int argc, char **argv, int i, uint64_t otherwise)
{
	return argc > i ? strtoull(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	uint64_t count = word(argc, argv, 3, 0), seconds = word(argc, argv, 4, 0),
		 each_ms = word(argc, argv, 5, 1000);
	VEC(struct addr) addr = {};
	char line[128];
	struct addr a;

	if (!count || !each_ms)
		die("bench-reports SOCKET NODE COUNT [SECONDS [EACH_MS [ENDS [FILL]]]] <addresses");
	while (fgets(line, sizeof(line), stdin))
		if (!addr_parse(str_trim(str_of(line)), &a) && vec_push(&addr, a))
			die("out of memory");
	if (!addr.len)
		die("no address on standard input");
	int fd = connect_to(argv[1]);
	struct talk t = {.fd = fd, .node = argv[2], .addr = addr.items, .n = addr.len, .seed = 1};

	if (seconds && addr.len < 2)
		die("connections that stay need two addresses");
	if (argc > 7)
		fill(&t, word(argc, argv, 7, 0));
	if (seconds)
		keep_telling(&t, count, seconds * 1000 / each_ms, each_ms, word(argc, argv, 6, 1));
	else
		printf("{\"records\": %llu, \"seconds\": %.3f}\n", (unsigned long long)count,
		       (double)tell_all(fd, argv[2], addr.items, addr.len, count) / 1e9);
	close(fd);
	vec_free(&addr);
	return 0;
}
