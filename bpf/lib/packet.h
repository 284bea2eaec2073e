/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a program knows of the packet in its hands. It lies in a per-CPU scratch element, since the stack has
 * 512 bytes: tc programs run with bottom halves off, so one CPU has one packet at a time. Programs that run
 * in process context must not use that element: weft_ask has one of its own, cgroup hooks and weft_gc have
 * none. Steps return 0 to go on, a drop reason, or STEP_STACK.
 */
#ifndef WEFT_BPF_PACKET_H
#define WEFT_BPF_PACKET_H

#include "bpf/maps.h"

#define STEP_STACK (-1) /* not ours: the node's stack takes it as it came */

enum way { WAY_STACK, WAY_POD, WAY_TUNNEL, WAY_UPLINK };

#define FRAGMENT_NONE  0
#define FRAGMENT_FIRST 1
#define FRAGMENT_LATER 2 /* carries no ports of its own */

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_ACK 16

struct packet {
	struct nat_key t;	 /* the ends that are judged: before SNAT, after DNAT */
	struct nat_key raw;	 /* as it came; valid once translated */
	struct nat_key out;	 /* as it goes on; valid once translated */
	struct addr16 outer_src; /* of an ICMP error, while t holds what it is about */
	__u64 tick;		 /* jiffies when `now` was read */
	__u64 now;		 /* coarse monotonic ns */
	__u32 len;
	__u32 pad;
	/* all 0 at the beginning of a packet, up to k4 */
	__u32 l4;	/* offset of the header after IP */
	__u32 inner;	/* ICMP error: offset of the IP header inside */
	__u32 inner_l4; /* ICMP error: offset of the header after that */
	__u32 ifindex;	/* of the pod that is charged for a new connection; 0: none */
	__u32 rule_egress, rule_ingress;
	__u32 cause;		 /* of the last judgement that refused, as in drop_key; else 0 */
	__u32 judged, direction; /* the pod (interface) and direction of the last judgement */
	__u32 way;
	__u32 node;   /* WAY_TUNNEL: key of BPF map node */
	__u32 target; /* WAY_POD: interface */
	__u32 backend_list;
	int action; /* what the hook returns */
	/* TCP, where tcp_follows: a header that is whole, in no fragment */
	__u32 seq, ack;	  /* host order */
	__u32 seq_len;	  /* sequence numbers that it takes: bytes, SYN, FIN */
	__u16 tcp_window; /* network order */
	__u16 fragment_flags;
	__u8 v6;
	__u8 ttl;
	__u8 tcp; /* flags */
	__u8 tcp_follows;
	__u8 icmp_type;	 /* valid for ICMP and ICMPv6 */
	__u8 fragment;	 /* FRAGMENT_… */
	__u8 is_error;	 /* an ICMP error */
	__u8 is_nd;	 /* ICMPv6 that keeps the link alive (RFC 4890, 4.4.1) */
	__u8 translated; /* raw and out are valid */
	__u8 backward;	 /* goes from the responder to the initiator */
	__u8 refuse;	 /* dropped, but the stack may tell the sender */
	__u8 masquerade; /* needs SNAT before it leaves */
	__u8 is_pod;	 /* t.dst is a pod's, not of this node */
	__u8 known;	 /* an open connection is judged again: what its name was stays (CN16) */
	__u8 direct;	 /* goes on as it came, to the backend's node; see direct.h */
	__u8 told;	 /* came so from another node, which chose p->chosen */
	__u8 target_mac[6];
	/* keys and values of look-ups, so that the stack stays free */
	struct conn4_key k4 __attribute__((aligned(8)));
	struct conn6_key k6;
	struct conn_value conn;
	struct nat_key nk;
	struct nat_value nv;
	struct block_key bk;
	struct fragment_key fk;
	struct service_key sk;
	struct source_key source;
	struct affinity_key ak;
	struct backend_value chosen;
	struct addr16 look;			/* argument of class_of() */
	struct addr16 diff_old[4], diff_new[4]; /* bytes before and after, for checksums */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct packet);
	__uint(max_entries, 2);
} scratch SEC(".maps");

#define SLOT_PACKET 0u
#define SLOT_ASK    1u

ALWAYS_INLINE struct packet *packet_slot(__u32 slot)
{
	return bpf_map_lookup_elem(&scratch, &slot);
}

ALWAYS_INLINE struct packet *packet_get(void)
{
	return packet_slot(SLOT_PACKET);
}

ALWAYS_INLINE const struct config_value *config_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&config, &zero);
}

ALWAYS_INLINE int addr_same(const struct addr16 *a, const struct addr16 *b)
{
	return a->w[3] == b->w[3] && a->w[2] == b->w[2] && a->w[1] == b->w[1] && a->w[0] == b->w[0];
}

ALWAYS_INLINE int addr_is_zero(const struct addr16 *a)
{
	return !(a->w[0] | a->w[1] | a->w[2] | a->w[3]);
}

ALWAYS_INLINE void addr_from_v4(struct addr16 *a, __u32 v4)
{
	a->w[0] = 0;
	a->w[1] = 0;
	a->w[2] = bpf_htonl(0xffff);
	a->w[3] = v4;
}

/* fe80::/10 and 169.254.0.0/16: never forwarded, so it is the other end of the link. */
ALWAYS_INLINE int addr_is_link_local(const struct addr16 *a, int v6)
{
	if (v6)
		return (a->w[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
	return (a->w[3] & bpf_htonl(0xffff0000)) == bpf_htonl(0xa9fe0000);
}

ALWAYS_INLINE int addr_is_multicast(const struct addr16 *a, int v6)
{
	if (v6)
		return a->b[0] == 0xff;
	return (a->w[3] & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000) || a->w[3] == 0xffffffff;
}

ALWAYS_INLINE int proto_has_ports(__u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

/* Mixes both ends into 32 bits; used to spread, never to trust. */
ALWAYS_INLINE __u32 tuple_hash(const struct nat_key *t)
{
	__u32 h = t->proto;

	for (int i = 0; i < 4; i++) {
		h = (h ^ t->src.w[i]) * 0x9e3779b1u;
		h = (h ^ (h >> 15) ^ t->dst.w[i]) * 0x85ebca77u;
	}
	h = (h ^ (h >> 13) ^ ((__u32)t->sport << 16 | t->dport)) * 0xc2b2ae3du;
	/* products carry upwards only: fold down and multiply again, else the ports never reach the low bits
	 */
	h = (h ^ (h >> 16)) * 0x7feb352du;
	h = (h ^ (h >> 15)) * 0x846ca68bu;
	return h ^ (h >> 16);
}

#endif
