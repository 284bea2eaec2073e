/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Connections: found by both directions under one key, made by the first packet in the table of the
 * unanswered, moved by the answer to the table that never evicts: of TCP by the packet that confirms the
 * answer, which a source that is nobody's never sends. Nothing here judges; weft_gc lets entries age out.
 */
#ifndef WEFT_BPF_CONN_H
#define WEFT_BPF_CONN_H

#include "bpf/lib/ended.h"
#include "bpf/lib/tcp.h"

#define CONN_CLOSED(flags)                                                                                   \
	(((flags)&CONN_RST) || ((flags) & (CONN_FIN_A | CONN_FIN_B)) == (CONN_FIN_A | CONN_FIN_B))

/* Unanswered connections are judged again when a packet comes in another span of 2^30 ns than the last one.
 */
#define SPAN_SHIFT 30

/* Is the source of `t` the lower end? Equal ends count as yes. */
ALWAYS_INLINE int source_is_a(const struct nat_key *t, int v6)
{
	__u64 s, d;

	if (v6) {
		for (int i = 0; i < 4; i++) {
			__u32 x = bpf_ntohl(t->src.w[i]), y = bpf_ntohl(t->dst.w[i]);

			if (x != y)
				return x < y;
		}
		return bpf_ntohs(t->sport) <= bpf_ntohs(t->dport);
	}
	s = (__u64)bpf_ntohl(t->src.w[3]) << 16 | bpf_ntohs(t->sport);
	d = (__u64)bpf_ntohl(t->dst.w[3]) << 16 | bpf_ntohs(t->dport);
	return s <= d;
}

ALWAYS_INLINE void conn4_key_set(struct conn4_key *k, const struct nat_key *t)
{
	int a = source_is_a(t, 0);

	k->a = a ? t->src.w[3] : t->dst.w[3];
	k->b = a ? t->dst.w[3] : t->src.w[3];
	k->aport = a ? t->sport : t->dport;
	k->bport = a ? t->dport : t->sport;
	k->proto = t->proto;
	__builtin_memset(k->pad, 0, sizeof(k->pad));
}

ALWAYS_INLINE void conn6_key_set(struct conn6_key *k, const struct nat_key *t)
{
	int a = source_is_a(t, 1);

	k->a = a ? t->src : t->dst;
	k->b = a ? t->dst : t->src;
	k->aport = a ? t->sport : t->dport;
	k->bport = a ? t->dport : t->sport;
	k->proto = t->proto;
	__builtin_memset(k->pad, 0, sizeof(k->pad));
}

/* The entry of p->t, answered or not; its key stays in p->k4 or p->k6, the direction in p->backward. */
ALWAYS_INLINE struct conn_value *conn_find(struct packet *p)
{
	struct conn_value *c;

	if (p->v6) {
		conn6_key_set(&p->k6, &p->t);
		c = bpf_map_lookup_elem(&conn6, &p->k6);
		if (!c)
			c = bpf_map_lookup_elem(&half6, &p->k6);
	} else {
		conn4_key_set(&p->k4, &p->t);
		c = bpf_map_lookup_elem(&conn4, &p->k4);
		if (!c)
			c = bpf_map_lookup_elem(&half4, &p->k4);
	}
	if (c)
		p->backward = source_is_a(&p->t, p->v6) == !!(c->flags & CONN_STARTED_BY_B);
	return c;
}

/*
 * A new connection, initiated by t.src. An LRU table takes it always; what it evicts was never answered. A
 * SYN-ACK begins none: it answers one that made room, and would be told as one of the wrong end (BR24).
 */
__attribute__((noinline)) int conn_open(int translated)
{
	struct packet *p = packet_get();
	struct conn_value *v;
	int err; /* int: before 6.4 the upper half of what an update returns is not there */

	if (!p)
		return DROP_CONN_FULL;
	if ((p->tcp & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))
		return 0;
	v = &p->conn;
	__builtin_memset(v, 0, sizeof(*v));
	v->there.bytes = p->len;
	v->there.packets = 1;
	v->seen = p->now;
	v->born = bpf_ktime_get_ns();
	v->flags = source_is_a(&p->t, p->v6) ? 0 : CONN_STARTED_BY_B;
	if (translated)
		v->flags |= CONN_NAT;
	if (p->direct)
		v->flags |= CONN_DIRECT;
	v->rule_egress = p->rule_egress;
	v->rule_ingress = p->rule_ingress;
	v->ifindex = p->ifindex;
	if (p->tcp_follows)
		tcp_begin(p, v);
	if (p->v6) {
		conn6_key_set(&p->k6, &p->t);
		err = (int)bpf_map_update_elem(&half6, &p->k6, v, BPF_NOEXIST);
	} else {
		conn4_key_set(&p->k4, &p->t);
		err = (int)bpf_map_update_elem(&half4, &p->k4, v, BPF_NOEXIST);
	}
	if (err == -EEXIST) /* another CPU opened it just now */
		return 0;
	if (err)
		return DROP_CONN_FULL;
	count(COUNTER_HALF_INSERTED);
	return 0;
}

ALWAYS_INLINE __u32 conn_age_us(const struct conn_value *c, __u64 now)
{
	__u32 us = (__u32)((now - c->born) / 1000);

	return us ? us : 1;
}

