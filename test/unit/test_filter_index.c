/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of many filters: of random packets it names every filter that matches (BR78: asking those alone
 * gives what asking all gives), and of filters that a field bounds it names few (BR02: no order, no priority,
 * only less work).
 */
#include "manifest.h"
#include "filter/index.h"

enum { FILTERS = 300, PACKETS = 4000, FRAME = 96 };

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint32_t roll(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 33) % n;
}

static void add_test(struct buf *b)
{
	static const char *const sides[] = {"", "src.", "dst."};
	const char *side = sides[roll(3)];
	uint32_t n = roll(40);

	switch (roll(18)) {
	case 0:
		buf_printf(b, "%sport == %u", side, n);
		return;
	case 1:
		buf_printf(b, "%sport in {%u, %u-%u}", side, n, n + 5, n + 5 + roll(20));
		return;
	case 2:
		buf_printf(b, "%sport != %u", side, n);
		return;
	case 3:
		buf_printf(b, "%sport > %u", side, n);
		return;
	case 4:
		buf_printf(b, "%sip == 10.0.0.%u", side, n);
		return;
	case 5:
		buf_printf(b, "%sip == 10.0.0.%u/%u", side, n & 0x38, 29 + roll(2));
		return;
	case 6:
		buf_printf(b, "%sip == fd00::%x", side, n);
		return;
	case 7:
		buf_printf(b, "%sip in {10.0.0.0-10.0.0.%u, fd00::/%u}", side, n, 120 + roll(9));
		return;
	case 8:
		buf_printf(b, "%s",
			   (const char *[]){"tcp", "udp", "icmp", "sctp", "ip4", "ip6", "arp"}[roll(7)]);
		return;
	case 9:
		buf_printf(b, "vlan.id == %u", n);
		return;
	case 10:
		buf_printf(b, "vlan");
		return;
	case 11:
		buf_printf(b, "%smac == 02:00:00:00:00:%02x", side, n);
		return;
	case 12:
		buf_printf(b, "len < %u", 60 + n);
		return;
	case 13:
		buf_printf(b, "tcp.flags == 0x%x", n);
		return;
	case 14:
		buf_printf(b, "tcp.syn");
		return;
	case 15:
		buf_printf(b, "ip.ttl >= %u", n);
		return;
	case 16:
		buf_printf(b, "has(%sport)", side);
		return;
	default:
		buf_printf(b, "proto == %u", roll(3) ? 17 : n);
	}
}

static void add_filter(struct buf *b, unsigned depth)
{
	unsigned kind = depth ? roll(6) : 0;

	if (kind < 2) {
		add_test(b);
		return;
	}
	buf_addz(b, kind == 5 ? "!(" : "(");
	add_filter(b, depth - 1);
	for (unsigned i = roll(3); kind != 5 && i; i--) {
		buf_addz(b, kind & 1 ? " || " : " && ");
		add_filter(b, depth - 1);
	}
	buf_addc(b, ')');
}

static struct filter *parse(struct str text)
{
	struct remarks remarks = {0};
	struct filter *f = NULL;

	if (filter_parse(&f, text, (struct pos){0}, &remarks)) {
		remarks_print(stderr, &remarks, false);
		fail_msg("not parsed: " STR_FMT, STR_ARG(text));
	}
	remarks_fini(&remarks);
	return f;
}

/* Ethernet, perhaps a tag, IPv4 or IPv6, TCP or UDP or another, small numbers; sometimes cut, sometimes
 * noise. */
static uint32_t make(uint8_t *p)
{
	uint8_t *at = p + 12;
	bool six = !roll(3);

	for (uint32_t i = 0; i < FRAME; i++)
		p[i] = (uint8_t)(roll(10) ? 0 : roll(256));
	memcpy(p, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)roll(40), 2, 0, 0, 0, 0, (uint8_t)roll(40)}, 12);
	if (!roll(3)) {
		memcpy(at, (uint8_t[]){0x81, 0, (uint8_t)(roll(8) << 5), (uint8_t)roll(40)}, 4);
		at += 4;
	}
	memcpy(at, six ? "\x86\xdd" : roll(20) ? "\x08\x00" : "\x08\x06", 2);
	at += 2;
	uint8_t proto = (uint8_t[]){6, 17, 17, 1, 132, 58, (uint8_t)roll(40)}[roll(7)];

	if (six) {
		memcpy(at, (uint8_t[]){0x60, 0, 0, 0, 0, 40, proto, (uint8_t)roll(40)}, 8);
		memset(at + 8, 0, 32);
		at[8] = at[24] = 0xfd;
		at[23] = (uint8_t)roll(40);
		at[39] = (uint8_t)roll(40);
		at += 40;
	} else {
		memcpy(at, (uint8_t[]){0x45, 0, 0, 50, 0, 0, 0, 0, (uint8_t)roll(40), proto}, 10);
		memcpy(at + 12, (uint8_t[]){10, 0, 0, (uint8_t)roll(40), 10, 0, 0, (uint8_t)roll(40)}, 8);
		at += 20;
	}
	memcpy(at, (uint8_t[]){0, (uint8_t)roll(40), 0, (uint8_t)roll(40)}, 4);
	if (proto == 6) {
		at[12] = 0x50;
		at[13] = (uint8_t)roll(64);
	}
	return roll(10) ? FRAME : 14 + roll(FRAME - 14);
}

