/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies that stay in memory: the newest that fit. Whoever asks gets those of the last seconds as pcapng; a
 * reader that is overtaken by the ring skips what went, and its capture says how much.
 */
#include <errno.h>

#include "base/own.h"
#include "copier/reader.h"
#include "copier/kept.h"

enum { SIZE_MIN = 1 << 20, SIZE_DEFAULT = 64 << 20, PIECE = 256 << 10, READERS_MAX = 8 };

struct ring_reader;
struct ring {
	struct output o;
	char *text; /* tool and port */
	struct str tool, port;
	uint8_t *bytes;
	size_t size;
	/* Places in the endless row of all bytes that were ever written; p stands at p % size. */
	uint64_t first, end;
	uint64_t first_number, end_number; /* of records: those at first and at end */
	struct output_counts n;
	struct roster roster;
	struct buf record;
	struct ring_reader *readers[READERS_MAX];
	unsigned readers_n;
};

struct ring_reader {
	struct http_body body;
	struct ring *of;	    /* NULL: the ring is gone */
	uint64_t at, number, until; /* until: the row's end when it began */
	uint64_t since;
	bool begun;
	struct sheet sheet;
};

static int ring_open(struct output **out, const struct output_config *c, struct buf *why)
{
	struct ring *r = calloc(1, sizeof(*r));
	uint64_t size = c->to->ring_bytes ? c->to->ring_bytes : SIZE_DEFAULT;

	if (!r)
		return -ENOMEM;
	r->size = (size_t)(size < SIZE_MIN ? SIZE_MIN : size) & ~(size_t)7;
	r->bytes = malloc(r->size);
	r->text = malloc(c->tool.n + c->port.n + 1);
	if (!r->bytes || !r->text) {
		buf_printf(why, "no memory for a ring of %llu bytes", (unsigned long long)size);
		free(r->bytes);
		free(r->text);
		free(r);
		return -ENOMEM;
	}
	r->o = (struct output){&output_ring, c->host};
	memcpy(r->text, c->tool.p, c->tool.n);
	memcpy(r->text + c->tool.n, c->port.p, c->port.n);
	r->tool = (struct str){r->text, c->tool.n};
	r->port = (struct str){r->text + c->tool.n, c->port.n};
	*out = &r->o;
	return 0;
}

/* The record at a place, or the first one of the next round: the end of a round may be left empty. */
static const struct kept *record_at(const struct ring *r, uint64_t *at)
{
	size_t left = r->size - (size_t)(*at % r->size);
	const struct kept *rec = (const struct kept *)(const void *)(r->bytes + *at % r->size);

	if (left >= sizeof(*rec) && rec->size)
		return rec;
	*at += left;
	return (const struct kept *)(const void *)r->bytes;
}

static void drop_first(struct ring *r)
{
	const struct kept *rec = record_at(r, &r->first);

	r->first += rec->size;
	r->first_number++;
}

static void ring_give(struct output *o, const struct chain_packet *p, const struct seen *s)
{
	struct ring *r = CONTAINER_OF(o, struct ring, o);
	size_t left;

	buf_clear(&r->record);
	kept_add(&r->record, p, s);
	if (r->record.failed || r->record.n > r->size || roster_add(&r->roster, o->host, s->at) < 0) {
		r->record.failed = false;
		r->n.losses[LOST_MEMORY]++;
		return;
	}
	left = r->size - (size_t)(r->end % r->size);
	if (left < r->record.n) {
		while (r->first_number < r->end_number && r->first + r->size < r->end + left + r->record.n)
			drop_first(r);
		if (left >= sizeof(struct kept))
			memset(r->bytes + r->end % r->size, 0, sizeof(struct kept));
		r->end += left;
	}
	while (r->first_number < r->end_number && r->first + r->size < r->end + r->record.n)
		drop_first(r);
	if (r->first_number == r->end_number)
		r->first = r->end;
	memcpy(r->bytes + r->end % r->size, r->record.p, r->record.n);
	r->end += r->record.n;
	r->end_number++;
	r->n.sent++;
	r->n.sent_bytes += p->caplen;
}

