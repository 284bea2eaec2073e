/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Translations per packet, in two stages around the ends that are judged: DNAT (Service or NodePort →
 * backend) before, SNAT (an address and port of this node) after; replies pass them the other way round. Each
 * stage is one element of BPF map nat for each direction. Nothing here touches the packet; rewrite.h does.
 */
#ifndef WEFT_BPF_NAT_H
#define WEFT_BPF_NAT_H

#include "bpf/lib/conn.h"

#define DNAT_TRIES 16
#define SNAT_TRIES 32
#define STEP_NEXT  (-2) /* of a try: taken, go on with the next port */
#define SNAT_STEP  7919 /* prime: spreads the tries over the range */

ALWAYS_INLINE void tuple_turn(struct nat_key *to, const struct nat_key *from)
{
	to->src = from->dst;
	to->dst = from->src;
	to->sport = from->dport;
	to->dport = from->sport;
	to->proto = from->proto;
	__builtin_memset(to->pad, 0, sizeof(to->pad));
}

ALWAYS_INLINE void tuple_take(struct nat_key *to, const struct nat_value *from)
{
	to->src = from->src;
	to->dst = from->dst;
	to->sport = from->sport;
	to->dport = from->dport;
}

ALWAYS_INLINE void nat_value_set(struct nat_value *v, const struct nat_key *t, __u32 flags, __u64 now)
{
	v->src = t->src;
	v->dst = t->dst;
	v->sport = t->sport;
	v->dport = t->dport;
	v->flags = flags;
	v->seen = now;
}

/* The n-th port to try, host order. */
ALWAYS_INLINE __u16 snat_port(const struct config_value *c, __u32 start, __u32 n)
{
	__u32 ports = (__u32)c->snat_high - c->snat_low + 1;
	__u32 step = ports <= SNAT_TRIES ? 1 : SNAT_STEP;

	return (__u16)(c->snat_low + (start + n * step) % ports);
}

/* Is p->t a connection that goes without translation, so that its way back is taken? */
ALWAYS_INLINE int nat_is_direct(struct packet *p)
{
	const struct conn_value *c = conn_find(p);

	return c && !(c->flags & CONN_NAT);
}

/* Try n of nat_dnat(): 0 the way back is made, STEP_NEXT another port is needed, else a drop reason. */
__attribute__((noinline)) int nat_dnat_try(__u32 n)
{
	struct packet *p = packet_get();
	const struct config_value *c = config_get();
	const struct nat_value *known;
	int err;

	if (!p || !c)
		return DROP_SNAT_PORTS;
	if (n)
		p->t.sport = bpf_htons(snat_port(c, tuple_hash(&p->raw), n));
	if (nat_is_direct(p))
		return STEP_NEXT;
	tuple_turn(&p->nk, &p->raw);
	nat_value_set(&p->nv, &p->nk, NAT_DNAT | NAT_REPLY, p->now);
	tuple_turn(&p->nk, &p->t);
	err = (int)bpf_map_update_elem(&nat, &p->nk, &p->nv, BPF_NOEXIST);
	if (!err)
		return 0;
	if (err != -EEXIST)
		return DROP_NAT_FULL;
	known = bpf_map_lookup_elem(&nat, &p->nk);
	if (known && known->flags == p->nv.flags && known->sport == p->nv.sport &&
	    known->dport == p->nv.dport && addr_same(&known->src, &p->nv.src))
		return 0; /* left from before, and right */
	return STEP_NEXT;
}

/*
 * Makes both elements of a DNAT: p->raw is client to service, p->t client to backend. Where the way back from
 * the backend belongs to another connection of the client (SV58), its port is changed as well.
 */
__attribute__((noinline)) int nat_dnat(void)
{
	struct packet *p = packet_get();
	const struct config_value *c = config_get();
	int step = STEP_NEXT;

	if (!p || !c || c->snat_high < c->snat_low)
		return DROP_SNAT_PORTS;
	for (__u32 i = 0; i < DNAT_TRIES && step == STEP_NEXT; i++) {
		step = nat_dnat_try(i);
	}
	if (step)
		return step == STEP_NEXT ? DROP_SNAT_PORTS : step;
	nat_value_set(&p->nv, &p->t, NAT_DNAT | (p->direct ? NAT_DIRECT : 0) | (p->backend_list & NAT_LIST),
		      p->now);
	if (bpf_map_update_elem(&nat, &p->raw, &p->nv, BPF_ANY))
		return DROP_NAT_FULL;
	p->out = p->t;
	p->translated = 1;
	return 0;
}

