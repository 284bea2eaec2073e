/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies between nodes: what one weft-copier writes the other reads, whole and in parts that come in any
 * order; strangers, other keys and broken messages reach no tool, and each is counted once; parts that never
 * come take a bounded room. Which pod of another node gets them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/own.h"
#include "broker/place.h"
#include "copier/copier.h"
#include "copier/relay.h"
#include "object/decode.h"

static const uint64_t KEY = 0x12345678abcdef;

static struct addr at(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(str_of(text), &a), 0);
	return a;
}

static uint8_t copy[RELAY_COPY_MAX];

static void fill(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		copy[i] = (uint8_t)(i * 31 + i / 253);
}

/* The UDP payload of a frame, whose headers are held against what they must be. */
static const uint8_t *payload(const struct relay_way *w, const uint8_t *frame, uint32_t n, uint32_t *len)
{
	bool is4 = addr_is4(&w->from);
	const uint8_t *ip = frame + 14, *udp = ip + (is4 ? 20 : 40);

	assert_true(n - 14 <= w->mtu);
	assert_int_equal(frame[12] << 8 | frame[13], is4 ? 0x0800 : 0x86dd);
	assert_int_equal(is4 ? ip[9] : ip[6], 17);
	assert_memory_equal(is4 ? ip + 12 : ip + 8, is4 ? w->from.b + 12 : w->from.b, is4 ? 4 : 16);
	assert_memory_equal(is4 ? ip + 16 : ip + 24, is4 ? w->to.b + 12 : w->to.b, is4 ? 4 : 16);
	assert_int_equal(udp[2] << 8 | udp[3], RELAY_PORT);
	assert_in_range(udp[0] << 8 | udp[1], RELAY_FROM, RELAY_FROM + RELAY_FROM_N - 1);
	assert_int_equal(udp[4] << 8 | udp[5], n - 14 - (is4 ? 20 : 40));
	*len = n - 14 - (is4 ? 20u : 40u) - 8;
	return udp + 8;
}

static void sizes(const char *from, const char *to, uint32_t mtu)
{
	const struct relay_way w = {.from = at(from), .to = at(to), .mtu = mtu, .key = KEY};
	static uint8_t frame[14 + 65535], back[RELAY_COPY_MAX];
	uint32_t edge = relay_room(&w, false);
	const uint32_t lengths[] = {14, 60, edge - 1, edge, edge + 1, 2 * edge, 9000, 65549, RELAY_COPY_MAX};

	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		uint32_t n = lengths[i], parts = relay_parts(&w, n), len;

		if (!parts) {
			assert_true(n > RELAY_PARTS_MAX * (mtu - 100));
			continue;
		}
		assert_int_equal(parts == 1, n <= edge);
		fill(n);
		memset(back, 0, n);
		for (uint32_t k = 0; k < parts; k++) {
			struct relay_message m = {.kind = parts > 1 ? RELAY_PART : RELAY_WHOLE,
						  .key = KEY,
						  .id = 77,
						  .total = n,
						  .part = (uint16_t)k,
						  .parts = (uint16_t)parts},
					     got;
			uint32_t offset = 0;
			const uint8_t *p;

			m.n = n;
			if (parts > 1)
				relay_part(n, parts, k, &offset, &m.n);
			m.bytes = copy + offset;
			p = payload(&w, frame, relay_frame(&w, &m, k, 1, frame), &len);
			assert_true(relay_read(&got, p, len));
			assert_int_equal(got.kind, m.kind);
			assert_true(got.key == KEY);
			assert_int_equal(got.n, m.n);
			memcpy(back + offset, got.bytes, got.n);
			assert_false(relay_read(&got, p, parts > 1 ? len - 1 : 7));
		}
		assert_memory_equal(back, copy, n);
	}
}

static void test_format(void **state)
{
	const struct relay_way w = {.from = at("10.0.0.1"), .to = at("10.0.0.2"), .mtu = 1500, .key = KEY};
	const struct relay_message ask = {.kind = RELAY_ASK, .key = KEY, .cookie = 0x1122334455667788},
				   says = {.kind = RELAY_ANSWER,
					   .key = KEY,
					   .cookie = 5,
					   .taking = true,
					   .arrived = 1ull << 40};
	struct relay_message got;
	uint8_t frame[RELAY_ROOM];
	uint32_t len;
	const uint8_t *p;

	(void)state;
	sizes("10.0.0.1", "10.0.0.2", 1500);
	sizes("fd00::1", "fd00::2", 1500);
	sizes("10.0.0.1", "10.0.0.2", 576);
	sizes("fd00::1", "fd00::2", 1280);
	sizes("10.0.0.1", "10.0.0.2", 9000);
	assert_int_equal(relay_room(&w, false), 14 + 1450); /* a pod's largest packet goes whole */
	p = payload(&w, frame, relay_frame(&w, &ask, 0, 0, frame), &len);
	assert_true(relay_read(&got, p, len) && got.kind == RELAY_ASK && got.cookie == ask.cookie);
	p = payload(&w, frame, relay_frame(&w, &says, 0, 0, frame), &len);
	assert_true(relay_read(&got, p, len) && got.kind == RELAY_ANSWER && got.taking &&
		    got.arrived == says.arrived);
	assert_false(relay_read(&got, p, len - 1));
}

