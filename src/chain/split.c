/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as on the wire, second half: a packet that the kernel merged (GSO, GRO, BIG TCP) becomes the packets
 * that it stands for, also inside one tunnel: lengths, identifications, sequence numbers, flags and checksums
 * of every header as if each had been sent alone. Where that cannot be done it stays whole, and is marked.
 */
#include "chain/checksum.h"
#include "chain/state.h"

#include <errno.h>

enum { LAYERS = 3, JUMBO = 8, PIECE_MIN = 8 };
enum { FIN = 0x01, PSH = 0x08, CWR = 0x80, TCP_FLAGS = 13 };

struct merged {
	struct layout l[LAYERS]; /* outermost first; offsets in the heads */
	unsigned n;
	uint32_t heads;	     /* bytes before the payload, in the original */
	uint32_t end;	     /* of the payload there */
	uint32_t size;	     /* payload of each packet */
	bool no_sum[LAYERS]; /* UDP without a checksum */
};

/* False: not merged, or not to be told apart. */
static bool read_merged(struct merged *m, struct work *w)
{
	struct tunnel tunnels[LAYERS];
	const struct layout *in;
	uint32_t mtu = w->c->config.wire_mtu;

	m->n = layers_read(m->l, tunnels, LAYERS, w->k.p, w->k.caplen, w->k.len, w->k.link);
	in = &m->l[m->n - 1];
	if (!in->version || in->murky || in->fragment || !in->has_payload || in->payload > in->end ||
	    !layout_whole(in, w->k.caplen))
		return false;
	if (in->proto != PROTO_TCP && (in->proto != PROTO_UDP || !w->k.gso_size))
		return false;
	for (unsigned i = 0; i + 1 < m->n; i++)
		if (!tunnels[i].plain)
			return false;
	for (unsigned i = 0; i < m->n; i++)
		m->no_sum[i] = m->l[i].proto == PROTO_UDP && !get16(w->k.p + m->l[i].l4 + 6);
	m->heads = in->payload;
	m->end = in->end;
	if (w->k.gso_size)
		m->size = w->k.gso_size;
	else if (m->heads - m->l[0].l3 < mtu)
		m->size = mtu - (m->heads - m->l[0].l3);
	return m->size >= PIECE_MIN;
}

static bool is_merged(struct work *w)
{
	uint32_t mtu = w->c->config.wire_mtu;
	const struct layout *l;

	if (w->k.gso_size)
		return true;
	if (!mtu || w->k.len <= mtu)
		return false;
	l = work_layout(w);
	return l->version && !l->fragment && l->end - l->l3 > mtu;
}

static void shift(uint32_t *at, uint32_t from)
{
	if (*at > from)
		*at -= JUMBO;
}

/* The heads as each packet begins, without the jumbo lengths of IPv6 (RFC 2675), which no packet needs now.
 */
static uint32_t heads_of(struct merged *m, uint8_t *to, const uint8_t *from)
{
	uint32_t n = m->heads;

	memcpy(to, from, n);
	for (unsigned i = m->n; i--;) {
		uint32_t at = m->l[i].jumbo_at;

		if (!at)
			continue;
		to[m->l[i].l3 + 6] = to[at];
		memmove(to + at, to + at + JUMBO, n - at - JUMBO);
		n -= JUMBO;
		for (unsigned k = 0; k < m->n; k++) {
			shift(&m->l[k].l3, at);
			shift(&m->l[k].l4, at);
			shift(&m->l[k].payload, at);
			shift(&m->l[k].final_dst_at, at);
		}
	}
	return n;
}

static void fix_transport(const struct merged *m, unsigned i, uint8_t *p, uint32_t nth, bool last)
{
	const struct layout *l = &m->l[i];

	if (l->proto == PROTO_TCP) {
		set32(p + l->l4 + 4, get32(p + l->l4 + 4) + nth * m->size);
		if (!last)
			p[l->l4 + TCP_FLAGS] &= (uint8_t) ~(FIN | PSH);
		if (nth)
			p[l->l4 + TCP_FLAGS] &= (uint8_t)~CWR;
	} else if (l->proto == PROTO_UDP) {
		set16(p + l->l4 + 4, l->end - l->l4);
	}
	if (l->proto == PROTO_TCP || (l->proto == PROTO_UDP && !m->no_sum[i]))
		checksum_transport(p, l);
}

/* The nth packet of n bytes, whose heads are as in the original. */
static void fix(struct merged *m, uint8_t *p, uint32_t n, uint32_t nth, bool last)
{
	for (unsigned i = m->n; i--;) { /* innermost first: outer sums cover inner ones */
		struct layout *l = &m->l[i];

		l->end = l->covered = n;
		if (l->version == 4) {
			set16(p + l->l3 + 2, n - l->l3);
			set16(p + l->l3 + 4, get16(p + l->l3 + 4) + nth);
			checksum_ip4(p, l);
		} else {
			set16(p + l->l3 + 4, n - l->l3 - 40);
		}
		fix_transport(m, i, p, nth, last);
	}
}

static int pieces(struct work *w, struct merged *m, each_packet *each)
{
	uint32_t payload = m->end - m->heads, heads = m->heads, n = 0;
	size_t room = HEADROOM + (size_t)heads + (m->size < payload ? m->size : payload) + TAILROOM;
	struct area *area = &w->c->piece;
	struct layout as_read[LAYERS];

	if (area_room(area, room))
		return -ENOMEM;
	memcpy(as_read, m->l, sizeof(as_read));
	for (uint32_t at = 0; at < payload || !n; at += m->size, n++) {
		uint32_t piece = payload - at < m->size ? payload - at : m->size, head;
		struct work one = *w;
		uint8_t *p = area->p + HEADROOM;
		int r;

		memcpy(m->l, as_read, sizeof(as_read));
		head = heads_of(m, p, w->k.p);
		memcpy(p + head, w->k.p + heads + at, piece);
		fix(m, p, head + piece, n, at + piece == payload);
		one.k.p = p;
		one.k.caplen = one.k.len = one.k.seen_len = head + piece;
		one.k.gso_size = 0;
		one.k.flags &= ~(uint32_t)PACKET_UNFINISHED;
		one.own = true;
		one.area = area;
		one.has_layout = false;
		if (n)
			count(w, CHAIN_SPLIT_ADDED);
		r = each(&one);
		if (r)
			return r;
	}
	count(w, CHAIN_MERGED_SPLIT);
	return 0;
}

int split(struct work *w, each_packet *each)
{
	struct merged m = {.n = 0};
	int r = 0;

	if (!is_merged(w))
		return each(w);
	if (!w->c->config.keep_merged && read_merged(&m, w))
		return pieces(w, &m, each);
	count(w, w->c->config.keep_merged ? CHAIN_MERGED_MARKED : CHAIN_MERGED_WHOLE);
	w->k.flags |= PACKET_MERGED;
	if (w->k.flags & PACKET_UNFINISHED)
		r = finish_told(w);
	return r ? r : each(w);
}
