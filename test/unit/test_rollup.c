/* SPDX-License-Identifier: Apache-2.0 */
/* Roll-ups: sums over buckets are the connections' own totals to the byte, whatever happened in between; the
 * file keeps below its size, and a broken one is begun anew. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/own.h"
#include "observe/rollup_file.h"
#include "observe/rollup_query.h"

#define NS 1000000000ll
#define T0 1767323002ll /* 2026-01-02T03:03:22Z */

static struct rollup *rollup;
static struct rollup_file *file;
static char folder[] = "/tmp/weft-t-rollup.XXXXXX", path[64];
static uint64_t mono;
static const struct rollup_limits limits = {.open = 1000, .fresh = 512, .networks = 1000, .cells = 4096};
static const struct identity web = {.refs = 1,
				    .kind = IDENTITY_POD,
				    .ns = STR("shop"),
				    .name = STR("web-1"),
				    .workload_kind = STR("Deployment"),
				    .workload = STR("web")},
			     db = {.refs = 1, .kind = IDENTITY_POD, .ns = STR("shop"), .name = STR("db-0")},
			     outside = {.refs = 1, .kind = IDENTITY_OUTSIDE};

static void open_it(uint64_t limit, bool expect_aside)
{
	AUTO_BUF why = {};
	bool aside;

	assert_int_equal(rollup_new(&rollup, &limits), 0);
	assert_int_equal(rollup_file_open(&file, path, limit, T0 * NS, mono, rollup, &aside, &why), 0);
	assert_int_equal(aside, expect_aside);
}

static void shut(void)
{
	rollup_file_close(&file);
	rollup_free(&rollup);
}

static int begin(void **state)
{
	(void)state;
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/rollup.db", folder);
	mono = 1000 * NS;
	open_it(64 << 20, false);
	return 0;
}

