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

/*
 * Makes both elements of a DNAT: p->raw is client to service, p->t client to backend. Where the way back from
 * the backend belongs to another connection of the client (SV58), its port is changed as well.
 */
__attribute__((noinline)) int nat_dnat(void)
{
	struct packet *p = packet_get();
	const struct config_value *c = config_get();
	const struct nat_value *known;
	__u32 start, i;
	int err = -EEXIST; /* int: before 6.4 the upper half of what an update returns is not there */

	if (!p || !c || c->snat_high < c->snat_low)
		return DROP_SNAT_PORTS;
	start = tuple_hash(&p->raw);
	for (i = 0; i < DNAT_TRIES; i++) {
		if (i)
			p->t.sport = bpf_htons(snat_port(c, start, i));
		if (nat_is_direct(p)) {
			if (p->t.proto == IPPROTO_SCTP)
				break; /* its checksum forbids another port */
			continue;
		}
		tuple_turn(&p->nk, &p->raw);
		nat_value_set(&p->nv, &p->nk, NAT_DNAT | NAT_REPLY, p->now);
		tuple_turn(&p->nk, &p->t);
		err = (int)bpf_map_update_elem(&nat, &p->nk, &p->nv, BPF_NOEXIST);
		if (!err)
			break;
		if (err != -EEXIST)
			return DROP_NAT_FULL;
		known = bpf_map_lookup_elem(&nat, &p->nk);
		if (known && known->flags == p->nv.flags && known->sport == p->nv.sport &&
		    known->dport == p->nv.dport && addr_same(&known->src, &p->nv.src)) {
			err = 0; /* left from before, and right */
			break;
		}
		if (p->t.proto == IPPROTO_SCTP)
			break;
	}
	if (err)
		return DROP_SNAT_PORTS;
	nat_value_set(&p->nv, &p->t, NAT_DNAT | (p->backend_list & NAT_LIST), p->now);
	if (bpf_map_update_elem(&nat, &p->raw, &p->nv, BPF_ANY))
		return DROP_NAT_FULL;
	p->out = p->t;
	p->translated = 1;
	return 0;
}

/* Makes both elements of an SNAT of p->t to an address of this node; p->out is how it goes on. */
__attribute__((noinline)) int nat_snat(void)
{
	struct packet *p = packet_get();
	const struct config_value *c = config_get();
	__u32 start, i, tries = SNAT_TRIES;
	__u16 own;
	int err = -EEXIST; /* int: before 6.4 the upper half of what an update returns is not there */
	int echo;

	if (!p || !c || c->snat_high < c->snat_low)
		return DROP_SNAT_PORTS;
	if (!p->translated)
		p->raw = p->t;
	p->translated = 1;
	p->out = p->t;
	p->out.src = p->v6 ? c->node6 : c->node4;
	if (addr_is_zero(&p->out.src))
		return DROP_SNAT_PORTS;
	echo = !proto_has_ports(p->t.proto) && p->t.sport;
	own = bpf_ntohs(p->t.sport);
	start = own >= c->snat_low && own <= c->snat_high ? (__u32)own - c->snat_low : tuple_hash(&p->t);
	start %= (__u32)c->snat_high - c->snat_low + 1;
	if (p->t.proto == IPPROTO_SCTP || !p->t.sport)
		tries = 1; /* keeps its port: the checksum forbids another, or there is none */
	for (i = 0; i < SNAT_TRIES && i < tries; i++) {
		if (tries > 1)
			p->out.sport = bpf_htons(snat_port(c, start, i));
		if (echo)
			p->out.dport = p->out.sport;
		tuple_turn(&p->nk, &p->t);
		nat_value_set(&p->nv, &p->nk, NAT_SNAT | NAT_REPLY, p->now);
		tuple_turn(&p->nk, &p->out);
		err = (int)bpf_map_update_elem(&nat, &p->nk, &p->nv, BPF_NOEXIST);
		if (!err)
			break;
		if (err != -EEXIST)
			return DROP_NAT_FULL;
	}
	if (err)
		return DROP_SNAT_PORTS;
	nat_value_set(&p->nv, &p->out, NAT_SNAT, p->now);
	err = (int)bpf_map_update_elem(&nat, &p->t, &p->nv, BPF_ANY);
	return err ? DROP_NAT_FULL : 0;
}

#endif
