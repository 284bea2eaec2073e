/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chain: what a tool port does to its copies, in an order that no setting changes: bytes as on the wire
 * (tag back in place, checksum finished, merged packets split), sample, dedup, strip, mask, slice, stamp,
 * encapsulate. Pure: no descriptor, no clock (time is the packet's), no names. Filters judge before it, so
 * they never see what it adds. A chain has a state (dedup table, numbers) and is used by one thread.
 *
 * Link types other than Ethernet: sample, dedup, mask and slice work; strip and stamp leave them, and of the
 * tunnels only GRE takes raw IP.
 */
#ifndef WEFT_CHAIN_CHAIN_H
#define WEFT_CHAIN_CHAIN_H

#include "chain/packet.h"

/* Where an offset counts from. L2: the first byte; L3: behind link header, tags and MPLS; L4: behind IP and
 * its extension headers; PAYLOAD: behind the header of TCP, UDP, SCTP, ICMP. Of the outermost headers that
 * are left. */
enum chain_base { CHAIN_L2, CHAIN_L3, CHAIN_L4, CHAIN_PAYLOAD };

struct chain_sample {
	uint32_t one_in; /* 0, 1: all */
	bool by_flow;	 /* whole sessions, both ways, instead of packets */
	uint64_t seed;	 /* equal seeds choose alike */
};

/* A packet is a duplicate of one that was handed on less than the window before (at the window: none), if all
 * that counts is equal. What counts, by mode:
 *   L2  every byte
 *   L3  IP: all from the IP header on, up to its end (padding left out), but TTL and header checksum; VLAN
 *       tags; not MAC addresses. Others: every byte
 * IP's identification counts: a retransmission by TCP is another packet. Payload is hashed whole. */
enum chain_dedup_mode { CHAIN_DEDUP_OFF, CHAIN_DEDUP_L2, CHAIN_DEDUP_L3 };
enum { /* left out beyond that */
       CHAIN_IGNORE_MAC = 1 << 0,
       CHAIN_IGNORE_VLAN = 1 << 1, /* all tags */
       CHAIN_IGNORE_OUTER =
	   1 << 2,		  /* outer headers of VXLAN, Geneve, GRE, ERSPAN, but the VNI, key, session */
       CHAIN_IGNORE_VNI = 1 << 3, /* and these too; means CHAIN_IGNORE_OUTER */
       CHAIN_IGNORE_TTL = 1 << 4,
       CHAIN_IGNORE_DSCP = 1 << 5, /* and ECN */
       CHAIN_IGNORE_IP_ID = 1 << 6,
};
struct chain_dedup {
	enum chain_dedup_mode mode;
	uint64_t window;  /* ns, above 0 */
	unsigned ignore;  /* CHAIN_IGNORE_… */
	bool count_only;  /* handed on, marked and counted */
	uint32_t entries; /* that the table has room for, and at most twice or four times that; 0: 65,536; 32
			     bytes each */
	uint64_t seed;	  /* of the hash: not to be guessed by who sends */
};

enum {				   /* what is taken off; tunnels at most four deep */
       CHAIN_STRIP_VLAN = 1 << 0,  /* the outermost tag of what is left */
       CHAIN_STRIP_VLANS = 1 << 1, /* all of them */
       CHAIN_STRIP_MPLS = 1 << 2,
       CHAIN_STRIP_VXLAN = 1 << 3,
       CHAIN_STRIP_GENEVE = 1 << 4,
       CHAIN_STRIP_GRE = 1 << 5,
       CHAIN_STRIP_ERSPAN = 1 << 6,
       CHAIN_STRIP_IPIP = 1 << 7,
       CHAIN_STRIP_PADDING = 1 << 8,
};

enum { /* named fields, of IPv4, IPv6 and (addresses) ARP */
       CHAIN_MASK_SRC_MAC = 1 << 0,
       CHAIN_MASK_DST_MAC = 1 << 1,
       CHAIN_MASK_SRC_IP = 1 << 2,
       CHAIN_MASK_DST_IP = 1 << 3,
       CHAIN_MASK_SRC_PORT = 1 << 4,
       CHAIN_MASK_DST_PORT = 1 << 5,
};
struct chain_range {
	enum chain_base from;
	uint32_t offset, len; /* len 0: to the end of the packet (L3, L4, PAYLOAD: padding too) */
};
struct chain_mask {			  /* the union of all; none: no mask */
	const struct chain_range *ranges; /* copied */
	unsigned n;			  /* ≤ CHAIN_RANGES_MAX */
	unsigned fields;		  /* CHAIN_MASK_… */
	uint8_t fill;
	bool fix_checksums; /* IPv4, TCP, UDP, ICMP, SCTP right for the masked bytes; else left as on the wire
			     */
};
enum { CHAIN_RANGES_MAX = 64 };

struct chain_slice {
	bool on;
	enum chain_base from; /* keep all before it and `bytes` of it: PAYLOAD is "after the L4 header" */
	uint32_t bytes;
};

struct chain_stamp {	    /* VLAN tag (0: none) and trailer, Ethernet only */
	uint16_t vlan_tpid; /* 0: no tag; else 0x8100, 0x88a8 */
	uint16_t vlan_tci;
	bool trailer; /* 16 bytes as Arista's MetaWatch: frame's CRC, seconds, ns, flags, device, port */
	uint16_t device;
	uint8_t port;
};

struct chain_encap {
	enum chain_encap_kind {
		CHAIN_ENCAP_NONE,
		CHAIN_ENCAP_VXLAN,
		CHAIN_ENCAP_GRE, /* Ethernet in GRE */
		CHAIN_ENCAP_ERSPAN2,
		CHAIN_ENCAP_ERSPAN3,
	} kind;
	struct addr src, dst; /* both of one family */
	uint8_t src_mac[6], dst_mac[6];
	uint32_t id;   /* VNI (24 bits), GRE key (where has_key), ERSPAN session (10 bits) */
	bool has_key;  /* GRE */
	uint16_t port; /* VXLAN: destination; 0: 4789 */
	uint8_t dscp;  /* 0–63 */
	uint8_t ttl;   /* 0: 64 */
	bool df;       /* IPv4 */
	uint32_t mtu;  /* bytes of an outer IP packet; 0: 65,535 */
	enum chain_too_big { CHAIN_REFUSE, CHAIN_FRAGMENT, CHAIN_CUT } too_big;
};

struct chain_config {	  /* all zero: bytes as on the wire, merged packets split */
	bool keep_merged; /* marked instead of split */
	uint32_t wire_mtu; /* captures do not tell gso_size: TCP in IP packets above this (≥ 576) is taken for
			      merged */
	bool guess_unfinished; /* nor unfinished checksums: one that is just the pseudo-header's sum is
				  finished */
	struct chain_sample sample;
	struct chain_dedup dedup;
	unsigned strip; /* CHAIN_STRIP_… */
	struct chain_mask mask;
	struct chain_slice slice;
	struct chain_stamp stamp;
	struct chain_encap encap;
};

enum chain_counter {
#define CHAIN_COUNTER(id, name, kind, sentence) CHAIN_##id,
#include "tables/chain.def"
#undef CHAIN_COUNTER
	CHAIN_COUNTERS
};
enum chain_counter_kind { CHAIN_KIND_IN, CHAIN_KIND_ADDED, CHAIN_KIND_OUT, CHAIN_KIND_LOSS, CHAIN_KIND_NOTE };
const char *chain_counter_name(enum chain_counter c);
const char *chain_counter_sentence(enum chain_counter c);
enum chain_counter_kind chain_counter_kind(enum chain_counter c);

struct chain;

/* 0; -EINVAL with what is wrong in why (may be NULL); -ENOMEM. */
int chain_new(struct chain **out, const struct chain_config *config, struct buf *why);
void chain_free(struct chain **c);

/* The packets that come out: valid until it returns. Their seen_len, flags, outer and outers are set. */
typedef void chain_out(void *ctx, const struct chain_packet *p);
/* Gives one packet to the chain: zero or more come out, in order. 0, or -ENOMEM (then nothing more comes out
 * of this packet, and it is not counted as out). */
int chain_run(struct chain *c, const struct chain_packet *p, chain_out *out, void *ctx);

/* CHAIN_COUNTERS numbers; in + added = out + losses holds after each chain_run(). */
const uint64_t *chain_counts(const struct chain *c);

/* A 64-bit number equal for both ways of a session: addresses, protocol, ports. Fragments: addresses and
 * identification, all alike (not their session's number). Not IP: MAC addresses and EtherType. */
enum {
	CHAIN_FLOW_INNER = 1 << 0,  /* of the packet inside VXLAN, Geneve, GRE, ERSPAN, IP in IP; MPLS */
	CHAIN_FLOW_QUOTED = 1 << 1, /* an ICMP error: the session that it quotes */
};
uint64_t chain_flow(const struct chain_packet *p, unsigned options, uint64_t seed);

#endif
