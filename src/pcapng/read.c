/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks out of bytes: see read.h. Every length is held against what is there before it is used. */
#include "pcapng/read.h"

#include <errno.h>

#include "pcapng/block.h"

enum {
	BLOCK_HEAD = 8,
	BLOCK_MIN = 12,
	SECTION_MIN = 28,
	INTERFACE_MIN = 20,
	PACKET_MIN = 32,
	STATISTICS_MIN = 24
};
enum { RESOLUTION_DEFAULT = 6 };

void pcapng_reader_fini(struct pcapng_reader *r)
{
	vec_free(&r->interfaces);
	vec_free(&r->names);
}

static int wrong(struct pcapng_reader *r, const char *why)
{
	r->why = why;
	return -EPROTO;
}

static uint16_t get16(const struct pcapng_reader *r, const char *at)
{
	const uint8_t *p = (const uint8_t *)at;

	return (uint16_t)(p[!r->big] << 8 | p[r->big]);
}

static uint32_t get32(const struct pcapng_reader *r, const char *at)
{
	uint32_t a = get16(r, at), b = get16(r, at + 2);

	return r->big ? a << 16 | b : b << 16 | a;
}

static uint64_t get64(const struct pcapng_reader *r, const char *at)
{
	uint64_t a = get32(r, at), b = get32(r, at + 4);

	return r->big ? a << 32 | b : b << 32 | a;
}

/* Two halves, the high one first, in either byte order. */
static uint64_t get_halves(const struct pcapng_reader *r, const char *at)
{
	return (uint64_t)get32(r, at) << 32 | get32(r, at + 4);
}

/* Units of the interface as ns; what does not fit is 0: not known. */
static uint64_t time_of(const struct pcapng_reader_interface *i, uint64_t units)
{
	unsigned exponent = i->resolution & 0x7f;
	__int128 ns;

	if (i->resolution & 0x80) {
		ns = exponent < 64 ? ((__int128)units * 1000000000) >> exponent : 0;
	} else {
		ns = units;
		for (unsigned k = exponent; k < 9; k++)
			ns *= 10;
		for (unsigned k = exponent; k > 9 && ns; k--)
			ns /= 10;
	}
	ns += (__int128)i->offset * 1000000000;
	return ns < 0 || ns > INT64_MAX ? 0 : (uint64_t)ns;
}

/* The next option; false at the end, or where it would go beyond it. */
static bool option(const struct pcapng_reader *r, struct str *at, uint16_t *code, struct str *value)
{
	if (at->n < 4)
		return false;
	size_t n = get16(r, at->p + 2), all = 4 + ((n + 3) & ~(size_t)3);

	*code = get16(r, at->p);
	if (*code == OPTION_END || 4 + n > at->n)
		return false;
	*value = (struct str){at->p + 4, n};
	*at = all > at->n ? (struct str){at->p + at->n, 0} : (struct str){at->p + all, at->n - all};
	return true;
}

/* Fixed texts may end with a NUL. */
static struct str text(struct str v)
{
	const char *end = v.n ? memchr(v.p, 0, v.n) : NULL;

	return end ? (struct str){v.p, (size_t)(end - v.p)} : v;
}

static void read_section(struct pcapng_reader *r, struct str body, struct pcapng_section *out)
{
	struct str rest = {body.p + 16, body.n - 16}, v;
	uint16_t code;

	*out = (struct pcapng_section){0};
	r->begun = true;
	r->interfaces.len = 0;
	while (option(r, &rest, &code, &v)) {
		if (code == SECTION_HARDWARE)
			out->hardware = text(v);
		else if (code == SECTION_OS)
			out->os = text(v);
		else if (code == SECTION_APPLICATION)
			out->application = text(v);
		else if (code == OPTION_COMMENT && !out->comment.n)
			out->comment = text(v);
	}
}

