/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Policy: may these two ends begin a connection? A pod's end is judged by its set and the class of the other
 * end. A packet that is redirected to a pod of this node passes no further hook, so whoever delivers judges
 * both ends: judge_to_pod() is shared by all programs. Called for new connections, for those that nobody
 * answers, and, when policies have changed, for a packet of each that is open.
 */
#ifndef WEFT_BPF_JUDGE_H
#define WEFT_BPF_JUDGE_H

#include "bpf/lib/class.h"
#include "bpf/lib/conn.h"
#include "bpf/lib/verdict.h"

/* The same judgement with the staged policies; a difference is counted and told, nothing else. `reason` is
 * that of the policies in force, 0: allowed. */
__attribute__((noinline)) int judge_staged(__u32 staged_set, __u32 class, __u32 reason)
{
	struct packet *p = packet_get();
	__u64 says;
	int step;

	if (!p)
		return 0;
	says = set_verdict(staged_set, class, verdict_to(&p->t), SLOT_PACKET);
	step = verdict_step(says, p->direction);
	if (!step == !reason)
		return 0;
	return tell(EVENT_STAGED, (__u32)step, step ? verdict_cause(says, staged_set) : SAYS_RULE(says));
}

/* What the pod's set says about `class`; without a set all is allowed. */
ALWAYS_INLINE __u64 judge_set(const struct packet *p, __u32 set, __u32 class)
{
	return set == SET_NONE ? says(SAYS_ALLOWED, RULE_NONE)
			       : set_verdict(set, class, verdict_to(&p->t), SLOT_PACKET);
}

/* Follows from what a set said: 0 or a drop reason. */
ALWAYS_INLINE int judge_step(struct packet *p, __u64 answer, __u32 set)
{
	p->cause = verdict_cause(answer, set);
	if (p->direction == DIR_FROM_POD)
		p->rule_egress = SAYS_RULE(answer);
	else
		p->rule_ingress = SAYS_RULE(answer);
	return verdict_step(answer, p->direction);
}

/*
 * One end: the pod at interface p->judged, the other end's address in p->look. Where no rule decided, the
 * rules may just have gone with the set or the class that was read before (NP79): they go after the pod and
 * the addresses have been switched, so both are read again.
 */
ALWAYS_INLINE int judge_end(struct packet *p, __u32 set, __u32 staged_set)
{
	__u32 class = (__u32)class_of(SLOT_PACKET, p->v6), class_now = class, set_now = set;
	__u64 answer = judge_set(p, set, class);
	const struct iface_value *i;
	int step;

	if (set != SET_NONE && SAYS_RULE(answer) == RULE_NONE) {
		i = bpf_map_lookup_elem(&iface, &p->judged);
		if (i)
			set_now = p->direction == DIR_FROM_POD ? i->egress_set : i->ingress_set;
		class_now = (__u32)class_of(SLOT_PACKET, p->v6);
		if (set_now != set || class_now != class)
			answer = judge_set(p, set_now, class_now);
	}
	step = judge_step(p, answer, set_now);
	if (staged_set != SET_NONE)
		judge_staged(staged_set, class_now, (__u32)step);
	return step;
}

/* The pod at interface `pod` sends to t.dst. */
__attribute__((noinline)) int judge_egress(__u32 pod, __u32 set, __u32 staged_set)
{
	struct packet *p = packet_get();

	if (!p)
		return DROP_POLICY_EGRESS;
	p->judged = pod;
	p->direction = DIR_FROM_POD;
	p->look = p->t.dst;
	return judge_end(p, set, staged_set);
}

/* t.src sends to the pod at interface `pod`. */
__attribute__((noinline)) int judge_ingress(__u32 pod, __u32 set, __u32 staged_set)
{
	struct packet *p = packet_get();

	if (!p)
		return DROP_POLICY_INGRESS;
	p->judged = pod;
	p->direction = DIR_TO_POD;
	p->look = p->t.src;
	return judge_end(p, set, staged_set);
}

ALWAYS_INLINE int judge_from_pod(__u32 pod, __u32 set, __u32 staged_set)
{
	return set | staged_set ? judge_egress(pod, set, staged_set) : 0;
}

ALWAYS_INLINE int judge_to_pod(const struct endpoint_value *to)
{
	return to->ingress_set | to->staged_ingress
		   ? judge_ingress(to->ifindex, to->ingress_set, to->staged_ingress)
		   : 0;
}

/* A pod that reaches itself through a Service: NetworkPolicies never refuse it (NP64), rules of cluster
 * policies do (CN18). */
__attribute__((noinline)) int judge_self(__u32 pod, __u32 egress_set, __u32 ingress_set)
{
	struct packet *p = packet_get();
	__u32 class;
	int step;

	if (!p)
		return DROP_POLICY_EGRESS;
	class = p->v6 ? CLASS_SELF6 : CLASS_SELF;
	p->judged = pod;
	p->direction = DIR_FROM_POD;
	step = judge_step(p, judge_set(p, egress_set, class), egress_set);
	if (step)
		return step;
	p->direction = DIR_TO_POD;
	return judge_step(p, judge_set(p, ingress_set, class), ingress_set);
}

/* The node's own sockets (NP61); a link-local source cannot have been forwarded, so it is the node as well.
 */
ALWAYS_INLINE int source_is_node(const struct packet *p)
{
	const struct address_value *a = bpf_map_lookup_elem(&address, &p->t.src);

	return (a && (a->flags & ADDRESS_SELF)) || addr_is_link_local(&p->t.src, p->v6);
}

#endif
