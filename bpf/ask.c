/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * weft_ask: how one end of a new connection would be judged, for `weft why`: the same BPF maps and functions
 * as the packet programs, no packet, no count, no event. The applier runs it through BPF_PROG_TEST_RUN, one
 * question at a time: process context, so it has a scratch element of its own.
 */
#include "bpf/lib/judge.h"

#include "seam/ask.h"

/* What the set says, into the fields for it. */
ALWAYS_INLINE __u32 ask_set(const struct ask *a, __u32 set, __u32 *rule)
{
	__u64 answer = says(SAYS_ALLOWED, RULE_NONE);

	if (set != SET_NONE)
		answer = set_verdict(set, a->class, (__u32)a->proto << 16 | a->dport, SLOT_ASK);
	*rule = SAYS_RULE(answer);
	return SAYS(answer) == SAYS_ALLOWED ? VERDICT_ALLOW : VERDICT_DENY;
}

/* Nothing judges the pod that reaches itself, nor the node's own sockets. */
ALWAYS_INLINE __u32 ask_exempt(const struct packet *p, const struct ask *a)
{
	if (addr_same(&a->src, &a->dst))
		return RULE_SELF;
	return a->direction == DIR_TO_POD && source_is_node(p) ? RULE_NODE : RULE_NONE;
}

ALWAYS_INLINE void ask_answer(struct packet *p, struct ask *a, const struct endpoint_value *e)
{
	struct policy_key key = {};
	const struct policy_value *v;
	__u32 staged_set;

	a->found = 1;
	a->class = (__u32)class_of(SLOT_ASK, p->v6);
	a->verdict = VERDICT_ALLOW;
	a->rule = ask_exempt(p, a);
	if (a->rule != RULE_NONE)
		return;
	a->set = a->direction == DIR_FROM_POD ? e->egress_set : e->ingress_set;
	staged_set = a->direction == DIR_FROM_POD ? e->staged_egress : e->staged_ingress;
	a->verdict = ask_set(a, a->set, &a->rule);
	key.set = a->set;
	key.class = a->class;
	v = a->set != SET_NONE ? bpf_map_lookup_elem(&policy, &key) : 0;
	a->portset = v ? v->portset : 0;
	a->staged_set = staged_set;
	if (staged_set != SET_NONE)
		a->staged_verdict = ask_set(a, staged_set, &a->staged_rule);
}

SEC("tc") int weft_ask(struct __sk_buff *skb)
{
	struct packet *p = packet_slot(SLOT_ASK);
	const struct endpoint_value *e;
	struct ask a, answer = {};

	if (!p || bpf_skb_load_bytes(skb, ETH_HLEN, &a, sizeof(a)))
		return TC_ACT_SHOT;
	answer.src = a.src;
	answer.dst = a.dst;
	answer.dport = a.dport;
	answer.proto = a.proto;
	answer.direction = a.direction;
	p->t.src = a.src;
	p->t.dst = a.dst;
	p->t.dport = a.dport;
	p->t.proto = a.proto;
	p->v6 = a.dst.w[0] || a.dst.w[1] || a.dst.w[2] != bpf_htonl(0xffff);
	p->known = 0;
	p->now = bpf_ktime_get_coarse_ns();
	p->look = a.direction == DIR_FROM_POD ? a.dst : a.src;
	e = bpf_map_lookup_elem(&endpoint, a.direction == DIR_FROM_POD ? &p->t.src : &p->t.dst);
	if (e)
		ask_answer(p, &answer, e);
	bpf_skb_store_bytes(skb, ETH_HLEN, &answer, sizeof(answer), 0);
	return TC_ACT_OK;
}
