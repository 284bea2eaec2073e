/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Services per packet: a new connection to (address, port, protocol) gets one of the backends of its list; a
 * datagram or SYN of a known one moves on when its backend has left the list (SV50). One look-up, whatever
 * the number of services. Sockets of pods are translated in connect() instead, see connect.c.
 */
#ifndef WEFT_BPF_SERVICE_H
#define WEFT_BPF_SERVICE_H

#include "bpf/lib/nat.h"

#define SERVICE_ANY	0
#define SERVICE_OUTSIDE 1  /* only those that are also taken from outside */
#define SCAN_MAX	64 /* slots that are searched for a backend when its list has changed */

ALWAYS_INLINE const struct service_value *service_find(struct packet *p, const struct nat_key *t, int which)
{
	const struct service_value *s;

	p->sk.addr = t->dst;
	p->sk.port = t->dport;
	p->sk.proto = t->proto;
	p->sk.pad = 0;
	s = bpf_map_lookup_elem(&service, &p->sk);
	if (s && which == SERVICE_OUTSIDE && !(s->flags & SERVICE_NODEPORT))
		return 0;
	return s;
}

/* One of its backends; NULL: it has none. */
ALWAYS_INLINE const struct backend_value *service_backend(const struct packet *p,
							  const struct service_value *s)
{
	struct backend_key key = {.list = s->list};

	if (!s->count)
		return 0;
	key.slot = tuple_hash(&p->t) % s->count;
	return bpf_map_lookup_elem(&backend, &key);
}

/* Translates a new connection if p->t leads to a service; p->translated tells whether it did. */
__attribute__((noinline)) int service_step(int which)
{
	struct packet *p = packet_get();
	const struct service_value *s;
	const struct backend_value *b;

	if (!p)
		return 0;
	if (!proto_has_ports(p->t.proto))
		return 0;
	s = service_find(p, &p->t, which);
	if (!s)
		return 0;
	p->refuse = 1; /* until a backend is found: the stack answers at once (SV06) */
	b = service_backend(p, s);
	if (!b) { /* a list goes after its Service was switched to another: read both again */
		s = service_find(p, &p->t, which);
		b = s ? service_backend(p, s) : 0;
	}
	if (!s || !b)
		return DROP_NO_BACKEND;
	if (p->t.proto == IPPROTO_SCTP && b->port != p->t.dport)
		return DROP_PROTOCOL; /* CRC32c over the packet: no other port */
	p->refuse = 0;
	p->backend_list = s->list;
	p->raw = p->t;
	p->t.dst = b->addr;
	p->t.dport = b->port;
	return nat_dnat();
}

/* Is the backend of p->nv in this slot of the list? Then its element names that list from now on. */
__attribute__((noinline)) int service_slot_keeps(__u32 list, __u32 slot)
{
	struct packet *p = packet_get();
	struct backend_key key = {.list = list, .slot = slot};
	const struct backend_value *b = bpf_map_lookup_elem(&backend, &key);

	if (!p || !b || b->port != p->nv.dport || !addr_same(&b->addr, &p->nv.dst))
		return 0;
	p->nv.flags = NAT_DNAT | (list & NAT_LIST);
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
	if (!s || !s->count)
		return 0;
	list = s->list;
	count = s->count;
	if ((list & NAT_LIST) == (p->nv.flags & NAT_LIST))
		return 1;
	for (__u32 i = 0; i < SCAN_MAX && i < count; i++)
		if (service_slot_keeps(list, i))
			return 1;
	return 0;
}

#endif
