/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies as flow records: each packet is told in one record or counted as lost (BR17); a collector on the
 * loopback interface sees the sums, computes our loss from sequence numbers, and gets templates again when it
 * comes late (BR84). Reading by another program is shown in test/run/copier_ipfix.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/own.h"
#include "copier/output.h"
#include "copier/packetflow.h"

enum { SECOND = 1000000000 };
enum { /* as in seam/event.h, which has another struct event than the store */
#define DROP(id, number, name, advice) DROP_##id = number,
#include "tables/drops.def"
#undef DROP
};

/* --- flows ----------------------------------------------------------------------------------------- */

struct tally {
	uint64_t records, packets, bytes, by[8];
};

static void add_up(void *ctx, const struct packetflow *f, enum packetflow_end why)
{
	struct tally *t = ctx;

	assert_true(f->packets > 0 && f->first <= f->last);
	t->records++;
	t->packets += f->packets;
	t->bytes += f->bytes;
	t->by[why]++;
}

static struct packetflow_key key_of(unsigned port)
{
	struct packetflow_key k = {.proto = 17, .from_port = (uint16_t)port, .place = 1};

	assert_int_equal(addr_parse(STR("10.0.0.1"), &k.from), 0);
	assert_int_equal(addr_parse(STR("10.0.0.2"), &k.to), 0);
	return k;
}

static void flows_add_up(void **state)
{
	enum { MOST = 100, KEYS = 300, PACKETS = 20000 };
	struct tally t = {0};
	struct packetflows *f = NULL;
	uint64_t bytes = 0, now = 5;

	(void)state;
	assert_int_equal(packetflows_new(&f, MOST, 2ull * SECOND, 60ull * SECOND, add_up, &t), 0);
	for (unsigned i = 0; i < PACKETS; i++) {
		struct packetflow_key k = key_of(i * 7919 % KEYS);

		packetflows_add(f, &k, i, i % 1500, false);
		bytes += i % 1500;
		now += SECOND / 500;
		if (i % 50 == 0)
			packetflows_tick(f, now);
		assert_int_equal(t.packets + packetflows_packets(f), i + 1);
	}
	assert_true(t.by[PACKETFLOW_ROOM] > 0);
	packetflows_flush(f);
	assert_int_equal(t.packets, PACKETS);
	assert_int_equal(t.bytes, bytes);
	assert_int_equal(packetflows_packets(f), 0);
	packetflows_free(&f);
}

static void flows_end(void **state)
{
	struct tally t = {0};
	struct packetflows *f = NULL;
	struct packetflow_key a = key_of(1), b = key_of(2);

	(void)state;
	assert_int_equal(packetflows_new(&f, 8, 2ull * SECOND, 60ull * SECOND, add_up, &t), 0);
	packetflows_tick(f, 1ull * SECOND);
	packetflows_add(f, &a, 1, 10, false);
	packetflows_add(f, &b, 1, 10, true);
	packetflows_tick(f, 3ull * SECOND - 1);
	assert_int_equal(t.records, 0);
	packetflows_tick(f, 3ull * SECOND);
	assert_int_equal(t.by[PACKETFLOW_IDLE], 1);
	assert_int_equal(t.by[PACKETFLOW_ENDED], 1);
	for (uint64_t at = 0; at < 150; at++)
		packetflows_add(f, &a, 1 + at * SECOND, 10, false);
	assert_int_equal(t.by[PACKETFLOW_ACTIVE], 2);
	packetflows_flush(f);
	assert_int_equal(t.packets, 152);
	packetflows_free(&f);
}

static void reasons_have_numbers(void **state)
{
	struct packetflow_key k = key_of(1);

	(void)state;
	assert_int_equal(packetflow_status(&k), 64);
	k.dropped = true;
	assert_int_equal(packetflow_status(&k), 128);
	k.reason = DROP_POLICY_INGRESS;
	assert_int_equal(packetflow_status(&k), 129);
	k.reason = DROP_SPOOFED;
	assert_int_equal(packetflow_status(&k), 140);
}

/* --- the output ------------------------------------------------------------------------------------ */

struct collector {
	int listening, fd;
	uint16_t port;
	uint32_t next, domain; /* sequence numbers */
	uint64_t records, packets, octets, gaps, templates, refused;
	uint8_t stream[1 << 16];
	size_t n;
};

static unsigned u16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t u32(const uint8_t *p)
{
	return (uint32_t)u16(p) << 16 | u16(p + 2);
}

static uint64_t u64(const uint8_t *p)
{
	return (uint64_t)u32(p) << 32 | u32(p + 4);
}

static void collect(struct collector *c, bool tcp)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_port = htons(c->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof(a);
	int one = 1, fd = socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0),
	    room = 4 << 20;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	c->port = ntohs(a.sin_port);
	c->fd = tcp ? -1 : fd;
	c->listening = tcp ? fd : -1;
	if (tcp)
		assert_int_equal(listen(fd, 1), 0);
}

