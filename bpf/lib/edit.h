/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a tool port's chain does to its copies where the kernel does it: mask, slice and a VLAN tag, byte for
 * byte as src/chain does. Only packets whose headers are plain are edited here (Ethernet, at most the one tag
 * that is beside the bytes, whole IP packets without extension headers); of any other EDIT_HARD says so
 * before a byte is changed. Called behind segmentation, so lengths and checksums are those of the wire. Never
 * edits an original: what comes here is a copy.
 */
#ifndef WEFT_BPF_EDIT_H
#define WEFT_BPF_EDIT_H

#include "bpf/lib/copy.h"

enum { EDIT_HARD = 1, EDIT_FAILED = 2 };

/* Fill bytes, and which one they are (0x100 added; 0: none yet). */
#define EDIT_PIECE 512u
struct edit_scratch {
	__u64 bytes[EDIT_PIECE / 8];
	__u64 fill;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct edit_scratch);
	__uint(max_entries, 1);
} copy_fill SEC(".maps");

struct edit_layout { /* of a packet with its tag in the bytes; 0: it has no such header */
	__u32 len;
	__u32 l3, ip, l4, payload; /* ip: 4, 6 */
	__u32 proto;
};

/* Types of which the chain knows more than this program, and tags in the bytes. */
ALWAYS_INLINE int edit_is_hard(__u32 type, const struct edit_value *e)
{
	switch (type) {
	case ETH_P_8021Q:
	case ETH_P_8021AD:
	case ETH_P_QINQ1:
	case ETH_P_MACSEC:
	case ETH_P_PPP_SES:
	case ETH_P_MPLS_UC:
	case ETH_P_MPLS_MC:
		return 1;
	case ETH_P_ARP:
		return e->fields != 0;
	default:
		return type < ETH_P_802_3_MIN;
	}
}

ALWAYS_INLINE int edit_ip4(struct __sk_buff *skb, struct edit_layout *l, __u32 at)
{
	struct iphdr ip;
	__u32 head, total;

	if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)))
		return EDIT_HARD;
	head = ip.ihl * 4u;
	total = bpf_ntohs(ip.tot_len);
	if (ip.version != 4 || head < sizeof(ip) || at + head > skb->len || (total && total < head) ||
	    ip.frag_off & bpf_htons(0x3fff))
		return EDIT_HARD;
	l->ip = 4;
	l->l4 = at + head;
	l->proto = ip.protocol;
	return 0;
}

ALWAYS_INLINE int edit_ip6(struct __sk_buff *skb, struct edit_layout *l, __u32 at)
{
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.version != 6)
		return EDIT_HARD;
	switch (ip.nexthdr) {
	case 0: /* hop by hop, routing, fragment, authentication, destination options, mobility */
	case 43:
	case 44:
	case 51:
	case 60:
	case 135:
		return EDIT_HARD;
	default:
		break;
	}
	l->ip = 6;
	l->l4 = at + (__u32)sizeof(ip);
	l->proto = ip.nexthdr;
	return 0;
}

ALWAYS_INLINE int edit_transport(struct __sk_buff *skb, struct edit_layout *l)
{
	__u8 words;

	switch (l->proto) {
	case IPPROTO_TCP:
		if (bpf_skb_load_bytes(skb, l->l4 + 12, &words, 1) || words >> 4 < 5)
			return EDIT_HARD;
		l->payload = l->l4 + (words >> 4) * 4u;
		return 0;
	case IPPROTO_DCCP:
		return EDIT_HARD;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		l->payload = l->l4 + 8;
		return 0;
	case IPPROTO_SCTP:
		l->payload = l->l4 + 12;
		return 0;
	default:
		return 0;
	}
}

