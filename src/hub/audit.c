/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: see audit.h. Both files are open from the start: the hub may not make any later. */
#include "hub/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/log.h"
#include "base/own.h"

struct audit {
	int now, before; /* descriptors */
	uint64_t bytes;
	bool failing;
};

static int open_one(const char *dir, const char *name, unsigned owner)
{
	char path[512];
	int fd = -1;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path))
		fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || (geteuid() == 0 && fchown(fd, owner, owner))) {
		log_error("%s/%s: %s", dir, name, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

int audit_open(struct audit **out, const char *dir, unsigned owner)
{
	struct audit *a = calloc(1, sizeof(*a));
	struct stat st;

	if (!a)
		return -ENOMEM;
	a->now = open_one(dir, "audit.log", owner);
	a->before = open_one(dir, "audit.log.1", owner);
	if (a->now < 0 || a->before < 0 || fstat(a->now, &st)) {
		audit_close(&a);
		return -EIO;
	}
	a->bytes = (uint64_t)st.st_size;
	*out = a;
	return 0;
}

void audit_close(struct audit **pa)
{
	struct audit *a = *pa;

	if (!a)
		return;
	if (a->now >= 0)
		close(a->now);
	if (a->before >= 0)
		close(a->before);
	free(TAKE(*pa));
}

static int turn(struct audit *a)
{
	static char part[1 << 16];
	off_t at = 0;
	ssize_t n;

	if (ftruncate(a->before, 0))
		return -errno;
	while ((n = pread(a->now, part, sizeof(part), at)) > 0) {
		if (write(a->before, part, (size_t)n) != n)
			return errno ? -errno : -ENOSPC;
		at += n;
	}
	if (n < 0 || ftruncate(a->now, 0))
		return -errno;
	a->bytes = 0;
	return 0;
}

static void add(struct buf *b, const char *key, struct str v)
{
	if (!v.n)
		return;
	buf_printf(b, ",\"%s\":", key);
	buf_json(b, v);
}

void audit_write(struct audit *a, const struct audit_line *l)
{
	AUTO_BUF b = {0};
	struct timespec t;
	struct tm tm;
	char at[32];
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &t);
	strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%S", gmtime_r(&t.tv_sec, &tm));
	buf_printf(&b, "{\"time\":\"%s.%03ldZ\",\"what\":\"%s\"", at, t.tv_nsec / 1000000, l->what);
	add(&b, "user", l->user);
	add(&b, "object", l->object);
	add(&b, "capture", l->capture);
	add(&b, "tool", l->tool);
	add(&b, "node", l->node);
	add(&b, "filter", l->filter);
	add(&b, "change", l->change);
	add(&b, "name", l->name);
	if (l->counted)
		buf_printf(&b, ",\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"dropped\":%" PRIu64,
			   l->packets, l->bytes, l->dropped);
	add(&b, "why", l->why);
	buf_addz(&b, "}\n");
	if (a->bytes + b.n > AUDIT_BYTES_MAX)
		r = turn(a);
	errno = 0;
	if (!r && (b.failed || write(a->now, b.p, b.n) != (ssize_t)b.n))
		r = errno ? -errno : -ENOSPC;
	if (!r)
		a->bytes += b.n;
	if (r && !a->failing)
		log_error("the audit log cannot be written: %s", strerror(-r));
	a->failing = r != 0;
}

static int tail_of(int fd, size_t most, struct buf *b)
{
	struct stat st;
	char part[16384];
	off_t at;
	bool cut;

	if (fstat(fd, &st))
		return -errno;
	at = (size_t)st.st_size > most ? st.st_size - (off_t)most : 0;
	cut = at > 0;
	while (at < st.st_size) {
		ssize_t n = pread(fd, part, sizeof(part), at);
		struct str piece = {part, n > 0 ? (size_t)n : 0};

		if (n <= 0)
			return n < 0 ? -errno : 0;
		at += n;
		if (cut) { /* up to where a line begins */
			const char *end = memchr(piece.p, '\n', piece.n);

			if (!end)
				continue;
			piece = (struct str){end + 1, piece.n - (size_t)(end + 1 - piece.p)};
			cut = false;
		}
		buf_adds(b, piece);
	}
	return b->failed ? -ENOMEM : 0;
}

int audit_tail(const struct audit *a, size_t most, struct buf *b)
{
	int r = a->bytes < most ? tail_of(a->before, most - (size_t)a->bytes, b) : 0;

	return r ? r : tail_of(a->now, most, b);
}
