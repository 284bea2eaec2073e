/* SPDX-License-Identifier: Apache-2.0 */
/* Files of pcapng blocks: see file.h. */
#include "pcapng/file.h"

#include "base/own.h"
#include "base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BUFFER = 64 * 1024, BLOCK_PACKET = 6 };

struct pcapng_file {
	struct pcapng_file_options o;
	char *path; /* as given; NULL: attached */
	char *now;  /* the open one */
	int fd;
	bool whole_files;    /* regular: can be cut back */
	bool row;	     /* numbered files */
	struct buf head;     /* section, interfaces, names: what each file begins with */
	struct buf gathered; /* whole blocks, not written yet */
	uint64_t gathered_packets;
	uint64_t packets, bytes; /* whole, in the open file */
	bool begun;		 /* the open file has a packet, gathered or written */
	uint64_t first;		 /* time of that */
	VEC(uint64_t) last;	 /* by interface: time of its last packet */
	VEC(struct str) comments;
	struct pcapng_totals t;
};

/* Bytes and packets of the whole blocks within the first n gathered bytes. */
static size_t whole_blocks(const struct pcapng_file *f, size_t n, uint64_t *packets)
{
	const uint8_t *p = (const uint8_t *)f->gathered.p;
	size_t at = 0;

	*packets = 0;
	while (n - at >= 12) {
		uint32_t type = p[at], size = (uint32_t)p[at + 7] << 24 | (uint32_t)p[at + 6] << 16 |
					      (uint32_t)p[at + 5] << 8 | p[at + 4];

		if (size > n - at)
			break;
		*packets += type == BLOCK_PACKET;
		at += size;
	}
	return at;
}

static int failed(struct pcapng_file *f, int error)
{
	if (!f->t.error)
		f->t.error = error;
	f->t.lost += f->gathered_packets;
	f->gathered_packets = 0;
	return f->t.error;
}

static void account(struct pcapng_file *f, size_t bytes, uint64_t packets)
{
	f->bytes += bytes;
	f->packets += packets;
	f->t.bytes += bytes;
	f->t.packets += packets;
	f->gathered_packets -= packets;
}

