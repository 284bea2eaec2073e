/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chain: bytes as on the wire (BR65 to BR70), strip (BR52 to BR56), tunnels (BR48, BR58, BR60, BR62, BR63)
 * and the numbers of sessions that sampling and tool groups share (BR26, BR27, BR34), on built packets.
 */
#include "chain_packets.h"

static struct frame a, b;

static struct outs once(const struct chain_config *config, const struct chain_packet *k,
			uint64_t counts[CHAIN_COUNTERS])
{
	struct chain *c = chain_of(config);
	struct outs o = through(c, k);

	memcpy(counts, chain_counts(c), CHAIN_COUNTERS * sizeof(*counts));
	chain_free(&c);
	return o;
}

static uint64_t n[CHAIN_COUNTERS];

static void stripped(struct frame *in, unsigned strip, const struct frame *want, enum chain_counter counter)
{
	struct chain_packet k = captured(in);
	struct outs o = once(&(struct chain_config){.strip = strip}, &k, n);

	assert_int_equal(o.n, 1);
	assert_int_equal(n[counter], 1);
	assert_int_equal(o.k[0].len, want->n);
	assert_int_equal(o.k[0].caplen, want->n);
	assert_memory_equal(o.k[0].p, want->p, want->n);
	assert_int_equal(o.k[0].seen_len, in->n);
	drop_outs(&o);
}

static void tags(void **state)
{
	(void)state;
	tag(tag(plain(&a, 50, 1), 0x8100, 7), 0x88a8, 300);
	tag(plain(&b, 50, 1), 0x8100, 7);
	stripped(&a, CHAIN_STRIP_VLAN, &b, CHAIN_STRIPPED_VLAN);
	plain(&b, 50, 1);
	stripped(&a, CHAIN_STRIP_VLANS, &b, CHAIN_STRIPPED_VLAN);
	/* A priority tag is a tag; nothing is done to what has none. */
	tag(plain(&a, 50, 1), 0x8100, 0xa000);
	stripped(&a, 0, &a, CHAIN_OUT);
	stripped(&a, CHAIN_STRIP_VLAN, &b, CHAIN_STRIPPED_VLAN);
	stripped(&b, CHAIN_STRIP_VLANS, &b, CHAIN_OUT);
	assert_int_equal(n[CHAIN_STRIPPED_VLAN], 0);
}

static void vxlans(void **state)
{
	struct chain_packet k;
	struct outs o;

	(void)state;
	tag(vxlan(tag(plain(&a, 50, 1), 0x8100, 7), 1234), 0x8100, 9);
	tag(plain(&b, 50, 1), 0x8100, 7);
	stripped(&a, CHAIN_STRIP_VXLAN, &b, CHAIN_STRIPPED_TUNNEL);
	k = captured(&a);
	o = once(&(struct chain_config){.strip = CHAIN_STRIP_VXLAN}, &k, n);
	assert_int_equal(o.k[0].outers, 1);
	assert_true(o.k[0].outer[0].kind == CHAIN_VXLAN && o.k[0].outer[0].has_id &&
		    o.k[0].outer[0].id == 1234);
	assert_int_equal(addr_to4(&o.k[0].outer[0].src), 0x0a010101);
	assert_int_equal(addr_to4(&o.k[0].outer[0].dst), 0x0a010102);
	drop_outs(&o);
	/* Padding of the outer frame is not the inner one's. */
	memset(a.p + a.n, 0, 9);
	a.n += 9;
	stripped(&a, CHAIN_STRIP_VXLAN, &b, CHAIN_STRIPPED_TUNNEL);
	/* No VXLAN on its port; a fragment of one; five deep. */
	eth(ip4(udp(payload(&a, 60, 1), 7, 4789), 1, 2, 17, 1), 0x0800);
	a.p[42] = 0;
	stripped(&a, CHAIN_STRIP_VXLAN, &a, CHAIN_TUNNEL_NONE);
	vxlan(plain(&a, 50, 1), 1);
	be16(a.p + 20, 0x2000);
	stripped(&a, CHAIN_STRIP_VXLAN, &a, CHAIN_TUNNEL_FRAGMENT);
	plain(&b, 10, 1);
	vxlan(&b, 1);
	plain(&a, 10, 1);
	for (unsigned i = 0; i < 5; i++)
		vxlan(&a, 1);
	stripped(&a, CHAIN_STRIP_VXLAN, &b, CHAIN_TUNNEL_DEEP);
}

