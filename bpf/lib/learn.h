/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Learns which addresses have a domain name in force: reads the answers of the cluster's own DNS where they
 * are handed to a pod of this node, and writes BPF map `learned`. Never drops or changes a packet. Only UDP
 * is read: an answer over TCP, or the later fragments of a cut one, teach nothing. An address that the
 * cluster itself knows is never learned, so that a name cannot open the way to a pod or a node.
 */
#ifndef WEFT_BPF_LEARN_H
#define WEFT_BPF_LEARN_H

#include "bpf/lib/dns.h"
#include "bpf/lib/exit.h"
#include "bpf/lib/names.h"

#define LEARN_TRIES 4
#define LEARN_FREE  (-0x7fffffff) /* as if it had ended long ago */

/* A look-alike of `scratch`, and of the same use: one message at a time on each CPU. */
struct learning {
	struct dns dns;
	struct block_key range;
	struct learned_slot slot;  /* what is learned: the class of the name asked for */
	struct learned_value seen; /* the element of the address */
	__u32 now, holding, best;
	__s32 least; /* seconds that the best slot has left */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct learning);
	__uint(max_entries, 1);
} learning SEC(".maps");

ALWAYS_INLINE struct learning *learning_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&learning, &zero);
}

/* What policy judges by other means, or what no packet reaches by way of this node's rules. */
ALWAYS_INLINE int learn_is_foreign(struct learning *l)
{
	const struct addr16 *a = &l->dns.addr;
	int v6 = a->w[0] || a->w[1] || a->w[2] != bpf_htonl(0xffff);
	const struct range_value *r;

	if (addr_is_link_local(a, v6) || addr_is_multicast(a, v6) || bpf_map_lookup_elem(&address, a))
		return 0;
	l->range.len = 128;
	l->range.addr = *a;
	r = bpf_map_lookup_elem(&range, &l->range);
	return !r || (r->kind != RANGE_POD && r->kind != RANGE_SERVICE);
}

/* Looks at one slot of l->seen. */
static long learn_slot(__u32 i, struct learning **ctx)
{
	struct learning *l = *ctx;
	const struct learned_slot *s = &l->seen.slot[i & (LEARNED_SLOTS - 1)];
	__s32 left = s->name ? learned_left(s, l->now) : LEARN_FREE;

	if (left > 0)
		l->holding = 1;
	if (s->name == l->slot.name) {
		l->best = i;
		return 1;
	}
	if (left < l->least) {
		l->least = left;
		l->best = i;
	}
	return 0;
}

/* The slot of l->seen for a name: its own, else the one that ended or ends first. */
ALWAYS_INLINE __u32 learn_choose(struct learning *l)
{
	l->best = 0;
	l->least = 0x7fffffff;
	l->holding = 0;
	bpf_loop(LEARNED_SLOTS, learn_slot, &l, 0);
	return l->best & (LEARNED_SLOTS - 1);
}

/* Tries to write l->slot to the element of the address. 1: another CPU was there at the same time, or it is
 * to be seen whether one was. */
__attribute__((noinline)) int learn_try(void)
{
	struct learning *l = learning_get();
	struct learned_slot was;
	struct learned_value *v;
	__u64 *word, old;
	__u32 best;
	int err; /* int: before 6.4 the upper half of what an update returns is not there */

	if (!l)
		return 0;
	v = bpf_map_lookup_elem(&learned, &l->dns.addr);
	if (v)
		l->seen = *v;
	else
		__builtin_memset(&l->seen, 0, sizeof(l->seen));
	best = learn_choose(l);
	was = l->seen.slot[best];
	if (was.name == l->slot.name && (__s32)(was.until - l->slot.until) >= 0)
		return 0;
	if (v && l->holding) {
		word = (__u64 *)&v->slot[best];
		__builtin_memcpy(&old, &was, sizeof(old));
		if (__sync_val_compare_and_swap(word, old, *(__u64 *)&l->slot) != old)
			return 1;
		if (was.name && was.name != l->slot.name && learned_left(&was, l->now) > 0)
			count(COUNTER_NAMES_LOST);
		return 0;
	}
	/* weft_gc may be about to remove it (learned_gc.h): a new element in its place */
	l->seen.slot[best] = l->slot;
	err = (int)bpf_map_update_elem(&learned, &l->dns.addr, &l->seen, v ? BPF_ANY : BPF_NOEXIST);
	if (!err || err == -EEXIST)
		return 1;
	count(COUNTER_NAMES_LOST);
	return 0;
}

/* l->dns.addr has the name. The later end counts, since some pod was told that. */
ALWAYS_INLINE void learn_address(struct learning *l)
{
	__u32 ttl = l->dns.addr_ttl < LEARNED_MIN ? LEARNED_MIN : l->dns.addr_ttl;

	l->slot.until = l->now + ttl + 1;
	for (int i = 0; i < LEARN_TRIES; i++)
		if (!learn_try())
			return;
}

static long learn_record(__u32 i __attribute__((unused)), struct learning **ctx)
{
	struct learning *l = *ctx;
	enum dns_record is;

	if (!l->dns.answers)
		return 1;
	l->dns.answers--;
	is = dns_next(&l->dns);
	if (is == DNS_ADDRESS && learn_is_foreign(l))
		learn_address(l);
	return is == DNS_END;
}

/* The message in the packet, `most` bytes of it. */
ALWAYS_INLINE int learn_load(struct __sk_buff *skb, const struct packet *p, struct dns *d, __u32 most)
{
	__u32 off = p->l4 + 8, len;
	__u16 udp_len;

	if (off > skb->len || bpf_skb_load_bytes(skb, p->l4 + 4, &udp_len, sizeof(udp_len)))
		return -1;
	len = bpf_ntohs(udp_len);
	len = len < 8 ? 0 : len - 8;
	if (len > skb->len - off)
		len = skb->len - off; /* the first part of a cut one */
	if (len > most)
		len = most;
	d->len = len;
	if (len < DNS_HEAD || len > DNS_MAX)
		return -1;
	return (int)bpf_skb_load_bytes(skb, off, d->msg, len);
}

/* A UDP answer to a pod of this node. Called by learn_step(). */
__attribute__((noinline)) int learn(struct __sk_buff *skb)
{
	struct packet *p = packet_get();
	struct learning *l = learning_get();
	const struct address_value *from;
	const struct name_value *n;

	if (!p || !l)
		return 0;
	from = bpf_map_lookup_elem(&address, &p->t.src);
	if (!from || !(from->flags & ADDRESS_DNS))
		return 0;
	if (learn_load(skb, p, &l->dns, DNS_QUESTION) || dns_question(&l->dns))
		return 0;
	n = bpf_map_lookup_elem(&name, &l->dns.key);
	if (!n || learn_load(skb, p, &l->dns, DNS_MAX))
		return 0;
	l->slot.name = n->name;
	l->now = names_now();
	bpf_loop(DNS_RECORDS, learn_record, &l, 0);
	return 0;
}

#endif
