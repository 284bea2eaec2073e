/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many watches of the hub while objects change at a steady rate. Opens WATCHES watches of ConfigMaps ("own":
 * each of one object by a field selector, as kubelets watch their node; "all": each of all of them), changes
 * the objects one after the other by merge patches that carry their number and the time, and reads what the
 * watches tell. Prints one JSON line: changes made, events that had to come and that came, and how long after
 * its request each came. The objects w0 … are there before. Called by bench/run.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define WRITERS	 32
#define OBJECTS	 1000
#define BUCKETS	 200000 /* of 100 µs */
#define BUFFER	 (256 << 10)
#define MARK	 "\"at\":\""
#define MARK_MAX 40 /* the mark, digits and the quote after them */
#define PATH	 "/api/v1/namespaces/bench/configmaps"

struct watch {
	int fd;
	/* HTTP: the head, then chunks */
	unsigned newlines; /* in a row, within the head: 2 end it */
	int in_body;
	uint64_t chunk; /* bytes of this chunk still to come */
	char line[32];	/* of a chunk's size */
	unsigned line_n;
	char tail[MARK_MAX]; /* end of what was looked at: a mark may lie across */
	unsigned tail_n;
};

static const char *hub;
static uint64_t rate, seconds, made, refused;
static atomic_uint running;
static uint32_t lag[BUCKETS];
static uint64_t started = UINT64_MAX, received, worst_us, heard; /* heard: ns, of the last bytes */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "watch: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t due)
{
	struct timespec t = {.tv_sec = (time_t)(due / 1000000000u), .tv_nsec = (long)(due % 1000000000u)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static int dial(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(hub) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		die(hub);
	}
	memcpy(sa.sun_path, hub, strlen(hub) + 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		die(hub);
	return fd;
}

static void open_watch(struct watch *w, unsigned i, int all)
{
	char request[512], selector[64];
	int n;

	snprintf(selector, sizeof(selector), "&fieldSelector=metadata.name%%3Dw%u", i % OBJECTS);
	n = snprintf(
	    request, sizeof(request),
	    "GET " PATH
	    "?watch=1&timeoutSeconds=600%s HTTP/1.1\r\nHost: hub\r\nAccept: application/json\r\n\r\n",
	    all ? "" : selector);
	w->fd = dial();
	if (send(w->fd, request, (size_t)n, MSG_NOSIGNAL) != n)
		die("send");
}

static void count(uint64_t at)
{
	uint64_t us = (now() - at) / 1000, bucket = us / 100;

	received++;
	worst_us = us > worst_us ? us : worst_us;
	lag[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

/* Looks for marks in bytes of events; returns how many of the last bytes to look at again with the next. */
static size_t look(const char *p, size_t n)
{
	const char *end = p + n, *at = p;

	while ((at = memmem(at, (size_t)(end - at), MARK, sizeof(MARK) - 1))) {
		const char *digits = at + sizeof(MARK) - 1, *quote;
		uint64_t written;

		quote = memchr(digits, '"', (size_t)(end - digits));
		if (!quote)
			return (size_t)(end - at) < MARK_MAX ? (size_t)(end - at) : 0;
		written = strtoull(digits, NULL, 10);
		if (written >= started) /* else the object as it was before */
			count(written);
		at = quote;
	}
	return n < sizeof(MARK) - 2 ? n : sizeof(MARK) - 2;
}

static void events(struct watch *w, const char *p, size_t n)
{
	static char joined[BUFFER + 2 * MARK_MAX];
	size_t keep;

	memcpy(joined, w->tail, w->tail_n);
	memcpy(joined + w->tail_n, p, n);
	n += w->tail_n;
	keep = look(joined, n);
	memcpy(w->tail, joined + n - keep, keep);
	w->tail_n = (unsigned)keep;
}

static size_t head(struct watch *w, const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && !w->in_body; i++) {
		if (p[i] == '\n')
			w->in_body = ++w->newlines == 2;
		else if (p[i] != '\r')
			w->newlines = 0;
	}
	return i;
}

/* The line with a chunk's size, or the empty one before it. */
static size_t size_line(struct watch *w, const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] != '\n') {
		if (w->line_n + 1 < sizeof(w->line))
			w->line[w->line_n++] = p[i];
		i++;
	}
	if (i == n)
		return n;
	w->line[w->line_n] = '\0';
	w->chunk = strtoull(w->line, NULL, 16);
	w->line_n = 0;
	return i + 1;
}

static void take(struct watch *w, const char *p, size_t n)
{
	while (n) {
		size_t used;

		if (!w->in_body) {
			used = head(w, p, n);
		} else if (!w->chunk) {
			used = size_line(w, p, n);
		} else {
			used = n < w->chunk ? n : (size_t)w->chunk;
			events(w, p, used);
			w->chunk -= used;
		}
		p += used;
		n -= used;
	}
}

/* Reads one answer; its status. */
static int answer(int fd)
{
	static _Thread_local char buf[65536];
	size_t have = 0, want = 0;

	for (;;) {
		ssize_t n = recv(fd, buf + have, sizeof(buf) - 1 - have, 0);
		const char *body, *length;

		if (n <= 0)
			return 0;
		have += (size_t)n;
		buf[have] = '\0';
		body = strstr(buf, "\r\n\r\n");
		if (!body)
			continue;
		length = strcasestr(buf, "\r\nContent-Length:");
		want = (size_t)(body + 4 - buf) + (length ? strtoull(length + 17, NULL, 10) : 0);
		if (have >= want || want >= sizeof(buf))
			return atoi(buf + 9);
	}
}

static int change(int fd, uint64_t number)
{
	char request[512], body[128];
	int n, b = snprintf(body, sizeof(body), "{\"data\":{\"at\":\"%" PRIu64 "\",\"n\":\"%" PRIu64 "\"}}",
			    now(), number);

	n = snprintf(request, sizeof(request),
		     "PATCH " PATH
		     "/w%u HTTP/1.1\r\nHost: hub\r\nContent-Type: application/merge-patch+json\r\n"
		     "Content-Length: %d\r\n\r\n%s",
		     (unsigned)(number % OBJECTS), b, body);
	if (send(fd, request, (size_t)n, MSG_NOSIGNAL) != n)
		return 0;
	return answer(fd);
}

/* Every WRITERS-th change, each at its time; one that is late does not shift those after it. */
static void *writer(void *ctx)
{
	uint64_t first = (uint64_t)(uintptr_t)ctx, began = now(), good = 0, bad = 0;
	int fd = dial();

	for (uint64_t i = first; i < rate * seconds; i += WRITERS) {
		int status;

		sleep_until(began + i * 1000000000u / rate);
		status = change(fd, i);
		if (status == 200)
			good++;
		else if (++bad == 1)
			fprintf(stderr, "watch: a change was answered with status %d\n", status);
		if (bad > 10)
			break;
	}
	close(fd);
	pthread_mutex_lock(&lock);
	made += good;
	refused += bad;
	pthread_mutex_unlock(&lock);
	atomic_fetch_sub(&running, 1);
	return NULL;
}

/* One turn of the loop; how many watches ended. */
static unsigned turn(int ep, struct watch *w, int wait_ms)
{
	static char buf[BUFFER];
	struct epoll_event e[256];
	int n = epoll_wait(ep, e, 256, wait_ms);
	unsigned gone = 0;

	for (int i = 0; i < n; i++) {
		struct watch *one = &w[e[i].data.u32];
		ssize_t got = recv(one->fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (got > 0) {
			heard = now();
			take(one, buf, (size_t)got);
		} else if (got == 0 || errno != EAGAIN) {
			epoll_ctl(ep, EPOLL_CTL_DEL, one->fd, NULL);
			gone++;
		}
	}
	return gone;
}

static double percentile(double p)
{
	uint64_t want = (uint64_t)((double)received * p), sum = 0;

	for (unsigned i = 0; i < BUCKETS; i++) {
		sum += lag[i];
		if (sum > want)
			return (i + 1) / 10.0;
	}
	return 0;
}

static unsigned heads(const struct watch *w, unsigned n)
{
	unsigned open = 0;

	for (unsigned i = 0; i < n; i++)
		open += w[i].in_body != 0;
	return open;
}

int main(int argc, char **argv)
{
	struct rlimit files = {.rlim_cur = 65536, .rlim_max = 65536};
	pthread_t thread[WRITERS];
	struct watch *w;
	unsigned n, gone = 0, all;
	uint64_t end, began, took, expected;
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (argc != 6) {
		fputs("usage: bench-watch HUB.SOCK WATCHES own|all CHANGES-PER-SECOND SECONDS\n", stderr);
		return 2;
	}
	hub = argv[1];
	n = (unsigned)atoi(argv[2]);
	all = !strcmp(argv[3], "all");
	rate = (uint64_t)atoi(argv[4]);
	seconds = (uint64_t)atoi(argv[5]);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	w = calloc(n, sizeof(*w));
	if (!w || ep < 0 || !n || !rate || !seconds)
		die("start");
	for (unsigned i = 0; i < n; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};

		open_watch(&w[i], i, (int)all);
		if (epoll_ctl(ep, EPOLL_CTL_ADD, w[i].fd, &e) < 0)
			die("epoll_ctl");
	}
	/* Each watch has answered, and has told what was there. */
	for (end = now() + 30000000000u; heads(w, n) < n && now() < end;)
		gone += turn(ep, w, 100);
	for (heard = now(); now() < heard + 300000000u;)
		gone += turn(ep, w, 50);
	atomic_store(&running, WRITERS);
	started = began = now();
	for (uintptr_t i = 0; i < WRITERS; i++)
		if (pthread_create(&thread[i], NULL, writer, (void *)i))
			die("pthread_create");
	while (atomic_load(&running))
		gone += turn(ep, w, 10);
	took = now() - began;
	expected =
	    all ? made * n : made * n / OBJECTS; /* n own watches: of as many objects, or of each alike */
	for (end = now() + 10000000000u; received < expected && now() < end;)
		gone += turn(ep, w, 10);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(thread[i], NULL);
	printf("{\"made\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"expected\":%" PRIu64 ",\"received\":%" PRIu64
	       ",\"ended\":%u,\"write_seconds\":%.3f,\"seconds\":%.3f,\"p50_ms\":%.1f,\"p99_ms\":%.1f,\"max_"
	       "ms\":%.1f}\n",
	       made, refused, expected, received, gone, (double)took / 1e9, (double)(now() - began) / 1e9,
	       percentile(0.5), percentile(0.99), (double)worst_us / 1000);
	return 0;
}
