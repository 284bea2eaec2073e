/* SPDX-License-Identifier: Apache-2.0 */
/* Reports: what is written is read alike; what is cut, longer or out of range is refused or passed over. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/own.h"
#include "filter/reason.h"
#include "observe/report.h"

static struct record sample(unsigned i)
{
	struct record r = {.kind = RECORD_FLOW,
			   .proto = 6,
			   .state = STATE_RESET,
			   .ended = true,
			   .reason = 7,
			   .cause = 8,
			   .rule_egress = 9,
			   .rule_ingress = 10,
			   .bytes = {UINT64_MAX, 2},
			   .packets = {3, 4},
			   .first = 5,
			   .last = INT64_MAX,
			   .id = 1 + i,
			   .epoch = 77,
			   .handshake_us = 11,
			   .rtt_us = {12, 16},
			   .retransmits = {13, 17},
			   .resets = 14,
			   .zero_windows = {15, 18},
			   .reset_by = SEEN_RESPONDER,
			   .tcp_seen = SEEN_BOTH,
			   .dns = STR("web.shop"),
			   .dns_type = 28,
			   .dns_code = 3,
			   .via_port = 443};

	addr_parse(STR("10.0.0.1"), &r.from.addr);
	addr_parse(STR("fd00::2"), &r.to.addr);
	addr_parse(STR("10.96.0.1"), &r.via);
	r.from.port = 40000;
	r.to.port = 80;
	return r;
}

static void write_report(struct buf *b, unsigned n)
{
	struct report head = {
	    .epoch = 5, .first = 1000, .lost = 3, .taken_before = 4, .untold = 5, .evicted = 6, .at = -1};

	report_begin(b, &head);
	for (unsigned i = 0; i < n; i++) {
		struct record r = sample(i);

		report_add(b, &r);
	}
	report_end(b, n);
	assert_false(b->failed);
}

static void reads_what_it_writes(void **state)
{
	AUTO_BUF b = {};
	struct report head;
	struct record r;

	(void)state;
	write_report(&b, 3);
	struct str s = buf_str(&b);

	assert_int_equal(report_read(&s, &head), 0);
	assert_int_equal(head.epoch, 5);
	assert_int_equal(head.first, 1000);
	assert_int_equal(head.lost, 3);
	assert_int_equal(head.taken_before, 4);
	assert_int_equal(head.untold, 5);
	assert_int_equal(head.evicted, 6);
	assert_int_equal(head.count, 3);
	assert_int_equal(head.at, -1);
	for (unsigned i = 0; i < 3; i++) {
		struct record want = sample(i);

		assert_int_equal(report_next(&s, &r), 0);
		assert_true(str_eq(r.dns, want.dns));
		r.dns = want.dns;
		assert_memory_equal(&r, &want, sizeof(r));
	}
	assert_int_equal(s.n, 0);
	assert_int_equal(report_next(&s, &r), -EINVAL);
}

/* Its number is this process's; on its way it has its name. */
static void a_kernels_reason_is_told_by_name(void **state)
{
	AUTO_BUF b = {};
	struct record r = sample(0), out;
	struct str s;

	(void)state;
	r.reason = reason_of_kernel(STR("SOCKET_RCVBUFF"), false);
	assert_true(r.reason > REASON_KERNEL);
	report_add(&b, &r);
	s = buf_str(&b);
	assert_non_null(memmem(s.p, s.n, "SOCKET_RCVBUFF", 14));
	assert_int_equal(report_next(&s, &out), 0);
	assert_int_equal(out.reason, r.reason);
	assert_true(str_eq(out.dns, r.dns));
	assert_string_equal(reason_name(out.reason), "kernel:SOCKET_RCVBUFF");
	/* one that cannot be a name is any of the kernel's */
	memset(b.p + b.n - 14, '"', 14);
	s = buf_str(&b);
	assert_int_equal(report_next(&s, &out), 0);
	assert_int_equal(out.reason, REASON_KERNEL);
	assert_string_equal(reason_name(REASON_KERNEL), "kernel");
	/* who may ask for anything does not take the room of what kernels say */
	for (unsigned i = 0; i < REASON_KERNEL_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "N%u", i);
		reason_of_kernel(str_of(name), true);
	}
	assert_int_equal(reason_of_kernel(STR("ONE_MORE"), true), REASON_KERNEL);
	assert_true(reason_of_kernel(STR("TCP_CSUM"), false) > REASON_KERNEL);
}