static void put_gre(struct frame *f, unsigned flags, unsigned type, uint32_t more, uint32_t key)
{
	uint8_t *p = before(f, 4 + (more ? 4 : 0));

	be16(p, flags);
	be16(p + 2, type);
	if (more)
		be32(p + 4, key);
	eth(ip4(f, 0x0a010101, 0x0a010102, 47, 9), 0x0800);
}

static void other_tunnels(void **state)
{
	struct chain_packet k;
	struct outs o;
	uint8_t *p;

	(void)state;
	/* GRE with a key and Ethernet; GRE with IP: the outer frame's addresses stay. */
	plain(&b, 50, 1);
	plain(&a, 50, 1);
	put_gre(&a, 0x2000, 0x6558, 1, 4242);
	stripped(&a, CHAIN_STRIP_GRE, &b, CHAIN_STRIPPED_TUNNEL);
	k = captured(&a);
	o = once(&(struct chain_config){.strip = CHAIN_STRIP_GRE}, &k, n);
	assert_true(o.k[0].outer[0].kind == CHAIN_GRE && o.k[0].outer[0].id == 4242);
	drop_outs(&o);
	ip6(tcp(payload(&a, 50, 1), 1, 2, 3, 2, 0), 1, 2, 6);
	put_gre(&a, 0, 0x86dd, 0, 0);
	eth(ip6(tcp(payload(&b, 50, 1), 1, 2, 3, 2, 0), 1, 2, 6), 0x86dd);
	stripped(&a, CHAIN_STRIP_GRE, &b, CHAIN_STRIPPED_TUNNEL);
	memset(a.p + a.n, 0, 7); /* padding of the outer frame */
	a.n += 7;
	stripped(&a, CHAIN_STRIP_GRE, &b, CHAIN_STRIPPED_TUNNEL);
	stripped(&a, CHAIN_STRIP_VXLAN | CHAIN_STRIP_ERSPAN | CHAIN_STRIP_IPIP, &a, CHAIN_OUT);
	/* IP in IP, behind a tag: it stays. */
	ip6(tcp(payload(&a, 50, 1), 1, 2, 3, 2, 0), 1, 2, 6);
	tag(eth(ip4(&a, 1, 2, 41, 9), 0x0800), 0x8100, 5);
	tag(&b, 0x8100, 5);
	stripped(&a, CHAIN_STRIP_IPIP, &b, CHAIN_STRIPPED_TUNNEL);
	/* ERSPAN I, II, III (with its further header). */
	plain(&b, 50, 1);
	plain(&a, 50, 1);
	put_gre(&a, 0, 0x88be, 0, 0);
	stripped(&a, CHAIN_STRIP_ERSPAN, &b, CHAIN_STRIPPED_TUNNEL);
	plain(&a, 50, 1);
	p = before(&a, 8);
	be32(p, 0x10000000 | 77);
	put_gre(&a, 0x1000, 0x88be, 1, 5);
	stripped(&a, CHAIN_STRIP_ERSPAN, &b, CHAIN_STRIPPED_TUNNEL);
	plain(&a, 50, 1);
	p = before(&a, 20);
	be32(p, 0x20000000 | 78);
	p[11] = 1;
	put_gre(&a, 0x1000, 0x22eb, 1, 5);
	stripped(&a, CHAIN_STRIP_ERSPAN, &b, CHAIN_STRIPPED_TUNNEL);
	/* Geneve with options. */
	plain(&a, 50, 1);
	p = before(&a, 16);
	p[0] = 2;
	be16(p + 2, 0x6558);
	be32(p + 4, 99 << 8);
	eth(ip6(udp(&a, 7, 6081), 1, 2, 17), 0x86dd);
	stripped(&a, CHAIN_STRIP_GENEVE, &b, CHAIN_STRIPPED_TUNNEL);
	/* Version 1 of GRE is none of these. */
	plain(&a, 50, 1);
	put_gre(&a, 0x2001, 0x880b, 1, 5);
	stripped(&a, CHAIN_STRIP_GRE, &a, CHAIN_TUNNEL_NONE);
}

