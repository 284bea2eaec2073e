/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's judge and groups. Random sets of maps over random packets against a model of sets that is
 * written here from the meaning of maps alone (BR02, BR03, BR07, BR08, BR09); members that fail and return
 * (BR28, BR29, BR30, BR32, BR33).
 */
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/own.h"
#include "broker/judge.h"
#include "object/decode.h"

static uint64_t dice = 88172645463325252u;

static uint32_t roll(uint32_t n)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (uint32_t)(dice >> 33) % n;
}

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

static struct broker *broker_of(const struct buf *yaml)
{
	struct remarks rs = {0};
	struct store *s = NULL;
	struct broker *b = NULL;
	struct file *file;

	assert_int_equal(store_new(&s, 1), 0);
	assert_int_equal(file_new(&file, "test", yaml->p, yaml->n), 0);
	assert_int_equal(decode_yaml(file, &(struct decoder_options){.sink = put, .ctx = s, .remarks = &rs}),
			 0);
	file_unref(&file);
	int r = broker_compile(&b, s, &rs);
	if (r)
		remarks_print(stderr, &rs, false);
	assert_int_equal(r, 0);
	remarks_fini(&rs);
	store_free(&s);
	return b;
}

/* UDP from 10.0.0.1 to 10.0.0.2, ports as asked; 42 bytes. */
static struct chain_packet udp(uint8_t frame[42], uint32_t src, uint16_t sport, uint16_t dport)
{
	static const uint8_t head[] = {2,  0, 0, 0, 0, 2,  2,  0, 0, 0,	 0, 1, 8, 0,  0x45, 0, 0,
				       28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0,    0, 2};
	const uint8_t rest[] = {
	    (uint8_t)(sport >> 8), (uint8_t)sport, (uint8_t)(dport >> 8), (uint8_t)dport, 0, 8, 0, 0};

	memcpy(frame, head, sizeof(head));
	for (int i = 0; i < 4; i++)
		frame[26 + i] = (uint8_t)(src >> (24 - 8 * i));
	memcpy(frame + 34, rest, sizeof(rest));
	return (struct chain_packet){
	    .p = frame, .caplen = 42, .len = 42, .link = CHAIN_LINK_ETHERNET, .time = 1};
}

enum { MAPS = 12, TOOLS = 5, SOURCES = 3, BITS = 6 };

/* A map of the model: it takes a packet when one of its bits is set in the packet's number (no bits: always),
 * unless an earlier one that it excepts took it. Bit i of the number is whether port == 1000 + i is met. */
struct model_map {
	unsigned sources, bits, except, tools;
	bool rest;
};

static unsigned model(const struct model_map *maps, unsigned source, unsigned number, unsigned *took)
{
	unsigned tools = 0;

	*took = 0;
	for (int rest = 0; rest < 2; rest++) {
		bool any = *took;

		for (int i = 0; i < MAPS; i++) {
			const struct model_map *m = &maps[i];

			if (m->rest != rest || (rest && any) || !(m->sources >> source & 1) ||
			    m->except & *took)
				continue;
			if (m->bits && !(m->bits & number))
				continue;
			*took |= 1u << i;
			tools |= m->tools;
		}
	}
	return tools;
}

static void random_maps(struct model_map *maps)
{
	for (int i = 0; i < MAPS; i++) {
		maps[i] = (struct model_map){
		    .sources = 1 + roll((1 << SOURCES) - 1),
		    .bits = roll(4) ? 1u << roll(BITS) | (roll(2) ? 1u << roll(BITS) : 0) : 0,
		    .tools = 1 + roll((1 << TOOLS) - 1),
		    .rest = !roll(6)};
		for (int k = 0; !maps[i].rest && k < i; k++)
			if (!maps[k].rest && !roll(4))
				maps[i].except |= 1u << k;
	}
}