/* IPv4 records of the template with places: see observe/ipfix.c. */
static void read_set(struct collector *c, const uint8_t *p, size_t n)
{
	enum { FIXED = 8 + 4 + 3 + 5 * 8 + 1 + 2 + 4 + 4, STATUS = 13, OCTETS = 15, PACKETS = 23 };
	size_t at = 0;

	while (at + FIXED < n) {
		c->records++;
		c->octets += u64(p + at + OCTETS);
		c->packets += u64(p + at + PACKETS);
		c->refused += p[at + STATUS] == 129;
		at += FIXED + 1u + p[at + FIXED];
	}
	assert_int_equal(at, n);
}

static void read_message(struct collector *c, const uint8_t *p, size_t n)
{
	uint32_t sequence = u32(p + 8);
	uint64_t before = c->records;

	assert_int_equal(u16(p), 10);
	assert_int_equal(u16(p + 2), n);
	if (!u32(p + 12))
		return; /* of the exporter itself */
	c->domain = u32(p + 12);
	for (size_t at = 16; at < n; at += u16(p + at + 2)) {
		assert_true(u16(p + at + 2) >= 4 && at + u16(p + at + 2) <= n);
		c->templates += u16(p + at) == 2;
		if (u16(p + at) == 256)
			read_set(c, p + at + 4, u16(p + at + 2) - 4u);
	}
	if (c->records == before)
		return;
	c->gaps += sequence - c->next;
	c->next = sequence + (uint32_t)(c->records - before);
}

static void take(struct collector *c)
{
	ssize_t n;

	if (c->listening >= 0 && c->fd < 0)
		c->fd = accept4(c->listening, NULL, NULL, SOCK_NONBLOCK);
	while (c->fd >= 0 && (n = recv(c->fd, c->stream + c->n, sizeof(c->stream) - c->n, 0)) > 0) {
		size_t at = 0;

		c->n += (size_t)n;
		while (c->n - at >= 16 && c->n - at >= u16(c->stream + at + 2)) {
			size_t whole = u16(c->stream + at + 2);

			read_message(c, c->stream + at, whole);
			at += whole;
		}
		memmove(c->stream, c->stream + at, c->n - at);
		c->n -= at;
	}
}

static void let_go(struct collector *c)
{
	if (c->fd >= 0)
		close(c->fd);
	if (c->listening >= 0)
		close(c->listening);
}

static struct output_host host = {.node = "node-1"};
static struct place place = {.id = 7, .ifindex = 3, .name = (char[]){"shop/web"}, .kind = "pod"};

static struct output *open_to(const struct collector *c, bool tcp)
{
	const struct broker_destination to = {.way = BROKER_TO_IPFIX,
					      .collector = {.b = {[10] = 0xff, 0xff, 127, 0, 0, 1}},
					      .collector_port = c->port,
					      .tcp = tcp,
					      .active = 60,
					      .idle = 1};
	struct output_config config = {.host = &host, .tool = STR("far"), .port = STR("default"), .to = &to};
	struct output *o = NULL;
	AUTO_BUF why = {0};

	assert_int_equal(output_ipfix.open(&o, &config, &why), 0);
	return o;
}

static uint64_t given, octets;

static void give(struct output *o, unsigned port, bool dropped)
{
	uint8_t frame[60] = {2,
			     0,
			     0,
			     0,
			     0,
			     2,
			     2,
			     0,
			     0,
			     0,
			     0,
			     1,
			     8,
			     0,
			     0x45,
			     0,
			     0,
			     28,
			     0,
			     0,
			     0,
			     0,
			     64,
			     17,
			     0,
			     0,
			     10,
			     0,
			     (uint8_t)(port >> 16),
			     1,
			     10,
			     0,
			     0,
			     2};
	const struct seen s = {.at = &place, .dropped = dropped, .reason = dropped ? DROP_POLICY_EGRESS : 0};

	frame[34] = (uint8_t)(port >> 8);
	frame[35] = (uint8_t)port;
	frame[39] = 8;
	output_ipfix.give(o,
			  &(struct chain_packet){.p = frame,
						 .caplen = sizeof(frame),
						 .len = sizeof(frame),
						 .link = CHAIN_LINK_ETHERNET,
						 .time = 1700000000ull * SECOND},
			  &s);
	given++;
	octets += 28; /* padding is none of IP's */
}

static struct output_counts settled(const struct output *o)
{
	struct output_counts c;
	uint64_t sum;

	output_ipfix.counts(o, &c);
	sum = c.sent + c.in_flight;
	for (int i = 0; i < OUTPUT_LOSSES; i++)
		sum += c.losses[i];
	assert_int_equal(sum, given); /* BR17 */
	return c;
}

