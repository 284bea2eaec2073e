/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chain: sample, dedup, mask, slice, stamp on built packets: BR35 to BR43, BR45 to BR47, BR49 to BR51, BR57,
 * BR88. Strip, tunnels, and bytes as on the wire are in test_chain_bytes.c, captures in
 * test_chain_captures.c.
 */
#include "chain_packets.h"

static struct frame a, b;

static unsigned outs_of(struct chain *c, const struct frame *f, uint64_t time)
{
	struct chain_packet k = captured(f);
	struct outs o;
	unsigned n;

	k.time = time;
	o = through(c, &k);
	n = o.n;
	drop_outs(&o);
	return n;
}

enum { MS = 1000000, WINDOW = 50 * MS };
static const uint64_t start = 1700000000ull * 1000 * MS;

static struct chain *dedup_of(enum chain_dedup_mode mode, unsigned ignore)
{
	return chain_of(
	    &(struct chain_config){.dedup = {.mode = mode, .window = WINDOW, .ignore = ignore, .seed = 7}});
}

/* Whether b, right after a, is taken for the same. */
static bool same(enum chain_dedup_mode mode, unsigned ignore)
{
	struct chain *c = dedup_of(mode, ignore);
	bool duplicate;

	assert_int_equal(outs_of(c, &a, start), 1);
	duplicate = !outs_of(c, &b, start + MS);
	assert_int_equal(chain_counts(c)[CHAIN_DUPLICATE], duplicate);
	chain_free(&c);
	return duplicate;
}

static void window(void **state)
{
	struct chain *c = dedup_of(CHAIN_DEDUP_L2, 0);

	(void)state;
	plain(&a, 500, 1);
	assert_int_equal(outs_of(c, &a, start), 1);
	assert_int_equal(outs_of(c, &a, start + WINDOW - 1), 0);
	assert_int_equal(outs_of(c, &a, start + WINDOW),
			 1); /* the age counts from the one that was handed on */
	assert_int_equal(outs_of(c, &a, start + 2 * WINDOW - 1), 0);
	assert_int_equal(outs_of(c, &a, start + 2 * WINDOW), 1);
	/* The clock is set back an hour, and on again. */
	assert_int_equal(outs_of(c, &a, start - 3600000ull * MS), 1);
	assert_int_equal(outs_of(c, &a, start - 3600000ull * MS + 1), 0);
	assert_int_equal(outs_of(c, &a, start + 3600000ull * MS), 1);
	/* Two sources whose clocks differ a little. */
	assert_int_equal(outs_of(c, &a, start + 3600000ull * MS - 5), 0);
	assert_int_equal(chain_counts(c)[CHAIN_DUPLICATE], 4);
	chain_free(&c);
}

static void retransmission(void **state)
{
	(void)state;
	plain(&a, 700, 1);
	plain(&b, 700, 1);
	be16(b.p + 18, 4712); /* identification */
	be16(b.p + 24, 0);
	be16(b.p + 24, ~plain_sum(0, b.p + 14, 20));
	assert_false(same(CHAIN_DEDUP_L2, 0));
	assert_false(same(CHAIN_DEDUP_L3, 0));
	assert_true(same(CHAIN_DEDUP_L2, CHAIN_IGNORE_IP_ID));
	assert_true(same(CHAIN_DEDUP_L3, CHAIN_IGNORE_IP_ID));
}

static void payload_counts_whole(void **state)
{
	static const uint32_t places[] = {42, 43, 105, 106, 170, 600, 1040, 1041};

	(void)state;
	for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
		eth(ip4(udp(payload(&a, 1000, 5), 5004, 5004), 1, 2, 17, 1), 0x0800);
		eth(ip4(udp(payload(&b, 1000, 5), 5004, 5004), 1, 2, 17, 1), 0x0800);
		assert_true(same(CHAIN_DEDUP_L2, 0));
		b.p[places[i]] ^= 0x10; /* the checksum stays: a corrupted copy */
		assert_false(same(CHAIN_DEDUP_L2, 0));
		assert_false(same(CHAIN_DEDUP_L3, CHAIN_IGNORE_TTL | CHAIN_IGNORE_IP_ID | CHAIN_IGNORE_DSCP));
	}
	/* Longer by what is nought. */
	plain(&a, 100, 5);
	plain(&b, 100, 5);
	b.p[b.n++] = 0;
	assert_false(same(CHAIN_DEDUP_L2, 0));
	assert_true(same(CHAIN_DEDUP_L3, 0)); /* padding */
}

