/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What sockets of the node's own namespace answer to clients of a Service that was translated to them
 * (own.h): gets the address and port back that the client asked for. At the egress of the uplink and of the
 * tunnel. Costs one look-up as long as there was no such Service.
 */
#ifndef WEFT_BPF_REPLY_H
#define WEFT_BPF_REPLY_H

#include "bpf/lib/fragment.h"
#include "bpf/lib/icmp.h"

/* An error that the node's stack sends about such a packet; it speaks as the Service. */
ALWAYS_INLINE int reply_error(struct __sk_buff *skb, struct packet *p)
{
	if (!icmp_related(skb) || !p->translated)
		return 0;
	icmp_rewrite(skb);
	return 0;
}

/* After parse() and fragment_step(); 0 or a drop reason. What is no such answer goes on as it is. */
__attribute__((noinline)) int reply_step(struct __sk_buff *skb)
{
	struct packet *p = packet_get();
	struct conn_value *c;
	int step;

	if (!p)
		return 0;
	if (p->is_error)
		return reply_error(skb, p);
	c = conn_find(p);
	if (!c || !p->backward || !(c->flags & CONN_NAT))
		return 0;
	c = translate(p, c, SERVICE_OUTSIDE);
	if (!p->translated || !c)
		return 0;
	step = conn_pass(skb, p, c);
	return step ? step : rewrite(skb);
}

#endif