/* --- arrivals --------------------------------------------------------------------------------------- */

static uint32_t came;
static uint64_t asked;
static uint8_t last[RELAY_COPY_MAX];
static uint32_t last_n;

static int take_frame(void *ctx, uint32_t outlet, const uint8_t *frame, uint32_t n)
{
	(void)ctx;
	if (outlet & OUTLET_CANARY) {
		asked++;
		return 0;
	}
	assert_int_equal(outlet, 3);
	memcpy(last, frame, n);
	last_n = n;
	came++;
	return 0;
}

static const char CONFIG[] =
    "{\"epoch\":1,\"node\":\"node-2\",\"objects\":[{\"apiVersion\":\"weft.network/"
    "v1alpha1\",\"kind\":\"Tool\","
    "\"metadata\":{\"name\":\"eye\"},\"spec\":{\"interface\":{\"name\":\"t\"}}},{\"apiVersion\":"
    "\"weft.network/v1alpha1\",\"kind\":\"TrafficMap\",\"metadata\":{\"name\":\"m\"},\"spec\":{\"from\":[{"
    "\"interface\":{\"name\":\"eth1\"}}],\"to\":[{\"tool\":\"eye\"}]}}],\"outlets\":[{\"tool\":\"eye\","
    "\"port\":"
    "\"default\",\"number\":3,\"direct\":[]}],\"arrivals\":{\"outlet\":4,\"own\":[\"10.0.0.2\",\"fd00::2\"],"
    "\"nodes\":[\"10.0.0.1\",\"fd00::1\"],\"tools\":[{\"tool\":\"eye\",\"port\":\"default\",\"key\":"
    "\"12345678abcdef\"}]}}";

static void begin(struct copier *c)
{
	AUTO_BUF why = {0};

	*c = (struct copier){.host = {.send = take_frame, .loop = &c->loop}};
	assert_int_equal(uv_loop_init(&c->loop), 0);
	assert_int_equal(config_apply(c, str_of(CONFIG), &why), 0);
	assert_int_equal(arrivals_new(&c->arrivals, c, -1), 0);
	came = 0;
	asked = 0;
}

static const struct arrivals_counts *sums(struct copier *c)
{
	const struct arrivals_counts *n = arrivals_counts(c->arrivals);
	uint64_t arrived = 0;

	VEC_EACH (&c->tallies, t)
		arrived += (*t)->arrived;
	assert_true(n->received ==
		    n->whole + n->parts + n->asks + n->answers + n->stranger + n->unknown + n->malformed);
	assert_true(arrived == n->whole + n->joined);
	assert_true(arrived == came);
	return n;
}

static void end(struct copier *c)
{
	sums(c);
	arrivals_free(&c->arrivals);
	copier_fini(c, 1000);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&c->loop), 0);
}

static void take(struct copier *c, const char *from, uint16_t port, const struct relay_message *m)
{
	const struct relay_way w = {
	    .from = at(from), .to = at(strchr(from, ':') ? "fd00::2" : "10.0.0.2"), .mtu = 1500};
	uint8_t frame[14 + 1500];
	uint32_t len;
	const uint8_t *p = payload(&w, frame, relay_frame(&w, m, 0, 0, frame), &len);
	const struct addr a = at(from);

	arrivals_take(c->arrivals, &a, port, p, len);
}

static void test_strangers(void **state)
{
	const struct relay_message whole = {.kind = RELAY_WHOLE, .key = KEY, .bytes = copy, .n = 100};
	struct relay_message other = whole, ask = {.kind = RELAY_ASK, .key = KEY};
	const struct addr node = at("10.0.0.1");
	struct copier c;

	(void)state;
	fill(100);
	begin(&c);
	take(&c, "10.0.0.1", 600, &whole);
	take(&c, "fd00::1", 512, &whole);
	assert_int_equal(came, 2);
	assert_memory_equal(last, copy, 100);
	take(&c, "10.0.0.3", 600, &whole); /* no node */
	take(&c, "10.0.0.2", 600, &whole); /* ourselves */
	take(&c, "10.0.0.1", 511, &whole);
	take(&c, "10.0.0.1", 1024, &whole);
	other.key ^= 1;
	take(&c, "10.0.0.1", 600, &other);
	arrivals_take(c.arrivals, &node, 600, copy, 100);
	arrivals_take(c.arrivals, &node, 600, copy, 0);
	take(&c, "10.0.0.1", 600, &ask);
	ask.key ^= 2; /* a tool that is not here: told so */
	take(&c, "10.0.0.1", 600, &ask);
	assert_int_equal(sums(&c)->stranger, 4);
	assert_int_equal(sums(&c)->unknown, 1);
	assert_int_equal(sums(&c)->malformed, 2);
	assert_int_equal(asked, 2);
	assert_int_equal(came, 2);
	end(&c);
}

