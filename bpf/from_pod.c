/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * weft_from_pod: tc ingress at the host-side interface of a pod, so everything that a pod sends. Checks who
 * sends, finds or opens the connection, judges both ends where the other one is a pod of this node,
 * translates, delivers.
 */
#include "bpf/lib/asked.h"
#include "bpf/lib/canary.h"
#include "bpf/lib/deliver.h"
#include "bpf/lib/fragment.h"
#include "bpf/lib/learn_step.h"
#include "bpf/lib/recheck.h"
#include "bpf/lib/refuse.h"

static const struct hook pod_hook = {
    .in = COUNTER_POD_IN,
    .drop = COUNTER_POD_DROP,
    .way = {[WAY_STACK] = COUNTER_POD_TO_STACK,
	    [WAY_POD] = COUNTER_POD_TO_POD,
	    [WAY_TUNNEL] = COUNTER_POD_TO_TUNNEL,
	    [WAY_UPLINK] = COUNTER_POD_TO_UPLINK},
};

/* The pod may use its own addresses; on the link itself also a link-local one. */
ALWAYS_INLINE int pod_owns_source(const struct packet *p, const struct iface_value *i)
{
	const struct addr16 *own = p->v6 ? &i->v6 : &i->v4;

	if (addr_same(&p->t.src, own))
		return 1;
	return p->v6 && addr_is_link_local(&p->t.src, 1) &&
	       (addr_is_link_local(&p->t.dst, 1) || addr_is_multicast(&p->t.dst, 1));
}

/* Both ends of a new connection; the pod that talks to itself is never refused (NP63), but by rules of
 * cluster policies where it goes through a Service (NP64, CN18). */
ALWAYS_INLINE int pod_judge(struct packet *p, const struct iface_value *i, const struct endpoint_value *to)
{
	int step;

	if (addr_same(&p->t.src, &p->t.dst)) {
		p->rule_egress = p->rule_ingress = RULE_SELF;
		return p->translated && i->flags & ENDPOINT_SELF
			   ? judge_self(p->ifindex, i->egress_set, i->ingress_set)
			   : 0;
	}
	step = judge_from_pod(p->ifindex, i->egress_set, i->staged_egress);
	if (!step && to)
		step = judge_to_pod(to);
	return step;
}

/* Does the packet need an SNAT that it does not have yet? A pod behind its own service, or a way out. */
ALWAYS_INLINE int pod_wants_snat(const struct packet *p)
{
	if (p->backward)
		return 0;
	if (p->translated && !addr_same(&p->out.src, &p->t.src))
		return 0;
	return p->masquerade || (p->translated && addr_same(&p->t.src, &p->t.dst));
}

/* Does a packet that belongs to no connection begin one to a pod of another node? One of this node that was
 * not found is looked up once more by whoever asked: a look-up may miss an element that is being replaced. */
ALWAYS_INLINE int pod_begins_direct(struct packet *p)
{
	const struct address_value *a;

	if (!may_begin(p))
		return 0;
	a = bpf_map_lookup_elem(&address, &p->t.dst);
	if (!a || !(a->flags & ADDRESS_POD) || !a->node)
		return 0;
	p->is_pod = 1;
	return 1;
}

/* May this packet pass? Judges connections that are new, doubtful or marked. */
ALWAYS_INLINE int pod_open(struct packet *p, struct conn_value **c, const struct iface_value *i,
			   const struct endpoint_value *to)
{
	int step;

	if (*c && !conn_is_doubtful(p, *c))
		return conn_recheck(p, *c);
	p->known = *c && !is_syn(p);
	step = pod_judge(p, i, to);
	if (step)
		return step;
	if (!*c || !is_syn(p) || !CONN_CLOSED((*c)->flags))
		return 0;
	*c = 0;
	return conn_forget();
}

/* What the stack must see: a last hop, or a packet that the tunnel cannot take, after the first translation.
 */
ALWAYS_INLINE void pod_to_stack(struct packet *p)
{
	p->way = WAY_STACK;
	if (!p->is_error)
		p->out = p->t;
}

ALWAYS_INLINE int pod_deliver(struct __sk_buff *skb, struct packet *p, const struct config_value *c)
{
	int step;

	if (p->way != WAY_STACK && p->ttl <= 1)
		pod_to_stack(p);
	if (p->way == WAY_TUNNEL && !fits(skb, p, c))
		pod_to_stack(p);
	step = send_fault(p, c);
	if (step)
		return step;
	copy_point(skb, p->ifindex, TAP_OUT, 0);
	return send(skb, p, c, 1);
}

