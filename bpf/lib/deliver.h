/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where a packet goes (route_*: reads tables, decides, changes nothing) and sending it there (send: rewrites
 * headers and redirects). Delivery to a pod of this node skips that interface's own hook: the caller has
 * judged both ends.
 */
#ifndef WEFT_BPF_DELIVER_H
#define WEFT_BPF_DELIVER_H

#include "bpf/lib/copy.h"
#include "bpf/lib/fault.h"
#include "bpf/lib/icmp.h"

/* A node, or a pod on another node. */
ALWAYS_INLINE int route_node(struct packet *p, const struct config_value *c, const struct address_value *a)
{
	const struct addr16 *own = p->v6 ? &c->node6 : &c->node4;
	int from_own = p->translated && addr_same(&p->out.src, own);

	if (c->mode == MODE_ROUTES || ((a->flags & ADDRESS_NODE) && from_own)) {
		p->way = WAY_UPLINK;
		return 0;
	}
	p->node = a->node;
	p->way = WAY_TUNNEL;
	return 0;
}

/* A Service address without this port: refused where some Service has it, else dropped (SV44). */
ALWAYS_INLINE int route_service(struct packet *p)
{
	p->sk.addr = p->t.dst;
	p->sk.port = 0;
	p->sk.proto = 0;
	p->sk.pad = 0;
	if (!bpf_map_lookup_elem(&service, &p->sk))
		return DROP_NO_SERVICE;
	p->refuse = 1;
	return proto_has_ports(p->t.proto) ? DROP_NO_BACKEND : DROP_PROTOCOL;
}

/* A destination that is no pod of this node. */
__attribute__((noinline)) int route_away(void)
{
	struct packet *p = packet_get();
	const struct config_value *c = config_get();
	const struct address_value *a;
	const struct range_value *r;

	if (!p || !c)
		return DROP_NO_ENDPOINT;
	a = bpf_map_lookup_elem(&address, &p->t.dst);
	if (a && (a->flags & ADDRESS_SELF)) {
		p->way = WAY_STACK;
		return 0;
	}
	if (a && a->node)
		return route_node(p, c, a);
	p->way = WAY_STACK;
	if (addr_is_link_local(&p->t.dst, p->v6) || addr_is_multicast(&p->t.dst, p->v6))
		return 0;
	p->bk.len = 128;
	p->bk.addr = p->t.dst;
	r = a ? 0 : bpf_map_lookup_elem(&range, &p->bk);
	if (a || (r && r->kind == RANGE_POD)) {
		p->refuse = 1;
		if (!a && r->node) /* another node's: the stack would send it there, so we refuse or nobody */
			p->action = TC_ACT_SHOT;
		return DROP_NO_ENDPOINT;
	}
	if (r && r->kind == RANGE_SERVICE)
		return route_service(p);
	if (c->uplink)
		p->way = WAY_UPLINK;
	p->masquerade = !r && c->uplink;
	return 0;
}

ALWAYS_INLINE void route_pod(struct packet *p, const struct endpoint_value *e)
{
	p->way = WAY_POD;
	p->target = e->ifindex;
	__builtin_memcpy(p->target_mac, e->mac, ETH_ALEN);
}

/*
 * The same by what the connection remembers of its target, which holds as long as no pod of this node comes
 * or goes. The number is read before the table: what changes between is looked up again. 0: not a pod here.
 */
ALWAYS_INLINE int route_known(struct packet *p, struct conn_value *c)
{
	const struct endpoint_value *e;
	const __u32 *now;
	__u32 zero = 0, number;

	now = bpf_map_lookup_elem(&wiring, &zero);
	if (!now)
		return 0;
	number = *now + 1;
	if (c->wiring != number) {
		e = bpf_map_lookup_elem(&endpoint, &p->t.dst);
		c->target = e ? e->ifindex : 0;
		if (e)
			__builtin_memcpy(c->target_mac, e->mac, ETH_ALEN);
		c->wiring = number;
	}
	if (!c->target)
		return 0;
	p->way = WAY_POD;
	p->target = c->target;
	__builtin_memcpy(p->target_mac, c->target_mac, ETH_ALEN);
	return 1;
}

/* Does an IP packet of this size fit the pods' MTU? Each segment of a packet that is cut later is looked at.
 */
__attribute__((noinline)) int fits(struct __sk_buff *skb, const struct packet *p,
				   const struct config_value *c)
{
	__u32 len;

	if (!p || !c)
		return 0;
	len = p->len - L3;
	if (len <= c->mtu)
		return 1;
	if (!skb->gso_size)
		return 0;
	/* headers: at most 60 bytes of TCP; exact, else a full-sized segment would seem too big */
	len = p->l4 - L3 + skb->gso_size;
	if (p->t.proto == IPPROTO_TCP) {
		__u8 words = 0;

		bpf_skb_load_bytes(skb, p->l4 + 12, &words, 1);
		len += (words >> 4) * 4u;
	} else {
		len += 8;
	}
	return len <= c->mtu;
}

