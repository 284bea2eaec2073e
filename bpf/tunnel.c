/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * weft_tunnel_in: tc ingress at the VXLAN device, so packets of other nodes and their pods, which must come
 * from a node that we know. weft_tunnel_out: tc egress there, so what this node's own stack sends to pods of
 * other nodes (its sockets, its ICMP errors, fragments of what a pod sent too big): finds the node and sets
 * the tunnel's header.
 */
#include "bpf/lib/inbound.h"
#include "bpf/lib/reply.h"

static const struct hook tunnel_hook = {
    .in = COUNTER_TUNNEL_IN,
    .drop = COUNTER_TUNNEL_DROP,
    .way = {[WAY_STACK] = COUNTER_TUNNEL_TO_STACK,
	    [WAY_POD] = COUNTER_TUNNEL_TO_POD,
	    [WAY_TUNNEL] = COUNTER_TUNNEL_TO_TUNNEL,
	    [WAY_UPLINK] = COUNTER_TUNNEL_TO_UPLINK},
};

static const struct hook stack_hook = {
    .in = COUNTER_STACK_IN,
    .drop = COUNTER_STACK_DROP,
    .way = {[WAY_STACK] = COUNTER_STACK_TO_TUNNEL,
	    [WAY_POD] = COUNTER_STACK_TO_TUNNEL,
	    [WAY_TUNNEL] = COUNTER_STACK_TO_TUNNEL,
	    [WAY_UPLINK] = COUNTER_STACK_TO_TUNNEL},
};

/* The element of the node at the other end of the tunnel; NULL: a stranger. */
ALWAYS_INLINE const struct address_value *tunnel_sender(struct __sk_buff *skb, struct packet *p, __u32 *vni)
{
	struct bpf_tunnel_key key = {};
	const struct address_value *a;

	if (!bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0))
		addr_from_v4(&p->look, bpf_htonl(key.remote_ipv4));
	else if (!bpf_skb_get_tunnel_key(skb, &key, sizeof(key), BPF_F_TUNINFO_IPV6))
		__builtin_memcpy(&p->look, key.remote_ipv6, sizeof(p->look));
	else
		return 0;
	*vni = key.tunnel_id;
	a = bpf_map_lookup_elem(&address, &p->look);
	return a && (a->flags & ADDRESS_NODE) ? a : 0;
}

/* A source that we know must live on the node that sent it. */
ALWAYS_INLINE int tunnel_is_spoofed(const struct packet *p, const struct address_value *sender)
{
	const struct address_value *a = bpf_map_lookup_elem(&address, &p->t.src);

	return a && a->node != sender->node;
}

ALWAYS_INLINE int tunnel_in(struct __sk_buff *skb, struct packet *p)
{
	const struct config_value *c = config_get();
	__u32 vni = 0;
	const struct address_value *sender = tunnel_sender(skb, p, &vni), *a;
	int step = parse(skb);

	if (!sender || !c)
		return DROP_TUNNEL;
	if (skb->pkt_type != PKT_HOST && bpf_skb_change_type(skb, PKT_HOST))
		return DROP_TUNNEL;
	if (step)
		return step;
	if (tunnel_is_spoofed(p, sender))
		return DROP_SPOOFED;
	if (vni == (c->vni ^ DIRECT_VNI)) {
		step = direct_read(skb, p, c);
		if (step)
			return step;
	}
	step = fragment_step(p);
	if (step)
		return step;
	step = inbound(skb, p, c);
	if (step != STEP_STACK)
		return step;
	a = bpf_map_lookup_elem(&address, &p->t.dst);
	if (a && (a->flags & ADDRESS_SELF))
		return STEP_STACK;
	p->refuse = 1; /* the stack has an unreachable route for what nobody has */
	return DROP_NO_ENDPOINT;
}

SEC("tc") int weft_tunnel_in(struct __sk_buff *skb)
{
	struct packet *p = packet_begin(skb, &tunnel_hook);
	int step;

	if (!p)
		return TC_ACT_SHOT;
	step = tunnel_in(skb, p);
	copy_drop(skb, p, step);
	asked_step(skb, p, step, ASKED_PASSING);
	return packet_end(p, &tunnel_hook, step);
}

/* Where the packet goes does not change by it: its destination stays. */
ALWAYS_INLINE int tunnel_reply(struct __sk_buff *skb, struct packet *p)
{
	return fragment_step(p) ? 0 : reply_step(skb);
}

ALWAYS_INLINE int tunnel_out(struct __sk_buff *skb, struct packet *p)
{
	const struct config_value *c = config_get();
	const struct address_value *a;
	const struct range_value *r;
	int step = parse(skb);

	if (step > 0)
		return step;
	if (!step && addr_is_multicast(&p->t.dst, p->v6))
		return STEP_STACK; /* reports of listeners and the like: the device gives them to nobody */
	if (step || p->is_nd)
		return DROP_NO_NODE; /* ARP and neighbour discovery have nobody to ask in here */
	if (!c)
		return DROP_NO_NODE;
	a = bpf_map_lookup_elem(&address, &p->t.dst);
	if (a) {
		p->node = a->node;
	} else {
		p->bk.len = 128;
		p->bk.addr = p->t.dst;
		r = bpf_map_lookup_elem(&range, &p->bk);
		if (!r || r->kind != RANGE_POD)
			return DROP_NO_NODE;
		p->node = r->node;
	}
	if (own_has_begun()) {
		step = tunnel_reply(skb, p);
		if (step)
			return step;
	}
	p->action = TC_ACT_OK;
	return send_tunnel(skb, p, c->vni);
}

/* Has another program of ours redirected it here? Then it has its header, and was counted there. */
ALWAYS_INLINE int tunnel_is_set(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key;

	return !bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0) ||
	       !bpf_skb_get_tunnel_key(skb, &key, sizeof(key), BPF_F_TUNINFO_IPV6);
}

SEC("tc") int weft_tunnel_out(struct __sk_buff *skb)
{
	struct packet *p;

	if (tunnel_is_set(skb) || copy_is_own(skb))
		return TC_ACT_OK;
	p = packet_begin(skb, &stack_hook);
	if (!p)
		return TC_ACT_SHOT;
	return packet_end(p, &stack_hook, tunnel_out(skb, p));
}