static void routed(void **state)
{
	(void)state;
	plain(&a, 300, 1);
	plain(&b, 300, 1);
	b.p[0] = b.p[6] = 6; /* MAC addresses */
	b.p[22]--;	     /* time to live */
	be16(b.p + 24, 0);
	be16(b.p + 24, ~plain_sum(0, b.p + 14, 20));
	assert_false(same(CHAIN_DEDUP_L2, 0));
	assert_true(same(CHAIN_DEDUP_L3, 0));
	assert_true(same(CHAIN_DEDUP_L2, CHAIN_IGNORE_MAC | CHAIN_IGNORE_TTL));
	eth(ip6(udp(payload(&a, 50, 1), 1, 2), 1, 2, 17), 0x86dd);
	eth(ip6(udp(payload(&b, 50, 1), 1, 2), 1, 2, 17), 0x86dd);
	b.p[0] = 6;
	b.p[21]--; /* hop limit */
	assert_false(same(CHAIN_DEDUP_L2, 0));
	assert_true(same(CHAIN_DEDUP_L3, 0));
}

static void networks(void **state)
{
	(void)state;
	tag(plain(&a, 300, 1), 0x8100, 5);
	tag(plain(&b, 300, 1), 0x8100, 6);
	assert_false(same(CHAIN_DEDUP_L2, 0));
	assert_false(same(CHAIN_DEDUP_L3, 0));
	assert_true(same(CHAIN_DEDUP_L2, CHAIN_IGNORE_VLAN));
	assert_true(same(CHAIN_DEDUP_L3, CHAIN_IGNORE_VLAN));
	plain(&b, 300, 1); /* none at all */
	assert_false(same(CHAIN_DEDUP_L3, 0));
	assert_true(same(CHAIN_DEDUP_L3, CHAIN_IGNORE_VLAN));
	vxlan(plain(&a, 300, 1), 100);
	vxlan(plain(&b, 300, 1), 101);
	assert_false(same(CHAIN_DEDUP_L3, 0));
	assert_false(same(CHAIN_DEDUP_L3, CHAIN_IGNORE_OUTER));
	assert_true(same(CHAIN_DEDUP_L3, CHAIN_IGNORE_VNI));
	vxlan(plain(&b, 300, 1), 100);
	be16(b.p + 34, 50001); /* outer source port */
	assert_false(same(CHAIN_DEDUP_L3, 0));
	assert_true(same(CHAIN_DEDUP_L3, CHAIN_IGNORE_OUTER));
	vxlan(plain(&b, 300, 2), 100);
	assert_false(same(CHAIN_DEDUP_L3, CHAIN_IGNORE_VNI));
}

static void count_only(void **state)
{
	struct chain *c = chain_of(
	    &(struct chain_config){.dedup = {.mode = CHAIN_DEDUP_L2, .window = WINDOW, .count_only = true}});
	struct chain_packet k;
	struct outs o;

	(void)state;
	plain(&a, 10, 1);
	k = captured(&a);
	o = through(c, &k);
	assert_true(o.n == 1 && !(o.k[0].flags & PACKET_DUPLICATE));
	drop_outs(&o);
	o = through(c, &k);
	assert_true(o.n == 1 && o.k[0].flags & PACKET_DUPLICATE);
	drop_outs(&o);
	assert_int_equal(chain_counts(c)[CHAIN_DUPLICATE_MARKED], 1);
	assert_int_equal(chain_counts(c)[CHAIN_DUPLICATE], 0);
	chain_free(&c);
}

static void full_table(void **state)
{
	enum { ENTRIES = 1024, MANY = 3000 };
	struct chain *c = chain_of(&(struct chain_config){
	    .dedup = {.mode = CHAIN_DEDUP_L2, .window = WINDOW, .entries = ENTRIES, .seed = 3}});
	uint64_t blind, early = 0;

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		plain(&a, 60, i);
		assert_int_equal(outs_of(c, &a, start), 1);
		if (i < ENTRIES)
			early = chain_counts(c)[CHAIN_DEDUP_BLIND];
	}
	blind = chain_counts(c)[CHAIN_DEDUP_BLIND];
	assert_true(blind >= MANY - 2 * ENTRIES && blind < MANY);
	assert_int_equal(early, 0);
	/* Once the window is over there is room again. */
	plain(&a, 60, 999999);
	assert_int_equal(outs_of(c, &a, start + WINDOW), 1);
	assert_int_equal(outs_of(c, &a, start + WINDOW), 0);
	assert_int_equal(chain_counts(c)[CHAIN_DEDUP_BLIND], blind);
	chain_free(&c);
}

