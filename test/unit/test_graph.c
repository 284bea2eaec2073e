/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The graph, told its time: what records add to an edge, the window, what is folded and what is forgotten,
 * names that are not shown; and that a reader of frames, however seldom it reads, has what a whole frame has.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/own.h"
#include "observe/graph.h"
#include "seam/event.h"

enum { START = 1000000000, WALL_S = 1700000000 };

static struct graph *graph;
static uint64_t now;

static bool shows_shop(void *ctx, struct str ns)
{
	(void)ctx;
	return str_eqz(ns, "shop");
}

static uint32_t pods_now = 3;

static uint32_t pods(void *ctx, struct str ns, struct str kind, struct str name)
{
	(void)ctx;
	(void)ns;
	(void)name;
	return str_eqz(kind, "Deployment") ? pods_now : 1;
}

static void make(struct graph_options o)
{
	o.now_ms = now = START;
	o.pods = pods;
	assert_int_equal(graph_new(&graph, &o), 0);
}

static int begin(void **state)
{
	(void)state;
	make((struct graph_options){0});
	return 0;
}

static int end(void **state)
{
	(void)state;
	graph_free(&graph);
	return 0;
}

/* --- records --------------------------------------------------------------------------------------- */

enum { WEB, CART, ADMIN, LONER, SHOP_SERVICE, NODE, OUTSIDE, DOMAIN, LOST, WHO };
static const struct identity who[WHO] = {
    [WEB] = {.kind = IDENTITY_POD,
	     .ns = {"shop", 4},
	     .name = {"web-1-a", 7},
	     .workload_kind = {"Deployment", 10},
	     .workload = {"web", 3}},
    [CART] = {.kind = IDENTITY_POD,
	      .ns = {"shop", 4},
	      .name = {"cart-1-a", 8},
	      .workload_kind = {"Deployment", 10},
	      .workload = {"cart", 4}},
    [ADMIN] = {.kind = IDENTITY_POD,
	       .ns = {"office", 6},
	       .name = {"ledger-1", 8},
	       .workload_kind = {"Deployment", 10},
	       .workload = {"ledger", 6}},
    [LONER] = {.kind = IDENTITY_POD, .ns = {"shop", 4}, .name = {"loner", 5}},
    [SHOP_SERVICE] = {.kind = IDENTITY_SERVICE, .ns = {"shop", 4}, .name = {"cart", 4}},
    [NODE] = {.kind = IDENTITY_NODE, .name = {"node-1", 6}},
    [OUTSIDE] = {.kind = IDENTITY_OUTSIDE},
    [DOMAIN] = {.kind = IDENTITY_OUTSIDE, .domain = {"api.example.com", 15}},
    [LOST] = {.kind = IDENTITY_UNKNOWN},
};

static struct record flow(unsigned from, unsigned to, uint16_t port)
{
	struct record r = {.kind = RECORD_FLOW,
			   .proto = 6,
			   .state = STATE_OPEN,
			   .node = "node-1",
			   .id = 1,
			   .from = {.who = &who[from], .port = 40000},
			   .to = {.who = &who[to], .port = port},
			   .packets = {4, 3},
			   .bytes = {400, 3000},
			   .first = WALL_S * 1000000000ll,
			   .last = WALL_S * 1000000000ll + 1000000};

	addr_parse(STR("203.0.113.7"), &r.from.addr);
	addr_parse(STR("198.51.100.9"), &r.to.addr);
	return r;
}

static void take(const struct record *r, const struct record *before)
{
	graph_take(graph, &(struct sight){.now = r, .before = before, .now_ms = now});
}

/* --- readers --------------------------------------------------------------------------------------- */

struct reader {
	uint64_t since;
	json_t *ends, *edges; /* by id */
};

static json_t *print(uint64_t since)
{
	AUTO_BUF b = {0};
	json_error_t why;
	json_t *j;

	graph_print(graph, since, (int64_t)WALL_S * 1000, &b);
	j = json_loadb(b.p, b.n, JSON_REJECT_DUPLICATES, &why);
	if (!j)
		fail_msg("%s at %d: %s", why.text, why.position, b.p);
	return j;
}

