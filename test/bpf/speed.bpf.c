/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Before each repetition of a test run: gives the packet its hops back and a port of its own, then jumps into
 * the program that is measured (or, for the cost of this itself, into an empty one). Only test/bpf/speed.c
 * loads it.
 */
#include "bpf/types.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} jump SEC(".maps");

__u32 next_flow; /* counts on */
__u32 flows;	 /* number of flows; they come in turn, or in any order */
__u32 shuffled;

SEC("tc") int speed_next(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *v4 = data + ETH_HLEN;
	struct ipv6hdr *v6 = data + ETH_HLEN;
	__u32 flow = (shuffled ? bpf_get_prandom_u32() : next_flow++) % (flows ? flows : 1);
	__be16 *ports;

	if (data + ETH_HLEN + sizeof(*v6) + 4 > end)
		return TC_ACT_SHOT;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		v4->ttl = 64;
		ports = (void *)(v4 + 1);
	} else {
		v6->hop_limit = 64;
		ports = (void *)(v6 + 1);
	}
	ports[0] = bpf_htons((__u16)flow);
	ports[1] = bpf_htons((__u16)(80 + (flow >> 16)));
	bpf_tail_call(skb, &jump, 0);
	return TC_ACT_OK;
}

SEC("tc") int speed_empty(struct __sk_buff *skb __attribute__((unused)))
{
	return TC_ACT_OK;
}

__u32 clone_to; /* interface */

/* What a copy costs that nobody judges or counts. */
SEC("tc") int speed_clone(struct __sk_buff *skb)
{
	bpf_clone_redirect(skb, clone_to, 0);
	return TC_ACT_OK;
}

char speed_license[] SEC("license") = "Dual BSD/GPL";