static void labels(struct frame *f, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		be32(before(f, 4), (16 + i) << 12 | (i ? 0 : 0x100u) | 64);
	eth(f, 0x8847);
}

static void mpls(void **state)
{
	static const unsigned depths[] = {1, 2, 8, 9};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		ip4(tcp(payload(&a, 50, 1), 1, 2, 3, 2, 0), 1, 2, 6, 9);
		labels(&a, depths[i]);
		eth(ip4(tcp(payload(&b, 50, 1), 1, 2, 3, 2, 0), 1, 2, 6, 9), 0x0800);
		if (depths[i] <= 8)
			stripped(&a, CHAIN_STRIP_MPLS, &b, CHAIN_STRIPPED_MPLS);
		else
			stripped(&a, CHAIN_STRIP_MPLS, &a, CHAIN_MPLS_DEEP);
	}
	/* A frame in it, with and without a control word; something else. */
	plain(&a, 50, 1);
	before(&a, 4);
	labels(&a, 2);
	plain(&b, 50, 1);
	stripped(&a, CHAIN_STRIP_MPLS, &b, CHAIN_STRIPPED_MPLS);
	plain(&a, 50, 1);
	labels(&a, 3);
	stripped(&a, CHAIN_STRIP_MPLS, &b, CHAIN_STRIPPED_MPLS);
	payload(&a, 50, 1);
	a.p[0] = 0xf0;
	labels(&a, 1);
	stripped(&a, CHAIN_STRIP_MPLS, &a, CHAIN_MPLS_UNKNOWN);
	/* A stack that never ends. */
	payload(&a, 3, 1);
	be32(before(&a, 4), 16 << 12);
	eth(&a, 0x8847);
	stripped(&a, CHAIN_STRIP_MPLS, &a, CHAIN_MPLS_DEEP);
}

static void padding(void **state)
{
	(void)state;
	eth(ip4(udp(payload(&a, 4, 1), 1, 2), 1, 2, 17, 1), 0x0800);
	eth(ip4(udp(payload(&b, 4, 1), 1, 2), 1, 2, 17, 1), 0x0800);
	memset(a.p + a.n, 0x55, 60 - a.n);
	a.n = 60;
	stripped(&a, 0, &a, CHAIN_OUT);
	stripped(&a, CHAIN_STRIP_VLANS | CHAIN_STRIP_VXLAN, &a, CHAIN_OUT);
	stripped(&a, CHAIN_STRIP_PADDING, &b, CHAIN_STRIPPED_PADDING);
}

static void sizes(void **state)
{
	(void)state;
	for (uint32_t size = 60; size <= 9216; size += size < 70 ? 1 : 613) {
		plain(&a, size - 54, size);
		stripped(&a, 0, &a, CHAIN_OUT);
		assert_int_equal(a.n, size);
	}
}

static void tag_beside(void **state)
{
	struct chain_packet k;
	struct outs o;

	(void)state;
	plain(&a, 50, 1);
	tag(plain(&b, 50, 1), 0x88a8, 0x2005);
	k = captured(&a);
	k.flags = PACKET_VLAN_BESIDE;
	k.vlan_tci = 0x2005;
	k.vlan_tpid = 0x88a8;
	o = once(&(struct chain_config){.keep_merged = false}, &k, n);
	assert_true(o.n == 1 && o.k[0].caplen == b.n && o.k[0].len == b.n && o.k[0].seen_len == b.n);
	assert_memory_equal(o.k[0].p, b.p, b.n);
	assert_int_equal(n[CHAIN_TAG_RESTORED], 1);
	drop_outs(&o);
}

