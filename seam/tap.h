/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Taps: where a node's programs look at packets for the broker, and where copies go. The kernel decides only
 * whether a packet is wanted; copies for chains, groups and files go, whole and unsplit, over the interface
 * weft-copy0 to weft-copier, which judges them again by the same filters. What a copy is travels as the
 * packet's mark, which becomes the copy's hash: the one number that a packet socket's ring shows.
 */
#ifndef WEFT_SEAM_TAP_H
#define WEFT_SEAM_TAP_H

#include "seam/addr.h"

/* What happened to the packet there, as the place sees it. A drop is seen once, at the place that it is
 * counted for. */
enum tap_take { TAP_IN, TAP_OUT, TAP_IN_DROPPED, TAP_OUT_DROPPED, TAP_TAKES };

/* Answer of a judge: bit i: its filter i takes the packet. */
#define TAP_FILTERS_MAX 30u
#define TAP_UNPARSABLE                                                                                       \
	(1u << 30)	      /* headers that are cut short or contradict themselves; set beside the others */
#define TAP_ALWAYS (1u << 31) /* in every answer */

/* The mark of a copy on its way to weft-copier. */
#define TAP_MARK_POINT	 0x00003fffu /* number of the place, as the plan gave it */
#define TAP_MARK_OUT	 0x00004000u
#define TAP_MARK_DROPPED 0x00008000u
#define TAP_MARK_EPOCH	 0x003f0000u /* low bits of the epoch of the plan by which the kernel judged */
#define TAP_MARK_REASON	 0xffc00000u /* drop reason; 0: none */
#define TAP_EPOCH_SHIFT	 16
#define TAP_REASON_SHIFT 22
#define TAP_POINTS_MAX	 16383u
#define TAP_POINT_EDIT	 0x3fffu /* of no place: weft_edit hands it over, the reason is the outlet's number */
#define TAP_EPOCHS	 64u

/* tc_index of one on its way to weft-copier: the node's stack sends there too (reports of listeners),
 * unmarked. */
#define TAP_TC_INDEX 0x5450u

/* The mark of one on its way to a tool: no place of this node looks at it again. */
#define TAP_MARK_OWN 0x57454654u

/* The mark of one on its way through weft-edit0: with the outlet's number. */
#define TAP_MARK_EDIT	   0x57450000u
#define TAP_MARK_EDIT_BITS 0xfffff000u

#define TAP_DIRECT_MAX 6u

struct tap_direct { /* copies that need no chain, or one that is an edit: cloned straight to the outlet */
	__u32 outlet;
	__u32 take[TAP_TAKES]; /* any of these bits of the answer */
};

struct tap_value {   /* BPF map tap: __u32 ifindex → this */
	__u32 judge; /* element of BPF map judge */
	__u32 point;
	__u32 epoch;
	__u32 directs; /* of direct[] */
	__u32 own;     /* bits that tell Weft's own copies under way to a tool: no copy is made of them */
	__u32 feed; /* 0, or what comes in goes no further than to outlets: TAP_FEED, or a number behind it */
	__u32 take[TAP_TAKES]; /* bits for which weft-copier gets a copy */
	struct tap_direct direct[TAP_DIRECT_MAX];
	__u32 slot; /* element of BPF map tapped_slot with the account of this place; 0: it is in tapped */
};
WEFT_SEAM_SIZE(struct tap_value, 164);

/*
 * Feeds. One whose interface runs weft_feed (XDP) has a number from TAP_FEED + 1 on: its judge is that
 * element of BPF map feed_judge, and each set of outlets that frames can go to without the host's stack is an
 * element of BPF map feed_set. What is not there is left to tc.
 */
#define TAP_FEED  1u
#define FEEDS_MAX 256u

struct feed_set_key { /* BPF map feed_set: → a BPF map with the outlets' interfaces */
	__u32 feed;
	__u32 wanted; /* bit i: tap_value.direct[i] */
};
WEFT_SEAM_SIZE(struct feed_set_key, 8);

struct feed_way {	/* BPF map feed_way: → __u32 number of the outlet */
	__u32 from, to; /* interfaces */
};
WEFT_SEAM_SIZE(struct feed_way, 8);

struct tapped_key { /* BPF map tapped (per-CPU hash) */
	__u32 ifindex;
	__u32 take; /* enum tap_take */
};
WEFT_SEAM_SIZE(struct tapped_key, 8);

struct tapped_value { /* packets; seen = classified + unparsable */
	__u64 seen, seen_bytes;
	__u64 unparsable;
	__u64 unwanted;		    /* nobody gets a copy of them */
	__u64 copied, copied_bytes; /* handed to weft-copy0 */
	__u64 failed;		    /* the clone for weft-copy0 could not be made, or there was no judge */
	__u64 own;		    /* not among those seen: copies of Weft's own on their way to a tool */
};
WEFT_SEAM_SIZE(struct tapped_value, 64);

/* BPF map tapped_slot (per-CPU array): the same of an interface, found without a hash. An interface has an
 * element from the first time that it is tapped on, as long as there are any; nobody else gets that one. */
