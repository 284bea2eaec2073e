/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * weft_tap_in, weft_tap_out: tc at an interface that is no pod's (an uplink, a NIC, any other), before all
 * other programs there, so they see what comes and goes before anybody's verdict. weft_copy_out: tc egress at
 * weft-copy0; weft_copy_stop: tc ingress at its peer weft-copy1, where weft-copier's packet socket has taken
 * the copies already. weft_copy_back: tc ingress at weft-copy0, what weft-copier sends to tools.
 */
#include "bpf/lib/canary.h"

SEC("tc") int weft_tap_in(struct __sk_buff *skb)
{
	if (canary_frame(skb) || canary_echo(skb))
		return TC_ACT_STOLEN;
	/* Not TC_ACT_SHOT: nothing is lost that was for this host. */
	return copy_point(skb, skb->ifindex, TAP_IN, 0) ? TC_ACT_STOLEN : TC_ACT_UNSPEC;
}

SEC("tc") int weft_tap_out(struct __sk_buff *skb)
{
	copy_point(skb, skb->ifindex, TAP_OUT, 0);
	return TC_ACT_UNSPEC;
}

/* What a packet socket's ring shows of a copy is its hash. What is no copy goes no further. */
SEC("tc") int weft_copy_out(struct __sk_buff *skb)
{
	if (skb->tc_index != TAP_TC_INDEX)
		return TC_ACT_STOLEN;
	bpf_set_hash(skb, skb->mark);
	return TC_ACT_OK;
}

/* Not TC_ACT_SHOT: nothing is lost here, and the kernel's drops are counted. */
SEC("tc") int weft_copy_stop(struct __sk_buff *skb __attribute__((unused)))
{
	return TC_ACT_STOLEN;
}

/* What the node's routes say of the packet's destination: BPF_FIB_LKUP_RET_…, or negative: it is not IP. */
ALWAYS_INLINE long back_route(struct __sk_buff *skb, struct bpf_fib_lookup *f)
{
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		f->family = AF_INET4;
		if (bpf_skb_load_bytes(skb, ETH_HLEN + 12, &f->ipv4_src, 4) ||
		    bpf_skb_load_bytes(skb, ETH_HLEN + 16, &f->ipv4_dst, 4))
			return -EINVAL;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		f->family = AF_INET6;
		if (bpf_skb_load_bytes(skb, ETH_HLEN + 8, f->ipv6_src, 16) ||
		    bpf_skb_load_bytes(skb, ETH_HLEN + 24, f->ipv6_dst, 16))
			return -EINVAL;
	} else {
		return -EINVAL;
	}
	return bpf_fib_lookup(skb, f, sizeof(*f), BPF_FIB_LOOKUP_OUTPUT);
}

ALWAYS_INLINE int back_sent(struct __sk_buff *skb, struct outlet_count *n, __u32 ifindex)
{
	__u32 len = copy_len(skb);

	if (bpf_clone_redirect(skb, ifindex, 0)) {
		n->failed++;
	} else {
		n->sent++;
		n->sent_bytes += len;
	}
	return TC_ACT_STOLEN;
}

/* An IP packet whose MACs are to be found. Where the neighbour is not known it is sent all the same, so that
 * the kernel asks for it, and may yet arrive; but it is not counted as sent. */
ALWAYS_INLINE int back_routed(struct __sk_buff *skb, struct outlet_count *n, __u32 ifindex)
{
	struct bpf_fib_lookup f = {.ifindex = ifindex};

	switch (back_route(skb, &f)) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		if (!bpf_skb_store_bytes(skb, 0, f.dmac, ETH_ALEN, 0) &&
		    !bpf_skb_store_bytes(skb, ETH_ALEN, f.smac, ETH_ALEN, 0))
			return back_sent(skb, n, ifindex);
		n->failed++;
		return TC_ACT_STOLEN;
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		n->unreachable++;
		break;
	case BPF_FIB_LKUP_RET_FWD_DISABLED: /* a host that forwards nothing tells nothing */
	case BPF_FIB_LKUP_RET_UNSUPP_LWT:
		n->sent++;
		n->sent_bytes += skb->len;
		break;
	case -EINVAL:
		n->failed++;
		return TC_ACT_STOLEN;
	default:
		n->unreachable++;
		return TC_ACT_STOLEN;
	}
	return (int)bpf_redirect_neigh(ifindex, 0, 0, 0);
}

/* The outlet that weft-copier named by an 802.1ad tag, and OUTLET_CANARY; 0: none. */
ALWAYS_INLINE __u32 back_tag(const struct __sk_buff *skb)
{
	return skb->vlan_present && skb->vlan_proto == bpf_htons(ETH_P_8021AD) ? skb->vlan_tci & 0xfff : 0;
}

/* What becomes of a canary its answer tells, or that none comes. */
ALWAYS_INLINE int back_canary(struct __sk_buff *skb, const struct outlet_value *o, struct outlet_count *n)
{
	n->canaries++;
	if (o->way == OUTLET_ROUTED)
		return (int)bpf_redirect_neigh(o->ifindex, 0, 0, 0);
	bpf_clone_redirect(skb, o->ifindex, 0);
	return TC_ACT_STOLEN;
}

/* Reports of listeners that the node's stack sends at weft-copy1: no frame of weft-copier's. */
ALWAYS_INLINE int back_is_stray(struct __sk_buff *skb)
{
	__u16 to;

	return !skb->vlan_present && skb->protocol == bpf_htons(ETH_P_IPV6) &&
	       !bpf_skb_load_bytes(skb, 0, &to, sizeof(to)) && to == 0x3333;
}

SEC("tc") int weft_copy_back(struct __sk_buff *skb)
{
	__u32 tag = back_tag(skb), number = tag & ~OUTLET_CANARY, zero = 0;
	const struct outlet_value *o = bpf_map_lookup_elem(&outlet, &number);
	struct outlet_count *n = bpf_map_lookup_elem(&outlet_count, &number);

	if (back_is_stray(skb))
		return TC_ACT_STOLEN;
	if (number && o && n && o->way == OUTLET_NONE) { /* its interface is not there */
		if (!(tag & OUTLET_CANARY))
			n->failed++;
		return TC_ACT_STOLEN;
	}
	if (!number || !o || !n || bpf_skb_vlan_pop(skb)) {
		n = tag & OUTLET_CANARY ? 0 : bpf_map_lookup_elem(&outlet_count, &zero);
		if (n)
			n->failed++;
		return TC_ACT_STOLEN;
	}
	skb->mark = TAP_MARK_OWN;
	if (tag & OUTLET_CANARY)
		return back_canary(skb, o, n);
	if (o->way == OUTLET_ROUTED)
		return back_routed(skb, n, o->ifindex);
	return back_sent(skb, n, o->ifindex);
}
