/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Where answers of the cluster's DNS pass on their way to a pod: hands them to learn(). Called before a
 * packet is translated and delivered, once it may pass. */
#ifndef WEFT_BPF_LEARN_STEP_H
#define WEFT_BPF_LEARN_STEP_H

#include "bpf/lib/learn.h"

#define DNS_PORT 53

ALWAYS_INLINE void learn_step(struct __sk_buff *skb, const struct packet *p, const struct config_value *c)
{
	if (c->flags & CONFIG_NAMES && p->t.proto == IPPROTO_UDP && p->t.sport == bpf_htons(DNS_PORT) &&
	    p->backward && !p->is_error && p->fragment != FRAGMENT_LATER)
		learn(skb);
}

#endif
