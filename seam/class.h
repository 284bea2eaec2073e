/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Classes: which addresses no policy in force on this node tells apart. A known cluster address has its own
 * element; other addresses take the class of the longest block that holds them, or CLASS_WORLD.
 */
#ifndef WEFT_SEAM_CLASS_H
#define WEFT_SEAM_CLASS_H

#include "seam/addr.h"

#define CLASS_WORLD 0u
#define CLASS_SELF                                                                                           \
	1u /* a pod that reaches itself through a Service: under cluster policies only (CN18, NP64) */
#define CLASS_SELF6 2u /* the same over IPv6 */

#define ADDRESS_POD  1u /* a pod, here or elsewhere */
#define ADDRESS_NODE 2u /* an address of another node (pods with hostNetwork have it too) */
#define ADDRESS_SELF 4u /* an address of this node */
#define ADDRESS_DNS  8u /* a pod that serves the cluster's DNS: its answers teach names (seam/name.h) */

struct address_value { /* BPF map address: struct addr16 → this; all pods and nodes of the cluster */
	__u32 class;
	__u32 node;  /* key of BPF map node; 0: this node */
	__u32 flags; /* ADDRESS_… */
	__u32 owner; /* hash of the pod's uid, of the node's name: another owner inherits nothing */
};
WEFT_SEAM_SIZE(struct address_value, 16);

/* block_trie must hold ::ffff:0:0/96 (CLASS_WORLD unless 0.0.0.0/0 has a class), so that no IPv6 block covers
 * IPv4. */
struct block_key { /* BPF map block (hash) and block_trie (LPM, prefix first) */
	__u32 len; /* in the 128-bit form: an IPv4 /24 has 120 */
	struct addr16 addr;
};
WEFT_SEAM_SIZE(struct block_key, 20);

struct block_value {
	__u32 class;
};
WEFT_SEAM_SIZE(struct block_value, 4);

/* Ranges of the cluster, for destinations that nothing else knows. BPF map range (LPM): struct block_key →
 * this. */
#define RANGE_POD     1u /* pod range of a node: an address in it without an element is nobody */
#define RANGE_SERVICE 2u
#define RANGE_DIRECT  3u /* reached without masquerade (nodes' own network) */
struct range_value {
	__u32 kind;
	__u32 node; /* for RANGE_POD; 0: this node */
};
WEFT_SEAM_SIZE(struct range_value, 8);

#define NODE_WIDE6 1u /* its IPv6 pods differ in more than 64 bits: none can be named by half an address */
struct node_value {   /* BPF map node: __u32 → this; where a node is reached on the underlay */
	struct addr16 v4, v6;
	__u32 flags; /* NODE_… */
};
WEFT_SEAM_SIZE(struct node_value, 36);

#endif
