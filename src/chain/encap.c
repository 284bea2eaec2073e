/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encapsulate: VXLAN (RFC 7348), Ethernet in GRE (RFC 2784, 2890), ERSPAN II and III, over IPv4 or IPv6. The
 * inner bytes do not change. What is over the MTU is refused, cut, or sent in outer fragments, as set. A
 * number (ERSPAN's, IPv4's identification) is used up only by what is sent.
 */
#include "chain/checksum.h"
#include "chain/state.h"

#include <errno.h>

enum { ETH = MACS + 2, IP4 = 20, IP6 = 40, UDP = 8, FRAGMENT = 8, IP_MAX = 65535 };
enum { VXLAN_PORT = 4789, PORTS_FROM = 49152, PORTS = 16384, TTL = 64 };
enum { GRE_KEY = 0x2000, GRE_NUMBERED = 0x1000, GRE_ERSPAN2 = 0x88be, GRE_ERSPAN3 = 0x22eb };

int encap_check(const struct chain_encap *e, struct buf *why)
{
	const char *text = NULL;
	uint32_t most = e->kind == CHAIN_ENCAP_VXLAN ? 0xffffff
			: e->kind == CHAIN_ENCAP_GRE ? UINT32_MAX
						     : 1023;

	if (e->kind == CHAIN_ENCAP_NONE)
		return 0;
	if (addr_is_zero(&e->src) || addr_is_zero(&e->dst))
		text = "a tunnel needs an address at both ends";
	else if (addr_is4(&e->src) != addr_is4(&e->dst))
		text = "both ends of a tunnel are of one family";
	else if (e->id > most)
		text = e->kind == CHAIN_ENCAP_VXLAN ? "a VNI is at most 16777215"
						    : "an ERSPAN session is at most 1023";
	else if (e->dscp > 63)
		text = "DSCP is at most 63";
	else if (e->mtu && (e->mtu < (addr_is4(&e->src) ? 576u : 1280u) || e->mtu > IP_MAX))
		text = "the MTU of a tunnel is 576 (IPv6: 1280) to 65535";
	else if (e->df && addr_is4(&e->src) && e->too_big == CHAIN_FRAGMENT)
		text = "a tunnel whose packets say \"do not fragment\" cannot send fragments";
	if (text && why)
		buf_addz(why, text);
	return text ? -EINVAL : 0;
}

static uint32_t gre_head(const struct chain_encap *e)
{
	switch (e->kind) {
	case CHAIN_ENCAP_VXLAN:
		return UDP + 8;
	case CHAIN_ENCAP_GRE:
		return e->has_key ? 8 : 4;
	case CHAIN_ENCAP_ERSPAN2:
		return 8 + 8;
	case CHAIN_ENCAP_ERSPAN3:
		return 8 + 12;
	case CHAIN_ENCAP_NONE:
		break;
	}
	return 0;
}

static uint32_t ip_head(const struct chain_encap *e)
{
	return addr_is4(&e->src) ? IP4 : IP6;
}

static void put_vxlan(const struct work *w, uint8_t *h, uint32_t n, uint64_t flow)
{
	const struct chain_encap *e = &w->c->config.encap;

	set16(h, PORTS_FROM + (uint32_t)(flow % PORTS));
	set16(h + 2, e->port ? e->port : VXLAN_PORT);
	set16(h + 4, n);
	set16(h + 6, 0);
	set32(h + 8, 0x08000000);
	set32(h + 12, e->id << 8);
}

static void put_gre(const struct work *w, uint8_t *h)
{
	const struct chain_encap *e = &w->c->config.encap;
	const uint8_t *inner = w->k.p;
	uint16_t type = TYPE_ETHERNET;

	if (w->k.link != CHAIN_LINK_ETHERNET)
		type = w->k.caplen && inner[0] >> 4 == 6 ? TYPE_IP6 : TYPE_IP4;
	set16(h, e->has_key ? GRE_KEY : 0);
	set16(h + 2, type);
	if (e->has_key)
		set32(h + 4, e->id);
}

