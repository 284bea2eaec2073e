/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches elements of pinned BPF maps and tells when they have a wanted value, beside the API event that made
 * them change. Started as "bench-await HUB.SOCK WATCH-PATH", it holds that watch open; then it reads lines
 *   PIN KEYHEX 0 ?                  prints the value in hex, or "absent"
 *   PIN KEYHEX MILLISECONDS VALUE   prints "armed", then two CLOCK_MONOTONIC times in ns: when bytes of the
 * watch came, and when the element had that value; or "none" and why when the time was over Resolution about
 * 30 µs: it sleeps in between, so that it takes little from what it measures. Called by bench/run; never
 * writes a map.
 */
#include <bpf/bpf.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define VALUE_MAX 256

struct element {
	int error; /* 0 or errno of the look-up */
	uint8_t value[VALUE_MAX];
};

struct pin {
	int fd;
	uint32_t value_size;
	uint8_t key[256];
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void look(int fd, const uint8_t *key, struct element *e)
{
	memset(e, 0, sizeof(*e));
	if (bpf_map_lookup_elem(fd, key, e->value) < 0)
		e->error = errno;
}

static int parse_key(const char *hex, uint8_t *key, size_t size)
{
	if (strlen(hex) != 2 * size)
		return -EINVAL;
	for (size_t i = 0; i < size; i++) {
		unsigned int byte;

		if (!isxdigit((unsigned char)hex[2 * i]) || sscanf(hex + 2 * i, "%2x", &byte) != 1)
			return -EINVAL;
		key[i] = (uint8_t)byte;
	}
	return 0;
}

/* Opens the watch; returns the socket once its head came. */
static int open_watch(const char *path, const char *request)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const struct timespec pause = {.tv_nsec = 50000000};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char buf[4096];

	if (fd < 0 || strlen(path) >= sizeof(sa.sun_path))
		return -EINVAL;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	snprintf(buf, sizeof(buf), "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n",
		 request);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    send(fd, buf, strlen(buf), MSG_NOSIGNAL) < 0 || recv(fd, buf, sizeof(buf), 0) <= 0) {
		close(fd);
		return -errno;
	}
	nanosleep(&pause, NULL);
	return fd;
}

/* Takes what the watch has sent; whether there was anything. -1: it ended. */
static int drain(int fd)
{
	char buf[65536];
	ssize_t n;
	int some = 0;

	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		some = 1;
	return n == 0 ? -1 : some;
}

static int open_pin(struct pin *p, const char *path, const char *hex)
{
	struct bpf_map_info info;
	uint32_t len = sizeof(info);

	p->fd = bpf_obj_get(path);
	if (p->fd < 0) {
		fprintf(stderr, "await: %s: %s\n", path, strerror(errno));
		return -1;
	}
	memset(&info, 0, sizeof(info));
	if (bpf_obj_get_info_by_fd(p->fd, &info, &len) < 0 || info.value_size > VALUE_MAX ||
	    info.key_size > sizeof(p->key) || parse_key(hex, p->key, info.key_size) < 0) {
		fprintf(stderr, "await: %s: a key of %u bytes is needed, not \"%s\"\n", path, info.key_size,
			hex);
		close(p->fd);
		return -1;
	}
	p->value_size = info.value_size;
	return 0;
}

static void print_value(const char *value)
{
	puts(value);
	fflush(stdout);
}

/* The element as text: hex, or "absent". The kernel may reuse an element's memory while it is copied to us;
 * two equal looks are no accident. */
static void value_text(const struct pin *p, char out[2 * VALUE_MAX + 1])
{
	struct element e, again;

	do {
		look(p->fd, p->key, &e);
		look(p->fd, p->key, &again);
	} while (memcmp(&e, &again, sizeof(e)) != 0);
	if (e.error) {
		strcpy(out, "absent");
		return;
	}
	for (uint32_t i = 0; i < p->value_size; i++)
		snprintf(out + 2 * i, 3, "%02x", e.value[i]);
}

static int wait_for(int watch, const struct pin *p, uint64_t limit_ms, const char *want)
{
	const struct timespec pause = {.tv_nsec = 20000};
	char value[2 * VALUE_MAX + 1], line[64];
	uint64_t end = now() + limit_ms * 1000000u, event = 0, kernel = 0;

	if (drain(watch) < 0) {
		fputs("await: the watch ended\n", stderr);
		return -EPIPE;
	}
	print_value("armed");
	while (!(event && kernel) && now() < end) {
		if (!event && drain(watch) > 0)
			event = now();
		if (!kernel) {
			value_text(p, value);
			if (!strcmp(value, want))
				kernel = now();
		}
		nanosleep(&pause, NULL);
	}
	if (event && kernel)
		snprintf(line, sizeof(line), "%" PRIu64 " %" PRIu64, event, kernel);
	else
		snprintf(line, sizeof(line), "none: %s", event ? "the element is another" : "no event came");
	print_value(line);
	return 0;
}

int main(int argc, char **argv)
{
	char path[512], hex[520], want[2 * VALUE_MAX + 1], value[2 * VALUE_MAX + 1];
	uint64_t limit;
	int watch, error = 0;

	if (argc != 3) {
		fputs("usage: bench-await HUB.SOCK WATCH-PATH\n", stderr);
		return 2;
	}
	watch = open_watch(argv[1], argv[2]);
	if (watch < 0) {
		fprintf(stderr, "await: %s %s: %s\n", argv[1], argv[2], strerror(-watch));
		return 1;
	}
	prctl(PR_SET_TIMERSLACK, 1UL);
	while (!error && scanf("%511s %519s %" SCNu64 " %512s", path, hex, &limit, want) == 4) {
		struct pin p;

		if (open_pin(&p, path, hex) < 0)
			return 1;
		if (want[0] == '?') {
			value_text(&p, value);
			print_value(value);
		} else {
			error = wait_for(watch, &p, limit, want);
		}
		close(p.fd);
	}
	return error ? 1 : 0;
}