static int end(void **state)
{
	char command[96];

	(void)state;
	shut();
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static struct rollup_node *tell(uint32_t epoch, uint64_t first, int64_t at)
{
	struct report rep = {.epoch = epoch, .first = first, .at = at};

	mono = (uint64_t)(1000 * NS + at - T0 * NS); /* clocks agree */
	return rollup_report(rollup, STR("node-1"), &rep, mono);
}

static struct record flow(uint64_t id, int64_t first, int64_t last, uint64_t bytes, bool ended)
{
	struct record r = {.kind = RECORD_FLOW,
			   .from = {.port = 40000, .who = &web},
			   .to = {.port = 5432, .who = &db},
			   .node = "node-1",
			   .proto = 6,
			   .state = ended ? STATE_CLOSED : STATE_OPEN,
			   .ended = ended,
			   .bytes = {bytes, 2 * bytes},
			   .packets = {bytes / 100, bytes / 100 + 1},
			   .first = first,
			   .last = last,
			   .id = id,
			   .handshake_us = 700,
			   .dns_code = 255};

	return r;
}

static void write_it(void)
{
	struct rollup_batch b;

	assert_int_equal(rollup_drain(rollup, &b), 0);
	assert_int_equal(rollup_file_write(file, &b), 0);
	rollup_written(rollup, &b);
}

struct total {
	uint64_t v[ROLLUP_SUM_COUNT];
	unsigned rows, asked; /* asked: keys */
	const char *filter;
};

static bool want(void *ctx, const struct rollup_key *k, void **tag)
{
	((struct total *)ctx)->asked++;
	*tag = ctx;
	return k->port != 9999;
}

static void row(void *ctx, void *tag, enum rollup_level level, int64_t t, const uint64_t v[ROLLUP_SUM_COUNT])
{
	struct total *total = ctx;

	(void)tag;
	(void)level;
	(void)t;
	total->rows++;
	rollup_add(total->v, v);
}

static void known(void *ctx, struct str node, int64_t from, int64_t to)
{
	(void)ctx;
	(void)node;
	assert_true(from <= to);
}

static struct total sum(enum rollup_level level, int64_t since, int64_t until)
{
	struct total t = {};
	struct rollup_query q = {.since = since,
				 .until = until,
				 .level = level,
				 .want = want,
				 .row = row,
				 .known = known,
				 .ctx = &t};

	assert_int_equal(rollup_file_query(file, &q), 0);
	return t;
}

static void sums_are_totals_at_each_level(void **state)
{
	uint64_t bytes = 0, number = 0, total[40] = {};
	int64_t at = T0 * NS;

	(void)state;
	srand(7);
	/* Forty connections that grow by chance over some hours, written in between. */
	for (int i = 0; i < 4000; i++) {
		int c = rand() % 40;
		struct rollup_node *n;
		struct record r;

		at += (int64_t)(rand() % 5000) * 1000000;
		n = tell(1, number, at);
		total[c] += (uint64_t)(rand() % 100000);
		r = flow((uint64_t)c + 1, T0 * NS, at, total[c], false);
		assert_int_equal(rollup_take(rollup, n, number++, &r), 0);
		if (!(rand() % 50))
			write_it();
	}
	for (int c = 0; c < 40; c++) {
		struct record r = flow((uint64_t)c + 1, T0 * NS, at, total[c], true);

		assert_int_equal(rollup_take(rollup, tell(1, number, at), number, &r), 0);
		number++;
		bytes += total[c];
	}
	write_it();
	for (int l = 0; l < ROLLUP_LEVELS; l++) {
		struct total t = sum((enum rollup_level)l, 0, INT64_MAX);

		assert_int_equal(t.v[ROLLUP_bytes_there], bytes);
		assert_int_equal(t.v[ROLLUP_bytes_back], 2 * bytes);
		assert_int_equal(t.v[ROLLUP_closed], 40);
		assert_int_equal(t.v[ROLLUP_handshakes], 40);
		assert_int_equal(t.v[ROLLUP_handshake_max], 700);
	}
	assert_int_equal(rollup_counts(rollup).open, 0);
	assert_true(sum(ROLLUP_MINUTE, 0, INT64_MAX).rows > 60);
	/* A time of its own has its own part. */
	assert_true(sum(ROLLUP_MINUTE, T0, T0 + 600).v[ROLLUP_bytes_there] < bytes);
}

/* A node's clock is set back by an hour, then forward by five: nothing is lost, and nothing counted twice. */
static void a_clock_that_jumps_loses_nothing(void **state)
{
	static const int64_t jump[] = {0, -3600, 4 * 3600};
	uint64_t bytes[4] = {}, number = 0;

	(void)state;
	for (int i = 0; i < 600; i++) {
		int64_t at = (T0 + i / 10 + jump[i / 200]) * NS;
		struct report rep = {.epoch = 1, .first = number, .at = at};
		struct rollup_node *n;
		struct record r;
		bool last = i >= 596;
		int c = i % 4;

		mono = (uint64_t)(1000 * NS + i * NS / 10); /* this one does not jump */
		bytes[c] += 100;
		r = flow((uint64_t)c + 1, T0 * NS, at, bytes[c], last);
		n = rollup_report(rollup, STR("node-1"), &rep, mono);
		assert_non_null(n);
		assert_int_equal(rollup_take(rollup, n, number++, &r), 0);
		if (i % 70 == 69)
			write_it();
	}
	write_it();
	for (int l = 0; l < ROLLUP_LEVELS; l++) {
		struct total t = sum((enum rollup_level)l, 0, INT64_MAX);

		assert_int_equal(t.v[ROLLUP_bytes_there], 60000);
		assert_int_equal(t.v[ROLLUP_bytes_back], 120000);
		assert_int_equal(t.v[ROLLUP_begun], 4);
		assert_int_equal(t.v[ROLLUP_closed], 4);
	}
	/* each part at the time that the node's clock said */
	assert_int_equal(sum(ROLLUP_SECOND, T0, T0 + 20).v[ROLLUP_bytes_there], 20000);
	assert_int_equal(sum(ROLLUP_SECOND, T0 - 3600 + 20, T0 - 3600 + 40).v[ROLLUP_bytes_there], 20000);
	assert_int_equal(sum(ROLLUP_HOUR, T0 + 4 * 3600, T0 + 5 * 3600).v[ROLLUP_bytes_there], 20000);
}

static void a_restart_counts_nothing_twice(void **state)
{
	struct record r = flow(9, T0 * NS, T0 * NS, 1000, false);

	(void)state;
	rollup_take(rollup, tell(5, 0, T0 * NS), 0, &r);
	write_it();
	/* what was taken after the last write is lost with the hub, and told again by its growth */
	r = flow(9, T0 * NS, (T0 + 1) * NS, 1700, false);
	rollup_take(rollup, tell(5, 1, (T0 + 1) * NS), 1, &r);
	shut();
	open_it(64 << 20, false);
	assert_int_equal(rollup_counts(rollup).open, 1);
	/* the same report comes again, and a new one */
	r = flow(9, T0 * NS, T0 * NS, 1000, false);
	rollup_take(rollup, tell(5, 0, (T0 + 2) * NS), 0, &r);
	r = flow(9, T0 * NS, (T0 + 3) * NS, 2500, true);
	rollup_take(rollup, tell(5, 2, (T0 + 3) * NS), 2, &r);
	write_it();
	struct total t = sum(ROLLUP_SECOND, 0, INT64_MAX);

	assert_int_equal(t.v[ROLLUP_bytes_there], 2500);
	assert_int_equal(t.v[ROLLUP_begun], 1);
	assert_int_equal(t.v[ROLLUP_closed], 1);
	assert_int_equal(t.v[ROLLUP_handshakes], 1);
}

static void an_observer_begins_anew(void **state)
{
	struct record a = flow(1, T0 * NS, T0 * NS, 500, false), b = flow(2, T0 * NS, T0 * NS, 500, false);
	struct rollup_node *n = tell(5, 0, T0 * NS);

	(void)state;
	rollup_take(rollup, n, 0, &a);
	rollup_take(rollup, n, 1, &b);
	write_it();
	/* one is told again with all that it has, the other ended unseen */
	a = flow(1, T0 * NS, (T0 + 9) * NS, 800, false);
	rollup_take(rollup, tell(6, 0, (T0 + 9) * NS), 0, &a);
	assert_int_equal(rollup_counts(rollup).open, 2);
	tell(6, 1, (T0 + 60) * NS);
	assert_int_equal(rollup_counts(rollup).open, 1);
	write_it();
	struct total t = sum(ROLLUP_SECOND, 0, INT64_MAX);

	assert_int_equal(t.v[ROLLUP_bytes_there], 1300);
	assert_int_equal(t.v[ROLLUP_unseen], 1);
	assert_int_equal(t.v[ROLLUP_begun], 2);
}

static char *ask(const char *filter, int64_t since, int64_t until, int64_t step, unsigned by)
{
	AUTO(remarks_fini) struct remarks remarks = {};
	struct rollup_answer *answer;
	struct filter *f = NULL;
	struct buf out = {};

	if (filter)
		assert_int_equal(filter_parse(&f, str_of(filter), (struct pos){}, &remarks), 0);
	struct rollup_ask a = {.filter = f, .since = since, .until = until, .step = step, .by = by};

	assert_int_equal(rollup_answer_new(&answer, &a), 0);
	struct rollup_query q = {.since = since,
				 .until = until,
				 .level = rollup_ask_level(&a, T0 + 86400),
				 .want = rollup_answer_want,
				 .row = rollup_answer_row,
				 .known = rollup_answer_known,
				 .ctx = answer};

	assert_int_equal(rollup_file_query(file, &q), 0);
	rollup_answer_node(answer, STR("node-1"), T0 * NS);
	assert_int_equal(rollup_answer_print(answer, &out, (T0 + 300) * NS), 0);
	rollup_answer_free(&answer);
	if (f)
		filter_unref(&f);
	return out.p;
}

static void a_gap_is_unknown_never_zero(void **state)
{
	struct record r;
	unsigned by = 1u << ROLLUP_BY_FROM | 1u << ROLLUP_BY_TO | 1u << ROLLUP_BY_PORT;

	(void)state;
	for (int i = 0; i <= 100; i++) { /* every second, but not from 30 to 60 */
		if (i > 30 && i < 60)
			continue;
		struct rollup_node *n =
		    tell(i < 60 ? 1 : 2, i < 60 ? (uint64_t)i : (uint64_t)i - 60, (T0 + i) * NS);

		r = flow(100 + (uint64_t)i, (T0 + i) * NS, (T0 + i) * NS, 10, true);
		r.bytes[1] = 0;
		rollup_take(rollup, n, i < 60 ? (uint64_t)i : (uint64_t)i - 60, &r);
		write_it(); /* as it is while the node is away */
	}
	AUTO_MEM char *text =
	    ask("src.workload == web && dst.port == 5432 && tcp", T0 - 22, T0 + 100, 60, by);

	assert_non_null(
	    strstr(text, "\"unknown\":[{\"node\":\"node-1\",\"from\":\"2026-01-02T03:03:52.000000000Z\","
			 "\"to\":\"2026-01-02T03:04:21.000000000Z\"}]"));
	assert_non_null(strstr(
	    text, "{\"at\":\"2026-01-02T03:03:00Z\",\"from\":{\"kind\":\"pod\",\"namespace\":"
		  "\"shop\",\"workloadKind\":\"Deployment\",\"workload\":\"web\"},\"to\":{"
		  "\"kind\":\"pod\",\"namespace\":\"shop\",\"workloadKind\":\"Pod\","
		  "\"workload\":\"db-0\"},\"port\":5432,\"begun\":31,\"closed\":31,\"bytesThere\":310"));
	AUTO_MEM char *none = ask("src.workload == other", T0 - 22, T0 + 100, 60, by);

	assert_non_null(strstr(none, "\"rows\":[]"));
}

/* A file knows the keys of months: of those only the ones with a row of that time are looked at, each once.
 */
static void keys_of_another_time_cost_nothing(void **state)
{
	struct total t;

	(void)state;
	for (int i = 0; i < 500; i++) {
		struct record r = flow(1 + (uint64_t)i, (T0 + i) * NS, (T0 + i) * NS, 100, true);

		r.to.port = (uint16_t)(i < 400 ? 1000 + i : i % 2 ? 2000 : 9999);
		rollup_take(rollup, tell(1, (uint64_t)i, (T0 + i) * NS), (uint64_t)i, &r);
		if (i % 50 == 49)
			write_it();
	}
	t = sum(ROLLUP_SECOND, T0 + 30, T0 + 40);
	assert_int_equal(t.asked, 10);
	assert_int_equal(t.rows, 10);
	t = sum(ROLLUP_SECOND, T0 + 400, T0 + 500);
	assert_int_equal(t.asked, 2);
	assert_int_equal(t.rows, 50); /* one of the two is not wanted */
	assert_int_equal(t.v[ROLLUP_bytes_there], 5000);
	t = sum(ROLLUP_SECOND, T0, T0 + 1000);
	assert_int_equal(t.asked, 402);
	t = sum(ROLLUP_SECOND, T0 + 600, T0 + 1000);
	assert_int_equal(t.asked + t.rows, 0);
}

static void fields_that_are_not_known_are_refused(void **state)
{
	static const struct {
		const char *filter, *reason;
	} cases[] = {{"tcp && bytes > 1M", "sums of many"},
		     {"src.pod == \"shop/web-1\"", "by their workload"},
		     {"tcp && !(ip == 10.0.0.0/8)", "workload, domain or network"},
		     {"src.port == 5", "callers' ports"},
		     {"port == 5432 && ns == shop && verdict == dropped && reason == policy-ingress", NULL},
		     {"tcp port 5432", NULL}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(remarks_fini) struct remarks remarks = {};
		struct filter *f;
		AUTO_BUF why = {};

		assert_int_equal(filter_parse(&f, str_of(cases[i].filter), (struct pos){}, &remarks), 0);
		assert_int_equal(rollup_filter_check(f, &why), cases[i].reason ? -ENOTSUP : 0);
		if (cases[i].reason)
			assert_non_null(strstr(why.p, cases[i].reason));
		filter_unref(&f);
	}
}

static uint64_t size_of(const char *suffix)
{
	char name[80];
	struct stat st;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	return stat(name, &st) ? 0 : (uint64_t)st.st_size;
}

static struct record drop(const struct identity *from, int64_t at)
{
	struct record r = {.kind = RECORD_DROP,
			   .from = {.who = from},
			   .to = {.port = 80, .who = &web},
			   .proto = 6,
			   .verdict = VERDICT_DROPPED,
			   .reason = 1,
			   .bytes = {60},
			   .packets = {1},
			   .first = at,
			   .last = at};

	return r;
}

/* Random networks for two minutes: they cost no minutes and hours of before. */
static void a_flood_is_folded(void **state)
{
	struct record r = flow(1, T0 * NS, T0 * NS, 500, true);
	uint64_t number = 0;

	(void)state;
	rollup_take(rollup, tell(1, 0, T0 * NS), number++, &r);
	srand(3);
	for (int i = 0; i < 120; i++) {
		struct rollup_node *n = tell(1, number, (T0 + i) * NS);

		for (int k = 0; k < 1000; k++) {
			r = drop(&outside, (T0 + i) * NS);
			r.from.addr.b[10] = r.from.addr.b[11] = 0xff;
			for (int b = 12; b < 16; b++)
				r.from.addr.b[b] = (uint8_t)rand();
			assert_int_equal(rollup_take(rollup, n, number++, &r), 0);
		}
		write_it();
	}
	assert_true(rollup_counts(rollup).folded > 100000);
	assert_true(rollup_counts(rollup).keys < 2100);
	for (int l = 0; l < ROLLUP_LEVELS; l++) {
		struct total t = sum((enum rollup_level)l, 0, INT64_MAX);

		assert_int_equal(t.v[ROLLUP_events], 120000);
		assert_int_equal(t.v[ROLLUP_closed], 1);
	}
}

static void the_size_holds(void **state)
{
	struct rollup_file_state s;
	uint64_t number = 0, events = 0, most = 0;

	(void)state;
	shut();
	unlink(path);
	open_it(4 << 20, false);
	/* 600 workloads each second for three minutes. */
	for (int i = 0; i < 180; i++) {
		struct rollup_node *n = tell(1, number, (T0 + i) * NS);

		for (int k = 0; k < 600; k++) {
			char name[32];
			struct identity pod = {.refs = 1, .kind = IDENTITY_POD, .ns = STR("shop")};
			struct record r = drop(&pod, (T0 + i) * NS);

			snprintf(name, sizeof(name), "pod-with-a-name-%d", k);
			pod.name = str_of(name);
			assert_int_equal(rollup_take(rollup, n, number++, &r), 0);
			events++;
		}
		write_it();
		uint64_t now = size_of("") + size_of("-wal");

		most = now > most ? now : most;
	}
	if (most > 4 << 20)
		fail_msg("%llu bytes, %llu of them the log", (unsigned long long)most,
			 (unsigned long long)size_of("-wal"));
	assert_true(most > 2 << 20); /* and the room is used */
	s = rollup_file_state(file);
	assert_true(s.gone[ROLLUP_SECOND] > 1000);
	assert_true(rollup_counts(rollup).folded > 0);
	/* The newest is there, and the seconds that are left are of the end. */
	assert_int_equal(sum(ROLLUP_SECOND, T0 + 179, T0 + 180).v[ROLLUP_events], 600);
	assert_true(s.kept[ROLLUP_SECOND] > T0 && s.kept[ROLLUP_SECOND] < T0 + 180);
	assert_true(sum(ROLLUP_SECOND, 0, INT64_MAX).v[ROLLUP_events] <= events);
}

static void a_broken_file_is_put_aside(void **state)
{
	struct record r = flow(1, T0 * NS, T0 * NS, 500, true);
	int fd;

	(void)state;
	rollup_take(rollup, tell(5, 0, T0 * NS), 0, &r);
	write_it();
	shut();
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "what is this?", 13, 0), 13);
	close(fd);
	open_it(64 << 20, true);
	assert_true(size_of(".corrupt") > 0);
	assert_int_equal(sum(ROLLUP_SECOND, 0, INT64_MAX).rows, 0);
	/* The new file begins at T0: a connection that is older by far counts from what is told of it first.
	 */
	r = flow(2, (T0 - 5000) * NS, (T0 + 100) * NS, 100000, false);
	rollup_take(rollup, tell(6, 0, (T0 + 100) * NS), 0, &r);
	r = flow(2, (T0 - 5000) * NS, (T0 + 101) * NS, 100400, true);
	rollup_take(rollup, tell(6, 1, (T0 + 101) * NS), 1, &r);
	write_it();
	assert_int_equal(sum(ROLLUP_SECOND, 0, INT64_MAX).v[ROLLUP_bytes_there], 400);
	assert_int_equal(rollup_counts(rollup).baselines, 1);
}

