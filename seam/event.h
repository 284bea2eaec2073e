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
	__u32 rule;
	__u32 len; /* of the packet, bytes */
};
WEFT_SEAM_SIZE(struct event, 64);

struct drop_key { /* BPF map drop (per-CPU hash) */
	__u32 ifindex;
	__u16 reason;
	__u16 direction;
};
WEFT_SEAM_SIZE(struct drop_key, 8);
struct drop_value {
	__u64 packets, bytes;
};
WEFT_SEAM_SIZE(struct drop_value, 16);

#endif