static void samples(void **state)
{
	struct chain *c = chain_of(&(struct chain_config){.sample = {.one_in = 10, .seed = 5}});
	struct chain *d =
	    chain_of(&(struct chain_config){.sample = {.one_in = 4, .by_flow = true, .seed = 5}});
	unsigned out = 0, flows = 0;

	(void)state;
	plain(&a, 10, 1);
	for (unsigned i = 0; i < 1000; i++)
		out += outs_of(c, &a, start);
	assert_int_equal(out, 100);
	assert_int_equal(chain_counts(c)[CHAIN_SAMPLED_OUT], 900);
	for (unsigned i = 0; i < 4000; i++) {
		unsigned there, back;

		eth(ip4(tcp(payload(&a, 10, 1), 1000 + i, 80, 1, 2, 0), 0x0a000001, 0x0a000002, 6, 1),
		    0x0800);
		eth(ip4(tcp(payload(&b, 99, 2), 80, 1000 + i, 9, 18, 4), 0x0a000002, 0x0a000001, 6, 8),
		    0x0800);
		there = outs_of(d, &a, start);
		back = outs_of(d, &b, start);
		assert_int_equal(there, back);
		flows += there;
	}
	assert_true(flows > 900 && flows < 1100);
	chain_free(&c);
	chain_free(&d);
}

static struct outs once(const struct chain_config *config, const struct chain_packet *k,
			uint64_t counts[CHAIN_COUNTERS])
{
	struct chain *c = chain_of(config);
	struct outs o = through(c, k);

	memcpy(counts, chain_counts(c), CHAIN_COUNTERS * sizeof(*counts));
	chain_free(&c);
	return o;
}

static void slices(void **state)
{
	static const struct {
		enum chain_base from;
		uint32_t bytes, keep;
	} cases[] = {{CHAIN_L2, 64, 64},	{CHAIN_L3, 0, 18},	{CHAIN_L4, 0, 38},
		     {CHAIN_PAYLOAD, 0, 70},	{CHAIN_PAYLOAD, 8, 78}, {CHAIN_L2, 5000, 170},
		     {CHAIN_PAYLOAD, 5000, 170}};
	uint64_t n[CHAIN_COUNTERS];

	(void)state;
	/* A tag, and twelve bytes of TCP options. */
	tag(eth(ip4(tcp(payload(&a, 100, 1), 1, 2, 3, 16, 12), 1, 2, 6, 1), 0x0800), 0x8100, 7);
	assert_int_equal(a.n, 170);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct chain_packet k = captured(&a);
		struct outs o =
		    once(&(struct chain_config){.slice = {true, cases[i].from, cases[i].bytes}}, &k, n);

		assert_int_equal(o.n, 1);
		assert_int_equal(o.k[0].caplen, cases[i].keep);
		assert_int_equal(o.k[0].len, 170);
		assert_int_equal(o.k[0].seen_len, 170);
		assert_int_equal(n[CHAIN_SLICED], cases[i].keep < 170);
		assert_int_equal(!!(o.k[0].flags & PACKET_SLICED), cases[i].keep < 170);
		assert_memory_equal(o.k[0].p, a.p, cases[i].keep);
		drop_outs(&o);
	}
	/* No L4 header: cut behind what there is. */
	eth(payload(&a, 200, 1), 0x88cc);
	struct chain_packet k = captured(&a);
	struct outs o = once(&(struct chain_config){.slice = {true, CHAIN_PAYLOAD, 6}}, &k, n);
	assert_true(o.k[0].caplen == 20 && n[CHAIN_SLICE_SHALLOW] == 1);
	drop_outs(&o);
}

