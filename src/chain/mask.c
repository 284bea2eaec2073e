/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mask: the union of all ranges becomes the fill byte. Ranges count in the datagram: in a later fragment the
 * part of them that lies there is masked. Where it cannot be told where a header ends (TCP's in a later
 * fragment, extension headers that cannot be followed) more is masked, never less.
 *
 * Checksums are changed by what was masked (RFC 1624), so a wrong one stays wrong, and one of a packet that
 * is cut off becomes right for the whole. Those of fragments stand in another packet: left as on the wire.
 */
#include "chain/checksum.h"
#include "chain/state.h"

#include <errno.h>

enum { SPANS_MAX = CHAIN_RANGES_MAX + 8, TCP_MIN = 20, TCP_MAX = 60 };

struct span {
	uint32_t from, to; /* offsets of the packet; to is behind it */
};

struct spans {
	struct span s[SPANS_MAX + 4];
	unsigned n;
	bool missing; /* some of it is not in this packet */
};

static void add(struct spans *all, const struct work *w, uint64_t from, uint64_t to)
{
	if (to > w->k.len)
		to = w->k.len;
	if (from >= to)
		return;
	if (to > w->k.caplen) {
		all->missing = true;
		to = w->k.caplen;
	}
	if (from < to)
		all->s[all->n++] = (struct span){(uint32_t)from, (uint32_t)to};
}

/* Bytes [a, b) of a datagram's transport part; b UINT64_MAX: to the end. */
static void add_transport(struct spans *all, const struct work *w, const struct layout *l, uint64_t a,
			  uint64_t b)
{
	uint64_t here = l->fragment ? l->fragment_at : 0, there = here + (l->end - l->l4);

	if (l->fragment && b != UINT64_MAX && (a < here || b > there))
		all->missing = true;
	a = a > here ? a - here : 0;
	if (b == UINT64_MAX)
		add(all, w, l->l4 + a, w->k.len);
	else if (b > here)
		add(all, w, l->l4 + a, l->l4 + (b - here));
}

static void add_payload(struct spans *all, const struct work *w, const struct layout *l, uint64_t a,
			uint64_t b)
{
	uint64_t head = l->has_payload ? l->payload - l->l4 : 0, most = head;

	if (layout_later(l)) {
		head = l->proto == PROTO_TCP ? TCP_MIN : l->proto == PROTO_SCTP ? 12 : 8;
		most = l->proto == PROTO_TCP ? TCP_MAX : head;
	} else if (!l->has_payload && l->proto == PROTO_TCP) {
		/* Cut off or contradictory: all behind IP is taken for payload, further on too. */
		most = TCP_MAX;
	}
	add_transport(all, w, l, head + a, b == UINT64_MAX ? b : most + b);
}

static void add_range(struct spans *all, struct work *w, const struct chain_range *r)
{
	const struct layout *l = work_layout(w);
	uint64_t a = r->offset, b = r->len ? a + r->len : UINT64_MAX;

	switch (r->from) {
	case CHAIN_L2:
		add(all, w, a, b);
		return;
	case CHAIN_L3:
		if (l->has_l3)
			add(all, w, l->l3 + a, b == UINT64_MAX ? b : l->l3 + b);
		return;
	case CHAIN_L4:
	case CHAIN_PAYLOAD:
		break;
	}
	if (!l->version) {
		/* An IP packet whose header is not there: nothing can be told of its rest. */
		if (l->type == TYPE_IP4 || l->type == TYPE_IP6) {
			all->missing = true;
			add(all, w, l->l3, UINT64_MAX);
		}
	} else if (l->murky) {
		all->missing |= w->k.caplen < w->k.len;
		add(all, w, l->l4, UINT64_MAX);
	} else if (r->from == CHAIN_L4) {
		add_transport(all, w, l, a, b);
	} else {
		add_payload(all, w, l, a, b);
	}
}

