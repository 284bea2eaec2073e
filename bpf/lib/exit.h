/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The way in and the single way out of each tc program: counts what came, and what left by which way; a drop
 * is counted by interface and reason and told to the ring of this CPU. Nothing else counts packets or returns
 * a verdict.
 */
#ifndef WEFT_BPF_EXIT_H
#define WEFT_BPF_EXIT_H

#include "bpf/lib/packet.h"

ALWAYS_INLINE void count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&counter, &which);

	if (n)
		*n += 1;
}

/* The counters of a hook; 0 (which is POD_IN, never a way out) stands for a way that the hook does not have.
 */
struct hook {
	__u32 in, drop, way[4];
};

ALWAYS_INLINE struct packet *packet_begin(struct __sk_buff *skb, const struct hook *hook)
{
	struct packet *p = packet_get();

	count(hook->in);
	if (!p)
		return 0;
	__builtin_memset((char *)p + __builtin_offsetof(struct packet, l4), 0,
			 __builtin_offsetof(struct packet, k4) - __builtin_offsetof(struct packet, l4));
	__builtin_memset(p->t.pad, 0, sizeof(p->t.pad));
	p->t.sport = p->t.dport = 0;
	p->len = skb->len;
	p->now = bpf_ktime_get_coarse_ns();
	return p;
}

/* Counts and tells a drop. Returns nothing that matters: a global function, so that each program has it once.
 */
__attribute__((noinline)) int drop_tell(__u32 reason)
{
	struct packet *p = packet_get();
	struct drop_value *known, fresh = {.packets = 1};
	__u32 cpu = bpf_get_smp_processor_id();
	struct drop_key key = {};
	struct event *e;
	void *ring;

	if (!p)
		return 0;
	key.ifindex = p->judged;
	key.reason = (__u16)reason;
	key.direction = (__u16)p->direction;
	known = bpf_map_lookup_elem(&drop, &key);
	if (known) {
		known->packets += 1;
		known->bytes += p->len;
	} else {
		fresh.bytes = p->len;
		bpf_map_update_elem(&drop, &key, &fresh, BPF_NOEXIST);
	}
	ring = bpf_map_lookup_elem(&events, &cpu);
	e = ring ? bpf_ringbuf_reserve(ring, sizeof(*e), 0) : 0;
	if (!e) {
		count(COUNTER_EVENTS_LOST);
		return 0;
	}
	e->at = bpf_ktime_get_ns();
	e->type = EVENT_DROP;
	e->ifindex = p->judged;
	e->src = p->t.src;
	e->dst = p->t.dst;
	e->sport = p->t.sport;
	e->dport = p->t.dport;
	e->proto = p->t.proto;
	e->direction = (__u8)p->direction;
	e->reason = (__u16)reason;
	e->rule = p->rule;
	e->len = p->len;
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP); /* the reader polls: a wake-up costs more than the packet */
	return 0;
}

/* `step` is what the program found: 0, a drop reason, or STEP_STACK. */
ALWAYS_INLINE int packet_end(struct packet *p, const struct hook *hook, int step)
{
	if (step == STEP_STACK) {
		p->way = WAY_STACK;
		p->action = TC_ACT_OK;
	} else if (!step && p->action == TC_ACT_SHOT) {
		step = DROP_REDIRECT;
	}
	if (step > 0) {
		count(hook->drop);
		drop_tell((__u32)step);
		return p->refuse ? p->action : TC_ACT_SHOT; /* TC_ACT_OK unless the refusal is made already */
	}
	count(hook->way[p->way & 3]);
	return p->action;
}

#endif