#define TAPPED_SLOTS 64u /* 0 is nobody's */
struct tapped_slot {
	__u64 ifindex;		     /* 0: free. The same on all CPUs, written by the applier */
	struct tapped_value take[2]; /* TAP_IN, TAP_OUT */
};
WEFT_SEAM_SIZE(struct tapped_slot, 136);

enum outlet_way {
	OUTLET_NONE,
	OUTLET_INTERFACE, /* out of ifindex */
	OUTLET_POD,	  /* into the pod behind the host-side interface ifindex, past its hook */
	OUTLET_ROUTED,	  /* an IP packet of a tunnel of ours: by the node's routes, out of ifindex */
};

/* BPF map outlet: __u32 number, 1 to OUTLETS_MAX → this. Element 0 is the way to weft-copier: OUTLET_NONE
 * there says that nothing is tapped on this node, so it is the last to be written and the first to go. */
struct outlet_value {
	__u32 ifindex; /* of 0: weft-copy0 */
	__u32 way;     /* enum outlet_way */
	__u32 via;     /* weft-edit0's ifindex: what goes straight there is edited on its way; 0: it is not */
};
WEFT_SEAM_SIZE(struct outlet_value, 12);
#define OUTLETS_MAX 1023u /* weft-copier names the outlet by an 802.1ad tag behind the MAC addresses */
#define OUTLET_CANARY                                                                                        \
	0x800u /* beside it in the tag: no copy, but a canary, which is counted as such alone                \
		*/

/* BPF map outlet_count (per-CPU array): the same number → this. Of 0 only failed: what came back from
 * weft-copier without the number of one. */
struct outlet_count {
	__u64 direct, direct_bytes; /* cloned straight here */
	__u64 direct_failed;	    /* the kernel refused */
	__u64 sent, sent_bytes;	    /* of weft-copier */
	__u64 failed;		    /* the same, refused: the interface is down or gone, no memory */
	__u64 unreachable;	    /* routed: no route, no neighbour */
	__u64 canaries, answers;    /* handed to the tool; what came back for them */
	__u64 cookie;		    /* routed: of the last answer that this CPU saw */
	/* Of copies to be edited: segments = direct + direct_failed + handed + those lost before the edit. */
	__u64 given, segments; /* packets; and what they are on the wire */
	__u64 handed;	       /* to weft-copier */
	__u64 masked, sliced, shallow, stamped;
};
WEFT_SEAM_SIZE(struct outlet_count, 136);

struct outlet_rest { /* BPF map outlet_rest (per-CPU array): the same number → this */
	__u64 tick;
	__u32 refused, pad; /* in a row, up to COPY_PATIENCE */
};
WEFT_SEAM_SIZE(struct outlet_rest, 16);

/* Constants of a program that serves one place alone (bpf/place.bpf.c), whose packets go straight to outlets
 * or nowhere. */
struct place_value {
	struct tap_value tap; /* epoch, point and judge are 0, for the copier nothing is taken */
	__u32 answers;	      /* 1: what comes back for canaries may come in here */
};
WEFT_SEAM_SIZE(struct place_value, 168);

/* Where an offset counts from: enum chain_base. */
enum edit_from { EDIT_L2, EDIT_L3, EDIT_L4, EDIT_PAYLOAD };

#define EDIT_RANGES_MAX 6u
#define EDIT_OFFSET_MAX 65535u /* of offsets, lengths, bytes */

struct edit_range {
	__u32 from;	   /* enum edit_from */
	__u32 offset, len; /* len 0: to the end */
};

enum {
	EDIT_SRC_MAC = 1,
	EDIT_DST_MAC = 2,
	EDIT_SRC_IP = 4,
	EDIT_DST_IP = 8,
	EDIT_SRC_PORT = 16,
	EDIT_DST_PORT = 32,
	EDIT_FIELDS = 63
};

struct edit_value { /* BPF map edit: __u32 outlet → this. In this order: slice and mask by the headers as they
		       came, tag */
	__u32 ranges; /* of range[] */
	struct edit_range range[EDIT_RANGES_MAX];
	__u32 fields; /* EDIT_… */
	__u32 fill;   /* a byte */
	__u32 slice;  /* 0: none */
	__u32 slice_from, slice_bytes;
	__u16 stamp_tpid, stamp_tci; /* tpid in network order; 0: none */
};
WEFT_SEAM_SIZE(struct edit_value, 100);

/*
 * Canaries of an outlet NN: MAC address CANARY_MAC_HEAD:NN:NN, IPv6 address fe80::57:4543:NNNN, which is
 * asked for at CANARY_ASK_HEAD:NN:NN (RFC 2464 7); of a tunnel: an echo request with this identifier and the
 * outlet's number as sequence, behind which its cookie stands.
 */
#define CANARY_MAC_HEAD 0x02574543u
#define CANARY_ASK_HEAD 0x3333ff43u
#define CANARY_IP6_HIGH 0xfe800000u /* the first word; then a zero one */
#define CANARY_IP6_LOW	0x00000057u /* the third; then 0x4543, NNNN */
#define CANARY_ECHO_ID	0x5745u

#endif
