/* SPDX-License-Identifier: Apache-2.0 */
/* Identities by time, and records in memory: what is asked for is found under the names of its time, what
 * made room is counted. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/own.h"
#include "observe/history.h"

static struct identities *ids;
static struct history *history;

static int begin(void **state)
{
	(void)state;
	return identities_new(&ids) || history_new(&history, ids, 133, 10); /* 100 of them for the answered */
}

static int end(void **state)
{
	(void)state;
	history_free(&history);
	identities_forget(ids, INT64_MAX);
	identities_free(&ids);
	return 0;
}

static const struct identity *pod(const char *name)
{
	struct str labels[] = {STR("app"), str_of(name)};
	struct identity like = {
	    .kind = IDENTITY_POD, .ns = STR("shop"), .name = str_of(name), .labels = labels, .labels_len = 1};
	const struct identity *who = identity_get(ids, &like);

	assert_non_null(who);
	return who;
}

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(str_of(text), &a), 0);
	return a;
}

static void own(const char *address, const char *name, int64_t at)
{
	const struct identity *who = name ? pod(name) : NULL;
	struct addr a = addr(address);

	assert_int_equal(identities_set(ids, &a, who, at), 0);
	identity_unref(ids, &who);
}

static const char *owner(const char *address, int64_t at)
{
	static char name[64];
	struct addr a = addr(address);
	const struct identity *who = identities_at(ids, &a, at);

	if (!who)
		return "-";
	snprintf(name, sizeof(name), STR_FMT, STR_ARG(who->name));
	return name;
}

static void br15_names_are_those_of_the_time(void **state)
{
	(void)state;
	own("10.0.0.1", "web", 100);
	own("10.0.0.1", NULL, 200);
	own("10.0.0.1", "db", 300);
	own("10.0.0.1", "db", 310);
	assert_string_equal(owner("10.0.0.1", 99), "-");
	assert_string_equal(owner("10.0.0.1", 100), "web");
	assert_string_equal(owner("10.0.0.1", 199), "web");
	assert_string_equal(owner("10.0.0.1", 200), "-");
	assert_string_equal(owner("10.0.0.1", 300), "db");
	assert_string_equal(owner("10.0.0.1", INT64_MAX), "db");
	assert_string_equal(owner("10.0.0.2", 100), "-");
	assert_int_equal(identities_size(ids).spans, 3);
	assert_int_equal(identities_size(ids).identities, 2);
	/* an earlier time counts as the last one's; no time between two changes: the first one leaves no
	 * trace */
	own("10.0.0.1", "late", 250);
	assert_string_equal(owner("10.0.0.1", 300), "late");
	assert_string_equal(owner("10.0.0.1", 250), "-");
	identities_forget(ids, 250);
	assert_string_equal(owner("10.0.0.1", 150), "-");
	assert_string_equal(owner("10.0.0.1", 300), "late");
	own("10.0.0.1", NULL, 400);
	identities_forget(ids, 500);
	assert_int_equal(identities_size(ids).addresses, 0);
	assert_int_equal(identities_size(ids).identities, 0);
	assert_int_equal(identities_size(ids).spans, 0);
}

static struct record flow(uint64_t id, const char *from, const char *to, int64_t first, int64_t last,
			  bool ended)
{
	return (struct record){.from = {.addr = addr(from), .port = (uint16_t)(30000 + id)},
			       .to = {.addr = addr(to), .port = 80},
			       .node = "node-1",
			       .proto = 6,
			       .state = ended ? STATE_CLOSED : STATE_OPEN,
			       .ended = ended,
			       .first = first,
			       .last = last,
			       .id = id,
			       .bytes = {100 * id, 1}};
}

static int print(void *ctx, const struct record *r)
{
	buf_printf(ctx, "%llu", (unsigned long long)r->id);
	if (r->from.who)
		buf_printf(ctx, ":" STR_FMT, STR_ARG(r->from.who->name));
	buf_addc(ctx, ' ');
	return 0;
}

static void asks(const char *text, int64_t since, int64_t until, uint32_t limit, const char *want)
{
	AUTO(remarks_fini) struct remarks remarks = {};
	struct history_query q = {.since = since, .until = until, .limit = limit};
	struct filter *f = NULL;
	AUTO_BUF out = {};

	assert_int_equal(filter_parse(&f, str_of(text), (struct pos){}, &remarks), 0);
	q.filter = f;
	assert_int_equal(history_query(history, &q, print, &out), 0);
	assert_string_equal(out.p ? out.p : "", want);
	filter_unref(&f);
}

