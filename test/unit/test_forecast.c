/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What recorded traffic would make of maps: rates by hand against those told (BR95), shares of maps that
 * overlap (BR03), tools that are too small (BR59, BR95), and what records cannot tell.
 */
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/own.h"
#include "broker/forecast.h"
#include "object/decode.h"

#define SECOND		 1000000000ll
#define HEAD		 "---\n{apiVersion: weft.network/v1alpha1, "
#define TOOL(name, spec) HEAD "kind: Tool, metadata: {name: " name "}, spec: " spec "}\n"
#define MAP(name, spec)	 HEAD "kind: TrafficMap, metadata: {name: " name "}, spec: " spec "}\n"

static int put(void *ctx, struct object *o)
{
	struct remarks rs = {0};
	bool good = object_validate(o, &rs);

	if (!good)
		remarks_print(stderr, &rs, false);
	remarks_fini(&rs);
	assert_true(good);
	assert_int_equal(object_default(o), 0);
	return store_put(ctx, o, NULL);
}

static struct broker *broker_of(const char *yaml)
{
	struct remarks rs = {0};
	struct store *s = NULL;
	struct broker *b = NULL;
	struct file *file;

	assert_int_equal(store_new(&s, 1), 0);
	assert_int_equal(file_new(&file, "test", yaml, strlen(yaml)), 0);
	assert_int_equal(decode_yaml(file, &(struct decoder_options){.sink = put, .ctx = s, .remarks = &rs}),
			 0);
	file_unref(&file);
	if (broker_compile(&b, s, &rs))
		remarks_print(stderr, &rs, false);
	assert_non_null(b);
	remarks_fini(&rs);
	store_free(&s);
	return b;
}

static struct chain_packet udp(uint8_t frame[42], unsigned sport, unsigned dport, uint32_t len)
{
	static const uint8_t head[] = {2,  0, 0, 0, 0, 2,  2,  0, 0, 0,	 0, 1, 8, 0,  0x45, 0, 0,
				       28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0,    0, 2};
	const uint8_t rest[] = {
	    (uint8_t)(sport >> 8), (uint8_t)sport, (uint8_t)(dport >> 8), (uint8_t)dport, 0, 8, 0, 0};

	memcpy(frame, head, sizeof(head));
	memcpy(frame + 34, rest, sizeof(rest));
	return (struct chain_packet){
	    .p = frame, .caplen = 42, .len = len, .link = CHAIN_LINK_ETHERNET, .time = 1};
}

static void add(struct forecast *f, const struct broker *b, unsigned sport, unsigned dport, uint64_t packets,
		uint64_t bytes, int64_t first, int64_t last)
{
	uint8_t frame[42];
	struct chain_packet p = udp(frame, sport, dport, (uint32_t)(bytes / packets));
	struct point *at = NULL;
	uint32_t source = 0;

	assert_int_equal(point_new(&at, b, &source, 1), 0);
	assert_int_equal(forecast_add(f, &(struct forecast_part){.at = at,
								 .packet = &p,
								 .direction = BROKER_DIRECTION_OUT,
								 .fate = BROKER_FORWARDED,
								 .packets = packets,
								 .bytes = bytes,
								 .first = first,
								 .last = last}),
			 0);
	point_free(&at);
}

static void is(double got, double want)
{
	if (fabs(got - want) > 1e-6 * (fabs(want) + 1))
		printf("# %f, wanted %f\n", got, want);
	assert_true(fabs(got - want) <= 1e-6 * (fabs(want) + 1));
}

/* Two minutes; ports a sliced, b sampled and in a tunnel. */
static void rates(void **state)
{
	struct broker *b = broker_of(
	    TOOL("a", "{discard: true, capacity: 1M, ports: [{name: default, chain: {slice: {bytes: 100}}}]}")
		TOOL("b", "{vxlan: {remote: 192.0.2.1, vni: 7}, ports: [{name: default, chain: {sample: "
			  "{oneIn: 10}}}]}")
		    MAP("m",
			"{from: [{interface: {name: e}}], filter: dst.port == 80, to: [{tool: a}, {tool: "
			"b}]}"));
	struct forecast *f = NULL;
	struct forecast_port a, t;

	(void)state;
	assert_int_equal(forecast_new(&f, b, 0, 120 * SECOND), 0);
	add(f, b, 1, 80, 1200, 1200 * 1000, 0, 120 * SECOND);
	add(f, b, 1, 81, 5000, 5000 * 1000, 0, 120 * SECOND); /* another port */
	a = forecast_port(f, 0);
	t = forecast_port(f, 1);
	is(a.packets, 10);
	is(a.bits, 10 * 100 * 8);
	is(a.peak, 10 * 100 * 8);
	is(t.packets, 1);
	is(t.bits, 1050 * 8);
	assert_false(a.full || a.least || t.full || t.least);
	/* half of it lies before; a burst of one second: 1,010 packets of 100 bytes, 81 % */
	add(f, b, 1, 80, 200, 200 * 500, -10 * SECOND, 10 * SECOND);
	add(f, b, 2, 80, 1010, 1010 * 100, 60 * SECOND, 61 * SECOND);
	a = forecast_port(f, 0);
	is(a.packets, 10 + (100 + 1010) / 120.0);
	is(a.peak, (10 + 1010) * 100 * 8);
	assert_true(a.full); /* BR95 */
	forecast_free(&f);
	broker_free(&b);
}