/* What a stack leaves for the card: the pseudo-header's sum. */
static void unfinish(uint8_t *sum, const uint8_t *addrs, uint32_t size, unsigned proto, uint32_t bytes)
{
	be16(sum, plain_sum(proto + (bytes >> 16) + (bytes & 0xffff), addrs, size));
}

static void unfinished(void **state)
{
	struct chain_config guess = {.guess_unfinished = true};
	struct chain_packet k;
	struct outs o;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		plain(&a, 51, 9);
		unfinish(a.p + 50, a.p + 26, 8, 6, 71);
		if (i == 3)
			vxlan(&a, 5); /* the outer UDP's is right for that */
		k = captured(&a);
		if (i < 2) {
			k.flags = PACKET_UNFINISHED | (i ? PACKET_VLAN_BESIDE : 0);
			k.csum_start = 34;
			k.csum_offset = 16;
		}
		o = once(&guess, &k, n);
		assert_true(o.n == 1 && n[CHAIN_CHECKSUM_FINISHED] == 1);
		if (i == 3) {
			struct chain_packet in = o.k[0];

			in.p += 50;
			in.caplen = in.len -= 50;
			all_right(&in);
		}
		if (i == 3)
			assert_int_equal(at16(o.k[0].p + 40), at16(a.p + 40) + (unsigned)0);
		else
			all_right(&o.k[0]);
		drop_outs(&o);
	}
	/* A sum of 0 stands as 0 in TCP (RFC 1624): only in UDP it would mean that there is none. */
	plain(&a, 51, 9);
	all_right(&(struct chain_packet){.p = a.p, .caplen = a.n, .len = a.n, .link = CHAIN_LINK_ETHERNET});
	{
		unsigned rest = at16(a.p + 50) + at16(a.p + 48); /* the window takes up what the sum has */

		be16(a.p + 48, rest > 0xffff ? rest - 0xffff : rest);
	}
	unfinish(a.p + 50, a.p + 26, 8, 6, 71);
	k = captured(&a);
	k.flags = PACKET_UNFINISHED;
	k.csum_start = 34;
	k.csum_offset = 16;
	o = once(&guess, &k, n);
	assert_int_equal(at16(o.k[0].p + 50), 0);
	all_right(&o.k[0]);
	drop_outs(&o);
	/* Not all there: it stays, and is counted. */
	plain(&a, 51, 9);
	k = captured(&a);
	k.flags = PACKET_UNFINISHED;
	k.csum_start = 34;
	k.csum_offset = 16;
	k.caplen -= 10;
	o = once(&guess, &k, n);
	assert_true(n[CHAIN_CHECKSUM_UNFINISHED] == 1 && o.k[0].flags & PACKET_UNFINISHED);
	drop_outs(&o);
	/* A right one, and a wrong one that is no sum of a pseudo-header, stay. */
	for (unsigned i = 0; i < 2; i++) {
		plain(&a, 51, 9);
		a.p[51] ^= (uint8_t)i;
		stripped(&a, 0, &a, CHAIN_OUT);
	}
}

