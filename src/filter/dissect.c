/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of a packet: see dissect.h. */
#include "filter/dissect.h"

enum {
	ETH_IP4 = 0x0800,
	ETH_ARP = 0x0806,
	ETH_IP6 = 0x86dd,
	ETH_MPLS = 0x8847,
	ETH_MPLS_MULTICAST = 0x8848,
	VLANS_MAX = 4,
	EXTENSIONS_MAX = 8,
};
enum { /* LINKTYPE_ numbers of captures */
       LINK_NULL = 0,
       LINK_ETHERNET = 1,
       LINK_RAW_BSD = 12,
       LINK_RAW_OPENBSD = 14,
       LINK_RAW = 101,
       LINK_LOOP = 108,
       LINK_SLL = 113,
       LINK_IP4 = 228,
       LINK_IP6 = 229,
       LINK_SLL2 = 276,
};

struct bytes {
	const uint8_t *p;
	uint32_t n;
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static bool skip(struct bytes *b, uint32_t n)
{
	if (b->n < n)
		return false;
	b->p += n;
	b->n -= n;
	return true;
}

static bool is_vlan(uint16_t type)
{
	return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

static void tunnel(struct dissected *d, struct bytes b)
{
	d->has |= HAS_TUNNEL;
	if (d->proto == 47) { /* GRE, RFC 2890: key where bit 2 is set, behind the checksum where bit 0 is */
		uint32_t at = b.n >= 4 && b.p[0] & 0x80 ? 8 : 4;

		if (b.n >= at + 4 && b.p[0] & 0x20) {
			d->vni = get32(b.p + at);
			d->has |= HAS_VNI;
		}
	}
}

/* VXLAN (RFC 7348) and Geneve (RFC 8926) by their ports, when the header says that it has a number. */
static void udp_tunnel(struct dissected *d, struct bytes b)
{
	if (!skip(&b, 8) || b.n < 8 || (d->dport != 4789 && d->dport != 6081))
		return;
	if (d->dport == 4789 ? !(b.p[0] & 0x08) : b.p[0] >> 6)
		return;
	d->has |= HAS_TUNNEL | HAS_VNI;
	d->vni = get32(b.p + 4) >> 8;
}

static bool transport(struct dissected *d, struct bytes b)
{
	switch (d->proto) {
	case 6:
	case 17:
	case 132:
		if (b.n < 4)
			return false;
		d->sport = get16(b.p);
		d->dport = get16(b.p + 2);
		d->has |= HAS_PORTS;
		if (d->proto == 17)
			udp_tunnel(d, b);
		if (d->proto != 6)
			return true;
		if (b.n < 14)
			return false;
		d->tcp_flags = b.p[13];
		d->has |= HAS_TCP;
		return true;
	case 1:
	case 58:
		if (b.n < 2)
			return false;
		d->icmp_type = b.p[0];
		d->icmp_code = b.p[1];
		d->has |= HAS_ICMP;
		return true;
	case 4:
	case 41:
	case 47:
		tunnel(d, b);
		return true;
	default:
		return true;
	}
}

static bool ip4(struct dissected *d, struct bytes b)
{
	uint32_t head = b.n ? (b.p[0] & 15u) * 4u : 0;
	uint16_t fragment;

	if (b.n < 20 || b.p[0] >> 4 != 4 || head < 20)
		return false;
	d->src = addr_from4(get32(b.p + 12));
	d->dst = addr_from4(get32(b.p + 16));
	d->proto = b.p[9];
	d->ttl = b.p[8];
	d->dscp = b.p[1] >> 2;
	d->has |= HAS_IP;
	fragment = get16(b.p + 6);
	if (fragment & 0x3fff)
		d->has |= HAS_FRAGMENT;
	if (fragment & 0x1fff)
		return true;
	return skip(&b, head) && transport(d, b);
}

/* RFC 8200: hop-by-hop 0, routing 43, fragment 44, destination options 60, mobility 135, and AH 51 (in
 * words). */
static bool ip6(struct dissected *d, struct bytes b)
{
	uint8_t next;

	if (b.n < 40 || b.p[0] >> 4 != 6)
		return false;
	memcpy(d->src.b, b.p + 8, 16);
	memcpy(d->dst.b, b.p + 24, 16);
	next = b.p[6];
	d->ttl = b.p[7];
	d->dscp = (uint8_t)(get16(b.p) >> 6 & 63);
	d->proto = next;
	d->has |= HAS_IP;
	skip(&b, 40);
	for (unsigned i = 0; i < EXTENSIONS_MAX; i++) {
		uint32_t len = 8;

		if (next != 0 && next != 43 && next != 44 && next != 60 && next != 135 && next != 51) {
			d->proto = next;
			return transport(d, b);
		}
		d->has |= HAS_EXTENSION;
		d->proto = next;
		if (b.n < 8)
			return false;
		if (next == 44) {
			bool later = get16(b.p + 2) & 0xfff8;

			d->has |= HAS_FRAGMENT;
			next = b.p[0];
			if (later) {
				d->proto = next;
				return true;
			}
		} else {
			len = next == 51 ? (b.p[1] + 2u) * 4u : (b.p[1] + 1u) * 8u;
			next = b.p[0];
		}
		if (!skip(&b, len))
			return false;
	}
	return false;
}

static bool network(struct dissected *d, struct bytes b, uint16_t type)
{
	d->ethertype = type;
	d->has |= HAS_ETHERTYPE;
	switch (type) {
	case ETH_IP4:
		return ip4(d, b);
	case ETH_IP6:
		return ip6(d, b);
	case ETH_ARP:
		d->has |= HAS_ARP;
		return true;
	case ETH_MPLS:
	case ETH_MPLS_MULTICAST:
		if (b.n < 4)
			return false;
		d->mpls = get32(b.p) >> 12;
		d->has |= HAS_MPLS;
		return true;
	default:
		return true;
	}
}

static void tag(struct dissected *d, unsigned i, uint16_t tci)
{
	if (i == 0) {
		d->vlan = tci;
		d->has |= HAS_VLAN;
	} else if (i == 1) {
		d->vlan2 = tci;
		d->has |= HAS_VLAN2;
	}
}

static bool ethernet(struct dissected *d, struct bytes b, const struct filter_packet *p)
{
	unsigned tags = 0;
	uint16_t type;

	if (b.n < 14)
		return false;
	d->dmac = (uint64_t)get16(b.p) << 32 | get32(b.p + 2);
	d->smac = (uint64_t)get16(b.p + 6) << 32 | get32(b.p + 8);
	d->has |= HAS_ETH;
	type = get16(b.p + 12);
	skip(&b, 14);
	if (p->vlan_in_meta)
		tag(d, tags++, p->vlan_tci);
	while (is_vlan(type)) {
		if (b.n < 4 || tags == VLANS_MAX)
			return false;
		tag(d, tags++, get16(b.p));
		type = get16(b.p + 2);
		skip(&b, 4);
	}
	if (type < 0x600) /* IEEE 802.3: a length */
		return true;
	return network(d, b, type);
}

static bool by_version(struct dissected *d, struct bytes b)
{
	if (!b.n)
		return false;
	return b.p[0] >> 4 == 4 ? network(d, b, ETH_IP4) : b.p[0] >> 4 == 6 && network(d, b, ETH_IP6);
}

bool dissect(struct dissected *d, const struct filter_packet *p)
{
	struct bytes b = {p->p, p->caplen};
	uint16_t type;

	memset(d, 0, sizeof(*d));
	d->len = p->len + (p->vlan_in_meta ? 4 : 0);
	switch (p->link) {
	case LINK_ETHERNET:
		return ethernet(d, b, p);
	case LINK_RAW:
	case LINK_RAW_BSD:
	case LINK_RAW_OPENBSD:
		return by_version(d, b);
	case LINK_IP4:
		return network(d, b, ETH_IP4);
	case LINK_IP6:
		return network(d, b, ETH_IP6);
	case LINK_NULL: /* the family in the capturing machine's order, whose numbers differ: by version */
	case LINK_LOOP:
		return skip(&b, 4) && by_version(d, b);
	case LINK_SLL:
		if (b.n < 16)
			return false;
		type = get16(b.p + 14);
		skip(&b, 16);
		return type < 0x600 || network(d, b, type);
	case LINK_SLL2:
		if (b.n < 20)
			return false;
		type = get16(b.p);
		skip(&b, 20);
		return type < 0x600 || network(d, b, type);
	default:
		return false;
	}
}
