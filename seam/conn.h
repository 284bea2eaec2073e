/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Connections: one entry per connection and node, after translation, under a key whose ends are sorted, so
 * that both directions meet the same entry. Unanswered ones live in an LRU table (half4, half6), answered
 * ones in a hash that never evicts (conn4, conn6): TCP once its initiator has confirmed the answer. The entry
 * is the flow record.
 */
#ifndef WEFT_SEAM_CONN_H
#define WEFT_SEAM_CONN_H

#include "seam/addr.h"

struct conn4_key { /* a is the lower end by (address, port) as big-endian numbers */
	__u32 a, b;
	__u16 aport, bport; /* network order; ICMP echo: the identifier in both */
	__u8 proto;
	__u8 pad[3];
};
WEFT_SEAM_SIZE(struct conn4_key, 16);

struct conn6_key {
	struct addr16 a, b;
	__u16 aport, bport;
	__u8 proto;
	__u8 pad[3];
};
WEFT_SEAM_SIZE(struct conn6_key, 40);

#define CONN_STARTED_BY_B 1u /* the initiator is end b */
#define CONN_NAT	  2u /* BPF map nat has elements for it */
#define CONN_ANSWERED	  4u
#define CONN_FIN_A	  8u
#define CONN_FIN_B	  16u
#define CONN_RST_A	  32u
#define CONN_RECHECK	  64u  /* policies changed: the next packet is judged again, see weft_gc */
#define CONN_CUT	  128u /* no longer allowed at a strict pod: drops all until it is allowed again */
#define CONN_DIRECT	  256u /* handed to the backend's node, whose answers pass elsewhere: one way is seen */
#define CONN_RST_B	  512u
#define CONN_GOES_ON	  1024u /* with CONN_DIRECT: the initiator sent more than its SYN, so it was answered */
#define CONN_RST	  (CONN_RST_A | CONN_RST_B)

struct conn_way {
	__u64 bytes, packets;
};

/* conn_value.tcp: pairs of bits, the initiator's first, the responder's one bit up. */
#define CONN_TCP_KNOWN	1u  /* where its sequence numbers stand is known */
#define CONN_TCP_SHUT	4u  /* its last window was 0 */
#define CONN_TCP_PROBE	16u /* a segment of it is timed until its acknowledgement; of one end at a time */
#define CONN_TCP_RESTS	64u /* one of it was timed in this span of CONN_TCP_SPAN */
#define CONN_TCP_SPAN	27  /* 2^27 ns: 134 ms */
#define CONN_RTT_SHIFT	3   /* of conn_value.rtt */
#define CONN_SENT_SHIFT 6   /* of conn_value.sent_at */

/*
 * What a packet from the initiator needs comes first: 56 bytes of an IPv4 connection share a cache line, with
 * the second half of its key. In pairs the initiator's is [0]. An IPv4 element takes 192 bytes, all of them
 * used.
 */
struct conn_value {
	struct conn_way there; /* from the initiator */
	__u64 seen;	       /* coarse monotonic ns of the last packet */
	__u32 flags;	       /* CONN_… */
	__u32 ifindex;	       /* of the local pod that is charged for it; 0: none */
	/* the responder as BPF map endpoint had it when BPF map wiring said `wiring` - 1; 0: not looked up */
	__u32 wiring;
	__u32 target; /* ifindex; 0: no pod of this node */
	__u8 target_mac[6];
	__u8 tcp;	  /* CONN_TCP_… */
	__u8 resets;	  /* of both ends; 255: or more */
	__u32 next_there; /* sequence number behind the initiator's last byte so far */
	__u32 probe;	  /* behind the segment that is timed */
	struct conn_way back;
	__u32 rule_egress, rule_ingress; /* rules that let it in; 0: not judged here or not isolated */
	__u32 handshake_us;		 /* until the first packet back; 0: none came */
	__u32 next_back;		 /* the responder's */
	__u64 born;			 /* monotonic ns */
	__u32 retransmits[2];  /* segments, SYNs too, that went back over sequence numbers sent before */
	__u32 rtt[2];	       /* smoothed, 1/8 us: from here to the other end and back; 0: not known */
	__u32 sent_at;	       /* when the segment that is timed passed, in 64 ns; 0: not known */
	__u16 zero_windows[2]; /* times that its window closed; 65535: or more */
};
WEFT_SEAM_SIZE(struct conn_value, 120);

/* A connection that is over, as it was then. Ring ended. */
#define ENDED_AGED     1u /* it was closed, or fell silent */
#define ENDED_GONE     2u /* the pod of an end is gone, or the address has another owner */
#define ENDED_REPLACED 3u /* its ends began anew */
struct ended {
	struct conn6_key key; /* IPv4 as v4-mapped */
	struct conn_value value;
	__u64 at;  /* monotonic ns */
	__u32 why; /* ENDED_… */
	__u32 pad;
};
WEFT_SEAM_SIZE(struct ended, 176);

/* Translations per packet. BPF map nat: the tuple as it arrives → the tuple as it goes on. */
struct nat_key {
	struct addr16 src, dst;
	__u16 sport, dport; /* network order */
	__u8 proto;
	__u8 pad[3];
};
WEFT_SEAM_SIZE(struct nat_key, 40);
#define NAT_DNAT  1u /* key: client to Service or NodePort; value: client to backend */
#define NAT_SNAT  2u /* key: as judged; value: from an address and port of this node */
#define NAT_REPLY 4u /* the way back of either */
#define NAT_ROLE  7u
#define NAT_DIRECT                                                                                           \
	8u /* with NAT_DNAT: goes on as it came, and the backend's node translates (bpf/lib/direct.h) */
#define NAT_LIST (~15u) /* upper bits of the list that the backend came from (NAT_DNAT without NAT_REPLY) */
struct nat_value {
	struct addr16 src, dst;
	__u16 sport, dport;
	__u32 flags; /* NAT_… */
	__u64 seen;  /* coarse monotonic ns */
};
WEFT_SEAM_SIZE(struct nat_value, 48);

/* First fragments leave their ports for the later ones. BPF map fragment (LRU). */
struct fragment_key {
	struct addr16 src, dst;
	__u32 id;
	__u8 proto;
	__u8 pad[3];
};
WEFT_SEAM_SIZE(struct fragment_key, 40);
struct fragment_value {
	__u16 sport, dport;
};
WEFT_SEAM_SIZE(struct fragment_value, 4);

/*
 * What weft_gc is to do besides letting entries age out; its context. GC_GONE: also remove the connections,
 * translations and fragments with an end in BPF map `gone` (its owner changed). GC_RECHECK: set CONN_RECHECK
 * on every connection.
 */
#define GC_GONE	   1u
#define GC_RECHECK 2u
struct gc_order {
	__u32 flags;
	__u32 removed; /* filled: entries that went */
};
WEFT_SEAM_SIZE(struct gc_order, 8);

#endif
