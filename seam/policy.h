/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Policy: (policy set, class) → port set; (port set, protocol, port) → verdict and rule. Set 0 isolates
 * nothing and is never looked up; a missing element under another set is the default deny. Ids are hashes of
 * content: equal content has one id, another content another id, so a change writes new elements and then
 * switches the pods.
 */
#ifndef WEFT_SEAM_POLICY_H
#define WEFT_SEAM_POLICY_H

#include "seam/addr.h"

#define SET_NONE    0u
#define PORTSET_ALL 1u /* every protocol and port; no further look-up */
#define RULE_NONE   0u /* no rule: not isolated, or default deny */
#define RULE_NODE   1u /* the node's own sockets reach its pods */
#define RULE_SELF   2u /* a pod reaches itself */
#define RULE_FIRST  16u

struct policy_key { /* BPF map policy */
	__u32 set;
	__u32 class;
};
WEFT_SEAM_SIZE(struct policy_key, 8);

struct policy_value {
	__u32 portset;
	__u32 rule; /* valid with PORTSET_ALL */
};
WEFT_SEAM_SIZE(struct policy_value, 8);

struct port_key {	 /* BPF map port (LPM): bits after prefixlen, from portset on */
	__u32 prefixlen; /* 32: any protocol; 48: any port of proto; 49 to 64: a range of ports */
	__u32 portset;
	__u8 proto;
	__u8 pad;
	__u16 port; /* network order */
};
WEFT_SEAM_SIZE(struct port_key, 12);

#define VERDICT_DENY  0u
#define VERDICT_ALLOW 1u
struct port_value {
	__u32 verdict;
	__u32 rule;
};
WEFT_SEAM_SIZE(struct port_value, 8);

#endif