static void masks(void **state)
{
	static const struct chain_range ranges[] = {
	    {CHAIN_PAYLOAD, 10, 20}, {CHAIN_PAYLOAD, 25, 10}, {CHAIN_L4, 4, 3}};
	static const unsigned families[] = {4, 6};
	uint64_t n[CHAIN_COUNTERS];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		bool fix = i & 1;
		unsigned l4 = families[i / 2] == 4 ? 34 : 54;
		struct chain_config config = {.mask = {ranges, 3, CHAIN_MASK_SRC_IP, 'x', fix}};
		struct chain_packet k;
		struct outs o;

		if (families[i / 2] == 4)
			plain(&a, 101, 3);
		else
			eth(ip6(tcp(payload(&a, 101, 3), 1, 2, 3, 16, 0), 1, 2, 6), 0x86dd);
		k = captured(&a);
		o = once(&config, &k, n);
		assert_true(o.n == 1 && o.k[0].caplen == a.n && o.k[0].len == a.n);
		assert_true(o.k[0].flags & PACKET_MASKED && !(o.k[0].flags & PACKET_PART_MASKED));
		assert_int_equal(n[CHAIN_MASKED], 1);
		/* Everything else is as it was, the union is masked. */
		for (uint32_t at = 0; at < a.n; at++) {
			uint32_t pay = at - (l4 + 20);
			bool in = (at >= l4 + 20 && pay >= 10 && pay < 35) || (at >= l4 + 4 && at < l4 + 7) ||
				  (l4 == 34 ? at >= 26 && at < 30 : at >= 22 && at < 38);
			bool sum = (at >= l4 + 16 && at < l4 + 18) || (l4 == 34 && (at == 24 || at == 25));

			if (in)
				assert_int_equal(o.k[0].p[at], 'x');
			else if (!fix || !sum)
				assert_int_equal(o.k[0].p[at], a.p[at]);
		}
		if (fix)
			all_right(&o.k[0]);
		drop_outs(&o);
	}
}

static void a_wrong_checksum_stays_wrong(void **state)
{
	static const struct chain_range range = {CHAIN_PAYLOAD, 0, 0};
	struct chain_config config = {.mask = {&range, 1, 0, 0, true}};
	uint64_t n[CHAIN_COUNTERS];
	struct chain_packet k;
	struct outs o;

	(void)state;
	plain(&a, 33, 3);
	a.p[50] ^= 1;
	k = captured(&a);
	o = once(&config, &k, n);
	assert_int_not_equal(transport_check(o.k[0].p + 26, 8, 6, o.k[0].p + 34, 53), 0xffff);
	drop_outs(&o);
	/* None was sent: none is made. */
	eth(ip4(udp(payload(&a, 33, 3), 1, 2), 1, 2, 17, 1), 0x0800);
	be16(a.p + 40, 0);
	k = captured(&a);
	o = once(&config, &k, n);
	assert_int_equal(at16(o.k[0].p + 40), 0);
	assert_int_equal(o.k[0].p[42], 0);
	drop_outs(&o);
}

static void checksums_that_lie_in_the_range(void **state)
{
	static const struct chain_range odd[] = {
	    {CHAIN_PAYLOAD, 1, 2}, {CHAIN_PAYLOAD, 7, 4}, {CHAIN_L3, 9, 4}, {CHAIN_L4, 15, 4}};
	uint64_t n[CHAIN_COUNTERS];
	struct chain_packet k;
	struct outs o;
	unsigned zero = 0;

	(void)state;
	plain(&a, 33, 3);
	k = captured(&a);
	o = once(&(struct chain_config){.mask = {odd, 2, 0, 0x5a, true}}, &k, n);
	all_right(&o.k[0]);
	drop_outs(&o);
	/* With "recompute" they are written right, with "leave" the range is masked, they too. */
	o = once(&(struct chain_config){.mask = {odd, 4, 0, 6, true}}, &k, n);
	all_right(&o.k[0]);
	assert_true(o.k[0].p[23] == 6 && o.k[0].p[26] == 6 && o.k[0].p[49] == 6 && o.k[0].p[52] == 6);
	drop_outs(&o);
	o = once(&(struct chain_config){.mask = {odd, 4, 0, 6, false}}, &k, n);
	assert_true(at32(o.k[0].p + 23) == 0x06060606 && at32(o.k[0].p + 49) == 0x06060606);
	drop_outs(&o);
	/* UDP: a sum that comes to 0 is sent as 0xffff. */
	for (unsigned i = 0; i < 65536; i++) {
		eth(ip4(udp(payload(&a, 4, 3), 1, i), 1, 2, 17, 1), 0x0800);
		memset(a.p + 42, 0, 2);
		be16(a.p + 40, 0);
		be16(a.p + 40, ~transport_check(a.p + 26, 8, 17, a.p + 34, 12));
		if (at16(a.p + 40) != 0)
			continue;
		/* without the two bytes that are masked it is 0: with them something else */
		be16(a.p + 42, 0x1234);
		put_transport(&a, a.p + 26, 8, 17, a.p + 34, 12);
		k = captured(&a);
		o = once(&(struct chain_config){.mask = {&(struct chain_range){CHAIN_PAYLOAD, 0, 2}, 1, 0, 0,
							 true}},
			 &k, n);
		assert_int_equal(at16(o.k[0].p + 40), 0xffff);
		drop_outs(&o);
		zero++;
	}
	assert_true(zero > 0);
}