static void merged(unsigned family, unsigned proto, uint32_t bytes, uint32_t size)
{
	unsigned ip = family == 4 ? 20 : 40, head = proto == 6 ? 32 : 8;
	uint32_t pieces = (bytes + size - 1) / size, seq = 0xfffffff0u;
	struct chain_packet k;
	struct outs o;
	uint8_t *l4;

	payload(&a, bytes, 3);
	if (proto == 6)
		tcp(&a, 1, 2, seq, 0x99, 12); /* CWR, ACK, PSH, FIN */
	else
		udp(&a, 1, 2);
	eth(family == 4 ? ip4(&a, 1, 2, proto, 0xfffe) : ip6(&a, 1, 2, proto), family == 4 ? 0x0800 : 0x86dd);
	l4 = a.p + 14 + ip;
	unfinish(l4 + sum_at(proto), a.p + (family == 4 ? 26 : 22), family == 4 ? 8 : 32, proto,
		 head + bytes);
	k = captured(&a);
	k.flags = PACKET_UNFINISHED;
	k.csum_start = (uint16_t)(14 + ip);
	k.csum_offset = (uint16_t)sum_at(proto);
	k.gso_size = size;
	o = once(&(struct chain_config){.keep_merged = false}, &k, n);
	assert_int_equal(o.n, pieces);
	assert_int_equal(n[CHAIN_SPLIT_ADDED], pieces - 1);
	for (uint32_t i = 0; i < pieces; i++) {
		uint32_t piece = i + 1 < pieces ? size : bytes - i * size;
		const uint8_t *p = o.k[i].p + 14;

		assert_int_equal(o.k[i].caplen, 14 + ip + head + piece);
		assert_int_equal(o.k[i].len, o.k[i].caplen);
		all_right(&o.k[i]);
		assert_memory_equal(p + ip + head, l4 + head + i * size, piece);
		if (family == 4)
			assert_int_equal(at16(p + 4), (0xfffe + i) & 0xffff);
		if (proto == 6) {
			assert_int_equal(at32(p + ip + 4), seq + i * size);
			assert_int_equal(p[ip + 13], 0x10 | (i ? 0 : 0x80) | (i + 1 == pieces ? 9 : 0));
		} else {
			assert_int_equal(at16(p + ip + 4), 8 + piece);
		}
	}
	drop_outs(&o);
	/* Marked instead: whole, its checksum finished. */
	o = once(&(struct chain_config){.keep_merged = true}, &k, n);
	assert_true(o.n == 1 && o.k[0].flags & PACKET_MERGED && o.k[0].caplen == a.n &&
		    n[CHAIN_MERGED_MARKED] == 1);
	all_right(&o.k[0]);
	drop_outs(&o);
}

static void merged_packets(void **state)
{
	(void)state;
	merged(4, 6, 14480, 1448);
	merged(4, 6, 14481, 1448);
	merged(6, 6, 5000, 1428);
	merged(4, 17, 12000, 1200);
	merged(6, 17, 3001, 1000);
	merged(4, 6, 100, 1448);
}

static void merged_in_a_tunnel(void **state)
{
	struct chain_packet k;
	struct outs o;

	(void)state;
	vxlan(plain(&a, 4000, 3), 7);
	k = captured(&a);
	k.gso_size = 1400;
	o = once(&(struct chain_config){.strip = CHAIN_STRIP_VXLAN}, &k, n);
	assert_int_equal(o.n, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(o.k[i].outers == 1 && o.k[i].outer[0].id == 7);
		all_right(&o.k[i]);
	}
	drop_outs(&o);
	o = once(&(struct chain_config){.keep_merged = false}, &k, n);
	for (unsigned i = 0; i < 3; i++)
		all_right(&o.k[i]); /* the outer headers */
	drop_outs(&o);
}

