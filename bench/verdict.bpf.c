/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Feeds a program under measurement with another flow each time: writes the headers of flow number i into the
 * packet and tail-calls. BPF_PROG_TEST_RUN repeats one packet, which would keep one connection hot; with this
 * in front, every repetition meets another entry. Its own cost is measured with `nothing` as the target and
 * subtracted. Driven by bench/verdict.c; never attached.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} jump SEC(".maps");

/* Flow i goes from `source` to `first + i % pods`, from port 1024 + i / pods. */
__u32 source, first; /* host order */
__u32 pods = 1;
__u32 base, count = 1; /* flows base … base + count - 1 */
__u32 random;	       /* 1: any of them; 0: one after the other */
__u32 next;
__u32 target; /* index in jump */
__u8 syn;     /* 1: SYN; 0: ACK */

struct headers {
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

SEC("tc") int feed(struct __sk_buff *skb)
{
	struct headers h = {};
	__u32 i = random ? bpf_get_prandom_u32() % count : next++ % count;

	i += base;
	h.ip.version = 4;
	h.ip.ihl = 5;
	h.ip.ttl = 64;
	h.ip.protocol = IPPROTO_TCP;
	h.ip.tot_len = bpf_htons(sizeof(h));
	h.ip.saddr = bpf_htonl(source);
	h.ip.daddr = bpf_htonl(first + i % pods);
	h.tcp.source = bpf_htons((__u16)(1024 + i / pods));
	h.tcp.dest = bpf_htons(8080);
	h.tcp.doff = 5;
	h.tcp.syn = syn;
	h.tcp.ack = !syn;
	bpf_skb_store_bytes(skb, ETH_HLEN, &h, sizeof(h), 0);
	bpf_tail_call(skb, &jump, target);
	return TC_ACT_UNSPEC;
}

SEC("tc") int nothing(struct __sk_buff *skb)
{
	return skb->len ? TC_ACT_REDIRECT : TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
