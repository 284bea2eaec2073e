/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alerts at work, told their time: the window's arithmetic, groups and their bound, pending and hysteresis,
 * what is late, what a node that is away holds, what a restart goes on from. Percentiles and distinct values
 * are held against exact ones.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/own.h"
#include "observe/alert.h"
#include "seam/event.h"

enum { START = 1000000000 };

static size_t room;
static struct alert_rule *rule;
static uint64_t now;
static unsigned fired, resolved;

static struct alert_rule *make(const char *filter, struct alert_terms t)
{
	struct remarks rs = {0};
	struct filter *f = NULL;
	struct alert_rule *a = NULL;

	t.window_ms = t.window_ms ? t.window_ms : 60000;
	t.min_records = t.min_records ? t.min_records : 1;
	t.max_groups = t.max_groups ? t.max_groups : 100;
	if (filter)
		assert_int_equal(filter_parse(&f, str_of(filter), (struct pos){0}, &rs), 0);
	assert_int_equal(alert_rule_new(&a, &t, f, &room, now), 0);
	if (f)
		filter_unref(&f);
	return a;
}

static int begin(void **state)
{
	(void)state;
	room = 1 << 20;
	now = START;
	fired = resolved = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	alert_rule_free(&rule);
	assert_int_equal(room, 1 << 20); /* all is given back */
	return 0;
}

static struct record drop(const char *from)
{
	struct record r = {.kind = RECORD_DROP,
			   .proto = 6,
			   .verdict = VERDICT_DROPPED,
			   .reason = DROP_POLICY_INGRESS,
			   .ended = true,
			   .node = "node-1",
			   .packets = {1}};

	addr_parse(str_of(from), &r.from.addr);
	return r;
}

static void take(const struct record *r, uint64_t age_ms)
{
	alert_rule_take(rule, &(struct alert_sight){.now = r, .age_ms = age_ms, .now_ms = now});
}

static void on_changed(void *ctx, const struct alert_group *g, enum alert_state before)
{
	(void)ctx;
	(void)before;
	fired += g->state == ALERT_FIRING;
	resolved += g->state == ALERT_RESOLVED;
}

static void tick(uint64_t silent)
{
	alert_rule_tick(
	    rule, &(struct alert_tick){
		      .now_ms = now, .wall = (int64_t)(now / 1000), .silent = silent, .changed = on_changed});
}

static void drops(unsigned n, uint64_t age_ms)
{
	struct record r = drop("10.0.0.1");

	for (unsigned i = 0; i < n; i++)
		take(&r, age_ms);
}

static uint64_t value(void)
{
	tick(0);
	return rule->groups.len ? rule->groups.items[0]->value : 0;
}

static void window_slides(void **state)
{
	(void)state;
	rule = make("reason == policy-ingress", (struct alert_terms){.above = 1000});
	for (unsigned i = 0; i < 12; i++, now += 5000)
		drops(1, 0); /* one in each slot */
	now -= 5000;
	assert_int_equal(value(), 12);
	now += 5000;
	assert_int_equal(value(), 11); /* the first slot is out: never more than the window */
	now += 30000;
	assert_int_equal(value(), 5);
	now += 3600000;
	assert_int_equal(value(), 0);
	assert_int_equal(rule->groups.len, 0); /* and nothing is kept of it */
	drops(3, 0);
	assert_int_equal(value(), 3); /* nothing of the slots' former life */
}

static void age_says_which_slot(void **state)
{
	(void)state;
	rule = make("reason == policy-ingress", (struct alert_terms){.above = 1000});
	drops(4, 50000);
	assert_int_equal(value(), 4);
	drops(5, 60000); /* older than the window */
	drops(6, 10 * 3600000);
	drops(7, UINT64_MAX / 2); /* a clock that was set */
	assert_int_equal(value(), 4);
	assert_int_equal(rule->late, 18);
	now += 10000;
	assert_int_equal(value(), 0); /* they were old when they came */
}

static void late_does_not_fire(void **state)
{
	(void)state;
	rule = make("reason == policy-ingress", (struct alert_terms){.above = 10});
	drops(1000, 61000);
	tick(0);
	assert_int_equal(fired, 0);
	assert_int_equal(rule->late, 1000); /* and is not silent */
	drops(11, 30000);		    /* came late, yet lies in the window */
	tick(0);
	assert_int_equal(fired, 1);
}