/* GRE with a number, then version 1 or 2, VLAN, priority, whether it is cut, session. */
static void put_erspan(const struct work *w, uint8_t *h)
{
	const struct chain_encap *e = &w->c->config.encap;
	bool third = e->kind == CHAIN_ENCAP_ERSPAN3,
	     tagged = is_tag(get16(w->k.p + MACS)) && w->k.caplen >= ETH + TAG;
	uint16_t tci = tagged ? get16(w->k.p + ETH) : 0;
	uint32_t cut = w->k.caplen < w->k.len;

	set16(h, GRE_NUMBERED);
	set16(h + 2, third ? GRE_ERSPAN3 : GRE_ERSPAN2);
	set32(h + 4, w->c->sequence);
	set16(h + 8, (third ? 0x2000u : 0x1000u) | (tci & 0xfffu));
	/* II tells that the tag is kept in the frame; III has whether the frame was good there: unknown. */
	set16(h + 10, (tci >> 13) * 0x2000u | (!third && tagged ? 0x1800u : 0) | cut << 10 | e->id);
	if (third) {
		set32(h + 12, (uint32_t)(w->k.time / 100)); /* in units of 100 ns: granularity 1 */
		set16(h + 16, 0);
		set16(h + 18, 0x8002); /* an Ethernet frame; no further header */
	} else {
		set32(h + 12, 0);
	}
}

static void put_ip(const struct work *w, uint8_t *h, uint32_t n, uint8_t proto)
{
	const struct chain_encap *e = &w->c->config.encap;
	uint8_t ttl = e->ttl ? e->ttl : TTL;
	uint16_t sum;

	if (addr_is4(&e->src)) {
		set16(h, 0x4500u | (uint32_t)e->dscp << 2);
		set16(h + 2, IP4 + n);
		set16(h + 4, w->c->ip_id);
		set16(h + 6, e->df ? 0x4000 : 0);
		set16(h + 8, (uint32_t)ttl << 8 | proto);
		set16(h + 10, 0);
		memcpy(h + 12, e->src.b + 12, 4);
		memcpy(h + 16, e->dst.b + 12, 4);
		sum = (uint16_t)~sum_fold(sum_add(0, h, IP4));
		memcpy(h + 10, &sum, 2);
	} else {
		set32(h, 6u << 28 | (uint32_t)e->dscp << 22);
		set16(h + 4, n);
		h[6] = proto;
		h[7] = ttl;
		memcpy(h + 8, e->src.b, 16);
		memcpy(h + 24, e->dst.b, 16);
	}
}

/* RFC 6935 allows 0 over IPv6 to some; a sum is right for all. Over IPv4 RFC 7348 wants 0. */
static void put_udp_sum(uint8_t *ip, uint32_t n)
{
	struct layout l = {.version = 6, .proto = PROTO_UDP, .l4 = IP6, .end = IP6 + n, .covered = IP6 + n};

	checksum_transport(ip, &l);
}

static void note_sent(struct work *w)
{
	w->c->sequence++;
	w->c->ip_id++;
	count(w, CHAIN_ENCAPSULATED);
}

