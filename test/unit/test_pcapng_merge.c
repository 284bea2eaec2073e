/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading pcapng and merging streams of it: what was written is read alike, in either byte order and in any
 * pieces; what contradicts itself is refused. BR82: sorted by time across streams, with a bounded delay;
 * BR79: interfaces, names and counts survive.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "pcapng/merge.h"

static const uint8_t frame[21] = "twenty and one bytes";

static void put_packet(struct buf *b, uint32_t interface, uint64_t time)
{
	struct str comments[] = {STR("dropped: policy-ingress"), STR("second")};
	struct pcapng_packet p = {.interface = interface,
				  .time = time,
				  .p = frame,
				  .caplen = sizeof(frame),
				  .len = 1514,
				  .direction = PCAPNG_OUT,
				  .has_dropped = true,
				  .dropped = 3,
				  .has_id = true,
				  .id = 77,
				  .comments = comments,
				  .comments_n = 2};

	assert_int_equal(pcapng_put_packet(b, &p), 0);
}

static void put_head(struct buf *b, const char *name)
{
	struct pcapng_section s = {.application = STR("weft"), .comment = STR("clock: the node's")};
	struct pcapng_interface i = {.link = 1, .name = str_of(name), .snaplen = 96, .filter = STR("tcp")};

	assert_int_equal(pcapng_put_section(b, &s), 0);
	assert_int_equal(pcapng_put_interface(b, &i), 0);
}

static void put_rest(struct buf *b)
{
	struct pcapng_name names[2] = {{.name = STR("shop/cart-1")}, {.name = STR("shop/pay-1")}};
	struct pcapng_statistics st = {.interface = 0,
				       .time = 1700000000123456789ull,
				       .first = 1,
				       .has_received = true,
				       .received = 9,
				       .has_os_dropped = true,
				       .os_dropped = 4};

	assert_int_equal(addr_parse(STR("10.0.0.1"), &names[0].addr), 0);
	assert_int_equal(addr_parse(STR("fd00::2"), &names[1].addr), 0);
	assert_int_equal(pcapng_put_names(b, names, 2), 0);
	assert_int_equal(pcapng_put_statistics(b, &st), 0);
}

/* Reads all there is, writes it again. */
static int again(struct str in, size_t cut, struct buf *out)
{
	struct pcapng_reader r = {0};
	struct pcapng_block b;
	size_t n = cut < in.n ? cut : in.n;
	struct str rest = {in.p, n};
	int e;

	for (;;) {
		while ((e = pcapng_read(&r, &rest, &b)) > 0) {
			if (b.kind == PCAPNG_SECTION)
				e = pcapng_put_section(out, &b.section);
			else if (b.kind == PCAPNG_INTERFACE)
				e = pcapng_put_interface(out, &b.interface);
			else if (b.kind == PCAPNG_PACKET)
				e = pcapng_put_packet(out, &b.packet);
			else if (b.kind == PCAPNG_NAMES)
				e = pcapng_put_names(out, b.names, b.names_n);
			else
				e = pcapng_put_statistics(out, &b.statistics);
			assert_int_equal(e, 0);
		}
		if (e < 0 || n == in.n)
			break;
		rest.n += in.n - n;
		n = in.n;
	}
	pcapng_reader_fini(&r);
	return e;
}

static void read_as_written(void **state)
{
	AUTO_BUF b = {0};

	(void)state;
	put_head(&b, "node-1/shop/cart-1");
	put_packet(&b, 0, 1700000000123456789ull);
	put_rest(&b);
	for (size_t cut = 0; cut <= b.n; cut++) {
		AUTO_BUF out = {0};

		assert_int_equal(again(buf_str(&b), cut, &out), 0);
		assert_int_equal(out.n, b.n);
		assert_memory_equal(out.p, b.p, b.n);
	}
}

static void put_be(struct buf *b, uint64_t v, unsigned bytes)
{
	while (bytes--)
		buf_addc(b, (char)(v >> (8 * bytes)));
}

/* A big-endian section with an interface whose times are in 2^-10 s and begin at 1000 s, one in µs, a block
 * that nobody knows, a simple packet. */
