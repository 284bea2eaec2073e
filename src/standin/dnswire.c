/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages of the resolver (RFC 1035, EDNS(0) of RFC 6891): one question out, the addresses of the answer
 * in. Bytes from the network are judged here and nowhere else; must never read past them. Called by
 * resolve.c.
 */
#include <ctype.h>

#include "standin/resolve.h"

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

size_t resolve_question(uint8_t *q, size_t cap, const char *name, uint16_t id, uint16_t type)
{
	struct str rest = str_of(name);
	size_t n = 12;

	if (rest.n && rest.p[rest.n - 1] == '.')
		rest.n--;
	if (!rest.n || rest.n > 253 || cap < rest.n + 40)
		return 0;
	memset(q, 0, 12);
	put16(q, id);
	q[2] = 1; /* recursion desired */
	q[5] = 1;
	q[11] = 1;
	while (rest.n) {
		struct str label = str_cut(&rest, '.');

		if (!label.n || label.n > 63)
			return 0;
		q[n++] = (uint8_t)label.n;
		memcpy(q + n, label.p, label.n);
		n += label.n;
	}
	q[n++] = 0;
	put16(q + n, type);
	put16(q + n + 2, 1);
	n += 4;
	/* OPT: root name, type 41, 1232 bytes of answer welcome, no flags, no data. */
	memset(q + n, 0, 11);
	put16(q + n + 1, 41);
	put16(q + n + 3, 1232);
	return n + 11;
}

/* Steps over a name: the offset behind it, or 0. */
static size_t skip_name(const uint8_t *m, size_t n, size_t at)
{
	while (at < n) {
		if (!m[at])
			return at + 1;
		if ((m[at] & 0xc0) == 0xc0)
			return at + 2 <= n ? at + 2 : 0;
		if (m[at] & 0xc0)
			return 0;
		at += 1u + m[at];
	}
	return 0;
}

int resolve_answer(const uint8_t *m, size_t n, uint16_t id, uint16_t type, struct addr *addrs, unsigned *len)
{
	size_t at;
	unsigned rcode, answers;

	if (n < 12 || get16(m) != id || !(m[2] & 0x80) || get16(m + 4) != 1)
		return -1;
	at = skip_name(m, n, 12);
	if (!at || at + 4 > n || get16(m + at) != type)
		return -1;
	at += 4;
	rcode = m[3] & 15;
	if (rcode)
		return rcode == 3 ? RESOLVE_NONE : RESOLVE_FAILED;
	answers = get16(m + 6);
	for (unsigned i = 0; i < answers; i++) {
		unsigned t, size;

		at = skip_name(m, n, at);
		if (!at || at + 10 > n)
			break;
		t = get16(m + at);
		size = get16(m + at + 8);
		at += 10;
		if (at + size > n)
			break;
		if (t == type && *len < RESOLVE_ADDRS && (t == 1 || t == 28) && size == (t == 1 ? 4u : 16u)) {
			if (t == 1)
				addrs[*len] = addr_from4((uint32_t)get16(m + at) << 16 | get16(m + at + 2));
			else
				memcpy(addrs[*len].b, m + at, 16);
			++*len;
		}
		at += size;
	}
	return RESOLVE_OK;
}
