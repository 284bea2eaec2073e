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
#include "filter/choice.h"
#include "observe/alertset.h"
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
	alert_rule_take(rule, &(struct sight){.now = r, .age_ms = age_ms, .now_ms = now});
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
	struct sight s = {.now = &r, .now_ms = now};

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

static void round_trips_are_of_both_parts(void **state)
{
	struct record r = {
	    .kind = RECORD_FLOW, .proto = 6, .node = "n", .packets = {4, 4}, .rtt_us = {300, 700}};

	(void)state;
	rule = make("tcp", (struct alert_terms){.measure = ALERT_RTT, .statistic = ALERT_P50});
	take(&r, 0);
	/* a millisecond; classes of statistics are near, within 13 % */
	double got = (double)value();
	if (got < 870000 || got > 1130000)
		fail_msg("a millisecond counts as %g ns", got);
	/* of one part alone nothing is known */
	r.rtt_us[1] = 0;
	alert_rule_free(&rule);
	rule = make("tcp", (struct alert_terms){.measure = ALERT_RTT, .statistic = ALERT_P50});
	take(&r, 0);
	assert_int_equal(value(), 0);
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
	struct sight s = {.now = &r, .now_ms = now};

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

/* Whatever filters there are, a record goes to just those alerts that would take it by themselves. */
static void a_set_leaves_nobody_out(void **state)
{
	static const char *const filters[] = {
	    "",
	    "tcp",
	    "ns == shop",
	    "src.ns == shop && reason == policy-ingress",
	    "dst.ns in {shop, other}",
	    "pod == shop/web",
	    "dst.pod == web && port in {80, 443}",
	    "pod ~ 'we*'",
	    "service == shop/cart || src.workload == batch",
	    "label[app] == web",
	    "dst.pod.label[\"app\"] == \"x\" && ns != other",
	    "!(ns == shop)",
	    "ip == 10.0.0.3 && !(src.port == 7)",
	    "dst.ip == 10.0.0.0/30",
	    "seen.node == node-1 && verdict == dropped",
	    "(dst.port == 80 && src.ns == shop) || (dst.port == 443 && bytes > 10)",
	    "port == 80-90",
	    "tcp port 443",
	    "record == dns && dns.name == a.b",
	    "has(service)",
	    "node == node-2 || domain == example.com",
	};
	static struct str labels[] = {STR("app"), STR("web")};
	static const struct identity who[] = {
	    {.kind = IDENTITY_POD, .ns = STR("shop"), .name = STR("web"), .labels = labels, .labels_len = 1},
	    {.kind = IDENTITY_POD,
	     .ns = STR("other"),
	     .name = STR("web"),
	     .workload = STR("batch"),
	     .node = STR("node-2")},
	    {.kind = IDENTITY_NODE, .name = STR("node-2")},
	    {.kind = IDENTITY_OUTSIDE, .domain = STR("example.com")},
	    {.kind = IDENTITY_SERVICE, .ns = STR("shop"), .name = STR("cart")},
	};
	const struct filter *parsed[ARRAY_LEN(filters)];
	uint32_t which[ARRAY_LEN(filters)], seed = 7;
	struct filter_choice *choice;
	uint64_t named[ARRAY_LEN(filters)] = {0}, matched[ARRAY_LEN(filters)] = {0}, all = 0;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(filters); i++) {
		struct alert_rule *a = make(filters[i], (struct alert_terms){.above = 1});

		parsed[i] = filter_ref(a->filter);
		alert_rule_free(&a);
	}
	assert_int_equal(filter_choice_new(&choice, parsed, ARRAY_LEN(filters)), 0);
	for (unsigned k = 0; k < 20000; k++) {
		unsigned dice[8];
		bool told[ARRAY_LEN(filters)] = {0};

		for (unsigned i = 0; i < ARRAY_LEN(dice); i++) {
			seed = seed * 1103515245 + 12345;
			dice[i] = seed >> 16;
		}
		struct record r = {.kind = dice[0] % 4,
				   .from = {addr_from4(0x0a000000 + dice[1] % 5), (uint16_t)(dice[2] % 9)},
				   .to = {addr_from4(0x0a000000 + dice[3] % 5),
					  (uint16_t)(dice[4] % 2 ? 443 : 80 + dice[4] % 12)},
				   .proto = dice[5] % 2 ? 6 : 17,
				   .verdict = dice[5] / 2 % 2,
				   .reason = dice[5] / 4 % 2 ? DROP_POLICY_INGRESS : 0,
				   .bytes = {dice[5] / 8 % 20},
				   .node = dice[5] / 256 % 2 ? "node-1" : "node-2",
				   .dns = dice[0] % 4 == RECORD_DNS ? STR("a.b") : (struct str){0}};

		r.from.who = dice[6] % 5 < 4 ? &who[dice[6] % 5] : NULL;
		r.to.who = dice[6] / 8 % 5 < 4 ? &who[dice[6] / 8 % 5] : NULL;
		r.service = dice[7] % 3 ? NULL : &who[4];
		r.via = r.service ? addr_from4(0x0a600001) : (struct addr){0};
		uint32_t n = filter_choice_find(choice, &r, which);

		assert_true(n <= ARRAY_LEN(filters));
		for (uint32_t i = 0; i < n; i++) {
			assert_false(told[which[i]]); /* each once */
			told[which[i]] = true;
			named[which[i]]++;
		}
		for (unsigned i = 0; i < ARRAY_LEN(filters); i++) {
			if (filter_record(parsed[i], &r) && !told[i])
				fail_msg("\"%s\" was left out", filters[i]);
			matched[i] += filter_record(parsed[i], &r);
			all += filter_record(parsed[i], &r);
		}
	}
	assert_true(all > 20000);
	assert_int_equal(named[2], matched[2]);	   /* ns == shop: its value decides */
	assert_int_equal(named[9], matched[9]);	   /* a label */
	assert_true(named[8] && named[8] < 20000); /* each part of an or has a key */
	filter_choice_free(&choice);
	for (unsigned i = 0; i < ARRAY_LEN(filters); i++)
		filter_unref((struct filter **)(uintptr_t)&parsed[i]);
}

