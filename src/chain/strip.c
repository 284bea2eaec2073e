/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strip: tunnels and MPLS stacks from the outside in, then VLAN tags of what is left, then padding. What
 * comes out is a whole Ethernet frame: one that a tunnel carried, or the outer one's addresses and tags
 * before the IP packet that it carried. What cannot be told for certain stays as it was, and is counted.
 */
#include "chain/state.h"

#include <errno.h>

static unsigned kinds_of(unsigned strip)
{
	unsigned kinds = 0;

	kinds |= strip & CHAIN_STRIP_VXLAN ? 1u << CHAIN_VXLAN : 0;
	kinds |= strip & CHAIN_STRIP_GENEVE ? 1u << CHAIN_GENEVE : 0;
	kinds |= strip & CHAIN_STRIP_GRE ? 1u << CHAIN_GRE : 0;
	kinds |= strip & CHAIN_STRIP_IPIP ? 1u << CHAIN_IPIP : 0;
	if (strip & CHAIN_STRIP_ERSPAN)
		kinds |= 1u << CHAIN_ERSPAN1 | 1u << CHAIN_ERSPAN2 | 1u << CHAIN_ERSPAN3;
	return kinds;
}

/* The packet's bytes from `at` on become all of it, up to `end`. */
static void cut_to(struct work *w, uint32_t at, uint32_t end)
{
	w->k.p += at;
	w->k.caplen = (w->k.caplen < end ? w->k.caplen : end) - at;
	w->k.len = end - at;
	w->has_layout = false;
}

/* The link header (to the EtherType's end) moves over what is taken off before `at`; its EtherType becomes
 * `type`. */
static int close_gap(struct work *w, uint32_t head, uint32_t at, uint32_t end, uint16_t type)
{
	uint8_t *p = work_own(w);

	if (!p)
		return -ENOMEM;
	memmove(p + at - head, p, head);
	if (type)
		set16(p + at - 2, type);
	cut_to(w, at - head, end);
	return 0;
}

static struct addr addr_at(const uint8_t *p, const struct layout *l, bool dst)
{
	struct addr a;

	if (l->version == 4)
		return addr_from4(get32(p + l->l3 + (dst ? 16 : 12)));
	memcpy(a.b, p + l->l3 + (dst ? 24 : 8), 16);
	return a;
}

static bool note_outer(struct work *w, const struct chain_outer *o)
{
	if (w->k.outers == CHAIN_OUTER_MAX) {
		count(w, CHAIN_TUNNEL_DEEP);
		return false;
	}
	w->k.outer[w->k.outers++] = *o;
	return true;
}

/* 1: taken off; 0: there is none, or it stays; -ENOMEM. */
static int tunnel(struct work *w, unsigned kinds)
{
	const struct layout *l = work_layout(w);
	const uint8_t *p = w->k.p;
	struct tunnel t;
	struct chain_outer o;
	int r;

	switch (tunnel_read(&t, p, w->k.caplen, l, kinds)) {
	case TUNNEL_NONE:
		return 0;
	case TUNNEL_NOT:
		count(w, CHAIN_TUNNEL_NONE);
		return 0;
	case TUNNEL_FRAGMENTED:
		count(w, CHAIN_TUNNEL_FRAGMENT);
		return 0;
	case TUNNEL_FOUND:
		break;
	}
	if (t.link == CHAIN_LINK_RAW &&
	    !l->type_at) { /* in a frame whose type cannot be set (802.3, PPPoE) */
		count(w, CHAIN_TUNNEL_NONE);
		return 0;
	}
	o = (struct chain_outer){t.kind, t.has_id, t.id, addr_at(p, l, false), addr_at(p, l, true)};
	if (!note_outer(w, &o))
		return 0;
	r = 0;
	if (t.link == CHAIN_LINK_ETHERNET)
		cut_to(w, t.inner, l->end);
	else
		r = close_gap(w, l->type_at + 2, t.inner, l->end, t.type);
	if (r)
		return r;
	count(w, CHAIN_STRIPPED_TUNNEL);
	return 1;
}

static bool is_frame(const uint8_t *p, uint32_t n)
{
	uint16_t type = n >= MACS + 2 ? get16(p + MACS) : 0;

	return type == TYPE_IP4 || type == TYPE_IP6 || type == TYPE_ARP || is_tag(type) || type == TYPE_MPLS;
}

/* MPLS names no protocol: IP by its version, a frame behind a control word (RFC 4385) or at once. */
static int stack(struct work *w)
{
	const struct layout *l = work_layout(w);
	uint32_t left = w->k.caplen - l->l3;
	const uint8_t *p = w->k.p + l->l3;
	struct chain_outer o = {.kind = CHAIN_MPLS, .has_id = true};
	uint32_t frame = 0;

	if (!l->labels)
		return 0;
	if (l->labels > LABELS_MAX) {
		count(w, CHAIN_MPLS_DEEP);
		return 0;
	}
	if (!l->version) {
		if (left > 4 && p[0] >> 4 == 0 && is_frame(p + 4, left - 4))
			frame = l->l3 + 4;
		else if (is_frame(p, left))
			frame = l->l3;
	}
	if (!frame && (!l->version || !l->type_at)) {
		count(w, CHAIN_MPLS_UNKNOWN);
		return 0;
	}
	o.id = get32(w->k.p + l->mpls_at) >> 12;
	if (!note_outer(w, &o))
		return 0;
	count(w, CHAIN_STRIPPED_MPLS);
	if (frame) {
		cut_to(w, frame, w->k.len);
		return 1;
	}
	int r = close_gap(w, l->type_at + 2, l->l3, w->k.len, l->version == 4 ? TYPE_IP4 : TYPE_IP6);

	return r ? r : 1;
}

static int tags(struct work *w, bool all)
{
	const struct layout *l = work_layout(w);
	uint32_t n = all ? l->tags : l->tags > 0;
	int r;

	if (!n)
		return 0;
	r = close_gap(w, MACS, MACS + TAG * n, w->k.len, 0);
	if (!r)
		count(w, CHAIN_STRIPPED_VLAN);
	return r;
}

static void padding(struct work *w)
{
	const struct layout *l = work_layout(w);

	if (!l->version || l->end >= w->k.len)
		return;
	cut_to(w, 0, l->end);
	count(w, CHAIN_STRIPPED_PADDING);
}

int strip(struct work *w)
{
	unsigned strip = w->c->config.strip, kinds = kinds_of(strip);
	int r = 1;

	if (!strip || !work_ethernet(w))
		return 0;
	while (r == 1) {
		r = strip & CHAIN_STRIP_MPLS ? stack(w) : 0;
		if (!r && kinds)
			r = tunnel(w, kinds);
	}
	if (!r && strip & (CHAIN_STRIP_VLAN | CHAIN_STRIP_VLANS))
		r = tags(w, strip & CHAIN_STRIP_VLANS);
	if (!r && strip & CHAIN_STRIP_PADDING)
		padding(w);
	return r;
}
