/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Services per packet: a new connection to (address, port, protocol) gets one of the backends of its list,
 * the one that its client had before where the Service wants that; a datagram or SYN of a known one moves on
 * when its backend has left the list (SV50). One look-up, whatever the number of services. Sockets of pods
 * are translated in connect() instead, see connect.c.
 */
#ifndef WEFT_BPF_SERVICE_H
#define WEFT_BPF_SERVICE_H

#include "bpf/lib/affinity.h"
#include "bpf/lib/direct.h"
#include "bpf/lib/own.h"

#define SERVICE_ANY 0 /* the client is a pod of this node or the node: every Service, `list` */
#define SERVICE_OUTSIDE                                                                                      \
	1 /* it came from another machine: those that are also taken from outside, `out_list` */

ALWAYS_INLINE const struct service_value *service_find(struct packet *p, const struct nat_key *t, int which)
{
	const struct service_value *s;

	p->sk.addr = t->dst;
	p->sk.port = t->dport;
	p->sk.proto = t->proto;
	p->sk.pad = 0;
	s = bpf_map_lookup_elem(&service, &p->sk);
	if (!s)
		return 0;
	if (which == SERVICE_OUTSIDE)
		return s->flags & SERVICE_OUTSIDE_TOO ? s : 0;
	return s->flags & SERVICE_INSIDE_NOT ? 0 : s;
}

/* May this client use it? Pods and nodes always may (SV42). */
ALWAYS_INLINE int service_lets_in(struct packet *p, const struct service_value *s, int which)
{
	if (which != SERVICE_OUTSIDE || !(s->flags & SERVICE_RANGES) ||
	    bpf_map_lookup_elem(&address, &p->t.src))
		return 1;
	p->source.prefixlen = 32 + 128;
	p->source.service = s->service;
	p->source.addr = p->t.src;
	return bpf_map_lookup_elem(&source_range, &p->source) != 0;
}

/* The backend that this client had, to p->chosen. Not inlined, so that only affinity pays for it. */
__attribute__((noinline)) int service_recall(__u32 list, __u32 count, __u32 seconds)
{
	struct packet *p = packet_get();

	return p ? affinity_recall(&p->ak, list, count, seconds, p->now, &p->chosen) : 0;
}

/* One of its backends to p->chosen; 0: it has none. */
ALWAYS_INLINE int service_choose(struct packet *p, const struct service_value *s, int which)
{
	__u32 count = which == SERVICE_OUTSIDE ? s->out_count : s->count;
	struct backend_key key = {.list = which == SERVICE_OUTSIDE ? s->out_list : s->list};
	const struct backend_value *b;

	if (!count)
		return 0;
	p->backend_list = key.list;
	p->ak.service = s->service;
	p->ak.outside = (__u32)which;
	p->ak.client = p->t.src;
	if (s->affinity && service_recall(key.list, count, s->affinity))
		return 1;
	key.slot = tuple_hash(&p->t) % count;
	b = bpf_map_lookup_elem(&backend, &key);
	if (!b)
		return 0;
	p->chosen = *b;
	if (s->affinity)
		affinity_note(&p->ak, key.list, p->now, b);
	return 1;
}

/* Translates a new connection if p->t leads to a service; p->translated tells whether it did. STEP_STACK: a
 * socket of this node has it. */
__attribute__((noinline)) int service_step(struct __sk_buff *skb, int which)
{
	struct packet *p = packet_get();
	const struct service_value *s;
	int found, step;

	if (!p)
		return 0;
	if (!proto_has_ports(p->t.proto))
		return 0;
	s = service_find(p, &p->t, which);
	if (!s)
		return 0;
	if (which == SERVICE_OUTSIDE && p->tcp && !is_syn(p) && own_is_open(skb))
		return STEP_STACK;
	if (!service_lets_in(p, s, which))
		return DROP_SOURCE_RANGE;
	found = service_choose(p, s, which);
	if (!found) { /* a list goes after its Service was switched to another: read both again */
		s = service_find(p, &p->t, which);
		found = s && service_choose(p, s, which);
	}
	if (!found) { /* the stack answers at once (SV06), or nobody does (SV07, SV08) */
		p->refuse = !s || !(s->flags & (which == SERVICE_OUTSIDE ? SERVICE_DROP_OUT : SERVICE_DROP));
		return DROP_NO_BACKEND;
	}
	if (which == SERVICE_OUTSIDE && p->t.proto == IPPROTO_TCP && own_is_chosen(p)) {
		step = own_take(skb);
		if (step != STEP_NEXT)
			return step;
	}
	p->direct = which == SERVICE_OUTSIDE && s && s->flags & SERVICE_DIRECT && direct_may(skb, p);
	p->raw = p->t;
	p->t.dst = p->chosen.addr;
	p->t.dport = p->chosen.port;
	return nat_dnat();
}

/* Is the backend of p->nv in this list? Then its element names that list from now on. */
__attribute__((noinline)) int service_list_keeps(__u32 list, __u32 count)
{
	struct packet *p = packet_get();
	struct scan s = {.list = list};

	if (!p)
		return 0;
	s.addr = p->nv.dst;
	s.port = p->nv.dport;
	if (!scan_finds(&s, count))
		return 0;
	p->nv.flags = NAT_DNAT | (p->nv.flags & NAT_DIRECT) | (list & NAT_LIST);
	bpf_map_update_elem(&nat, &p->t, &p->nv, BPF_EXIST);
	return 1;
}

/* May the backend of this element (p->nv holds a copy; p->t is client to service) go on? 1: yes. */
__attribute__((noinline)) int service_keeps(int which)
{
	struct packet *p = packet_get();
	const struct service_value *s;
	__u32 list, count;

	if (!p)
		return 0;
	s = service_find(p, &p->t, which);
	if (!s || !service_lets_in(p, s, which))
		return 0;
	list = which == SERVICE_OUTSIDE ? s->out_list : s->list;
	count = which == SERVICE_OUTSIDE ? s->out_count : s->count;
	if (!count)
		return 0;
	if ((list & NAT_LIST) == (p->nv.flags & NAT_LIST))
		return 1;
	return service_list_keeps(list, count);
}

#endif