static void ring_counts(const struct output *o, struct output_counts *out)
{
	*out = ((const struct ring *)(const void *)o)->n;
}

static bool ring_finish(struct output *o, bool last)
{
	struct ring *r = CONTAINER_OF(o, struct ring, o);

	return last || !r->readers_n;
}

static void ring_free(struct output **o)
{
	struct ring *r = CONTAINER_OF(*o, struct ring, o);

	*o = NULL;
	while (r->readers_n) {
		struct ring_reader *d = r->readers[--r->readers_n];

		d->of = NULL;
		d->body.done = true;
		http_wake(&d->body);
	}
	roster_fini(&r->roster);
	buf_fini(&r->record);
	free(r->bytes);
	free(r->text);
	free(r);
}

const struct output_ops output_ring = {.name = "ring",
				       .open = ring_open,
				       .give = ring_give,
				       .counts = ring_counts,
				       .finish = ring_finish,
				       .free = ring_free,
				       .refused = LOST_MEMORY};

static void put_head(struct ring_reader *d, struct buf *out)
{
	const struct output_host *h = d->of->o.host;
	AUTO_MEM struct pcapng_name *names = calloc(h->names_n + 1, sizeof(*names));
	struct pcapng_section section;
	AUTO_BUF about = {0};

	section = kept_section(h, &about, d->of->tool, d->of->port);
	pcapng_put_section(out, &section);
	for (size_t i = 0; names && i < h->names_n; i++)
		names[i] = (struct pcapng_name){h->names[i].addr, str_of(h->names[i].name)};
	if (names && h->names_n)
		pcapng_put_names(out, names, h->names_n);
}

static void reader_pull(struct http_body *b, struct buf *out)
{
	struct ring_reader *d = CONTAINER_OF(b, struct ring_reader, body);
	struct ring *r = d->of;

	d->sheet.out = out;
	if (!r) {
		d->body.done = true;
		return;
	}
	if (!d->begun)
		put_head(d, out);
	d->begun = true;
	while (out->n < PIECE && !out->failed) {
		const struct kept *rec;

		if (d->at < r->first) { /* the ring was faster */
			VEC_EACH (&d->sheet.list, i)
				i->dropped += i == d->sheet.list.items ? r->first_number - d->number : 0;
			d->at = r->first;
			d->number = r->first_number;
		}
		if (d->at >= d->until || d->number >= r->end_number)
			break;
		rec = record_at(r, &d->at);
		if (rec->time >= d->since)
			sheet_record(&d->sheet, &r->roster, rec);
		d->at += rec->size;
		d->number++;
	}
	d->body.done = d->at >= d->until || d->number >= r->end_number;
	if (d->body.done)
		sheet_statistics(&d->sheet, r->o.host->now, 0);
}

static void reader_close(struct http_body *b)
{
	struct ring_reader *d = CONTAINER_OF(b, struct ring_reader, body);

	for (unsigned i = 0; d->of && i < d->of->readers_n; i++)
		if (d->of->readers[i] == d)
			d->of->readers[i] = d->of->readers[--d->of->readers_n];
	sheet_fini(&d->sheet);
	free(d);
}

struct http_body *ring_read(struct output *o, uint64_t since)
{
	struct ring *r = CONTAINER_OF(o, struct ring, o);
	struct ring_reader *d = r->readers_n < READERS_MAX ? calloc(1, sizeof(*d)) : NULL;

	if (!d)
		return NULL;
	*d = (struct ring_reader){.body = {.pull = reader_pull, .close = reader_close},
				  .of = r,
				  .at = r->first,
				  .number = r->first_number,
				  .until = r->end,
				  .since = since};
	r->readers[r->readers_n++] = d;
	return &d->body;
}
