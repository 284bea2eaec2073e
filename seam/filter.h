/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Filters in the kernel: the headers of a packet as bpf/filter.bpf.c finds them (once a packet), and the two
 * forms in which a filter is handed to the applier, which makes the instructions itself: steps over those
 * headers, or classic BPF over the frame as it was on the wire. Steps and jumps lead forward only.
 */
#ifndef WEFT_SEAM_FILTER_H
#define WEFT_SEAM_FILTER_H

#include "seam/addr.h"

enum filter_has {	       /* what a packet has */
		  HAS_ETH = 1, /* smac, dmac */
		  HAS_ETHERTYPE = 2,
		  HAS_VLAN = 4,
		  HAS_VLAN2 = 8,
		  HAS_MPLS = 16,
		  HAS_IP = 32, /* src, dst, proto, ttl, dscp */
		  HAS_PORTS = 64,
		  HAS_TCP = 128,  /* flags */
		  HAS_ICMP = 256, /* type, code */
		  HAS_TUNNEL = 512,
		  HAS_VNI = 1024,
		  HAS_ARP = 2048,
		  HAS_FRAGMENT = 4096,	/* it is one */
		  HAS_EXTENSION = 8192, /* IPv6 extension headers */
		  HAS_WHOLE = 16384,	/* all up to the transport header is there and makes sense; in the
					   kernel only */
};

struct filter_key {	      /* all numbers in host order */
	__u64 src[2], dst[2]; /* high half first; IPv4 v4-mapped */
	__u64 smac, dmac;
	__u32 has; /* HAS_… */
	__u32 len; /* of the frame, a tag beside it counted */
	__u16 ethertype, sport, dport;
	__u16 vlan_id, vlan_pcp, vlan2_id;
	__u8 proto, ttl, dscp, tcp_flags, icmp_type, icmp_code, pad[6];
};
WEFT_SEAM_SIZE(struct filter_key, 80);

/* What stands on the stack of a filter program. The generated part finds it by r8. */
struct filter_frame {
	struct filter_key key;
	__u64 ctx;     /* the packet */
	__u32 pad0;    /* so that `matched`, `shift` and `head_len` are plain bytes to the verifier, not */
	__u32 matched; /* values that it follows: bit i: filter i matches */
	__u32 pad1;
	__u32 shift; /* 4: a VLAN tag stands beside the bytes; else 0 */
	__u32 pad2;
	__u32 head_len; /* of head; 0: no such tag */
	__u8 head[24];	/* the first bytes with the tag in its place */
	__u8 word[8];	/* what was read last */
	__u32 memory[16];
};
WEFT_SEAM_SIZE(struct filter_frame, 208);

/* The instruction `r0 = FILTER_MARK`, behind which the generated part goes on. */
#define FILTER_MARK 0x77656674

enum filter_slot {
	SLOT_HAS,
	SLOT_LEN,
	SLOT_SRC,
	SLOT_DST,
	SLOT_SMAC,
	SLOT_DMAC,
	SLOT_ETHERTYPE,
	SLOT_SPORT,
	SLOT_DPORT,
	SLOT_VLAN_ID,
	SLOT_VLAN_PCP,
	SLOT_VLAN2_ID,
	SLOT_PROTO,
	SLOT_TTL,
	SLOT_DSCP,
	SLOT_TCP_FLAGS,
	SLOT_ICMP_TYPE,
	SLOT_ICMP_CODE,
	SLOT_COUNT
};

enum filter_op {
	STEP_RANGE,   /* lo[0] <= slot <= hi[0] */
	STEP_BITS,    /* slot & lo[0] */
	STEP_ADDRESS, /* lo <= slot <= hi; SLOT_SRC and SLOT_DST only */
	STEP_OPS
};

/* Where a step leads; else a later step. */
#define STEP_YES 0xffffu
#define STEP_NO	 0xfffeu

struct filter_step {
	__u8 op, slot;
	__u16 yes, no, pad;
	__u64 lo[2], hi[2];
};
WEFT_SEAM_SIZE(struct filter_step, 40);

struct filter_classic { /* as struct sock_filter of linux/filter.h */
	__u16 code;
	__u8 jt, jf;
	__u32 k;
};
WEFT_SEAM_SIZE(struct filter_classic, 8);

#define FILTER_STEPS_MAX   4096u
#define FILTER_CLASSIC_MAX 4096u
#define FILTER_SET_MAX	   32u /* filters of one program */

#endif
