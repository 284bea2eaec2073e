/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * From the packet as it came to its connection: straight by its own ends where nothing is translated, else
 * through the elements of BPF map nat. Afterwards p->t holds the ends that are judged and, when
 * p->translated, p->raw and p->out how it came and how it goes on. Called by each tc program after parse().
 */
#ifndef WEFT_BPF_TRANSLATE_H
#define WEFT_BPF_TRANSLATE_H

#include "bpf/lib/service.h"

/* Follows the element under p->t, if there is one. Which services a moved flow may use is as for
 * service_step(). */
__attribute__((noinline)) int translate_follow(int which)
{
	struct packet *p = packet_get();
	struct nat_value *n;
	__u32 role;

	if (!p)
		return 0;
	n = bpf_map_lookup_elem(&nat, &p->t);
	if (!n)
		return 0;
	role = n->flags & NAT_ROLE;
	if (role == NAT_DNAT && (p->t.proto == IPPROTO_UDP || is_syn(p))) {
		p->nv = *n;
		if (p->told ? !direct_keeps(p) : !service_keeps(which)) {
			bpf_map_delete_elem(&nat, &p->t);
			return 0;
		}
	}
	if (role == NAT_DNAT && n->flags & NAT_DIRECT)
		p->direct = 1;
	n->seen = p->now;
	p->raw = p->t;
	p->out = p->t;
	p->translated = 1;
	tuple_take(&p->out, n);
	if (role == NAT_SNAT || role == (NAT_DNAT | NAT_REPLY))
		return 0; /* the last stage: p->t is already what is judged */
	p->t = p->out;
	n = bpf_map_lookup_elem(&nat, &p->t);
	if (!n || (n->flags & NAT_ROLE) != (role == NAT_DNAT ? NAT_SNAT : NAT_DNAT | NAT_REPLY))
		return 0;
	n->seen = p->now;
	tuple_take(&p->out, n);
	return 0;
}

/*
 * May a packet that belongs to no connection begin one? If it is for a pod, it needs no translate() then: no
 * Service has the address of a pod, and elements of BPF map nat wait for what is known. A TCP segment from
 * the middle may be an answer whose entry was evicted; its translation may still be there.
 */
ALWAYS_INLINE int may_begin(const struct packet *p)
{
	return !p->tcp || is_syn(p);
}

/* `c` is what conn_find() found for the packet as it came. */
ALWAYS_INLINE struct conn_value *translate(struct packet *p, struct conn_value *c, int which)
{
	if (c && !(c->flags & CONN_NAT))
		return c;
	translate_follow(which);
	if (p->translated)
		c = conn_find(p);
	return c;
}

#endif
