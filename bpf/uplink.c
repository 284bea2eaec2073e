/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * weft_uplink: tc ingress at the node's uplink. Refuses sources that cannot come from there, gives replies of
 * masqueraded connections and NodePorts to those whose they are, and leaves all else (the tunnel's own UDP,
 * the node's sockets, ARP) to the stack as it came. weft_uplink_out: tc egress there, for what sockets of the
 * node answer as backends of a Service.
 */
#include "bpf/lib/inbound.h"
#include "bpf/lib/reply.h"

#define VXLAN_PORT 4789

static const struct hook uplink_hook = {
    .in = COUNTER_UPLINK_IN,
    .drop = COUNTER_UPLINK_DROP,
    .way = {[WAY_STACK] = COUNTER_UPLINK_TO_STACK,
	    [WAY_POD] = COUNTER_UPLINK_TO_POD,
	    [WAY_TUNNEL] = COUNTER_UPLINK_TO_TUNNEL,
	    [WAY_UPLINK] = COUNTER_UPLINK_TO_UPLINK},
};

/* This node's own addresses, and those of pods where pods come by another way. */
ALWAYS_INLINE int uplink_is_spoofed(const struct packet *p, const struct config_value *c)
{
	const struct address_value *a = bpf_map_lookup_elem(&address, &p->t.src);

	if (!a || addr_is_link_local(&p->t.src, p->v6))
		return 0;
	if (a->flags & ADDRESS_SELF)
		return 1;
	return (a->flags & ADDRESS_POD) && (c->mode == MODE_VXLAN || !a->node);
}

ALWAYS_INLINE int uplink(struct __sk_buff *skb, struct packet *p)
{
	const struct config_value *c = config_get();
	int step = parse(skb);

	if (step == STEP_STACK || !c)
		return STEP_STACK;
	if (step)
		return step;
	if (p->is_nd)
		return STEP_STACK;
	if (uplink_is_spoofed(p, c))
		return DROP_SPOOFED;
	step = fragment_step(p);
	if (step)
		return STEP_STACK; /* whose it is cannot be known; the stack drops what is not its own */
	if (p->t.proto == IPPROTO_UDP && p->t.dport == bpf_htons(VXLAN_PORT) && c->tunnel)
		return fault_step(c, FAULT_UPLINK) ? DROP_FAULT : STEP_STACK;
	return inbound(skb, p, c);
}

SEC("tc") int weft_uplink(struct __sk_buff *skb)
{
	struct packet *p = packet_begin(skb, &uplink_hook);
	int step;

	if (!p)
		return TC_ACT_SHOT;
	step = uplink(skb, p);
	copy_drop(skb, p, step);
	asked_step(skb, p, step, ASKED_PASSING);
	return packet_end(p, &uplink_hook, step);
}

static const struct hook leave_hook = {
    .in = COUNTER_LEAVE_IN,
    .drop = COUNTER_LEAVE_DROP,
    .way = {[WAY_STACK] = COUNTER_LEAVE_TO_UPLINK,
	    [WAY_POD] = COUNTER_LEAVE_TO_UPLINK,
	    [WAY_TUNNEL] = COUNTER_LEAVE_TO_UPLINK,
	    [WAY_UPLINK] = COUNTER_LEAVE_TO_UPLINK},
};

/* Most of what leaves is none of such answers: the tunnel's own UDP, pods' packets, other sockets'. */
ALWAYS_INLINE int uplink_out(struct __sk_buff *skb, struct packet *p)
{
	const struct address_value *a;

	if (parse(skb) || p->is_nd)
		return STEP_STACK;
	a = bpf_map_lookup_elem(&address, &p->t.src);
	if (!a || !(a->flags & ADDRESS_SELF) || fragment_step(p))
		return STEP_STACK;
	p->action = TC_ACT_OK;
	return reply_step(skb);
}

SEC("tc") int weft_uplink_out(struct __sk_buff *skb)
{
	struct packet *p;

	if (!own_has_begun() || copy_is_own(skb))
		return TC_ACT_OK;
	p = packet_begin(skb, &leave_hook);
	if (!p)
		return TC_ACT_OK;
	return packet_end(p, &leave_hook, uplink_out(skb, p));
}