/*
 * The short way: a packet of an answered connection without translation that this very interface began. The
 * entry was opened by a packet whose source was checked, so it proves the source again. 1: delivered, *step
 * tells how.
 */
ALWAYS_INLINE int pod_short_way(struct __sk_buff *skb, struct packet *p, const struct config_value *c,
				struct conn_value *conn, int *step)
{
	if (!conn || p->backward || p->tcp & (TCP_SYN | TCP_FIN | TCP_RST) || conn->ifindex != p->ifindex ||
	    (conn->flags & (CONN_NAT | CONN_ANSWERED | CONN_RECHECK | CONN_CUT)) != CONN_ANSWERED)
		return 0;
	if (!route_known(p, conn) || p->target == p->ifindex)
		return 0; /* an entry that others opened to this pod has its interface as well */
	*step = conn_pass(skb, p, conn);
	if (!*step)
		*step = pod_deliver(skb, p, c);
	return 1;
}

ALWAYS_INLINE int from_pod(struct __sk_buff *skb, struct packet *p)
{
	const struct config_value *c = config_get();
	const struct endpoint_value *to = 0;
	const struct iface_value *i;
	struct conn_value *conn = 0;
	int step = parse(skb);

	p->ifindex = p->judged = skb->ifindex;
	if (step)
		return step;
	if (p->is_nd)
		return STEP_STACK; /* NP72 */
	if (p->fragment == FRAGMENT_NONE && !p->is_error)
		conn = conn_find(p);
	if (c && fault_step(c, p->ifindex))
		return DROP_FAULT;
	if (c && pod_short_way(skb, p, c, conn, &step))
		return step;
	i = bpf_map_lookup_elem(&iface, &p->ifindex);
	if (!i || !c)
		return DROP_NOT_WIRED;
	if (!pod_owns_source(p, i))
		return DROP_SPOOFED;
	step = fragment_step(p);
	if (step)
		return step;
	if (!p->is_error || !icmp_related(skb)) {
		if (p->is_error || p->fragment != FRAGMENT_NONE)
			conn = conn_find(p);
		p->is_error = 0;
		if (!conn && may_begin(p))
			to = bpf_map_lookup_elem(&endpoint, &p->t.dst);
		if (!to && (conn || !pod_begins_direct(p)))
			conn = translate(p, conn, SERVICE_ANY);
		if (!to && !conn && !p->translated && !p->is_pod) {
			step = service_step(skb, SERVICE_ANY);
			if (step)
				return step;
		}
	}
	if (!to && !p->is_pod)
		to = bpf_map_lookup_elem(&endpoint, &p->t.dst);
	if (!p->is_error) {
		step = pod_open(p, &conn, i, to);
		if (step)
			return step;
	}
	if (to)
		route_pod(p, to);
	else
		step = route_away();
	if (step)
		return step;
	if (!p->is_error) {
		if (pod_wants_snat(p)) {
			step = nat_snat(skb);
			if (step)
				return step;
			if (conn)
				__sync_fetch_and_or(&conn->flags, CONN_NAT);
		}
		step = conn ? conn_pass(skb, p, conn) : conn_open(p->translated);
		if (step)
			return step;
	}
	if (p->way == WAY_POD)
		learn_step(skb, p, c);
	return pod_deliver(skb, p, c);
}

/* What goes nowhere is answered at once (SV06, SV16, SV55), by us where we can and by the stack where not. */
ALWAYS_INLINE int pod_refuse(struct __sk_buff *skb, struct packet *p, int step)
{
	const struct config_value *c = config_get();
	const struct iface_value *i = bpf_map_lookup_elem(&iface, &p->ifindex);

	if (!i || !c || step == DROP_PROTOCOL || !refuse(skb))
		return step;
	if (write_hop(skb, p, i->mac, c->gateway_mac, 0))
		return step;
	p->action = (int)bpf_redirect_peer(p->ifindex, 0);
	return step;
}

SEC("tc") int weft_from_pod(struct __sk_buff *skb)
{
	struct packet *p = packet_begin(skb, &pod_hook);
	int step;

	if (!p)
		return TC_ACT_SHOT;
	step = from_pod(skb, p);
	if (step == STEP_STACK && canary_frame(skb)) {
		packet_end(p, &pod_hook, step);
		return TC_ACT_STOLEN;
	}
	if (step == STEP_STACK)
		copy_point(skb, p->ifindex, TAP_OUT, 0);
	else
		copy_drop(skb, p, step);
	if (step > 0 && p->refuse)
		step = pod_refuse(skb, p, step);
	refused_mark(skb, p, step);
	asked_step(skb, p, step, ASKED_BY_POD);
	return packet_end(p, &pod_hook, step);
}
