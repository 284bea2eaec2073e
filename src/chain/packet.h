/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet: bytes on their way to a tool, with what is known beside them. Plain values; the bytes are borrowed
 * and never written through it. Made by who captures, changed by a chain, read by who writes or sends.
 */
#ifndef WEFT_CHAIN_PACKET_H
#define WEFT_CHAIN_PACKET_H

#include "base/addr.h"

enum chain_link { /* LINKTYPE_ numbers of captures that the chain knows; others pass, by length alone */
		  CHAIN_LINK_NULL = 0,
		  CHAIN_LINK_ETHERNET = 1,
		  CHAIN_LINK_RAW_BSD = 12,
		  CHAIN_LINK_RAW_OPENBSD = 14,
		  CHAIN_LINK_RAW = 101,
		  CHAIN_LINK_LOOP = 108,
		  CHAIN_LINK_SLL = 113,
		  CHAIN_LINK_IP4 = 228,
		  CHAIN_LINK_IP6 = 229,
		  CHAIN_LINK_SLL2 = 276,
};

enum {
	/* Set by who captured. */
	PACKET_VLAN_BESIDE = 1 << 0, /* the outer tag is vlan_tci, vlan_tpid, not in p, caplen, len */
	PACKET_UNFINISHED = 1 << 1,  /* the checksum at csum_start + csum_offset is not computed yet */
	/* Set by the chain. */
	PACKET_MERGED = 1 << 8,	   /* several packets of the wire in one, not split */
	PACKET_DUPLICATE = 1 << 9, /* dedup that counts only */
	PACKET_MASKED = 1 << 10,
	PACKET_PART_MASKED = 1 << 11, /* some bytes to be masked are not in this packet */
	PACKET_SLICED = 1 << 12,
	PACKET_STAMPED = 1 << 13,
	PACKET_FRAGMENT = 1 << 14, /* one of several outer fragments */
};

/* A tunnel or MPLS stack that was taken off. */
struct chain_outer {
	enum chain_tunnel_kind {
		CHAIN_VXLAN = 1,
		CHAIN_GENEVE,
		CHAIN_GRE,
		CHAIN_ERSPAN1,
		CHAIN_ERSPAN2,
		CHAIN_ERSPAN3,
		CHAIN_IPIP,
		CHAIN_MPLS,
	} kind;
	bool has_id;
	uint32_t id;	      /* VNI, GRE key, ERSPAN session, outermost MPLS label */
	struct addr src, dst; /* outer; zero: MPLS */
};
enum { CHAIN_OUTER_MAX = 4 };

struct chain_packet {
	const uint8_t *p;
	uint32_t caplen; /* bytes at p */
	uint32_t len; /* of this packet if nothing were cut off: ≥ caplen; a capture's "original length" */
	uint32_t
	    seen_len;	 /* on the wire of its source, before the chain; 0 on the way in: len, and the tag */
	uint32_t link;	 /* LINKTYPE_… */
	uint32_t source; /* the caller's number; passed on */
	uint64_t time;	 /* ns since 1970; passed on */
	uint32_t flags;	 /* PACKET_… */
	uint16_t vlan_tci, vlan_tpid;	  /* PACKET_VLAN_BESIDE; tpid 0: 0x8100 */
	uint16_t csum_start, csum_offset; /* PACKET_UNFINISHED: bytes from p, as the kernel tells them */
	uint32_t gso_size; /* payload of each merged packet, as the kernel tells it; 0: not merged */
	unsigned outers;   /* what was taken off, outermost first */
	struct chain_outer outer[CHAIN_OUTER_MAX];
};

#endif