/* Addresses: of the frame, of IP, of what ARP tells (of Ethernet and IPv4). */
static void add_addresses(struct spans *all, struct work *w, unsigned fields)
{
	const struct layout *l = work_layout(w);
	const uint8_t *p = w->k.p + l->l3;
	bool ip = fields & (CHAIN_MASK_SRC_IP | CHAIN_MASK_DST_IP);
	uint32_t n = l->type == TYPE_IP6 ? 16 : 4, at = l->l3 + (n == 16 ? 8 : 12);

	if (l->ethernet && fields & CHAIN_MASK_DST_MAC)
		add(all, w, 0, 6);
	if (l->ethernet && fields & CHAIN_MASK_SRC_MAC)
		add(all, w, 6, MACS);
	if (l->type == TYPE_ARP && w->k.caplen >= l->l3 + 8u && get16(p + 2) == TYPE_IP4 && p[4] == 6 &&
	    p[5] == 4) {
		if (fields & CHAIN_MASK_SRC_MAC)
			add(all, w, l->l3 + 8, l->l3 + 14);
		if (fields & CHAIN_MASK_SRC_IP)
			add(all, w, l->l3 + 14, l->l3 + 18);
		if (fields & CHAIN_MASK_DST_MAC)
			add(all, w, l->l3 + 18, l->l3 + 24);
		if (fields & CHAIN_MASK_DST_IP)
			add(all, w, l->l3 + 24, l->l3 + 28);
	} else if (ip && (l->version || l->type == TYPE_IP4 || l->type == TYPE_IP6)) {
		if (l->labels && l->version == 6) {
			n = 16;
			at = l->l3 + 8;
		}
		if (fields & CHAIN_MASK_SRC_IP)
			add(all, w, at, at + n);
		if (fields & CHAIN_MASK_DST_IP)
			add(all, w, at + n, at + 2 * n);
		if (fields & CHAIN_MASK_DST_IP && l->final_dst_at)
			add(all, w, l->final_dst_at, l->final_dst_at + 16);
	}
}

static void add_ports(struct spans *all, struct work *w, unsigned fields)
{
	const struct layout *l = work_layout(w);

	if (!layout_has_ports(l))
		return;
	if (fields & CHAIN_MASK_SRC_PORT)
		add(all, w, l->l4, l->l4 + 2);
	if (fields & CHAIN_MASK_DST_PORT)
		add(all, w, l->l4 + 2, l->l4 + 4);
}

/* In order and apart. */
static void unite(struct spans *all)
{
	unsigned n = 0;

	for (unsigned i = 1; i < all->n; i++)
		for (unsigned k = i; k && all->s[k].from < all->s[k - 1].from; k--) {
			struct span s = all->s[k];

			all->s[k] = all->s[k - 1];
			all->s[k - 1] = s;
		}
	for (unsigned i = 0; i < all->n; i++) {
		if (n && all->s[i].from <= all->s[n - 1].to) {
			if (all->s[i].to > all->s[n - 1].to)
				all->s[n - 1].to = all->s[i].to;
		} else {
			all->s[n++] = all->s[i];
		}
	}
	all->n = n;
}

/* Takes [from, from + n) out: a checksum that is going to be written right. */
static void spare(struct spans *all, uint32_t from, uint32_t n)
{
	unsigned k = all->n;

	for (unsigned i = 0; i < k; i++) {
		struct span *s = &all->s[i];

		if (s->to <= from || s->from >= from + n)
			continue;
		if (s->from < from && s->to > from + n)
			all->s[all->n++] = (struct span){from + n, s->to};
		if (s->from < from)
			s->to = from;
		else
			s->from = s->to < from + n ? s->to : from + n;
	}
}

static bool covers(const struct spans *all, uint32_t from, uint32_t to)
{
	for (unsigned i = 0; i < all->n; i++)
		if (all->s[i].from < to && all->s[i].to > from)
			return true;
	return false;
}

/* What the masked bytes of [from, to) add to a sum that begins there. */
static uint64_t part(const struct spans *all, const uint8_t *p, uint32_t from, uint32_t to)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < all->n; i++) {
		uint32_t a = all->s[i].from > from ? all->s[i].from : from;
		uint32_t b = all->s[i].to < to ? all->s[i].to : to;

		if (a < b)
			sum = sum_add_at(sum, p + a, b - a, (a - from) & 1);
	}
	return sum;
}

struct sums {
	bool ip4, transport, crc;
	struct transport_sum t;
	uint64_t ip4_part, transport_part;
};

