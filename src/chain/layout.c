/* SPDX-License-Identifier: Apache-2.0 */
/* Where headers stand: see layout.h. */
#include "chain/layout.h"

enum {
	MACSEC = 0x88e5,
	PPPOE_SESSION = 0x8864,
	PPP_IP4 = 0x21,
	PPP_IP6 = 0x57,
	SNAP = 8,
	EXTENSIONS_MAX = 32,
	TAGS_MAX = 8
};
enum { VXLAN_PORT = 4789, GENEVE_PORT = 6081 };

struct view {
	const uint8_t *p;
	uint32_t caplen, len;
};

static bool there(const struct view *v, uint32_t at, uint32_t n)
{
	return at <= v->caplen && n <= v->caplen - at;
}

static void transport(struct layout *l, const struct view *v)
{
	uint32_t at = l->l4, n;

	l->covered = l->end;
	switch (l->proto) {
	case PROTO_TCP:
		if (!there(v, at, 13) || v->p[at + 12] >> 4 < 5)
			return;
		l->payload = at + (v->p[at + 12] >> 4) * 4u;
		break;
	case PROTO_UDP:
		n = there(v, at, 6) ? get16(v->p + at + 4) : 0;
		if (n >= 8 && n <= l->end - at)
			l->covered = at + n;
		l->payload = at + 8;
		break;
	case PROTO_ICMP:
	case PROTO_ICMP6:
	case 136: /* UDP-Lite */
		l->payload = at + 8;
		break;
	case PROTO_SCTP:
		l->payload = at + 12;
		break;
	case 33: /* DCCP: in words */
		if (!there(v, at, 5) || v->p[at + 4] < 3)
			return;
		l->payload = at + v->p[at + 4] * 4u;
		break;
	default:
		return;
	}
	l->has_payload = true;
}

static void ip4(struct layout *l, const struct view *v)
{
	const uint8_t *p = v->p + l->l3;
	uint32_t head, total;
	uint16_t fragment;

	if (!there(v, l->l3, 20) || p[0] >> 4 != 4)
		return;
	head = (p[0] & 15u) * 4u;
	total = get16(p + 2);
	/* No total length: longer than it can say, or not filled in yet (BIG TCP). */
	if (head < 20 || !there(v, l->l3, head) || (total && total < head))
		return;
	l->version = 4;
	if (total && total < v->len - l->l3)
		l->end = l->l3 + total;
	l->l4 = l->l3 + head;
	l->proto = p[9];
	l->id = get16(p + 4);
	fragment = get16(p + 6);
	l->fragment = fragment & 0x3fff;
	l->fragment_at = (fragment & 0x1fffu) * 8;
	if (!layout_later(l))
		transport(l, v);
}

static bool is_extension(uint8_t next)
{
	return next == 0 || next == 43 || next == 44 || next == 51 || next == 60 || next == 135;
}

/* RFC 2675: a hop-by-hop header that holds the jumbo option alone, as Linux writes it. */
static void jumbo(struct layout *l, const struct view *v)
{
	const uint8_t *h = v->p + l->l4;
	uint32_t n;

	if (!there(v, l->l4, 8) || h[1] || h[2] != 0xc2 || h[3] != 4 || get16(v->p + l->l3 + 4))
		return;
	n = get32(h + 4);
	l->jumbo_at = l->l4;
	if (n < v->len - l->l3 - 40)
		l->end = l->l3 + 40 + n;
}

/* RFC 8200. The length of the extension header at l4; 0: it cannot be followed. */
static uint32_t extension(struct layout *l, const struct view *v, uint8_t next)
{
	const uint8_t *h = v->p + l->l4;

	if (!there(v, l->l4, 8))
		return 0;
	if (next == 0)
		jumbo(l, v);
	if (next == 44) {
		l->fragment = get16(h + 2) & 0xfff9; /* an atomic one (RFC 6946) is none */
		l->fragment_at = get16(h + 2) & 0xfff8u;
		l->id = get32(h + 4);
		return 8;
	}
	if (next == 43 && h[3] && h[1] >= 2 &&
	    there(v, l->l4, 8 + h[1] * 8u)) /* the last address is at the list's end */
		l->final_dst_at = h[2] == 4 ? l->l4 + 8 : l->l4 + 8 + (h[1] / 2u - 1) * 16u;
	return next == 51 ? (h[1] + 2u) * 4u : (h[1] + 1u) * 8u;
}

