/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 1035 without haste; see dns_plain.h. */
#include "dns_plain.h"

#include <ctype.h>
#include <string.h>

#define JUMPS_MAX  8
#define EFFORT_MAX 8000
#define TTL_MAX	   604800 /* a week: RFC 8767, 4 */
#define TYPE_A	   1
#define TYPE_CNAME 5
#define TYPE_AAAA  28

struct reader {
	const uint8_t *msg;
	size_t len;
	struct plain *out;
	size_t effort;
};

struct name {
	uint8_t wire[256]; /* in lower case, without pointers */
	size_t len;
};

static unsigned get16(const struct reader *r, size_t at)
{
	return (unsigned)r->msg[at] << 8 | r->msg[at + 1];
}

/* Reads the name at `at`. Returns the offset behind it in the message, or 0 if it is none. `name` may be
 * NULL: then pointers are not followed. */
static size_t get_name(struct reader *r, size_t at, struct name *name)
{
	size_t end = 0;
	int jumps = 0;

	if (name)
		name->len = 0;
	for (;;) {
		unsigned c;

		if (at >= r->len)
			return 0;
		c = r->msg[at];
		if (c >= 0xc0) {
			size_t to;

			if (at + 2 > r->len)
				return 0;
			if (!end)
				end = at + 2;
			if (!name)
				return end;
			to = get16(r, at) & 0x3fff;
			if (to >= at)
				return 0;
			if (++jumps > JUMPS_MAX)
				r->out->odd = 1;
			if (jumps > 300)
				return 0;
			at = to;
			continue;
		}
		if (c > 63)
			return 0;
		if (name) {
			if (name->len + 1 + c > 255)
				return 0;
			name->wire[name->len++] = (uint8_t)c;
			for (unsigned i = 0; i < c; i++) {
				if (at + 1 + i >= r->len)
					return 0;
				name->wire[name->len++] = (uint8_t)tolower(r->msg[at + 1 + i]);
			}
		}
		at += 1 + c;
		if (c == 0)
			return end ? end : at;
	}
}

static int same(struct reader *r, const struct name *a, const struct name *b)
{
	r->effort += a->len + 2 * JUMPS_MAX;
	if (r->effort > EFFORT_MAX)
		r->out->odd = 1;
	return a->len == b->len && !memcmp(a->wire, b->wire, a->len);
}

/* "www.example.org" of a name. 0 when a label holds what text cannot show. */
static int to_text(const struct name *n, char *text)
{
	size_t at = 0, used = 0;

	while (n->wire[at]) {
		if (used)
			text[used++] = '.';
		for (unsigned i = 0; i < n->wire[at]; i++) {
			char c = (char)n->wire[at + 1 + i];

			if (c == '.' || c == 0)
				return 0;
			text[used++] = c;
		}
		at += 1u + n->wire[at];
	}
	text[used] = 0;
	return used > 0;
}

static uint32_t ttl_of(const struct reader *r, size_t at, uint32_t chain)
{
	uint32_t ttl = get16(r, at) << 16 | get16(r, at + 2);

	if (ttl & 0x80000000)
		ttl = 0;
	return ttl < chain ? ttl : chain;
}

static void found(struct plain *out, const uint8_t *data, unsigned type, uint32_t ttl)
{
	uint8_t *a = out->found[out->count].addr;

	if (out->count == PLAIN_MAX)
		return;
	memset(a, 0, 16);
	if (type == TYPE_AAAA) {
		memcpy(a, data, 16);
	} else {
		a[10] = a[11] = 0xff;
		memcpy(a + 12, data, 4);
	}
	out->found[out->count++].ttl = ttl;
}

static void answers(struct reader *r, size_t at, unsigned count, const struct name *question)
{
	struct name wanted = *question, owner, target;
	uint32_t chain = TTL_MAX;

	while (count--) {
		size_t head = get_name(r, at, NULL), data = head + 10, next;
		unsigned type, length;
		int is_owner;

		if (!head || data > r->len)
			return;
		type = get16(r, head);
		length = get16(r, head + 8);
		next = data + length;
		if (next > r->len)
			return;
		is_owner = get_name(r, at, &owner) && same(r, &owner, &wanted);
		at = next;
		if (!is_owner || get16(r, head + 2) != 1)
			continue;
		if (type == TYPE_CNAME) {
			if (get_name(r, data, NULL) != next || !get_name(r, data, &target))
				return;
			wanted = target;
			chain = ttl_of(r, head + 4, chain);
		} else if ((type == TYPE_A && length == 4) || (type == TYPE_AAAA && length == 16)) {
			found(r->out, r->msg + data, type, ttl_of(r, head + 4, chain));
		}
	}
}

void dns_plain(const uint8_t *msg, size_t len, struct plain *out)
{
	struct reader r = {msg, len, out, 0};
	struct name question;
	size_t end;

	memset(out, 0, sizeof(*out));
	if (len < 12)
		return;
	if ((msg[2] & 0x80) == 0 || (msg[2] & 0x78) != 0 || (msg[3] & 15) != 0 || get16(&r, 4) != 1)
		return;
	end = get_name(&r, 12, NULL);
	if (!end || end + 4 > len || msg[end - 1] != 0 || !get_name(&r, 12, &question) ||
	    question.len != end - 12 || get16(&r, end + 2) != 1)
		return;
	if (!to_text(&question, out->name)) {
		out->name[0] = 0;
		return;
	}
	answers(&r, end + 4, get16(&r, 6), &question);
}