static int read_interface(struct pcapng_reader *r, struct str body, struct pcapng_interface *out)
{
	struct pcapng_reader_interface i = {.resolution = RESOLUTION_DEFAULT};
	struct str rest = {body.p + 8, body.n - 8}, v;
	uint16_t code;

	if (r->interfaces.len == PCAPNG_INTERFACES_MAX)
		return wrong(r, "a section has more than 65,536 interfaces");
	*out = (struct pcapng_interface){.link = get16(r, body.p), .snaplen = get32(r, body.p + 4)};
	i.snaplen = out->snaplen;
	while (option(r, &rest, &code, &v)) {
		if (code == INTERFACE_NAME)
			out->name = text(v);
		else if (code == INTERFACE_DESCRIPTION)
			out->description = text(v);
		else if (code == INTERFACE_TSRESOL && v.n == 1)
			i.resolution = (uint8_t)*v.p;
		else if (code == INTERFACE_TSOFFSET && v.n == 8)
			i.offset = (int64_t)get64(r, v.p);
		else if (code == INTERFACE_FILTER && v.n > 1 && !*v.p)
			out->filter = (struct str){v.p + 1, v.n - 1};
		else if (code == OPTION_COMMENT && !out->comment.n)
			out->comment = text(v);
	}
	return vec_push(&r->interfaces, i);
}

static void packet_options(struct pcapng_reader *r, struct str rest, struct pcapng_packet *out)
{
	struct str v;
	uint16_t code;

	while (option(r, &rest, &code, &v)) {
		if (code == PACKET_FLAGS && v.n == 4) {
			out->direction = (enum pcapng_direction)(get32(r, v.p) & 3);
			if (out->direction > PCAPNG_OUT)
				out->direction = PCAPNG_UNKNOWN;
		} else if (code == PACKET_DROPPED && v.n == 8) {
			out->has_dropped = true;
			out->dropped = get64(r, v.p);
		} else if (code == PACKET_ID && v.n == 8) {
			out->has_id = true;
			out->id = get64(r, v.p);
		} else if (code == OPTION_COMMENT && v.n && out->comments_n < PCAPNG_COMMENTS_MAX) {
			r->comments[out->comments_n++] = v;
		}
	}
	out->comments = r->comments;
}

static int read_packet(struct pcapng_reader *r, struct str body, struct pcapng_packet *out)
{
	uint32_t number = get32(r, body.p), caplen = get32(r, body.p + 12);
	size_t padded = ((size_t)caplen + 3) & ~(size_t)3;

	if (number >= r->interfaces.len)
		return wrong(r, "a packet is of an interface that was not told");
	if (padded > body.n - 20)
		return wrong(r, "a packet is longer than its block");
	*out =
	    (struct pcapng_packet){.interface = number,
				   .time = time_of(&r->interfaces.items[number], get_halves(r, body.p + 4)),
				   .p = (const uint8_t *)body.p + 20,
				   .caplen = caplen,
				   .len = get32(r, body.p + 16)};
	if (out->len < caplen)
		out->len = caplen;
	packet_options(r, (struct str){body.p + 20 + padded, body.n - 20 - padded}, out);
	return 0;
}

/* Of the first interface, without a time. */
static int read_simple(struct pcapng_reader *r, struct str body, struct pcapng_packet *out)
{
	uint32_t len = get32(r, body.p), caplen = len;

	if (!r->interfaces.len)
		return wrong(r, "a packet is of an interface that was not told");
	if (r->interfaces.items[0].snaplen && caplen > r->interfaces.items[0].snaplen)
		caplen = r->interfaces.items[0].snaplen;
	if (caplen > body.n - 4)
		return wrong(r, "a packet is longer than its block");
	*out = (struct pcapng_packet){.p = (const uint8_t *)body.p + 4, .caplen = caplen, .len = len};
	return 0;
}

/* Each record is an address and one or more names: the first is taken. */
static int read_names(struct pcapng_reader *r, struct str body)
{
	uint16_t code;
	struct str v;

	r->names.len = 0;
	while (option(r, &body, &code, &v)) {
		size_t n = code == NAMES_IP4 ? 4 : code == NAMES_IP6 ? 16 : 0;
		struct pcapng_name name = {0};

		if (!n || v.n <= n)
			continue;
		if (n == 4)
			memset(name.addr.b + 10, 0xff, 2);
		memcpy(name.addr.b + 16 - n, v.p, n);
		name.name = text((struct str){v.p + n, v.n - n});
		int failed = vec_push(&r->names, name);
		if (failed)
			return failed;
	}
	return 0;
}