static void ip6(struct layout *l, const struct view *v)
{
	const uint8_t *p = v->p + l->l3;
	uint32_t total;

	if (!there(v, l->l3, 40) || p[0] >> 4 != 6)
		return;
	l->version = 6;
	total = get16(p + 4);
	if (total && total < v->len - l->l3 - 40)
		l->end = l->l3 + 40 + total;
	l->l4 = l->l3 + 40;
	l->proto = p[6];
	for (unsigned i = 0; is_extension(l->proto); i++) {
		uint32_t n = i < EXTENSIONS_MAX ? extension(l, v, l->proto) : 0;

		if (!n || !there(v, l->l4, n)) {
			l->murky = true;
			return;
		}
		l->proto = v->p[l->l4];
		l->l4 += n;
		if (layout_later(l)) {
			/* What follows in the first fragment is not here. */
			l->murky = is_extension(l->proto);
			return;
		}
	}
	transport(l, v);
}

static void network(struct layout *l, const struct view *v)
{
	if (l->l3 > v->len)
		return;
	l->has_l3 = true;
	if (l->type == TYPE_IP4)
		ip4(l, v);
	else if (l->type == TYPE_IP6)
		ip6(l, v);
}

static void by_version(struct layout *l, const struct view *v)
{
	if (!there(v, l->l3, 1))
		return;
	l->type = v->p[l->l3] >> 4 == 4 ? TYPE_IP4 : v->p[l->l3] >> 4 == 6 ? TYPE_IP6 : 0;
	network(l, v);
}

static void mpls(struct layout *l, const struct view *v)
{
	uint16_t type = l->type;

	l->mpls_at = l->l3;
	for (;;) {
		bool bottom;

		if (!there(v, l->l3, 4) || l->labels == LABELS_MAX) {
			l->labels = LABELS_MAX + 1;
			return;
		}
		bottom = v->p[l->l3 + 2] & 1;
		l->labels++;
		l->l3 += 4;
		if (bottom)
			break;
	}
	by_version(l, v);
	l->type = type;
}

static void typed(struct layout *l, const struct view *v)
{
	/* IEEE 802.1AE, not encrypted: an association number, perhaps a channel's, then what was there
	 * before. */
	if (l->type == MACSEC && there(v, l->l3, 16) && !(v->p[l->l3] & 0x8c)) {
		l->l3 += v->p[l->l3] & 0x20 ? 16 : 8;
		l->type = get16(v->p + l->l3 - 2);
		l->type_at = 0;
	}
	if (l->type == PPPOE_SESSION && there(v, l->l3, 8)) {
		uint16_t ppp = get16(v->p + l->l3 + 6);

		l->type = ppp == PPP_IP4 ? TYPE_IP4 : ppp == PPP_IP6 ? TYPE_IP6 : 0;
		l->type_at = 0;
		l->l3 += 8;
	}
	if (l->type == TYPE_MPLS || l->type == TYPE_MPLS_MULTICAST)
		mpls(l, v);
	else
		network(l, v);
}

static void ethernet(struct layout *l, const struct view *v, uint32_t at)
{
	static const uint8_t snap[6] = {0xaa, 0xaa, 3};

	l->l3 = at + MACS + 2;
	if (!there(v, at, MACS + 2))
		return;
	l->ethernet = true;
	l->type = get16(v->p + at + MACS);
	while (is_tag(l->type) && l->tags < TAGS_MAX) {
		if (!there(v, l->l3, TAG))
			return;
		l->type = get16(v->p + l->l3 + 2);
		l->tags++;
		l->l3 += TAG;
	}
	l->type_at = l->l3 - 2;
	if (l->type < 0x600 && there(v, l->l3, SNAP) && !memcmp(v->p + l->l3, snap, 6)) {
		l->type = get16(v->p + l->l3 + 6);
		l->type_at = 0;
		l->l3 += SNAP;
	} else if (l->type < 0x600) {
		l->type = 0;
		l->type_at = 0;
	}
	typed(l, v);
}

