/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of pcapng: see pcapng.h. Numbers of blocks and options are those of draft-ietf-opsawg-pcapng. */
#include "pcapng/pcapng.h"

#include <errno.h>

#include "pcapng/block.h"

static const size_t value_max = 65535, block_max = 0x7fffffff;

/* A block that is being made: what does not fit is noted in r, and the whole block is taken back. */
struct block {
	struct buf *b;
	size_t start;
	int r;
};

static void put16(struct block *k, uint16_t v)
{
	uint8_t le[2] = {(uint8_t)v, (uint8_t)(v >> 8)};

	buf_add(k->b, le, 2);
}

static void put32(struct block *k, uint32_t v)
{
	put16(k, (uint16_t)v);
	put16(k, (uint16_t)(v >> 16));
}

/* 64-bit numbers stand as two 32-bit halves, the high one first, in times; whole elsewhere. */
static void put_time(struct block *k, uint64_t v)
{
	put32(k, (uint32_t)(v >> 32));
	put32(k, (uint32_t)v);
}

static void put64(struct block *k, uint64_t v)
{
	put32(k, (uint32_t)v);
	put32(k, (uint32_t)(v >> 32));
}

static void put_padded(struct block *k, const void *p, size_t n)
{
	static const uint8_t zero[4];

	buf_add(k->b, p, n);
	buf_add(k->b, zero, -n & 3);
}

static struct block begin(struct buf *b, uint32_t type)
{
	struct block k = {b, b->n, 0};

	put32(&k, type);
	put32(&k, 0);
	return k;
}

static int end(struct block *k)
{
	size_t n = k->b->n - k->start + 4;

	if (!k->r && n > block_max)
		k->r = -EMSGSIZE;
	put32(k, (uint32_t)n);
	if (k->b->failed)
		k->r = -ENOMEM;
	if (k->r) {
		k->b->n = k->start;
		return k->r;
	}
	for (unsigned i = 0; i < 4; i++)
		k->b->p[k->start + 4 + i] = (char)(n >> (8 * i));
	return 0;
}

static void option_head(struct block *k, uint16_t code, size_t n)
{
	if (n > value_max)
		k->r = -EMSGSIZE;
	put16(k, code);
	put16(k, (uint16_t)n);
}

static void option(struct block *k, uint16_t code, const void *p, size_t n)
{
	option_head(k, code, n);
	put_padded(k, p, n);
}

static void option_text(struct block *k, uint16_t code, struct str s)
{
	if (s.n)
		option(k, code, s.p, s.n);
}

static void option64(struct block *k, uint16_t code, uint64_t v)
{
	option_head(k, code, 8);
	put64(k, v);
}

static void options_end(struct block *k)
{
	option_head(k, OPTION_END, 0);
}

int pcapng_put_section(struct buf *b, const struct pcapng_section *s)
{
	struct block k = begin(b, BLOCK_SECTION);

	put32(&k, MAGIC);
	put16(&k, 1); /* version 1.0 */
	put16(&k, 0);
	put64(&k, UINT64_MAX); /* the section's length is not told: it grows */
	option_text(&k, SECTION_HARDWARE, s->hardware);
	option_text(&k, SECTION_OS, s->os);
	option_text(&k, SECTION_APPLICATION, s->application);
	if (s->clock.n) {
		static const char word[] = "clock: ";
		size_t n = sizeof(word) - 1;

		option_head(&k, OPTION_COMMENT, n + s->clock.n);
		buf_add(b, word, n);
		buf_adds(b, s->clock);
		buf_add(b, "\0\0", -(n + s->clock.n) & 3);
	}
	option_text(&k, OPTION_COMMENT, s->comment);
	options_end(&k);
	return end(&k);
}

