/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The few members of the kernel's own types that weft_kernel_drop reads. Where they lie is found when the
 * program is loaded, by the running kernel's BTF; so are the values of the reasons.
 */
#ifndef WEFT_BPF_KERNEL_TYPES_H
#define WEFT_BPF_KERNEL_TYPES_H

#include "bpf/types.h"
#include <bpf/bpf_core_read.h>

#define KERNEL_TYPE __attribute__((preserve_access_index))

enum skb_drop_reason {
	SKB_DROP_REASON_NOT_SPECIFIED = 2,
	SKB_DROP_REASON_TC_EGRESS,
	SKB_DROP_REASON_TC_INGRESS,
	SKB_DROP_REASON_QUEUE_PURGE,
};

/* The running kernel's number of a reason; 0 where it has none of that name. */
#define KERNEL_REASON(name)                                                                                  \
	(bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_##name)                            \
	     ? (__u32)bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_##name)                      \
	     : 0)

struct net {
	__u64 net_cookie;
} KERNEL_TYPE;

typedef struct {
	struct net *net;
} KERNEL_TYPE possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
} KERNEL_TYPE;

struct sock_common {
	possible_net_t skc_net;
} KERNEL_TYPE;

struct sock {
	struct sock_common __sk_common;
} KERNEL_TYPE;

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned char *head;
	unsigned int len;
	__u16 network_header, protocol, tc_index;
} KERNEL_TYPE;

#endif