static void read_at(struct layout *l, const struct view *v, uint32_t at, uint32_t link)
{
	*l = (struct layout){.end = v->len, .l3 = at};
	switch (link) {
	case CHAIN_LINK_ETHERNET:
		ethernet(l, v, at);
		return;
	case CHAIN_LINK_NULL:
	case CHAIN_LINK_LOOP:
		l->l3 += 4;
		by_version(l, v);
		return;
	case CHAIN_LINK_RAW:
	case CHAIN_LINK_RAW_BSD:
	case CHAIN_LINK_RAW_OPENBSD:
	case CHAIN_LINK_IP4:
	case CHAIN_LINK_IP6:
		by_version(l, v);
		return;
	case CHAIN_LINK_SLL:
	case CHAIN_LINK_SLL2:
		l->l3 += link == CHAIN_LINK_SLL ? 16 : 20;
		if (!there(v, at, l->l3 - at))
			return;
		l->type = get16(v->p + at + (link == CHAIN_LINK_SLL ? 14 : 0));
		typed(l, v);
		return;
	default:
		return;
	}
}

void layout_read(struct layout *l, const uint8_t *p, uint32_t caplen, uint32_t len, uint32_t link)
{
	struct view v = {p, caplen, len};

	read_at(l, &v, 0, link);
}

/* RFC 7348: the I flag, and nothing of VXLAN-GPE. */
static bool vxlan(struct tunnel *t, const struct view *v, uint32_t at)
{
	if (!there(v, at, 8 + MACS + 2) || (v->p[at] & 0x0c) != 0x08)
		return false;
	*t = (struct tunnel){CHAIN_VXLAN,   true,   get32(v->p + at + 4) >> 8,
			     at + 4,	    at + 8, CHAIN_LINK_ETHERNET,
			     TYPE_ETHERNET, true};
	return true;
}

static bool carries(struct tunnel *t, uint16_t type)
{
	t->type = type;
	t->link = type == TYPE_ETHERNET ? CHAIN_LINK_ETHERNET : CHAIN_LINK_RAW;
	return type == TYPE_ETHERNET || type == TYPE_IP4 || type == TYPE_IP6 || type == TYPE_MPLS;
}

/* RFC 8926, version 0. */
static bool geneve(struct tunnel *t, const struct view *v, uint32_t at)
{
	uint32_t head;

	if (!there(v, at, 8) || v->p[at] >> 6)
		return false;
	head = 8 + (v->p[at] & 63u) * 4;
	*t = (struct tunnel){CHAIN_GENEVE, true, get32(v->p + at + 4) >> 8, at + 4, at + head, 0, 0, true};
	return there(v, at, head) && carries(t, get16(v->p + at + 2));
}

static bool erspan(struct tunnel *t, const struct view *v, uint32_t at, bool numbered, uint16_t type)
{
	uint32_t head = 8;

	t->type = TYPE_ETHERNET;
	t->link = CHAIN_LINK_ETHERNET;
	t->plain = false;
	if (type == 0x88be && !numbered) {
		t->kind = CHAIN_ERSPAN1;
		t->inner = at;
		return there(v, at, MACS + 2);
	}
	if (!there(v, at, 12) || v->p[at] >> 4 != (type == 0x88be ? 1 : 2))
		return false;
	t->kind = type == 0x88be ? CHAIN_ERSPAN2 : CHAIN_ERSPAN3;
	if (t->kind == CHAIN_ERSPAN3)
		head = v->p[at + 11] & 1 ? 20 : 12;
	t->has_id = true;
	t->id_at = at;
	t->id = get16(v->p + at + 2) & 0x3ff;
	t->inner = at + head;
	return there(v, at, head + MACS + 2);
}

