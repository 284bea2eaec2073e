/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Losses on command (`weft fault`): so many in a million of the packets that pods send and get at an
 * interface, or, under the number 0, of what they send and get at the uplink, tunnelled or not. The node's
 * own sockets lose nothing at the uplink. Without faults this is one test of a flag.
 */
#ifndef WEFT_BPF_FAULT_H
#define WEFT_BPF_FAULT_H

#include "bpf/lib/packet.h"

#define FAULT_UPLINK 0u
#define MILLION	     1000000u

__attribute__((noinline)) int fault_hits(__u32 ifindex)
{
	const __u32 *millionths = bpf_map_lookup_elem(&fault, &ifindex);

	return millionths && bpf_get_prandom_u32() % MILLION < *millionths;
}

/* 0 or DROP_FAULT. */
ALWAYS_INLINE int fault_step(const struct config_value *c, __u32 ifindex)
{
	return c->flags & CONFIG_FAULTS && fault_hits(ifindex) ? DROP_FAULT : 0;
}

/* The same for a packet that is about to go to a pod, with which it is counted. */
ALWAYS_INLINE int fault_at_pod(struct packet *p, const struct config_value *c, __u32 ifindex)
{
	int step = fault_step(c, ifindex);

	if (step) {
		p->judged = ifindex;
		p->direction = DIR_TO_POD;
	}
	return step;
}

#endif
