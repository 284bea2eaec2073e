/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Writes a translation into the packet: addresses, ports, and every checksum that covers them, right for
 * packets whose sums the device will finish (RFC 1624). SCTP's sum covers neither address, and sctp.h has
 * its ports.
 */
#ifndef WEFT_BPF_REWRITE_H
#define WEFT_BPF_REWRITE_H

#include "bpf/lib/sctp.h"

#define IPV4_SUM_AT 10
#define IPV4_SRC_AT 12
#define IPV6_SRC_AT 8

/* A sum that covers a pseudo header gets the difference of the addresses. */
ALWAYS_INLINE void sum_addresses(struct __sk_buff *skb, __u32 at, __u32 diff, __u64 flags, int v6)
{
	if (v6 && !bpf_l4_csum_replace(skb, at, 0, diff, flags | BPF_F_PSEUDO_HDR | CSUM_IPV6))
		return;
	bpf_l4_csum_replace(skb, at, 0, diff, flags | BPF_F_PSEUDO_HDR);
}

/* Where the checksum of the protocol stands after its header's start; 0: it has none that we must keep. */
ALWAYS_INLINE __u32 sum_at(__u8 proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
		return 6;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 2;
	default:
		return 0;
	}
}

/* p->raw → p->out; 0 or a drop reason. The TTL is not touched. */
__attribute__((noinline)) int rewrite(struct __sk_buff *skb)
{
	struct packet *p = packet_get();
	__u32 at, l4, diff, old_ports, new_ports;
	__u64 mangled;
	__u8 proto;
	int step;

	if (!p)
		return 0;
	step = p->t.proto == IPPROTO_SCTP ? sctp_rewrite(skb) : 0;
	if (step)
		return step;
	l4 = p->l4;
	proto = p->t.proto;
	at = p->fragment == FRAGMENT_LATER ? 0 : sum_at(proto);
	mangled = proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	p->diff_old[0] = p->raw.src;
	p->diff_old[1] = p->raw.dst;
	p->diff_new[0] = p->out.src;
	p->diff_new[1] = p->out.dst;
	diff = (__u32)bpf_csum_diff(p->diff_old[0].w, 32, p->diff_new[0].w, 32, 0); /* ::ffff: cancels out */
	if (at && proto != IPPROTO_ICMP)
		sum_addresses(skb, l4 + at, diff, mangled, p->v6);
	if (at) {
		old_ports = (__u32)p->raw.dport << 16 | p->raw.sport;
		new_ports = (__u32)p->out.dport << 16 | p->out.sport;
		if (proto == IPPROTO_TCP || proto == IPPROTO_UDP) {
			bpf_l4_csum_replace(skb, l4 + at, old_ports, new_ports, mangled | 4);
			bpf_skb_store_bytes(skb, l4, &new_ports, 4, 0);
		} else if (p->raw.sport) { /* echo: the identifier */
			bpf_l4_csum_replace(skb, l4 + at, p->raw.sport, p->out.sport, 2);
			bpf_skb_store_bytes(skb, l4 + 4, &p->out.sport, 2, 0);
		}
	}
	if (p->v6) {
		bpf_skb_store_bytes(skb, L3 + IPV6_SRC_AT, &p->diff_new[0], 32, 0);
		return 0;
	}
	bpf_l3_csum_replace(skb, L3 + IPV4_SUM_AT, 0, diff, 0);
	bpf_skb_store_bytes(skb, L3 + IPV4_SRC_AT, &p->out.src.w[3], 4, 0);
	bpf_skb_store_bytes(skb, L3 + IPV4_SRC_AT + 4, &p->out.dst.w[3], 4, 0);
	return 0;
}

#endif
