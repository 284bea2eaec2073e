/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Answers to canaries: what a tool sends back to the address that weft-copier's canaries show it as theirs
 * (seam/tap.h), and echoes of a tunnel's far end. They are counted for the outlet that they name, if it leads
 * to where they came in, and go no further. Called by the programs at the interfaces of outlets and pods.
 */
#ifndef WEFT_BPF_CANARY_H
#define WEFT_BPF_CANARY_H

#include "bpf/lib/copy.h"

ALWAYS_INLINE int canary_counted(const struct __sk_buff *skb, __u32 number, int routed, __u64 cookie)
{
	const struct outlet_value *o = bpf_map_lookup_elem(&outlet, &number);
	struct outlet_count *n = bpf_map_lookup_elem(&outlet_count, &number);

	if (!o || !n || o->ifindex != skb->ifindex || (o->way == OUTLET_ROUTED) != routed)
		return 0;
	n->answers++;
	if (routed)
		n->cookie = cookie;
	return 1;
}

/* RFC 4861 4.3: who has the address that the canary came from? */
ALWAYS_INLINE int canary_is_asked_for(struct __sk_buff *skb)
{
	const __u32 own[3] = {bpf_htonl(CANARY_IP6_HIGH), 0, bpf_htonl(CANARY_IP6_LOW)};
	__u32 target[3];
	__u8 type = 0;

	return !bpf_skb_load_bytes(skb, ETH_HLEN + 40, &type, 1) && type == 135 &&
	       !bpf_skb_load_bytes(skb, ETH_HLEN + 48, target, sizeof(target)) && target[0] == own[0] &&
	       target[1] == own[1] && target[2] == own[2];
}

/* To the canaries' own MAC address, whatever it is; or a question for it. */
ALWAYS_INLINE int canary_frame(struct __sk_buff *skb)
{
	const __u8 *p = (const __u8 *)(long)skb->data;
	__u32 head, number;

	if (p + ETH_HLEN > (const __u8 *)(long)skb->data_end)
		return 0;
	head = *(const __u32 *)p;
	number = (__u32)p[4] << 8 | p[5];
	if (head != bpf_htonl(CANARY_MAC_HEAD) &&
	    (head != bpf_htonl(CANARY_ASK_HEAD) || !canary_is_asked_for(skb)))
		return 0;
	return canary_counted(skb, number, 0, 0);
}

/* The echo's identifier, number and cookie, behind `head` bytes of headers. */
ALWAYS_INLINE int canary_cookie(struct __sk_buff *skb, __u32 head, __u8 type)
{
	struct {
		__u8 type, code;
		__u16 sum, id, number;
		__u64 cookie;
	} icmp;

	if (bpf_skb_load_bytes(skb, head, &icmp, sizeof(icmp)) || icmp.type != type ||
	    icmp.id != bpf_htons(CANARY_ECHO_ID))
		return 0;
	return canary_counted(skb, bpf_ntohs(icmp.number), 1, icmp.cookie);
}

/* An echo reply (RFC 792, RFC 4443 4.2) with our identifier. */
ALWAYS_INLINE int canary_echo(struct __sk_buff *skb)
{
	const __u8 *p = (const __u8 *)(long)skb->data;

	if (p + ETH_HLEN + 20 > (const __u8 *)(long)skb->data_end)
		return 0;
	if (skb->protocol == bpf_htons(ETH_P_IP) && p[ETH_HLEN + 9] == 1 && p[ETH_HLEN] == 0x45)
		return canary_cookie(skb, ETH_HLEN + 20, 0);
	if (skb->protocol == bpf_htons(ETH_P_IPV6) && p[ETH_HLEN + 6] == 58)
		return canary_cookie(skb, ETH_HLEN + 40, 129);
	return 0;
}

#endif
