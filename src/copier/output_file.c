/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies that become a pcapng file, or a row of files. Each file has a thread of its own, which alone touches
 * the disk: a disk that stands still fills this tool's queue and delays nobody. What was there under the same
 * name is kept under another one.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "copier/kept.h"

enum {
	QUEUE_BYTES = 8 << 20,
	FLUSH_MS = 500, /* what is gathered is written at least so often */
	WAKE_BYTES = 64 << 10,
};

struct filed {
	struct output o;
	char *path, *about; /* about: the tool's names, for messages */
	struct pcapng_file_options options;
	struct buf section_text;
	struct pcapng_section section;
	struct output_name *names;
	size_t names_n;
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under the lock. */
	struct buf queue;
	uint64_t queued;      /* packets in it */
	struct roster roster; /* only grows */
	bool ending, ended;
	uint64_t taken;		/* packets that the thread has: neither written nor lost yet */
	uint64_t worked;	/* that it had */
	struct pcapng_totals t; /* of its file; what was worked and is not in it is lost */
	uint64_t ring_lost;
	/* The loop's own. */
	uint64_t lost;
	/* The thread's own. */
	struct pcapng_file *file;
	struct sheet sheet;
	struct roster known;
};

/* Folders, and nothing that only leads to one. */
static int make_parents(const char *path)
{
	AUTO_MEM char *copy = strdup(path);
	struct stat st;

	for (char *p = copy; p && (p = strchr(p, '/')); p++) {
		*p = 0;
		if ((mkdir(copy, 0700) && errno != EEXIST) || lstat(copy, &st))
			return -errno;
		if (!S_ISDIR(st.st_mode))
			return S_ISLNK(st.st_mode) ? -ELOOP : -ENOTDIR;
		*p = '/';
	}
	return copy ? 0 : -ENOMEM;
}

static bool is_free(const char *name)
{
	struct stat st;

	return lstat(name, &st) || (!st.st_size && !S_ISLNK(st.st_mode));
}

static int stem_of(const char *path)
{
	const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');

	return dot && dot != (slash ? slash + 1 : path) ? (int)(dot - path) : (int)strlen(path);
}

/* A single file that an earlier run has left becomes NAME.1.pcapng, .2 and so on; a row goes on behind its
 * last number. */
static int keep_earlier(struct filed *f, bool row)
{
	int stem = stem_of(f->path);
	struct stat st;

	if (!lstat(f->path, &st) && S_ISLNK(st.st_mode))
		return -ELOOP;
	for (uint32_t n = 1; n < 100000; n++) {
		AUTO_MEM char *name = NULL;

		if (asprintf(&name, row ? "%.*s-%05u%s" : "%.*s.%u%s", stem, f->path, n, f->path + stem) <
		    0) {
			name = NULL;
			return -ENOMEM;
		}
		if (!is_free(name))
			continue;
		f->options.first = n;
		if (row || is_free(f->path))
			return 0;
		return rename(f->path, name) ? -errno : 0;
	}
	return -EEXIST;
}

/* What the file begins with, as its node was called when the output was made. */
static void put_names(struct filed *f)
{
	AUTO_MEM struct pcapng_name *names = calloc(f->names_n + 1, sizeof(*names));

	for (size_t i = 0; names && i < f->names_n; i++)
		names[i] = (struct pcapng_name){f->names[i].addr, str_of(f->names[i].name)};
	if (names && f->names_n)
		pcapng_file_names(f->file, names, f->names_n);
}

/* In the thread: a folder may stand still as a file may. */
static int open_file(struct filed *f)
{
	int r = make_parents(f->path);

	if (!r)
		r = keep_earlier(f, f->options.max_bytes || f->options.max_time);
	if (!r)
		r = pcapng_file_open(&f->file, f->path, &f->section, &f->options);
	if (r) {
		log_error("%s: %s: %s", f->about, f->path, strerror(-r));
		return r;
	}
	f->sheet.file = f->file;
	put_names(f);
	pcapng_file_flush(f->file);
	return 0;
}

