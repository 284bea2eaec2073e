/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * weft_kernel_drop: what the kernel's own stack drops of pods' packets, in a pod's namespace or at its
 * host-side interface, by the kernel's reason. Runs only where a packet is dropped. Each is counted; events
 * are told up to a number a second, so that a flood of drops costs little. Drops of Weft's own programs are
 * not counted here: neither those at a hook, nor packets that the stack was left to refuse.
 * weft_kernel_drop_of: the same where the kernel tells whose socket it was (Linux 6.11); it knows the pod of
 * packets that have lost their device by then.
 */
#include "bpf/lib/exit.h"
#include "bpf/lib/kernel_types.h"

#define KERNEL_EVENTS_MAX 200 /* a second on each CPU */
#define KERNEL_SECOND	  1000000000ull

struct kernel_limit {
	__u64 second;
	__u64 told;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct kernel_limit);
	__uint(max_entries, 1);
} kernel_limit SEC(".maps");

/* May interrupt a program of ours. */
ALWAYS_INLINE void kernel_count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&counter, &which);

	if (n)
		__sync_fetch_and_add(n, 1);
}

/* The interface by which the pod is known; 0: no pod's packet. */
ALWAYS_INLINE __u32 kernel_pod(const struct sk_buff *skb, const struct sock *to, __u32 reason)
{
	const struct net_device *dev = BPF_CORE_READ(skb, dev);
	const struct net *net = dev ? BPF_CORE_READ(dev, nd_net.net) : 0;
	const struct sock *sk = to;
	const __u32 *own;
	__u64 cookie;
	__u32 index;

	if (!net) {
		if (!sk)
			sk = BPF_CORE_READ(skb, sk);
		net = sk ? BPF_CORE_READ(sk, __sk_common.skc_net.net) : 0;
		dev = 0;
	}
	if (!net)
		return 0;
	cookie = BPF_CORE_READ(net, net_cookie);
	own = bpf_map_lookup_elem(&netns, &cookie);
	if (!own)
		return 0;
	if (*own)
		return *own;
	/* the node's own namespace: a pod's interface there, whose hooks are ours */
	if (!dev || reason == KERNEL_REASON(TC_INGRESS) || reason == KERNEL_REASON(TC_EGRESS))
		return 0;
	index = (__u32)BPF_CORE_READ(dev, ifindex);
	return bpf_map_lookup_elem(&iface, &index) ? index : 0;
}

struct kernel_ends {
	struct addr16 src, dst;
	__u16 ports[2];
	__u8 proto;
};

ALWAYS_INLINE int kernel_ends4(const void *ip, struct kernel_ends *e, __u32 *off)
{
	struct iphdr h;

	if (bpf_probe_read_kernel(&h, sizeof(h), ip) || h.version != 4)
		return -1;
	addr_from_v4(&e->src, h.saddr);
	addr_from_v4(&e->dst, h.daddr);
	e->proto = h.protocol;
	*off = bpf_ntohs(h.frag_off) & 0x1fff ? 0 : h.ihl * 4u;
	return 0;
}

ALWAYS_INLINE int kernel_ends6(const void *ip, struct kernel_ends *e, __u32 *off)
{
	struct ipv6hdr h;

	if (bpf_probe_read_kernel(&h, sizeof(h), ip) || h.version != 6)
		return -1;
	__builtin_memcpy(&e->src, &h.saddr, sizeof(e->src));
	__builtin_memcpy(&e->dst, &h.daddr, sizeof(e->dst));
	e->proto = h.nexthdr; /* ports behind extension headers are not looked for */
	*off = sizeof(h);
	return 0;
}

