/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft-copier without its sockets: configurations that come and go, broken ones, copies with any mark; what
 * was counted adds up at every moment (BR16, BR17, BR21), times of one place never go back (BR81), and a
 * ring has the newest packets.
 */
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include <jansson.h>

#include "base/own.h"
#include "copier/copier.h"
#include "copier/reader.h"

static uint64_t dice = 88172645463325252u;

static uint32_t roll(uint32_t n)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (uint32_t)(dice >> 33) % n;
}

static unsigned frames;

static int take_frame(void *ctx, uint32_t outlet, const uint8_t *frame, uint32_t n)
{
	(void)ctx;
	(void)frame;
	assert_in_range(outlet, 1, OUTLETS_MAX);
	assert_true(n >= 14);
	frames++;
	return roll(5) ? 0 : roll(2) ? -EAGAIN : -ENETDOWN;
}

static void begin(struct copier *c)
{
	*c = (struct copier){.host = {.send = take_frame, .loop = &c->loop}};
	assert_int_equal(uv_loop_init(&c->loop), 0);
}

static void end(struct copier *c)
{
	copier_fini(c, 1000);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&c->loop), 0);
}

#define TOOL(name, rest)                                                                                     \
	"{\"apiVersion\":\"weft.network/v1alpha1\",\"kind\":\"Tool\",\"metadata\":{\"name\":\"" name         \
	"\"},\"spec\":{" rest "}}"
#define MAP(name, to, more)                                                                                  \
	"{\"apiVersion\":\"weft.network/v1alpha1\",\"kind\":\"TrafficMap\",\"metadata\":{\"name\":\"" name   \
	"\"},\"spec\":{\"from\":[{\"interface\":{\"name\":\"eth1\"}}],\"to\":[" to "]" more "}}"
#define TO(tool) "{\"tool\":\"" tool "\"}"

/* Configuration number i of a few. */
static void config(struct buf *out, uint32_t epoch, uint32_t i)
{
	static const char *const objects[] = {
	    TOOL("a", "\"interface\":{\"name\":\"t\"}") "," TOOL("b", "\"discard\":true") "," MAP(
		"m", TO("a") "," TO("b"), ""),
	    TOOL("a", "\"interface\":{\"name\":\"t\"},\"mtu\":100") "," MAP("m", TO("a"),
									    ",\"filter\":\"udp\""),
	    TOOL("b",
		 "\"discard\":true,\"ports\":[{\"name\":\"default\",\"chain\":{\"sample\":{\"oneIn\":3}}"
		 "}]") "," TOOL("r", "\"ring\":{\"size\":\"1Mi\"}") "," MAP("m", TO("b") "," TO("r"),
									    "") "," MAP("n", TO("r"),
											",\"rest\":true"),
	    TOOL("v", "\"vxlan\":{\"remote\":\"10.9.9.9\",\"vni\":7},\"tooBig\":\"Fragment\"") "," MAP(
		"m", TO("v"), ""),
	};

	buf_printf(out,
		   "{\"epoch\":%u,\"node\":\"node-1\",\"objects\":[%s],"
		   "\"places\":[{\"point\":%u,\"ifindex\":%u,\"name\":\"eth1\",\"kind\":\"interface\","
		   "\"sources\":[\"interface eth1\"]}],\"outlets\":[{\"tool\":\"a\",\"port\":\"default\","
		   "\"number\":%u,\"direct\":[%u]}],\"tunnels\":[{\"tool\":\"v\",\"source\":\"10.0.0.1\","
		   "\"number\":9,\"mtu\":600}],\"names\":[[\"10.0.0.1\",\"shop/web\"]],\"files\":\"\"}",
		   epoch, objects[i % ARRAY_LEN(objects)], i % 3, 10 + i % 2, 1 + i % 2, i % 7 ? 77 : i % 3);
}

static void install(struct copier *c, uint32_t epoch, uint32_t i)
{
	AUTO_BUF json = {0};
	AUTO_BUF why = {0};

	config(&json, epoch, i);
	int r = config_apply(c, buf_str(&json), &why);
	if (r)
		print_message("%s\n", why.p);
	assert_int_equal(r, 0);
}