static void fires_and_resolves_with_hysteresis(void **state)
{
	(void)state;
	rule = make("reason == policy-ingress", (struct alert_terms){.above = 10, .resolve = 4});
	drops(10, 0);
	tick(0);
	assert_int_equal(fired, 0); /* above, not at */
	now += 20000;
	drops(5, 0);
	tick(0);
	assert_int_equal(fired, 1);
	now += 45000; /* the ten are out */
	tick(0);
	assert_int_equal(rule->groups.items[0]->value, 5);
	assert_int_equal(resolved, 0); /* between resolve and above */
	now += 20000;
	tick(0);
	assert_int_equal(resolved, 1);
	assert_int_equal(fired, 1);
	assert_int_equal(rule->groups.len, 1); /* kept a while, for who asks */
	now += 16 * 60000;
	tick(0);
	assert_int_equal(rule->groups.len, 0);
}

static void pending_first(void **state)
{
	(void)state;
	rule = make("reason == policy-ingress",
		    (struct alert_terms){.above = 1, .wait_ms = 30000, .keep_ms = 20000});
	drops(2, 0);
	tick(0);
	assert_int_equal(rule->groups.items[0]->state, ALERT_PENDING);
	now += 29000;
	tick(0);
	assert_int_equal(fired, 0);
	now += 1000;
	tick(0);
	assert_int_equal(fired, 1);
	now += 30000;
	tick(0);
	now += 19000;
	tick(0);
	assert_int_equal(resolved, 0); /* keepFiringFor */
	now += 1000;
	tick(0);
	assert_int_equal(resolved, 1);
	/* not long enough */
	drops(2, 0);
	now += 1000;
	tick(0);
	now += 61000;
	tick(0);
	now += 60000;
	tick(0);
	assert_int_equal(fired, 1);
}

static void groups_are_bounded(void **state)
{
	char text[32];

	(void)state;
	rule = make("reason == policy-ingress",
		    (struct alert_terms){
			.above = 1, .max_groups = 20, .by = {ALERT_SRC_IP, ALERT_REASON}, .n_by = 2});
	for (unsigned i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "10.0.1.%u", i);
		struct record r = drop(text);

		take(&r, 0);
		take(&r, 0);
	}
	assert_int_equal(rule->groups.len, 20);
	assert_int_equal(rule->overflow, 60);
	tick(0);
	assert_int_equal(fired, 20);
	assert_true(str_eqz(alert_group_value(rule->groups.items[7], 0), "10.0.1.7"));
	assert_true(str_eqz(alert_group_value(rule->groups.items[7], 1), "policy-ingress"));
	now += 3600000;
	tick(0);
	now += 3600000;
	tick(0);
	struct record r = drop("10.0.1.99");

	take(&r, 0);
	assert_int_equal(rule->overflow, 60); /* there is room again */
	assert_int_equal(rule->groups.len, 1);
}

static void room_is_shared(void **state)
{
	size_t one;
	struct record a = drop("10.0.0.1"), b = drop("10.0.0.2");

	(void)state;
	rule = make("reason == policy-ingress", (struct alert_terms){.by = {ALERT_SRC_IP}, .n_by = 1});
	take(&a, 0);
	one = (1 << 20) - room;
	assert_true(one > sizeof(struct alert_group));
	size_t spare = room;

	room = one - 1;
	take(&b, 0);
	assert_int_equal(rule->overflow, 1);
	room = spare;
	take(&b, 0);
	assert_int_equal(rule->groups.len, 2);
}

static void a_connection_counts_once(void **state)
{
	struct record r = {.kind = RECORD_FLOW, .proto = 6, .id = 9, .state = STATE_OPEN, .node = "node-1"},
		      before;
	struct alert_sight s = {.now = &r, .now_ms = now};

	(void)state;
	rule = make("tcp", (struct alert_terms){.measure = ALERT_BYTES, .above = 1000000});
	r.bytes[0] = 300;
	alert_rule_take(rule, &s);
	for (unsigned i = 0; i < 5; i++) {
		before = r;
		r.bytes[1] += 100;
		s.before = &before;
		alert_rule_take(rule, &s);
	}
	assert_int_equal(value(), 800);
	/* one that began before us: what it had by then was told to another */
	r.bytes[0] = 1 << 30;
	s.before = NULL;
	s.older = true;
	alert_rule_take(rule, &s);
	assert_int_equal(value(), 800);
	r.again = true;
	s.older = false;
	alert_rule_take(rule, &s);
	assert_int_equal(value(), 800); /* the same connection, as its other node saw it */
	alert_rule_free(&rule);
	rule = make("tcp", (struct alert_terms){.above = 1000000});
	r.again = false;
	alert_rule_take(rule, &s);
	s.before = &before;
	alert_rule_take(rule, &s);
	assert_int_equal(value(), 1);
}

