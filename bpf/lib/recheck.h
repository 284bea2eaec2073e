/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Open connections after policies have changed: weft_gc marks them, the next packet of each is judged as its
 * first one was, whichever way it goes. One that a strict pod no longer allows is cut. Its entry stays and
 * drops what comes, so that no late reply can open it anew from the other side; it ages out like a closed
 * one, or goes on when policies allow it again. At pods that are not strict connections go on.
 */
#ifndef WEFT_BPF_RECHECK_H
#define WEFT_BPF_RECHECK_H

#include "bpf/lib/judge.h"

/* p->t the other way round. */
ALWAYS_INLINE void recheck_turn(struct packet *p)
{
	tuple_turn(&p->nk, &p->t);
	p->t = p->nk;
}

/* A refusal counts where the pod is strict, or the connection is cut already. */
ALWAYS_INLINE int recheck_counts(const struct endpoint_value *e, __u32 flags)
{
	return e->flags & ENDPOINT_STRICT || flags & CONN_CUT;
}

ALWAYS_INLINE int recheck_self(const struct endpoint_value *e, __u32 flags)
{
	if (!e || !recheck_counts(e, flags) || !(flags & CONN_NAT) || !(e->flags & ENDPOINT_SELF))
		return 0;
	return judge_self(e->ifindex, e->egress_set, e->ingress_set);
}

/* p->t from the initiator to the responder. */
ALWAYS_INLINE int recheck_ends(struct packet *p, __u32 flags)
{
	const struct endpoint_value *from = bpf_map_lookup_elem(&endpoint, &p->t.src);
	const struct endpoint_value *to;
	int step = 0;

	if (addr_same(&p->t.src, &p->t.dst))
		return recheck_self(from, flags);
	if (from) {
		step = judge_from_pod(from->ifindex, from->egress_set, from->staged_egress);
		if (step && recheck_counts(from, flags))
			return step;
	}
	to = bpf_map_lookup_elem(&endpoint, &p->t.dst);
	if (!to || source_is_node(p))
		return 0;
	step = judge_to_pod(to);
	return step && recheck_counts(to, flags) ? step : 0;
}

/* Judges the connection of p->t, whose flags these are. Where it is refused p->t stays as it was judged. */
__attribute__((noinline)) int recheck(__u32 flags)
{
	struct packet *p = packet_get();
	int step;

	if (!p)
		return 0;
	p->known = 1;
	if (p->backward)
		recheck_turn(p);
	step = recheck_ends(p, flags);
	if (!step && p->backward)
		recheck_turn(p);
	return step;
}

/* 0: it may go on. The mark goes before the judgement: one that is set meanwhile must not be lost. */
ALWAYS_INLINE int conn_recheck(struct packet *p, struct conn_value *c)
{
	__u32 flags = c->flags;
	int step;

	if (!(flags & (CONN_RECHECK | CONN_CUT)))
		return 0;
	__sync_fetch_and_and(&c->flags, ~CONN_RECHECK);
	step = recheck(flags);
	if (step) {
		c->seen = p->now;
		__sync_fetch_and_or(&c->flags, CONN_CUT);
	} else if (flags & CONN_CUT) {
		__sync_fetch_and_and(&c->flags, ~CONN_CUT);
	}
	return step;
}

#endif