/* -1: it is not IP, or its header is not there. */
ALWAYS_INLINE int kernel_read(const struct sk_buff *skb, struct kernel_ends *e)
{
	const unsigned char *ip = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header);
	__u16 protocol = BPF_CORE_READ(skb, protocol);
	__u32 off = 0;
	int bad = -1;

	if (protocol == bpf_htons(ETH_P_IP))
		bad = kernel_ends4(ip, e, &off);
	else if (protocol == bpf_htons(ETH_P_IPV6))
		bad = kernel_ends6(ip, e, &off);
	if (!bad && off && proto_has_ports(e->proto))
		bpf_probe_read_kernel(e->ports, sizeof(e->ports), ip + off);
	return bad;
}

/* Is another event still within the limit of this second? */
ALWAYS_INLINE int kernel_may_tell(__u64 now)
{
	__u64 second = now / KERNEL_SECOND;
	struct kernel_limit *l;
	__u32 zero = 0;

	l = bpf_map_lookup_elem(&kernel_limit, &zero);
	if (!l)
		return 0;
	if (l->second != second) {
		l->second = second;
		l->told = 0;
	}
	return __sync_fetch_and_add(&l->told, 1) < KERNEL_EVENTS_MAX;
}

ALWAYS_INLINE void kernel_tell(const struct drop_key *key, const struct kernel_ends *ends, __u32 len)
{
	__u32 cpu = bpf_get_smp_processor_id();
	void *ring = bpf_map_lookup_elem(&events, &cpu);
	__u64 now = bpf_ktime_get_ns();
	struct event *e;

	if (!kernel_may_tell(now)) {
		kernel_count(COUNTER_KERNEL_HELD);
		return;
	}
	e = ring ? bpf_ringbuf_reserve(ring, sizeof(*e), 0) : 0;
	if (!e) {
		kernel_count(COUNTER_EVENTS_LOST);
		return;
	}
	e->at = now;
	e->type = EVENT_KERNEL;
	e->ifindex = key->ifindex;
	e->src = ends->src;
	e->dst = ends->dst;
	e->sport = ends->ports[0];
	e->dport = ends->ports[1];
	e->proto = ends->proto;
	e->direction = (__u8)key->direction;
	e->reason = key->reason;
	e->cause = 0;
	e->len = len;
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	kernel_count(COUNTER_EVENTS_TOLD);
}

ALWAYS_INLINE int kernel_drop_step(const struct sk_buff *skb, const struct sock *to, __u32 reason)
{
	struct drop_key key = {.reason = reason > 0xffff ? 0xffff : (__u16)reason};
	struct kernel_ends ends = {};
	const struct iface_value *i;
	__u32 len;

	/* 0 and "consumed" are no drops; of the one that is not specified nothing can be said; what lies in a
	 * socket that is closed had arrived */
	if (reason <= KERNEL_REASON(NOT_SPECIFIED) || reason == KERNEL_REASON(QUEUE_PURGE))
		return 0;
	key.ifindex = kernel_pod(skb, to, reason);
	if (!key.ifindex || kernel_read(skb, &ends) || BPF_CORE_READ(skb, tc_index) == EVENT_REFUSED)
		return 0;
	i = bpf_map_lookup_elem(&iface, &key.ifindex);
	if (!i || (!addr_same(&ends.src, &i->v4) && !addr_same(&ends.src, &i->v6)))
		key.direction = DIR_TO_POD;
	len = BPF_CORE_READ(skb, len);
	kernel_count(COUNTER_KERNEL_DROP);
	if (tally(&kernel_drop, &key, len))
		kernel_count(COUNTER_KERNEL_UNTOLD);
	kernel_tell(&key, &ends, len);
	return 0;
}

SEC("raw_tp/kfree_skb") int weft_kernel_drop(struct bpf_raw_tracepoint_args *ctx)
{
	return kernel_drop_step((const void *)ctx->args[0], 0, (__u32)ctx->args[2]);
}

SEC("raw_tp/kfree_skb") int weft_kernel_drop_of(struct bpf_raw_tracepoint_args *ctx)
{
	return kernel_drop_step((const void *)ctx->args[0], (const void *)ctx->args[3], (__u32)ctx->args[2]);
}