static uint64_t transport_part(const struct spans *all, const uint8_t *p, const struct layout *l,
			       const struct transport_sum *t)
{
	uint64_t sum = part(all, p, l->l4, l->covered);
	uint32_t src = l->l3 + (l->version == 4 ? 12 : 8), n = l->version == 4 ? 4 : 16;
	uint32_t dst = l->final_dst_at ? l->final_dst_at : src + n;

	if (t->pseudo)
		sum = sum_fold(part(all, p, src, src + n)) + sum_fold(part(all, p, dst, dst + n)) +
		      (uint64_t)sum_fold(sum);
	return sum;
}

/* Before the bytes change: what checksums can be kept right, and what the bytes that go added to them. */
static struct sums sums_before(struct work *w, struct spans *all, const struct layout *l)
{
	struct sums s = {.t = transport_sum(l)};
	const uint8_t *p = w->k.p;
	uint32_t size = s.t.crc ? 4 : 2;

	if (!w->c->config.mask.fix_checksums || !l->version)
		return s;
	s.ip4 = l->version == 4;
	s.transport = s.t.at && s.t.at + size <= l->covered && s.t.at + size <= w->k.caplen;
	if (s.t.crc)
		s.crc = s.transport && layout_whole(l, w->k.caplen) && !l->fragment && checksum_right(p, l);
	else if (s.transport && s.t.zero && !get16(p + s.t.at))
		s.transport = false; /* none was sent */
	if (l->fragment || !s.t.at || (s.t.crc && !s.crc)) {
		if (covers(all, l->l4, l->end))
			count(w, CHAIN_CHECKSUM_LEFT);
		if (s.transport)
			spare(all, s.t.at, size);
		s.transport = false;
	}
	if (s.ip4)
		spare(all, l->l3 + 10, 2);
	if (s.transport)
		spare(all, s.t.at, size);
	s.ip4_part = s.ip4 ? part(all, p, l->l3, l->l4) : 0;
	s.transport_part = s.transport ? transport_part(all, p, l, &s.t) : 0;
	return s;
}

/* RFC 1624: ~(~sum + ~old + new). */
static void change(uint8_t *at, uint64_t old, uint64_t new, bool never_zero)
{
	uint16_t sum, was = sum_fold(old), is = sum_fold(new);

	memcpy(&sum, at, 2);
	if (was == is)
		return;
	sum = (uint16_t)~sum_fold((uint64_t)(uint16_t)~sum + (uint16_t)~was + is);
	if (!sum && never_zero)
		sum = 0xffff;
	memcpy(at, &sum, 2);
}

static void sums_after(uint8_t *p, const struct spans *all, const struct layout *l, const struct sums *s)
{
	if (s->ip4)
		change(p + l->l3 + 10, s->ip4_part, part(all, p, l->l3, l->l4), false);
	if (s->crc)
		checksum_transport(p, l);
	else if (s->transport)
		change(p + s->t.at, s->transport_part, transport_part(all, p, l, &s->t),
		       l->proto == PROTO_UDP);
}

int mask(struct work *w)
{
	const struct chain_mask *m = &w->c->config.mask;
	struct spans all = {.n = 0};
	const struct layout *l;
	struct sums s;
	uint8_t *p;

	if (!m->n && !m->fields)
		return 0;
	l = work_layout(w);
	for (unsigned i = 0; i < m->n; i++)
		add_range(&all, w, &m->ranges[i]);
	if (m->fields) {
		add_addresses(&all, w, m->fields);
		add_ports(&all, w, m->fields);
	}
	if (all.missing) {
		count(w, CHAIN_UNMASKABLE);
		w->k.flags |= PACKET_PART_MASKED;
	}
	if (!all.n)
		return 0;
	unite(&all);
	p = work_own(w);
	if (!p)
		return -ENOMEM;
	s = sums_before(w, &all, l);
	for (unsigned i = 0; i < all.n; i++)
		memset(p + all.s[i].from, m->fill, all.s[i].to - all.s[i].from);
	sums_after(p, &all, l, &s);
	w->k.flags |= PACKET_MASKED;
	count(w, CHAIN_MASKED);
	return 0;
}
