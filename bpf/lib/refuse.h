/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Turns a packet that goes nowhere into its own refusal and hands it back to the pod that sent it: a TCP
 * segment into a reset, a datagram into "port unreachable". The stack's unreachable routes answer too, but
 * sockets take a host that is unreachable for a passing trouble and go on trying. Only for what p->refuse
 * allows; see from_pod.c.
 */
#ifndef WEFT_BPF_REFUSE_H
#define WEFT_BPF_REFUSE_H

#include "bpf/lib/parse.h"

#define IPV4_LEN	  20
#define IPV6_LEN	  40
#define TCP_LEN		  20
#define ICMP_LEN	  8
#define QUOTED_LEN	  8 /* of the transport header, RFC 792 */
#define FRAGMENT_LEN	  8 /* of IPv6's fragment header */
#define REFUSED_TTL	  64
#define ICMP4_UNREACHABLE 0x0303 /* type and code: port unreachable */
#define ICMP6_UNREACHABLE 0x0104
#define ICMP4_TOO_BIG	  0x0304 /* fragmentation needed, RFC 1191 */
#define ICMP6_TOO_BIG	  0x0200

struct icmp_head {
	__u16 kind, sum;
	__u32 word;
};

/* The IP header of the refusal, and after it the transport's own; by words, for sums. */
struct refusal {
	union {
		struct {
			__u32 words[5];
		} v4;
		struct {
			__u32 words[2];
			struct addr16 src, dst;
		} v6;
	};
	union {
		struct tcp_head tcp;
		struct icmp_head icmp;
	};
};

