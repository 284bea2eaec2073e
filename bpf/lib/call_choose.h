/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which backend a socket call gets: the one that its caller had where the Service wants that, else one at
 * random, or by the caller in a Maglev table. Process context: nothing but the stack. Called by connect.c.
 */
#ifndef WEFT_BPF_CALL_CHOOSE_H
#define WEFT_BPF_CALL_CHOOSE_H

#include "bpf/lib/affinity.h"

/* Who calls, as per packet: the pod's own address of that family; sockets of the node go by their namespace.
 */
ALWAYS_INLINE void call_client(struct bpf_sock_addr *ctx, struct addr16 *client, int v4)
{
	__u64 cookie = bpf_get_netns_cookie(ctx);
	const __u32 *own = bpf_map_lookup_elem(&netns, &cookie);
	const struct iface_value *i = own ? bpf_map_lookup_elem(&iface, own) : 0;

	if (i) {
		*client = v4 ? i->v4 : i->v6;
		return;
	}
	client->w[0] = 0;
	client->w[1] = 1; /* no address that a packet has */
	client->w[2] = (__u32)(cookie >> 32);
	client->w[3] = (__u32)cookie;
}

/* Where the choice falls: at random, in a Maglev table by the client. */
ALWAYS_INLINE __u32 call_slot(struct bpf_sock_addr *ctx, const struct service_value *s,
			      const struct addr16 *client)
{
	struct nat_key t = {};
	__u64 cookie;

	if (!(s->flags & SERVICE_MAGLEV))
		return bpf_get_prandom_u32();
	cookie = bpf_get_socket_cookie(ctx);
	t.src = *client;
	t.dst.w[0] = (__u32)(cookie >> 32);
	t.dst.w[1] = (__u32)cookie;
	return tuple_hash(&t);
}

/* One of the backends of a Service to *to; 0: it has none. */
ALWAYS_INLINE int call_backend(struct bpf_sock_addr *ctx, const struct service_value *s, int v4,
			       struct backend_value *to)
{
	struct affinity_key who = {.service = s->service};
	struct backend_key slot = {.list = s->list};
	__u32 count = s->count, seconds = s->affinity;
	const struct backend_value *b;
	__u64 now = 0;

	if (!count)
		return 0;
	if (seconds || s->flags & SERVICE_MAGLEV)
		call_client(ctx, &who.client, v4);
	if (seconds) {
		now = bpf_ktime_get_coarse_ns();
		if (affinity_recall(&who, slot.list, count, seconds, now, to))
			return 1;
	}
	slot.slot = call_slot(ctx, s, &who.client) % count;
	b = bpf_map_lookup_elem(&backend, &slot);
	if (!b)
		return 0;
	*to = *b;
	if (seconds)
		affinity_note(&who, slot.list, now, b);
	return 1;
}

ALWAYS_INLINE const struct service_value *call_service(const struct service_key *key)
{
	const struct service_value *s = bpf_map_lookup_elem(&service, key);

	return s && !(s->flags & SERVICE_INSIDE_NOT) ? s : 0;
}

#endif