static void feed(struct copier *c, uint32_t mark, uint64_t time)
{
	uint8_t bytes[700];
	struct packet_seen s = {.packet = {.p = bytes, .link = CHAIN_LINK_ETHERNET, .time = time},
				.mark = mark};

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)roll(256);
	if (roll(4)) {
		memcpy(bytes + 12, "\x08\x00\x45\x00\x00\x40", 6);
		bytes[23] = roll(2) ? 17 : 6;
	}
	s.packet.caplen = 14 + roll(sizeof(bytes) - 14);
	s.packet.len = s.packet.caplen + (roll(3) ? 0 : roll(1000));
	if (!roll(8)) {
		s.packet.flags = PACKET_UNFINISHED | PACKET_VLAN_BESIDE;
		s.packet.csum_start = (uint16_t)roll(UINT16_MAX);
		s.packet.csum_offset = (uint16_t)roll(100);
		s.packet.gso_size = roll(2) ? 0 : roll(1500);
	}
	feed_packet(c, &s);
}

static uint64_t get(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	assert_true(json_is_integer(v));
	return (uint64_t)json_integer_value(v);
}

/* All sums of /account: how much was due in all. */
static uint64_t check_account(struct copier *c)
{
	AUTO_BUF text = {0};
	const json_t *item, *loss, *ring;
	const char *key;
	uint64_t due = 0, received;
	size_t i;

	account_print(c, &text);
	AUTO(json_decrefp) json_t *a = json_loadb(text.p, text.n, 0, NULL);
	assert_non_null(a);
	ring = json_object_get(a, "ring");
	received = get(json_object_get(a, "placesGone"), "received");
	assert_int_equal(get(ring, "received"), get(ring, "judged") + get(ring, "unknown"));
	json_array_foreach (json_object_get(a, "places"), i, item) {
		assert_int_equal(get(item, "received"), get(item, "classified") + get(item, "unparsable"));
		received += get(item, "received");
	}
	assert_int_equal(received, get(ring, "judged"));
	json_array_foreach (json_object_get(a, "tools"), i, item) {
		uint64_t out = get(item, "sent") + get(item, "inFlight");

		json_object_foreach (json_object_get(item, "losses"), key, loss)
			out += (uint64_t)json_integer_value(loss);
		if (get(item, "due") + get(item, "added") != out)
			print_message("%s\n", text.p);
		assert_int_equal(get(item, "due") + get(item, "added"), out);
		due += get(item, "due");
	}
	buf_clear(&text);
	metrics_print(c, &text);
	assert_true(text.n > 100);
	return due;
}

static void test_epochs(void **state)
{
	uint64_t due = 0, ms = 1;
	struct copier c;

	(void)state;
	begin(&c);
	for (uint32_t epoch = 1; epoch < 400; epoch++) {
		install(&c, epoch, roll(4) ? roll(24) : epoch / 10);
		for (unsigned n = roll(60); n--;)
			feed(&c,
			     roll(4) | (epoch - roll(3)) % TAP_EPOCHS << TAP_EPOCH_SHIFT |
				 (roll(2) ? TAP_MARK_OUT : 0) | (roll(9) ? 0 : TAP_MARK_DROPPED),
			     epoch * 1000000ull + roll(3000000));
		ms += roll(3000);
		epochs_tick(&c, ms + epoch * 10000ull);
		sinks_flush(&c);
		sinks_tick(&c, ms);
		uint64_t now = check_account(&c);
		if (now < due)
			print_message("epoch %u\n", epoch);
		assert_true(now >= due); /* what was counted stays counted (BR21) */
		due = now;
	}
	assert_true(due > 1000);
	assert_true(frames > 100);
	end(&c);
}

