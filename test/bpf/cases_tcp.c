/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases: what the segments of a connection between a and b say about it (bpf/lib/tcp.h): sent again, timed,
 * closed windows, resets. Each plays segments through weft_from_pod and reads the connection's entry.
 */
#include "cases.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct segment {
	char by; /* 'a', the initiator, or 'b'; 0 ends the list */
	uint8_t flags;
	uint32_t seq, ack;
	uint16_t bytes;
	uint16_t merged; /* of so many bytes each */
	bool shut;	 /* its window is 0 */
	uint8_t options; /* words, as a selective acknowledgement has them */
	uint8_t padding; /* of the frame, behind the IP packet */
};

enum { AT = 1000, BT = 5000, NAP_US = 30000 }; /* sequence numbers of the SYNs */

static int play_one(const struct segment *s)
{
	struct spec p = {TCP, here(s->by == 'a' ? A : B), here(s->by == 'a' ? B : A)};
	uint8_t frame[PACKET_MAX];
	struct run r = {};
	uint64_t before = read_counter(COUNTER_POD_TO_POD);
	size_t len;

	p.sport = s->by == 'a' ? 1000 : 80;
	p.dport = s->by == 'a' ? 80 : 1000;
	p.flags = s->flags;
	p.seq = s->seq;
	p.ack = s->ack ? s->ack : 1; /* with it a window of 0 can be had */
	p.window = s->shut ? 0 : 500;
	p.options = s->options;
	p.payload = (uint16_t)(s->bytes + 4 * s->options);
	len = packet_build(&p, frame);
	memset(frame + len, 0, s->padding);
	if (world_run(world->progs.weft_from_pod, s->by == 'a' ? IF_A : IF_B, frame, len + s->padding,
		      s->merged, 1, &r))
		return must_be("a run", 1, 0);
	return must_be("delivered", read_counter(COUNTER_POD_TO_POD), before + 1);
}

static int play(const struct segment *s)
{
	int bad = 0;

	for (; s->by && !bad; s++)
		bad = play_one(s);
	return bad;
}

static int conn_now(struct conn_value *v)
{
	const struct bpf_map *maps[] = {run_v6 ? world->maps.conn6 : world->maps.conn4,
					run_v6 ? world->maps.half6 : world->maps.half4};
	uint8_t key[40];

	for (size_t i = 0; i < 2; i++)
		if (!bpf_map_get_next_key(bpf_map__fd(maps[i]), NULL, key))
			return bpf_map_lookup_elem(bpf_map__fd(maps[i]), key, v);
	return must_be("connections", 0, 1);
}

static int sent_again(uint32_t by_a, uint32_t by_b)
{
	struct conn_value v;

	return conn_now(&v) || must_be("sent again by a", v.retransmits[0], by_a) ||
	       must_be("sent again by b", v.retransmits[1], by_b);
}

#define PLAY(...) play((const struct segment[]){__VA_ARGS__, {0}})
#define OPEN_AT(a, b)                                                                                        \
	{'a', SYN, (a)}, {'b', SYNACK, (b), (a) + 1},                                                        \
	{                                                                                                    \
		'a', ACK, (a) + 1, (b) + 1                                                                   \
	}
#define OPEN OPEN_AT(AT, BT)

static int segments(void)
{
	return PLAY(OPEN, {'a', ACK, AT + 1, BT + 1, 100}, {'a', ACK, AT + 101, BT + 1, 100}) ||
	       sent_again(0, 0) || PLAY({'a', ACK, AT + 1, BT + 1, 100}) || sent_again(1, 0) ||
	       PLAY({'a', ACK, AT + 101, BT + 1, 200}) || sent_again(2, 0) ||
	       PLAY({'a', ACK, AT + 301, BT + 1, 100}) || sent_again(2, 0) ||
	       PLAY({'b', ACK, BT + 1, AT + 401, 50}, {'b', ACK, BT + 1, AT + 401, 50}) || sent_again(2, 1);
}