static void part(struct copier *c, uint32_t id, uint32_t total, uint32_t parts, uint32_t k)
{
	struct relay_message m = {.kind = RELAY_PART,
				  .key = KEY,
				  .id = id,
				  .total = total,
				  .part = (uint16_t)k,
				  .parts = (uint16_t)parts};
	uint32_t offset;

	relay_part(total, parts, k, &offset, &m.n);
	m.bytes = copy + offset;
	take(c, "10.0.0.1", 600, &m);
}

static void test_parts(void **state)
{
	static const unsigned order[] = {3, 0, 4, 1, 1, 2};
	struct copier c;

	(void)state;
	fill(6000);
	begin(&c);
	for (size_t i = 0; i < ARRAY_LEN(order); i++) { /* mixed with another copy; one twice */
		assert_int_equal(came, 0);
		part(&c, 7, 6000, 5, order[i]);
		if (i < 3)
			part(&c, 8, 6001, 5, order[i]);
	}
	assert_int_equal(came, 1);
	assert_int_equal(last_n, 6000);
	assert_memory_equal(last, copy, 6000);
	assert_int_equal(sums(&c)->waiting, 1);
	arrivals_tick(c.arrivals, UINT64_MAX / 2);
	assert_int_equal(sums(&c)->waiting, 0);
	assert_int_equal(sums(&c)->incomplete, 1);
	for (uint32_t id = 100; id < 1100; id++) /* first parts alone */
		part(&c, id, 6000, 5, 0);
	assert_int_equal(sums(&c)->waiting, 64);
	assert_int_equal(sums(&c)->incomplete, 1 + 1000 - 64);
	for (uint32_t k = 1; k < 5; k++) /* the newest is whole all the same */
		part(&c, 1099, 6000, 5, k);
	assert_int_equal(came, 2);
	end(&c);
}

/* --- which pod -------------------------------------------------------------------------------------- */

static void put_pod(struct store *s, const char *name, const char *node, const char *born, const char *ready)
{
	AUTO(remarks_fini) struct remarks rs = {0};
	AUTO_BUF json = {0};
	struct object *o = NULL;

	buf_printf(
	    &json,
	    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s\",\"namespace\":\"shop\","
	    "\"creationTimestamp\":\"%s\",\"labels\":{\"app\":\"ids\"}},\"spec\":{\"nodeName\":\"%s\","
	    "\"containers\":[]},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\"}]}}",
	    name, born, node, ready);
	assert_int_equal(decode_json_object(buf_str(&json), NULL, NULL, &o, &rs), 0);
	assert_int_equal(store_put(s, o, NULL), 0);
}

static const char *chosen(const struct store *s, const char *node)
{
	static const struct label_selector all;
	const struct broker_destination to = {.way = BROKER_TO_POD, .ns = {"shop", 4}, .selector = &all};
	const struct object *pod = place_tool_pod(s, &to, str_of(node));

	return pod ? pod->meta.name.p : "";
}

static void test_which(void **state)
{
	struct store *s = NULL;

	(void)state;
	assert_int_equal(store_new(&s, 1), 0);
	assert_string_equal(chosen(s, "node-1"), "");
	put_pod(s, "b", "node-2", "2026-01-02T00:00:00Z", "True");
	put_pod(s, "a", "node-3", "2026-01-02T00:00:00Z", "True");
	assert_string_equal(chosen(s, "node-1"), "a");
	assert_string_equal(chosen(s, "node-3"), "b"); /* its own is wired, or does not count */
	put_pod(s, "0", "node-2", "2026-01-03T00:00:00Z", "True");
	assert_string_equal(chosen(s, "node-1"), "a"); /* a newcomer takes nothing */
	put_pod(s, "z", "node-2", "2026-01-01T00:00:00Z", "False");
	assert_string_equal(chosen(s, "node-1"), "a"); /* not ready */
	put_pod(s, "z", "node-2", "2026-01-01T00:00:00Z", "True");
	assert_string_equal(chosen(s, "node-1"), "z");
	store_free(&s);
	assert_true(place_tool_key(STR("u1"), STR("p")) != place_tool_key(STR("u2"), STR("p")));
	assert_true(place_tool_key(STR("u1"), STR("p")) != place_tool_key(STR("u1"), STR("q")));
	assert_true(place_tool_key(STR("u1"), STR("p")) <= RELAY_KEY_BITS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_format),
	    cmocka_unit_test(test_strangers),
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_which),
	};

	return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