static void work(struct filed *f, const struct buf *batch, uint64_t ring_lost, bool last)
{
	struct pcapng_totals before, after;

	pcapng_file_totals(f->file, &before);
	for (size_t at = 0; at < batch->n;) {
		const struct kept *r = (const struct kept *)(const void *)(batch->p + at);

		sheet_record(&f->sheet, &f->known, r);
		at += r->size;
	}
	if (last)
		sheet_statistics(&f->sheet, (uint64_t)clock_wall() * 1000000000u, ring_lost);
	pcapng_file_flush(f->file);
	pcapng_file_totals(f->file, &after);
	if (after.error && !before.error)
		log_error("%s: %s: %s: nothing more is written to it", f->about, f->path,
			  strerror(-after.error));
}

/* Places that are new, for the thread; under the lock. */
static void learn_places(struct filed *f)
{
	for (size_t i = f->known.list.len; i < f->roster.list.len; i++) {
		struct roster_place p = f->roster.list.items[i];

		p.name = strdup(p.name);
		if (!p.name || vec_push(&f->known.list, p)) {
			free(p.name);
			return;
		}
	}
}

/* Waits for packets, and takes all there are: how many. */
static uint64_t take_batch(struct filed *f, struct buf *batch, uint64_t *ring_lost, bool *last)
{
	struct timespec until;
	struct buf full;
	uint64_t n;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += FLUSH_MS * 1000000l;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&f->lock);
	while (!f->queued && !f->ending)
		if (pthread_cond_timedwait(&f->wake, &f->lock, &until))
			break;
	n = f->queued;
	*last = f->ending;
	*ring_lost = f->ring_lost;
	full = f->queue;
	f->queue = *batch;
	*batch = full;
	f->queued = 0;
	f->taken = n;
	learn_places(f);
	pthread_mutex_unlock(&f->lock);
	return n;
}

static void *run(void *ctx)
{
	struct filed *f = ctx;
	AUTO_BUF batch = {0};
	int r = open_file(f);
	bool last = false;

	while (!last) {
		uint64_t ring_lost, n = take_batch(f, &batch, &ring_lost, &last);

		if (!r)
			work(f, &batch, ring_lost, last);
		buf_clear(&batch);
		pthread_mutex_lock(&f->lock);
		f->taken = 0;
		f->worked += n;
		if (!r)
			pcapng_file_totals(f->file, &f->t);
		f->t.error = r ? r : f->t.error;
		pthread_mutex_unlock(&f->lock);
	}
	if (!r)
		pcapng_file_close(&f->file, NULL);
	pthread_mutex_lock(&f->lock);
	f->ended = true;
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

static void file_destroy(struct filed *f)
{
	if (f->file)
		pcapng_file_close(&f->file, NULL);
	sheet_fini(&f->sheet);
	roster_fini(&f->roster);
	roster_fini(&f->known);
	buf_fini(&f->queue);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->wake);
	for (size_t i = 0; i < f->names_n; i++)
		free((char *)(uintptr_t)f->names[i].name);
	free(f->names);
	buf_fini(&f->section_text);
	free(f->path);
	free(f->about);
	free(f);
}

static int copy_names(struct filed *f, const struct output_host *h)
{
	f->names = calloc(h->names_n + 1, sizeof(*f->names));
	for (; f->names && f->names_n < h->names_n; f->names_n++) {
		f->names[f->names_n] = h->names[f->names_n];
		f->names[f->names_n].name = strdup(h->names[f->names_n].name);
		if (!f->names[f->names_n].name)
			return -ENOMEM;
	}
	return f->names ? 0 : -ENOMEM;
}

