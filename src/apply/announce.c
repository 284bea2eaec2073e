/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "This address is here now": gratuitous ARP and unsolicited neighbour advertisements at the uplink, so that
 * neighbours move at once. The kernel sends none when an address is added, and a socket that could needs
 * CAP_NET_RAW, which the applier has not: weft_announce sends the frames made here. Each is said again with
 * the next ticks, since nobody acknowledges it. Called by addresses.c and applier.c.
 */
#include <errno.h>
#include <netinet/in.h>

#include "apply/state.h"
#include "base/log.h"

enum { TIMES = 3, ETH = 14, ARP = 28, IP6 = 40, NA = 32 };

static void put16(uint8_t *at, unsigned n)
{
	at[0] = (uint8_t)(n >> 8);
	at[1] = (uint8_t)n;
}

static void put_eth(uint8_t *f, const uint8_t to[6], const uint8_t mac[6], unsigned type)
{
	memcpy(f, to, 6);
	memcpy(f + 6, mac, 6);
	put16(f + 12, type);
}

/* RFC 5227, section 3: a request with both protocol addresses alike. */
static size_t make_arp(uint8_t *f, const uint8_t mac[6], const struct addr *addr)
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	uint8_t *p = f + ETH;

	put_eth(f, all, mac, 0x0806);
	put16(p, 1);
	put16(p + 2, 0x0800);
	p[4] = 6;
	p[5] = 4;
	put16(p + 6, 1);
	memcpy(p + 8, mac, 6);
	memcpy(p + 14, addr->b + 12, 4);
	memcpy(p + 24, addr->b + 12, 4);
	return ETH + ARP;
}

static unsigned checksum(const uint8_t *ip)
{
	unsigned sum = NA + IPPROTO_ICMPV6;

	for (unsigned i = 8; i < IP6 + NA; i += 2)
		sum += (unsigned)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

/* RFC 4861, section 7.2.6: to all nodes, with the override flag and our link-layer address. */
static size_t make_na(uint8_t *f, const uint8_t mac[6], const struct addr *addr)
{
	static const uint8_t all[6] = {0x33, 0x33, 0, 0, 0, 1};
	uint8_t *ip = f + ETH, *p = ip + IP6;

	put_eth(f, all, mac, 0x86dd);
	ip[0] = 0x60;
	put16(ip + 4, NA);
	ip[6] = IPPROTO_ICMPV6;
	ip[7] = 255;
	memcpy(ip + 8, addr->b, 16);
	ip[24] = 0xff;
	ip[25] = 0x02;
	ip[39] = 1;
	p[0] = 136;
	p[4] = 0x20;
	memcpy(p + 8, addr->b, 16);
	p[24] = 2;
	p[25] = 1;
	memcpy(p + 26, mac, 6);
	put16(p + 2, checksum(ip));
	return ETH + IP6 + NA;
}

static void say(const struct applier *a, const struct addr *addr)
{
	uint8_t frame[ANNOUNCE_MAX] = {0};
	size_t n =
	    addr_is4(addr) ? make_arp(frame, a->uplink_mac, addr) : make_na(frame, a->uplink_mac, addr);
	int err = kernel_announce(&a->kernel, frame, n);
	char text[ADDR_TEXT];

	if (!err)
		return;
	addr_print(addr, text);
	log_warn("%s is not announced: %s", text, strerror(-err));
}

void announce(struct applier *a, const struct addr *addr)
{
	struct announced one = {.addr = *addr, .left = TIMES - 1};

	announce_stop(a, addr);
	say(a, addr);
	if (vec_push(&a->announced, one))
		log_error("out of memory");
}

void announce_stop(struct applier *a, const struct addr *addr)
{
	for (size_t i = 0; i < a->announced.len; i++)
		if (addr_eq(&a->announced.items[i].addr, addr)) {
			a->announced.items[i] = a->announced.items[--a->announced.len];
			return;
		}
}

void announce_tick(struct applier *a)
{
	for (size_t i = 0; i < a->announced.len;) {
		struct announced *one = &a->announced.items[i];

		say(a, &one->addr);
		if (--one->left)
			i++;
		else
			*one = a->announced.items[--a->announced.len];
	}
}