/* Has a socket of this node what would be the reply of p->out (SV59)? One that listens counts as well. */
ALWAYS_INLINE int nat_is_socket(struct __sk_buff *skb, const struct packet *p)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk;
	__u32 size = p->v6 ? sizeof(t.ipv6) : sizeof(t.ipv4);

	if (p->v6) {
		__builtin_memcpy(t.ipv6.saddr, p->out.dst.w, sizeof(t.ipv6.saddr));
		__builtin_memcpy(t.ipv6.daddr, p->out.src.w, sizeof(t.ipv6.daddr));
		t.ipv6.sport = p->out.dport;
		t.ipv6.dport = p->out.sport;
	} else {
		t.ipv4.saddr = p->out.dst.w[3];
		t.ipv4.daddr = p->out.src.w[3];
		t.ipv4.sport = p->out.dport;
		t.ipv4.dport = p->out.sport;
	}
	if (p->t.proto == IPPROTO_TCP)
		sk = bpf_skc_lookup_tcp(skb, &t, size, (__u64)BPF_F_CURRENT_NETNS, 0);
	else if (p->t.proto == IPPROTO_UDP)
		sk = bpf_sk_lookup_udp(skb, &t, size, (__u64)BPF_F_CURRENT_NETNS, 0);
	else
		return 0;
	if (!sk)
		return 0;
	bpf_sk_release(sk);
	return 1;
}

/* A try of nat_snat() with this source port (network order, 0: keep it): as nat_dnat_try(). */
__attribute__((noinline)) int nat_snat_try(struct __sk_buff *skb, __u32 sport)
{
	struct packet *p = packet_get();
	int err;

	if (!p)
		return DROP_SNAT_PORTS;
	if (sport)
		p->out.sport = (__u16)sport;
	if (!proto_has_ports(p->t.proto) && p->t.sport)
		p->out.dport = p->out.sport; /* echo */
	if (nat_is_socket(skb, p))
		return STEP_NEXT;
	tuple_turn(&p->nk, &p->t);
	nat_value_set(&p->nv, &p->nk, NAT_SNAT | NAT_REPLY, p->now);
	tuple_turn(&p->nk, &p->out);
	err = (int)bpf_map_update_elem(&nat, &p->nk, &p->nv, BPF_NOEXIST);
	if (err == -EEXIST)
		return STEP_NEXT;
	return err ? DROP_NAT_FULL : 0;
}

/* Makes both elements of an SNAT of p->t to an address of this node; p->out is how it goes on. */
__attribute__((noinline)) int nat_snat(struct __sk_buff *skb)
{
	struct packet *p = packet_get();
	const struct config_value *c = config_get();
	__u32 start, tries = SNAT_TRIES;
	int step = STEP_NEXT;
	__u16 own;

	if (!p || !c || c->snat_high < c->snat_low)
		return DROP_SNAT_PORTS;
	if (!p->translated)
		p->raw = p->t;
	p->translated = 1;
	p->out = p->t;
	p->out.src = p->v6 ? c->node6 : c->node4;
	if (addr_is_zero(&p->out.src))
		return DROP_SNAT_PORTS;
	own = bpf_ntohs(p->t.sport);
	start = own >= c->snat_low && own <= c->snat_high ? (__u32)own - c->snat_low : tuple_hash(&p->t);
	start %= (__u32)c->snat_high - c->snat_low + 1;
	if (!p->t.sport)
		tries = 1; /* there is no port */
	for (__u32 i = 0; i < SNAT_TRIES && i < tries && step == STEP_NEXT; i++)
		step = nat_snat_try(skb, tries > 1 ? bpf_htons(snat_port(c, start, i)) : 0);
	if (step)
		return step == STEP_NEXT ? DROP_SNAT_PORTS : step;
	nat_value_set(&p->nv, &p->out, NAT_SNAT, p->now);
	return bpf_map_update_elem(&nat, &p->t, &p->nv, BPF_ANY) ? DROP_NAT_FULL : 0;
}

#endif