static void put_all(json_t *into, const json_t *list)
{
	json_t *one;
	size_t i;

	json_array_foreach (list, i, one)
		json_object_set(into, json_string_value(json_object_get(one, "id")), one);
}

static void read_frame(struct reader *r, uint64_t frame)
{
	json_t *j = print(r->since), *gone = json_object_get(j, "gone"), *id;
	size_t i;

	if (!r->edges || json_is_true(json_object_get(j, "full"))) {
		json_decref(r->edges);
		json_decref(r->ends);
		r->edges = json_object();
		r->ends = json_object();
	}
	put_all(r->ends, json_object_get(j, "ends"));
	put_all(r->edges, json_object_get(j, "edges"));
	json_array_foreach (gone, i, id)
		json_object_del(r->edges, json_string_value(id));
	json_decref(j);
	r->since = frame;
}

static void reader_fini(struct reader *r)
{
	json_decref(r->edges);
	json_decref(r->ends);
}

/* The one edge of the graph. */
static json_t *tick_edge(json_t **frame)
{
	graph_tick(graph, now, false);
	*frame = print(0);
	assert_int_equal(json_array_size(json_object_get(*frame, "edges")), 1);
	return json_array_get(json_object_get(*frame, "edges"), 0);
}

static double rate(const json_t *edge, const char *key, size_t i)
{
	return json_number_value(json_array_get(json_object_get(edge, key), i));
}

static bool is_in_frame(const char *text)
{
	AUTO_BUF b = {0};

	graph_print(graph, 0, 0, &b);
	return strstr(b.p, text);
}

/* --- what an edge says ----------------------------------------------------------------------------- */

static void one_connection(void **state)
{
	struct record r = flow(WEB, CART, 7000), first = r;
	json_t *frame, *e;

	(void)state;
	r.service = &who[SHOP_SERVICE];
	first = r;
	take(&r, NULL);
	assert_true(graph_has_news(graph));
	now += 1000;
	e = tick_edge(&frame);
	assert_false(graph_has_news(graph));
	assert_string_equal(json_string_value(json_object_get(e, "from")), "shop/Deployment/web");
	assert_string_equal(json_string_value(json_object_get(e, "to")), "shop/Deployment/cart");
	assert_string_equal(json_string_value(json_object_get(e, "service")), "shop/cart");
	assert_string_equal(json_string_value(json_object_get(e, "protocol")), "tcp");
	assert_int_equal(json_integer_value(json_object_get(e, "port")), 7000);
	assert_int_equal(json_integer_value(json_object_get(e, "open")), 1);
	assert_int_equal(json_integer_value(json_object_get(e, "last")), WALL_S * 1000ll + 1);
	/* the graph is one second old: so long is its window */
	assert_float_equal(rate(e, "packets", 0), 4, 0.01);
	assert_float_equal(rate(e, "packets", 1), 3, 0.01);
	assert_float_equal(rate(e, "bytes", 1), 3000, 0.01);
	assert_float_equal(json_number_value(json_object_get(e, "begun")), 1, 0.01);
	assert_true(json_is_null(json_object_get(e, "latencyMs")));
	json_decref(frame);

	/* what it grew by counts, not what it is */
	r.packets[0] += 10;
	take(&r, &first);
	now += 1000;
	e = tick_edge(&frame);
	assert_float_equal(rate(e, "packets", 0), 14 / 2.0, 0.01);
	assert_int_equal(json_integer_value(json_object_get(e, "open")), 1);
	json_decref(frame);

	first = r;
	r.ended = true;
	r.state = STATE_CLOSED;
	take(&r, &first);
	now += 6000;
	e = tick_edge(&frame);
	assert_int_equal(json_integer_value(json_object_get(e, "open")), 0);
	assert_float_equal(rate(e, "packets", 0), 0, 0.001);
	json_decref(frame);
}

