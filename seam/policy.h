/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Policy: (policy set, class) → port set; (port set, protocol, port) → verdict and rule. All tiers are folded
 * into that by the compiler: the kernel sees one verdict, and the number of its cause. Set 0 judges nothing
 * and is never looked up. A missing element under another set is its default: denied, or allowed where the
 * set's id has SET_OPEN (only cluster policies select the pod). Ids are hashes of content: equal content has
 * one id, another content another id, so a change writes new elements and then switches the pods.
 */
#ifndef WEFT_SEAM_POLICY_H
#define WEFT_SEAM_POLICY_H

#include "seam/addr.h"

#define SET_NONE 0u
#define SET_OPEN 0x80000000u /* bit of a set's id: what no element decides is allowed */

#define PORTSET_ALL  1u /* every protocol and port is allowed, by `rule` */
#define PORTSET_NONE 2u /* every protocol and port is denied, by `rule` */
#define PORTSET_ONE  3u /* one protocol and port is allowed, by `rule`; the rest is denied by default */

#define RULE_NONE  0u /* no rule: nothing judges, or the default */
#define RULE_NODE  1u /* the node's own sockets reach its pods */
#define RULE_SELF  2u /* a pod reaches itself */
#define RULE_FIRST 16u

struct policy_key { /* BPF map policy */
	__u32 set;
	__u32 class;
};
WEFT_SEAM_SIZE(struct policy_key, 8);

struct policy_value {
	__u32 portset;
	__u32 rule; /* with PORTSET_ALL, _NONE, _ONE */
	__u32 lens; /* with a port set: bit n: it has elements whose port_key.len is n */
	__u8 proto; /* with PORTSET_ONE */
	__u8 pad;
	__u16 port; /* with PORTSET_ONE, network order */
};
WEFT_SEAM_SIZE(struct policy_value, 16);

/* len 0: any protocol, those without ports too (proto and port 0); else 1 + how many leading bits of the port
 * count: 1 any port of proto, 17 one port. The longest that is there decides. */
#define PORT_LEN_ANY   0
#define PORT_LEN_MAX   17
#define PORT_LEN(bits) ((bits) + 1)
struct port_key { /* BPF map port (hash): one probe for each length in policy_value.lens */
	__u32 portset;
	__u8 proto;
	__u8 len;
	__u16 port; /* network order, the bits that do not count are 0 */
};
WEFT_SEAM_SIZE(struct port_key, 8);

#define VERDICT_DENY  0u
#define VERDICT_ALLOW 1u
struct port_value {
	__u32 verdict;
	__u32 rule;  /* RULE_NONE: the default */
	__u32 names; /* with VERDICT_DENY: destinations learned under a name of this name set are allowed
			(seam/name.h); 0: none */
};
WEFT_SEAM_SIZE(struct port_value, 12);

#endif