static void other_writers(void **state)
{
	AUTO_BUF b = {0};
	struct pcapng_reader r = {0};
	struct pcapng_block k;

	(void)state;
	put_be(&b, 0x0a0d0d0a, 4), put_be(&b, 28, 4), put_be(&b, 0x1a2b3c4d, 4), put_be(&b, 0x00010000, 4);
	put_be(&b, UINT64_MAX, 8), put_be(&b, 28, 4);
	put_be(&b, 1, 4), put_be(&b, 44, 4), put_be(&b, 1, 2), put_be(&b, 0, 2), put_be(&b, 4, 4);
	put_be(&b, 9, 2), put_be(&b, 1, 2), put_be(&b, 0x8a000000, 4);
	put_be(&b, 14, 2), put_be(&b, 8, 2), put_be(&b, 1000, 8), put_be(&b, 0, 4), put_be(&b, 44, 4);
	put_be(&b, 1, 4), put_be(&b, 20, 4), put_be(&b, 1, 2), put_be(&b, 0, 2), put_be(&b, 0, 4),
	    put_be(&b, 20, 4);
	put_be(&b, 0x0bad, 4), put_be(&b, 16, 4), put_be(&b, 0, 4), put_be(&b, 16, 4);
	for (unsigned i = 0; i < 2; i++) {
		put_be(&b, 6, 4), put_be(&b, 36, 4), put_be(&b, i, 4), put_be(&b, 0, 4), put_be(&b, 1536, 4);
		put_be(&b, 3, 4), put_be(&b, 60, 4), put_be(&b, 0x41424300, 4), put_be(&b, 36, 4);
	}
	put_be(&b, 3, 4), put_be(&b, 20, 4), put_be(&b, 9, 4), put_be(&b, 0x41424344, 4), put_be(&b, 20, 4);

	struct str in = buf_str(&b);

	assert_int_equal(pcapng_read(&r, &in, &k), 1);
	assert_int_equal(pcapng_read(&r, &in, &k), 1);
	assert_true(k.kind == PCAPNG_INTERFACE && k.interface.snaplen == 4);
	assert_int_equal(pcapng_read(&r, &in, &k), 1);
	assert_int_equal(pcapng_read(&r, &in, &k), 1);
	assert_true(k.kind == PCAPNG_PACKET && k.packet.time == 1001500000000ull);
	assert_true(k.packet.caplen == 3 && k.packet.len == 60 && !memcmp(k.packet.p, "ABC", 3));
	assert_int_equal(pcapng_read(&r, &in, &k), 1);
	assert_true(k.packet.interface == 1 && k.packet.time == 1536000);
	assert_int_equal(pcapng_read(&r, &in, &k), 1);
	assert_true(k.packet.caplen == 4 && k.packet.len == 9 && k.packet.time == 0);
	assert_int_equal(pcapng_read(&r, &in, &k), 0);
	assert_int_equal(in.n, 0);
	pcapng_reader_fini(&r);
}