static void put(struct record r)
{
	assert_int_equal(history_put(history, &r), 0);
}

static void finds_by_name_and_time(void **state)
{
	(void)state;
	own("10.0.0.1", "web", 100);
	own("10.0.0.2", "db", 100);
	put(flow(1, "10.0.0.1", "10.0.0.2", 150, 160, true));
	put(flow(2, "10.0.0.1", "10.0.0.2", 170, 250, false));
	own("10.0.0.1", "other", 300);
	put(flow(3, "10.0.0.1", "10.0.0.2", 310, 320, true));
	asks("", 0, 0, 0, "3:other 2:web 1:web ");
	asks("src.pod == web", 0, 0, 0, "2:web 1:web ");
	asks("src.pod == other", 0, 0, 0, "3:other ");
	asks("src.label[app] == web && bytes > 150", 0, 0, 0, "2:web ");
	asks("", 161, 310, 0, "2:web ");
	asks("", 160, 171, 0, "2:web 1:web ");
	asks("", 0, 0, 2, "3:other 2:web ");
	/* it ends: it keeps the name of its beginning, and is one record */
	put(flow(2, "10.0.0.1", "10.0.0.2", 170, 400, true));
	asks("", 0, 0, 0, "2:web 3:other 1:web ");
	asks("ended", 330, 0, 0, "2:web ");
	assert_int_equal(history_size(history).open, 0);
	assert_int_equal(history_size(history).ended, 3);
	/* the names are kept by the records, also when the timeline forgets them */
	identities_forget(ids, INT64_MAX);
	asks("src.pod == web", 0, 0, 0, "2:web 1:web ");
}

static void what_makes_room_is_counted(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 250; i++)
		put(flow(i, "10.0.0.1", "10.0.0.2", i * 10, i * 10 + 5, true));
	assert_int_equal(history_size(history).ended, 100);
	assert_int_equal(history_size(history).pushed_out, 150);
	assert_int_equal(history_size(history).since, 1505);
	asks("", 0, 0, 2, "250 249 ");
	asks("", 0, 1516, 0, "151 ");
	for (unsigned i = 1; i <= 10; i++)
		put(flow(1000 + i, "10.0.0.1", "10.0.0.2", 1, 2, false));
	struct record more = flow(2000, "10.0.0.1", "10.0.0.2", 1, 2, false);

	assert_int_equal(history_put(history, &more), -ENOSPC);
	assert_int_equal(history_size(history).no_room, 1);
	/* those that are there still grow and end */
	put(flow(1003, "10.0.0.1", "10.0.0.2", 1, 3, true));
	assert_int_equal(history_size(history).open, 9);
	assert_int_equal(history_put(history, &more), 0);
	history_doubt(history, "node-2");
	history_end_doubted(history, "node-1");
	history_end_doubted(history, "node-2");
	assert_int_equal(history_size(history).open, 10);
	history_doubt(history, "node-1");
	put(flow(1004, "10.0.0.1", "10.0.0.2", 1, 3, false)); /* told again: no doubt */
	history_end_doubted(history, "node-1");
	assert_int_equal(history_size(history).open, 1);
	put(flow(1004, "10.0.0.1", "10.0.0.2", 1, 4, true));
	assert_int_equal(history_size(history).open, 0);
	assert_int_equal(history_size(history).put, 250 + 10 + 1 + 1 + 2);
}

/* A flood of what nobody answers pushes out its like, and nothing else. */
static void a_flood_leaves_the_answered(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 100; i++)
		put(flow(i, "10.0.0.1", "10.0.0.2", i, i + 5, true));
	for (unsigned i = 0; i < 5; i++)
		put(flow(500 + i, "10.0.0.1", "10.0.0.2", 1, 2, false));
	for (unsigned i = 1; i <= 1000; i++) {
		struct record r = flow(10000 + i, "10.9.0.1", "10.0.0.2", 1000 + i, 1000 + i, i % 10 != 0);

		r.state = STATE_UNANSWERED;
		assert_int_equal(history_put(history, &r), i % 10 || i <= 50 ? 0 : -ENOSPC);
	}
	struct history_size size = history_size(history);

	assert_int_equal(size.open, 10);
	assert_int_equal(size.ended, 133);
	assert_int_equal(size.pushed_out, 900 - 33);
	assert_int_equal(size.no_room, 95);
	assert_int_equal(size.since, 0);
	assert_in_range(size.since_lesser, 1900, 2000);
	asks("bytes == 101 || bytes == 10001", 0, 0, 0, "100 1 ");
	/* what is silent for long ended without a word */
	history_end_silent(history, 1045);
	assert_int_equal(history_size(history).open, 6);
	asks("!ended && state == unanswered", 0, 0, 0, "10050 ");
}