static int beginnings_and_ends(void)
{
	return PLAY({'a', SYN, AT}, {'a', SYN, AT}) || sent_again(1, 0) ||
	       PLAY({'b', SYNACK, BT, AT + 1}, {'b', SYNACK, BT, AT + 1}) || sent_again(1, 1) ||
	       PLAY({'a', ACK, AT + 1, BT + 1}, {'a', FIN, AT + 1, BT + 1}) || sent_again(1, 1) ||
	       PLAY({'a', FIN, AT + 1, BT + 1}, {'b', ACK, BT + 1, AT + 2}) || sent_again(2, 1);
}

/* A SYN with other numbers begins anew on the same ports. */
static int another_beginning(void)
{
	return PLAY({'a', SYN, AT}, {'a', SYN, AT + 70000}, {'a', ACK, AT + 70001, 0, 9}) || sent_again(0, 0);
}

static int none_of_them(void)
{
	struct conn_value v;

	return PLAY(OPEN, {'a', ACK, AT + 1, BT + 1, 100}, {'b', ACK, BT + 1, AT + 101}) ||
	       /* keep-alives with and without a byte, their answers */
	       PLAY({'a', ACK, AT + 100, BT + 1}, {'b', ACK, BT + 1, AT + 101},
		    {'a', ACK, AT + 100, BT + 1, 1}, {'b', ACK, BT + 1, AT + 101}) ||
	       /* the same acknowledgement again, with blocks of a selective one; a frame that is padded */
	       PLAY({'b', ACK, BT + 1, AT + 101, .options = 3}, {'b', ACK, BT + 1, AT + 101, .options = 5},
		    {'b', ACK, BT + 1, AT + 101, .padding = 6}, {'b', ACK, BT + 1, AT + 101, .padding = 6}) ||
	       sent_again(0, 0) || conn_now(&v) || must_be("next of b", v.next_back, BT + 1);
}

/* A hole that is filled: sent again or overtaken looks alike. */
static int overtaken(void)
{
	return PLAY(OPEN, {'a', ACK, AT + 101, BT + 1, 100}) || sent_again(0, 0) ||
	       PLAY({'a', ACK, AT + 1, BT + 1, 100}) || sent_again(1, 0) ||
	       PLAY({'a', ACK, AT + 201, BT + 1, 100}) || sent_again(1, 0);
}

/* What is further back than any window is no segment of before. */
static int out_of_reach(void)
{
	return PLAY(OPEN, {'a', ACK, AT + 1 + (3u << 29), BT + 1, 100}, {'a', ACK, AT + 1, BT + 1, 100},
		    {'a', ACK, AT + 101, BT + 1, 100}) ||
	       sent_again(0, 0);
}

static int wraps(void)
{
	const uint32_t a = 0xffffff00, b = 0xffffffff;

	return PLAY(OPEN_AT(a, b), {'a', ACK, a + 1, b + 1, 200}, {'a', ACK, a + 201, b + 1, 200},
		    {'b', ACK, b + 1, a + 401, 10}) ||
	       sent_again(0, 0) || PLAY({'a', ACK, a + 201, b + 1, 200}) || sent_again(1, 0) ||
	       PLAY({'a', ACK, a + 401, b + 1, 200}) || sent_again(1, 0);
}

static int merged(void)
{
	return PLAY(OPEN, {'a', ACK, AT + 1, BT + 1, 300, .merged = 100}) || sent_again(0, 0) ||
	       PLAY({'a', ACK, AT + 1, BT + 1, 300, .merged = 100}) || sent_again(3, 0) ||
	       PLAY({'a', ACK, AT + 151, BT + 1, 300, .merged = 100}) || sent_again(5, 0) ||
	       PLAY({'a', ACK, AT + 401, BT + 1, 50}) || sent_again(6, 0);
}

static int windows(uint16_t of_a, uint16_t of_b)
{
	struct conn_value v;

	return conn_now(&v) || must_be("windows of a", v.zero_windows[0], of_a) ||
	       must_be("windows of b", v.zero_windows[1], of_b);
}

