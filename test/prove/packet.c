/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: Ethernet, IPv4 or IPv6, and enough of what follows (RFC 791, 8200, 9293, 768, 9260, 792, 4443). */
#include "packet.h"

#include <netinet/in.h>

enum { ETH = 14 };

static void put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

bool packet_has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

static bool is_icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static size_t body(const struct packet_spec *p, uint8_t *to)
{
	memset(to, 0, 40);
	if (packet_has_ports(p->proto)) {
		put16(to, p->sport);
		put16(to + 2, p->dport);
	}
	switch (p->proto) {
	case IPPROTO_TCP:
		to[12] = 0x50;
		to[13] = p->later ? 0x10 : p->reply ? 0x12 : 0x02;
		return 20;
	case IPPROTO_UDP:
		if (p->payload)
			memcpy(to + 8, p->payload, p->payload_len);
		put16(to + 4, (uint32_t)(p->payload ? 8 + p->payload_len : 16));
		return p->payload ? 8 + p->payload_len : 16;
	case IPPROTO_SCTP: /* common header and the start of INIT */
		to[12] = 1;
		put16(to + 14, 20);
		return 32;
	case IPPROTO_ICMP:
		to[0] = p->reply ? 0 : 8;
		put16(to + 4, p->sport);
		return 16;
	case IPPROTO_ICMPV6:
		to[0] = p->reply ? 129 : 128;
		put16(to + 4, p->sport);
		return 16;
	default:
		return 24;
	}
}

/* The later part: bytes that are not looked at. */
static size_t rest(const struct packet_spec *p, uint8_t *to)
{
	if (p->part != LATER_PART)
		return body(p, to);
	memset(to, 0xff, 24);
	return 24;
}

static void sum4(uint8_t *ip)
{
	uint32_t sum = 0;
	put16(ip + 10, 0);
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, ~((sum & 0xffff) + (sum >> 16)) & 0xffff);
}

size_t packet_frame(const struct packet_spec *p, uint8_t *to)
{
	uint8_t *ip = to + ETH;
	memset(to, 2, 12);
	if (addr_is4(&p->src)) {
		size_t n = 20 + rest(p, ip + 20);
		put16(to + 12, 0x0800);
		memset(ip, 0, 20);
		ip[0] = 0x45;
		put16(ip + 2, (uint32_t)n);
		if (p->part) {
			put16(ip + 4, p->sport);
			put16(ip + 6, p->part == FIRST_PART ? 0x2000 : 8);
		}
		ip[8] = 64;
		ip[9] = p->proto;
		memcpy(ip + 12, p->src.b + 12, 4);
		memcpy(ip + 16, p->dst.b + 12, 4);
		sum4(ip);
		return ETH + n;
	}
	size_t head = p->part ? 8 : 0, n = head + rest(p, ip + 40 + head);
	put16(to + 12, 0x86dd);
	memset(ip, 0, 8);
	ip[0] = 0x60;
	put16(ip + 4, (uint32_t)n);
	ip[6] = p->part ? IPPROTO_FRAGMENT : p->proto;
	ip[7] = 64;
	if (p->part) {
		memset(ip + 40, 0, 8);
		ip[40] = p->proto;
		put16(ip + 42, p->part == FIRST_PART ? 1 : 64);
		put16(ip + 46, p->sport);
	}
	memcpy(ip + 8, p->src.b, 16);
	memcpy(ip + 24, p->dst.b, 16);
	return ETH + 40 + n;
}

static void exchange(uint8_t *a, uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t x = a[i];
		a[i] = b[i];
		b[i] = x;
	}
}

void packet_turn(uint8_t *frame)
{
	uint8_t *ip = frame + ETH, *l4;
	uint8_t proto;
	bool v4 = frame[12] == 0x08;
	if (v4) {
		exchange(ip + 12, ip + 16, 4);
		proto = ip[9];
		l4 = ip + 20;
		ip[8] = 64;
		sum4(ip);
	} else {
		exchange(ip + 8, ip + 24, 16);
		proto = ip[6];
		l4 = ip + 40;
		ip[7] = 64;
	}
	if (packet_has_ports(proto))
		exchange(l4, l4 + 2, 2);
	if (proto == IPPROTO_TCP)
		l4[13] = 0x12;
	if (is_icmp(proto))
		l4[0] = v4 ? 0 : 129;
}
