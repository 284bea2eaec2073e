/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * weft_announce: sends the frame that it is given out of the uplink. The applier runs it through
 * BPF_PROG_TEST_RUN to tell neighbours that an address of a Service is at this node now. Answers 0 or -errno.
 */
#include "bpf/lib/packet.h"

SEC("tc") int weft_announce(struct __sk_buff *skb)
{
	__u32 zero = 0;
	const struct config_value *c = bpf_map_lookup_elem(&config, &zero);

	return c && c->uplink ? (int)bpf_clone_redirect(skb, c->uplink, 0) : -ENODEV;
}