static int closed_windows(void)
{
	return PLAY(OPEN, {'a', ACK, AT + 1, BT + 1, 100}, {'b', ACK, BT + 1, AT + 101, .shut = true}) ||
	       windows(0, 1) ||
	       /* asked again and still shut; open; shut again by a segment that carries bytes */
	       PLAY({'a', ACK, AT + 100, BT + 1}, {'b', ACK, BT + 1, AT + 101, .shut = true}) ||
	       windows(0, 1) || PLAY({'b', ACK, BT + 1, AT + 101}) || windows(0, 1) ||
	       PLAY({'b', ACK, BT + 1, AT + 101, 10, .shut = true}) || windows(0, 2) ||
	       PLAY({'a', ACK, AT + 101, BT + 11, .shut = true}) || windows(1, 2) ||
	       PLAY({'b', ACK, BT + 11, AT + 101}, {'b', RST, BT + 11, .shut = true}) || windows(1, 2);
}

static int resets(uint32_t n, uint32_t flags)
{
	struct conn_value v;

	return conn_now(&v) || must_be("resets", v.resets, n) || must_be("who", v.flags & CONN_RST, flags);
}

static int reset_by_responder(void)
{
	return PLAY(OPEN, {'b', RST, BT + 1}) || resets(1, CONN_RST_B) || PLAY({'b', RST, BT + 1}) ||
	       resets(2, CONN_RST_B) || sent_again(0, 0);
}

static int reset_by_initiator(void)
{
	return PLAY(OPEN, {'a', RST, AT + 1}) || resets(1, CONN_RST_A) || PLAY({'b', RST, BT + 1}) ||
	       resets(2, CONN_RST);
}

static int refused(void)
{
	return PLAY({'a', SYN, AT}, {'b', RSTACK, 0, AT + 1, .shut = true}) || resets(1, CONN_RST_B) ||
	       windows(0, 0);
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = NAP_US * 1000l}, NULL);
}

static int is_timed(const char *what, uint32_t rtt, bool by_nap)
{
	return must_be(what, rtt >= (by_nap ? NAP_US : 1), 1);
}

/* The handshake is a first sample of both; a nap between is a lower bound of what is measured. */
static int timed(void)
{
	struct conn_value v, later;

	if (play_one(&(struct segment){'a', SYN, AT}))
		return 1;
	nap();
	if (PLAY({'b', SYNACK, BT, AT + 1}) || conn_now(&v) ||
	    must_be("there, 1/8 us", v.rtt[0] >= NAP_US << CONN_RTT_SHIFT, 1) || must_be("back", v.rtt[1], 0))
		return 1;
	nap();
	if (PLAY({'a', ACK, AT + 1, BT + 1}) || conn_now(&later) ||
	    must_be("there", later.rtt[0], v.rtt[0]) ||
	    must_be("back, 1/8 us", later.rtt[1] >= NAP_US << CONN_RTT_SHIFT, 1))
		return 1;
	/* a segment: its own acknowledgement counts, an earlier one does not */
	if (PLAY({'a', ACK, AT + 1, BT + 1, 100}, {'b', ACK, BT + 1, AT + 1}) || conn_now(&later) ||
	    must_be("there", later.rtt[0], v.rtt[0]) ||
	    must_be("is timed", later.tcp & 3 * CONN_TCP_PROBE, CONN_TCP_PROBE))
		return 1;
	nap();
	v = later;
	return PLAY({'b', ACK, BT + 1, AT + 101}) || conn_now(&later) ||
	       must_be("is timed", later.tcp & 3 * CONN_TCP_PROBE, 0) ||
	       must_be("smoothed", later.rtt[0] >= v.rtt[0] - (v.rtt[0] >> CONN_RTT_SHIFT) + NAP_US, 1) ||
	       must_be("a part of it", later.rtt[0] < v.rtt[0] * 8, 1) ||
	       is_timed("there", later.rtt[0], true);
}