static void test_broken(void **state)
{
	AUTO_BUF good = {0};
	struct copier c;
	unsigned refused = 0;

	(void)state;
	begin(&c);
	install(&c, 1, 0);
	config(&good, 2, 2);
	for (unsigned n = 0; n < 3000; n++) {
		AUTO_BUF bad = {0};
		AUTO_BUF why = {0};
		const struct epoch *before = c.epochs[0];
		char node[sizeof(c.host.node)];
		uint32_t at = roll((uint32_t)good.n), len = 1 + roll(8);

		buf_adds(&bad, buf_str(&good));
		if (n % 3 == 0)
			bad.n = at;
		else
			for (uint32_t i = at; i < at + len && i < bad.n; i++)
				bad.p[i] = n % 3 == 1 ? (char)roll(256) : "0\"[]{},:-9"[(int)roll(10)];
		memcpy(node, c.host.node, sizeof(node));
		int r = config_apply(&c, buf_str(&bad), &why);
		if (r && r != -EINVAL)
			print_message("%d: %s\n%s\n", r, why.p, bad.p);
		assert_true(!r || r == -EINVAL);
		if (r) {
			assert_true(why.n > 0);
			assert_ptr_equal(c.epochs[0], before); /* nothing has changed */
			assert_string_equal(c.host.node, node);
			refused++;
		}
		if (n % 50 == 0)
			epochs_tick(&c, UINT32_MAX + n * 10000ull);
		sinks_tick(&c, n);
	}
	assert_true(refused > 2000);
	end(&c);
}

/* What a reader of the ring gets. */
static void read_ring(struct sink *s, struct buf *out)
{
	struct http_body *b = ring_read(s->output, 0);

	assert_non_null(b);
	while (!b->done) {
		AUTO_BUF piece = {0};

		b->pull(b, &piece);
		buf_adds(out, buf_str(&piece));
	}
	b->close(b);
}

static void test_ring_times(void **state)
{
	AUTO_BUF body = {0};
	struct copier c;
	uint64_t last = 0, packets = 0;

	(void)state;
	begin(&c);
	install(&c, 5, 2);
	for (unsigned i = 0; i < 9000; i++)
		feed(&c, 2 | 5 << TAP_EPOCH_SHIFT,
		     1000000000000ull + i * 1000 - (roll(5) ? 0 : roll(100000)));
	assert_int_equal(c.unknown, 0);
	struct sink *s = sink_find(&c, BROKER_TO_RING, STR("r"), STR("default"));
	assert_non_null(s);
	read_ring(s, &body);
	assert_memory_equal(body.p, "\x0a\x0d\x0d\x0a", 4);
	for (size_t at = 0; at < body.n;) {
		uint32_t head[5];

		memcpy(head, body.p + at, sizeof(head));
		assert_true(head[1] >= 12 && head[1] <= body.n - at);
		if (head[0] == 6) {
			uint64_t time;

			memcpy(head, body.p + at + 8, sizeof(head));
			time = (uint64_t)head[1] << 32 | head[2];
			assert_true(time >= last); /* BR81 */
			last = time;
			packets++;
			memcpy(head, body.p + at, sizeof(head));
		}
		at += head[1];
	}
	assert_true(packets > 1500 && packets < 9000);
	assert_true(c.places.items[0]->turned > 100);
	check_account(&c);
	end(&c);
}

/* Captures come and go for as long as the process lives: what it keeps of them has a bound, and no packet of
 * theirs is forgotten. */
static void test_captures(void **state)
{
	uint64_t due = 0, ms = 1;
	struct copier c;

	(void)state;
	begin(&c);
	for (uint32_t epoch = 1; epoch < 400; epoch++, ms += 10000) {
		AUTO_BUF json = {0};
		AUTO_BUF why = {0};

		buf_printf(
		    &json,
		    "{\"epoch\":%u,\"node\":\"n\",\"objects\":[{\"apiVersion\":\"weft.network/v1alpha1\","
		    "\"kind\":\"Capture\",\"metadata\":{\"name\":\"c%u\"},\"spec\":{\"user\":\"u\",\"from\":["
		    "{"
		    "\"interface\":{\"name\":\"eth1\"}}]}}],\"places\":[{\"point\":1,\"ifindex\":1,\"name\":"
		    "\"eth1\",\"kind\":\"interface\",\"sources\":[\"interface eth1\"]}]}",
		    epoch, epoch);
		assert_int_equal(config_apply(&c, buf_str(&json), &why), 0);
		feed(&c, 1 | epoch % TAP_EPOCHS << TAP_EPOCH_SHIFT, ms * 1000000);
		epochs_tick(&c, ms);
		sinks_tick(&c, ms);
		due = check_account(&c);
		assert_int_equal(due, epoch);
		assert_in_range(c.tallies.len, 1, 130);
	}
	end(&c);
}