static void big_tcp(void **state)
{
	struct chain_config split = {.wire_mtu = 1500},
			    none = {.dedup = {.mode = CHAIN_DEDUP_L3, .window = 5}};
	struct chain_packet k;
	struct outs o;
	uint8_t *p;

	(void)state;
	/* IPv4, total length 0: its length is the packet's. */
	plain(&a, 80000, 3);
	be16(a.p + 16, 0);
	k = captured(&a);
	o = once(&split, &k, n);
	assert_int_equal(o.n, (80000 + 1459) / 1460);
	for (unsigned i = 0; i < o.n; i++)
		all_right(&o.k[i]);
	drop_outs(&o);
	o = once(&none, &k, n);
	assert_true(o.n == 1 && o.k[0].caplen == a.n);
	drop_outs(&o);
	/* IPv6 with a jumbo length, which goes. */
	tcp(payload(&a, 80000, 3), 1, 2, 3, 0x18, 0);
	p = before(&a, 8);
	p[0] = 6;
	p[2] = 0xc2;
	p[3] = 4;
	be32(p + 4, 80028);
	eth(ip6(&a, 1, 2, 0), 0x86dd);
	be16(a.p + 18, 0);
	k = captured(&a);
	o = once(&split, &k, n);
	assert_int_equal(o.n, (80000 + 1431) / 1432);
	for (unsigned i = 0; i < o.n; i++)
		all_right(&o.k[i]);
	assert_int_equal(o.k[0].caplen, 14 + 40 + 20 + 1432);
	drop_outs(&o);
}

static struct chain_encap tunnel(enum chain_encap_kind kind, unsigned family)
{
	struct chain_encap e = {.kind = kind,
				.id = 555,
				.src_mac = {2, 0, 0, 0, 9, 1},
				.dst_mac = {2, 0, 0, 0, 9, 2},
				.dscp = 46,
				.df = true,
				.mtu = 1500,
				.has_key = true};

	addr_parse(family == 4 ? STR("192.0.2.1") : STR("2001:db8::1"), &e.src);
	addr_parse(family == 4 ? STR("192.0.2.2") : STR("2001:db8::2"), &e.dst);
	return e;
}

static void tunnels(void **state)
{
	static const unsigned strips[] = {0, CHAIN_STRIP_VXLAN, CHAIN_STRIP_GRE, CHAIN_STRIP_ERSPAN,
					  CHAIN_STRIP_ERSPAN};
	static const unsigned heads[] = {0, 16, 8, 16, 20};

	(void)state;
	for (unsigned kind = CHAIN_ENCAP_VXLAN; kind <= CHAIN_ENCAP_ERSPAN3; kind++) {
		for (unsigned family = 4; family <= 6; family += 2) {
			unsigned ip = family == 4 ? 20 : 40;
			struct chain_encap e = tunnel(kind, family);
			struct chain_packet k;
			struct outs o, back;

			tag(plain(&a, 200, 4), 0x8100, 0xa00c);
			k = captured(&a);
			o = once(&(struct chain_config){.encap = e}, &k, n);
			assert_int_equal(o.n, 1);
			assert_int_equal(o.k[0].len, a.n + 14 + ip + heads[kind]);
			assert_int_equal(o.k[0].seen_len, a.n);
			assert_memory_equal(o.k[0].p, e.dst_mac, 6);
			assert_memory_equal(o.k[0].p + 6, e.src_mac, 6);
			assert_int_equal(family == 4 ? o.k[0].p[15] >> 2 : at16(o.k[0].p + 14) >> 6 & 63, 46);
			if (family == 4)
				assert_int_equal(at16(o.k[0].p + 20), 0x4000);
			/* The way back: the inner bytes did not change. */
			back = once(&(struct chain_config){.strip = strips[kind]}, &o.k[0], n);
			assert_true(back.n == 1 && back.k[0].len == a.n);
			assert_memory_equal(back.k[0].p, a.p, a.n);
			assert_int_equal(back.k[0].outer[0].id, 555);
			assert_true(addr_eq(&back.k[0].outer[0].dst, &e.dst));
			drop_outs(&o);
			drop_outs(&back);
		}
	}
}

