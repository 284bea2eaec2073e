/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The kernel's public types as the programs of bpf/ use them, and the few constants that no public header
 * has. Only what is stable for user space: no type of one kernel's inside, so no BTF of the building machine
 * is needed. Included by each file of bpf/ and, under __bpf__, by seam/addr.h.
 */
#ifndef WEFT_BPF_TYPES_H
#define WEFT_BPF_TYPES_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

struct bpf_map; /* what callbacks of bpf_for_each_map_elem get */

/* Flag of bpf_l4_csum_replace since 6.16: the sum over the whole packet stays, as an IPv6 header has none of
 * its own. */
#define CSUM_IPV6 (1ULL << 7)

#define AF_INET4 2 /* families of look-ups */
#define AF_INET6 10
#define PKT_HOST 0 /* skb->pkt_type: for this machine */

#define EPERM		1
#define ENODEV		19
#define ECONNREFUSED	111
#define EEXIST		17
#define EINVAL		22
#define ESOCKTNOSUPPORT 94

#endif
