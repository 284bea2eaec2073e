/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ICMP errors (RFC 792, RFC 4443): they belong to the connection of the packet that they quote. A related one
 * passes without judgement (NP71), and what it quotes is translated back (SV62), so the sender knows it
 * again. One that quotes nothing we know is judged as any other ICMP packet.
 */
#ifndef WEFT_BPF_ICMP_H
#define WEFT_BPF_ICMP_H

#include "bpf/lib/rewrite.h"
#include "bpf/lib/translate.h"

#define ICMP_HEAD 8

struct quoted { /* the IP header inside, either family */
	union {
		struct iphdr v4;
		struct ipv6hdr v6;
	};
};

/* Reads the quoted packet and puts what would be its reply into p->t. Nonzero: it quotes nothing useful. */
ALWAYS_INLINE int icmp_quoted(struct __sk_buff *skb, struct packet *p)
{
	__u32 in = p->l4 + ICMP_HEAD, l4;
	struct quoted q;
	__u16 ports[4];

	if (p->v6) {
		if (bpf_skb_load_bytes(skb, in, &q, sizeof(q.v6)))
			return 1;
		__builtin_memcpy(&p->t.dst, &q.v6.saddr, sizeof(p->t.dst));
		__builtin_memcpy(&p->t.src, &q.v6.daddr, sizeof(p->t.src));
		p->t.proto = q.v6.nexthdr;
		l4 = in + sizeof(q.v6);
	} else {
		if (bpf_skb_load_bytes(skb, in, &q, sizeof(q.v4)))
			return 1;
		addr_from_v4(&p->t.dst, q.v4.saddr);
		addr_from_v4(&p->t.src, q.v4.daddr);
		p->t.proto = q.v4.protocol;
		l4 = in + q.v4.ihl * 4u;
	}
	if (bpf_skb_load_bytes(skb, l4, ports, sizeof(ports)))
		return 1;
	p->inner = in;
	p->inner_l4 = l4;
	if (p->t.proto == IPPROTO_ICMP || p->t.proto == IPPROTO_ICMPV6) {
		p->t.sport = p->t.dport = ports[2]; /* echo: the identifier */
		return 0;
	}
	if (!proto_has_ports(p->t.proto))
		return 1;
	p->t.sport = ports[1];
	p->t.dport = ports[0];
	return 0;
}

/* 1: the error belongs to a connection; p->t, raw and out are those of a reply on it. Else p->t is as before.
 */
__attribute__((noinline)) int icmp_related(struct __sk_buff *skb)
{
	struct packet *p = packet_get();

	if (!p)
		return 0;
	p->nk = p->t;
	p->outer_src = p->t.src;
	if (!icmp_quoted(skb, p)) {
		p->raw = p->t;
		p->out = p->t;
		if (translate(p, conn_find(p), SERVICE_ANY))
			return 1;
	}
	p->t = p->nk;
	p->translated = 0;
	p->backward = 0;
	p->direct = 0;
	return 0;
}

/* The quoted transport's own sum, as far as it is quoted at all; the ICMP sum covers it. */
ALWAYS_INLINE void quoted_sum(struct __sk_buff *skb, const struct packet *p, __u32 addresses, __u32 old_ports,
			      __u32 new_ports)
{
	__u32 at = p->inner_l4 + sum_at(p->t.proto), sum;
	__u16 was = 0, is;

	if (!sum_at(p->t.proto))
		return;
	if (p->t.proto == IPPROTO_ICMP)
		addresses = 0; /* no pseudo header */
	if (bpf_skb_load_bytes(skb, at, &was, sizeof(was)) || (p->t.proto == IPPROTO_UDP && !was))
		return;
	sum = (__u32)bpf_csum_diff(&old_ports, 4, &new_ports, 4, addresses);
	sum = (sum & 0xffff) + (sum >> 16) + (__u16)~was;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	is = (__u16)~sum;
	bpf_l4_csum_replace(skb, p->l4 + 2, was, is, 2);
	bpf_skb_store_bytes(skb, at, &is, sizeof(is), 0);
}

/* Writes the difference of raw and out into the quoted packet and the outer addresses. */
__attribute__((noinline)) int icmp_rewrite(struct __sk_buff *skb)
{
	struct packet *p = packet_get();
	__u32 old_ports, new_ports, diff;
	int own;

	if (!p)
		return 0;
	own = addr_same(&p->outer_src,
			&p->raw.src); /* the backend itself complains: it speaks as the service */
	p->diff_old[0] = p->raw.dst;  /* quoted source */
	p->diff_old[1] = p->raw.src;  /* quoted destination */
	p->diff_new[0] = p->out.dst;
	p->diff_new[1] = p->out.src;
	p->diff_old[2] = p->outer_src;
	p->diff_old[3] = p->raw.dst;
	p->diff_new[2] = own ? p->out.src : p->outer_src;
	p->diff_new[3] = p->out.dst;
	old_ports = (__u32)p->raw.sport << 16 | p->raw.dport; /* the quoted packet went the other way */
	new_ports = (__u32)p->out.sport << 16 | p->out.dport;
	if (p->t.proto == IPPROTO_ICMP || p->t.proto == IPPROTO_ICMPV6) {
		old_ports = p->raw.sport;
		new_ports = p->out.sport;
		bpf_l4_csum_replace(skb, p->l4 + 2, old_ports, new_ports, 2);
		bpf_skb_store_bytes(skb, p->inner_l4 + 4, &p->out.sport, 2, 0);
	} else {
		bpf_l4_csum_replace(skb, p->l4 + 2, old_ports, new_ports, 4);
		bpf_skb_store_bytes(skb, p->inner_l4, &new_ports, 4, 0);
	}
	diff = (__u32)bpf_csum_diff(p->diff_old[0].w, 32, p->diff_new[0].w, 32, 0);
	quoted_sum(skb, p, diff, old_ports, new_ports);
	if (p->v6) {
		bpf_l4_csum_replace(skb, p->l4 + 2, 0, diff, 0);
		diff = (__u32)bpf_csum_diff(p->diff_old[2].w, 32, p->diff_new[2].w, 32, 0);
		sum_addresses(skb, p->l4 + 2, diff, 0, 1);
		bpf_skb_store_bytes(skb, p->inner + IPV6_SRC_AT, &p->diff_new[0], 32, 0);
		bpf_skb_store_bytes(skb, L3 + IPV6_SRC_AT, &p->diff_new[2], 32, 0);
		return 0;
	}
	/* the quoted header with its own sum adds up as before, so the ICMP sum does not see its addresses */
	bpf_l3_csum_replace(skb, p->inner + IPV4_SUM_AT, 0, diff, 0);
	bpf_skb_store_bytes(skb, p->inner + IPV4_SRC_AT, &p->diff_new[0].w[3], 4, 0);
	bpf_skb_store_bytes(skb, p->inner + IPV4_SRC_AT + 4, &p->diff_new[1].w[3], 4, 0);
	diff = (__u32)bpf_csum_diff(p->diff_old[2].w, 32, p->diff_new[2].w, 32, 0);
	bpf_l3_csum_replace(skb, L3 + IPV4_SUM_AT, 0, diff, 0);
	bpf_skb_store_bytes(skb, L3 + IPV4_SRC_AT, &p->diff_new[2].w[3], 4, 0);
	bpf_skb_store_bytes(skb, L3 + IPV4_SRC_AT + 4, &p->diff_new[3].w[3], 4, 0);
	return 0;
}

#endif