/* Offsets as if the tag beside the bytes were in them already. */
ALWAYS_INLINE int edit_read(struct __sk_buff *skb, const struct edit_value *e, struct edit_layout *l)
{
	__u32 at = ETH_HLEN, type, tag = skb->vlan_present ? 4 : 0;
	__be16 raw;
	int r = 0;

	if (bpf_skb_load_bytes(skb, 2 * ETH_ALEN, &raw, sizeof(raw)))
		return EDIT_HARD;
	type = bpf_ntohs(raw);
	if (edit_is_hard(type, e))
		return EDIT_HARD;
	if (type == ETH_P_IP)
		r = edit_ip4(skb, l, at);
	else if (type == ETH_P_IPV6)
		r = edit_ip6(skb, l, at);
	if (!r && l->ip)
		r = edit_transport(skb, l);
	l->l3 = at + tag;
	l->len = skb->len + tag;
	if (l->ip)
		l->l4 += tag;
	if (l->payload)
		l->payload += tag;
	return r;
}

/* A tag beside the bytes goes where the wire has it. */
ALWAYS_INLINE int edit_tag(struct __sk_buff *skb)
{
	struct {
		__u8 macs[2 * ETH_ALEN];
		__be16 tpid, tci;
	} head;

	if (!skb->vlan_present)
		return 0;
	head.tpid = (__be16)skb->vlan_proto;
	head.tci = bpf_htons((__u16)skb->vlan_tci);
	if (bpf_skb_load_bytes(skb, 0, head.macs, sizeof(head.macs)) || bpf_skb_vlan_pop(skb) ||
	    bpf_skb_change_head(skb, sizeof(head) - sizeof(head.macs), 0) ||
	    bpf_skb_store_bytes(skb, 0, &head, sizeof(head), 0))
		return EDIT_FAILED;
	return 0;
}

/* How many bytes the slice leaves. */
ALWAYS_INLINE __u32 edit_keep(const struct edit_value *e, const struct edit_layout *l, __u32 *shallow)
{
	__u32 keep = e->slice_bytes;

	if (e->slice_from == EDIT_L2)
		return keep;
	if (e->slice_from == EDIT_L3)
		return keep + l->l3;
	if (!l->ip || (e->slice_from == EDIT_PAYLOAD && !l->payload))
		*shallow = 1;
	if (!l->ip)
		return keep + l->l3;
	return keep + (e->slice_from == EDIT_PAYLOAD && l->payload ? l->payload : l->l4);
}

/* Bytes [from, to). */
__attribute__((noinline)) int edit_fill(struct __sk_buff *skb, __u32 from, __u32 to)
{
	__u32 zero = 0;
	struct edit_scratch *s = bpf_map_lookup_elem(&copy_fill, &zero);

	if (!s)
		return EDIT_FAILED;
	for (__u32 i = 0; i < 65536 / EDIT_PIECE; i++) {
		__u32 n;

		if (from >= to)
			break;
		n = to - from;
		if (n > EDIT_PIECE)
			n = EDIT_PIECE;
		asm volatile(""
			     : "+r"(n)); /* else the compiler leaves out what tells the verifier its bounds */
		n = ((n - 1) & (EDIT_PIECE - 1)) + 1;
		if (bpf_skb_store_bytes(skb, from, s->bytes, n, BPF_F_RECOMPUTE_CSUM))
			return EDIT_FAILED;
		from += n;
	}
	return 0;
}

struct edit_mask {
	__u32 left;   /* bytes that the slice left */
	__u32 whole;  /* bytes before it */
	__u32 masked; /* something was, also of what the slice took */
};

ALWAYS_INLINE int edit_span(struct __sk_buff *skb, struct edit_mask *m, __u32 from, __u32 to)
{
	if (to > m->whole)
		to = m->whole;
	if (from >= to)
		return 0;
	m->masked = 1;
	if (to > m->left)
		to = m->left;
	return from < to ? edit_fill(skb, from, to) : 0;
}

