/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums: see checksum.h. */
#include "chain/checksum.h"

uint64_t sum_add(uint64_t sum, const uint8_t *p, size_t n)
{
	while (n >= 8) {
		uint64_t w;

		memcpy(&w, p, 8);
		sum += w;
		sum += sum < w; /* the carry comes round */
		p += 8;
		n -= 8;
	}
	if (n) {
		uint64_t w = 0;

		memcpy(&w, p, n);
		sum += w;
		sum += sum < w;
	}
	return sum;
}

uint16_t sum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint64_t sum_add_at(uint64_t sum, const uint8_t *p, size_t n, bool odd)
{
	uint16_t part = sum_fold(sum_add(0, p, n));

	if (odd)
		part = (uint16_t)(part << 8 | part >> 8);
	return sum_fold(sum) + (uint64_t)part;
}

uint64_t sum_pseudo(const uint8_t *p, const struct layout *l, uint32_t n)
{
	uint8_t tail[8] = {0};
	uint64_t sum;

	if (l->version == 4)
		sum = sum_add(0, p + l->l3 + 12, 8);
	else
		sum = sum_add(sum_add(0, p + l->l3 + 8, 16),
			      p + (l->final_dst_at ? l->final_dst_at : l->l3 + 24), 16);
	set32(tail, n);
	tail[7] = l->proto;
	return sum_fold(sum) + (uint64_t)sum_fold(sum_add(0, tail, 8));
}

struct transport_sum transport_sum(const struct layout *l)
{
	struct transport_sum s = {0};

	if (!l->version || l->murky)
		return s;
	switch (l->proto) {
	case PROTO_TCP:
		return (struct transport_sum){.at = l->l4 + 16, .pseudo = true};
	case PROTO_UDP:
		return (struct transport_sum){.at = l->l4 + 6, .pseudo = true, .zero = l->version == 4};
	case PROTO_ICMP:
	case PROTO_IGMP:
		if (l->version == 4)
			s.at = l->l4 + 2;
		return s;
	case PROTO_ICMP6:
		if (l->version == 6)
			return (struct transport_sum){.at = l->l4 + 2, .pseudo = true};
		return s;
	case PROTO_SCTP:
		return (struct transport_sum){.at = l->l4 + 8, .crc = true};
	default:
		return s;
	}
}

void checksum_ip4(uint8_t *p, const struct layout *l)
{
	uint16_t sum;

	if (l->version != 4)
		return;
	set16(p + l->l3 + 10, 0);
	sum = (uint16_t)~sum_fold(sum_add(0, p + l->l3, (p[l->l3] & 15u) * 4));
	memcpy(p + l->l3 + 10, &sum, 2);
}

/* The sum over a whole transport part, with the checksum in it as it is. */
static uint16_t whole(const uint8_t *p, const struct layout *l, const struct transport_sum *s)
{
	uint32_t n = l->covered - l->l4;

	return sum_fold(sum_add(s->pseudo ? sum_pseudo(p, l, n) : 0, p + l->l4, n));
}

void checksum_transport(uint8_t *p, const struct layout *l)
{
	struct transport_sum s = transport_sum(l);
	uint16_t sum;

	if (!s.at || s.at + 2 > l->covered)
		return;
	if (s.crc) {
		uint32_t c, n = l->covered - l->l4;

		if (n < 12)
			return;
		c = crc32c(p + l->l4, n, 8);
		for (unsigned i = 0; i < 4; i++)
			p[s.at + i] = (uint8_t)(c >> (8 * i));
		return;
	}
	set16(p + s.at, 0);
	sum = (uint16_t)~whole(p, l, &s);
	if (!sum && l->proto == PROTO_UDP)
		sum = 0xffff;
	memcpy(p + s.at, &sum, 2);
}

bool checksum_right(const uint8_t *p, const struct layout *l)
{
	struct transport_sum s = transport_sum(l);

	if (!s.at || s.at + 2 > l->covered)
		return false;
	if (s.crc) {
		uint32_t n = l->covered - l->l4;

		return n >= 12 &&
		       crc32c(p + l->l4, n, 8) == ((uint32_t)p[s.at + 3] << 24 | (uint32_t)p[s.at + 2] << 16 |
						   (uint32_t)p[s.at + 1] << 8 | p[s.at]);
	}
	return whole(p, l, &s) == 0xffff || (s.zero && !get16(p + s.at));
}

/* One bit at a time would do for SCTP, which is rare; four bits with a table on the stack are enough for
 * both. */
static uint32_t crc(uint32_t polynomial, const uint8_t *p, size_t n, size_t without)
{
	uint32_t table[16], c = 0xffffffff;

	for (uint32_t i = 0; i < 16; i++) {
		table[i] = i;
		for (unsigned k = 0; k < 4; k++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? polynomial : 0);
	}
	for (size_t i = 0; i < n; i++) {
		c ^= i - without < 4 ? 0 : p[i];
		c = c >> 4 ^ table[c & 15];
		c = c >> 4 ^ table[c & 15];
	}
	return ~c;
}

uint32_t crc32c(const uint8_t *p, size_t n, size_t without)
{
	return crc(0x82f63b78, p, n, without);
}

uint32_t crc32_ethernet(const uint8_t *p, size_t n)
{
	return crc(0xedb88320, p, n, SIZE_MAX / 2);
}