static uint32_t castagnoli(const uint8_t *p, uint32_t size)
{
	uint32_t crc = 0xffffffff;

	for (uint32_t i = 0; i < size * 8; i++) {
		uint32_t bit = (crc ^ ((uint32_t)p[i / 8] >> (i % 8))) & 1;

		crc = (crc >> 1) ^ (bit ? 0x82f63b78u : 0);
	}
	return ~crc;
}

static void sctp_and_short_udp(void **state)
{
	static const struct chain_range all = {CHAIN_PAYLOAD, 0, 0};
	struct chain_config config = {.mask = {&all, 1, 0, 7, true}};
	uint64_t n[CHAIN_COUNTERS];
	struct chain_packet k;
	struct outs o;
	uint32_t crc;

	(void)state;
	for (unsigned wrong = 0; wrong < 2; wrong++) {
		eth(ip4(payload(&a, 100, 3), 1, 2, 132, 1), 0x0800);
		memset(a.p + 42, 0, 4);
		crc = castagnoli(a.p + 34, 100) ^ wrong;
		for (unsigned i = 0; i < 4; i++)
			a.p[42 + i] = (uint8_t)(crc >> (8 * i));
		k = captured(&a);
		o = once(&config, &k, n);
		memcpy(b.area, o.k[0].p + 34, 100);
		memset(b.area + 8, 0, 4);
		crc = castagnoli(b.area, 100);
		assert_int_equal(n[CHAIN_CHECKSUM_LEFT], wrong);
		assert_int_equal(at32(o.k[0].p + 42) == __builtin_bswap32(crc), !wrong);
		assert_int_equal(o.k[0].p[46], 7);
		drop_outs(&o);
	}
	/* What UDP's own length leaves out is masked and not summed. */
	udp(payload(&a, 30, 3), 1, 2);
	memset(a.p + a.n, 0x33, 11);
	a.n += 11;
	eth(ip4(&a, 1, 2, 17, 1), 0x0800);
	put_transport(&a, a.p + 26, 8, 17, a.p + 34, 38);
	k = captured(&a);
	o = once(&config, &k, n);
	assert_int_equal(transport_check(o.k[0].p + 26, 8, 17, o.k[0].p + 34, 38), 0xffff);
	assert_int_equal(o.k[0].p[a.n - 1], 7);
	drop_outs(&o);
}

