/* SPDX-License-Identifier: Apache-2.0 */
/* Writes DNS messages; see dns.h. */
#include "dns.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD	 12
#define ROOM	 1402 /* what a packet of 1450 bytes leaves over IPv6 */
#define NAMES	 400
#define CLASS_IN 1

struct writer {
	struct body *to;
	int compress;
	char names[NAMES][256]; /* with the places where they stand */
	uint16_t at[NAMES];
	size_t count;
};

static void put8(struct body *b, unsigned v)
{
	b->bytes[b->len++] = (uint8_t)v;
}

static void put16(struct body *b, unsigned v)
{
	put8(b, v >> 8);
	put8(b, v & 0xff);
}

static int seen_at(const struct writer *w, const char *name)
{
	for (size_t i = 0; i < w->count; i++)
		if (!strcmp(w->names[i], name))
			return w->at[i];
	return -1;
}

static void put_name(struct writer *w, const char *name)
{
	while (*name) {
		const char *dot = strchr(name, '.');
		size_t n = dot ? (size_t)(dot - name) : strlen(name);
		int known = w->compress ? seen_at(w, name) : -1;

		if (known >= 0) {
			put16(w->to, 0xc000u | (unsigned)known);
			return;
		}
		if (w->count < NAMES) {
			snprintf(w->names[w->count], sizeof(w->names[0]), "%s", name);
			w->at[w->count++] = w->to->len;
		}
		put8(w->to, (unsigned)n);
		for (size_t i = 0; i < n; i++)
			put8(w->to, (uint8_t)name[i]);
		name += n + (dot ? 1 : 0);
	}
	put8(w->to, 0);
}

static unsigned type_of(const char *text)
{
	return !strcmp(text, "A") ? 1 : !strcmp(text, "AAAA") ? 28 : !strcmp(text, "CNAME") ? 5 : 16;
}

static void put_data(struct writer *w, unsigned type, const char *data)
{
	if (type == 5) {
		put_name(w, data);
	} else if (type == 16) {
		put8(w->to, (unsigned)strlen(data));
		for (; *data; data++)
			put8(w->to, (uint8_t)*data);
	} else {
		inet_pton(type == 1 ? AF_INET : AF_INET6, data, w->to->bytes + w->to->len);
		w->to->len = (uint16_t)(w->to->len + (type == 1 ? 4 : 16));
	}
}

/* Returns 0 when it would not fit; nothing is written then. */
static int put_record(struct writer *w, const char *text)
{
	char owner[256], type[16], data[256];
	uint16_t before = w->to->len, length_at, length;
	unsigned ttl;

	if (sscanf(text, " %255s %u %15s %255[^; ]", owner, &ttl, type, data) != 4) {
		printf("Bail out! no DNS record: %s\n", text);
		exit(1);
	}
	put_name(w, owner);
	put16(w->to, type_of(type));
	put16(w->to, CLASS_IN);
	put16(w->to, ttl >> 16);
	put16(w->to, ttl & 0xffff);
	length_at = w->to->len;
	put16(w->to, 0);
	put_data(w, type_of(type), data);
	length = (uint16_t)(w->to->len - length_at - 2);
	w->to->bytes[length_at] = (uint8_t)(length >> 8);
	w->to->bytes[length_at + 1] = (uint8_t)length;
	if (w->to->len <= ROOM)
		return 1;
	w->to->len = before;
	return 0;
}

struct body *dns_answer(const char *question, const char *records, int flags)
{
	static struct body b;
	static struct writer w;
	const char *list[NAMES];
	size_t n = 0, written = 0;

	memset(&b, 0, sizeof(b));
	memset(&w, 0, sizeof(w));
	w.to = &b;
	w.compress = flags & DNS_COMPRESS;
	for (const char *r = records; r && *r && n < NAMES; r = strchr(r, ';'), r = r ? r + 1 : r)
		list[n++] = r;
	b.bytes[0] = 0x12;
	b.bytes[2] = 0x81; /* an answer; recursion desired */
	b.bytes[3] = 0x80; /* and had */
	b.bytes[5] = 1;
	b.len = HEAD;
	put_name(&w, question);
	put16(&b, 1);
	put16(&b, CLASS_IN);
	while (written < n && put_record(&w, list[flags & DNS_REVERSE ? n - 1 - written : written]))
		written++;
	b.bytes[6] = (uint8_t)(written >> 8);
	b.bytes[7] = (uint8_t)written;
	return &b;
}