ALWAYS_INLINE __u16 sum_close(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

/* The sender's addresses the other way round; both are read from the packet, which may not be translated yet.
 */
ALWAYS_INLINE int refusal_ip(struct __sk_buff *skb, const struct packet *p, struct refusal *r, __u32 len,
			     __u8 proto)
{
	__u32 ends[2];

	if (p->v6) {
		r->v6.words[0] = bpf_htonl(0x60000000);
		r->v6.words[1] = bpf_htonl(len << 16 | (__u32)proto << 8 | REFUSED_TTL);
		return bpf_skb_load_bytes(skb, L3 + 8, &r->v6.dst, 16) ||
		       bpf_skb_load_bytes(skb, L3 + 24, &r->v6.src, 16);
	}
	if (bpf_skb_load_bytes(skb, L3 + 12, ends, sizeof(ends)))
		return 1;
	r->v4.words[0] = bpf_htonl(0x45000000 | (IPV4_LEN + len));
	r->v4.words[1] = bpf_htonl(IPV4_DONT_FRAG);
	r->v4.words[2] = bpf_htonl((__u32)REFUSED_TTL << 24 | (__u32)proto << 16);
	r->v4.words[3] = ends[1];
	r->v4.words[4] = ends[0];
	r->v4.words[2] |=
	    bpf_htonl(bpf_ntohs(sum_close((__u32)bpf_csum_diff(0, 0, r->v4.words, IPV4_LEN, 0))));
	return 0;
}

/* What the pseudo header of a refusal adds up to. */
ALWAYS_INLINE __u32 refusal_pseudo(const struct packet *p, struct refusal *r, __u32 len, __u8 proto)
{
	__u32 sum = bpf_htonl(len + proto);

	if (p->v6)
		return (__u32)bpf_csum_diff(0, 0, r->v6.src.w, 32, sum);
	return (__u32)bpf_csum_diff(0, 0, &r->v4.words[3], 8, sum);
}

/* RFC 9293, 3.10.7.1: the reset that a closed port sends. */
ALWAYS_INLINE int refuse_tcp(struct __sk_buff *skb, const struct packet *p, struct refusal *r, __u32 ip_len)
{
	__u32 payload = p->len - p->l4;
	struct tcp_head t;

	if (bpf_skb_load_bytes(skb, p->l4, &t, sizeof(t)) || t.flags & TCP_RST ||
	    payload < (t.words >> 4) * 4u)
		return 0;
	payload -= (t.words >> 4) * 4u;
	if (refusal_ip(skb, p, r, TCP_LEN, IPPROTO_TCP))
		return 0;
	r->tcp.sport = t.dport;
	r->tcp.dport = t.sport;
	r->tcp.words = TCP_LEN / 4 << 4;
	if (t.flags & TCP_ACK) {
		r->tcp.flags = TCP_RST;
		r->tcp.seq = t.ack;
	} else {
		r->tcp.flags = TCP_RST | TCP_ACK;
		r->tcp.ack =
		    bpf_htonl(bpf_ntohl(t.seq) + payload + !!(t.flags & TCP_SYN) + !!(t.flags & TCP_FIN));
	}
	r->tcp.sum = sum_close((__u32)bpf_csum_diff(0, 0, (__u32 *)&r->tcp, TCP_LEN,
						    refusal_pseudo(p, r, TCP_LEN, IPPROTO_TCP)));
	if (bpf_skb_change_tail(skb, L3 + ip_len + TCP_LEN, 0))
		return 0;
	return !bpf_skb_store_bytes(skb, L3 + ip_len, &r->tcp, TCP_LEN, 0);
}

/* An ICMP error (RFC 792, RFC 4443) that quotes the IP header and 8 bytes of transport; `word` follows its
 * sum. */
ALWAYS_INLINE int refuse_icmp(struct __sk_buff *skb, struct packet *p, struct refusal *r, __u32 ip_len,
			      __u16 kind, __u32 word)
{
	__u8 proto = p->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	__u32 sum, quoted = ip_len + QUOTED_LEN;

	if (p->v6 && p->fragment != FRAGMENT_NONE)
		quoted += FRAGMENT_LEN;
	if (refusal_ip(skb, p, r, ICMP_LEN + quoted, proto))
		return 0;
	sum = p->v6 ? refusal_pseudo(p, r, ICMP_LEN + quoted, proto) : 0;
	r->icmp.kind = bpf_htons(kind);
	r->icmp.word = bpf_htonl(word);
	if (p->v6) {
		if (bpf_skb_load_bytes(skb, L3, p->diff_old, quoted))
			return 0;
		sum = (__u32)bpf_csum_diff(0, 0, p->diff_old[0].w, quoted, sum);
	} else {
		if (bpf_skb_load_bytes(skb, L3, p->diff_old, IPV4_LEN + QUOTED_LEN))
			return 0;
		sum = (__u32)bpf_csum_diff(0, 0, p->diff_old[0].w, IPV4_LEN + QUOTED_LEN, sum);
	}
	r->icmp.sum = sum_close((__u32)bpf_csum_diff(0, 0, (__u32 *)&r->icmp, ICMP_LEN, sum));
	if (bpf_skb_change_tail(skb, L3 + quoted, 0) ||
	    bpf_skb_adjust_room(skb, (__s32)(ip_len + ICMP_LEN), BPF_ADJ_ROOM_MAC, 0))
		return 0;
	return !bpf_skb_store_bytes(skb, L3 + ip_len, &r->icmp, ICMP_LEN, 0);
}

ALWAYS_INLINE int refusal_close(struct __sk_buff *skb, const struct packet *p, const struct refusal *r)
{
	if (p->v6)
		return !bpf_skb_store_bytes(skb, L3, &r->v6, IPV6_LEN, 0);
	return !bpf_skb_store_bytes(skb, L3, &r->v4, IPV4_LEN, 0);
}

/* 1: the packet has become its refusal. A packet that is half written then is dropped by the caller's
 * verdict. */
__attribute__((noinline)) int refuse(struct __sk_buff *skb)
{
	struct packet *p = packet_get();
	struct refusal r = {};
	__u32 ip_len;
	int made = 0;

	if (!p || p->fragment != FRAGMENT_NONE || p->is_error)
		return 0;
	ip_len = p->v6 ? IPV6_LEN : IPV4_LEN;
	if (p->l4 != L3 + ip_len)
		return 0; /* options or extension headers: the stack answers */
	if (p->t.proto == IPPROTO_TCP)
		made = refuse_tcp(skb, p, &r, ip_len);
	else if (p->t.proto == IPPROTO_UDP)
		made = refuse_icmp(skb, p, &r, ip_len, p->v6 ? ICMP6_UNREACHABLE : ICMP4_UNREACHABLE, 0);
	return made && refusal_close(skb, p, &r);
}

/* 1: the packet has become the answer that `mtu` bytes fit, for whoever sent the frame. */
__attribute__((noinline)) int refuse_big(struct __sk_buff *skb, __u32 mtu)
{
	struct packet *p = packet_get();
	struct refusal r = {};
	__u8 macs[12];
	__u32 ip_len;

	if (!p || p->fragment == FRAGMENT_LATER || p->is_error)
		return 0;
	ip_len = p->v6 ? IPV6_LEN : IPV4_LEN;
	if (p->l4 != L3 + ip_len + (p->v6 && p->fragment ? FRAGMENT_LEN : 0) ||
	    bpf_skb_load_bytes(skb, 0, macs, sizeof(macs)))
		return 0;
	if (!refuse_icmp(skb, p, &r, ip_len, p->v6 ? ICMP6_TOO_BIG : ICMP4_TOO_BIG, mtu) ||
	    !refusal_close(skb, p, &r))
		return 0;
	return !bpf_skb_store_bytes(skb, 0, macs + 6, 6, 0) && !bpf_skb_store_bytes(skb, 6, macs, 6, 0);
}

#endif
