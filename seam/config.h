/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Settings of a node's programs: the one element of BPF map config, written by the applier, read by each
 * program. */
#ifndef WEFT_SEAM_CONFIG_H
#define WEFT_SEAM_CONFIG_H

#include "seam/addr.h"

#define MODE_VXLAN  0u
#define MODE_ROUTES 1u

#define CONFIG_FAULTS 2u /* BPF map fault has elements */
#define CONFIG_NAMES  1u /* some domain name is in force: DNS answers are read */

#define BLOCK_LENS 8 /* per family; more lengths switch to the trie */

struct config_value {
	struct addr16 node4,
	    node6;    /* this node's addresses on the underlay; zero where it lacks the family */
	__u32 uplink; /* ifindex */
	__u32 tunnel; /* ifindex of the VXLAN device; 0 in MODE_ROUTES */
	__u32 mode;
	__u32 mtu;		   /* of pods */
	__u16 snat_low, snat_high; /* host order, both inclusive */
	__u8 gateway_mac[6];	   /* MAC of every host-side pod interface */
	__u8 uplink_mac[6];
	__u8 block_lens4[BLOCK_LENS]; /* in the 128-bit form, longest first, 0-terminated unless full */
	__u8 block_lens6[BLOCK_LENS]; /* the same; length 0 (::/0) is stored as 255 */
	__u32 block_trie;	      /* 1: use the trie instead */
	__u32 vni;
	__u32 flags;	/* CONFIG_… */
	__u32 pods6[2]; /* upper half of the IPv6 addresses of this node's pods; 0: their range is wider */
};
WEFT_SEAM_SIZE(struct config_value, 100);

#endif
