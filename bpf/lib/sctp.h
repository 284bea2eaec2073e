/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Other ports for an SCTP packet. Its CRC32c (RFC 9260, 6.8 and appendix A) covers them and all that follows,
 * but it is linear: the sum changes by the sum of the difference alone, which is the changed word moved over
 * the rest of the packet, and a move over n bytes is one multiplication by x^(8n) modulo the polynomial. So
 * the cost does not grow with the packet. Called by rewrite.h.
 */
#ifndef WEFT_BPF_SCTP_H
#define WEFT_BPF_SCTP_H

#include "bpf/lib/parse.h"

#define CRC32C_POLYNOMIAL 0x82f63b78u /* reflected: bit 31 stands for x^0 */
#define SCTP_SUM_AT	  8

/* Half a step of sctp_move(): r · power modulo the polynomial, if bit `bit` of `len` is set. */
__attribute__((noinline)) __u32 sctp_times(__u32 r, __u32 power, __u32 len, __u32 bit)
{
	__u32 product = 0;

	if (!(len >> (bit & 15) & 1))
		return r;
	for (int i = 31; i >= 0; i--) {
		product ^= r & -(power >> i & 1);
		r = r >> 1 ^ (CRC32C_POLYNOMIAL & -(r & 1));
	}
	return product;
}

/* What the CRC of `len` bytes changes by when their first word changes by `word`: word · x^(8 len). The
 * numbers are x^8, x^16, x^32 and so on. */
ALWAYS_INLINE __u32 sctp_move(__u32 word, __u32 len)
{
	static const __u32 powers[16] = {
	    0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a, 0xb82be955, 0xb8fdb1e7,
	    0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a, 0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc};

#pragma unroll
	for (__u32 i = 0; i < 16; i++)
		word = sctp_times(word, powers[i], len, i);
	return word;
}

/* Bytes of the SCTP packet: a short frame is padded, so the frame's length does not tell. 0: unreadable. */
ALWAYS_INLINE __u32 sctp_len(struct __sk_buff *skb, const struct packet *p)
{
	__u32 end;
	__u16 len;

	if (bpf_skb_load_bytes(skb, p->v6 ? L3 + 4 : L3 + 2, &len, sizeof(len)))
		return 0;
	end = L3 + bpf_ntohs(len) + (p->v6 ? 40 : 0);
	return end > p->l4 ? end - p->l4 : 0;
}

/*
 * Ports of p->raw → those of p->out; 0 or a drop reason. A sum of 0 is one that the device will make (SCTP
 * has no half-made ones; that of a real packet is 0 once in 2^32), as it is for packets that are cut later.
 */
__attribute__((noinline)) int sctp_rewrite(struct __sk_buff *skb)
{
	struct packet *p = packet_get();
	__u32 was, is, sum, len;

	if (!p || p->fragment == FRAGMENT_LATER)
		return 0;
	was = (__u32)p->raw.dport << 16 | p->raw.sport;
	is = (__u32)p->out.dport << 16 | p->out.sport;
	if (was == is)
		return 0;
	if (p->fragment != FRAGMENT_NONE)
		return DROP_PROTOCOL; /* the sum covers what is not here */
	len = sctp_len(skb, p);
	if (!len || bpf_skb_load_bytes(skb, p->l4 + SCTP_SUM_AT, &sum, sizeof(sum)))
		return DROP_MALFORMED;
	bpf_skb_store_bytes(skb, p->l4, &is, sizeof(is), BPF_F_RECOMPUTE_CSUM);
	if (!sum || skb->gso_size)
		return 0;
	sum ^= sctp_move(was ^ is, len);
	bpf_skb_store_bytes(skb, p->l4 + SCTP_SUM_AT, &sum, sizeof(sum), BPF_F_RECOMPUTE_CSUM);
	return 0;
}

#endif
