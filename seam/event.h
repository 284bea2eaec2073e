/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Events and counters: what the kernel side tells. Drops are counted per interface and reason (per CPU) and,
 * while the ring has room, told one by one; an event that found no room raises counter EVENTS_LOST.
 */
#ifndef WEFT_SEAM_EVENT_H
#define WEFT_SEAM_EVENT_H

#include "seam/addr.h"

enum drop_reason {
#define DROP(id, number, text, advice) DROP_##id = number,
#include "tables/drops.def"
#undef DROP
	DROP_MAX
};

enum counter {
#define COUNTER(id, sentence) COUNTER_##id,
#include "tables/counters.def"
#undef COUNTER
	COUNTER_MAX
};

#define EVENT_DROP 1u
#define EVENT_STAGED                                                                                         \
	2u /* was allowed; a staged policy would have dropped it (reason, cause), or the opposite (reason 0) \
	    */

#define EVENT_KERNEL 3u /* dropped by the kernel's stack; reason: a number of its enum skb_drop_reason */

/* tc_index of a packet that a program has counted as dropped, and left to the stack to refuse. */
#define EVENT_REFUSED 0x5746u

#define DIR_FROM_POD 0u
#define DIR_TO_POD   1u

struct event {	       /* rings: BPF map events, one ring per CPU */
	__u64 at;      /* monotonic ns */
	__u32 type;    /* EVENT_… */
	__u32 ifindex; /* of the pod judged; 0: none */
	struct addr16 src, dst;
	__u16 sport, dport; /* network order */
	__u8 proto;
	__u8 direction; /* DIR_… */
	__u16 reason;
	__u32 cause; /* as in drop_key */
	__u32 len;   /* of the packet, bytes */
};
WEFT_SEAM_SIZE(struct event, 64);

/* BPF maps drop, staged and kernel_drop (per-CPU hashes). cause: of POLICY_… the policy set whose default it
 * is, of DENY_… the rule; else 0. staged counts connections that the staged policies judge otherwise: reason
 * 0: they would be allowed, by rule `cause`. */
struct drop_key {
	__u32 ifindex;
	__u16 reason;
	__u16 direction;
	__u32 cause;
};
WEFT_SEAM_SIZE(struct drop_key, 12);
struct drop_value {
	__u64 packets, bytes;
};
WEFT_SEAM_SIZE(struct drop_value, 16);

#endif