/* Moves the unanswered entry of p->k4 or p->k6 to the table of the answered. */
__attribute__((noinline)) int conn_answer(void)
{
	struct packet *p = packet_get();
	struct conn_value *half, *v;
	int err; /* int: before 6.4 the upper half of what an update returns is not there */

	if (!p)
		return DROP_CONN_FULL;
	half = p->v6 ? bpf_map_lookup_elem(&half6, &p->k6) : bpf_map_lookup_elem(&half4, &p->k4);
	if (!half)
		return 0; /* another CPU moved it just now */
	v = &p->conn;
	*v = *half;
	v->flags |= CONN_ANSWERED;
	if (!v->handshake_us)
		v->handshake_us = conn_age_us(v, bpf_ktime_get_ns());
	err = p->v6 ? (int)bpf_map_update_elem(&conn6, &p->k6, v, BPF_NOEXIST)
		    : (int)bpf_map_update_elem(&conn4, &p->k4, v, BPF_NOEXIST);
	if (err && err != -EEXIST)
		return DROP_CONN_FULL;
	if (!err)
		count(COUNTER_CONN_INSERTED);
	if (p->v6)
		bpf_map_delete_elem(&half6, &p->k6);
	else
		bpf_map_delete_elem(&half4, &p->k4);
	return 0;
}

/* Forgets the entry of p->k4 or p->k6: it is closed and its ends begin anew. */
__attribute__((noinline)) int conn_forget(void)
{
	struct packet *p = packet_get();
	struct conn_value *v;
	struct ended e;
	int removed, half;

	if (!p)
		return 0;
	v = p->v6 ? bpf_map_lookup_elem(&conn6, &p->k6) : bpf_map_lookup_elem(&conn4, &p->k4);
	half = !v;
	if (half)
		v = p->v6 ? bpf_map_lookup_elem(&half6, &p->k6) : bpf_map_lookup_elem(&half4, &p->k4);
	if (!v)
		return 0;
	if (p->v6)
		ended_6(&e, &p->k6, v, ENDED_REPLACED);
	else
		ended_4(&e, &p->k4, v, ENDED_REPLACED);
	if (half)
		removed = p->v6 ? !bpf_map_delete_elem(&half6, &p->k6) : !bpf_map_delete_elem(&half4, &p->k4);
	else
		removed = p->v6 ? !bpf_map_delete_elem(&conn6, &p->k6) : !bpf_map_delete_elem(&conn4, &p->k4);
	if (removed) {
		ended_tell(&e);
		count(half ? COUNTER_HALF_REMOVED : COUNTER_CONN_REMOVED);
	}
	return 0;
}

ALWAYS_INLINE int is_syn(const struct packet *p)
{
	return (p->tcp & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

/*
 * Does the policy have to look at a packet of a known connection? At a SYN, since the entry may be that of an
 * earlier owner of the address; and now and then at a sender that nobody answers (NP67).
 */
ALWAYS_INLINE int conn_is_doubtful(const struct packet *p, const struct conn_value *c)
{
	if (p->backward)
		return 0;
	if (is_syn(p))
		return 1;
	return !(c->flags & CONN_ANSWERED) && p->now >> SPAN_SHIFT != c->seen >> SPAN_SHIFT;
}

/* The first packet back, before TCP is answered. */
ALWAYS_INLINE void conn_first_back(const struct packet *p, struct conn_value *c)
{
	__u64 now = bpf_ktime_get_ns();

	c->handshake_us = conn_age_us(c, now);
	if (p->tcp_follows)
		tcp_answer(p, c, now);
}

/* TCP is answered once its initiator has confirmed the answer (RFC 9293, 3.5), the rest by the first packet
 * back. */
ALWAYS_INLINE int conn_pass_unanswered(struct packet *p, struct conn_value *c)
{
	if (p->t.proto != IPPROTO_TCP)
		return p->backward ? conn_answer() : 0;
	if (p->backward) {
		if (!c->handshake_us)
			conn_first_back(p, c);
		return 0;
	}
	return c->handshake_us && !(p->tcp & TCP_SYN) ? conn_answer() : 0;
}

/* Of a FIN or RST: the flag of the end that sent it. */
ALWAYS_INLINE __u32 conn_end_flag(const struct packet *p, const struct conn_value *c)
{
	__u32 is_a = !!(c->flags & CONN_STARTED_BY_B) == p->backward;

	if (p->tcp & TCP_RST)
		return is_a ? CONN_RST_A : CONN_RST_B;
	return is_a ? CONN_FIN_A : CONN_FIN_B;
}

/*
 * Counts a packet of a known connection and follows its state. A function of its own: verified once, by what
 * its arguments are.
 */
__attribute__((noinline)) int conn_pass(struct __sk_buff *skb, struct packet *p, struct conn_value *c)
{
	struct conn_way *n;

	if (!p || !c)
		return 0;
	n = p->backward ? &c->back : &c->there;
	__sync_fetch_and_add(&n->bytes, p->len);
	__sync_fetch_and_add(&n->packets, 1);
	if (p->tcp_follows)
		tcp_follow(skb, p, c);
	c->seen = p->now;
	if (p->tcp & (TCP_FIN | TCP_RST))
		__sync_fetch_and_or(&c->flags, conn_end_flag(p, c));
	if (p->tcp & TCP_RST) {
		if (c->resets != 0xff)
			c->resets++;
		return 0; /* refused: no answer that is worth a place */
	}
	if ((c->flags & (CONN_DIRECT | CONN_GOES_ON)) == CONN_DIRECT && !(p->tcp & TCP_SYN))
		__sync_fetch_and_or(&c->flags, CONN_GOES_ON);
	return c->flags & CONN_ANSWERED ? 0 : conn_pass_unanswered(p, c);
}

#endif