static void numbers_and_truncation(void **state)
{
	struct chain_config config = {.slice = {true, CHAIN_L2, 100},
				      .encap = tunnel(CHAIN_ENCAP_ERSPAN2, 4)};
	struct chain *c;
	uint32_t last = 0, length = 0;

	(void)state;
	config.encap.mtu = 576;
	config.slice.bytes = 900;
	c = chain_of(&config);
	for (unsigned i = 0; i < 6; i++) {
		bool big = i == 3, cut = i == 4;
		struct chain_packet k;
		struct outs o;

		plain(&a, big ? 700 : 60, i);
		k = captured(&a);
		if (cut)
			k.len += 50; /* cut where it was captured */
		o = through(c, &k);
		assert_int_equal(o.n, !big); /* refused, and no number used up */
		if (o.n) {
			assert_int_equal(at32(o.k[0].p + 34 + 4), last++);
			assert_int_equal(at16(o.k[0].p + 34 + 10) >> 10 & 1, cut);
			length = at16(o.k[0].p + 16);
			assert_int_equal(length, o.k[0].caplen - 14);
		}
		drop_outs(&o);
	}
	assert_int_equal(chain_counts(c)[CHAIN_ENCAP_TOO_BIG], 1);
	chain_free(&c);
	config.slice.bytes = 64;
	plain(&a, 700, 1);
	struct chain_packet k = captured(&a);
	struct outs o = once(&config, &k, n);
	assert_int_equal(at16(o.k[0].p + 34 + 10) >> 10 & 1, 1);
	assert_int_equal(o.k[0].len, a.n + 50);
	drop_outs(&o);
}

static void ports_vary(void **state)
{
	struct chain_config config = {.encap = tunnel(CHAIN_ENCAP_VXLAN, 4)};
	unsigned seen[16] = {0};
	struct chain *c = chain_of(&config);

	(void)state;
	for (unsigned i = 0; i < 1600; i++) {
		struct chain_packet k;
		struct outs o;
		unsigned port;

		eth(ip4(udp(payload(&a, 20, 1), 1000 + i, 53), 1, 2, 17, 1), 0x0800);
		k = captured(&a);
		o = through(c, &k);
		port = at16(o.k[0].p + 34);
		assert_true(port >= 49152);
		seen[(port - 49152) / 1024]++;
		drop_outs(&o);
		o = through(c, &k);
		assert_int_equal(at16(o.k[0].p + 34), port);
		drop_outs(&o);
	}
	for (unsigned i = 0; i < 16; i++)
		assert_true(seen[i] > 50 && seen[i] < 150);
	chain_free(&c);
}

static void over_the_mtu(void **state)
{
	(void)state;
	for (unsigned family = 4; family <= 6; family += 2) {
		struct chain_config config = {.encap = tunnel(CHAIN_ENCAP_VXLAN, family)};
		unsigned ip = family == 4 ? 20 : 40, head = family == 4 ? 34 : 62;
		struct chain_packet k;
		struct outs o;
		uint32_t got = 0;

		plain(&a, 1460, 4);
		k = captured(&a);
		assert_int_equal(k.len, 1514);
		config.encap.df = false;
		config.encap.too_big = CHAIN_REFUSE;
		o = once(&config, &k, n);
		assert_true(o.n == 0 && n[CHAIN_ENCAP_TOO_BIG] == 1);
		config.encap.too_big = CHAIN_CUT;
		o = once(&config, &k, n);
		assert_true(o.n == 1 && n[CHAIN_ENCAP_SLICED] == 1 && o.k[0].flags & PACKET_SLICED);
		assert_int_equal(o.k[0].caplen, 1514);
		assert_int_equal(o.k[0].len, 1514 + 14 + ip + 16);
		drop_outs(&o);
		config.encap.too_big = CHAIN_FRAGMENT;
		o = once(&config, &k, n);
		assert_true(o.n == 2 && n[CHAIN_FRAGMENTS_ADDED] == 1);
		for (unsigned i = 0; i < 2; i++) { /* put together: the UDP datagram with the frame in it */
			const uint8_t *p = o.k[i].p;
			unsigned at = family == 4 ? (at16(p + 20) & 0x1fff) * 8 : at16(p + 56) & 0xfff8u;

			assert_true(o.k[i].caplen <= 1514 && at == got);
			if (family == 4)
				assert_int_equal(plain_sum(0, p + 14, 20), 0xffff);
			memcpy(b.area + got, p + head, o.k[i].caplen - head);
			got += o.k[i].caplen - head;
		}
		assert_int_equal(got, 1514 + 16);
		assert_memory_equal(b.area + 16, a.p, 1514);
		if (family == 6)
			assert_int_equal(transport_check(o.k[0].p + 22, 32, 17, b.area, got), 0xffff);
		drop_outs(&o);
	}
}