static void an_away_node_holds(void **state)
{
	uint64_t bit = alert_node_bit(STR("node-1"));

	(void)state;
	rule = make("reason == policy-ingress", (struct alert_terms){.above = 3, .resolve = 3});
	drops(5, 0);
	tick(0);
	assert_int_equal(fired, 1);
	now += 600000;
	tick(bit);
	assert_int_equal(resolved, 0); /* it may go on there: unknown is not over */
	tick(alert_node_bit(STR("node-2")));
	assert_int_equal(resolved, 1);
}

static void restart_goes_on(void **state)
{
	struct alert_group *g;

	(void)state;
	rule = make("reason == policy-ingress", (struct alert_terms){.above = 3, .resolve = 3});
	g = alert_rule_restore(rule, STR(""), ALERT_FIRING, now, 100000, 0);
	assert_non_null(g);
	now += 59000;
	tick(0);
	assert_int_equal(g->state, ALERT_FIRING); /* nobody knows yet */
	drops(5, 0);
	tick(0);
	assert_int_equal(fired, 0); /* it fired before: no second notice */
	now += 70000;
	tick(0);
	assert_int_equal(resolved, 1);
	/* pending: `for` counts on over the restart, but it fires only for what was seen */
	alert_rule_free(&rule);
	rule = make("reason == policy-ingress", (struct alert_terms){.above = 3, .wait_ms = 30000});
	g = alert_rule_restore(rule, STR(""), ALERT_PENDING, now, 40000, 0);
	tick(0);
	assert_int_equal(fired, 0);
	drops(4, 0);
	tick(0);
	assert_int_equal(fired, 1);
}

