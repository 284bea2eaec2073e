/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Session affinity: the backend that a client had from a Service counts while the Service's present list
 * holds it and the time since its last use has not run out (SV26 to SV28). Used by service.h per packet and
 * by connect.c per call, so it takes all it needs from its caller and leans on no scratch element.
 */
#ifndef WEFT_BPF_AFFINITY_H
#define WEFT_BPF_AFFINITY_H

#include "bpf/lib/packet.h"

#define SCAN_MAX 4096 /* slots that are searched at most */
#define SECOND	 1000000000ULL

/* A backend that is looked for in a list; nothing in here changes meanwhile. */
struct scan {
	struct addr16 addr;
	__u32 list;
	__u16 port;
	__u16 pad;
};

static long scan_slot(__u32 slot, struct scan *s)
{
	struct backend_key key = {.list = s->list, .slot = slot};
	const struct backend_value *b = bpf_map_lookup_elem(&backend, &key);

	return b && b->port == s->port && addr_same(&b->addr, &s->addr);
}

/* One slot more than there are is looked at, which holds nothing: so the number of rounds alone tells. */
ALWAYS_INLINE int scan_finds(struct scan *s, __u32 count)
{
	if (count > SCAN_MAX)
		count = SCAN_MAX;
	return bpf_loop(count + 1, scan_slot, s, 0) <= (long)count;
}

/* The backend of this client, if it has one in the list: copied to *to, its use noted. */
ALWAYS_INLINE int affinity_recall(const struct affinity_key *key, __u32 list, __u32 count, __u32 seconds,
				  __u64 now, struct backend_value *to)
{
	struct affinity_value *v = bpf_map_lookup_elem(&affinity, key);

	if (!v || (__s64)(now - v->seen) > (__s64)(seconds * SECOND))
		return 0;
	if (v->list != list) {
		struct scan s = {.addr = v->addr, .list = list, .port = v->port};

		if (!scan_finds(&s, count))
			return 0; /* not renewed by who asks for what is gone (SV28) */
		v->list = list;
	}
	v->seen = now;
	to->addr = v->addr;
	to->port = v->port;
	return 1;
}

ALWAYS_INLINE void affinity_note(const struct affinity_key *key, __u32 list, __u64 now,
				 const struct backend_value *b)
{
	struct affinity_value v = {.addr = b->addr, .port = b->port, .list = list, .seen = now};

	bpf_map_update_elem(&affinity, key, &v, BPF_ANY);
}

#endif
