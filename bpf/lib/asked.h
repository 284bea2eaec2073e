/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Telling DNS messages: what a pod of this node asks at port 53, and what it is answered, into ring asked,
 * which the observer reads on a timer. Of TCP only a segment that holds one message and nothing else (RFC
 * 1035, 4.2.2). Looks at ends and lengths, not at names; never drops or changes a packet. Called once a
 * packet is on its way, so what policy refuses was not asked.
 */
#ifndef WEFT_BPF_ASKED_H
#define WEFT_BPF_ASKED_H

#include "bpf/lib/exit.h"

#define ASKED_PORT 53
#define ASKED_HEAD 12 /* of a message, RFC 1035, 4.1.1 */

/* Where packets are seen: all from a pod, all to one, or neither. */
#define ASKED_BY_POD  1
#define ASKED_TO_POD  2
#define ASKED_PASSING 3

/* A look-alike of `scratch`, and of the same use: one message at a time on each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct asked);
	__uint(max_entries, 1);
} asking SEC(".maps");

/* Does a pod of this node ask, or is it answered? */
ALWAYS_INLINE int asked_is_ours(const struct packet *p, int hook)
{
	if (p->is_error || p->fragment == FRAGMENT_LATER ||
	    (p->t.proto != IPPROTO_UDP && p->t.proto != IPPROTO_TCP))
		return 0;
	return p->backward ? hook == ASKED_TO_POD || p->way == WAY_POD : hook == ASKED_BY_POD;
}

/* Where the message in a datagram begins, and its length; 0: there is none. */
ALWAYS_INLINE __u32 asked_in_udp(struct __sk_buff *skb, const struct packet *p, __u32 *len)
{
	__u16 n;

	if (bpf_skb_load_bytes(skb, p->l4 + 4, &n, sizeof(n)))
		return 0;
	*len = bpf_ntohs(n) - 8u;
	return *len >= ASKED_HEAD && *len <= 0xffff ? p->l4 + 8 : 0;
}

/* The same in a segment. *len 0: nothing is said in it. */
ALWAYS_INLINE __u32 asked_in_tcp(struct __sk_buff *skb, const struct packet *p, __u32 *len)
{
	__u32 off, here;
	__u8 words;
	__u16 n;

	if (bpf_skb_load_bytes(skb, p->l4 + 12, &words, sizeof(words)))
		return 0;
	off = p->l4 + (words >> 4) * 4u;
	here = p->len > off ? p->len - off : 0;
	if (here < sizeof(n) + ASKED_HEAD) /* an acknowledgement, or padding behind one */
		return 0;
	*len = here;
	if (bpf_skb_load_bytes(skb, off, &n, sizeof(n)) || bpf_ntohs(n) + sizeof(n) != here)
		return 0;
	*len = here - sizeof(n);
	return off + sizeof(n);
}

/* A global function: each program has it once. */
__attribute__((noinline)) int asked_tell(struct __sk_buff *skb, int hook)
{
	struct packet *p = packet_get();
	__u32 zero = 0, len = 0, off, there;
	struct asked *a = bpf_map_lookup_elem(&asking, &zero);

	if (!p || !a || !asked_is_ours(p, hook))
		return 0;
	if (p->t.proto == IPPROTO_UDP)
		off = asked_in_udp(skb, p, &len);
	else
		off = asked_in_tcp(skb, p, &len);
	if (!off && !len)
		return 0;
	count(COUNTER_ASKED_SEEN);
	there = skb->len > off ? skb->len - off : 0; /* the first part of a cut one */
	if (there > len)
		there = len;
	if (there > ASKED_BYTES)
		there = ASKED_BYTES;
	if (!off || there < ASKED_HEAD || bpf_skb_load_bytes(skb, off, a->message, there)) {
		count(COUNTER_ASKED_UNREAD);
		return 0;
	}
	a->at = bpf_ktime_get_ns();
	a->asker = p->backward ? p->t.dst : p->t.src;
	a->server = p->backward ? p->t.src : p->t.dst;
	a->asker_port = p->backward ? p->t.dport : p->t.sport;
	a->server_port = p->backward ? p->t.sport : p->t.dport;
	a->proto = p->t.proto;
	a->flags = p->backward ? ASKED_ANSWER : 0;
	a->len = (__u16)len;
	if (bpf_ringbuf_output(&asked, a, __builtin_offsetof(struct asked, message) + there,
			       BPF_RB_NO_WAKEUP))
		count(COUNTER_ASKED_LOST);
	else
		count(COUNTER_ASKED_TOLD);
	return 0;
}

/* `step` is what the program found: 0, a packet that goes on. */
ALWAYS_INLINE void asked_step(struct __sk_buff *skb, const struct packet *p, int step, int hook)
{
	if (!step && (p->backward ? p->t.sport : p->t.dport) == bpf_htons(ASKED_PORT))
		asked_tell(skb, hook);
}

#endif
