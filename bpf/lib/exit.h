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

/* Words, since the compiler cannot know how the element lies. */
ALWAYS_INLINE void packet_clear(struct packet *p)
{
	__u64 *word = (__u64 *)((char *)p + __builtin_offsetof(struct packet, l4));

	_Static_assert(__builtin_offsetof(struct packet, l4) % 8 == 0, "cleared by words");
	for (__u32 i = 0;
	     i < (__builtin_offsetof(struct packet, k4) - __builtin_offsetof(struct packet, l4)) / 8; i++)
		word[i] = 0;
}

/* The coarse clock moves with the tick, and to look at that costs no call. */
ALWAYS_INLINE void packet_clock(struct packet *p)
{
	__u64 tick = bpf_jiffies64();

	if (p->tick == tick)
		return;
	p->tick = tick;
	p->now = bpf_ktime_get_coarse_ns();
}

ALWAYS_INLINE struct packet *packet_begin(struct __sk_buff *skb, const struct hook *hook)
{
	struct packet *p = packet_get();

	count(hook->in);
	if (!p)
		return 0;
	packet_clear(p);
	__builtin_memset(p->t.pad, 0, sizeof(p->t.pad));
	p->t.sport = p->t.dport = 0;
	p->len = skb->len;
	packet_clock(p);
	return p;
}

/* Adds a packet to what `key` counts. 0, or negative: no room. */
ALWAYS_INLINE int tally(void *map, const struct drop_key *key, __u32 len)
{
	struct drop_value *known = bpf_map_lookup_elem(map, key), fresh = {.packets = 1, .bytes = len};

	if (!known)
		return (int)bpf_map_update_elem(map, key, &fresh, BPF_NOEXIST);
	known->packets += 1;
	known->bytes += len;
	return 0;
}

/* Without its own key a drop is counted under its reason alone; without that as one that nobody names. */
ALWAYS_INLINE void tally_drop(struct drop_key *key, __u32 len)
{
	if (!tally(&drop, key, len))
		return;
	if (key->cause) {
		key->cause = 0;
		if (!tally(&drop, key, len))
			return;
	}
	count(COUNTER_DROPS_UNTOLD);
}

/* An event about p; where the ring has no room, that is counted. */
ALWAYS_INLINE void event_tell(const struct packet *p, __u32 type, __u32 reason, __u32 cause)
{
	__u32 cpu = bpf_get_smp_processor_id();
	void *ring = bpf_map_lookup_elem(&events, &cpu);
	struct event *e = ring ? bpf_ringbuf_reserve(ring, sizeof(*e), 0) : 0;

	if (!e) {
		count(COUNTER_EVENTS_LOST);
		return;
	}
	e->at = bpf_ktime_get_ns();
	e->type = type;
	e->ifindex = p->judged;
	e->src = p->t.src;
	e->dst = p->t.dst;
	e->sport = p->t.sport;
	e->dport = p->t.dport;
	e->proto = p->t.proto;
	e->direction = (__u8)p->direction;
	e->reason = (__u16)reason;
	e->cause = cause;
	e->len = p->len;
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP); /* the reader polls: a wake-up costs more than the packet */
	count(COUNTER_EVENTS_TOLD);
}

/* Counts and tells a drop, or with EVENT_STAGED another judgement of staged policies. Returns nothing that
 * matters: a global function, so that each program has it once. */
__attribute__((noinline)) int tell(__u32 type, __u32 reason, __u32 cause)
{
	struct packet *p = packet_get();
	struct drop_key key = {.reason = (__u16)reason, .cause = cause};

	if (!p)
		return 0;
	key.ifindex = p->judged;
	key.direction = (__u16)p->direction;
	if (type == EVENT_DROP)
		tally_drop(&key, p->len);
	else if (tally(&staged, &key, p->len))
		count(COUNTER_STAGED_UNTOLD);
	event_tell(p, type, reason, cause);
	return 0;
}

/* Reasons that a policy gives; only theirs have a cause. */
ALWAYS_INLINE int drop_is_policy(__u32 reason)
{
	return reason == DROP_POLICY_EGRESS || reason == DROP_POLICY_INGRESS || reason == DROP_DENY_EGRESS ||
	       reason == DROP_DENY_INGRESS;
}

/* A packet of a pod that the stack is left to refuse is not to be counted again when it does. The class
 * becomes its tc_index where the hook lets it go. */
ALWAYS_INLINE void refused_mark(struct __sk_buff *skb, const struct packet *p, int step)
{
	if (step > 0 && p->refuse && p->action == TC_ACT_OK)
		skb->tc_classid = EVENT_REFUSED;
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
		tell(EVENT_DROP, (__u32)step, drop_is_policy((__u32)step) ? p->cause : 0);
		return p->refuse ? p->action : TC_ACT_SHOT; /* TC_ACT_OK unless the refusal is made already */
	}
	count(hook->way[p->way & 3]);
	return p->action;
}

#endif