static const struct tally *tally_of(const struct copier *c, const char *tool)
{
	VEC_EACH (&c->tallies, t)
		if (!strcmp((*t)->tool, tool))
			return *t;
	return NULL;
}

/* Sessions of a group of a and b; `a`: a has an outlet, and takes packets. */
static void install_group(struct copier *c, uint32_t epoch, bool a, const char *more)
{
	AUTO_BUF json = {0};
	AUTO_BUF why = {0};

	buf_printf(
	    &json,
	    "{\"epoch\":%u,\"node\":\"n\",\"objects\":[" TOOL("a", "\"interface\":{\"name\":\"t\"}") "," TOOL(
		"b", "\"interface\":{\"name\":\"u\"}") ","
						       "{\"apiVersion\":\"weft.network/"
						       "v1alpha1\",\"kind\":\"ToolGroup\",\"metadata\":{"
						       "\"name\":\"g\"},"
						       "\"spec\":{\"sticky\":true,\"members\":[{\"tool\":"
						       "\"a\"},{\"tool\":\"b\"}]}}," MAP(
							   "m", "{\"group\":\"g\"}",
							   "") "%s],\"places\":[{\"point\":1,\"ifindex\":1,"
							       "\"name\":"
							       "\"eth1\",\"kind\":\"interface\",\"sources\":["
							       "\"interface "
							       "eth1\"]}],\"outlets\":[{\"tool\":\"b\","
							       "\"port\":\"default\",\"number\":1,\"direct\":"
							       "[]}%s]}",
	    epoch, more, a ? ",{\"tool\":\"a\",\"port\":\"default\",\"number\":2,\"direct\":[]}" : "");
	int r = config_apply(c, buf_str(&json), &why);
	if (r)
		print_message("%s\n", why.p);
	assert_int_equal(r, 0);
}

/* One packet of each of 64 sessions from `first` on. */
static void feed_sessions(struct copier *c, uint32_t epoch, uint32_t first, uint64_t time)
{
	uint8_t p[60] = {0};

	memcpy(p + 12,
	       "\x08\x00\x45\x00\x00\x2e\x00\x00\x00\x00\x40\x11\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02",
	       22);
	memcpy(p + 36, "\x00\x35\x00\x1a", 4);
	for (uint32_t i = first; i < first + 64; i++) {
		p[34] = (uint8_t)(i >> 8);
		p[35] = (uint8_t)i;
		feed_packet(c, &(struct packet_seen){.packet = {.p = p,
								.caplen = sizeof(p),
								.len = sizeof(p),
								.link = CHAIN_LINK_ETHERNET,
								.time = time},
						     .mark = 1 | epoch % TAP_EPOCHS << TAP_EPOCH_SHIFT});
	}
}

/* Sessions that a member got while another one was away stay with it when that comes back, also when objects
 * change meanwhile (BR29). */
static void test_sticky(void **state)
{
	struct copier c;
	uint64_t a, b;

	(void)state;
	begin(&c);
	install_group(&c, 1, false, "");
	feed_sessions(&c, 1, 1000, 1000000000);
	assert_int_equal(tally_of(&c, "a")->due, 0);
	assert_int_equal(tally_of(&c, "b")->due, 64);
	install_group(&c, 2, true, "," TOOL("z", "\"discard\":true"));
	feed_sessions(&c, 2, 1000, 2000000000);
	assert_int_equal(tally_of(&c, "a")->due, 0);
	assert_int_equal(tally_of(&c, "b")->due, 128);
	install_group(&c, 3, true, "");
	feed_sessions(&c, 3, 1000, 3000000000);
	assert_int_equal(tally_of(&c, "a")->due, 0);
	feed_sessions(&c, 3, 2000, 3000000000); /* new ones are dealt */
	a = tally_of(&c, "a")->due;
	b = tally_of(&c, "b")->due - 192;
	assert_int_equal(a + b, 64);
	assert_in_range(a, 10, 54);
	feed_sessions(&c, 3, 1000, 400000000000); /* silent for longer than five minutes */
	assert_true(tally_of(&c, "a")->due > a);
	end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_epochs),   cmocka_unit_test(test_broken), cmocka_unit_test(test_ring_times),
	    cmocka_unit_test(test_captures), cmocka_unit_test(test_sticky),
	};

	return cmocka_run_group_tests_name("copier", tests, NULL, NULL);
}
