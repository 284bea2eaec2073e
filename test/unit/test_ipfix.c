/* SPDX-License-Identifier: Apache-2.0 */
/* IPFIX messages: never larger than their room, sequence numbers that count records, sets that begin with
 * their family. Their reading by others is shown in test/run/exporters.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/own.h"
#include "observe/ipfix.h"

static unsigned u16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t u32(const uint8_t *p)
{
	return (uint32_t)u16(p) << 16 | u16(p + 2);
}

static struct ipfix_record record(const char *from, const char *to)
{
	struct ipfix_record r = {
	    .from_port = 1, .to_port = 2, .proto = 17, .bytes = {3, 4}, .packets = {5, 6}, .id = 7};

	assert_int_equal(addr_parse(str_of(from), &r.from), 0);
	assert_int_equal(addr_parse(str_of(to), &r.to), 0);
	return r;
}

/* Checks the lengths of message and sets; the number of sets. */
static unsigned sets_of(const struct ipfix *m)
{
	size_t at = 16;
	unsigned n = 0;

	assert_int_equal(u16(m->bytes), 10);
	assert_int_equal(u16(m->bytes + 2), m->n);
	assert_true(m->n <= m->room);
	while (at < m->n) {
		assert_in_range(u16(m->bytes + at + 2), 5, m->n - at);
		at += u16(m->bytes + at + 2);
		n++;
	}
	assert_int_equal(at, m->n);
	return n;
}

static void messages_hold_what_fits(void **state)
{
	static const size_t rooms[] = {IPFIX_MESSAGE_MIN, 1000, IPFIX_MESSAGE_MAX};
	struct ipfix_record r = record("10.0.0.1", "10.0.0.2"), r6 = record("fd00::1", "fd00::2");
	char name[512];

	(void)state;
	memset(name, 'n', sizeof(name));
	for (unsigned i = 0; i < IPFIX_NAMES; i++)
		r.names[i] = r6.names[i] = (struct str){name, sizeof(name)};
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++)
		for (unsigned form = 0; form < 4; form++) {
			struct ipfix m = {
			    .room = rooms[i], .both_ways = form & 1, .pen = form & 2 ? 32473 : 0};
			uint32_t n = 0;

			ipfix_begin(&m, 1);
			ipfix_add_templates(&m);
			ipfix_end(&m);
			assert_int_equal(sets_of(&m), 1);
			ipfix_begin(&m, 1);
			while (ipfix_add(&m, n % 2 ? &r6 : &r))
				n++;
			ipfix_end(&m);
			assert_true(n);
			assert_int_equal(m.records, n);
			assert_int_equal(sets_of(&m), n);
		}
}

static void sequence_and_time(void **state)
{
	struct ipfix_record r = record("10.0.0.1", "10.0.0.2");
	struct ipfix m = {.room = IPFIX_MESSAGE_MAX, .domain = 9, .sequence = UINT32_MAX};

	(void)state;
	ipfix_begin(&m, 1);
	assert_true(ipfix_add(&m, &r) && ipfix_add(&m, &r));
	ipfix_end(&m);
	assert_int_equal(sets_of(&m), 1);
	assert_int_equal(u32(m.bytes + 8), UINT32_MAX);
	assert_int_equal(u32(m.bytes + 12), 9);
	ipfix_set_time(m.bytes, 0x01020304);
	assert_int_equal(u32(m.bytes + 4), 0x01020304);
	m.sequence += m.records; /* it wraps */
	ipfix_begin(&m, 1);
	assert_int_equal(u32(m.bytes + 8), 1);
}

static void statistics_name_as_many_domains_as_fit(void **state)
{
	struct ipfix m = {.room = IPFIX_MESSAGE_MIN};
	uint32_t n = 0;

	(void)state;
	ipfix_begin(&m, 1);
	ipfix_add_statistics(&m, &(struct ipfix_statistics){1, 2, 3, 4});
	while (ipfix_add_domain(&m, 77, STR("a-node-with-a-rather-long-name")))
		n++;
	ipfix_end(&m);
	assert_int_equal(m.records, n + 1);
	assert_in_range(n, 3, 100);
	assert_int_equal(sets_of(&m), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(messages_hold_what_fits),
	    cmocka_unit_test(sequence_and_time),
	    cmocka_unit_test(statistics_name_as_many_domains_as_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
