/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Domain names in policies: what DNS answers of the cluster's own DNS teach, learned where the answer is
 * delivered to a pod of this node. A name belongs to one name class: the patterns in force that match it
 * (exact, or "*." and more below). (name set, name class) → rule tells whether a rule whose verdict the port
 * element left open accepts it. Learned are only addresses that the cluster itself does not know.
 */
#ifndef WEFT_SEAM_NAME_H
#define WEFT_SEAM_NAME_H

#include "seam/addr.h"

#define NAME_BYTES 256

/*
 * BPF map name (LPM): the name in lower case, read from its end: "example.org" is "gro.elpmaxe" and a 0 byte,
 * "*.example.org" is "gro.elpmaxe." and no more. prefixlen counts the bits of those bytes; the rest is 0. A
 * look-up has the name, a 0 byte, and prefixlen NAME_BYTES * 8: the longest match is the name itself or the
 * nearest wildcard above it.
 */
struct name_key {
	__u32 prefixlen;
	__u8 text[NAME_BYTES];
};
WEFT_SEAM_SIZE(struct name_key, 260);
struct name_value {
	__u32 name; /* name class */
};
WEFT_SEAM_SIZE(struct name_value, 4);

struct name_match_key { /* BPF map name_match */
	__u32 names;	/* name set, of port_value */
	__u32 name;	/* name class */
};
WEFT_SEAM_SIZE(struct name_match_key, 8);
struct name_match_value {
	__u32 rule;
};
WEFT_SEAM_SIZE(struct name_match_value, 4);

#define LEARNED_SLOTS 8
/* An address has the name until then; what a pod has just been told holds at least LEARNED_MIN seconds. */
#define LEARNED_MIN 5
struct learned_slot { /* written as one word */
	__u32 name;   /* name class; 0: free */
	__u32 until;  /* monotonic seconds */
};
struct learned_value { /* BPF map learned: struct addr16 → this */
	struct learned_slot slot[LEARNED_SLOTS];
};
WEFT_SEAM_SIZE(struct learned_value, 64);

#endif