static int read_statistics(struct pcapng_reader *r, struct str body, struct pcapng_statistics *out)
{
	struct str rest = {body.p + 12, body.n - 12}, v;
	uint32_t number = get32(r, body.p);
	uint16_t code;

	if (number >= r->interfaces.len)
		return wrong(r, "statistics are of an interface that was not told");
	const struct pcapng_reader_interface *i = &r->interfaces.items[number];

	*out = (struct pcapng_statistics){.interface = number, .time = time_of(i, get_halves(r, body.p + 4))};
	while (option(r, &rest, &code, &v)) {
		if (code == OPTION_COMMENT)
			out->comment = text(v);
		if (v.n != 8)
			continue;
		uint64_t n = get64(r, v.p);

		if (code == STATISTICS_START)
			out->first = time_of(i, get_halves(r, v.p));
		else if (code == STATISTICS_END)
			out->last = time_of(i, get_halves(r, v.p));
		else if (code == STATISTICS_RECEIVED)
			out->has_received = true, out->received = n;
		else if (code == STATISTICS_DROPPED)
			out->has_dropped = true, out->dropped = n;
		else if (code == STATISTICS_ACCEPTED)
			out->has_accepted = true, out->accepted = n;
		else if (code == STATISTICS_OS_DROPPED)
			out->has_os_dropped = true, out->os_dropped = n;
		else if (code == STATISTICS_DELIVERED)
			out->has_delivered = true, out->delivered = n;
	}
	return 0;
}

/* 1, 0 for a block that is passed over, -errno. `n`: of the whole block; body without head and trailer. */
static int read_body(struct pcapng_reader *r, uint32_t type, size_t n, struct str body,
		     struct pcapng_block *out)
{
	static const struct {
		uint32_t type;
		size_t min;
		enum pcapng_kind kind;
	} known[] = {
	    {BLOCK_SECTION, SECTION_MIN, PCAPNG_SECTION},
	    {BLOCK_INTERFACE, INTERFACE_MIN, PCAPNG_INTERFACE},
	    {BLOCK_SIMPLE, 16, PCAPNG_PACKET},
	    {BLOCK_NAMES, BLOCK_MIN, PCAPNG_NAMES},
	    {BLOCK_PACKET, PACKET_MIN, PCAPNG_PACKET},
	    {BLOCK_STATISTICS, STATISTICS_MIN, PCAPNG_STATISTICS},
	};
	int e = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].type != type)
			continue;
		if (n < known[i].min)
			return wrong(r, "a block is too short for its type");
		out->kind = known[i].kind;
		switch (out->kind) {
		case PCAPNG_SECTION:
			read_section(r, body, &out->section);
			break;
		case PCAPNG_INTERFACE:
			e = read_interface(r, body, &out->interface);
			break;
		case PCAPNG_PACKET:
			e = type == BLOCK_SIMPLE ? read_simple(r, body, &out->packet)
						 : read_packet(r, body, &out->packet);
			break;
		case PCAPNG_NAMES:
			e = read_names(r, body);
			out->names = r->names.items;
			out->names_n = r->names.len;
			break;
		case PCAPNG_STATISTICS:
			e = read_statistics(r, body, &out->statistics);
			break;
		}
		return e ? e : 1;
	}
	return 0;
}

int pcapng_read(struct pcapng_reader *r, struct str *in, struct pcapng_block *out)
{
	while (in->n >= BLOCK_MIN) {
		uint32_t type = get32(r, in->p);

		if (type == BLOCK_SECTION) { /* it reads the same in both orders, and says which is meant */
			r->big = false;
			if (get32(r, in->p + 8) != MAGIC) {
				r->big = true;
				if (get32(r, in->p + 8) != MAGIC)
					return wrong(r, "the section's byte order is neither");
			}
		} else if (!r->begun) {
			return wrong(r, "it does not begin with a section");
		}
		size_t n = get32(r, in->p + 4);

		if (n < BLOCK_MIN || n % 4 || n > PCAPNG_BLOCK_MAX)
			return wrong(r, "the length of a block is impossible");
		if (in->n < n)
			return 0;
		if (get32(r, in->p + n - 4) != n)
			return wrong(r, "a block does not end with the length that it begins with");
		struct str body = {in->p + BLOCK_HEAD, n - BLOCK_MIN};
		int e = read_body(r, type, n, body, out);

		*in = (struct str){in->p + n, in->n - n};
		if (e)
			return e;
	}
	return 0;
}
