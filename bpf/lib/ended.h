/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Telling what ended: a connection's entry as it was, into ring ended, which the observer reads on a timer.
 * It is copied before the entry is removed, whose memory may be another's at once; what finds no room is
 * counted.
 */
#ifndef WEFT_BPF_ENDED_H
#define WEFT_BPF_ENDED_H

#include "bpf/lib/exit.h"

/* NULL: no room. Else ended_tell() must follow. */
ALWAYS_INLINE struct ended *ended_begin(const struct conn_value *v, __u32 why)
{
	struct ended *e = bpf_ringbuf_reserve(&ended, sizeof(*e), 0);

	if (!e)
		return 0;
	e->value = *v;
	e->at = bpf_ktime_get_ns();
	e->why = why;
	e->pad = 0;
	return e;
}

ALWAYS_INLINE struct ended *ended_6(const struct conn6_key *k, const struct conn_value *v, __u32 why)
{
	struct ended *e = ended_begin(v, why);

	if (e)
		e->key = *k;
	return e;
}

ALWAYS_INLINE struct ended *ended_4(const struct conn4_key *k, const struct conn_value *v, __u32 why)
{
	struct ended *e = ended_begin(v, why);

	if (!e)
		return 0;
	__builtin_memset(&e->key, 0, sizeof(e->key));
	e->key.a.w[2] = e->key.b.w[2] = bpf_htonl(0xffff);
	e->key.a.w[3] = k->a;
	e->key.b.w[3] = k->b;
	e->key.aport = k->aport;
	e->key.bport = k->bport;
	e->key.proto = k->proto;
	return e;
}

/* removed: this program did it, so nobody else tells. */
ALWAYS_INLINE void ended_tell(struct ended *e, int removed)
{
	__u32 which = COUNTER_ENDED_LOST;
	__u64 *n;

	if (e && removed)
		bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	else if (e)
		bpf_ringbuf_discard(e, BPF_RB_NO_WAKEUP);
	if (e || !removed)
		return;
	n = bpf_map_lookup_elem(&counter, &which);
	if (n)
		__sync_fetch_and_add(n, 1);
}

#endif