static void a_set_takes_as_each_does(void **state)
{
	struct alert_rule *both[2], *alone;
	struct alert_set *set;
	struct record r = drop("10.0.0.1");

	(void)state;
	both[0] = make("reason == policy-ingress", (struct alert_terms){.above = 1});
	both[1] = make(NULL, (struct alert_terms){.watch = ALERT_RECORDS_LOST});
	alone = make("src.ip == 10.0.0.2", (struct alert_terms){.above = 1});
	assert_int_equal(alert_set_new(&set, &both[1], 1), 0);
	assert_false(alert_set_wants(set)); /* a watch is not asked about records */
	alert_set_free(&set);
	struct alert_rule *all[] = {both[0], both[1], alone};

	assert_int_equal(alert_set_new(&set, all, 3), 0);
	assert_true(alert_set_wants(set));
	for (unsigned i = 0; i < 3; i++)
		alert_set_take(set, &(struct sight){.now = &r, .now_ms = now});
	r.again = true;
	alert_set_take(set, &(struct sight){.now = &r, .now_ms = now});
	assert_int_equal(both[0]->groups.len, 1);
	assert_int_equal(both[1]->groups.len, 0);
	assert_int_equal(alone->groups.len, 0);
	rule = both[0];
	assert_int_equal(value(), 3);
	alert_set_free(&set);
	alert_rule_free(&both[1]);
	alert_rule_free(&alone);
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
	    TEST(round_trips_are_of_both_parts),
	    TEST(distinct_is_near),
	    TEST(a_length_counts_once),
	    TEST(watches),
	    TEST(a_set_leaves_nobody_out),
	    TEST(a_set_takes_as_each_does),
	    TEST(words_are_the_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