static void what_cannot_be_written_waits(void **state)
{
	struct record r = flow(1, T0 * NS, T0 * NS, 500, false);
	struct rollup_batch b;

	(void)state;
	rollup_take(rollup, tell(5, 0, T0 * NS), 0, &r);
	assert_int_equal(rollup_drain(rollup, &b), 0);
	r = flow(1, T0 * NS, T0 * NS, 900, true);
	rollup_take(rollup, tell(5, 1, T0 * NS), 1, &r);
	rollup_restore(rollup, &b); /* as after a full disk */
	write_it();
	assert_int_equal(sum(ROLLUP_SECOND, 0, INT64_MAX).v[ROLLUP_bytes_there], 900);
	assert_int_equal(sum(ROLLUP_HOUR, 0, INT64_MAX).v[ROLLUP_bytes_there], 900);
	shut();
	open_it(64 << 20, false);
	assert_int_equal(rollup_counts(rollup).open, 0);
	/* Memory that waits is bounded: the oldest seconds are given up, and counted. */
	for (int i = 0; i < 9000; i++) {
		r = flow(10 + (uint64_t)i, (T0 + i) * NS, (T0 + i) * NS, 1, true);
		rollup_take(rollup, tell(7, (uint64_t)i, (T0 + i) * NS), (uint64_t)i, &r);
	}
	assert_int_equal(rollup_drain(rollup, &b), 0);
	rollup_restore(rollup, &b);
	assert_true(rollup_counts(rollup).gave_up > 4000);
	assert_true(rollup_counts(rollup).waiting < 6000);
	write_it();
	assert_int_equal(sum(ROLLUP_HOUR, 0, INT64_MAX).v[ROLLUP_bytes_there], 900 + 9000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(sums_are_totals_at_each_level, begin, end),
	    cmocka_unit_test_setup_teardown(a_clock_that_jumps_loses_nothing, begin, end),
	    cmocka_unit_test_setup_teardown(a_restart_counts_nothing_twice, begin, end),
	    cmocka_unit_test_setup_teardown(an_observer_begins_anew, begin, end),
	    cmocka_unit_test_setup_teardown(a_gap_is_unknown_never_zero, begin, end),
	    cmocka_unit_test_setup_teardown(keys_of_another_time_cost_nothing, begin, end),
	    cmocka_unit_test_setup_teardown(fields_that_are_not_known_are_refused, begin, end),
	    cmocka_unit_test_setup_teardown(a_flood_is_folded, begin, end),
	    cmocka_unit_test_setup_teardown(the_size_holds, begin, end),
	    cmocka_unit_test_setup_teardown(a_broken_file_is_put_aside, begin, end),
	    cmocka_unit_test_setup_teardown(what_cannot_be_written_waits, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