int pcapng_file_flush(struct pcapng_file *f)
{
	size_t done = 0;
	uint64_t packets;
	int r;

	if (f->t.error)
		return f->t.error;
	while (done < f->gathered.n) {
		ssize_t n = write(f->fd, f->gathered.p + done, f->gathered.n - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		done += (size_t)n;
	}
	if (done == f->gathered.n) {
		account(f, done, f->gathered_packets);
		buf_clear(&f->gathered);
		return 0;
	}
	r = -errno;
	done = whole_blocks(f, done, &packets);
	account(f, done, packets);
	buf_clear(&f->gathered);
	if (f->whole_files && ftruncate(f->fd, (off_t)f->bytes) < 0)
		r = -errno;
	return failed(f, r);
}

bool pcapng_file_left(const struct pcapng_file *f)
{
	struct pollfd p = {.fd = f->fd};

	return !f->whole_files && poll(&p, 1, 0) > 0 && p.revents & (POLLERR | POLLHUP);
}

static int name_of(const struct pcapng_file *f, uint32_t number, char **out)
{
	const char *slash = strrchr(f->path, '/'), *dot = strrchr(slash ? slash : f->path, '.');
	size_t stem = dot && dot != (slash ? slash + 1 : f->path) ? (size_t)(dot - f->path) : strlen(f->path);
	int n = f->row ? asprintf(out, "%.*s-%05u%s", (int)stem, f->path, number, f->path + stem)
		       : asprintf(out, "%s", f->path);

	return n < 0 ? -ENOMEM : 0;
}

/* Never through a link that somebody has put there. */
static int open_name(const struct pcapng_file *f, const char *name)
{
	struct open_how how = {.flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			       .mode = 0600,
			       .resolve = f->o.beneath ? RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS : 0};

	return (int)syscall(SYS_openat2, AT_FDCWD, name, &how, sizeof(how));
}

static int open_next(struct pcapng_file *f)
{
	AUTO_FD int fd = -1;
	AUTO_MEM char *name = NULL;
	struct stat st;
	int r = name_of(f, f->o.first + f->t.files, &name);

	if (r)
		return r;
	fd = f->row && f->o.open ? f->o.open(f->o.ctx, f->o.first + f->t.files) : open_name(f, name);
	if (fd < 0 && f->row && f->o.open)
		return fd;
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	f->whole_files = S_ISREG(st.st_mode);
	f->fd = TAKE_FD(fd);
	free(f->now);
	f->now = TAKE(name);
	f->t.files++;
	f->begun = false;
	f->packets = f->bytes = 0;
	buf_adds(&f->gathered, buf_str(&f->head));
	return f->gathered.failed ? -ENOMEM : 0;
}

static void remove_old(const struct pcapng_file *f)
{
	AUTO_MEM char *name = NULL;
	uint32_t now = f->o.first + f->t.files - 1;

	if (!f->o.open && f->o.keep && now > f->o.keep && !name_of(f, now - f->o.keep, &name))
		unlink(name);
}

static int close_one(struct pcapng_file *f)
{
	int r = pcapng_file_flush(f);

	if (f->path && f->fd >= 0 && close(TAKE_FD(f->fd)) < 0)
		r = failed(f, -errno);
	if (f->now && f->o.done)
		f->o.done(f->o.ctx, f->now, f->packets, f->bytes);
	return r;
}

static int turn_over(struct pcapng_file *f)
{
	int r = close_one(f);

	if (!r)
		r = open_next(f);
	if (r)
		return failed(f, r);
	remove_old(f);
	return 0;
}

static void file_free(struct pcapng_file **file)
{
	struct pcapng_file *f = TAKE(*file);

	if (!f)
		return;
	if (f->path && f->fd >= 0)
		close(f->fd);
	free(f->path);
	free(f->now);
	buf_fini(&f->head);
	buf_fini(&f->gathered);
	vec_free(&f->last);
	vec_free(&f->comments);
	free(f);
}
OWN_DEFINE(file, struct pcapng_file, file_free)

static int file_new(struct pcapng_file **out, const struct pcapng_section *section,
		    const struct pcapng_file_options *options)
{
	AUTO(own_file) struct pcapng_file *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->fd = -1;
	if (options)
		f->o = *options;
	if (!f->o.buffer)
		f->o.buffer = BUFFER;
	if (!f->o.first)
		f->o.first = 1;
	r = pcapng_put_section(&f->head, section);
	if (!r)
		*out = TAKE(f);
	return r;
}

int pcapng_file_open(struct pcapng_file **out, const char *path, const struct pcapng_section *section,
		     const struct pcapng_file_options *options)
{
	AUTO(own_file) struct pcapng_file *f = NULL;
	int r = file_new(&f, section, options);

	if (r)
		return r;
	f->row = f->o.max_bytes || f->o.max_time;
	f->path = strdup(path);
	r = f->path ? open_next(f) : -ENOMEM;
	if (!r)
		*out = TAKE(f);
	return r;
}

int pcapng_file_attach(struct pcapng_file **out, int fd, const struct pcapng_section *section,
		       const struct pcapng_file_options *options)
{
	AUTO(own_file) struct pcapng_file *f = NULL;
	int r = file_new(&f, section, options);

	if (r)
		return r;
	f->fd = fd;
	f->t.files = 1;
	buf_adds(&f->gathered, buf_str(&f->head));
	if (f->gathered.failed)
		return -ENOMEM;
	*out = TAKE(f);
	return 0;
}

/* What was put at the end of `head` goes to the open file, too. */
static int put_head(struct pcapng_file *f, size_t from, int r)
{
	if (r)
		return r;
	buf_add(&f->gathered, f->head.p + from, f->head.n - from);
	return f->gathered.failed ? failed(f, -ENOMEM) : 0;
}

int pcapng_file_interface(struct pcapng_file *f, const struct pcapng_interface *i, uint32_t *number)
{
	size_t from = f->head.n;
	int r = f->t.error ? f->t.error : vec_push(&f->last, 0);

	if (r)
		return r;
	r = put_head(f, from, pcapng_put_interface(&f->head, i));
	if (r)
		f->last.len--;
	else
		*number = (uint32_t)f->last.len - 1;
	return r;
}

int pcapng_file_names(struct pcapng_file *f, const struct pcapng_name *names, size_t n)
{
	size_t from = f->head.n;

	return f->t.error ? f->t.error : put_head(f, from, pcapng_put_names(&f->head, names, n));
}

static int put_turned(struct pcapng_file *f, const struct pcapng_packet *p, uint64_t last)
{
	struct pcapng_packet q = *p;
	char text[64];
	struct str said = {text, 0};

	said.n = (size_t)snprintf(text, sizeof(text), "time as it came: %llu.%09llu",
				  (unsigned long long)(p->time / 1000000000),
				  (unsigned long long)(p->time % 1000000000));
	f->comments.len = 0;
	for (unsigned i = 0; i < p->comments_n; i++)
		if (vec_push(&f->comments, p->comments[i]))
			return -ENOMEM;
	if (vec_push(&f->comments, said))
		return -ENOMEM;
	q.time = last;
	q.comments = f->comments.items;
	q.comments_n = (unsigned)f->comments.len;
	return pcapng_put_packet(&f->gathered, &q);
}

static bool is_full(const struct pcapng_file *f, const struct pcapng_packet *p, uint64_t time)
{
	uint64_t bytes = f->bytes + f->gathered.n + p->caplen + 32;

	return f->row && f->begun &&
	       ((f->o.max_bytes && bytes > f->o.max_bytes) ||
		(f->o.max_time && time >= f->first && time - f->first >= f->o.max_time));
}

int pcapng_file_packet(struct pcapng_file *f, const struct pcapng_packet *p)
{
	uint64_t time;
	int r = f->t.error;

	if (!r && p->interface >= f->last.len)
		r = -EINVAL;
	if (!r) {
		time = p->time < f->last.items[p->interface] ? f->last.items[p->interface] : p->time;
		if (is_full(f, p, time))
			r = turn_over(f);
	}
	if (!r)
		r = time == p->time ? pcapng_put_packet(&f->gathered, p) : put_turned(f, p, time);
	if (r) {
		f->t.lost++;
		return r == -ENOMEM ? failed(f, r) : r;
	}
	f->t.turned += time != p->time;
	f->last.items[p->interface] = time;
	if (!f->begun)
		f->first = time;
	f->begun = true;
	f->gathered_packets++;
	return f->gathered.n < f->o.buffer ? 0 : pcapng_file_flush(f);
}

int pcapng_file_statistics(struct pcapng_file *f, const struct pcapng_statistics *s)
{
	int r = f->t.error ? f->t.error : s->interface < f->last.len ? 0 : -EINVAL;

	return r ? r : pcapng_put_statistics(&f->gathered, s);
}

void pcapng_file_totals(const struct pcapng_file *f, struct pcapng_totals *out)
{
	*out = f->t;
}

int pcapng_file_close(struct pcapng_file **file, struct pcapng_totals *totals)
{
	struct pcapng_file *f = *file;
	int r = close_one(f);

	if (totals)
		*totals = f->t;
	file_free(file);
	return r;
}
