/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A socket call of a pod that leads back to itself through a Service: its packets would look like those to
 * its own address, which nothing may refuse, so rules of cluster policies decide at the call (CN18). Process
 * context. Called by connect.c.
 */
#ifndef WEFT_BPF_CALL_JUDGE_H
#define WEFT_BPF_CALL_JUDGE_H

#include "bpf/lib/exit.h"
#include "bpf/lib/verdict.h"

ALWAYS_INLINE int is_v4(const struct addr16 *a)
{
	return !a->w[0] && !a->w[1] && a->w[2] == bpf_htonl(0xffff);
}

/* The pod whose socket this is, if it is the backend itself and cluster policies may refuse that. */
ALWAYS_INLINE const struct endpoint_value *call_self(struct bpf_sock_addr *ctx, const struct addr16 *to)
{
	const struct endpoint_value *e = bpf_map_lookup_elem(&endpoint, to);
	__u64 cookie;
	const __u32 *own;

	if (!e || !(e->flags & ENDPOINT_SELF))
		return 0;
	cookie = bpf_get_netns_cookie(ctx);
	own = bpf_map_lookup_elem(&netns, &cookie);
	return own && *own == e->ifindex ? e : 0;
}

/* Counts and tells a refused call as a drop of no bytes. */
ALWAYS_INLINE void call_tell(const struct backend_value *b, const struct drop_key *key, __u8 proto)
{
	__u32 cpu = bpf_get_smp_processor_id();
	void *ring = bpf_map_lookup_elem(&events, &cpu);
	struct event *e = ring ? bpf_ringbuf_reserve(ring, sizeof(*e), 0) : 0;

	count(COUNTER_CALL_DROP);
	if (!e) {
		count(COUNTER_EVENTS_LOST);
		return;
	}
	e->at = bpf_ktime_get_ns();
	e->type = EVENT_DROP;
	e->ifindex = key->ifindex;
	e->src = b->addr;
	e->dst = b->addr;
	e->sport = 0;
	e->dport = b->port;
	e->proto = proto;
	e->direction = (__u8)key->direction;
	e->reason = key->reason;
	e->cause = key->cause;
	e->len = 0;
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	count(COUNTER_EVENTS_TOLD);
}

/* One direction of a call of a pod to itself. 1: refused. */
ALWAYS_INLINE int call_judge(const struct endpoint_value *e, const struct backend_value *b, __u8 proto,
			     __u32 direction)
{
	__u32 set = direction == DIR_FROM_POD ? e->egress_set : e->ingress_set;
	struct drop_key key = {.ifindex = e->ifindex, .direction = (__u16)direction};
	__u64 answer;

	if (set == SET_NONE)
		return 0;
	answer = set_verdict(set, is_v4(&b->addr) ? CLASS_SELF : CLASS_SELF6, (__u32)proto << 16 | b->port,
			     SLOT_NONE);
	key.reason = (__u16)verdict_step(answer, direction);
	key.cause = verdict_cause(answer, set);
	if (!key.reason)
		return 0;
	tally_drop(&key, 0);
	call_tell(b, &key, proto);
	return 1;
}

/* CN18: a pod that reaches itself through a Service is under the rules of cluster policies. */
ALWAYS_INLINE int call_is_denied(struct bpf_sock_addr *ctx, const struct backend_value *b, __u8 proto)
{
	const struct endpoint_value *e = call_self(ctx, &b->addr);

	return e && (call_judge(e, b, proto, DIR_FROM_POD) || call_judge(e, b, proto, DIR_TO_POD));
}

#endif
