/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The head of a filter program: the headers of a packet as numbers, the same as src/filter/dissect.c finds in
 * user space. src/apply/filter.c appends what the filters ask of them. An object of its own: it is a pattern,
 * loaded only with what was appended. What is not plain it reads by helper, so that paged data and odd places
 * are no matter. Built three times: for packets of tc, (FILTER_XDP) for frames of XDP, which have no tag
 * beside their bytes, and (FILTER_SOCKET) for sockets, whose programs may not read in place.
 */
#include "bpf/types.h"

#include "bpf/lib/near.h"

#ifdef FILTER_XDP
#define SECTION "xdp.frags"
typedef struct xdp_md packet_t;
#define load_bytes	 bpf_xdp_load_bytes
#define packet_len(p)	 ((__u32)bpf_xdp_get_buff_len(p))
#define tag_is_beside(p) 0
#define tag_beside(p)	 0u
#else
#define SECTION		 "tc"
typedef struct __sk_buff packet_t;
#define load_bytes	 bpf_skb_load_bytes
#define packet_len(p)	 ((p)->len)
#define tag_is_beside(p) ((p)->vlan_present)
#define tag_beside(p)	 ((p)->vlan_tci)
#endif

enum {
	ETH_ARP = 0x0806,
	ETH_MPLS = 0x8847,
	ETH_MPLS_MULTICAST = 0x8848,
	VLANS_MAX = 4,
	EXTENSIONS_MAX = 8,
};

/* Those that read headers answer whether the packet has them whole up to the transport header, as dissect().
 */
ALWAYS_INLINE int transport(packet_t *skb, struct filter_key *k, __u32 at)
{
	__u8 b[4], flags;

	switch (k->proto) {
	case 6:
	case 17:
	case 132:
		if (load_bytes(skb, at, b, 4))
			return 0;
		k->sport = get16(b);
		k->dport = get16(b + 2);
		k->has |= HAS_PORTS;
		if (k->proto != 6)
			return 1;
		if (load_bytes(skb, at + 13, &flags, 1))
			return 0;
		k->tcp_flags = flags;
		k->has |= HAS_TCP;
		return 1;
	case 1:
	case 58:
		if (load_bytes(skb, at, b, 2))
			return 0;
		k->icmp_type = b[0];
		k->icmp_code = b[1];
		k->has |= HAS_ICMP;
	}
	return 1;
}

ALWAYS_INLINE int ip4(packet_t *skb, struct filter_key *k, __u32 at)
{
	__u8 b[20] __attribute__((aligned(8)));
	__u32 head;

	if (load_bytes(skb, at, b, 20))
		return 0;
	head = (b[0] & 15u) * 4u;
	if (b[0] >> 4 != 4 || head < 20)
		return 0;
	k->src[1] = 0xffff00000000ull | (__u32)get16(b + 12) << 16 | get16(b + 14);
	k->dst[1] = 0xffff00000000ull | (__u32)get16(b + 16) << 16 | get16(b + 18);
	k->proto = b[9];
	k->ttl = b[8];
	k->dscp = b[1] >> 2;
	k->has |= HAS_IP;
	if (get16(b + 6) & 0x3fff)
		k->has |= HAS_FRAGMENT;
	if (get16(b + 6) & 0x1fff)
		return 1;
	return at + head <= packet_len(skb) && transport(skb, k, at + head);
}

/* RFC 8200: hop-by-hop 0, routing 43, fragment 44, destination options 60, mobility 135, and AH 51 (in
 * words). */
ALWAYS_INLINE int is_extension(__u8 next)
{
	return next == 0 || next == 43 || next == 44 || next == 60 || next == 135 || next == 51;
}