static void asks_news(uint64_t since, const char *want)
{
	struct history_query q = {.news = since};
	AUTO_BUF out = {};

	assert_int_equal(history_query(history, &q, print, &out), 0);
	assert_string_equal(out.p ? out.p : "", want);
}

/* Whoever follows is told of each beginning and end once, not of each look. */
static void news_are_told_once(void **state)
{
	(void)state;
	put(flow(1, "10.0.0.1", "10.0.0.2", 1, 2, false));
	uint64_t at = history_size(history).news;

	asks_news(0, "1 ");
	asks_news(at, "");
	put(flow(1, "10.0.0.1", "10.0.0.2", 1, 9, false));
	asks_news(at, "");
	put(flow(2, "10.0.0.1", "10.0.0.2", 1, 3, true));
	asks_news(at, "2 ");
	put(flow(1, "10.0.0.1", "10.0.0.2", 1, 9, true));
	asks_news(at, "1 2 ");
	at = history_size(history).news;
	/* closed, and then over without another packet */
	struct record r = flow(3, "10.0.0.1", "10.0.0.2", 10, 11, true);

	r.ended = false;
	put(r);
	asks_news(at, "3 ");
	at = history_size(history).news;
	r.ended = true;
	put(r);
	asks_news(at, "");
	asks("ended", 0, 0, 0, "3 1 2 ");
}

/* Random puts against a plain list. */
static void agrees_with_a_list(void **state)
{
	enum { IDS = 40, STEPS = 20000 };
	static struct record list[STEPS];
	unsigned len = 0, seed = 5;
	uint64_t open[IDS] = {};
	uint64_t next = 1;

	(void)state;
	for (unsigned i = 0; i < STEPS; i++) {
		seed = seed * 1103515245 + 12345;
		unsigned slot = (seed >> 16) % 8, ends = (seed >> 24) % 2;
		char from[16];
		struct record r;

		snprintf(from, sizeof(from), "10.0.0.%u", (seed >> 20) % 250);
		if (!open[slot])
			open[slot] = next++;
		r = flow(open[slot], from, "10.0.0.2", i, i + 1, ends);
		put(r);
		if (ends) {
			list[len++] = r;
			open[slot] = 0;
		}
	}
	AUTO_BUF want = {};

	for (unsigned i = 0; i < 100; i++)
		buf_printf(&want, "%llu ", (unsigned long long)list[len - 1 - i].id);
	asks("ended", 0, 0, 0, want.p);
	assert_int_equal(history_size(history).pushed_out, len - 100);
}

static void questions_have_a_ring_of_their_own(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 50; i++) {
		struct record r = flow(i, "10.0.0.1", "10.0.0.2", i, i + 1, true);

		r.id = 0;
		r.kind = RECORD_DNS;
		r.dns = STR("a.test");
		r.dns_type = 1;
		r.dns_code = i == 50 ? DNS_NO_ANSWER : 3;
		r.handshake_us = 1000 * i;
		put(r);
	}
	put(flow(60, "10.0.0.1", "10.0.0.2", 10, 20, true));
	assert_int_equal(history_size(history).ended, 34);
	assert_int_equal(history_size(history).pushed_out, 17);
	assert_int_equal(history_size(history).since_dns, 18);
	assert_int_equal(history_size(history).since_lesser, 0);
	/* they are shown to who asks for them */
	asks("", 0, 0, 0, "60 ");
	asks("src.ip == 10.0.0.1", 0, 0, 0, "60 ");
	asks("record == dns", 0, 0, 2, "0 0 ");
	asks("dns.name == A.Test. && dns.code == NXDOMAIN && dns.type == A && dns.time > 48ms", 0, 0, 0,
	     "0 ");
	asks("dns.code == NOANSWER", 0, 0, 0, "0 ");
	asks("has(dns.time) && dns.code == NOANSWER", 0, 0, 0, "");
	asks("!has(dns.code)", 0, 0, 0, "60 ");
	asks("tcp.handshake > 1ms && record == dns", 0, 0, 0, "");
}