static void pause_ms(unsigned ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

/* Until nothing is in flight; each record then was there for the collector, or is counted. */
static struct output_counts drained(struct output *o, struct collector *c)
{
	uint64_t until = clock_ms() + 20000;
	struct output_counts said;

	do {
		output_ipfix.tick(o, 0);
		take(c);
		said = settled(o);
		if (!said.in_flight)
			break;
		pause_ms(10);
	} while (clock_ms() < until);
	assert_int_equal(said.in_flight, 0); /* BR18 */
	pause_ms(50);
	take(c);
	return said;
}

static void collector_has_the_sums(struct output *o, struct collector *c)
{
	struct output_counts said;

	for (unsigned i = 0; i < 5000; i++)
		give(o, i % 900, i % 900 < 100);
	said = drained(o, c);
	assert_int_equal(said.sent, 5000);
	assert_int_equal(c->packets, 5000);
	assert_int_equal(c->octets, octets);
	assert_int_equal(said.sent_bytes, octets);
	assert_int_equal(c->records, 900);
	assert_int_equal(c->refused, 100);
	assert_int_equal(c->gaps, 0);
	assert_true(c->templates >= 1);
}

static void over(bool tcp)
{
	struct collector *c = calloc(1, sizeof(*c));
	struct output *o;

	given = octets = 0;
	collect(c, tcp);
	o = open_to(c, tcp);
	collector_has_the_sums(o, c);
	output_ipfix.free(&o);
	let_go(c);
	free(c);
}

static void over_udp(void **state)
{
	(void)state;
	over(false);
}

static void over_tcp(void **state)
{
	(void)state;
	over(true);
}

/* BR84: what found no room while it was away is the gap that it sees. */
static void collector_that_comes_late(void **state)
{
	struct collector *c = calloc(1, sizeof(*c));
	struct output *o;
	struct output_counts said;
	int64_t lost;

	(void)state;
	given = octets = 0;
	collect(c, false);
	close(c->fd);
	c->fd = -1;
	o = open_to(c, false);
	for (unsigned round = 0; round < 12; round++) {
		for (unsigned i = 0; i < 3000; i++)
			give(o, round * 3000 + i, false);
		settled(o);
		output_ipfix.tick(o, 0);
		pause_ms(20);
	}
	output_ipfix.finish(o, true);
	said = settled(o);
	assert_int_equal(said.sent, 0);
	assert_true(said.losses[LOST_UNREACHABLE] > 0);
	assert_true(said.failing);
	collect(c, false);
	said = drained(o, c);
	lost = (int64_t)said.losses[LOST_UNREACHABLE];
	assert_int_equal(c->records + (uint64_t)lost, 36000); /* one packet each */
	give(o, 1, false);				      /* its number shows what was lost before it */
	output_ipfix.finish(o, true);
	said = drained(o, c);
	assert_int_equal(c->gaps, lost);
	assert_int_equal(c->records, said.sent);
	output_ipfix.free(&o);
	let_go(c);
	free(c);
}

/* BR84: what came back from a machine whose collector went is not sent, and counted. */
static void collector_that_goes(void **state)
{
	struct collector *c = calloc(1, sizeof(*c));
	struct output *o;
	struct output_counts said;
	uint64_t until = clock_ms() + 10000;

	(void)state;
	given = octets = 0;
	collect(c, false);
	o = open_to(c, false);
	give(o, 1, false);
	drained(o, c);
	close(c->fd);
	c->fd = -1;
	for (unsigned i = 0; i < 40; i++)
		give(o, 100 + i, false);
	output_ipfix.finish(o, true);
	do {
		output_ipfix.tick(o, 0);
		said = settled(o);
	} while (!said.losses[LOST_UNREACHABLE] && clock_ms() < until);
	assert_true(said.losses[LOST_UNREACHABLE] > 0);
	collect(c, false);
	give(o, 2, false);
	said = drained(o, c);
	assert_int_equal(c->records, said.sent);
	assert_int_equal(c->gaps, said.losses[LOST_UNREACHABLE]);
	output_ipfix.free(&o);
	let_go(c);
	free(c);
}

static void other_packets_are_counted(void **state)
{
	struct collector c = {.port = 9};
	struct output *o = open_to(&c, false);
	const struct seen s = {.at = &place};
	uint8_t arp[60] = {[12] = 8, [13] = 6};
	struct output_counts said;

	(void)state;
	given = 1;
	output_ipfix.give(
	    o, &(struct chain_packet){.p = arp, .caplen = 60, .len = 60, .link = CHAIN_LINK_ETHERNET}, &s);
	said = settled(o);
	assert_int_equal(said.losses[LOST_NOT_IP], 1);
	output_ipfix.free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(flows_add_up),
	    cmocka_unit_test(flows_end),
	    cmocka_unit_test(reasons_have_numbers),
	    cmocka_unit_test(over_udp),
	    cmocka_unit_test(over_tcp),
	    cmocka_unit_test(collector_that_comes_late),
	    cmocka_unit_test(collector_that_goes),
	    cmocka_unit_test(other_packets_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