static int name_file(struct filed *f, const struct output_config *c, struct buf *why)
{
	struct str path = c->to->path;
	AUTO_BUF name = {0};
	int stem;

	while (path.n && *path.p == '/') {
		path.p++;
		path.n--;
	}
	buf_adds(&name, path);
	if (name.failed || !name.n || memmem(name.p, name.n, "..", 2)) {
		buf_addz(why, "this path cannot be");
		return -EINVAL;
	}
	stem = stem_of(name.p);
	if (asprintf(&f->about, "tool " STR_FMT, STR_ARG(c->tool)) < 0) {
		f->about = NULL;
		return -ENOMEM;
	}
	if ((c->only_port ? asprintf(&f->path, "%s", name.p)
			  : asprintf(&f->path, "%.*s." STR_FMT "%s", stem, name.p, STR_ARG(c->port),
				     name.p + stem)) < 0) {
		f->path = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int file_open(struct output **out, const struct output_config *c, struct buf *why)
{
	struct filed *f = calloc(1, sizeof(*f));
	int r = f ? 0 : -ENOMEM;

	if (r)
		return r;
	if (!c->host->files)
		buf_addz(why, "this node has no folder for files");
	f->o = (struct output){&output_file, c->host};
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->wake, NULL);
	f->options.max_bytes = c->to->rotate_bytes;
	f->options.max_time = c->to->rotate_seconds * 1000000000ull;
	f->options.keep = c->to->rotate_count;
	f->options.beneath = true;
	f->section = kept_section(c->host, &f->section_text, c->tool, c->port);
	r = c->host->files ? name_file(f, c, why) : -ENOENT;
	if (!r)
		r = copy_names(f, c->host);
	if (!r)
		r = -pthread_create(&f->thread, NULL, run, f);
	if (r) {
		file_destroy(f);
		return r;
	}
	*out = &f->o;
	return 0;
}

static void file_give(struct output *o, const struct chain_packet *p, const struct seen *s)
{
	struct filed *f = CONTAINER_OF(o, struct filed, o);
	size_t before;

	pthread_mutex_lock(&f->lock);
	before = f->queue.n;
	if (before + p->caplen + KEPT_OVERHEAD > QUEUE_BYTES || roster_add(&f->roster, o->host, s->at) < 0) {
		f->lost++;
	} else {
		kept_add(&f->queue, p, s);
		if (f->queue.failed) {
			f->queue.failed = false;
			f->queue.n = before;
			f->lost++;
		} else {
			f->queued++;
		}
	}
	if (f->queue.n > WAKE_BYTES && before <= WAKE_BYTES)
		pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
}

static void file_tick(struct output *o, uint64_t now)
{
	struct filed *f = CONTAINER_OF(o, struct filed, o);

	(void)now;
	pthread_mutex_lock(&f->lock);
	f->ring_lost = o->host->ring_lost;
	if (f->queued)
		pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
}

static void file_counts(const struct output *o, struct output_counts *out)
{
	struct filed *f = (struct filed *)(uintptr_t)o;

	pthread_mutex_lock(&f->lock);
	*out = (struct output_counts){.sent = f->t.packets,
				      .sent_bytes = f->t.bytes,
				      .in_flight = f->queued + f->taken,
				      .failing = f->t.error};
	out->losses[LOST_QUEUE] = f->lost;
	out->losses[f->t.error == -ENOSPC || f->t.error == -EDQUOT ? LOST_DISK : LOST_WRITE] =
	    f->worked - f->t.packets;
	pthread_mutex_unlock(&f->lock);
}

static bool file_finish(struct output *o, bool last)
{
	struct filed *f = CONTAINER_OF(o, struct filed, o);
	bool ended;

	(void)last;
	pthread_mutex_lock(&f->lock);
	f->ending = true;
	ended = f->ended;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
	return ended;
}

static void file_free(struct output **o)
{
	struct filed *f = CONTAINER_OF(*o, struct filed, o);

	*o = NULL;
	if (!f->ended) { /* the disk stands still: the thread may never end, and keeps what it has */
		log_error("%s: %s: the disk does not take it; given up", f->about, f->path);
		pthread_detach(f->thread);
		return;
	}
	pthread_join(f->thread, NULL);
	file_destroy(f);
}

const struct output_ops output_file = {.name = "file",
				       .open = file_open,
				       .give = file_give,
				       .tick = file_tick,
				       .counts = file_counts,
				       .finish = file_finish,
				       .free = file_free,
				       .refused = LOST_WRITE};
