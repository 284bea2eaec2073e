/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Around a feed that is measured: frames made without a packet of the host (make), a bare redirect beside
 * which the feed stands (relay), and an end that counts and drops (sink). Driven by bench/feed.c.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

const volatile __u32 to; /* interface */

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} tools SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} sunk SEC(".maps");

SEC("xdp") int make(struct xdp_md *ctx __attribute__((unused)))
{
	return (int)bpf_redirect(to, 0);
}

SEC("xdp.frags") int relay(struct xdp_md *ctx __attribute__((unused)))
{
	return (int)bpf_redirect_map(&tools, 0, XDP_DROP);
}

SEC("xdp.frags") int sink(struct xdp_md *ctx __attribute__((unused)))
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&sunk, &zero);

	if (n)
		(*n)++;
	return XDP_DROP;
}

char bench_feed_license[] SEC("license") = "Dual BSD/GPL";