/* One hop less (RFC 1812, 5.3.1; RFC 8200, 3) and new MACs, which only a pod of this node looks at. */
ALWAYS_INLINE int write_hop(struct __sk_buff *skb, const struct packet *p, const __u8 *to, const __u8 *from,
			    int hop)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *v4 = (void *)(eth + 1);
	struct ipv6hdr *v6 = (void *)(eth + 1);
	__u32 sum;

	if ((void *)(v4 + 1) > end)
		return DROP_REDIRECT;
	__builtin_memcpy(eth->h_dest, to, ETH_ALEN);
	__builtin_memcpy(eth->h_source, from, ETH_ALEN);
	if (!hop)
		return 0;
	if (p->v6) {
		v6->hop_limit--;
		return 0;
	}
	v4->ttl--;
	sum = v4->check + bpf_htons(0x0100);
	v4->check = (__u16)(sum + (sum >> 16));
	return 0;
}

ALWAYS_INLINE int send_tunnel(struct __sk_buff *skb, struct packet *p, __u32 vni)
{
	const struct node_value *n = bpf_map_lookup_elem(&node, &p->node);
	struct bpf_tunnel_key key = {};
	__u64 flags = BPF_F_ZERO_CSUM_TX;

	if (!n)
		return DROP_NO_NODE;
	key.tunnel_id = vni;
	key.tunnel_ttl = 64;
	if (n->v4.w[3]) {
		key.remote_ipv4 = bpf_ntohl(n->v4.w[3]); /* host order, unlike everything else */
	} else if (!addr_is_zero(&n->v6)) {
		__builtin_memcpy(key.remote_ipv6, n->v6.w, sizeof(key.remote_ipv6));
		flags = BPF_F_TUNINFO_IPV6;
	} else {
		return DROP_NO_NODE;
	}
	if (bpf_skb_set_tunnel_key(skb, &key, sizeof(key), flags))
		return DROP_TUNNEL;
	return 0;
}

/* To the backend's node as it came; p->t is what that node will judge. */
__attribute__((noinline)) int send_direct(struct __sk_buff *skb, int hop)
{
	struct packet *p = packet_get();
	const struct config_value *c = config_get();
	struct direct_head h;
	int step;

	if (!p || !c)
		return DROP_TUNNEL;
	step = fault_step(c, FAULT_UPLINK);
	if (step)
		return step;
	direct_head_set(&h, &p->t);
	step = write_hop(skb, p, h.to, h.from, hop);
	if (!step)
		step = send_tunnel(skb, p, c->vni ^ DIRECT_VNI);
	if (step)
		return step;
	count(COUNTER_DIRECT_OUT);
	p->action = (int)bpf_redirect(c->tunnel, 0);
	return 0;
}

/* 0 or DROP_FAULT, by where it goes. */
ALWAYS_INLINE int send_fault(struct packet *p, const struct config_value *c)
{
	if (p->way == WAY_STACK)
		return 0;
	return p->way == WAY_POD ? fault_at_pod(p, c, p->target) : fault_step(c, FAULT_UPLINK);
}

/* After send_fault(): sends p by p->way, translated if it is. `hop` as in write_hop(). */
ALWAYS_INLINE int send(struct __sk_buff *skb, struct packet *p, const struct config_value *c, int hop)
{
	int step = 0;

	if (p->translated) {
		if (p->is_error)
			icmp_rewrite(skb);
		else
			step = rewrite(skb);
	}
	if (step)
		return step;
	switch (p->way) {
	case WAY_POD:
		step = write_hop(skb, p, p->target_mac, c->gateway_mac, hop);
		if (step)
			break;
		copy_point(skb, p->target, TAP_IN, 0);
		p->action = (int)bpf_redirect_peer(p->target, 0);
		break;
	case WAY_TUNNEL:
		step = write_hop(skb, p, c->gateway_mac, c->gateway_mac, hop);
		if (!step)
			step = send_tunnel(skb, p, c->vni);
		if (!step)
			p->action = (int)bpf_redirect(c->tunnel, 0);
		break;
	case WAY_UPLINK:
		step = write_hop(skb, p, c->gateway_mac, c->gateway_mac, hop);
		if (!step)
			p->action = (int)bpf_redirect_neigh(c->uplink, 0, 0, 0);
		break;
	default:
		p->action = TC_ACT_OK;
	}
	return step;
}

#endif