static void ends_have_names(void **state)
{
	struct record r = flow(LONER, DOMAIN, 443);

	(void)state;
	take(&r, NULL);
	r = flow(OUTSIDE, NODE, 30080);
	take(&r, NULL);
	r = flow(WEB, LOST, 53);
	take(&r, NULL);
	graph_tick(graph, now, false);
	assert_true(
	    is_in_frame("{\"id\":\"shop/Pod/loner\",\"kind\":\"workload\",\"namespace\":\"shop\",\"name\":"
			"\"loner\",\"workloadKind\":\"Pod\",\"pods\":1}"));
	assert_true(is_in_frame(
	    "{\"id\":\"outside/api.example.com\",\"kind\":\"outside\",\"name\":\"api.example.com\"}"));
	assert_true(is_in_frame("{\"id\":\"outside/203.0.113.0/24\",\"kind\":\"outside\""));
	assert_true(is_in_frame("{\"id\":\"node/node-1\",\"kind\":\"node\",\"name\":\"node-1\"}"));
	assert_true(is_in_frame("{\"id\":\"unknown/198.51.100.0/24\",\"kind\":\"unknown\""));
	assert_true(is_in_frame("\"workloadKind\":\"Deployment\",\"pods\":3}"));
	pods_now = 4;
	graph_recount(graph);
	pods_now = 3;
	uint64_t before = graph_tick(graph, now, false);
	json_t *j = print(before - 1);
	assert_int_equal(json_array_size(json_object_get(j, "ends")), 1); /* the one Deployment */
	assert_int_equal(json_array_size(json_object_get(j, "edges")), 0);
	json_decref(j);
}

/* The same connection as another node saw it, and what staged policies would do, are no further traffic. */
static void counted_once(void **state)
{
	struct record r = flow(WEB, CART, 7000), again = r, staged = r;
	json_t *frame, *e;

	(void)state;
	again.again = true;
	staged.kind = RECORD_STAGED;
	take(&r, NULL);
	take(&again, NULL);
	take(&staged, NULL);
	now += 1000;
	e = tick_edge(&frame);
	assert_float_equal(rate(e, "packets", 0), 4, 0.01);
	assert_float_equal(json_number_value(json_object_get(e, "begun")), 1, 0.01);
	json_decref(frame);
}

/* One that was there before anybody looked: what it grew by counts, and no more. */
static void known_before(void **state)
{
	struct record r = flow(WEB, CART, 7000), more = r;
	json_t *frame, *e;

	(void)state;
	graph_know(graph, &r, now, 60000);
	now += 1000;
	e = tick_edge(&frame);
	assert_int_equal(json_integer_value(json_object_get(e, "open")), 1);
	assert_float_equal(rate(e, "packets", 0), 0, 0.001);
	json_decref(frame);
	more.packets[0] += 6;
	take(&more, &r);
	now += 1000;
	e = tick_edge(&frame);
	assert_float_equal(rate(e, "packets", 0), 3, 0.01);
	assert_float_equal(json_number_value(json_object_get(e, "begun")), 0, 0.001);
	json_decref(frame);
	graph_end(graph, &more, now);
	e = tick_edge(&frame);
	assert_int_equal(json_integer_value(json_object_get(e, "open")), 0);
	json_decref(frame);
}

static void what_waited_has_no_rate(void **state)
{
	struct record r = flow(WEB, CART, 7000);
	json_t *frame, *e;

	(void)state;
	now += 20000;
	graph_take(graph, &(struct sight){.now = &r, .now_ms = now, .age_ms = 19000});
	e = tick_edge(&frame);
	assert_float_equal(rate(e, "packets", 0), 0, 0.001);
	json_decref(frame);
}