/* Names are dealt so that the order by name is not the order of the model. */
static void print_maps(struct buf *out, const struct model_map *maps, unsigned shift)
{
	for (int i = 0; i < TOOLS; i++)
		buf_printf(out,
			   "---\n{apiVersion: weft.network/v1alpha1, kind: Tool, metadata: {name: t%d}, "
			   "spec: {discard: true}}\n",
			   i);
	for (unsigned at = 0; at < MAPS; at++) {
		unsigned i = (at * 5 + shift) % MAPS;
		const struct model_map *m = &maps[i];

		buf_printf(out,
			   "---\n{apiVersion: weft.network/v1alpha1, kind: TrafficMap, metadata: {name: "
			   "m%u-%u}, spec: {rest: %s, from: [",
			   i * 7 % MAPS, i, m->rest ? "true" : "false");
		for (int s = 0; s < SOURCES; s++)
			if (m->sources >> s & 1)
				buf_printf(out, "{interface: {name: e%d}},", s);
		buf_addz(out, "], to: [");
		for (int t = 0; t < TOOLS; t++)
			if (m->tools >> t & 1)
				buf_printf(out, "{tool: t%d},", t);
		buf_addz(out, "], except: [");
		for (unsigned k = 0; k < MAPS; k++)
			if (m->except >> k & 1)
				buf_printf(out, "m%u-%u,", k * 7 % MAPS, k);
		buf_addz(out, m->bits ? "], filter: '" : "]");
		for (unsigned k = 0, n = 0; k < BITS; k++)
			if (m->bits >> k & 1)
				buf_printf(out, "%ssrc.port in {%u-%u}", n++ ? " || " : "", 1000 + k * 100,
					   1099 + k * 100);
		buf_addz(out, m->bits ? "'}}\n" : "}}\n");
	}
}

/* One packet meets one bit, or none: what matters is which maps share it. */
static void check_point(struct judge *j, const struct broker *b, const struct model_map *maps,
			unsigned source)
{
	struct point *at = NULL;
	char name[16];
	uint32_t number = BROKER_NONE;

	snprintf(name, sizeof(name), "interface e%u", source);
	for (uint32_t i = 0; i < b->sources_n; i++)
		if (str_eqz(b->sources[i].text, name))
			number = i;
	if (number == BROKER_NONE)
		return;
	assert_int_equal(point_new(&at, b, &number, 1), 0);
	for (unsigned bit = 0; bit <= BITS; bit++) {
		uint8_t frame[42];
		struct chain_packet p = udp(frame, 0x0a000001, (uint16_t)(1000 + bit * 100 + roll(100)), 9);
		unsigned took, want = model(maps, source, bit < BITS ? 1u << bit : 0, &took), got = 0,
			       got_maps = 0;
		struct judged said;

		judge_packet(j, at, &p, BROKER_DIRECTION_IN, BROKER_FORWARDED, &said);
		assert_true(said.whole);
		for (uint32_t i = 0; i < said.ports_n; i++) {
			unsigned tool = 1u << (b->ports[said.ports[i]].tool.p[1] - '0');

			assert_false(got & tool); /* BR03 */
			got |= tool;
		}
		for (uint32_t i = 0; i < said.maps_n; i++) {
			struct str rest = b->maps[said.maps[i]].name;
			int64_t of;

			str_cut(&rest, '-');
			assert_int_equal(str_to_i64(rest, 0, MAPS - 1, &of), 0);
			got_maps |= 1u << of;
		}
		assert_int_equal(got_maps, took);
		assert_int_equal(got, want);
	}
	point_free(&at);
}

static void test_model(void **state)
{
	(void)state;
	for (unsigned run = 0; run < 300; run++) {
		struct model_map maps[MAPS];
		AUTO_BUF yaml = {0};
		struct judge *j = NULL;

		random_maps(maps);
		print_maps(&yaml, maps, run);
		struct broker *b = broker_of(&yaml);
		assert_int_equal(judge_new(&j, b), 0);
		for (unsigned s = 0; s < SOURCES; s++)
			check_point(j, b, maps, s);
		judge_free(&j);
		broker_free(&b);
	}
}

enum { SESSIONS = 10000 };

struct members {
	struct broker *b;
	struct judge *j;
	struct group *g;
};

static void members_init(struct members *m, const char *settings)
{
	AUTO_BUF yaml = {0};

	for (int i = 1; i <= 5; i++)
		buf_printf(&yaml,
			   "---\n{apiVersion: weft.network/v1alpha1, kind: Tool, metadata: {name: t%d}, "
			   "spec: {discard: true}}\n",
			   i);
	buf_printf(
	    &yaml,
	    "---\n{apiVersion: weft.network/v1alpha1, kind: ToolGroup, metadata: {name: g}, spec: {%s}}\n",
	    settings);
	m->b = broker_of(&yaml);
	assert_int_equal(judge_new(&m->j, m->b), 0);
	m->g = judge_group(m->j, 0);
}

static void members_fini(struct members *m)
{
	judge_free(&m->j);
	broker_free(&m->b);
}

