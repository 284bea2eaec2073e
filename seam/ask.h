/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A question to the kernel: how would this node judge one end of a new connection? weft_ask answers it with
 * the functions and BPF maps of the packet programs, and changes nothing. It is run through
 * BPF_PROG_TEST_RUN over a frame of 14 bytes (zero) and one struct ask, which it fills.
 */
#ifndef WEFT_SEAM_ASK_H
#define WEFT_SEAM_ASK_H

#include "seam/addr.h"

struct ask {
	struct addr16 src, dst; /* after translation */
	__u16 dport;		/* network order */
	__u8 proto;
	__u8 direction; /* DIR_FROM_POD: src is the pod that is asked; DIR_TO_POD: dst is */
	/* the answer */
	__u32 found;   /* 1: a pod of this node is at that end; else the rest is 0 */
	__u32 class;   /* of the other end */
	__u32 set;     /* of the pod; 0: not judged */
	__u32 portset; /* as in policy_value; 0: no element */
	__u32 verdict; /* VERDICT_… */
	__u32 rule;    /* that decided; RULE_NONE: the set's default */
	__u32 staged_set, staged_verdict, staged_rule; /* the same with staged policies; 0: none */
};
WEFT_SEAM_SIZE(struct ask, 72);

#endif
