/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Copies for the broker. A place that is tapped (BPF map tap) has each packet judged by a program that the
 * applier made of the filters in force, and clones it to the tools that want it as it is, and to weft-copier
 * for all others. The original is never changed; but a clone may move its bytes, so whoever calls
 * copy_point() reads data and data_end anew. Called by the pods' programs and by tap.c.
 */
#ifndef WEFT_BPF_COPY_H
#define WEFT_BPF_COPY_H

#include "bpf/lib/exit.h"

/* Of the packet at hand; not on the stack, of which a judge leaves its callers 256 bytes. */
struct copy_scratch {
	struct tapped_value none; /* always 0 */
	struct tap_value tap;	  /* its element may be replaced, and its memory used again, at any time */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct copy_scratch);
	__uint(max_entries, 1);
} copy_scratch SEC(".maps");

/*
 * To be refused by a device that is down costs more than to send. After COPY_PATIENCE refusals in a row an
 * outlet is tried once a tick and CPU; what is not tried meanwhile counts as refused.
 */
#define COPY_PATIENCE 16u

/* Is any place of this node tapped? */
ALWAYS_INLINE int copy_is_on(void)
{
	__u32 zero = 0;
	const struct outlet_value *o = bpf_map_lookup_elem(&outlet, &zero);

	return o && o->way != OUTLET_NONE;
}

/* A copy of ours on its way to a tool. The programs that a clone runs through must not judge it; nor touch
 * the scratch element of the packet that it is a clone of. */
ALWAYS_INLINE int copy_is_own(const struct __sk_buff *skb)
{
	return skb->mark == TAP_MARK_OWN;
}

/* A tag beside the bytes counts. */
ALWAYS_INLINE __u32 copy_len(const struct __sk_buff *skb)
{
	return skb->len + (skb->vlan_present ? 4 : 0);
}

/* The judge's answer; 0: there is none by that number. The judge ends this function, and only it. */
__attribute__((noinline)) __u32 copy_judge(struct __sk_buff *skb, __u32 number)
{
	__u32 answer = 0;

	bpf_tail_call(skb, &judge, number);
	asm volatile("" : "+r"(answer)); /* else the compiler tells the callers that it is always 0 */
	return answer;
}

/* Clones it to a device; nonzero: the kernel could not. */
ALWAYS_INLINE int copy_clone(struct __sk_buff *skb, __u32 ifindex, __u32 mark)
{
	__u32 before = skb->mark;
	long err;

	skb->mark = mark;
	err = bpf_clone_redirect(skb, ifindex, 0);
	skb->mark = before;
	return err != 0;
}

/* To be refused by the tool's device: it is left alone for a while. */
ALWAYS_INLINE int copy_rests(const struct outlet_rest *rest)
{
	return rest->refused == COPY_PATIENCE && rest->tick == bpf_jiffies64();
}

/* The last step to a tool, here or behind its edit. */
ALWAYS_INLINE void copy_send(struct __sk_buff *skb, __u32 number, __u32 ifindex, struct outlet_count *n)
{
	struct outlet_rest *rest = bpf_map_lookup_elem(&outlet_rest, &number);

	if (!rest)
		return;
	if (copy_rests(rest)) {
		n->direct_failed++;
	} else if (copy_clone(skb, ifindex, TAP_MARK_OWN)) {
		n->direct_failed++;
		rest->tick = bpf_jiffies64();
		if (rest->refused < COPY_PATIENCE)
			rest->refused++;
	} else {
		rest->refused = 0;
		n->direct++;
		n->direct_bytes += copy_len(skb);
	}
}

/* On its way to be edited: segments are counted as they will come there. */
ALWAYS_INLINE void copy_edited(struct __sk_buff *skb, __u32 number, __u32 ifindex, struct outlet_count *n)
{
	const struct outlet_rest *rest = bpf_map_lookup_elem(&outlet_rest, &number);
	__u32 segments = skb->gso_segs;

	if (!segments)
		segments = 1;
	n->given++;
	n->segments += segments;
	if (!rest || copy_rests(rest) || copy_clone(skb, ifindex, TAP_MARK_EDIT | number))
		n->direct_failed += segments;
}

/* Straight to a tool. */
ALWAYS_INLINE void copy_to_outlet(struct __sk_buff *skb, __u32 number)
{
	const struct outlet_value *o = bpf_map_lookup_elem(&outlet, &number);
	struct outlet_count *n = bpf_map_lookup_elem(&outlet_count, &number);

	if (!o || !n)
		return;
	if (o->way != OUTLET_INTERFACE && o->way != OUTLET_POD)
		n->direct_failed++;
	else if (o->via)
		copy_edited(skb, number, o->via, n);
	else
		copy_send(skb, number, o->ifindex, n);
}

__attribute__((noinline)) int copy_direct(struct __sk_buff *skb, __u32 number)
{
	copy_to_outlet(skb, number);
	return 0;
}

