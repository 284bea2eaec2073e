/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captures: each reader of copier.sock gets all packets as pcapng from the moment it came. A reader that does
 * not keep up loses its own packets only, and its capture says how many (BR85).
 */
#include <errno.h>
#include <time.h>

#include "base/own.h"
#include "copier/reader.h"
#include "copier/kept.h"

enum { READERS_MAX = 16, WAITING_MAX = 4 << 20, STATISTICS_NS = 1000000000 };
#define DRAIN_NS 2000000000ull

struct reader {
	struct http_body body;
	struct stream *of; /* NULL: the capture is over */
	struct buf waiting;
	struct sheet sheet;		  /* writes to waiting */
	uint64_t sent, lost, lost_before; /* lost_before: of the ring, when it began */
	uint64_t told;			  /* ns: of the last statistics */
	uint64_t names;			  /* version that was told */
};

struct stream {
	struct output o;
	struct str tool, port;
	char *text; /* that they point to */
	struct output_counts n;
	struct roster roster;
	struct buf record;
	uint64_t until; /* ns; 0: no limit */
	uint32_t seconds;
	struct reader *readers[READERS_MAX];
	unsigned readers_n;
};

static int stream_open(struct output **out, const struct output_config *c, struct buf *why)
{
	struct stream *s = calloc(1, sizeof(*s));

	(void)why;
	if (s)
		s->text = malloc(c->tool.n + c->port.n + 1);
	if (!s || !s->text) {
		free(s);
		return -ENOMEM;
	}
	s->o = (struct output){&output_stream, c->host};
	memcpy(s->text, c->tool.p, c->tool.n);
	memcpy(s->text + c->tool.n, c->port.p, c->port.n);
	s->tool = (struct str){s->text, c->tool.n};
	s->port = (struct str){s->text + c->tool.n, c->port.n};
	s->seconds = c->to->seconds;
	*out = &s->o;
	return 0;
}

static void stream_give(struct output *o, const struct chain_packet *p, const struct seen *seen)
{
	struct stream *s = CONTAINER_OF(o, struct stream, o);
	const struct kept *r;
	bool sent = false;

	if (!s->readers_n || (s->until && p->time >= s->until)) {
		s->n.losses[LOST_NO_READER]++;
		return;
	}
	buf_clear(&s->record);
	kept_add(&s->record, p, seen);
	if (s->record.failed || roster_add(&s->roster, o->host, seen->at) < 0) {
		s->record.failed = false;
		s->n.losses[LOST_MEMORY]++;
		return;
	}
	r = (const struct kept *)(const void *)s->record.p;
	for (unsigned i = 0; i < s->readers_n; i++) {
		struct reader *d = s->readers[i];
		bool full = d->waiting.n + p->caplen + KEPT_OVERHEAD > WAITING_MAX;

		if (full || sheet_record(&d->sheet, &s->roster, r)) {
			struct sheet_interface *at =
			    sheet_interface(&d->sheet, &s->roster, r->place, r->link);

			d->waiting.failed = false;
			d->lost++;
			if (at)
				at->dropped++;
			continue;
		}
		d->sent++;
		sent = true;
	}
	s->n.sent += sent;
	s->n.sent_bytes += sent ? p->caplen : 0;
	s->n.losses[LOST_QUEUE] += !sent;
}

static void stream_flush(struct output *o)
{
	struct stream *s = CONTAINER_OF(o, struct stream, o);

	for (unsigned i = s->readers_n; i-- > 0;) /* one may end, and its place is taken by the last */
		if (s->readers[i]->waiting.n)
			http_wake(&s->readers[i]->body);
}

static void put_names(struct reader *d, const struct output_host *h)
{
	AUTO_MEM struct pcapng_name *names = calloc(h->names_n + 1, sizeof(*names));

	for (size_t i = 0; names && i < h->names_n; i++)
		names[i] = (struct pcapng_name){h->names[i].addr, str_of(h->names[i].name)};
	if (names && h->names_n)
		pcapng_put_names(&d->waiting, names, h->names_n);
	d->names = h->names_version;
}

static void end_reader(struct reader *d, uint64_t now)
{
	sheet_statistics(&d->sheet, now, d->of->o.host->ring_lost - d->lost_before);
	d->of = NULL;
	d->body.done = true;
}