static void drops_by_reason(void **state)
{
	struct record r = flow(WEB, CART, 7000), back = flow(CART, WEB, 40000);
	json_t *frame, *e;

	(void)state;
	r.kind = back.kind = RECORD_DROP;
	r.ended = back.ended = true;
	r.reason = DROP_POLICY_INGRESS;
	back.reason = DROP_POLICY_EGRESS;
	back.from.port = 7000;
	for (unsigned i = 0; i < 6; i++)
		take(&r, NULL);
	graph_tick(graph, now, true);
	assert_false(graph_has_news(graph));
	take(&back, NULL); /* an answer: of the same edge */
	now += 2000;
	e = json_object_get(tick_edge(&frame), "drops");
	assert_float_equal(json_number_value(json_object_get(e, "policy-ingress")), 3, 0.01);
	assert_float_equal(json_number_value(json_object_get(e, "policy-egress")), 0.5, 0.01);
	json_decref(frame);
	/* the first packet that passes is news beside drops */
	struct record passed = flow(WEB, CART, 7000);

	take(&passed, NULL);
	assert_true(graph_has_news(graph));
	for (unsigned i = 0; i < 40; i++) {
		r.reason = (uint16_t)(i + 1);
		take(&r, NULL);
	}
	e = json_object_get(tick_edge(&frame), "drops");
	assert_true(json_object_size(e) <= 8);
	assert_true(json_number_value(json_object_get(e, "other")) > 10);
	json_decref(frame);
}

static void answers_take_time(void **state)
{
	struct record r = flow(WEB, CART, 7000), before;
	json_t *frame, *e;

	(void)state;
	now += 1000;
	for (uint32_t i = 1; i <= 8; i++) {
		r.handshake_us = i * 1000;
		r.id = i;
		take(&r, NULL);
	}
	e = tick_edge(&frame);
	assert_float_equal(rate(e, "latencyMs", 0), 4, 0.001);
	assert_float_equal(rate(e, "latencyMs", 1), 8, 0.001);
	json_decref(frame);
	/* A connection that stays tells by its round trips, while packets go. */
	before = r;
	r.rtt_us[0] = 60500;
	r.rtt_us[1] = 500;
	r.packets[0]++;
	now += 5000;
	take(&r, &before);
	e = tick_edge(&frame);
	assert_float_equal(rate(e, "latencyMs", 0), 61, 0.001);
	json_decref(frame);
	now += 5000;
	before = r;
	take(&r, &before);
	e = tick_edge(&frame);
	assert_true(json_is_null(json_object_get(e, "latencyMs")));
	json_decref(frame);
}

/* Of many times each has the same chance to be among those that are kept. */
static void times_are_sampled(void **state)
{
	struct record r = flow(WEB, CART, 7000);
	json_t *frame, *e;

	(void)state;
	for (unsigned k = 0; k < 10; k++, now += 500)
		for (uint32_t i = 0; i < 1000; i++) {
			r.handshake_us = 1000 + i;
			take(&r, NULL);
		}
	now -= 500;
	e = tick_edge(&frame);
	assert_in_range((unsigned)(rate(e, "latencyMs", 0) * 1000), 1300, 1700);
	assert_in_range((unsigned)(rate(e, "latencyMs", 1) * 1000), 1800, 2000);
	json_decref(frame);
}

/* --- bounds ---------------------------------------------------------------------------------------- */

static void floods_are_folded(void **state)
{
	struct record r = flow(OUTSIDE, CART, 80);
	struct graph_size size;

	(void)state;
	graph_free(&graph);
	make((struct graph_options){.edges = 1000, .outsiders = 20});
	for (uint32_t i = 0; i < 5000; i++) {
		char text[32];

		snprintf(text, sizeof(text), "100.%u.%u.1", i / 256, i % 256);
		assert_int_equal(addr_parse(str_of(text), &r.from.addr), 0);
		take(&r, NULL);
	}
	size = graph_size(graph);
	assert_int_equal(size.edges, 21);
	assert_int_equal(size.ends, 22);
	r = flow(WEB, CART, 1);
	for (uint32_t i = 0; i < 60000; i++) {
		r.to.port = (uint16_t)(i + 1);
		take(&r, NULL);
	}
	size = graph_size(graph);
	assert_int_equal(size.edges, 21 + 64 + 1);
	assert_int_equal(size.unshown, 0);
	graph_tick(graph, now += 1000, false);
	assert_true(is_in_frame("\"port\":0,"));
	/* each other end has its own room; what finds none is counted */
	for (unsigned from = 0; from < WHO; from++)
		for (unsigned i = 0; i < 900; i++) {
			r = flow(from, i % WHO, (uint16_t)(i + 1));
			take(&r, NULL);
		}
	size = graph_size(graph);
	assert_int_equal(size.edges, 1000);
	assert_true(size.unshown > 0);
}

