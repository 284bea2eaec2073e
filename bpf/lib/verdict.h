/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * One policy set about one class, protocol and port: BPF maps policy and port, and names. It holds no state
 * and judges no packet; judge.h does, and weft_ask and the connect hook ask it too.
 */
#ifndef WEFT_BPF_VERDICT_H
#define WEFT_BPF_VERDICT_H

#include "bpf/lib/names.h"

#define SLOT_NONE ~0u /* nobody's address: no name fits */

/* What set_verdict() returns: one of these in the upper half, the rule in the lower one. */
#define SAYS_ALLOWED 0u
#define SAYS_DEFAULT 1u /* denied, and by no rule */
#define SAYS_DENIED  2u

#define SAYS(answer)	  ((__u32)((answer) >> 32))
#define SAYS_RULE(answer) ((__u32)(answer))

ALWAYS_INLINE __u64 says(__u32 what, __u32 rule)
{
	return (__u64)what << 32 | rule;
}

ALWAYS_INLINE __u64 says_denied(__u32 rule)
{
	return says(rule == RULE_NONE ? SAYS_DEFAULT : SAYS_DENIED, rule);
}

/* Nothing was found under the set. */
ALWAYS_INLINE __u64 says_default(__u32 set)
{
	return says(set & SET_OPEN ? SAYS_ALLOWED : SAYS_DEFAULT, RULE_NONE);
}

/* `number` is the port in host order. */
ALWAYS_INLINE const struct port_value *port_probe(__u32 portset, __u8 proto, __u32 number, __u32 len)
{
	struct port_key key = {.portset = portset, .len = (__u8)len};

	if (len != PORT_LEN_ANY) {
		key.proto = proto;
		key.port = bpf_htons((__u16)(number & ~(0xffffu >> (len - 1))));
	}
	return bpf_map_lookup_elem(&port, &key);
}

/* The element that decides: the longest. Most sets have whole ports, and perhaps one for all. */
ALWAYS_INLINE const struct port_value *port_find(__u32 portset, __u32 lens, __u8 proto, __u32 number)
{
	const struct port_value *v = 0;

	if (proto_has_ports(proto)) {
		if (lens & 1u << PORT_LEN_MAX)
			v = port_probe(portset, proto, number, PORT_LEN_MAX);
		lens &= ~(1u << PORT_LEN_MAX);
		for (__u32 len = PORT_LEN_MAX - 1; len > 0 && lens > 1 && !v; len--)
			if (lens & 1u << len)
				v = port_probe(portset, proto, number, len);
	}
	if (!v && lens & 1)
		v = port_probe(portset, proto, number, PORT_LEN_ANY);
	return v;
}

/*
 * What the set says about a peer of this class on `to`: protocol and port, (proto << 16 | port), the port in
 * network order. `slot`: whose t.dst a name may fit, or SLOT_NONE. The set is not SET_NONE.
 */
__attribute__((noinline)) __u64 set_verdict(__u32 set, __u32 class, __u32 to, __u32 slot)
{
	struct policy_key key = {.set = set, .class = class};
	const struct policy_value *v = bpf_map_lookup_elem(&policy, &key);
	__u8 proto = (__u8)(to >> 16);
	const struct port_value *port_said;
	__u64 rule;

	if (!v)
		return says_default(set);
	if (v->portset == PORTSET_ALL)
		return says(SAYS_ALLOWED, v->rule);
	if (v->portset == PORTSET_NONE)
		return says_denied(v->rule);
	if (v->portset == PORTSET_ONE)
		return proto == v->proto && (__u16)to == v->port ? says(SAYS_ALLOWED, v->rule)
								 : says_default(set);
	port_said = port_find(v->portset, v->lens, proto, bpf_ntohs((__u16)to));
	if (!port_said)
		return says_default(set);
	if (port_said->verdict == VERDICT_ALLOW)
		return says(SAYS_ALLOWED, port_said->rule);
	if (port_said->names && slot != SLOT_NONE) {
		rule = names_allow(port_said->names, slot);
		if (rule != RULE_NONE)
			return says(SAYS_ALLOWED, (__u32)rule);
	}
	return says_denied(port_said->rule);
}

/* The drop reason of what a set said, or 0. */
ALWAYS_INLINE int verdict_step(__u64 answer, __u32 direction)
{
	if (SAYS(answer) == SAYS_ALLOWED)
		return 0;
	if (SAYS(answer) == SAYS_DENIED)
		return direction == DIR_FROM_POD ? DROP_DENY_EGRESS : DROP_DENY_INGRESS;
	return direction == DIR_FROM_POD ? DROP_POLICY_EGRESS : DROP_POLICY_INGRESS;
}

/* What drop_key.cause is then. */
ALWAYS_INLINE __u32 verdict_cause(__u64 answer, __u32 set)
{
	if (SAYS(answer) == SAYS_ALLOWED)
		return 0;
	return SAYS(answer) == SAYS_DENIED ? SAYS_RULE(answer) : set;
}

ALWAYS_INLINE __u32 verdict_to(const struct nat_key *t)
{
	return (__u32)t->proto << 16 | t->dport;
}

#endif