ALWAYS_INLINE int edit_range(struct __sk_buff *skb, struct edit_mask *m, const struct edit_layout *l,
			     const struct edit_range *r)
{
	__u32 base = 0;

	if (r->from == EDIT_L3)
		base = l->l3;
	else if (r->from != EDIT_L2 && !l->ip)
		return 0;
	else if (r->from == EDIT_L4 || (r->from == EDIT_PAYLOAD && !l->payload))
		base = l->l4;
	else if (r->from == EDIT_PAYLOAD)
		base = l->payload;
	return edit_span(skb, m, base + r->offset, r->len ? base + r->offset + r->len : m->whole);
}

ALWAYS_INLINE int edit_fields(struct __sk_buff *skb, struct edit_mask *m, const struct edit_layout *l,
			      __u32 fields)
{
	__u32 size = l->ip == 6 ? 16 : 4, at = l->l3 + (l->ip == 6 ? 8 : 12);
	int ports = l->proto == IPPROTO_TCP || l->proto == IPPROTO_UDP || l->proto == IPPROTO_SCTP, r = 0;

	if (fields & EDIT_DST_MAC)
		r |= edit_span(skb, m, 0, ETH_ALEN);
	if (fields & EDIT_SRC_MAC)
		r |= edit_span(skb, m, ETH_ALEN, 2 * ETH_ALEN);
	if (fields & EDIT_SRC_IP && l->ip)
		r |= edit_span(skb, m, at, at + size);
	if (fields & EDIT_DST_IP && l->ip)
		r |= edit_span(skb, m, at + size, at + 2 * size);
	if (fields & EDIT_SRC_PORT && l->ip && ports)
		r |= edit_span(skb, m, l->l4, l->l4 + 2);
	if (fields & EDIT_DST_PORT && l->ip && ports)
		r |= edit_span(skb, m, l->l4 + 2, l->l4 + 4);
	return r;
}

ALWAYS_INLINE int edit_mask(struct __sk_buff *skb, const struct edit_value *e, const struct edit_layout *l,
			    struct edit_mask *m)
{
	__u32 zero = 0;
	struct edit_scratch *s = bpf_map_lookup_elem(&copy_fill, &zero);
	int r = 0;

	if (!s)
		return EDIT_FAILED;
	if (s->fill != (e->fill | 0x100)) {
		for (__u32 i = 0; i < EDIT_PIECE / 8; i++)
			s->bytes[i] = (e->fill & 0xff) * 0x0101010101010101ULL;
		s->fill = e->fill | 0x100;
	}
	for (__u32 i = 0; i < EDIT_RANGES_MAX; i++) {
		if (i >= e->ranges)
			break;
		r |= edit_range(skb, m, l, &e->range[i]);
	}
	return r | (e->fields ? edit_fields(skb, m, l, e->fields) : 0);
}

/* 0; EDIT_HARD: as it came, but perhaps for where its tag stands; EDIT_FAILED: to be thrown away. */
ALWAYS_INLINE int edit_copy(struct __sk_buff *skb, const struct edit_value *e, struct outlet_count *n)
{
	struct edit_layout l = {0};
	struct edit_mask m = {0};
	int r = edit_read(skb, e, &l);

	if (!r)
		r = edit_tag(skb);
	if (r)
		return r;
	m.left = m.whole = l.len;
	if (e->slice) {
		__u32 shallow = 0, keep = edit_keep(e, &l, &shallow);

		if (keep < l.len) {
			/* Of a packet in a tunnel of this node's the kernel does not shorten it. */
			if (bpf_skb_change_tail(skb, keep, 0))
				return EDIT_HARD;
			m.left = keep;
			n->sliced++;
		}
		n->shallow += shallow;
	}
	if (e->ranges || e->fields) {
		if (edit_mask(skb, e, &l, &m))
			return EDIT_FAILED;
		n->masked += m.masked;
	}
	if (e->stamp_tpid) {
		if (bpf_skb_vlan_push(skb, e->stamp_tpid, e->stamp_tci))
			return EDIT_FAILED;
		n->stamped++;
	}
	return 0;
}

#endif
