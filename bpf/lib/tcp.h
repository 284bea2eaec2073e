/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the segments of a TCP connection say about it as they pass: sent again, how long acknowledgements
 * take, closed windows. Kept in the connection's entry. Nothing here judges, and nothing is changed in a
 * packet. Called by conn.h, for packets with p->tcp_follows.
 */
#ifndef WEFT_BPF_TCP_H
#define WEFT_BPF_TCP_H

#include "bpf/lib/packet.h"

/* The largest window (RFC 7323, 2.3): what lies further back cannot have been sent before. */
#define TCP_WINDOW_MAX (1u << 30)

/* A longer round trip is none: the clock would come round. In units of sent_at. */
#define TCP_RTT_MAX (60000000000u >> CONN_SENT_SHIFT)

ALWAYS_INLINE __u32 tcp_clock(__u64 ns)
{
	return (__u32)(ns >> CONN_SENT_SHIFT) | 1; /* never 0 */
}

/* Begins to time the segment that ends at `end`. */
ALWAYS_INLINE void tcp_probe(struct conn_value *c, __u32 way, __u32 end, __u64 ns)
{
	c->probe = end;
	c->sent_at = tcp_clock(ns);
	c->tcp |= CONN_TCP_PROBE << way;
}

/* The segment that was timed is acknowledged (RFC 6298, 2.3). */
ALWAYS_INLINE void tcp_sample(struct conn_value *c, __u32 way)
{
	__u32 sent = c->sent_at, took = tcp_clock(bpf_ktime_get_ns()) - sent, rtt = c->rtt[way & 1], us;

	c->tcp &= ~(CONN_TCP_PROBE << way);
	c->tcp |= CONN_TCP_RESTS << way;
	c->sent_at = 0;
	if (!sent || took > TCP_RTT_MAX)
		return;
	us = (__u32)(((__u64)took << CONN_SENT_SHIFT) / 1000);
	rtt = rtt ? rtt - (rtt >> CONN_RTT_SHIFT) + us : us << CONN_RTT_SHIFT;
	c->rtt[way & 1] = rtt ? rtt : 1;
}

ALWAYS_INLINE void tcp_window(const struct packet *p, struct conn_value *c, __u32 way)
{
	__u16 *n = &c->zero_windows[way & 1];

	c->tcp ^= CONN_TCP_SHUT << way;
	if (!p->tcp_window && *n != 0xffff)
		*n += 1;
}

/*
 * The segment begins `over` bytes before what was sent already. Not a keep-alive, which repeats one byte at
 * most (RFC 9293, 3.8.4). What was timed behind it is ambiguous now (Karn; RFC 6298, 3).
 */
ALWAYS_INLINE void tcp_again(struct __sk_buff *skb, const struct packet *p, struct conn_value *c, __u32 way,
			     __u32 over)
{
	__u32 again = over < p->seq_len ? over : p->seq_len, size = skb->gso_size;

	if (over == 1 && p->seq_len == 1 && !(p->tcp & (TCP_SYN | TCP_FIN)))
		return;
	c->retransmits[way & 1] += size && again > size ? (again + size - 1) / size : 1;
	if (c->tcp & CONN_TCP_PROBE << way && (__s32)(c->probe - p->seq) > 0)
		c->tcp &= ~(CONN_TCP_PROBE << way);
}

/* A segment that takes sequence numbers. The first one that is seen may be one that is sent again. */
ALWAYS_INLINE void tcp_sequence(struct __sk_buff *skb, const struct packet *p, struct conn_value *c,
				__u32 way)
{
	__u32 *next = way ? &c->next_back : &c->next_there;
	__u32 end = p->seq + p->seq_len, over = *next - p->seq;
	__u32 blocked = 3 * CONN_TCP_PROBE | CONN_TCP_RESTS << way;

	if (!(c->tcp & CONN_TCP_KNOWN << way)) {
		c->tcp |= CONN_TCP_KNOWN << way;
	} else if (over - 1 < TCP_WINDOW_MAX) {
		tcp_again(skb, p, c, way, over);
		if ((__s32)(end - *next) <= 0)
			return;
	} else if (!(c->tcp & blocked) && !(c->flags & CONN_DIRECT)) {
		tcp_probe(c, way, end, bpf_ktime_get_ns());
	}
	*next = end;
}

/* Before c->seen is set. */
ALWAYS_INLINE void tcp_follow(struct __sk_buff *skb, const struct packet *p, struct conn_value *c)
{
	__u32 way = p->backward & 1, other = way ^ 1;

	if (p->tcp & TCP_RST)
		return; /* its numbers and window say nothing (RFC 9293, 3.10.7.1) */
	if (c->tcp & 3 * CONN_TCP_RESTS && p->now >> CONN_TCP_SPAN != c->seen >> CONN_TCP_SPAN)
		c->tcp &= ~(3 * CONN_TCP_RESTS);
	if (c->tcp & CONN_TCP_PROBE << other && p->tcp & TCP_ACK && (__s32)(p->ack - c->probe) >= 0)
		tcp_sample(c, other);
	if (!p->tcp_window != !!(c->tcp & CONN_TCP_SHUT << way))
		tcp_window(p, c, way);
	if (p->seq_len)
		tcp_sequence(skb, p, c, way);
}

/* The first packet of a connection. */
ALWAYS_INLINE void tcp_begin(const struct packet *p, struct conn_value *c)
{
	if (p->tcp & TCP_RST)
		return;
	c->next_there = p->seq + p->seq_len;
	c->tcp = CONN_TCP_KNOWN;
	if (!p->tcp_window)
		tcp_window(p, c, 0);
}

/*
 * The first answer, at `now`: it was followed already. The SYN is a segment as others are; where it was sent
 * once, its answer is the first sample. The answer is timed then.
 */
ALWAYS_INLINE void tcp_answer(const struct packet *p, struct conn_value *c, __u64 now)
{
	if ((p->tcp & (TCP_SYN | TCP_ACK)) != (TCP_SYN | TCP_ACK) || p->ack != c->next_there)
		return;
	if (!c->retransmits[0])
		c->rtt[0] = (c->handshake_us << CONN_RTT_SHIFT) | 1;
	tcp_probe(c, 1, c->next_back, now);
}

#endif
