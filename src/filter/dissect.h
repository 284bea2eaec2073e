/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dissect: the headers of a captured packet as numbers, once, for all tests on it. Never reads beyond caplen;
 * bounded work whatever the bytes are. Sees through up to four VLAN tags, through IPv6 extension headers
 * (RFC 8200), and to the ports of first fragments only.
 */
#ifndef WEFT_FILTER_DISSECT_H
#define WEFT_FILTER_DISSECT_H

#include "filter/filter.h"
#include "seam/filter.h"

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

/* As filter_packet(), by headers that were found before: for who asks many filters of one packet. */
bool filter_dissected(const struct filter *f, const struct filter_packet *p, const struct dissected *d);

#endif