/* Cut anywhere, changed anywhere: refused or read, never beyond the end (AddressSanitizer watches). */
static void takes_anything(void **state)
{
	AUTO_BUF b = {};
	unsigned refused = 0;

	(void)state;
	write_report(&b, 2);
	for (size_t n = 0; n < b.n; n++)
		for (unsigned change = 0; change < 4; change++) {
			char *copy = malloc(n + 1);
			struct str s = {copy, n};
			struct report head;
			struct record r;

			memcpy(copy, b.p, n);
			if (n)
				copy[(n * 7 + change * 13) % n] ^= (char)(change * 85);
			int res = report_read(&s, &head);

			while (!res)
				res = report_next(&s, &r);
			refused += res < 0;
			free(copy);
		}
	assert_int_equal(refused, 4 * b.n);
}

/* Of a node whose records end before what is told by end: that is unknown. */
static void older_records_are_read(void **state)
{
	enum { MORE = 22 };
	AUTO_BUF b = {};
	struct report head;
	struct record r;
	uint16_t n;

	(void)state;
	write_report(&b, 1);
	memcpy(&n, b.p + 76, 2);
	n = (uint16_t)(n - MORE);
	memcpy(b.p + 76, &n, 2);
	struct str s = {b.p, b.n - MORE};

	assert_int_equal(report_read(&s, &head), 0);
	assert_int_equal(report_next(&s, &r), 0);
	assert_int_equal(s.n, 0);
	assert_int_equal(r.resets, 14);
	assert_true(str_eqz(r.dns, "web.shop"));
	assert_int_equal(r.tcp_seen, 0);
	assert_int_equal(r.rtt_us[0], 0);
}

static void longer_records_are_read(void **state)
{
	AUTO_BUF b = {};
	AUTO_BUF longer = {};
	struct report head;
	struct record r;
	uint16_t n;

	(void)state;
	write_report(&b, 1);
	buf_add(&longer, b.p, 76);
	memcpy(&n, b.p + 76, 2);
	n = (uint16_t)(n + 6);
	buf_add(&longer, &n, 2);
	buf_add(&longer, b.p + 78, b.n - 78);
	buf_addz(&longer, "newer!");
	struct str s = buf_str(&longer);

	assert_int_equal(report_read(&s, &head), 0);
	assert_int_equal(report_next(&s, &r), 0);
	assert_int_equal(r.id, 1);
	assert_int_equal(s.n, 0);
	longer.p[3]++;
	s = buf_str(&longer);
	assert_int_equal(report_read(&s, &head), -EPROTO);
}

static void says_how_long_it_lay(void **state)
{
	AUTO_BUF b = {};
	struct report head;

	(void)state;
	write_report(&b, 1);
	for (uint32_t ms = 0; ms < 5000; ms += 2500) {
		struct str s = buf_str(&b);

		report_waited(&b, ms);
		assert_int_equal(report_read(&s, &head), 0);
		assert_int_equal(head.waited_ms, ms);
		assert_int_equal(head.count, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_kernels_reason_is_told_by_name),
	    cmocka_unit_test(reads_what_it_writes),
	    cmocka_unit_test(takes_anything),
	    cmocka_unit_test(older_records_are_read),
	    cmocka_unit_test(longer_records_are_read),
	    cmocka_unit_test(says_how_long_it_lay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
