/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Feeds without the host's stack: weft_feed, XDP at an interface whose packets are for maps alone, sends each
 * frame on to the tools that want it, or drops it. What it cannot do whole it leaves to weft_tap_in behind
 * it: frames that weft-copier wants, tools whose interface takes no frames, frames of several pieces.
 * weft_feed_sent counts each frame at the tool's interface, weft_feed_lost what that did not take. The steps
 * are those of copy_at() in lib/copy.h. An object of its own, loaded by `weft broker` alone
 * (src/apply/tap_plain.c).
 */
#include "bpf/maps.h"

#include "bpf/lib/kernel_types.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, FEEDS_MAX);
} feed_judge SEC(".maps");

struct feed_tools {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct bpf_devmap_val));
	__uint(max_entries, TAP_DIRECT_MAX);
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__type(key, struct feed_set_key);
	__uint(max_entries, FEEDS_MAX * 8);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__array(values, struct feed_tools);
} feed_set SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct feed_way);
	__type(value, __u32);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} feed_way SEC(".maps");

struct feed_scratch {
	struct tapped_value none; /* always 0 */
	struct tap_value tap;	  /* its element may be replaced at any time */
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct feed_scratch);
	__uint(max_entries, 1);
} feed_scratch SEC(".maps");

const volatile __u64 feed_net; /* cookie of the network namespace */

/* The judge's answer; 0: there is none by that number. The judge ends this function, and only it. */
__attribute__((noinline)) __u32 feed_ask(struct xdp_md *ctx, __u32 number)
{
	__u32 answer = 0;

	bpf_tail_call(ctx, &feed_judge, number);
	asm volatile("" : "+r"(answer));
	return answer;
}

ALWAYS_INLINE struct tapped_value *feed_account(const struct feed_scratch *s, __u32 ifindex)
{
	struct tapped_key key = {.ifindex = ifindex, .take = TAP_IN};
	__u32 number = s->tap.slot;
	struct tapped_slot *slot = number ? bpf_map_lookup_elem(&tapped_slot, &number) : 0;
	struct tapped_value *n;

	if (slot)
		return &slot->take[TAP_IN];
	n = bpf_map_lookup_elem(&tapped, &key);
	if (n)
		return n;
	bpf_map_update_elem(&tapped, &key, &s->none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&tapped, &key);
}

ALWAYS_INLINE __u32 feed_wanted(const struct tap_value *t, __u32 answer)
{
	__u32 wanted = 0;

	for (__u32 i = 0; i < TAP_DIRECT_MAX; i++) {
		if (i >= t->directs)
			break;
		if (answer & t->direct[i].take[TAP_IN])
			wanted |= 1u << i;
	}
	return wanted;
}

/* Until weft_feed_sent has seen the frame it counts as refused: nobody tells of an interface that is down. */
ALWAYS_INLINE void feed_due(const struct tap_value *t, __u32 wanted)
{
	for (__u32 i = 0; i < TAP_DIRECT_MAX; i++) {
		struct outlet_count *n;
		__u32 number;

		if (!(wanted >> i & 1))
			continue;
		number = t->direct[i].outlet;
		n = bpf_map_lookup_elem(&outlet_count, &number);
		if (n)
			n->direct_failed++;
	}
}

/* XDP_REDIRECT, or XDP_PASS: tc is to do it. A clone of several pieces would lose all but the first. */
ALWAYS_INLINE int feed_send(struct xdp_md *ctx, const struct tap_value *t, __u32 wanted, __u64 len)
{
	struct feed_set_key key = {.feed = t->feed, .wanted = wanted};
	void *tools;

	if (len > (__u64)(ctx->data_end - ctx->data))
		return XDP_PASS;
	tools = bpf_map_lookup_elem(&feed_set, &key);
	if (!tools)
		return XDP_PASS;
	if (wanted & (wanted - 1))
		return (int)bpf_redirect_map(tools, 0, XDP_PASS | BPF_F_BROADCAST);
	return (int)bpf_redirect_map(tools, 0, XDP_PASS);
}

SEC("xdp.frags") int weft_feed(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex, zero = 0, answer, wanted;
	const struct tap_value *t = bpf_map_lookup_elem(&tap, &ifindex);
	struct feed_scratch *s = bpf_map_lookup_elem(&feed_scratch, &zero);
	struct tapped_value *n;
	__u64 len;

	if (!t || !s || t->feed <= TAP_FEED)
		return XDP_PASS;
	s->tap = *t;
	t = &s->tap;
	answer = feed_ask(ctx, t->feed - TAP_FEED - 1);
	n = feed_account(s, ifindex);
	if (!answer || !n)
		return XDP_PASS;
	if (answer & t->own) {
		n->own++;
		return XDP_DROP;
	}
	if (answer & t->take[TAP_IN])
		return XDP_PASS;
	len = bpf_xdp_get_buff_len(ctx);
	wanted = feed_wanted(t, answer);
	if (!wanted)
		n->unwanted++;
	else if (feed_send(ctx, t, wanted, len) != XDP_REDIRECT)
		return XDP_PASS;
	else
		feed_due(t, wanted);
	n->seen++;
	n->seen_bytes += len;
	if (answer & TAP_UNPARSABLE)
		n->unparsable++;
	return wanted ? XDP_REDIRECT : XDP_DROP;
}

ALWAYS_INLINE struct outlet_count *feed_count(__u32 from, __u32 to)
{
	struct feed_way key = {.from = from, .to = to};
	const __u32 *number = bpf_map_lookup_elem(&feed_way, &key);

	return number ? bpf_map_lookup_elem(&outlet_count, number) : 0;
}

SEC("xdp.frags/devmap") int weft_feed_sent(struct xdp_md *ctx)
{
	struct outlet_count *n = feed_count(ctx->ingress_ifindex, ctx->egress_ifindex);

	if (n) {
		n->direct_failed--;
		n->direct++;
		n->direct_bytes += bpf_xdp_get_buff_len(ctx);
	}
	return XDP_PASS;
}

/* xdp_devmap_xmit(from, to, sent, dropped, error) */
SEC("raw_tp/xdp_devmap_xmit") int weft_feed_lost(struct bpf_raw_tracepoint_args *ctx)
{
	const struct net_device *from = (const void *)ctx->args[0], *to = (const void *)ctx->args[1];
	__s64 dropped = (__s32)ctx->args[3];
	struct outlet_count *n;

	if (dropped <= 0 || BPF_CORE_READ(to, nd_net.net, net_cookie) != feed_net)
		return 0;
	n = feed_count((__u32)BPF_CORE_READ(from, ifindex), (__u32)BPF_CORE_READ(to, ifindex));
	if (n) {
		n->direct -= (__u64)dropped;
		n->direct_failed += (__u64)dropped;
	}
	return 0;
}

char feed_license[] SEC("license") = "Dual BSD/GPL";