/* The hub knows a name outside by what the node tells with each record; the node may forget. */
static void br15_a_domain_stays(void **state)
{
	struct identity outside = {.kind = IDENTITY_OUTSIDE},
			named = {.kind = IDENTITY_OUTSIDE, .domain = STR("www.test")};
	const struct identity *no = identity_get(ids, &outside), *yes = identity_get(ids, &named);
	struct record r = flow(1, "10.0.0.1", "198.51.100.1", 10, 20, false);

	(void)state;
	r.to.who = yes;
	put(r);
	r.to.who = no;
	r.last = 30;
	put(r);
	asks("dst.domain == WWW.test", 0, 0, 0, "1 ");
	r.ended = true;
	put(r);
	asks("dst.domain == www.test && ended", 0, 0, 0, "1 ");
	r = flow(2, "10.0.0.1", "198.51.100.1", 10, 20, true);
	r.to.who = no;
	put(r);
	asks("has(dst.domain)", 0, 0, 0, "1 ");
	identity_unref(ids, &no);
	identity_unref(ids, &yes);
}

static void put_ended(uint64_t from, uint64_t n, bool answered)
{
	for (uint64_t id = from; id < from + n; id++) {
		struct record r = flow(id, "10.0.0.1", "10.0.0.2", (int64_t)id, (int64_t)id, true);

		r.state = answered ? STATE_CLOSED : STATE_UNANSWERED;
		assert_int_equal(history_put(history, &r), 0);
	}
}

/* From the place on, `limit` records; the place moves on. */
static uint64_t follows(struct history_place *at, uint32_t limit, const char *want)
{
	struct history_follow f = {.at = *at, .to = history_newest(history, NULL), .limit = limit};
	AUTO_BUF got = {};

	assert_int_equal(history_follow(history, &f, print, &got), 0);
	assert_string_equal(got.p ? got.p : "", want);
	*at = f.at;
	return f.lost;
}

static void a_follower_has_each_once(void **state)
{
	struct history_place at = history_oldest(history, NULL);
	uint64_t lost;

	(void)state;
	put_ended(1, 2, true);
	put_ended(3, 2, false);
	put_ended(5, 1, true);
	assert_int_equal(follows(&at, 3, "1 2 3 "), 0);
	assert_int_equal(follows(&at, 10, "4 5 "), 0);
	assert_int_equal(follows(&at, 10, ""), 0);
	/* one that is open comes when it has ended */
	struct record r = flow(6, "10.0.0.1", "10.0.0.2", 6, 6, false);
	assert_int_equal(history_put(history, &r), 0);
	assert_int_equal(follows(&at, 10, ""), 0);
	r.ended = true;
	assert_int_equal(history_put(history, &r), 0);
	assert_int_equal(follows(&at, 10, "6 "), 0);
	/* 100 of the one ring and 33 of the other are kept: what made room is counted, in each */
	put_ended(1000, 107, true);
	put_ended(2000, 40, false);
	lost = follows(&at, 1, "1007 ");
	assert_int_equal(lost, 14);
	struct history_place end = history_newest(history, NULL);
	assert_int_equal(end.at[0] - at.at[0] + end.at[1] - at.at[1], 132);
}

static void count_sum(void *ctx, const struct history_sum *s)
{
	struct history_sum *all = ctx;

	assert_string_equal(s->node, "node-1");
	all->records += s->records;
	all->bytes[0] += s->bytes[0];
	all->bytes[1] += s->bytes[1];
}

/* What made room counts on. */
static void sums_are_of_all_that_ended(void **state)
{
	struct history_sum all = {};

	(void)state;
	put_ended(1, 500, true);
	history_each_sum(history, count_sum, &all);
	assert_int_equal(all.records, 500);
	assert_int_equal(all.bytes[0], 100 * 500 * 501 / 2);
	assert_int_equal(all.bytes[1], 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(br15_names_are_those_of_the_time, begin, end),
	    cmocka_unit_test_setup_teardown(finds_by_name_and_time, begin, end),
	    cmocka_unit_test_setup_teardown(what_makes_room_is_counted, begin, end),
	    cmocka_unit_test_setup_teardown(a_flood_leaves_the_answered, begin, end),
	    cmocka_unit_test_setup_teardown(news_are_told_once, begin, end),
	    cmocka_unit_test_setup_teardown(agrees_with_a_list, begin, end),
	    cmocka_unit_test_setup_teardown(questions_have_a_ring_of_their_own, begin, end),
	    cmocka_unit_test_setup_teardown(br15_a_domain_stays, begin, end),
	    cmocka_unit_test_setup_teardown(a_follower_has_each_once, begin, end),
	    cmocka_unit_test_setup_teardown(sums_are_of_all_that_ended, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