int pcapng_put_interface(struct buf *b, const struct pcapng_interface *i)
{
	static const uint8_t resolution = NANOSECONDS;
	struct block k = begin(b, BLOCK_INTERFACE);

	if (i->link > UINT16_MAX)
		k.r = -EMSGSIZE;
	put16(&k, (uint16_t)i->link);
	put16(&k, 0);
	put32(&k, i->snaplen);
	option_text(&k, INTERFACE_NAME, i->name);
	option_text(&k, INTERFACE_DESCRIPTION, i->description);
	option(&k, INTERFACE_TSRESOL, &resolution, 1);
	if (i->filter.n) {
		uint8_t kind = 0; /* text, as libpcap's expressions */

		option_head(&k, INTERFACE_FILTER, 1 + i->filter.n);
		buf_add(b, &kind, 1);
		buf_adds(b, i->filter);
		buf_add(b, "\0\0", -(1 + i->filter.n) & 3);
	}
	option_text(&k, OPTION_COMMENT, i->comment);
	options_end(&k);
	return end(&k);
}

int pcapng_put_packet(struct buf *b, const struct pcapng_packet *p)
{
	struct block k = begin(b, BLOCK_PACKET);

	put32(&k, p->interface);
	put_time(&k, p->time);
	put32(&k, p->caplen);
	put32(&k, p->len);
	put_padded(&k, p->p, p->caplen);
	for (unsigned i = 0; i < p->comments_n; i++)
		option_text(&k, OPTION_COMMENT, p->comments[i]);
	if (p->direction != PCAPNG_UNKNOWN) {
		option_head(&k, PACKET_FLAGS, 4);
		put32(&k, p->direction == PCAPNG_IN ? 1 : 2);
	}
	if (p->has_dropped)
		option64(&k, PACKET_DROPPED, p->dropped);
	if (p->has_id)
		option64(&k, PACKET_ID, p->id);
	if (b->n > k.start + 28 + ((size_t)p->caplen + 3) / 4 * 4)
		options_end(&k);
	return end(&k);
}

static void put_name(struct block *k, const struct pcapng_name *name)
{
	bool is4 = addr_is4(&name->addr);
	size_t n = is4 ? 4 : 16, all = n + name->name.n + 1;

	option_head(k, is4 ? NAMES_IP4 : NAMES_IP6, all);
	buf_add(k->b, name->addr.b + 16 - n, n);
	buf_adds(k->b, name->name);
	buf_add(k->b, "\0\0\0", 1 + (-all & 3));
}

int pcapng_put_names(struct buf *b, const struct pcapng_name *names, size_t n)
{
	struct block k = begin(b, BLOCK_NAMES);

	for (size_t i = 0; i < n; i++)
		put_name(&k, &names[i]);
	option_head(&k, NAMES_END, 0);
	return end(&k);
}

static void option_time(struct block *k, uint16_t code, uint64_t v)
{
	if (!v)
		return;
	option_head(k, code, 8);
	put_time(k, v);
}

static void option_count(struct block *k, uint16_t code, bool has, uint64_t v)
{
	if (has)
		option64(k, code, v);
}

int pcapng_put_statistics(struct buf *b, const struct pcapng_statistics *s)
{
	struct block k = begin(b, BLOCK_STATISTICS);

	put32(&k, s->interface);
	put_time(&k, s->time);
	option_time(&k, STATISTICS_START, s->first);
	option_time(&k, STATISTICS_END, s->last);
	option_count(&k, STATISTICS_RECEIVED, s->has_received, s->received);
	option_count(&k, STATISTICS_DROPPED, s->has_dropped, s->dropped);
	option_count(&k, STATISTICS_ACCEPTED, s->has_accepted, s->accepted);
	option_count(&k, STATISTICS_OS_DROPPED, s->has_os_dropped, s->os_dropped);
	option_count(&k, STATISTICS_DELIVERED, s->has_delivered, s->delivered);
	option_text(&k, OPTION_COMMENT, s->comment);
	options_end(&k);
	return end(&k);
}
