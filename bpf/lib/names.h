/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Domain names in judgement: has a destination, by what DNS answers taught (learn.h), a name that a rule
 * accepts? Changes nothing. Called by set_verdict() where the ports alone say no.
 */
#ifndef WEFT_BPF_NAMES_H
#define WEFT_BPF_NAMES_H

#include "bpf/lib/packet.h"

#define NS_PER_SECOND 1000000000ull

/* The clock of learned_slot.until. */
ALWAYS_INLINE __u32 names_now(void)
{
	return (__u32)(bpf_ktime_get_coarse_ns() / NS_PER_SECOND);
}

/* Seconds that are left; negative once it has ended. */
ALWAYS_INLINE __s32 learned_left(const struct learned_slot *s, __u32 now)
{
	return (__s32)(s->until - now);
}

/*
 * The rule that accepts the destination of the packet in that slot under one of its names; RULE_NONE: none
 * does. For an open connection a name that has ended holds as well (CN16).
 */
__attribute__((noinline)) __u64 names_allow(__u32 names, __u32 slot)
{
	struct packet *p = packet_slot(slot);
	struct name_match_key key = {.names = names};
	const struct name_match_value *match;
	const struct learned_value *v;
	__u32 now;

	if (!p)
		return RULE_NONE;
	v = bpf_map_lookup_elem(&learned, &p->t.dst);
	if (!v)
		return RULE_NONE;
	now = names_now();
	for (int i = 0; i < LEARNED_SLOTS; i++) {
		if (!v->slot[i].name || (!p->known && learned_left(&v->slot[i], now) <= 0))
			continue;
		key.name = v->slot[i].name;
		match = bpf_map_lookup_elem(&name_match, &key);
		if (match)
			return match->rule;
	}
	return RULE_NONE;
}

#endif