static void sessions(void **state)
{
	struct chain_packet k, m;
	uint64_t one;

	(void)state;
	plain(&a, 10, 1);
	eth(ip4(tcp(payload(&b, 99, 2), 80, 1234, 9, 18, 4), 0x0a000002, 0x0a000001, 6, 8), 0x0800);
	k = captured(&a);
	m = captured(&b);
	one = chain_flow(&k, 0, 1);
	assert_true(one == chain_flow(&m, 0, 1) && one != chain_flow(&k, 0, 2));
	/* In a tunnel: the inner session, if asked. */
	vxlan(&b, 3);
	m = captured(&b);
	assert_true(one != chain_flow(&m, 0, 1) && one == chain_flow(&m, CHAIN_FLOW_INNER, 1));
	/* An error that quotes it. */
	payload(&b, 36, 1);
	memcpy(b.p + 8, a.p + 14, 28);
	memset(b.p, 0, 8);
	b.p[0] = 3;
	eth(ip4(&b, 0x0a000009, 0x0a000001, 1, 1), 0x0800);
	m = captured(&b);
	assert_true(one != chain_flow(&m, 0, 1) && one == chain_flow(&m, CHAIN_FLOW_QUOTED, 1));
	/* Fragments of one datagram, the first one too; not of another. */
	be16(a.p + 20, 0x2000);
	one = chain_flow(&k, 0, 1);
	eth(ip4(payload(&b, 50, 4), 0x0a000001, 0x0a000002, 6, 4711), 0x0800);
	be16(b.p + 20, 200);
	m = captured(&b);
	assert_true(one == chain_flow(&m, 0, 1));
	be16(b.p + 18, 4712);
	assert_true(one != chain_flow(&m, 0, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    {"BR52 BR53 VLAN tags come off one by one; priority tags are tags", tags, NULL, NULL, NULL},
	    {"BR54 BR55 VXLAN comes off, its outer addresses and VNI are kept; what is none stays", vxlans,
	     NULL, NULL, NULL},
	    {"BR55 GRE, ERSPAN I to III, Geneve, IP in IP", other_tunnels, NULL, NULL, NULL},
	    {"BR56 MPLS to the bottom of the stack, eight labels at most", mpls, NULL, NULL, NULL},
	    {"BR70 padding stays unless asked for", padding, NULL, NULL, NULL},
	    {"BR69 60 to 9,216 bytes pass unchanged", sizes, NULL, NULL, NULL},
	    {"BR68 a tag beside the bytes is put back", tag_beside, NULL, NULL, NULL},
	    {"BR65 unfinished checksums are finished: told and guessed", unfinished, NULL, NULL, NULL},
	    {"BR66 merged packets are split as on the wire, or marked", merged_packets, NULL, NULL, NULL},
	    {"BR66 also in a tunnel", merged_in_a_tunnel, NULL, NULL, NULL},
	    {"BR67 BIG TCP", big_tcp, NULL, NULL, NULL},
	    {"BR62 tunnels: DSCP, DF, and the same bytes inside", tunnels, NULL, NULL, NULL},
	    {"BR48 BR63 ERSPAN: the truncated bit; numbers rise by one for what is sent",
	     numbers_and_truncation, NULL, NULL, NULL},
	    {"BR60 the outer source port follows the inner session", ports_vary, NULL, NULL, NULL},
	    {"BR58 over the MTU: refused, cut with the true length, or fragments", over_the_mtu, NULL, NULL,
	     NULL},
	    {"BR26 BR27 BR34 numbers of sessions", sessions, NULL, NULL, NULL},
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
