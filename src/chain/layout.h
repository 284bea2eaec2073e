/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layout: where the headers of a packet stand, found once for all actions. Never reads beyond caplen, bounded
 * work whatever the bytes are. Offsets are from the packet's first byte; those behind the captured bytes are
 * told as far as headers that are there tell them.
 */
#ifndef WEFT_CHAIN_LAYOUT_H
#define WEFT_CHAIN_LAYOUT_H

#include "chain/packet.h"

enum {
	TYPE_IP4 = 0x0800,
	TYPE_ARP = 0x0806,
	TYPE_ETHERNET = 0x6558, /* in GRE and Geneve: transparent Ethernet bridging */
	TYPE_IP6 = 0x86dd,
	TYPE_MPLS = 0x8847,
	TYPE_MPLS_MULTICAST = 0x8848,
};
enum {
	PROTO_ICMP = 1,
	PROTO_IGMP = 2,
	PROTO_IP4 = 4,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_IP6 = 41,
	PROTO_GRE = 47,
	PROTO_ICMP6 = 58,
	PROTO_SCTP = 132
};
enum { LABELS_MAX = 8, TAG = 4, MACS = 12 };

struct layout {
	bool ethernet;
	unsigned tags;	  /* VLAN tags, at MACS and on */
	uint16_t type;	  /* EtherType behind them, or what the link type says; 0: not known */
	uint32_t type_at; /* where that stands in an Ethernet frame; 0: it cannot be changed */
	uint32_t mpls_at; /* the stack, where there is one */
	unsigned labels;  /* 0: none; more than LABELS_MAX: deeper, or cut short */
	bool has_l3;
	uint32_t l3;	  /* behind link header, tags, MPLS */
	unsigned version; /* 4, 6: an IP header is there, whole; else 0 */
	uint32_t l4;	  /* behind IP and its extension headers; with version only */
	uint8_t proto;	  /* there */
	bool murky;	  /* extension headers that cannot be followed: l4 is where that ends */
	bool has_payload;
	uint32_t payload;      /* behind the transport header */
	uint32_t end;	       /* of the IP packet, padding left out; of other packets: len */
	uint32_t covered;      /* end of what the transport checksum covers: UDP's own length */
	bool fragment;	       /* any one */
	uint32_t fragment_at;  /* bytes of the datagram before it; above 0: a later one */
	uint32_t id;	       /* of a fragment, or IPv4's */
	uint32_t jumbo_at;     /* IPv6: hop-by-hop header that holds just the jumbo length; 0: none */
	uint32_t final_dst_at; /* IPv6 routing header under way: what the checksum takes for destination; 0:
				  none */
};

void layout_read(struct layout *l, const uint8_t *p, uint32_t caplen, uint32_t len, uint32_t link);

static inline bool layout_whole(const struct layout *l, uint32_t caplen)
{
	return caplen >= l->end;
}
static inline bool layout_later(const struct layout *l)
{
	return l->fragment && l->fragment_at;
}
static inline bool layout_has_ports(const struct layout *l)
{
	return l->version && !l->murky && !layout_later(l) &&
	       (l->proto == PROTO_TCP || l->proto == PROTO_UDP || l->proto == PROTO_SCTP);
}

/* The tunnel that the packet of this layout is, if any of `kinds` (bits of enum chain_tunnel_kind). */
struct tunnel {
	enum chain_tunnel_kind kind;
	bool has_id;
	uint32_t id, id_at; /* at: where it stands, 4 bytes from there hold it */
	uint32_t inner;	    /* offset of what it carries */
	uint32_t link;	    /* of that: Ethernet or raw IP */
	uint16_t type;	    /* of that: TYPE_… */
	bool plain;	    /* no checksum or number of its own that every packet carries anew */
};
enum tunnel_found { TUNNEL_NONE, TUNNEL_FOUND, TUNNEL_NOT, TUNNEL_FRAGMENTED };
/* NONE: nothing says tunnel; NOT: its port or protocol, and no such header; FRAGMENTED: a fragment of one. */
enum tunnel_found tunnel_read(struct tunnel *t, const uint8_t *p, uint32_t caplen, const struct layout *l,
			      unsigned kinds);
enum { TUNNELS_ALL = 0xffff };

/* The packet and what it carries, outermost first: as many as n of out. How many there are. Offsets are all
 * from p. */
unsigned layers_read(struct layout *out, struct tunnel *tunnels, unsigned n, const uint8_t *p,
		     uint32_t caplen, uint32_t len, uint32_t link);

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}
static inline void set16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}
static inline void set32(uint8_t *p, uint32_t v)
{
	set16(p, v >> 16);
	set16(p + 2, v);
}
static inline bool is_tag(uint16_t type)
{
	return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

#endif