ALWAYS_INLINE __u32 copy_mark(const struct tap_value *t, __u32 take, __u32 reason)
{
	__u32 mark = t->point & TAP_MARK_POINT;

	if (take == TAP_OUT || take == TAP_OUT_DROPPED)
		mark |= TAP_MARK_OUT;
	if (take == TAP_IN_DROPPED || take == TAP_OUT_DROPPED)
		mark |= TAP_MARK_DROPPED;
	return mark | (t->epoch << TAP_EPOCH_SHIFT & TAP_MARK_EPOCH) | reason << TAP_REASON_SHIFT;
}

ALWAYS_INLINE void copy_to_copier(struct __sk_buff *skb, struct tapped_value *n, __u32 mark)
{
	__u32 zero = 0, before = skb->tc_index;
	const struct outlet_value *o = bpf_map_lookup_elem(&outlet, &zero);
	int failed;

	skb->tc_index = TAP_TC_INDEX;
	failed = !o || copy_clone(skb, o->ifindex, mark);
	skb->tc_index = before;
	if (failed) {
		n->failed++;
		return;
	}
	n->copied++;
	n->copied_bytes += copy_len(skb);
}

ALWAYS_INLINE struct tapped_value *copy_slot(__u32 slot, __u32 take)
{
	struct tapped_slot *s = slot && take <= TAP_OUT ? bpf_map_lookup_elem(&tapped_slot, &slot) : 0;

	return s ? &s->take[take & 1] : 0;
}

/* `none` is 0. A slot costs a third of what BPF map tapped does. */
ALWAYS_INLINE struct tapped_value *copy_account(const struct tapped_value *none, __u32 ifindex, __u32 take,
						__u32 slot)
{
	struct tapped_key key = {.ifindex = ifindex, .take = take};
	struct tapped_value *n = copy_slot(slot, take);

	if (n)
		return n;
	n = bpf_map_lookup_elem(&tapped, &key);
	if (n)
		return n;
	bpf_map_update_elem(&tapped, &key, none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&tapped, &key);
}

/* To all who want it; 0: nobody does. */
ALWAYS_INLINE int copy_give(struct __sk_buff *skb, const struct tap_value *t, struct tapped_value *n,
			    __u32 answer, __u32 take, __u32 reason)
{
	int wanted = 0;

	if (answer & t->take[take]) {
		wanted = 1;
		copy_to_copier(skb, n, copy_mark(t, take, reason));
	}
	for (__u32 i = 0; i < TAP_DIRECT_MAX; i++) {
		if (i >= t->directs)
			break;
		if (answer & t->direct[i].take[take]) {
			wanted = 1;
			copy_direct(skb, t->direct[i].outlet);
		}
	}
	return wanted;
}

/* What a tapped place does with a packet. True: it is a feed, so the packet goes no further. */
__attribute__((noinline)) int copy_at(struct __sk_buff *skb, __u32 ifindex, __u32 take, __u32 reason)
{
	const struct tap_value *t = bpf_map_lookup_elem(&tap, &ifindex);
	struct copy_scratch *s;
	struct tapped_value *n;
	__u32 answer, zero = 0;

	if (!t || take >= TAP_TAKES)
		return 0;
	s = bpf_map_lookup_elem(&copy_scratch, &zero);
	if (!s)
		return 0;
	n = copy_account(&s->none, ifindex, take, t->slot);
	if (!n) {
		count(COUNTER_TAPPED_UNTOLD);
		return 0;
	}
	if (copy_is_own(skb)) {
		n->own++;
		return 0;
	}
	s->tap = *t;
	t = &s->tap;
	answer = copy_judge(skb, t->judge);
	if (answer & t->own) {
		n->own++;
		return take == TAP_IN && t->feed;
	}
	n->seen++;
	n->seen_bytes += copy_len(skb);
	if (!answer)
		n->failed++;
	else if (!copy_give(skb, t, n, answer, take, reason))
		n->unwanted++;
	if (answer & TAP_UNPARSABLE)
		n->unparsable++;
	return take == TAP_IN && t->feed;
}

/* `take` is an enum tap_take, `reason` a drop reason or 0. */
ALWAYS_INLINE int copy_point(struct __sk_buff *skb, __u32 ifindex, __u32 take, __u32 reason)
{
	return copy_is_on() ? copy_at(skb, ifindex, take, reason) : 0;
}

/* A drop is seen where it is counted (see packet_end), with the bytes that it has when it happens. */
ALWAYS_INLINE void copy_drop(struct __sk_buff *skb, const struct packet *p, int step)
{
	if (!step && p->action == TC_ACT_SHOT)
		step = DROP_REDIRECT;
	if (step > 0 && p->judged)
		copy_point(skb, p->judged, p->direction == DIR_TO_POD ? TAP_IN_DROPPED : TAP_OUT_DROPPED,
			   (__u32)step);
}

#endif