static void silence_is_forgotten(void **state)
{
	struct record r = flow(WEB, CART, 7000);
	uint64_t frame;
	json_t *j;

	(void)state;
	take(&r, NULL);
	frame = graph_tick(graph, now, false);
	for (unsigned i = 0; i < GRAPH_KEEP_MS / 1000 + 10; i++)
		graph_tick(graph, now += 1000, false);
	assert_int_equal(graph_size(graph).edges, 1); /* its connection is open */
	graph_end(graph, &r, now);
	for (unsigned i = 0; i < GRAPH_KEEP_MS / 1000 + 10; i++)
		graph_tick(graph, now += 1000, false);
	assert_int_equal(graph_size(graph).edges, 0);
	assert_int_equal(graph_size(graph).ends, 0);
	j = print(frame);
	assert_true(json_is_false(json_object_get(j, "full")));
	assert_int_equal(json_array_size(json_object_get(j, "gone")), 1);
	json_decref(j);
}

/* --- who may see ----------------------------------------------------------------------------------- */

static void names_are_hidden(void **state)
{
	struct record r = flow(ADMIN, CART, 7000);

	(void)state;
	graph_free(&graph);
	make((struct graph_options){.shows = shows_shop});
	take(&r, NULL);
	r = flow(WEB, ADMIN, 8443);
	r.service = &(struct identity){.kind = IDENTITY_SERVICE, .ns = STR("office"), .name = STR("books")};
	take(&r, NULL);
	r = flow(ADMIN, DOMAIN, 443); /* nothing of it is in a namespace that is shown */
	take(&r, NULL);
	r = flow(ADMIN, ADMIN, 1);
	take(&r, NULL);
	graph_tick(graph, now, false);
	assert_int_equal(graph_size(graph).edges, 2);
	assert_int_equal(graph_size(graph).ends, 3);
	assert_true(is_in_frame("{\"id\":\"hidden\",\"kind\":\"hidden\"}"));
	assert_false(is_in_frame("office"));
	assert_false(is_in_frame("ledger"));
	assert_false(is_in_frame("books"));
	assert_false(is_in_frame("example"));
}

/* --- frames ---------------------------------------------------------------------------------------- */

enum { CONNECTIONS = 60, READERS = 4 };

static void assert_same(const struct reader *r)
{
	struct reader whole = {0};
	const char *id;
	json_t *e, *ends;

	read_frame(&whole, 0);
	if (!json_equal(whole.edges, r->edges))
		fail_msg("%s\n%s", json_dumps(whole.edges, JSON_SORT_KEYS),
			 json_dumps(r->edges, JSON_SORT_KEYS));
	ends = whole.ends;
	json_object_foreach (ends, id, e)
		assert_true(json_equal(e, json_object_get(r->ends, id)));
	reader_fini(&whole);
}