static void masks_of_cut_packets_and_fragments(void **state)
{
	static const struct chain_range name = {CHAIN_L4, 100, 200}, all = {CHAIN_PAYLOAD, 0, 0},
					few = {CHAIN_PAYLOAD, 4, 10};
	uint64_t n[CHAIN_COUNTERS];
	struct chain_packet k;
	struct outs o;

	(void)state;
	/* Cut in the middle of the range: the checksum becomes right for the whole all the same. */
	plain(&a, 400, 3);
	k = captured(&a);
	k.caplen = 34 + 150;
	o = once(&(struct chain_config){.mask = {&name, 1, 0, 'm', true}}, &k, n);
	assert_true(o.k[0].flags & PACKET_PART_MASKED && n[CHAIN_UNMASKABLE] == 1 && n[CHAIN_MASKED] == 1);
	for (uint32_t at = 34 + 100; at < o.k[0].caplen; at++)
		assert_int_equal(o.k[0].p[at], 'm');
	assert_int_equal(o.k[0].p[34 + 99], a.p[34 + 99]);
	drop_outs(&o);
	/* The first fragment ends in it, the second has the rest: bytes 160 to 360 of the datagram. */
	for (unsigned i = 0; i < 2; i++) {
		eth(ip4(payload(&b, i ? 200 : 160, 8), 1, 2, i ? 6 : 0, 5), 0x0800);
		b.p[23] = 6;
		be16(b.p + 20, i ? 160 / 8 : 0x2000);
		be16(b.p + 24, 0);
		be16(b.p + 24, ~plain_sum(0, b.p + 14, 20));
		k = captured(&b);
		o = once(&(struct chain_config){.mask = {&name, 1, 0, 'm', true}}, &k, n);
		assert_true(n[CHAIN_UNMASKABLE] == 1 && n[CHAIN_CHECKSUM_LEFT] == 1);
		for (uint32_t at = 0; at < b.n - 34; at++) {
			uint32_t there = at + (i ? 160 : 0);

			if (there >= 100 && there < 300)
				assert_int_equal(o.k[0].p[34 + at], 'm');
			else
				assert_int_equal(o.k[0].p[34 + at], b.p[34 + at]);
		}
		drop_outs(&o);
	}
	/* Where TCP's header ended is not told in a later fragment: what may be payload is masked. */
	be16(b.p + 20, 0x2000 | 16 / 8);
	k = captured(&b);
	o = once(&(struct chain_config){.mask = {&all, 1, 0, 0, false}}, &k, n);
	for (uint32_t at = 34; at < b.n;
	     at++) /* byte 16 of the datagram is the first: 4 of the header are sure */
		assert_int_equal(o.k[0].p[at], at < 38 ? b.p[at] : 0);
	drop_outs(&o);
	o = once(&(struct chain_config){.mask = {&few, 1, 0, 0, false}}, &k, n);
	for (uint32_t at = 34; at < b.n; at++)
		assert_int_equal(o.k[0].p[at], at >= 34 + 8 && at < 34 + 58 ? 0 : b.p[at]);
	drop_outs(&o);
}

static void masks_behind_extension_headers(void **state)
{
	static const struct chain_range all = {CHAIN_PAYLOAD, 0, 0};
	uint64_t n[CHAIN_COUNTERS];
	struct chain_packet k;
	struct outs o;
	uint8_t *p;

	(void)state;
	udp(payload(&a, 64, 3), 7, 8);
	p = before(&a, 8); /* destination options */
	p[0] = 17;
	p = before(&a, 16); /* hop-by-hop */
	p[0] = 60;
	p[1] = 1;
	eth(ip6(&a, 1, 2, 0), 0x86dd);
	put_transport(&a, a.p + 22, 32, 17, a.p + 54 + 24, 72);
	k = captured(&a);
	o = once(&(struct chain_config){.mask = {&all, 1, CHAIN_MASK_DST_PORT, 0xaa, true}}, &k, n);
	assert_memory_equal(o.k[0].p, a.p, 54 + 24 + 2);
	assert_int_equal(at16(o.k[0].p + 54 + 24 + 2), 0xaaaa);
	for (uint32_t at = 54 + 24 + 8; at < a.n; at++)
		assert_int_equal(o.k[0].p[at], 0xaa);
	assert_int_equal(transport_check(o.k[0].p + 22, 32, 17, o.k[0].p + 54 + 24, 72), 0xffff);
	drop_outs(&o);
}

static void stamps(void **state)
{
	struct chain_config config = {.stamp = {0x8100, 100, true, 7, 3}};
	uint32_t crc;
	uint64_t n[CHAIN_COUNTERS];
	struct chain_packet k;
	struct outs o;

	(void)state;
	plain(&a, 10, 1);
	k = captured(&a);
	k.time = 1700000000123456789ull;
	o = once(&config, &k, n);
	assert_true(o.n == 1 && o.k[0].len == a.n + 20 && o.k[0].flags & PACKET_STAMPED &&
		    o.k[0].seen_len == a.n);
	assert_int_equal(at32(o.k[0].p + 12), 0x81000064);
	assert_int_equal(at16(o.k[0].p + 16), 0x0800);
	/* The frame and its CRC leave the residue that every receiver looks for (IEEE 802.3, 3.2.9). */
	crc = 0xffffffff;
	for (uint32_t i = 0; i < a.n + 4; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			uint32_t byte = i < a.n ? a.p[i] : o.k[0].p[4 + i];

			crc = (crc >> 1) ^ ((crc ^ (byte >> bit)) & 1 ? 0xedb88320u : 0);
		}
	assert_int_equal(~crc, 0x2144df1c);
	assert_int_equal(at32(o.k[0].p + a.n + 8), 1700000000);
	assert_int_equal(at32(o.k[0].p + a.n + 12), 123456789);
	assert_int_equal(at32(o.k[0].p + a.n + 16), 1u << 24 | 7 << 8 | 3);
	drop_outs(&o);
}