/* RFC 2784, RFC 2890: version 0, no routing. */
static bool gre(struct tunnel *t, const struct view *v, uint32_t at)
{
	uint16_t flags, type;
	uint32_t head = 4;

	if (!there(v, at, 4))
		return false;
	flags = get16(v->p + at);
	type = get16(v->p + at + 2);
	if (flags & 0x4007)
		return false;
	*t = (struct tunnel){.kind = CHAIN_GRE, .plain = !(flags & 0x9000)};
	head += flags & 0x8000 ? 4 : 0;
	if (flags & 0x2000) {
		if (!there(v, at, head + 4))
			return false;
		t->has_id = true;
		t->id_at = at + head;
		t->id = get32(v->p + t->id_at);
		head += 4;
	}
	head += flags & 0x1000 ? 4 : 0;
	if (!there(v, at, head))
		return false;
	t->inner = at + head;
	if (type == 0x88be || type == 0x22eb)
		return erspan(t, v, t->inner, flags & 0x1000, type);
	return carries(t, type);
}

static bool ipip(struct tunnel *t, const struct view *v, const struct layout *l)
{
	unsigned version = l->proto == PROTO_IP4 ? 4 : 6;

	*t = (struct tunnel){.kind = CHAIN_IPIP, .inner = l->l4, .plain = true};
	carries(t, version == 4 ? TYPE_IP4 : TYPE_IP6);
	return there(v, l->l4, version == 4 ? 20 : 40) && v->p[l->l4] >> 4 == version;
}

enum tunnel_found tunnel_read(struct tunnel *t, const uint8_t *p, uint32_t caplen, const struct layout *l,
			      unsigned kinds)
{
	struct view v = {p, caplen < l->end ? caplen : l->end, l->end};
	unsigned gres = 1u << CHAIN_GRE | 1u << CHAIN_ERSPAN1 | 1u << CHAIN_ERSPAN2 | 1u << CHAIN_ERSPAN3;
	bool found;

	if (!l->version || l->murky)
		return TUNNEL_NONE;
	if (l->proto == PROTO_GRE && kinds & gres) {
		if (l->fragment)
			return TUNNEL_FRAGMENTED;
		found = gre(t, &v, l->l4);
	} else if ((l->proto == PROTO_IP4 || l->proto == PROTO_IP6) && kinds & 1u << CHAIN_IPIP) {
		if (l->fragment)
			return TUNNEL_FRAGMENTED;
		found = ipip(t, &v, l);
	} else if (l->proto == PROTO_UDP && !layout_later(l) && there(&v, l->l4, 8)) {
		uint16_t port = get16(p + l->l4 + 2);
		bool is_vxlan = port == VXLAN_PORT && kinds & 1u << CHAIN_VXLAN;

		if (!is_vxlan && !(port == GENEVE_PORT && kinds & 1u << CHAIN_GENEVE))
			return TUNNEL_NONE;
		if (l->fragment)
			return TUNNEL_FRAGMENTED;
		found = is_vxlan ? vxlan(t, &v, l->l4 + 8) : geneve(t, &v, l->l4 + 8);
	} else {
		return TUNNEL_NONE;
	}
	if (!found)
		return TUNNEL_NOT;
	return kinds & 1u << t->kind ? TUNNEL_FOUND : TUNNEL_NONE;
}

unsigned layers_read(struct layout *out, struct tunnel *tunnels, unsigned n, const uint8_t *p,
		     uint32_t caplen, uint32_t len, uint32_t link)
{
	struct view v = {p, caplen, len};
	unsigned got = 0;
	uint32_t at = 0;

	while (got < n) {
		struct layout *l = &out[got];

		read_at(l, &v, at, link);
		got++;
		if (got == n || tunnel_read(&tunnels[got - 1], p, v.caplen, l, TUNNELS_ALL) != TUNNEL_FOUND ||
		    tunnels[got - 1].type == TYPE_MPLS)
			break;
		at = tunnels[got - 1].inner;
		link = tunnels[got - 1].link;
		v.len = l->end;
		v.caplen = v.caplen < v.len ? v.caplen : v.len;
	}
	return got;
}