/* Whatever comes, and however seldom a reader reads: what it has is what is. */
static void deltas_are_whole(void **state)
{
	struct record open[CONNECTIONS] = {0};
	struct reader readers[READERS] = {0};
	unsigned full = 0;

	(void)state;
	srand(7);
	for (unsigned step = 0; step < 4000; step++) {
		struct record *c = &open[rand() % CONNECTIONS], before = *c;

		now += rand() % 50 ? (uint64_t)rand() % 300 : (uint64_t)rand() % 200000;
		if (!c->node) {
			*c = flow((unsigned)rand() % WHO, (unsigned)rand() % WHO, (uint16_t)(1 + rand() % 3));
			take(c, NULL);
		} else if (rand() % 3) {
			c->packets[rand() % 2] += (unsigned)rand() % 50;
			c->retransmits[0] += rand() % 5 == 0;
			c->last += 1000000;
			take(c, &before);
		} else {
			c->ended = true;
			if (rand() % 2)
				take(c, &before);
			else
				graph_end(graph, &before, now);
			*c = (struct record){0};
		}
		if (rand() % 20 == 0) {
			pods_now = (unsigned)rand() % 5;
			graph_recount(graph);
		}
		uint64_t frame = graph_tick(graph, now, rand() % 3 == 0 && graph_has_news(graph));

		for (unsigned i = 0; i < READERS; i++)
			if (rand() % (1 << 2 * i) == 0) {
				full += !readers[i].since;
				read_frame(&readers[i], frame);
				assert_same(&readers[i]);
			}
	}
	assert_int_equal(full, READERS); /* each had one whole frame, its first */
	for (unsigned i = 0; i < READERS; i++)
		reader_fini(&readers[i]);
}

/* What is told a second, over the seconds that it is told of, is what came. */
static void rates_add_up(void **state)
{
	struct record r[20], before;
	uint64_t sent = 0;
	double told = 0;
	json_t *frame, *e;
	size_t k;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		r[i] = flow(i % 2 ? WEB : CART, i % 3 ? ADMIN : LONER, (uint16_t)(1 + i));
		r[i].packets[0] = r[i].packets[1] = 0;
		take(&r[i], NULL);
	}
	for (unsigned step = 0; step < 50; step++, now += 100)
		for (unsigned i = 0; i < 20; i++) {
			uint64_t n = (uint64_t)rand() % 30;

			before = r[i];
			r[i].packets[0] += n;
			sent += step >= 5 ? n : 0; /* the window: since the slot that began 4.5 s ago */
			take(&r[i], &before);
		}
	graph_tick(graph, now - 1, false);
	frame = print(0);
	json_array_foreach (json_object_get(frame, "edges"), k, e)
		told += rate(e, "packets", 0);
	told *= json_number_value(json_object_get(frame, "seconds"));
	assert_in_range((uint64_t)told, sent * 88 / 100, sent * 112 / 100);
	json_decref(frame);
}

static void old_frames_are_whole(void **state)
{
	struct record r = flow(OUTSIDE, CART, 80);
	uint64_t first;
	json_t *j;

	(void)state;
	graph_free(&graph);
	make((struct graph_options){.outsiders = 10000});
	take(&r, NULL);
	first = graph_tick(graph, now, false);
	for (uint32_t i = 0; i < 5000; i++) { /* more go than are remembered */
		char text[32];

		snprintf(text, sizeof(text), "100.%u.%u.1", i / 256, i % 256);
		addr_parse(str_of(text), &r.from.addr);
		r.ended = true;
		r.state = STATE_CLOSED;
		take(&r, NULL);
	}
	for (unsigned i = 0; i < GRAPH_KEEP_MS / 1000 + 10; i++)
		graph_tick(graph, now += 1000, false);
	assert_int_equal(graph_size(graph).edges, 1);
	j = print(first);
	assert_true(json_is_true(json_object_get(j, "full")));
	json_decref(j);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
	    TEST(one_connection),	TEST(ends_have_names),	       TEST(counted_once),
	    TEST(known_before),		TEST(what_waited_has_no_rate), TEST(drops_by_reason),
	    TEST(answers_take_time),	TEST(times_are_sampled),       TEST(floods_are_folded),
	    TEST(silence_is_forgotten), TEST(names_are_hidden),	       TEST(deltas_are_whole),
	    TEST(rates_add_up),		TEST(old_frames_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
