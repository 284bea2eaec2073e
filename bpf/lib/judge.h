/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Policy: may these two ends begin a connection? A pod's end is judged by its set and the class of the other
 * end. A packet that is redirected to a pod of this node passes no further hook, so whoever delivers judges
 * both ends: judge_to_pod() is shared by all programs. Called for new connections and for those that nobody
 * answers.
 */
#ifndef WEFT_BPF_JUDGE_H
#define WEFT_BPF_JUDGE_H

#include "bpf/lib/class.h"

/* Is a peer of this class allowed under the set? The rule goes to p->rule. Protocol and port are those of
 * p->t. */
__attribute__((noinline)) int judge_set(__u32 set, __u32 class)
{
	struct packet *p = packet_get();
	struct policy_key key = {.set = set, .class = class};
	const struct policy_value *ports;
	const struct port_value *verdict;
	struct port_key port_key = {};

	if (!p)
		return 0;
	p->rule = RULE_NONE;
	if (set == SET_NONE)
		return 1;
	ports = bpf_map_lookup_elem(&policy, &key);
	if (!ports)
		return 0; /* default deny */
	if (ports->portset == PORTSET_ALL) {
		p->rule = ports->rule;
		return 1;
	}
	/* other protocols have no port: only an element for every protocol (32 bits) may match them */
	port_key.prefixlen = proto_has_ports(p->t.proto) ? 64 : 32;
	port_key.portset = ports->portset;
	port_key.proto = p->t.proto;
	port_key.port = p->t.dport;
	verdict = bpf_map_lookup_elem(&port, &port_key);
	if (!verdict)
		return 0;
	p->rule = verdict->rule;
	return verdict->verdict == VERDICT_ALLOW;
}

/* The pod at interface `pod` sends to t.dst. */
ALWAYS_INLINE int judge_from_pod(struct packet *p, __u32 pod, __u32 egress_set)
{
	if (egress_set == SET_NONE)
		return 0;
	p->judged = pod;
	p->direction = DIR_FROM_POD;
	if (!p->is_pod) {
		p->look = p->t.dst;
		p->class = (__u32)class_of(p->v6);
	}
	if (!judge_set(egress_set, p->class))
		return DROP_POLICY_EGRESS;
	p->rule_egress = p->rule;
	return 0;
}

/* t.src sends to the pod at interface `pod`. */
ALWAYS_INLINE int judge_to_pod(struct packet *p, __u32 pod, __u32 ingress_set)
{
	if (ingress_set == SET_NONE)
		return 0;
	p->judged = pod;
	p->direction = DIR_TO_POD;
	p->look = p->t.src;
	if (!judge_set(ingress_set, (__u32)class_of(p->v6)))
		return DROP_POLICY_INGRESS;
	p->rule_ingress = p->rule;
	return 0;
}

#endif
