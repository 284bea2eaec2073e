/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Bytes → struct packet: IPv4, IPv6 with its extension headers, and as much of TCP, UDP, SCTP and ICMP as
 * tells ends and intent. Never changes the packet and never judges it. Called first by each tc program.
 */
#ifndef WEFT_BPF_PARSE_H
#define WEFT_BPF_PARSE_H

#include "bpf/lib/packet.h"

#define L3		ETH_HLEN
#define IPV4_FRAG_MORE	0x2000
#define IPV4_FRAG_WHERE 0x1fff
#define IPV4_DONT_FRAG	0x4000
#define IPV6_EXT_MAX	8
#define IPV6_FAR	9216 /* no extension header begins behind this */
#define L4_NEAR		512  /* a header that begins before this is read in place */

#define ICMP4_ECHO_REPLY 0
#define ICMP4_ECHO	 8
#define ICMP6_ECHO	 128
#define ICMP6_ECHO_REPLY 129

/* RFC 792: unreachable, source quench, time exceeded, parameter problem. */
ALWAYS_INLINE __u8 icmp4_is_error(__u8 type)
{
	return type == 3 || type == 4 || type == 11 || type == 12;
}

/* RFC 4443, 2.1: errors are 1 to 127; those above 4 are unassigned and stay ordinary. */
ALWAYS_INLINE __u8 icmp6_is_error(__u8 type)
{
	return type >= 1 && type <= 4;
}

/* RFC 4890, 4.4.1: neighbour and router discovery, multicast listeners (130 to 132, 143). */
ALWAYS_INLINE __u8 icmp6_is_nd(__u8 type)
{
	return (type >= 130 && type <= 137) || type == 143;
}

/* The first 14 bytes after IP: ports and, for TCP, flags. Shorter packets are padded with 0, see l4_short().
 */
struct l4_head {
	__u16 sport, dport;
	__u16 more[5];
};

/* RFC 9293, 3.1. */
struct tcp_head {
	__u16 sport, dport;
	__u32 seq, ack;
	__u8 words, flags; /* words: upper half */
	__u16 window, sum, urgent;
};

/* At `off` in an IP packet that ends at `stop`: not in the frame's padding. */
ALWAYS_INLINE void parse_tcp(struct packet *p, const struct tcp_head *h, __u32 off, __u32 stop)
{
	p->t.sport = h->sport;
	p->t.dport = h->dport;
	p->tcp = h->flags;
	p->seq = bpf_ntohl(h->seq);
	p->ack = bpf_ntohl(h->ack);
	p->tcp_window = h->window;
	p->seq_len = stop - off - (h->words >> 4) * 4u + ((h->flags & TCP_SYN) >> 1) + (h->flags & TCP_FIN);
	p->tcp_follows = p->fragment == FRAGMENT_NONE && p->seq_len <= stop;
}

ALWAYS_INLINE int parse_icmp(struct packet *p, const struct l4_head *h)
{
	__u8 type = (__u8)(bpf_ntohs(h->sport) >> 8);
	int echo;

	p->icmp_type = type;
	if (p->t.proto == IPPROTO_ICMPV6) {
		p->is_error = icmp6_is_error(type);
		p->is_nd = icmp6_is_nd(type);
		echo = type == ICMP6_ECHO || type == ICMP6_ECHO_REPLY;
	} else {
		p->is_error = icmp4_is_error(type);
		echo = type == ICMP4_ECHO || type == ICMP4_ECHO_REPLY;
	}
	p->t.sport = p->t.dport = echo ? h->more[0] : 0;
	return 0;
}

/* The header behind IP, at `off`; that packet ends at `stop`. */
ALWAYS_INLINE int parse_l4(struct __sk_buff *skb, struct packet *p, __u32 off, __u32 stop)
{
	struct l4_head h = {};
	__u8 proto = p->t.proto;

	p->l4 = off;
	if (p->fragment == FRAGMENT_LATER)
		return 0; /* fragment_ports() fills them */
	if (proto == IPPROTO_TCP) {
		void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
		const struct tcp_head *head = data + (off & (L4_NEAR - 1));
		struct tcp_head far;

		if (off < L4_NEAR && (void *)(head + 1) <= end) {
			parse_tcp(p, head, off, stop);
			return 0;
		}
		if (!bpf_skb_load_bytes(skb, off, &far, sizeof(far))) {
			parse_tcp(p, &far, off, stop);
			return 0;
		}
		if (bpf_skb_load_bytes(skb, off, &h, 14))
			return DROP_MALFORMED;
		p->tcp = (__u8)bpf_ntohs(h.more[4]);
	} else if (proto == IPPROTO_UDP || proto == IPPROTO_SCTP || proto == IPPROTO_ICMP ||
		   proto == IPPROTO_ICMPV6) {
		if (bpf_skb_load_bytes(skb, off, &h, 8))
			return DROP_MALFORMED;
		if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
			return parse_icmp(p, &h);
	} else {
		return 0;
	}
	p->t.sport = h.sport;
	p->t.dport = h.dport;
	return 0;
}

