/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches elements of pinned BPF maps and tells when they change, beside the API event that made them change.
 * Started as "bench-await HUB.SOCK WATCH-PATH", it holds that watch open; then it reads lines "PIN KEYHEX
 * MILLISECONDS", and for each prints "armed" and then two CLOCK_MONOTONIC times in ns: when bytes of the
 * watch came, and when the element first differed (appeared, vanished, or got another value); or "none" when
 * the time was over. Resolution about 30 µs: it sleeps in between, so that it takes little from what it
 * measures. Called by bench/run; never writes a map.
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

static int open_pin(const char *pin, const char *hex, uint8_t *key, size_t room)
{
	struct bpf_map_info info;
	uint32_t len = sizeof(info);
	int fd = bpf_obj_get(pin);

	if (fd < 0) {
		fprintf(stderr, "await: %s: %s\n", pin, strerror(errno));
		return -1;
	}
	memset(&info, 0, sizeof(info));
	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0 || info.value_size > VALUE_MAX ||
	    info.key_size > room || parse_key(hex, key, info.key_size) < 0) {
		fprintf(stderr, "await: %s: a key of %u bytes is needed, not \"%s\"\n", pin, info.key_size,
			hex);
		close(fd);
		return -1;
	}
	return fd;
}

static int wait_for(int watch, const char *pin, const char *hex, uint64_t limit_ms)
{
	const struct timespec pause = {.tv_nsec = 20000};
	struct element before, after;
	uint64_t end, event = 0, kernel = 0;
	uint8_t key[256];
	int fd = open_pin(pin, hex, key, sizeof(key));

	if (fd < 0)
		return 1;
	look(fd, key, &before);
	if (drain(watch) < 0) {
		fputs("await: the watch ended\n", stderr);
		close(fd);
		return 1;
	}
	puts("armed");
	fflush(stdout);
	end = now() + limit_ms * 1000000u;
	do {
		if (!event && drain(watch) > 0)
			event = now();
		if (!kernel) {
			look(fd, key, &after);
			if (memcmp(&before, &after, sizeof(before)) != 0)
				kernel = now();
		}
		if (event && kernel)
			break;
		nanosleep(&pause, NULL);
	} while (now() < end);
	if (event && kernel)
		printf("%" PRIu64 " %" PRIu64 "\n", event, kernel);
	else
		printf("none: %s\n", event ? "the element did not change" : "no event came");
	fflush(stdout);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	char pin[512], hex[520];
	uint64_t limit;
	int watch;

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
	while (scanf("%511s %519s %" SCNu64, pin, hex, &limit) == 3) {
		if (wait_for(watch, pin, hex, limit))
			return 1;
	}
	return 0;
}
