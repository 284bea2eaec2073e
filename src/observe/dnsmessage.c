/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages: see dnsmessage.h. */
#include "observe/dnsmessage.h"

#include <errno.h>
#include <stdio.h>

enum { HEAD = 12, WIRE_NAME_MAX = 255, JUMPS_MAX = 126, CLASS_IN = 1 };
enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28 };

struct bytes {
	const uint8_t *p;
	size_t n;
};

static unsigned word(const struct bytes *b, size_t at)
{
	return (unsigned)b->p[at] << 8 | b->p[at + 1];
}

/* A name on the wire, whole, in lower case: equal bytes are equal names. */
struct wire_name {
	uint8_t bytes[WIRE_NAME_MAX];
	size_t n;
};

/* The offset behind the name at `at`, whose pointer is not followed; 0: it is none. */
static size_t skip_name(const struct bytes *b, size_t at)
{
	while (at < b->n && b->p[at] && b->p[at] <= 63)
		at += 1u + b->p[at];
	if (at < b->n && !b->p[at])
		return at + 1;
	return at + 2 <= b->n && (b->p[at] & 0xc0) == 0xc0 ? at + 2 : 0;
}

/* Reads the name at `i`, pointers followed. */
static int take_name(const struct bytes *b, size_t i, struct wire_name *out)
{
	unsigned jumps = 0;

	out->n = 0;
	for (;;) {
		if (i >= b->n)
			return -EINVAL;
		unsigned c = b->p[i];

		if ((c & 0xc0) == 0xc0) { /* RFC 1035, 4.1.4: a pointer leads back */
			if (i + 2 > b->n || (word(b, i) & 0x3fff) >= i || ++jumps > JUMPS_MAX)
				return -EINVAL;
			i = word(b, i) & 0x3fff;
			continue;
		}
		if (c > 63 || i + 1 + c > b->n || out->n + 1 + c > WIRE_NAME_MAX)
			return -EINVAL;
		out->bytes[out->n++] = (uint8_t)c;
		for (unsigned k = 1; k <= c; k++) {
			uint8_t x = b->p[i + k];

			out->bytes[out->n++] = x >= 'A' && x <= 'Z' ? (uint8_t)(x + 32) : x;
		}
		i += 1 + c;
		if (!c)
			return 0;
	}
}

static bool same_name(const struct wire_name *a, const struct wire_name *b)
{
	return a->n == b->n && !memcmp(a->bytes, b->bytes, a->n);
}

static void name_text(const struct wire_name *w, char out[DNS_TEXT])
{
	static const char more[] = "…";
	size_t n = 0;

	for (size_t i = 0; i + 1 < w->n; i += 1u + w->bytes[i])
		for (unsigned k = 0; k <= w->bytes[i]; k++) {
			uint8_t c = k ? w->bytes[i + k] : '.';
			bool plain = c > ' ' && c < 0x7f && c != '\\' && c != '"' && (c != '.' || !k);
			char piece[5];
			int len = plain ? snprintf(piece, sizeof(piece), "%c", c)
					: snprintf(piece, sizeof(piece), "\\%03u", c);

			if (!i && !k)
				continue;
			if (n + (size_t)len + sizeof(more) > DNS_TEXT) {
				memcpy(out + n, more, sizeof(more));
				return;
			}
			memcpy(out + n, piece, (size_t)len);
			n += (size_t)len;
		}
	if (!n)
		out[n++] = '.';
	out[n] = 0;
}

static void add_address(struct dns_message *m, const uint8_t *p, unsigned type)
{
	struct addr *a = &m->addresses[m->addresses_len++];

	if (type == TYPE_AAAA)
		memcpy(a->b, p, 16);
	else
		*a = addr_from4((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]);
}

/* The answer section: what belongs to `wanted`. */
static void take_answers(const struct bytes *b, size_t at, unsigned count, struct wire_name *wanted,
			 struct dns_message *m)
{
	struct wire_name owner;

	while (count-- && m->addresses_len < DNS_ADDRESSES) {
		size_t head = skip_name(b, at), data = head + 10;

		if (!head || data > b->n)
			return;
		unsigned type = word(b, head), class = word(b, head + 2), len = word(b, head + 8);
		bool ours = !take_name(b, at, &owner) && same_name(&owner, wanted);

		at = data + len;
		if (at > b->n)
			return;
		if (class != CLASS_IN || !ours)
			continue;
		if ((type == TYPE_A && len == 4) || (type == TYPE_AAAA && len == 16))
			add_address(m, b->p + data, type);
		else if (type == TYPE_CNAME && (skip_name(b, data) != at || take_name(b, data, wanted)))
			return;
	}
}

int dns_message_read(const uint8_t *p, size_t n, struct dns_message *out)
{
	struct bytes b = {p, n};
	struct wire_name name;
	size_t at;

	if (n < HEAD || p[2] & 0x78 || word(&b, 4) != 1 || take_name(&b, HEAD, &name))
		return -EINVAL;
	at = skip_name(&b, HEAD);
	if (!at || at + 4 > n)
		return -EINVAL;
	*out = (struct dns_message){.id = (uint16_t)word(&b, 0),
				    .type = (uint16_t)word(&b, at),
				    .answer = p[2] & 0x80,
				    .code = p[3] & 0x0f};
	name_text(&name, out->name);
	if (out->answer && !out->code && word(&b, at + 2) == CLASS_IN)
		take_answers(&b, at + 4, word(&b, 6), &name, out);
	return 0;
}
