/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The pattern of programs that serve one place alone: weft_place_in and weft_place_out do there what
 * weft_tap_in and weft_tap_out (tap.c) do at any place, with what BPF map tap says of it as constants, which
 * the verifier folds, and with the judge as a function in place of place_judge(). Only for places whose
 * copies go straight to outlets. An object of its own; src/apply/tap_place.c makes programs of it.
 */
#include "bpf/lib/canary.h"

const volatile struct place_value place;

/* Its end is the program's: the maker cuts it off and appends the judge. */
__attribute__((noinline)) __u32 place_judge(struct __sk_buff *skb)
{
	__u32 answer = 0;

	asm volatile("" : "+r"(answer) : "r"(skb));
	return answer;
}

/* The steps are those of copy_at() in lib/copy.h. */
ALWAYS_INLINE int place_at(struct __sk_buff *skb, __u32 take)
{
	struct tapped_value none = {}, *n;
	__u32 answer, wanted = 0;

	if (!copy_is_on())
		return 0;
	n = copy_account(&none, skb->ifindex, take, place.tap.slot);
	if (!n) {
		count(COUNTER_TAPPED_UNTOLD);
		return 0;
	}
	if (copy_is_own(skb)) {
		n->own++;
		return 0;
	}
	answer = place_judge(skb);
	if (answer & place.tap.own) {
		n->own++;
		return take == TAP_IN && place.tap.feed;
	}
	n->seen++;
	n->seen_bytes += copy_len(skb);
#pragma unroll
	for (__u32 i = 0; i < TAP_DIRECT_MAX; i++) {
		if (i < place.tap.directs && answer & place.tap.direct[i].take[take]) {
			wanted = 1;
			copy_to_outlet(skb, place.tap.direct[i].outlet);
		}
	}
	if (!wanted)
		n->unwanted++;
	if (answer & TAP_UNPARSABLE)
		n->unparsable++;
	return take == TAP_IN && place.tap.feed;
}

SEC("tc") int weft_place_in(struct __sk_buff *skb)
{
	if (place.answers && (canary_frame(skb) || canary_echo(skb)))
		return TC_ACT_STOLEN;
	return place_at(skb, TAP_IN) ? TC_ACT_STOLEN : TC_ACT_UNSPEC;
}

SEC("tc") int weft_place_out(struct __sk_buff *skb)
{
	place_at(skb, TAP_OUT);
	return TC_ACT_UNSPEC;
}

char place_license[] SEC("license") = "Dual BSD/GPL";
