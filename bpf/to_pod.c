/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * weft_to_pod: tc egress at the host-side interface of a pod, so what the node's stack sends to it: the
 * node's own sockets (always let in), its ICMP errors, and packets that another program left to the stack
 * after judging them.
 */
#include "bpf/lib/asked.h"
#include "bpf/lib/deliver.h"
#include "bpf/lib/fragment.h"
#include "bpf/lib/learn_step.h"
#include "bpf/lib/recheck.h"

static const struct hook host_hook = {
    .in = COUNTER_HOST_IN,
    .drop = COUNTER_HOST_DROP,
    .way = {[WAY_STACK] = COUNTER_HOST_TO_POD,
	    [WAY_POD] = COUNTER_HOST_TO_POD,
	    [WAY_TUNNEL] = COUNTER_HOST_TO_POD,
	    [WAY_UPLINK] = COUNTER_HOST_TO_POD},
};

ALWAYS_INLINE int host_judge(struct packet *p, const struct iface_value *i)
{
	if (source_is_node(p)) {
		p->rule_ingress = RULE_NODE;
		return 0;
	}
	return i->ingress_set | i->staged_ingress
		   ? judge_ingress(p->ifindex, i->ingress_set, i->staged_ingress)
		   : 0;
}

/* May this packet pass? Judges connections that are new, doubtful or marked. */
ALWAYS_INLINE int host_open(struct packet *p, struct conn_value **c, const struct iface_value *i)
{
	int step;

	if (*c && !conn_is_doubtful(p, *c))
		return conn_recheck(p, *c);
	p->known = *c && !is_syn(p);
	step = host_judge(p, i);
	if (step)
		return step;
	if (!*c || !is_syn(p) || !CONN_CLOSED((*c)->flags))
		return 0;
	*c = 0;
	return conn_forget();
}

ALWAYS_INLINE int to_pod(struct __sk_buff *skb, struct packet *p)
{
	struct conn_value *conn = 0;
	const struct config_value *c;
	const struct iface_value *i;
	int step = parse(skb);

	p->ifindex = p->judged = skb->ifindex;
	p->direction = DIR_TO_POD;
	if (step)
		return step;
	if (p->is_nd)
		return STEP_STACK;
	i = bpf_map_lookup_elem(&iface, &p->ifindex);
	if (!i)
		return DROP_NOT_WIRED;
	step = fragment_step(p);
	if (step)
		return step;
	if (!p->is_error || !icmp_related(skb)) {
		p->is_error = 0;
		conn = translate(p, conn_find(p), SERVICE_ANY);
		step = host_open(p, &conn, i);
		if (step)
			return step;
		step = conn ? conn_pass(skb, p, conn) : conn_open(p->translated);
		if (step)
			return step;
	}
	c = config_get();
	if (c && fault_at_pod(p, c, p->ifindex))
		return DROP_FAULT;
	if (c)
		learn_step(skb, p, c);
	if (p->translated) {
		if (p->is_error)
			icmp_rewrite(skb);
		else
			step = rewrite(skb);
		if (step)
			return step;
	}
	copy_point(skb, p->ifindex, TAP_IN, 0);
	p->action = TC_ACT_OK;
	return 0;
}

SEC("tc") int weft_to_pod(struct __sk_buff *skb)
{
	struct packet *p;
	int step;

	if (copy_is_own(skb)) {
		copy_point(skb, skb->ifindex, TAP_IN, 0);
		return TC_ACT_OK;
	}
	p = packet_begin(skb, &host_hook);
	if (!p)
		return TC_ACT_SHOT;
	step = to_pod(skb, p);
	if (step == STEP_STACK)
		copy_point(skb, p->ifindex, TAP_IN, 0);
	else
		copy_drop(skb, p, step);
	asked_step(skb, p, step, ASKED_TO_POD);
	return packet_end(p, &host_hook, step);
}