static void receivers_that_never_hear(void **state)
{
	(void)state;
	rule = make("reason == policy-ingress", (struct alert_terms){.above = 3, .resolve = 3});
	rule->receivers = 3;
	drops(5, 0);
	tick(0);
	assert_int_equal(rule->groups.items[0]->untold, 3);
	rule->groups.items[0]->untold = 2; /* the first one took it */
	now += 120000;
	tick(0);
	assert_int_equal(rule->groups.items[0]->untold, 3);
	rule->groups.items[0]->untold = 2;
	drops(5, 0);
	tick(0); /* fires again, and the second one never heard of the end */
	assert_int_equal(rule->lost[0], 0);
	assert_int_equal(rule->lost[1], 1);
	now += 120000;
	tick(0);
	now += 3600000;
	tick(0); /* given up */
	assert_int_equal(rule->groups.len, 0);
	assert_int_equal(rule->lost[1], 2);
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void percentiles_are_near(void **state)
{
	enum { N = 5000 };
	static uint64_t all[N];
	static const struct {
		enum alert_statistic s;
		double share;
	} cases[] = {{ALERT_P50, 0.5}, {ALERT_P90, 0.9}, {ALERT_P95, 0.95}, {ALERT_P99, 0.99}};
	uint64_t seed = 7;

	(void)state;
	for (unsigned c = 0; c < ARRAY_LEN(cases); c++) {
		rule = make("tcp", (struct alert_terms){.measure = ALERT_HANDSHAKE, .statistic = cases[c].s});
		for (unsigned i = 0; i < N; i++) {
			seed = hash_bytes(&seed, sizeof(seed), 3);
			struct record r = {.kind = RECORD_FLOW,
					   .proto = 6,
					   .node = "n",
					   .handshake_us =
					       (uint32_t)(50 + (seed >> 20) % (UINT64_C(16) << seed % 16))};

			all[i] = (uint64_t)r.handshake_us * 1000;
			take(&r, i % 50000);
		}
		qsort(all, N, sizeof(*all), by_size);
		double exact = (double)all[(size_t)(cases[c].share * N)], got = (double)value();

		if (got < exact * 0.87 || got > exact * 1.13)
			fail_msg("percentile %g: %g for %g", cases[c].share, got, exact);
		alert_rule_free(&rule);
	}
}

static void distinct_is_near(void **state)
{
	static const unsigned counts[] = {1, 5, 40, 300, 3000, 50000};

	(void)state;
	for (unsigned c = 0; c < ARRAY_LEN(counts); c++) {
		rule = make("tcp", (struct alert_terms){.measure = ALERT_PORTS});
		for (unsigned i = 0; i < 3 * counts[c]; i++) {
			struct record r = {.kind = RECORD_FLOW, .proto = 6, .node = "n"};

			r.to.port = (uint16_t)(i % counts[c]);
			take(&r, i % 3 * 10000);
		}
		double got = (double)value(), exact = counts[c];

		if (got < exact * 0.92 || got > exact * 1.08)
			fail_msg("%g for %g", got, exact);
		alert_rule_free(&rule);
	}
}

/* A TCP connection's entry stays for a while when both ends have closed: its length counts once, at once. */
static void a_length_counts_once(void **state)
{
	struct record r = {.kind = RECORD_FLOW, .proto = 6, .id = 9, .node = "n", .last = 30000000}, before;
	struct alert_sight s = {.now = &r, .now_ms = now};

	(void)state;
	rule =
	    make("tcp",
		 (struct alert_terms){.measure = ALERT_DURATION, .statistic = ALERT_MAX, .above = 20000000});
	r.state = STATE_OPEN;
	alert_rule_take(rule, &s);
	assert_int_equal(value(), 0);
	before = r;
	s.before = &before;
	r.state = STATE_CLOSED;
	alert_rule_take(rule, &s);
	assert_int_equal(value(), 30000000);
	before = r;
	r.ended = true;
	s.age_ms = 90000;
	alert_rule_take(rule, &s);
	assert_int_equal(rule->groups.items[0]->slots[now / rule->slot_ms % ALERT_SLOTS].n, 1);
	assert_int_equal(rule->late, 0);
}

static void watches(void **state)
{
	(void)state;
	rule =
	    make(NULL, (struct alert_terms){.watch = ALERT_NODE_UNKNOWN, .by = {ALERT_SEEN_NODE}, .n_by = 1});
	alert_rule_put(rule, STR("node-1"), 0, now);
	alert_rule_put(rule, STR("node-2"), 1, now);
	tick(0);
	assert_int_equal(fired, 1);
	assert_true(str_eqz(alert_group_value(rule->groups.items[0], 0), "node-2"));
	now += 600000;
	tick(0);
	assert_int_equal(resolved, 0);
	alert_rule_put(rule, STR("node-2"), 0, now);
	tick(0);
	assert_int_equal(resolved, 1);
	alert_rule_free(&rule);
	rule = make(
	    NULL,
	    (struct alert_terms){
		.watch = ALERT_RECORDS_LOST, .above = 5, .resolve = 5, .by = {ALERT_SEEN_NODE}, .n_by = 1});
	alert_rule_put(rule, STR("node-1"), 4, now);
	now += 30000;
	alert_rule_put(rule, STR("node-1"), 4, now);
	tick(0);
	assert_int_equal(fired, 2);
	now += 40000;
	tick(0);
	assert_int_equal(resolved, 2);
}

/* What the tables allow is what the engine knows, word by word. */
static void words_are_the_tables(void **state)
{
#define X(id, name) name "|"
	static const struct {
		const char *field, *words;
	} cases[] = {{"measure", ALERT_MEASURES(X)},
		     {"statistic", ALERT_STATISTICS(X)},
		     {"watch", ALERT_WATCHES(X)},
		     {"by", ALERT_BYS(X)}};
#undef X
	const struct struct_desc *d = kind_table[KIND_alert].body->fields[0].type;

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(cases); c++)
		for (uint32_t i = 0; i < d->n; i++)
			if (!strcmp(d->fields[i].json, cases[c].field)) {
				size_t n = strlen(cases[c].words) - 1;

				if (strlen(d->fields[i].values) != n ||
				    memcmp(d->fields[i].values, cases[c].words, n))
					fail_msg("%s: %s, and %s", cases[c].field, d->fields[i].values,
						 cases[c].words);
			}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
	    TEST(window_slides),
	    TEST(age_says_which_slot),
	    TEST(late_does_not_fire),
	    TEST(fires_and_resolves_with_hysteresis),
	    TEST(pending_first),
	    TEST(groups_are_bounded),
	    TEST(room_is_shared),
	    TEST(a_connection_counts_once),
	    TEST(an_away_node_holds),
	    TEST(restart_goes_on),
	    TEST(receivers_that_never_hear),
	    TEST(percentiles_are_near),
	    TEST(distinct_is_near),
	    TEST(a_length_counts_once),
	    TEST(watches),
	    TEST(words_are_the_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
