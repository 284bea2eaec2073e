/* SPDX-License-Identifier: Apache-2.0 */
/* Builds frames from literals and compares frames layer by layer; see packet.h. Its own code, apart from
 * bpf/. */
#include "packet.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define ETH 14

static uint32_t sum_bytes(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (n & 1)
		sum += (uint32_t)p[n - 1] << 8;
	return sum;
}

static uint16_t sum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* RFC 9260, appendix A, bit by bit. */
static uint32_t sum_crc32c(const uint8_t *p, size_t n)
{
	uint32_t crc = 0xffffffff;

	while (n--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void put_crc(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint8_t ip_proto(const struct spec *s, int v6)
{
	switch (s->proto) {
	case TCP:
		return IPPROTO_TCP;
	case UDP:
		return IPPROTO_UDP;
	case SCTP:
		return IPPROTO_SCTP;
	case GRE:
		return IPPROTO_GRE;
	default:
		return v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	}
}

static size_t build_ip(const struct spec *s, uint8_t *to);

static uint16_t payload_of(const struct spec *s)
{
	return s->body ? s->body->len : s->payload;
}

static size_t build_icmp(const struct spec *s, uint8_t *p, int v6)
{
	size_t n = 8;

	memset(p, 0, 8);
	if (s->proto == PING)
		p[0] = v6 ? 128 : 8;
	else if (s->proto == PONG)
		p[0] = v6 ? 129 : 0;
	else
		p[0] = s->icmp_type;
	p[1] = s->icmp_code;
	if (s->proto == PING || s->proto == PONG)
		put16(p + 4, s->sport);
	else
		put16(p + 6, s->mtu);
	if (s->inner)
		n += build_ip(s->inner, p + 8) - (size_t)s->inner->cut;
	return n;
}

/* Everything after IP, without its checksum. */
static size_t build_l4(const struct spec *s, uint8_t *p, int v6)
{
	switch (s->proto) {
	case TCP:
		memset(p, 0, 20);
		put16(p, s->sport);
		put16(p + 2, s->dport);
		p[12] = (uint8_t)((5 + s->options) << 4);
		p[13] = s->flags;
		put16(p + 8, s->ack >> 16);
		put16(p + 10, s->ack & 0xffff);
		put16(p + 4, s->seq >> 16);
		put16(p + 6, s->seq & 0xffff);
		put16(p + 14, s->window ? s->window : s->ack ? 0 : 65535);
		return 20;
	case UDP:
		put16(p, s->sport);
		put16(p + 2, s->dport);
		put16(p + 4, 8u + payload_of(s));
		put16(p + 6, 0);
		return 8;
	case SCTP:
		memset(p, 0, 12);
		put16(p, s->sport);
		put16(p + 2, s->dport);
		return 12;
	case GRE:
		memset(p, 0, 4);
		put16(p + 2, 0x0800);
		return 4;
	default:
		return build_icmp(s, p, v6);
	}
}

static void sum_l4(const struct spec *s, uint8_t *l4, size_t n, const uint8_t *addrs, size_t addr_len, int v6)
{
	size_t at = s->proto == TCP ? 16 : s->proto == UDP ? 6 : 2;
	uint32_t sum = 0;

	if (s->proto == SCTP && !s->no_sum)
		put_crc(l4 + 8, sum_crc32c(l4, n));
	if (s->proto == SCTP || s->proto == GRE)
		return;
	if (v6 || s->proto == TCP || s->proto == UDP)
		sum = sum_bytes(addrs, addr_len, ip_proto(s, v6) + (uint32_t)n);
	put16(l4 + at, 0);
	put16(l4 + at, sum_fold(sum_bytes(l4, n, sum)));
}

/* The whole datagram is built and summed first; a fragment is then cut out of it. */
static size_t build_body(const struct spec *s, uint8_t *to, const uint8_t *addrs, size_t addr_len, int v6)
{
	uint8_t whole[PACKET_MAX]; /* a quoted packet is built inside this one */
	size_t n = build_l4(s, whole, v6), part;

	for (size_t i = 0; i < payload_of(s); i++)
		whole[n + i] = s->body ? s->body->bytes[i] : (uint8_t)i;
	n += payload_of(s);
	sum_l4(s, whole, n, addrs, addr_len, v6);
	if (!s->fragment_id) {
		memcpy(to, whole, n);
		return n;
	}
	part = s->fragment_more ? 64 : n - s->fragment_at;
	memcpy(to, whole + s->fragment_at, part);
	return part;
}

static size_t build_v6(const struct spec *s, uint8_t *to)
{
	size_t n = 40, body;
	uint8_t next = ip_proto(s, 1), *link = to + 6;

	memset(to, 0, 40);
	to[0] = 0x60;
	to[7] = s->ttl ? s->ttl : 64;
	inet_pton(AF_INET6, s->src, to + 8);
	inet_pton(AF_INET6, s->dst, to + 24);
	if (s->hop_by_hop) {
		*link = IPPROTO_HOPOPTS;
		memset(to + n, 0, 8);
		to[n + 2] = 1; /* PadN */
		to[n + 3] = 4;
		link = to + n;
		n += 8;
	}
	if (s->fragment_id) {
		*link = IPPROTO_FRAGMENT;
		memset(to + n, 0, 8);
		put16(to + n + 2, (uint32_t)s->fragment_at | (s->fragment_more ? 1u : 0));
		put16(to + n + 6, s->fragment_id);
		link = to + n;
		n += 8;
	}
	*link = next;
	body = build_body(s, to + n, to + 8, 32, 1);
	n += body;
	put16(to + 4, (uint32_t)n - 40);
	return n;
}

static size_t build_v4(const struct spec *s, uint8_t *to)
{
	size_t n = 20;

	memset(to, 0, 20);
	to[0] = 0x45;
	to[8] = s->ttl ? s->ttl : 64;
	to[9] = ip_proto(s, 0);
	inet_pton(AF_INET, s->src, to + 12);
	inet_pton(AF_INET, s->dst, to + 16);
	put16(to + 4, s->fragment_id);
	put16(to + 6,
	      s->fragment_at / 8u | (s->fragment_more ? 0x2000u : 0) | (s->dont_fragment ? 0x4000u : 0));
	n += build_body(s, to + n, to + 12, 8, 0);
	put16(to + 2, (uint32_t)n);
	put16(to + 10, sum_fold(sum_bytes(to, 20, 0)));
	return n;
}

static size_t build_ip(const struct spec *s, uint8_t *to)
{
	return strchr(s->src, ':') ? build_v6(s, to) : build_v4(s, to);
}

static void put_mac(uint8_t *to, const char *text)
{
	unsigned int b[6] = {0};

	if (text)
		sscanf(text, "%x:%x:%x:%x:%x:%x", b, b + 1, b + 2, b + 3, b + 4, b + 5);
	for (int i = 0; i < 6; i++)
		to[i] = (uint8_t)b[i];
}

size_t packet_build(const struct spec *s, uint8_t *to)
{
	size_t n;

	put_mac(to, s->dmac);
	put_mac(to + 6, s->smac);
	if (s->proto == ARP) {
		put16(to + 12, 0x0806);
		memset(to + ETH, 0, 28);
		return ETH + 28;
	}
	put16(to + 12, strchr(s->src, ':') ? 0x86dd : 0x0800);
	n = ETH + build_ip(s, to + ETH);
	return n - (size_t)s->cut;
}

static int layer_differs(const char *name, const uint8_t *got, size_t got_len, const uint8_t *want,
			 size_t want_len, size_t at, size_t n)
{
	size_t g = got_len > at ? got_len - at : 0, w = want_len > at ? want_len - at : 0;

	g = g < n ? g : n;
	w = w < n ? w : n;
	if (g == w && !memcmp(got + at, want + at, g))
		return 0;
	printf("#   %s differs\n#     got  ", name);
	for (size_t i = 0; i < g; i++)
		printf(" %02x", got[at + i]);
	printf("\n#     want ");
	for (size_t i = 0; i < w; i++)
		printf(" %02x", want[at + i]);
	printf("\n");
	return 1;
}

int packet_differs(const uint8_t *got, size_t got_len, const uint8_t *want, size_t want_len, int with_macs)
{
	size_t ip = want[12] == 0x86 ? 40 : 20;
	int bad = 0;

	if (with_macs)
		bad |= layer_differs("ethernet", got, got_len, want, want_len, 0, ETH);
	bad |= layer_differs(ip == 40 ? "ipv6" : "ipv4", got, got_len, want, want_len, ETH, ip);
	bad |= layer_differs("transport", got, got_len, want, want_len, ETH + ip, 8);
	bad |= layer_differs("the rest", got, got_len, want, want_len, ETH + ip + 8, PACKET_MAX);
	return bad;
}
