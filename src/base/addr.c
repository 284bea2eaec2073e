/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and prefixes in v4-mapped form. See addr.h. */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool addr_is4(const struct addr *a)
{
	return !memcmp(a->b, mapped, sizeof(mapped));
}

bool addr_is_zero(const struct addr *a)
{
	static const struct addr zero;
	return addr_eq(a, &zero);
}

struct addr addr_from4(uint32_t host_order)
{
	struct addr a;
	uint32_t n = htonl(host_order);
	memcpy(a.b, mapped, 12);
	memcpy(a.b + 12, &n, 4);
	return a;
}

uint32_t addr_to4(const struct addr *a)
{
	uint32_t n;
	memcpy(&n, a->b + 12, 4);
	return ntohl(n);
}

int addr_parse(struct str s, struct addr *out)
{
	char z[ADDR_TEXT];
	if (!s.n || s.n >= sizeof(z))
		return -EINVAL;
	memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	struct in_addr v4;
	struct addr a;
	if (inet_pton(AF_INET, z, &v4) == 1)
		a = addr_from4(ntohl(v4.s_addr));
	else if (inet_pton(AF_INET6, z, a.b) != 1)
		return -EINVAL;
	*out = a;
	return 0;
}

void addr_print(const struct addr *a, char out[ADDR_TEXT])
{
	if (addr_is4(a))
		inet_ntop(AF_INET, a->b + 12, out, ADDR_TEXT);
	else
		inet_ntop(AF_INET6, a->b, out, ADDR_TEXT);
}

void addr_add(struct addr *a, uint64_t n)
{
	for (int i = 15; i >= 0 && n; i--) {
		n += a->b[i];
		a->b[i] = (uint8_t)n;
		n >>= 8;
	}
}

void prefix_mask(struct addr *a, unsigned len)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = len > i * 8 ? len - i * 8 : 0;
		if (keep < 8)
			a->b[i] = (uint8_t)(a->b[i] & (0xff00u >> keep));
	}
}

int prefix_parse(struct str s, struct prefix *out)
{
	struct str text = str_cut(&s, '/');
	struct prefix p;
	int64_t len;
	if (addr_parse(text, &p.addr))
		return -EINVAL;
	bool v4 = memchr(text.p, ':', text.n) == NULL;
	if (!s.n || s.p[0] < '0' || s.p[0] > '9' || (s.n > 1 && s.p[0] == '0'))
		return -EINVAL;
	if (str_to_i64(s, 0, v4 ? 32 : 128, &len))
		return -EINVAL;
	p.len = (uint8_t)(len + (v4 ? 96 : 0));
	struct addr whole = p.addr;
	prefix_mask(&p.addr, p.len);
	*out = p;
	return addr_eq(&whole, &p.addr) ? 0 : -EDOM;
}

void prefix_print(const struct prefix *p, char out[PREFIX_TEXT])
{
	addr_print(&p->addr, out);
	size_t n = strlen(out);
	bool v4 = addr_is4(&p->addr) && p->len >= 96;
	snprintf(out + n, PREFIX_TEXT - n, "/%d", v4 ? p->len - 96 : p->len);
}

bool prefix_has(const struct prefix *p, const struct addr *a)
{
	/* NP38: ::/0 holds no IPv4 address, 0.0.0.0/0 (len 96) no IPv6 address. */
	if (p->len < 96 && addr_is4(a))
		return false;
	struct addr m = *a;
	prefix_mask(&m, p->len);
	return addr_eq(&m, &p->addr);
}

bool prefix_covers(const struct prefix *p, const struct prefix *q)
{
	return q->len >= p->len && prefix_has(p, &q->addr);
}

bool prefix_overlaps(const struct prefix *p, const struct prefix *q)
{
	return p->len <= q->len ? prefix_covers(p, q) : prefix_covers(q, p);
}
