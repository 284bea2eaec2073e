/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Fragments: the first one leaves its ports under the ends and the identification of the datagram (RFC
 * 791, 3.2; RFC 8200, 4.5), the later ones pick them up, so all of them are judged and translated alike. A
 * later fragment whose first one never came is dropped. Called after parse(), before anything looks at ports.
 */
#ifndef WEFT_BPF_FRAGMENT_H
#define WEFT_BPF_FRAGMENT_H

#include "bpf/lib/packet.h"

/* A global function: the verifier sees it once, and it costs nothing where there are no fragments. */
__attribute__((noinline)) int fragment_ports(void)
{
	struct packet *p = packet_get();
	struct fragment_value v, *known;

	if (!p)
		return DROP_FRAGMENT;
	p->fk.src = p->t.src;
	p->fk.dst = p->t.dst;
	p->fk.proto = p->t.proto;
	__builtin_memset(p->fk.pad, 0, sizeof(p->fk.pad));
	if (p->fragment == FRAGMENT_FIRST) {
		v.sport = p->t.sport;
		v.dport = p->t.dport;
		bpf_map_update_elem(&fragment, &p->fk, &v, BPF_ANY);
		return 0;
	}
	known = bpf_map_lookup_elem(&fragment, &p->fk);
	if (!known)
		return DROP_FRAGMENT;
	p->t.sport = known->sport;
	p->t.dport = known->dport;
	return 0;
}

ALWAYS_INLINE int fragment_step(const struct packet *p)
{
	if (p->fragment == FRAGMENT_NONE)
		return 0;
	return fragment_ports();
}

#endif