ALWAYS_INLINE int ip6(packet_t *skb, struct filter_key *k, __u32 at)
{
	__u8 b[40] __attribute__((aligned(8)));
	__u8 next;

	if (load_bytes(skb, at, b, 40) || b[0] >> 4 != 6)
		return 0;
	k->src[0] = get64(b + 8);
	k->src[1] = get64(b + 16);
	k->dst[0] = get64(b + 24);
	k->dst[1] = get64(b + 32);
	k->ttl = b[7];
	k->dscp = (__u8)(get16(b) >> 6 & 63);
	k->proto = next = b[6];
	k->has |= HAS_IP;
	at += 40;
	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		if (!is_extension(next)) {
			k->proto = next;
			return transport(skb, k, at);
		}
		k->has |= HAS_EXTENSION;
		k->proto = next;
		if (load_bytes(skb, at, b, 8))
			return 0;
		if (next == 44) {
			k->has |= HAS_FRAGMENT;
			next = b[0];
			if (get16(b + 2) & 0xfff8) {
				k->proto = next;
				return 1;
			}
			at += 8;
		} else {
			at += next == 51 ? (b[1] + 2u) * 4u : (b[1] + 1u) * 8u;
			next = b[0];
			if (at > packet_len(skb))
				return 0;
		}
	}
	return 0;
}

ALWAYS_INLINE void tag(struct filter_key *k, __u32 i, __u32 tci)
{
	if (i == 0) {
		k->vlan_id = tci & 0xfff;
		k->vlan_pcp = (__u16)(tci >> 13 & 7);
		k->has |= HAS_VLAN;
	} else if (i == 1) {
		k->vlan2_id = tci & 0xfff;
		k->has |= HAS_VLAN2;
	}
}

#ifdef FILTER_SOCKET
#define near(skb, k) 0
#else
ALWAYS_INLINE int near(packet_t *skb, struct filter_key *k)
{
	k->len = packet_len(skb); /* ethernet() says it anew */
	return !tag_is_beside(skb) &&
	       near_read(k, (const __u8 *)(long)skb->data, (const __u8 *)(long)skb->data_end);
}
#endif

ALWAYS_INLINE int ethernet(packet_t *skb, struct filter_key *k)
{
	__u8 b[16] __attribute__((aligned(8)));
	__u32 at = 14, tags = 0, len = packet_len(skb);
	__u16 type;

	k->len = len + (tag_is_beside(skb) ? 4 : 0);
	if (load_bytes(skb, 0, b, 14))
		return 0;
	k->dmac = get64(b) >> 16;
	k->smac = (__u64)get16(b + 6) << 32 | (__u64)get16(b + 8) << 16 | get16(b + 10);
	k->has = HAS_ETH;
	type = get16(b + 12);
	if (tag_is_beside(skb))
		tag(k, tags++, tag_beside(skb));
	for (int i = 0; i <= VLANS_MAX; i++) {
		if (type != 0x8100 && type != 0x88a8 && type != 0x9100)
			break;
		if (tags == VLANS_MAX || load_bytes(skb, at, b, 4))
			return 0;
		tag(k, tags++, get16(b));
		type = get16(b + 2);
		at += 4;
	}
	if (type < 0x600) /* IEEE 802.3: a length */
		return 1;
	k->ethertype = type;
	k->has |= HAS_ETHERTYPE;
	if (type == ETH_IP4)
		return ip4(skb, k, at);
	if (type == ETH_IP6)
		return ip6(skb, k, at);
	if (type == ETH_ARP)
		k->has |= HAS_ARP;
	return (type != ETH_MPLS && type != ETH_MPLS_MULTICAST) || at + 4 <= packet_len(skb);
}

SEC(SECTION)
int weft_filter(packet_t *skb)
{
	struct filter_frame f = {.ctx = (__u64)(unsigned long)skb};

	if (near(skb, &f.key) || ethernet(skb, &f.key))
		f.key.has |= HAS_WHOLE;
	/* From here on the appended part; alone, the program says FILTER_MARK. */
	asm volatile("r8 = %0\n\t"
		     "r0 = %1\n\t"
		     "exit" ::"r"(&f),
		     "i"(FILTER_MARK)
		     : "r0", "r8", "memory");
	__builtin_unreachable();
}

char filter_license[] SEC("license") = "Dual BSD/GPL";