/* One packet over the MTU as outer fragments. `p`: frame header, IP, n bytes. */
static int fragments(struct work *w, const uint8_t *p, uint32_t n)
{
	const struct chain_encap *e = &w->c->config.encap;
	bool is4 = addr_is4(&e->src);
	uint32_t head = ETH + (is4 ? IP4 : IP6 + FRAGMENT), room = (e->mtu - (head - ETH)) & ~7u, pieces = 0;
	struct chain_packet whole = w->k;

	if (area_room(&w->c->fragment, head + room))
		return -ENOMEM;
	for (uint32_t at = 0; at < n; at += room, pieces++) {
		uint8_t *f = w->c->fragment.p;
		uint32_t piece = n - at < room ? n - at : room, more = at + piece < n;
		uint16_t sum;

		memcpy(f, p, ETH + (is4 ? IP4 : IP6));
		memcpy(f + head, p + ETH + (is4 ? IP4 : IP6) + at, piece);
		if (is4) {
			set16(f + ETH + 2, IP4 + piece);
			set16(f + ETH + 6, more << 13 | at / 8);
			set16(f + ETH + 10, 0);
			sum = (uint16_t)~sum_fold(sum_add(0, f + ETH, IP4));
			memcpy(f + ETH + 10, &sum, 2);
		} else {
			set16(f + ETH + 4, FRAGMENT + piece);
			set16(f + ETH + IP6, (uint32_t)f[ETH + 6] << 8);
			set16(f + ETH + IP6 + 2, at | more);
			set32(f + ETH + IP6 + 4, w->c->ip_id);
			f[ETH + 6] = 44;
		}
		w->k.p = f;
		w->k.caplen = w->k.len = head + piece;
		w->k.flags |= PACKET_FRAGMENT;
		hand_on(w);
	}
	w->k = whole;
	w->c->counts[CHAIN_FRAGMENTS_ADDED] += pieces - 1;
	count(w, CHAIN_ENCAP_FRAGMENTED);
	note_sent(w);
	return 0;
}

/* What the tunnel's MTU leaves: true if it goes on, cut where set. */
static bool fits(struct work *w, uint32_t mtu, uint32_t heads)
{
	const struct chain_encap *e = &w->c->config.encap;

	if (heads + w->k.caplen <= mtu)
		return true;
	if (e->too_big == CHAIN_CUT) {
		w->k.caplen = mtu - heads;
		w->k.flags |= PACKET_SLICED;
		w->has_layout = false;
		count(w, CHAIN_ENCAP_SLICED);
		return true;
	}
	if (e->too_big == CHAIN_FRAGMENT && heads + w->k.caplen <= IP_MAX)
		return true;
	count(w, CHAIN_ENCAP_TOO_BIG);
	return false;
}

static bool can_carry(const struct work *w)
{
	bool raw = w->k.link == CHAIN_LINK_RAW || w->k.link == CHAIN_LINK_IP4 || w->k.link == CHAIN_LINK_IP6;

	return work_ethernet(w) || (raw && w->c->config.encap.kind == CHAIN_ENCAP_GRE);
}

int encapsulate(struct work *w)
{
	const struct chain_encap *e = &w->c->config.encap;
	bool is4 = addr_is4(&e->src), udp = e->kind == CHAIN_ENCAP_VXLAN;
	uint32_t ip = ip_head(e), gre = gre_head(e), mtu = e->mtu ? e->mtu : IP_MAX, n;
	uint64_t flow;
	uint8_t *p;

	if (e->kind == CHAIN_ENCAP_NONE) {
		hand_on(w);
		return 0;
	}
	if (!can_carry(w)) {
		count(w, CHAIN_ENCAP_NOT_ETHERNET);
		return 0;
	}
	if (!fits(w, mtu, ip + gre))
		return 0;
	flow = udp ? chain_flow(&w->k, 0, 0) : 0;
	p = work_own(w);
	if (!p)
		return -ENOMEM;
	p -= gre;
	if (udp)
		put_vxlan(w, p, gre + w->k.caplen, flow);
	else if (e->kind == CHAIN_ENCAP_GRE)
		put_gre(w, p);
	else
		put_erspan(w, p);
	n = gre + w->k.caplen;
	p -= ip;
	put_ip(w, p, n, udp ? PROTO_UDP : PROTO_GRE);
	if (udp && !is4)
		put_udp_sum(p, n);
	p -= ETH;
	memcpy(p, e->dst_mac, 6);
	memcpy(p + 6, e->src_mac, 6);
	set16(p + MACS, is4 ? TYPE_IP4 : TYPE_IP6);
	work_grow(w, (int)(ETH + ip + gre));
	w->k.link = CHAIN_LINK_ETHERNET;
	if (ip + n > mtu)
		return fragments(w, p, n);
	note_sent(w);
	hand_on(w);
	return 0;
}
