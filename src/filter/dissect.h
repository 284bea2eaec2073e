/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dissect: the headers of a captured packet as numbers, once, for all tests on it. Never reads beyond caplen;
 * bounded work whatever the bytes are. Sees through up to four VLAN tags, through IPv6 extension headers
 * (RFC 8200), and to the ports of first fragments only.
 */
#ifndef WEFT_FILTER_DISSECT_H
#define WEFT_FILTER_DISSECT_H

#include "filter/filter.h"

enum {
	HAS_ETH = 1, /* smac, dmac */
	HAS_ETHERTYPE = 2,
	HAS_VLAN = 4,
	HAS_VLAN2 = 8,
	HAS_MPLS = 16,
	HAS_IP = 32, /* src, dst, proto, ttl, dscp */
	HAS_PORTS = 64,
	HAS_TCP = 128,	/* flags */
	HAS_ICMP = 256, /* type, code */
	HAS_TUNNEL = 512,
	HAS_VNI = 1024,
	HAS_ARP = 2048,
	HAS_FRAGMENT = 4096,  /* it is one */
	HAS_EXTENSION = 8192, /* IPv6 extension headers */
};

struct dissected {
	unsigned has; /* HAS_… */
	uint64_t smac, dmac;
	uint16_t ethertype;
	uint16_t vlan, vlan2; /* TCI, outer and inner */
	uint32_t mpls, vni;
	struct addr src, dst;
	uint8_t proto, ttl, dscp, tcp_flags, icmp_type, icmp_code;
	uint16_t sport, dport;
	uint32_t len;
};

/* False: the frame is cut short or contradicts itself before its transport header, or its link type is not
 * known: what was found until then is in out. */
bool dissect(struct dissected *out, const struct filter_packet *p);

#endif