static void named(const struct filter_index *x, struct filter *const *filters, uint32_t n, unsigned *asked,
		  unsigned *matched)
{
	uint64_t ask[FILTERS / 64 + 2];
	uint8_t frame[FRAME];
	uint32_t len = make(frame);
	struct filter_packet p = {.p = frame, .caplen = len, .len = len, .link = 1};
	struct dissected d;

	dissect(&d, &p);
	memset(ask, 0xff, sizeof(ask));
	filter_index_look(x, &d, ask);
	for (uint32_t i = 0; i < n; i++) {
		bool yes = filter_dissected(filters[i], &p, &d), is = ask[i / 64] >> (i % 64) & 1;
		AUTO_BUF text = {0};

		*asked += is;
		*matched += yes;
		if (yes && !is) {
			filter_print(filters[i], &text);
			fail_msg("left out, and it matches: %s", text.p);
		}
	}
}

static void br78_asking_the_named_is_asking_all(void **unused)
{
	(void)unused;
	unsigned asked = 0, matched = 0, always = 0;

	for (unsigned run = 0; run < 20; run++) {
		struct filter *filters[FILTERS];
		struct filter_index *x = NULL;
		uint32_t n = run ? FILTERS : 3;

		for (uint32_t i = 0; i < n; i++) {
			AUTO_BUF text = {0};

			add_filter(&text, run % 4);
			if (i % 50 == 7) {
				buf_clear(&text);
				buf_printf(&text, "pcap:'port %u'", 1 + roll(40));
			}
			filters[i] = parse(buf_str(&text));
		}
		assert_int_equal(filter_index_new(&x, (const struct filter *const *)filters, n), 0);
		for (unsigned i = 0; i < PACKETS / 20; i++)
			named(x, filters, n, &asked, &matched);
		always += filter_index_always(x);
		filter_index_free(&x);
		for (uint32_t i = 0; i < n; i++)
			filter_unref(&filters[i]);
	}
	assert_true(matched > PACKETS);
	assert_true(always > 100);
	/* Half of them have a negation or a `has` somewhere; the rest pays. */
	assert_true(asked < PACKETS * FILTERS * 3 / 4);
}

static void few_of_many(void **unused)
{
	(void)unused;
	struct filter *filters[FILTERS];
	struct filter_index *x = NULL;
	unsigned asked = 0, matched = 0;

	for (uint32_t i = 0; i < FILTERS; i++) {
		AUTO_BUF text = {0};

		buf_printf(&text,
			   (const char *[]){"udp && port == %u",
					    "tcp && dst.port == %u && src.ip == 10.0.0.3",
					    "ip4 && vlan.id == %u"}[i % 3],
			   i);
		filters[i] = parse(buf_str(&text));
	}
	assert_int_equal(filter_index_new(&x, (const struct filter *const *)filters, FILTERS), 0);
	assert_int_equal(filter_index_always(x), 0);
	for (unsigned i = 0; i < PACKETS; i++)
		named(x, filters, FILTERS, &asked, &matched);
	assert_true(matched > PACKETS / 10);
	assert_true(asked < PACKETS * 8);
	filter_index_free(&x);
	for (uint32_t i = 0; i < FILTERS; i++)
		filter_unref(&filters[i]);
}

/* 3,000 ranges that lie within each other would stand in six million places. */
static void overlaps_are_bounded(void **unused)
{
	(void)unused;
	enum { MANY = 3000 };
	static struct filter *filters[MANY];
	struct filter_index *x = NULL;

	for (uint32_t i = 0; i < MANY; i++) {
		AUTO_BUF text = {0};

		buf_printf(&text, "dst.port in {%u-%u}", 10000 - i, 10000 + i);
		filters[i] = parse(buf_str(&text));
	}
	assert_int_equal(filter_index_new(&x, (const struct filter *const *)filters, MANY), 0);
	assert_in_range(filter_index_always(x), MANY / 4, MANY * 3 / 4);
	filter_index_free(&x);
	for (uint32_t i = 0; i < MANY; i++)
		filter_unref(&filters[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(br78_asking_the_named_is_asking_all),
	    cmocka_unit_test(few_of_many),
	    cmocka_unit_test(overlaps_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