static void hostile(void **state)
{
	AUTO_BUF good = {0};
	size_t packet;

	(void)state;
	put_head(&good, "a");
	packet = good.n;
	put_packet(&good, 0, 1);
	/* offset from the packet's start, value, what is said */
	static const struct {
		size_t at;
		uint8_t v;
		const char *why;
	} cases[] = {
	    {4, 11, "the length of a block is impossible"},
	    {4, 9, "the length of a block is impossible"},
	    {7, 0x7f, "the length of a block is impossible"},
	    {8, 1, "a packet is of an interface that was not told"},
	    {22, 1, "a packet is longer than its block"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_BUF bad = {0};
		struct pcapng_reader r = {0};
		struct pcapng_block b;
		int e;

		buf_adds(&bad, buf_str(&good));
		bad.p[packet + cases[i].at] = (char)cases[i].v;
		struct str in = buf_str(&bad);

		while ((e = pcapng_read(&r, &in, &b)) > 0)
			;
		assert_int_equal(e, -EPROTO);
		assert_string_equal(r.why, cases[i].why);
		pcapng_reader_fini(&r);
	}
	struct pcapng_reader r = {0};
	struct pcapng_block b;
	struct str packet_first = {good.p + packet, good.n - packet};

	assert_int_equal(pcapng_read(&r, &packet_first, &b), -EPROTO);
	assert_string_equal(r.why, "it does not begin with a section");
	pcapng_reader_fini(&r);
}

static void feed(struct pcapng_merge *m, unsigned stream, const struct buf *b, uint64_t now)
{
	const char *why = NULL;

	assert_int_equal(pcapng_merge_feed(m, stream, buf_str(b), now, &why), 0);
}

static void expect(struct pcapng_merge *m, uint64_t now, enum pcapng_kind kind, uint32_t interface,
		   uint64_t time)
{
	struct pcapng_block b;

	assert_int_equal(pcapng_merge_next(m, now, &b, NULL, NULL), 1);
	assert_int_equal(b.kind, kind);
	if (kind == PCAPNG_PACKET) {
		assert_int_equal(b.packet.interface, interface);
		assert_int_equal(b.packet.time, time);
		assert_int_equal(b.packet.comments_n, 2);
		assert_true(str_eqz(b.packet.comments[0], "dropped: policy-ingress"));
		assert_memory_equal(b.packet.p, frame, sizeof(frame));
	}
	if (kind == PCAPNG_STATISTICS)
		assert_true(b.statistics.interface == interface && b.statistics.os_dropped == 4);
	if (kind == PCAPNG_NAMES)
		assert_true(b.names_n == 2 && str_eqz(b.names[1].name, "shop/pay-1"));
}

static void merged_by_time(void **state)
{
	struct pcapng_merge_options o = {.streams = 2, .delay = 100};
	struct pcapng_merge *m = NULL;
	struct pcapng_merge_totals t;
	struct pcapng_block b;
	uint64_t wait;
	AUTO_BUF x = {0};
	AUTO_BUF y = {0};
	AUTO_BUF z = {0};

	(void)state;
	assert_int_equal(pcapng_merge_new(&m, &o), 0);
	put_head(&x, "node-1/a");
	put_packet(&x, 0, 10);
	put_packet(&x, 0, 30);
	put_head(&y, "node-2/b");
	put_packet(&y, 0, 20);
	put_rest(&y);
	feed(m, 0, &x, 1000);
	expect(m, 1000, PCAPNG_INTERFACE, 0, 0);
	assert_int_equal(pcapng_merge_next(m, 1000, &b, NULL, &wait),
			 0); /* the other may have an earlier one */
	assert_int_equal(wait, 100);
	feed(m, 1, &y, 1050);
	expect(m, 1050, PCAPNG_INTERFACE, 1, 0);
	expect(m, 1050, PCAPNG_PACKET, 0, 10);
	expect(m, 1050, PCAPNG_PACKET, 1, 20);
	expect(m, 1050, PCAPNG_NAMES, 0, 0);
	expect(m, 1050, PCAPNG_STATISTICS, 1, 0);
	assert_int_equal(pcapng_merge_next(m, 1099, &b, NULL, &wait), 0);
	assert_int_equal(wait, 1);
	expect(m, 1100, PCAPNG_PACKET, 0, 30); /* it waited enough */
	put_packet(&z, 0, 25);
	feed(m, 1, &z, 1200);
	pcapng_merge_end(m, 0);
	expect(m, 1200, PCAPNG_PACKET, 1, 25); /* too late for its place; nobody is waited for */
	pcapng_merge_totals(m, &t);
	assert_true(t.packets == 4 && t.late == 1);
	pcapng_merge_free(&m);
}

static void a_stream_begins_again(void **state)
{
	struct pcapng_merge_options o = {.streams = 1};
	struct pcapng_merge *m = NULL;
	AUTO_BUF x = {0};
	AUTO_BUF y = {0};

	(void)state;
	assert_int_equal(pcapng_merge_new(&m, &o), 0);
	put_head(&x, "node-1/a");
	put_packet(&x, 0, 10);
	x.n -= 5; /* it broke off in a packet */
	feed(m, 0, &x, 1);
	expect(m, 1, PCAPNG_INTERFACE, 0, 0);
	pcapng_merge_again(m, 0);
	put_head(&y, "node-1/b");
	struct pcapng_interface same = {.link = 1, .name = STR("node-1/a")};

	assert_int_equal(pcapng_put_interface(&y, &same), 0);
	put_packet(&y, 1, 20);
	put_packet(&y, 0, 30);
	feed(m, 0, &y, 2);
	expect(m, 2, PCAPNG_INTERFACE, 1, 0);
	expect(m, 2, PCAPNG_PACKET, 0, 20);
	expect(m, 2, PCAPNG_PACKET, 1, 30);
	pcapng_merge_free(&m);
}

static void memory_is_bounded(void **state)
{
	struct pcapng_merge_options o = {.streams = 2, .delay = UINT64_MAX, .waiting = 2000};
	struct pcapng_merge *m = NULL;
	struct pcapng_block b;
	AUTO_BUF x = {0};
	unsigned n = 0;

	(void)state;
	assert_int_equal(pcapng_merge_new(&m, &o), 0);
	put_head(&x, "node-1/a");
	for (unsigned i = 0; i < 100; i++)
		put_packet(&x, 0, i);
	feed(m, 0, &x, 1);
	while (pcapng_merge_next(m, 1, &b, NULL, NULL) == 1)
		n += b.kind == PCAPNG_PACKET;
	assert_true(n > 80 &&
		    n < 100); /* what is over 2,000 bytes goes on though the other stream is silent */
	pcapng_merge_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(read_as_written),
	    cmocka_unit_test(other_writers),
	    cmocka_unit_test(hostile),
	    {"BR79 BR82 streams are merged by time, with a bounded delay", merged_by_time, NULL, NULL, NULL},
	    cmocka_unit_test(a_stream_begins_again),
	    cmocka_unit_test(memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