ALWAYS_INLINE int parse_ipv4(struct __sk_buff *skb, struct packet *p)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	const struct iphdr *ip = data + L3;
	__u16 frag;
	__u32 hlen;

	if ((void *)(ip + 1) > end) {
		if (bpf_skb_pull_data(skb, L3 + sizeof(*ip)))
			return DROP_MALFORMED;
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
		ip = data + L3;
		if ((void *)(ip + 1) > end)
			return DROP_MALFORMED;
	}
	hlen = ip->ihl * 4u;
	if (ip->version != 4 || hlen < sizeof(*ip) || L3 + hlen > skb->len ||
	    L3 + (__u32)bpf_ntohs(ip->tot_len) > skb->len)
		return DROP_MALFORMED;
	addr_from_v4(&p->t.src, ip->saddr);
	addr_from_v4(&p->t.dst, ip->daddr);
	p->t.proto = ip->protocol;
	p->ttl = ip->ttl;
	frag = bpf_ntohs(ip->frag_off);
	p->fragment_flags = frag;
	if (frag & (IPV4_FRAG_MORE | IPV4_FRAG_WHERE)) {
		/* RFC 1858: a TCP header may not be spread over fragments */
		if ((frag & IPV4_FRAG_WHERE) == 1 && ip->protocol == IPPROTO_TCP)
			return DROP_MALFORMED;
		p->fragment = frag & IPV4_FRAG_WHERE ? FRAGMENT_LATER : FRAGMENT_FIRST;
		p->fk.id = ip->id;
	}
	/* 0: segments that are merged beyond 16 bits */
	return parse_l4(skb, p, L3 + hlen, ip->tot_len ? L3 + (__u32)bpf_ntohs(ip->tot_len) : skb->len);
}

struct ipv6_fragment { /* RFC 8200, 4.5 */
	__u8 next, reserved;
	__u16 where;
	__u32 id;
};

/* A function of its own, as the next one: verified once and not for each path. Passes one extension header
 * (RFC 8200, 4.1) at `off`: p->t.proto becomes what follows. Returns its offset, or a negative number. */
__attribute__((noinline)) int parse_ipv6_ext(struct __sk_buff *skb, __u32 off)
{
	struct packet *p = packet_get();
	struct ipv6_fragment h;
	__u8 was;

	if (!p || off > IPV6_FAR || bpf_skb_load_bytes(skb, off, &h, sizeof(h)))
		return -1;
	was = p->t.proto;
	p->t.proto = h.next;
	if (was == IPPROTO_AH)
		return (int)(off + (h.reserved + 2u) * 4u);
	if (was != IPPROTO_FRAGMENT)
		return (int)(off + (h.reserved + 1u) * 8u);
	p->fragment = bpf_ntohs(h.where) >> 3 ? FRAGMENT_LATER : FRAGMENT_FIRST;
	if (!(bpf_ntohs(h.where) & 0xfff9))
		p->fragment = FRAGMENT_NONE; /* RFC 6946: atomic */
	p->fk.id = h.id;
	return (int)(off + sizeof(h));
}

ALWAYS_INLINE int ipv6_is_ext(__u8 proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
	       proto == IPPROTO_AH || proto == IPPROTO_FRAGMENT;
}

/* From p->t.proto at `off` past all extension headers to parse_l4(). */
__attribute__((noinline)) int parse_ipv6_chain(struct __sk_buff *skb, __u32 off, __u32 stop)
{
	struct packet *p = packet_get();
	int at = (int)off;

	if (!p)
		return DROP_MALFORMED;
	for (int i = 0; i < IPV6_EXT_MAX; i++) {
		if (!ipv6_is_ext(p->t.proto) || p->fragment == FRAGMENT_LATER)
			break;
		at = parse_ipv6_ext(skb, (__u32)at);
		if (at < 0)
			return DROP_MALFORMED;
	}
	if (ipv6_is_ext(p->t.proto) && p->fragment != FRAGMENT_LATER)
		return DROP_MALFORMED;
	return parse_l4(skb, p, (__u32)at, stop);
}

ALWAYS_INLINE int parse_ipv6(struct __sk_buff *skb, struct packet *p)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	const struct ipv6hdr *ip = data + L3;
	__u32 off = L3 + sizeof(*ip), stop;

	if ((void *)(ip + 1) > end) {
		if (bpf_skb_pull_data(skb, off))
			return DROP_MALFORMED;
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
		ip = data + L3;
		if ((void *)(ip + 1) > end)
			return DROP_MALFORMED;
	}
	if (ip->version != 6 || off + (__u32)bpf_ntohs(ip->payload_len) > skb->len)
		return DROP_MALFORMED;
	__builtin_memcpy(&p->t.src, &ip->saddr, sizeof(p->t.src));
	__builtin_memcpy(&p->t.dst, &ip->daddr, sizeof(p->t.dst));
	p->ttl = ip->hop_limit;
	p->v6 = 1;
	p->t.proto = ip->nexthdr;
	/* 0: more than fits into 16 bits (RFC 2675) */
	stop = ip->payload_len ? off + bpf_ntohs(ip->payload_len) : skb->len;
	return ipv6_is_ext(p->t.proto) ? parse_ipv6_chain(skb, off, stop) : parse_l4(skb, p, off, stop);
}

/* A function of its own, so that each program is verified from one state behind it. */
__attribute__((noinline)) int parse_frame(struct __sk_buff *skb)
{
	struct packet *p = packet_get();

	if (!p)
		return STEP_STACK;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return parse_ipv4(skb, p);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(skb, p);
	return STEP_STACK;
}

/* A frame that is neither IPv4 nor IPv6, or has a VLAN tag, is left to the stack. */
ALWAYS_INLINE int parse(struct __sk_buff *skb)
{
	return skb->vlan_present ? STEP_STACK : parse_frame(skb);
}

#endif
