/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Direct return: a node that takes a Service's packet for a pod of another node hands it over as it came,
 * client and Service in its addresses, and the backend's node translates, so that its answers go straight to
 * the client. The choice travels where the tunnel has room that nothing else uses: the MACs of the inner
 * frame hold the lower half of the backend's address and its port, one bit of the VNI says so. Every packet
 * carries it, so no order of arrival matters and no packet grows. Used by service.h, deliver.h and tunnel.c.
 */
#ifndef WEFT_BPF_DIRECT_H
#define WEFT_BPF_DIRECT_H

#include "bpf/lib/nat.h"

#define DIRECT_VNI 0x800000u
#define DIRECT_MAC 0x06 /* unicast, locally administered */

struct direct_head {
	union {
		struct {
			__u8 to_kind;
			__u32 upper; /* addr16.w[2] */
			__u8 port_upper;
			__u8 from_kind;
			__u32 lower; /* addr16.w[3] */
			__u8 port_lower;
		} __attribute__((packed));
		struct {
			__u8 to[6], from[6];
		};
	};
};
_Static_assert(sizeof(struct direct_head) == 12, "two MACs");

ALWAYS_INLINE void direct_head_set(struct direct_head *h, const struct nat_key *t)
{
	h->to_kind = h->from_kind = DIRECT_MAC;
	h->upper = t->dst.w[2];
	h->lower = t->dst.w[3];
	h->port_upper = (__u8)(t->dport >> 8);
	h->port_lower = (__u8)t->dport;
}

/* After parse(): what the node that took the packet chose, to p->chosen. */
ALWAYS_INLINE int direct_read(struct __sk_buff *skb, struct packet *p, const struct config_value *c)
{
	struct direct_head h;

	if (bpf_skb_load_bytes(skb, 0, &h, sizeof(h)) || h.to_kind != DIRECT_MAC)
		return DROP_TUNNEL;
	p->chosen.addr.w[0] = p->v6 ? c->pods6[0] : 0;
	p->chosen.addr.w[1] = p->v6 ? c->pods6[1] : 0;
	p->chosen.addr.w[2] = h.upper;
	p->chosen.addr.w[3] = h.lower;
	p->chosen.port = (__u16)((__u16)h.port_upper << 8 | h.port_lower);
	p->told = 1;
	count(COUNTER_DIRECT_IN);
	return 0;
}

/* May p->chosen answer by itself? Not to addresses of the cluster, whose nodes know where a source belongs;
 * not where it is no pod, or has more of an address than fits. */
ALWAYS_INLINE int direct_may(const struct __sk_buff *skb, const struct packet *p)
{
	const struct config_value *c = config_get();
	const struct address_value *a;
	const struct node_value *n;
	__u32 key;

	if (!c || c->mode != MODE_VXLAN || skb->ifindex != c->uplink ||
	    bpf_map_lookup_elem(&address, &p->t.src))
		return 0;
	a = bpf_map_lookup_elem(&address, &p->chosen.addr);
	if (!a || !a->node || !(a->flags & ADDRESS_POD))
		return 0;
	key = a->node;
	n = bpf_map_lookup_elem(&node, &key);
	return n && !(p->v6 && n->flags & NODE_WIDE6);
}

/* Is the element of p->nv still what the other node wants? */
ALWAYS_INLINE int direct_keeps(const struct packet *p)
{
	return p->nv.dport == p->chosen.port && addr_same(&p->nv.dst, &p->chosen.addr);
}

/* Translates a new connection as it was told. */
__attribute__((noinline)) int direct_step(void)
{
	struct packet *p = packet_get();

	if (!p || !proto_has_ports(p->t.proto))
		return DROP_NO_BACKEND;
	p->raw = p->t;
	p->t.dst = p->chosen.addr;
	p->t.dport = p->chosen.port;
	p->backend_list = 0;
	return nat_dnat();
}

#endif