static void end_all(struct stream *s, uint64_t now)
{
	while (s->readers_n) {
		struct reader *d = s->readers[--s->readers_n];

		end_reader(d, now);
		http_wake(&d->body);
	}
}

static void stream_tick(struct output *o, uint64_t now)
{
	struct stream *s = CONTAINER_OF(o, struct stream, o);

	if (!s->until && s->seconds)
		s->until = now + s->seconds * 1000000000ull;
	/* What came before its end may still be in the packet ring. */
	if (s->until && (o->host->drained >= s->until || now >= s->until + DRAIN_NS))
		end_all(s, now);
	for (unsigned i = 0; i < s->readers_n; i++) {
		struct reader *d = s->readers[i];

		if (d->names != o->host->names_version && d->waiting.n < WAITING_MAX)
			put_names(d, o->host);
		if (now >= d->told + STATISTICS_NS && d->waiting.n < WAITING_MAX) {
			sheet_statistics(&d->sheet, now, o->host->ring_lost - d->lost_before);
			d->told = now;
		}
	}
	stream_flush(o);
}

static void stream_counts(const struct output *o, struct output_counts *out)
{
	*out = ((const struct stream *)(const void *)o)->n;
}

static bool stream_finish(struct output *o, bool last)
{
	struct stream *s = CONTAINER_OF(o, struct stream, o);
	struct timespec t;

	(void)last;
	clock_gettime(CLOCK_REALTIME, &t);
	end_all(s, (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
	return true;
}

static void stream_free(struct output **o)
{
	struct stream *s = CONTAINER_OF(*o, struct stream, o);

	*o = NULL;
	end_all(s, s->until);
	roster_fini(&s->roster);
	buf_fini(&s->record);
	free(s->text);
	free(s);
}

const struct output_ops output_stream = {.name = "stream",
					 .open = stream_open,
					 .give = stream_give,
					 .flush = stream_flush,
					 .tick = stream_tick,
					 .counts = stream_counts,
					 .finish = stream_finish,
					 .free = stream_free,
					 .refused = LOST_MEMORY};

static void reader_pull(struct http_body *b, struct buf *out)
{
	struct reader *d = CONTAINER_OF(b, struct reader, body);
	struct buf empty = *out;

	/* The buffers change places: what is sent is not copied once more. */
	if (!out->n && d->waiting.n) {
		*out = d->waiting;
		d->waiting = empty;
	}
}

static void reader_close(struct http_body *b)
{
	struct reader *d = CONTAINER_OF(b, struct reader, body);

	for (unsigned i = 0; d->of && i < d->of->readers_n; i++)
		if (d->of->readers[i] == d)
			d->of->readers[i] = d->of->readers[--d->of->readers_n];
	sheet_fini(&d->sheet);
	buf_fini(&d->waiting);
	free(d);
}

struct http_body *stream_read(struct output *o)
{
	struct stream *s = CONTAINER_OF(o, struct stream, o);
	struct reader *d = s->readers_n < READERS_MAX ? calloc(1, sizeof(*d)) : NULL;
	struct pcapng_section section;
	AUTO_BUF about = {0};

	if (!d)
		return NULL;
	section = kept_section(o->host, &about, s->tool, s->port);
	*d = (struct reader){
	    .body = {.pull = reader_pull, .close = reader_close}, .of = s, .lost_before = o->host->ring_lost};
	d->sheet.out = &d->waiting;
	if (pcapng_put_section(&d->waiting, &section)) {
		reader_close(&d->body);
		return NULL;
	}
	put_names(d, o->host);
	s->readers[s->readers_n++] = d;
	return &d->body;
}

void stream_print(const struct output *o, struct buf *out)
{
	const struct stream *s = (const struct stream *)(const void *)o;

	buf_addc(out, '[');
	for (unsigned i = 0; i < s->readers_n; i++)
		buf_printf(out, "%s{\"sent\":%llu,\"lost\":%llu,\"waitingBytes\":%zu}", i ? "," : "",
			   (unsigned long long)s->readers[i]->sent, (unsigned long long)s->readers[i]->lost,
			   s->readers[i]->waiting.n);
	buf_addc(out, ']');
}