static uint32_t ask(const struct members *m, uint32_t session, uint64_t second)
{
	uint8_t frame[42];
	struct chain_packet p =
	    udp(frame, 0x0b000000 + session * 7919, (uint16_t)(1024 + session % 60000), 53);

	p.time = second * 1000000000u;
	return group_choose(m->g, &p, true, p.time);
}

static void ask_all(const struct members *m, uint32_t from, uint64_t second, uint32_t *out)
{
	for (uint32_t i = 0; i < SESSIONS; i++)
		out[i] = ask(m, from + i, second);
}

static uint32_t before[SESSIONS], during[SESSIONS], after[SESSIONS], fresh[SESSIONS];

static void test_failure(void **state)
{
	struct members m;
	unsigned moved = 0;

	(void)state;
	members_init(&m, "members: [{tool: t1}, {tool: t2}, {tool: t3}, {tool: t4}]");
	ask_all(&m, 0, 1, before);
	group_set_down(m.g, 2, true);
	ask_all(&m, 0, 2, during);
	for (int i = 0; i < SESSIONS; i++) {
		assert_int_not_equal(during[i], m.b->groups[0].members[2].port);
		if (before[i] == m.b->groups[0].members[2].port)
			moved++;
		else
			assert_int_equal(during[i], before[i]); /* BR28 */
	}
	assert_in_range(moved, SESSIONS / 5, SESSIONS * 3 / 10);
	group_set_down(m.g, 2, false);
	ask_all(&m, 0, 3, after);
	assert_memory_equal(after, before, sizeof(before));
	members_fini(&m);
}

static void test_sticky(void **state)
{
	struct members m;

	(void)state;
	members_init(&m, "members: [{tool: t1}, {tool: t2}, {tool: t3}], sticky: true");
	ask_all(&m, 0, 1, before);
	group_set_down(m.g, 0, true);
	ask_all(&m, SESSIONS, 2, during); /* these begin while it is down */
	group_set_down(m.g, 0, false);
	ask_all(&m, SESSIONS, 3, after);
	assert_memory_equal(after, during, sizeof(during)); /* BR29 */
	assert_int_equal(group_counts(m.g)->forgotten, 0);
	ask_all(&m, 0, 3, fresh);
	assert_memory_equal(fresh, before, sizeof(before)); /* and others are where they were */
	ask_all(&m, SESSIONS, 3 + GROUP_STICKY_SECONDS + 1, fresh);
	assert_memory_not_equal(fresh, during,
				sizeof(during)); /* they ended: the member has its share again */
	members_fini(&m);
}

static void test_weights(void **state)
{
	struct members m;
	unsigned first = 0;

	(void)state;
	members_init(&m, "members: [{tool: t1, weight: 3}, {tool: t2, weight: 1}]");
	ask_all(&m, 0, 1, before);
	for (int i = 0; i < SESSIONS; i++)
		first += before[i] == m.b->groups[0].members[0].port;
	assert_in_range(first, SESSIONS * 73 / 100, SESSIONS * 77 / 100); /* BR30 */
	members_fini(&m);
}

static void test_last(void **state)
{
	struct members m;

	(void)state;
	members_init(&m, "members: [{tool: t1}, {tool: t2}]");
	group_set_down(m.g, 0, true);
	group_set_down(m.g, 1, true);
	assert_int_equal(ask(&m, 1, 1), BROKER_NONE);
	assert_int_equal(group_counts(m.g)->down, 1); /* BR32 */
	members_fini(&m);
	members_init(&m, "members: [{tool: t1}, {tool: t2}], standby: {tool: t5}");
	group_set_down(m.g, 0, true);
	assert_int_not_equal(ask(&m, 1, 1), m.b->groups[0].standby);
	group_set_down(m.g, 1, true);
	assert_int_equal(ask(&m, 1, 1), m.b->groups[0].standby);
	assert_int_equal(group_counts(m.g)->standby, 1);
	group_set_down(m.g, 2, true);
	assert_int_equal(ask(&m, 1, 1), BROKER_NONE);
	members_fini(&m);
}

static void test_not_ip(void **state)
{
	struct members m;
	uint32_t first = BROKER_NONE;

	(void)state;
	members_init(&m, "members: [{tool: t1}, {tool: t2}, {tool: t3}, {tool: t4}]");
	for (uint32_t i = 0; i < 100; i++) {
		uint8_t frame[42];
		struct chain_packet p = udp(frame, i, 1, 2);

		frame[5] = (uint8_t)i;
		frame[12] = 0x88;
		frame[13] = 0xcc;
		uint32_t port = group_choose(m.g, &p, false, 1);
		first = i ? first : port;
		assert_int_equal(port, first); /* BR33 */
	}
	assert_int_equal(group_counts(m.g)->not_ip, 100);
	members_fini(&m);
}