static void order(void **state)
{
	/* The slice would take the trailer, the mask the tag's bytes, were they there before. */
	static const struct chain_range first = {CHAIN_L2, 12, 2};
	struct chain_config config = {.mask = {&first, 1, 0, 0, false},
				      .slice = {true, CHAIN_L2, 60},
				      .stamp = {0x8100, 9, true, 1, 1},
				      .strip = CHAIN_STRIP_VLAN};
	uint64_t n[CHAIN_COUNTERS];
	struct chain_packet k;
	struct outs o;

	(void)state;
	tag(plain(&a, 100, 1), 0x8100, 5);
	k = captured(&a);
	o = once(&config, &k, n);
	assert_int_equal(o.k[0].caplen, 60 + 4 + 16);
	assert_int_equal(at32(o.k[0].p + 12), 0x81000009);
	assert_int_equal(at16(o.k[0].p + 16), 0);
	assert_int_equal(o.k[0].p[o.k[0].caplen - 4] & 1, 0); /* the frame was cut: its CRC is not told */
	drop_outs(&o);
}

static void settings_are_refused(void **state)
{
	static const struct chain_config bad[] = {
	    {.dedup = {.mode = CHAIN_DEDUP_L2}},    {.mask = {.n = CHAIN_RANGES_MAX + 1}},
	    {.stamp = {.vlan_tpid = 0x0800}},	    {.wire_mtu = 100},
	    {.encap = {.kind = CHAIN_ENCAP_VXLAN}},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct chain *c = NULL;
		struct buf why = {};

		assert_int_equal(chain_new(&c, &bad[i], &why), -22);
		assert_true(why.n > 10 && !c);
		buf_fini(&why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    {"BR35 BR36 dedup: the window and its edge; clocks that are set", window, NULL, NULL, NULL},
	    {"BR37 a retransmission is no duplicate", retransmission, NULL, NULL, NULL},
	    {"BR38 BR41 dedup: every byte of the payload counts", payload_counts_whole, NULL, NULL, NULL},
	    {"BR39 dedup: a routed copy is a duplicate in L3 mode only", routed, NULL, NULL, NULL},
	    {"BR40 dedup: VLAN and VNI count unless switched off", networks, NULL, NULL, NULL},
	    {"BR42 dedup that counts only", count_only, NULL, NULL, NULL},
	    {"BR43 a full table hands on and is counted as blind", full_table, NULL, NULL, NULL},
	    {"samples: one of ten exactly; whole sessions", samples, NULL, NULL, NULL},
	    {"BR45 BR46 BR47 slices keep the true length, never lengthen, keep options whole", slices, NULL,
	     NULL, NULL},
	    {"BR49 BR50 BR88 masks: length, order, the union; checksums right or left", masks, NULL, NULL,
	     NULL},
	    {"BR50 a wrong checksum stays wrong, none stays none", a_wrong_checksum_stays_wrong, NULL, NULL,
	     NULL},
	    {"BR50 checksums that lie in the range", checksums_that_lie_in_the_range, NULL, NULL, NULL},
	    {"BR50 SCTP's checksum; UDP that is shorter than its packet", sctp_and_short_udp, NULL, NULL,
	     NULL},
	    {"BR51 masks of cut packets and fragments", masks_of_cut_packets_and_fragments, NULL, NULL, NULL},
	    {"BR49 masks behind IPv6 extension headers", masks_behind_extension_headers, NULL, NULL, NULL},
	    {"stamps: tag and trailer", stamps, NULL, NULL, NULL},
	    {"BR57 the order is fixed", order, NULL, NULL, NULL},
	    {"settings that cannot be are refused with a reason", settings_are_refused, NULL, NULL, NULL},
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
