/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines into a file that turns over: PATH is written, PATH.1 is the one before, and so on. A chunk is in the
 * file whole or not at all, also on a full disk and after a kill. A file that another program moved away is
 * begun anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/own.h"
#include "cli/export.h"

int file_open(struct sink *k)
{
	struct export_state *s = k->s;
	struct stat st;

	k->fd = open(k->to->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (k->fd < 0 || fstat(k->fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOTSUP;
	/* killed while it wrote: a whole chunk counts, half of one is cut off */
	if (st.st_ino == s->file_inode && s->in_write == s->written + 1) {
		if ((uint64_t)st.st_size == s->file_to)
			sink_commit(k, NULL);
		else if ((uint64_t)st.st_size > s->file_bytes && ftruncate(k->fd, (off_t)s->file_bytes))
			return -errno;
		if (fstat(k->fd, &st))
			return -errno;
	}
	s->in_write = 0;
	s->file_bytes = (uint64_t)st.st_size;
	s->file_inode = st.st_ino;
	return 0;
}

static bool was_moved(const struct sink *k)
{
	struct stat st;

	return stat(k->to->path, &st) || st.st_ino != k->s->file_inode;
}

static void reopen(struct sink *k)
{
	close(TAKE_FD(k->fd));
	k->s->in_write = 0;
	k->s->file_inode = 0;
}

/* From the oldest on, so that a kill in between loses none but the oldest. */
static int turn_over(struct sink *k)
{
	for (int64_t i = k->o->files - 1; i > 0; i--) {
		AUTO_BUF from = {};
		AUTO_BUF to = {};

		buf_addz(&from, k->to->path);
		if (i > 1)
			buf_printf(&from, ".%lld", (long long)i - 1);
		buf_printf(&to, "%s.%lld", k->to->path, (long long)i);
		if (from.failed || to.failed)
			return -ENOMEM;
		if (rename(from.p, to.p) && errno != ENOENT)
			return -errno;
	}
	if (k->o->files == 1 && unlink(k->to->path))
		return -errno;
	return 0;
}

static enum sink_result stand(struct sink *k, int error)
{
	k->disk = true;
	return sink_stand(k, "%s: %s", k->to->path, strerror(error));
}

static int write_whole(struct sink *k, const char *p, size_t n)
{
	struct export_state *s = k->s;
	size_t done = 0;

	s->file_to = s->file_bytes + n;
	s->in_write = s->written + 1;
	while (done < n) {
		ssize_t w = write(k->fd, p + done, n - done);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			int error = w < 0 ? errno : ENOSPC;

			if (!ftruncate(k->fd, (off_t)s->file_bytes))
				s->in_write = 0;
			return -error;
		}
		done += (size_t)w;
	}
	return 0;
}

/* in_write stays set where half of it may be there still: opening the file again cuts it off. */
enum sink_result file_put(struct sink *k, const char *p, const struct export_chunk *c)
{
	size_t n = c->n;
	struct export_state *s = k->s;
	uint64_t most = (uint64_t)k->o->file_size << 20;
	int r = 0;

	if (k->fd >= 0 && was_moved(k))
		reopen(k);
	if (k->fd < 0)
		r = file_open(k);
	if (!r && s->file_bytes && s->file_bytes + n > most) {
		r = turn_over(k);
		if (!r) {
			reopen(k);
			r = file_open(k);
		}
	}
	if (!r)
		r = write_whole(k, p, n);
	if (r) {
		if (k->fd >= 0)
			close(TAKE_FD(k->fd));
		return stand(k, -r);
	}
	sink_commit(k, c);
	s->file_bytes = s->file_to;
	return SINK_TAKEN;
}