static void overlaps(void **state)
{
	struct broker *b = broker_of(
	    TOOL("ids", "{discard: true}") TOOL("other", "{discard: true}")
		MAP("web", "{from: [{interface: {name: e}}], filter: dst.port == 80, to: [{tool: ids}]}")
		    MAP("all", "{from: [{interface: {name: e}}], to: [{tool: ids}]}")
			MAP("left", "{from: [{interface: {name: e}}], rest: true, to: [{tool: other}]}"));
	struct forecast *f = NULL;
	AUTO_BUF out = {0};

	(void)state;
	assert_int_equal(forecast_new(&f, b, 0, 100 * SECOND), 0);
	add(f, b, 1, 80, 12, 1200, 0, SECOND);
	add(f, b, 1, 443, 88, 8800, 0, SECOND);
	is(forecast_port(f, 0).packets, 1);
	is(forecast_port(f, 1).packets, 0);
	forecast_print_overlaps(f, &out);
	assert_string_equal(out.p,
			    "12 % of what map all takes for ids/default already reaches it through map web; "
			    "it gets one copy\n"
			    "100 % of what map web takes for ids/default already reaches it through map all; "
			    "it gets one copy\n");
	forecast_free(&f);
	broker_free(&b);
}

/* Sessions are dealt by weight, as the broker deals them (BR30). */
static void groups(void **state)
{
	struct broker *b = broker_of(
	    TOOL("x", "{discard: true}") TOOL("y", "{discard: true}") HEAD
	    "kind: ToolGroup, metadata: {name: g}, spec: {members: [{tool: x, weight: 3}, {tool: y}]}}\n" MAP(
		"m", "{from: [{interface: {name: e}}], to: [{group: g}]}"));
	struct forecast *f = NULL;
	double x, y;

	(void)state;
	assert_int_equal(forecast_new(&f, b, 0, SECOND), 0);
	for (unsigned i = 0; i < 8000; i++)
		add(f, b, 1000 + i, 80, 1, 100, 0, 0);
	x = forecast_port(f, 0).packets;
	y = forecast_port(f, 1).packets;
	is(x + y, 8000);
	assert_true(x > 8000 * 0.73 && x < 8000 * 0.77);
	forecast_free(&f);
	broker_free(&b);
}

static void what_records_do_not_have(void **state)
{
	struct broker *b = broker_of(
	    TOOL("a", "{discard: true}") TOOL("b", "{discard: true}")
		MAP("flags", "{from: [{interface: {name: e}}], filter: tcp.syn, to: [{tool: a}]}") MAP(
		    "plain", "{from: [{interface: {name: e}}], filter: udp, to: [{tool: a}, {tool: b}]}"));
	struct forecast *f = NULL;

	(void)state;
	assert_int_equal(forecast_new(&f, b, 0, SECOND), 0);
	assert_non_null(strstr(forecast_blind(f, 0), "tcp.syn"));
	assert_null(forecast_blind(f, 1));
	add(f, b, 1, 2, 1, 100, 0, 0);
	is(forecast_port(f, 0).packets, 1);
	assert_true(forecast_port(f, 0).least);
	assert_false(forecast_port(f, 1).least);
	forecast_free(&f);
	broker_free(&b);
}

/* BR59 */
static void mtu(void **state)
{
	struct broker *b = broker_of(
	    TOOL("fits", "{vxlan: {remote: 192.0.2.1, vni: 7}, mtu: 1500}")
		TOOL("six", "{vxlan: {remote: '2001:db8::1', vni: 7}, mtu: 1500}")
		    TOOL("short", "{file: {path: /tmp/x}, mtu: 1000}") TOOL(
			"cut", "{gre: {remote: 192.0.2.1}, mtu: 600, ports: [{name: default, chain: {slice: "
			       "{bytes: 200}}}]}") TOOL("wire", "{vxlan: {remote: 192.0.2.1, vni: 7}}")
			MAP("m", "{from: [{pods: {}}], to: [{tool: fits}, {tool: six}, {tool: short}, "
				 "{tool: cut}]}")
			    MAP("w", "{from: [{interface: {name: e}}], to: [{tool: wire}]}"));
	struct remarks rs = {0};
	AUTO_BUF all = {0};

	(void)state;
	for (uint32_t i = 0; i < b->ports_n; i++)
		forecast_mtu(b, i, 1450, &rs);
	VEC_EACH (&rs.list, r)
		buf_printf(&all, "%s\n", r->text);
	assert_string_equal(
	    all.p,
	    "packets of {pods  in all} have up to 1450 bytes, and short/default takes 1000: larger ones "
	    "are dropped as \"mtu\"\n"
	    "packets of {pods  in all} have up to 1450 bytes, and 70 of tunnel headers: more than the "
	    "1500 that go to six/default\n"
	    "packets of {interface e} have up to 1500 bytes, and 50 of tunnel headers: more than the "
	    "1500 that go to wire/default\n");
	remarks_fini(&rs);
	broker_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rates),  cmocka_unit_test(overlaps),
	    cmocka_unit_test(groups), cmocka_unit_test(what_records_do_not_have),
	    cmocka_unit_test(mtu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