/* Of what was sent again nobody knows which one is acknowledged. */
static int ambiguous(void)
{
	struct conn_value v, later;

	if (PLAY({'a', SYN, AT}, {'a', SYN, AT}, {'b', SYNACK, BT, AT + 1}) || conn_now(&v) ||
	    must_be("there after a SYN that was sent again", v.rtt[0], 0))
		return 1;
	if (PLAY({'b', SYNACK, BT, AT + 1}, {'a', ACK, AT + 1, BT + 1}) || conn_now(&v) ||
	    must_be("back", v.rtt[1], 0) || must_be("timed", v.tcp & 3 * CONN_TCP_PROBE, 0))
		return 1;
	if (PLAY({'a', ACK, AT + 1, BT + 1, 100}, {'a', ACK, AT + 101, BT + 1, 100},
		 {'a', ACK, AT + 1, BT + 1, 100}) ||
	    conn_now(&v) || must_be("timed after it was sent again", v.tcp & 3 * CONN_TCP_PROBE, 0))
		return 1;
	return PLAY({'b', ACK, BT + 1, AT + 201}) || conn_now(&later) || must_be("there", later.rtt[0], 0) ||
	       PLAY({'a', ACK, AT + 201, BT + 1, 10}, {'b', ACK, BT + 1, AT + 211}) || conn_now(&later) ||
	       is_timed("there by the next one", later.rtt[0], false);
}

/* From its middle: what stands before is not known, so nothing was sent again. */
static int from_the_middle(void)
{
	return PLAY({'a', ACK, AT, BT, 100}, {'b', ACK, BT, AT + 100, 100},
		    {'a', ACK, AT + 100, BT + 100, 5}) ||
	       sent_again(0, 0) || PLAY({'b', ACK, BT, AT + 105, 100}) || sent_again(0, 1);
}

static int datagrams(void)
{
	struct conn_value v, none = {};

	if (conn_now(&v))
		return 1;
	return must_be("numbers", v.next_there | v.next_back | v.probe | v.sent_at | v.tcp | v.resets, 0) ||
	       must_be("measures",
		       (uint64_t)(memcmp(v.retransmits, none.retransmits, 8) | memcmp(v.rtt, none.rtt, 8) |
				  memcmp(v.zero_windows, none.zero_windows, 4)),
		       0);
}

#define BY_CHECK(name, check)                                                                                \
	{                                                                                                    \
		name, BOTH, NULL, {{0}}, check                                                               \
	}

const struct bpf_case tcp_cases[] = {
    BY_CHECK("segments that are sent again, whole and in part", segments),
    BY_CHECK("a SYN, its answer and a FIN that are sent again", beginnings_and_ends),
    BY_CHECK("a SYN with other numbers is not sent again", another_beginning),
    BY_CHECK("keep-alives, acknowledgements and padding are not sent again", none_of_them),
    BY_CHECK("what was overtaken counts as sent again", overtaken),
    BY_CHECK("numbers beyond any window count as nothing", out_of_reach),
    BY_CHECK("sequence numbers come round", wraps),
    BY_CHECK("merged segments count each", merged),
    BY_CHECK("a window that closes counts once, by end", closed_windows),
    BY_CHECK("resets by the responder", reset_by_responder),
    BY_CHECK("resets by both ends", reset_by_initiator),
    BY_CHECK("a refusal is a reset and closes no window", refused),
    BY_CHECK("round trips by direction, smoothed", timed),
    BY_CHECK("no round trip of what was sent again", ambiguous),
    BY_CHECK("a connection from its middle", from_the_middle),
    {"datagrams have no numbers",
     BOTH,
     NULL,
     {{FROM_A, {UDP, A, B, 1000, 53, .payload = 40}, POD},
      {FROM_B, {UDP, B, A, 53, 1000, .payload = 40}, POD}},
     datagrams},
    {NULL},
};
