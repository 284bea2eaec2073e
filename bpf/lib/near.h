/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The headers of most packets: TCP or UDP right behind a plain IP header behind the MAC addresses, all of it
 * in one piece and no fragment. They are read in place, with what the reading by helper in filter.bpf.c would
 * have found, which is asked for all others. Called by the heads of filter programs alone.
 */
#ifndef WEFT_BPF_NEAR_H
#define WEFT_BPF_NEAR_H

#include "bpf/types.h"

#include "seam/filter.h"

enum { ETH_IP4 = 0x0800, ETH_IP6 = 0x86dd };
enum { NEAR_IP4 = 14 + 20 + 14, NEAR_IP6 = 14 + 40 + 14 };

ALWAYS_INLINE __u16 get16(const __u8 *p)
{
	return (__u16)((__u16)p[0] << 8 | p[1]);
}

ALWAYS_INLINE __u64 get64(const __u8 *p)
{
	return __builtin_bswap64(*(const __u64 *)p);
}

ALWAYS_INLINE void near_transport(struct filter_key *k, const __u8 *p)
{
	k->sport = get16(p);
	k->dport = get16(p + 2);
	k->has = HAS_ETH | HAS_ETHERTYPE | HAS_IP | HAS_PORTS;
	if (k->proto == 6) {
		k->tcp_flags = p[13];
		k->has |= HAS_TCP;
	}
}

ALWAYS_INLINE int near_ip4(struct filter_key *k, const __u8 *p)
{
	if (p[0] != 0x45 || (p[9] != 6 && p[9] != 17) || *(const __u16 *)(p + 6) & bpf_htons(0x3fff))
		return 0;
	k->src[1] = 0xffff00000000ull | bpf_ntohl(*(const __u32 *)(p + 12));
	k->dst[1] = 0xffff00000000ull | bpf_ntohl(*(const __u32 *)(p + 16));
	k->proto = p[9];
	k->ttl = p[8];
	k->dscp = p[1] >> 2;
	k->ethertype = ETH_IP4;
	near_transport(k, p + 20);
	return 1;
}

ALWAYS_INLINE int near_ip6(struct filter_key *k, const __u8 *p)
{
	if (p[0] >> 4 != 6 || (p[6] != 6 && p[6] != 17))
		return 0;
	k->src[0] = get64(p + 8);
	k->src[1] = get64(p + 16);
	k->dst[0] = get64(p + 24);
	k->dst[1] = get64(p + 32);
	k->proto = p[6];
	k->ttl = p[7];
	k->dscp = (__u8)(get16(p) >> 6 & 63);
	k->ethertype = ETH_IP6;
	near_transport(k, p + 40);
	return 1;
}

/* 0: it is not such a packet, and nothing was written. */
ALWAYS_INLINE int near_read(struct filter_key *k, const __u8 *p, const __u8 *end)
{
	if (p + NEAR_IP4 > end)
		return 0;
	if (*(const __u16 *)(p + 12) == bpf_htons(ETH_IP4)) {
		if (!near_ip4(k, p + 14))
			return 0;
	} else if (*(const __u16 *)(p + 12) != bpf_htons(ETH_IP6) || p + NEAR_IP6 > end ||
		   !near_ip6(k, p + 14)) {
		return 0;
	}
	k->dmac = get64(p) >> 16;
	k->smac = (__u64)bpf_ntohl(*(const __u32 *)(p + 6)) << 16 | get16(p + 10);
	return 1;
}

#endif
