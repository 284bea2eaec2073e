/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * An address → its class: its own element, else the longest CIDR block that holds it, found by one probe of a
 * hash for each prefix length in force (or by the trie where the planner says that the lengths are many).
 * Called by judge.h when it judges, and by weft_ask.
 */
#ifndef WEFT_BPF_CLASS_H
#define WEFT_BPF_CLASS_H

#include "bpf/lib/packet.h"

#define BLOCK_LEN_ZERO 255 /* how ::/0 stands in the list of lengths */

/* The first `len` bits of `from`. */
ALWAYS_INLINE void addr_mask(struct addr16 *to, const struct addr16 *from, __u32 len)
{
	for (int i = 0; i < 4; i++) {
		__u32 word = (__u32)i * 32;

		if (len >= word + 32)
			to->w[i] = from->w[i];
		else if (len <= word)
			to->w[i] = 0;
		else
			to->w[i] = from->w[i] & bpf_htonl(~0u << ((word + 32 - len) & 31));
	}
}

/* Class of p->look. Flags of its element, if it has one, go to the upper half. */
__attribute__((noinline)) __u64 class_of(__u32 slot, int v6)
{
	struct packet *p = packet_slot(slot);
	const struct config_value *c = config_get();
	const struct address_value *a;
	const struct block_value *b;

	if (!p || !c)
		return CLASS_WORLD;
	a = bpf_map_lookup_elem(&address, &p->look);
	if (a)
		return (__u64)a->flags << 32 | a->class;
	if (c->block_trie) {
		p->bk.len = 128;
		p->bk.addr = p->look;
		b = bpf_map_lookup_elem(&block_trie, &p->bk);
		return b ? b->class : CLASS_WORLD;
	}
	for (int i = 0; i < BLOCK_LENS; i++) {
		__u32 len = v6 ? c->block_lens6[i] : c->block_lens4[i];

		if (!len)
			break;
		p->bk.len = len == BLOCK_LEN_ZERO ? 0 : len;
		addr_mask(&p->bk.addr, &p->look, p->bk.len);
		b = bpf_map_lookup_elem(&block, &p->bk);
		if (b)
			return b->class;
	}
	return CLASS_WORLD;
}

#endif
