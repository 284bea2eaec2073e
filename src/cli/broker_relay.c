/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One stream of weft-copier for one reader: bytes go through as they are, and are counted as they pass. A
 * process of its own, nobody's, sealed: it reads what strangers sent, and waits for its reader as long as
 * that takes; weft-copier drops and counts what finds no room meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/privilege.h"
#include "base/clock.h"
#include "base/own.h"
#include "cli/broker.h"
#include "cli/broker_door.h"
#include "pcapng/read.h"

enum { CLIENT = 3, COPIER, SUMS, FREE, TELL_MS = 1000, HEAD_MAX = 8192 };

struct relay {
	struct buf head; /* of the answer, until it is whole */
	bool begun, broken;
	size_t chunk;	   /* bytes of it that are to come */
	struct buf line;   /* in which its size stands */
	struct buf blocks; /* not counted yet */
	struct pcapng_reader reader;
	VEC(uint64_t) dropped; /* by interface */
	struct relay_sums sums;
	uint64_t told_ms;
};

static void note_dropped(struct relay *r, const struct pcapng_statistics *s)
{
	while (r->dropped.len <= s->interface)
		if (vec_push(&r->dropped, 0))
			return;
	uint64_t *was = &r->dropped.items[s->interface];

	if (s->has_os_dropped && s->os_dropped > *was) {
		r->sums.dropped += s->os_dropped - *was;
		*was = s->os_dropped;
	}
}

static void count(struct relay *r, const char *p, size_t n)
{
	struct pcapng_block b;
	int e;

	buf_add(&r->blocks, p, n);
	struct str rest = buf_str(&r->blocks);

	while ((e = pcapng_read(&r->reader, &rest, &b)) > 0) {
		if (b.kind == PCAPNG_PACKET) {
			r->sums.packets++;
			r->sums.bytes += b.packet.caplen;
		} else if (b.kind == PCAPNG_STATISTICS) {
			note_dropped(r, &b.statistics);
		}
	}
	r->broken |= e < 0 || r->blocks.failed;
	buf_drop(&r->blocks, r->blocks.n - rest.n);
}

/* Chunks: a line with the size in hexadecimal, the bytes, an empty line. */
static void unchunk(struct relay *r, const char *p, size_t n)
{
	while (n && !r->broken) {
		if (r->chunk) {
			size_t take = n < r->chunk ? n : r->chunk;

			count(r, p, take);
			r->chunk -= take;
			p += take;
			n -= take;
			continue;
		}
		if (*p == '\n' && r->line.n) {
			buf_addc(&r->line, 0);
			r->chunk = strtoul(r->line.p, NULL, 16);
			buf_clear(&r->line);
		} else if (*p != '\r' && *p != '\n') {
			buf_addc(&r->line, *p);
			r->broken |= r->line.n > 16;
		}
		p++;
		n--;
	}
}

static void tell(struct relay *r)
{
	r->told_ms = clock_ms();
	if (write(SUMS, &r->sums, sizeof(r->sums)) < 0)
		return; /* the broker asks again, or has ended */
}

static void take(struct relay *r, const char *p, size_t n)
{
	const char *end;

	if (r->begun) {
		unchunk(r, p, n);
		return;
	}
	buf_add(&r->head, p, n);
	end = memmem(r->head.p, r->head.n, "\r\n\r\n", 4);
	if (!end || !str_starts(buf_str(&r->head), STR("HTTP/1.1 200 ")))
		return;
	r->begun = true;
	tell(r);
	unchunk(r, end + 4, r->head.n - (size_t)(end + 4 - r->head.p));
}

static bool hand_on(const char *p, size_t n)
{
	while (n) {
		ssize_t done = send(CLIENT, p, n, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		p += done;
		n -= (size_t)done;
	}
	return true;
}

static void run(struct relay *r)
{
	static char bytes[64 << 10];

	for (;;) {
		struct pollfd p[] = {{.fd = COPIER, .events = POLLIN}, {.fd = CLIENT, .events = POLLIN}};

		if (poll(p, ARRAY_LEN(p), TELL_MS) < 0 && errno != EINTR)
			return;
		if (p[1].revents && recv(CLIENT, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
			return; /* it left */
		if (p[0].revents) {
			ssize_t n = read(COPIER, bytes, sizeof(bytes));

			if (n <= 0 || !hand_on(bytes, (size_t)n))
				return;
			take(r, bytes, (size_t)n);
			if (!r->begun && r->head.n > HEAD_MAX)
				return;
		}
		if (r->begun && clock_ms() - r->told_ms >= TELL_MS)
			tell(r);
	}
}

static int drop_all(int client, int copier, int sums)
{
	if (dup2(client, FREE + 10) < 0 || dup2(copier, FREE + 11) < 0 || dup2(sums, FREE + 12) < 0 ||
	    dup2(FREE + 10, CLIENT) < 0 || dup2(FREE + 11, COPIER) < 0 || dup2(FREE + 12, SUMS) < 0 ||
	    close_range(FREE, ~0u, 0))
		return -errno;
	for (int fd = CLIENT; fd < FREE; fd++)
		if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK))
			return -errno;
	int r = privilege_drop(0);

	if (!r && prctl(PR_SET_PDEATHSIG, SIGKILL))
		r = -errno;
	return r ? r : broker_seal();
}

static void child(const char *path, int client, int copier, int sums)
{
	static struct relay r;
	char ask[512];
	int n = snprintf(ask, sizeof(ask), "GET %s HTTP/1.1\r\nHost: copier\r\n\r\n", path);

	if (n >= (int)sizeof(ask) || drop_all(client, copier, sums) || write(COPIER, ask, (size_t)n) != n)
		_exit(1);
	run(&r);
	if (r.begun)
		tell(&r);
	_exit(0);
}

int relay_start(const char *path, int client, int copier, int *sums_fd, int *pid)
{
	int pair[2];
	pid_t made;

	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	made = fork();
	if (!made)
		child(path, client, copier, pair[1]);
	close(pair[1]);
	if (made < 0) {
		int e = errno;

		close(pair[0]);
		return -e;
	}
	*sums_fd = pair[0];
	*pid = made;
	return 0;
}
