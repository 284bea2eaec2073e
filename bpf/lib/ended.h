/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Telling what ended: a connection's entry as it was, into ring ended, which the observer reads on a timer.
 * It is copied before the entry is removed, whose memory may be another's at once; what finds no room is
 * counted. Copied on the stack: verifiers before 6.2 forget that a reserved record is there after a second
 * look.
 */
#ifndef WEFT_BPF_ENDED_H
#define WEFT_BPF_ENDED_H

#include "bpf/lib/exit.h"

ALWAYS_INLINE void ended_6(struct ended *e, const struct conn6_key *k, const struct conn_value *v, __u32 why)
{
	e->key = *k;
	e->value = *v;
	e->why = why;
	e->pad = 0;
}

ALWAYS_INLINE void ended_4(struct ended *e, const struct conn4_key *k, const struct conn_value *v, __u32 why)
{
	__builtin_memset(&e->key, 0, sizeof(e->key));
	e->key.a.w[2] = e->key.b.w[2] = bpf_htonl(0xffff);
	e->key.a.w[3] = k->a;
	e->key.b.w[3] = k->b;
	e->key.aport = k->aport;
	e->key.bport = k->bport;
	e->key.proto = k->proto;
	e->value = *v;
	e->why = why;
	e->pad = 0;
}

/* By the program that removed the entry, so that nobody else tells it. */
ALWAYS_INLINE void ended_tell(struct ended *e)
{
	__u32 which = COUNTER_ENDED_TOLD;
	__u64 *n;

	e->at = bpf_ktime_get_ns();
	if (bpf_ringbuf_output(&ended, e, sizeof(*e), BPF_RB_NO_WAKEUP))
		which = COUNTER_ENDED_LOST;
	n = bpf_map_lookup_elem(&counter, &which);
	if (n)
		__sync_fetch_and_add(n, 1);
}

#endif
