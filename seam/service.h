/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Services: (address, port, protocol) → a list of backends; (list, slot) → backend. List ids are hashes of
 * content, so a changed list is written beside the old one and switched by one element.
 */
#ifndef WEFT_SEAM_SERVICE_H
#define WEFT_SEAM_SERVICE_H

#include "seam/addr.h"

#define SERVICE_OUTSIDE_TOO 1u /* also taken from outside, at the uplink */
#define SERVICE_DROP                                                                                         \
	2u /* inside without endpoints: dropped, not refused (internalTrafficPolicy Local, SV07) */
#define SERVICE_DROP_OUT   4u  /* the same for outside (externalTrafficPolicy Local, SV08) */
#define SERVICE_RANGES	   8u  /* outside clients only from BPF map source_range (SV42) */
#define SERVICE_INSIDE_NOT 16u /* callers in the cluster are not translated: ipMode Proxy (SV43) */
#define SERVICE_MAGLEV	   32u /* the lists are Maglev tables: connect() chooses by the client, too */
#define SERVICE_DIRECT	   64u /* what other nodes' pods serve is answered by their nodes: bpf/lib/direct.h */

struct service_key { /* BPF map service */
	struct addr16 addr;
	__u16 port; /* network order */
	__u8 proto;
	__u8 pad;
};
WEFT_SEAM_SIZE(struct service_key, 20);

struct service_value {
	__u32 list;		   /* 0 with count 0: no endpoints */
	__u32 count;		   /* slots 0 … count-1 exist */
	__u32 out_list, out_count; /* for clients from outside; valid with SERVICE_OUTSIDE_TOO */
	__u32 flags;		   /* SERVICE_… */
	__u32 affinity;		   /* seconds that a client stays with its backend; 0: it does not */
	__u32 service;		   /* hash of the Service and its port: key of affinity and source_range */
};
WEFT_SEAM_SIZE(struct service_value, 28);

/* Who was sent where. BPF map affinity (LRU). */
struct affinity_key {
	__u32 service;
	__u32 outside; /* 1: chosen from out_list */
	struct addr16 client;
};
WEFT_SEAM_SIZE(struct affinity_key, 24);
struct affinity_value {
	struct addr16 addr; /* of the backend */
	__u16 port;
	__u16 pad;
	__u32 list; /* that it was chosen from or last found in */
	__u64 seen; /* coarse monotonic ns of the last use */
};
WEFT_SEAM_SIZE(struct affinity_value, 32);

/* Clients that loadBalancerSourceRanges lets in. BPF map source_range (LPM). */
struct source_key {
	__u32 prefixlen; /* 32 + bits of addr */
	__u32 service;
	struct addr16 addr;
};
WEFT_SEAM_SIZE(struct source_key, 24);
struct source_value {
	__u32 allow; /* 1 */
};
WEFT_SEAM_SIZE(struct source_value, 4);

struct backend_key { /* BPF map backend */
	__u32 list;
	__u32 slot;
};
WEFT_SEAM_SIZE(struct backend_key, 8);

struct backend_value {
	struct addr16 addr;
	__u16 port; /* network order */
	__u16 pad;
};
WEFT_SEAM_SIZE(struct backend_value, 20);

/* What a socket was told: BPF map socket_origin (LRU), for recvmsg and getpeername. */
struct socket_key {
	__u64 cookie;
	struct addr16 addr; /* of the backend */
	__u16 port;
	__u8 proto;
	__u8 pad[5];
};
WEFT_SEAM_SIZE(struct socket_key, 32);
struct socket_value {
	struct addr16 addr; /* of the service */
	__u16 port;
	__u16 pad;
};
WEFT_SEAM_SIZE(struct socket_value, 20);

#endif