static void test_quantities(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t n;
	} cases[] = {{"10G", 0, 10000000000},
		     {"2.5G", 0, 2500000000},
		     {"64Mi", 0, 67108864},
		     {"1500m", 0, 1},
		     {"2e3", 0, 2000},
		     {"1e-3", 0, 0},
		     {"", -EINVAL, 0},
		     {"-1", -EINVAL, 0},
		     {"10GB", -EINVAL, 0},
		     {"999999999E", -ERANGE, 0},
		     {"99999999999999999999", -ERANGE, 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t n = 0;

		assert_int_equal(quantity_number(str_of(cases[i].text), &n), cases[i].r);
		assert_int_equal(n, cases[i].n);
	}
}

/* BR08, BR10: a capture takes what it asks for, and nothing from a rest; one that is over, or that cannot be,
 * is none, and stops no map. */
static void test_capture_aside(void **state)
{
	static const char objects[] =
	    "{apiVersion: weft.network/v1alpha1, kind: Tool, metadata: {name: t}, spec: {discard: true}}\n"
	    "---\n{apiVersion: weft.network/v1alpha1, kind: TrafficMap, metadata: {name: rest}, spec: {from: "
	    "[{interface: {name: e0}}], rest: true, to: [{tool: t}]}}\n"
	    "---\n{apiVersion: weft.network/v1alpha1, kind: Capture, metadata: {name: mine}, spec: {from: "
	    "[{interface: {name: e0}}], filter: udp, snapBytes: 64}}\n"
	    "---\n{apiVersion: weft.network/v1alpha1, kind: Capture, metadata: {name: over}, spec: {from: "
	    "[{interface: {name: e0}}]}, status: {endTime: \"2026-01-01T00:00:00Z\"}}\n";
	AUTO_BUF yaml = {0};
	struct broker *b;
	struct judge *j = NULL;
	struct point *at = NULL;
	struct judged due;
	uint8_t frame[42];
	struct chain_packet p = udp(frame, 0x0a000001, 1, 2);

	(void)state;
	buf_addz(&yaml, objects);
	b = broker_of(&yaml);
	assert_int_equal(b->maps_n, 2);
	assert_true(b->maps[b->order[1]].aside);
	assert_true(str_eqz(b->maps[b->order[1]].name, "capture/mine"));
	assert_int_equal(b->ports_n, 2);
	assert_int_equal(b->ports[0].to.way, BROKER_TO_STREAM);
	assert_int_equal(b->ports[0].chain.slice.bytes, 64);
	assert_int_equal(judge_new(&j, b), 0);
	assert_int_equal(point_new(&at, b, &(uint32_t){0}, 1), 0);
	judge_packet(j, at, &p, BROKER_DIRECTION_IN, BROKER_FORWARDED, &due);
	assert_int_equal(due.maps_n, 2);
	assert_int_equal(due.ports_n, 2);
	frame[23] = 6; /* TCP */
	judge_packet(j, at, &p, BROKER_DIRECTION_IN, BROKER_FORWARDED, &due);
	assert_int_equal(due.ports_n, 1);
	assert_true(str_eqz(b->ports[due.ports[0]].tool, "t"));
	point_free(&at);
	judge_free(&j);
	broker_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    {"BR08, BR10: a capture takes nothing from a rest", test_capture_aside, NULL, NULL, NULL},
	    {"BR02, BR03, BR07, BR08, BR09: random maps as the model of sets says, one copy each", test_model,
	     NULL, NULL, NULL},
	    {"BR28: a member fails: sessions of the others do not move, and its own come back", test_failure,
	     NULL, NULL, NULL},
	    {"BR29: sticky: sessions that began meanwhile stay until they end", test_sticky, NULL, NULL,
	     NULL},
	    {"BR30: weights 3:1 over 10,000 sessions within 2 %", test_weights, NULL, NULL, NULL},
	    {"BR32: the last member fails: counted as down, or the standby takes over", test_last, NULL, NULL,
	     NULL},
	    {"BR33: what is not IP goes to one member and is counted", test_not_ip, NULL, NULL, NULL},
	    {"quantities as numbers", test_quantities, NULL, NULL, NULL},
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
