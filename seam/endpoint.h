/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Pods of this node, twice: by their address (to deliver and judge ingress) and by the index of their
 * host-side interface (to judge egress and to refuse foreign source addresses). Each element is replaced
 * whole, so both policy sets of a pod switch together in each table.
 */
#ifndef WEFT_SEAM_ENDPOINT_H
#define WEFT_SEAM_ENDPOINT_H

#include "seam/addr.h"

#define ENDPOINT_HOST_NET 1u /* not wired; never in these tables today */
#define ENDPOINT_STRICT	  2u /* connections that policy no longer allows are cut */
#define ENDPOINT_SELF	  4u /* both sets have elements for CLASS_SELF: judged by the connect hook */

struct endpoint_value {	   /* BPF map endpoint: struct addr16 → this; local pods only */
	__u32 ifindex;	   /* host-side interface, in the node's namespace */
	__u32 ingress_set; /* 0: not isolated */
	__u32 egress_set;  /* 0: not isolated */
	__u32 flags;	   /* ENDPOINT_… */
	__u8 mac[6];	   /* of the pod's interface */
	__u8 pad[2];
	__u32 staged_ingress,
	    staged_egress; /* sets with the staged policies in force; 0: none is staged for this pod */
};
WEFT_SEAM_SIZE(struct endpoint_value, 32);

struct iface_value {	      /* BPF map iface: __u32 ifindex → this */
	struct addr16 v4, v6; /* all zero when the pod lacks that family */
	__u32 ingress_set, egress_set;
	__u32 flags;
	__u8 mac[6];
	__u8 pad[2];
	__u32 staged_ingress, staged_egress;
};
WEFT_SEAM_SIZE(struct iface_value, 60);

#endif
