/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a packet from another machine goes through, at the uplink and out of the tunnel alike: replies get
 * their translation back, NodePorts theirs, pods of this node are judged and delivered to. The rest is the
 * stack's.
 */
#ifndef WEFT_BPF_INBOUND_H
#define WEFT_BPF_INBOUND_H

#include "bpf/lib/asked.h"
#include "bpf/lib/deliver.h"
#include "bpf/lib/fragment.h"
#include "bpf/lib/learn_step.h"
#include "bpf/lib/recheck.h"
#include "bpf/lib/refuse.h"

/* A NodePort whose backend is elsewhere: its replies must come back through this node (SV11). */
ALWAYS_INLINE int inbound_snat(struct __sk_buff *skb, struct packet *p)
{
	if (p->backward || p->direct || p->way == WAY_POD || p->way == WAY_STACK ||
	    !addr_same(&p->out.src, &p->t.src))
		return 0;
	return nat_snat(skb);
}

/* May this packet pass? Judges connections that are new, doubtful or marked. */
ALWAYS_INLINE int inbound_open(struct packet *p, struct conn_value **c, const struct endpoint_value *to)
{
	int step;

	if (*c && !conn_is_doubtful(p, *c))
		return conn_recheck(p, *c);
	p->known = *c && !is_syn(p);
	step = to ? judge_to_pod(to) : 0;
	if (step)
		return step;
	if (!*c || !is_syn(p) || !CONN_CLOSED((*c)->flags))
		return 0;
	*c = 0;
	return conn_forget();
}

/* What is left to the stack. Not what begins at a balancer's address: that is on the uplink for ARP's sake,
 * no socket of the node may answer there. */
ALWAYS_INLINE int inbound_left(struct packet *p)
{
	const struct service_value *s;

	if (!proto_has_ports(p->t.proto) || !may_begin(p) || bpf_map_lookup_elem(&address, &p->t.dst))
		return STEP_STACK;
	p->sk.addr = p->t.dst;
	p->sk.port = 0;
	p->sk.proto = 0;
	p->sk.pad = 0;
	s = bpf_map_lookup_elem(&service, &p->sk);
	return s && s->flags & SERVICE_OUTSIDE_TOO ? DROP_NO_BACKEND : STEP_STACK;
}

/* Tells the sender how big a packet may be that goes to another node (RFC 1191, RFC 8201). */
__attribute__((noinline)) int inbound_too_big(struct __sk_buff *skb, __u32 mtu)
{
	struct packet *p = packet_get();

	if (!p || !refuse_big(skb, mtu))
		return DROP_TOO_BIG;
	p->refuse = 1;
	p->action = (int)bpf_redirect(skb->ifindex, 0);
	return DROP_TOO_BIG;
}

/* After parse(). STEP_STACK: it is neither for a pod of this node nor translated here. */
ALWAYS_INLINE int inbound(struct __sk_buff *skb, struct packet *p, const struct config_value *c)
{
	const struct endpoint_value *to = 0;
	struct conn_value *conn = 0;
	int step, hop = 1;

	if (!p->is_error || !icmp_related(skb)) {
		if (p->is_error && p->told)
			return DROP_NO_BACKEND; /* what it is about is over here */
		p->is_error = 0;
		conn = conn_find(p);
		if (!conn && may_begin(p))
			to = bpf_map_lookup_elem(&endpoint, &p->t.dst);
		if (!to)
			conn = translate(p, conn, SERVICE_OUTSIDE);
		if (!to && !conn && !p->translated) {
			step = p->told ? direct_step() : service_step(skb, SERVICE_OUTSIDE);
			if (step)
				return step;
		}
	}
	if (!to)
		to = bpf_map_lookup_elem(&endpoint, &p->t.dst);
	if (!to && !p->translated)
		return inbound_left(p);
	if (!to && p->told)
		return DROP_NO_ENDPOINT; /* not to be sent on: it might come back */
	if (skb->ifindex == c->uplink && fault_step(c, FAULT_UPLINK))
		return DROP_FAULT;
	if (!p->is_error) {
		step = inbound_open(p, &conn, to);
		if (step)
			return step;
	}
	if (to) {
		route_pod(p, to);
		p->ifindex = to->ifindex;
	} else {
		step = route_away();
		if (step)
			return step;
		if (p->way == WAY_STACK)
			own_begin(); /* a backend in this node's own namespace */
	}
	if (p->way != WAY_TUNNEL)
		p->direct = 0;
	if (!p->is_error) {
		if (p->translated) {
			step = inbound_snat(skb, p);
			if (step)
				return step;
		}
		step = conn ? conn_pass(skb, p, conn) : conn_open(p->translated);
		if (step)
			return step;
	}
	if (p->ttl <= 1) {
		if (!p->translated)
			return STEP_STACK;
		hop = 0; /* the sender addressed this node: it has arrived */
	}
	if (p->way == WAY_POD)
		learn_step(skb, p, c);
	/* the outer packet may be cut where the inner one allows it */
	if (p->way == WAY_TUNNEL && !fits(skb, p, c) && (p->v6 || (p->fragment_flags & IPV4_DONT_FRAG)))
		return inbound_too_big(skb, c->mtu);
	if (p->direct)
		return send_direct(skb, hop);
	step = send_fault(p, c);
	return step ? step : send(skb, p, c, hop);
}

#endif
