/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies for the broker, end to end in the kernel: real frames between real namespaces, taps and outlets by
 * hand, copies as weft-copier gets them from its packet socket's ring, and what it sends back. Each line says
 * what was sent, and that every byte and every counter is as it must be.
 */
#include "copy_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "talk.h"

#define MAC_A  "02:00:00:00:00:05"
#define MAC_B  "02:00:00:00:00:06"
#define MAC_GW "02:57:45:46:54:01"
#define OTHER  0x88b5
#define EPOCH  67u /* 3 in a mark */

enum { POINT_A = 1, POINT_B = 2, POINT_UPLINK = 16382, TOOL = 1, POD_B = 2, FAR = 3, MANY = 100 };

static struct lab lab;
static int number, failed, v6;
static int at_a, at_b, at_r, at_tool, at_copy1, at_out, at_node2;
static uint32_t uplink;
static struct copy got;
static uint8_t seen[FRAME_MAX];

static void result(int good, const char *format, const char *what)
{
	printf("%sok %d - ", good ? "" : "not ", ++number);
	printf(format, what);
	printf("\n");
	fflush(stdout);
	failed += !good;
}

static const char *here(const char *v4, const char *text6)
{
	return v6 ? text6 : v4;
}
#define A_NOW  here("10.1.0.5", "fd00:1::5")
#define B_NOW  here("10.1.0.6", "fd00:1::6")
#define IP_NOW (v6 ? 0x86dd : 0x0800)
#define IP46   here("IPv4", "IPv6")

/* A counter, once the packet that raises it has gone its way. */
#define BECOMES(what, counter, want)                                                                         \
	({                                                                                                   \
		for (int ms_ = 2000; ms_ && (counter) != (want); ms_--)                                      \
			poll(NULL, 0, 1);                                                                    \
		same(what, counter, want);                                                                   \
	})

/* A datagram of a as the pod sends it; `mark_number` tells them apart. */
static size_t datagram(uint8_t *to, const char *dst, uint16_t mark_number)
{
	struct spec s = {UDP, A_NOW, dst, mark_number, 7777, .payload = 30, .dmac = MAC_GW, .smac = MAC_A};

	return packet_build(&s, to);
}

/* The same as pod b gets it. */
static size_t delivered(uint8_t *to, uint16_t mark_number)
{
	struct spec s = {UDP,		A_NOW,	       B_NOW,	       mark_number, 7777,
			 .payload = 30, .dmac = MAC_B, .smac = MAC_GW, .ttl = 63};

	return packet_build(&s, to);
}

/* The next copy has this mark and these bytes. */
static int copy_is(uint32_t mark, const uint8_t *want, size_t n)
{
	if (!copy_next(&got)) {
		printf("# no copy\n");
		return 0;
	}
	return same("mark", got.mark, mark) & same_bytes("copy", got.bytes, got.n, want, n);
}

static uint32_t mark(uint32_t point, uint32_t bits, uint32_t reason)
{
	return point | bits | (EPOCH & 63) << TAP_EPOCH_SHIFT | reason << TAP_REASON_SHIFT;
}

/* A tap that wants `bits` in all takes. */
static void tap(uint32_t ifindex, uint32_t point, uint32_t judge, uint32_t bits)
{
	struct tap_value t = {
	    .judge = judge, .point = point, .epoch = EPOCH, .take = {bits, bits, bits, bits}};

	tap_put(ifindex, &t);
}

static void begin(uint32_t bits)
{
	taps_off();
	tap(IF_A, POINT_A, JUDGE_ALL, bits);
	tap(IF_B, POINT_B, JUDGE_ALL, bits);
	taps_on(&lab);
}

/* Nothing else is on its way: the next copy is that of a frame sent now. */
static int quiet(void)
{
	uint8_t frame[PACKET_MAX];
	size_t n = datagram(frame, B_NOW, 9999);

	begin(BIT_UDP);
	frame_send(at_a, frame, n);
	if (!copy_is(mark(POINT_A, TAP_MARK_OUT, 0), frame, n))
		return 0;
	n = delivered(frame, 9999);
	return copy_is(mark(POINT_B, 0, 0), frame, n);
}

/* Waits for a frame at a socket that is this one from byte `from` on; what comes before is others'. */
static int gets(const char *who, int fd, uint16_t type, const uint8_t *want, size_t n, size_t from)
{
	size_t len;

	do
		len = frame_next(fd, type, seen, sizeof(seen));
	while (len && (len != n || memcmp(seen + from, want + from, n - from)));
	if (!len)
		printf("# %s does not get it\n", who);
	return len != 0;
}

static int pod_b_gets(uint16_t mark_number)
{
	uint8_t want[PACKET_MAX];

	return gets("pod b", at_b, IP_NOW, want, delivered(want, mark_number), 0);
}

static int seen_once(uint32_t ifindex, uint32_t take, size_t bytes)
{
	struct tapped_value t = tapped_now(ifindex, take);

	return same("copied", t.copied, 1) & same("copied bytes", t.copied_bytes, bytes) &
	       same("seen beside unwanted ones", t.seen - t.unwanted, 1) & same("failed", t.failed, 0) &
	       same("own", t.own, 0);
}

static void forwarded(void)
{
	uint8_t sent[PACKET_MAX], in[PACKET_MAX];
	size_t n, in_n;
	int good;

	taps_off();
	n = datagram(sent, B_NOW, 1);
	frame_send(at_a, sent, n);
	good = pod_b_gets(1) && same("elements of BPF map tapped", map_size(world->maps.tapped), 0);
	result(good & quiet(), "no tap, no copy, no count (%s)", IP46);
	begin(BIT_UDP);
	n = datagram(sent, B_NOW, 2);
	in_n = delivered(in, 2);
	frame_send(at_a, sent, n);
	good = copy_is(mark(POINT_A, TAP_MARK_OUT, 0), sent, n);
	good &= copy_is(mark(POINT_B, 0, 0), in, in_n);
	good &= pod_b_gets(2) && seen_once(IF_A, TAP_OUT, n) & seen_once(IF_B, TAP_IN, in_n);
	result(good, "a packet between pods: as sent at the one, as it arrives at the other (%s)", IP46);
	set_service(here("10.96.0.1", "fd00:96::1"), 7777, IPPROTO_UDP, 0, 64,
		    here("10.1.0.6 7777", "fd00:1::6 7777"));
	n = datagram(sent, here("10.96.0.1", "fd00:96::1"), 3);
	in_n = delivered(in, 3);
	frame_send(at_a, sent, n);
	good = copy_is(mark(POINT_A, TAP_MARK_OUT, 0), sent, n);
	good &= copy_is(mark(POINT_B, 0, 0), in, in_n) && pod_b_gets(3);
	result(good, "through a Service: its address at the sender, the pod's at the receiver (%s)", IP46);
}

/* MANY drops make as many copies, in one place, as counters count. */
static int dropped(uint32_t ifindex, uint32_t take, uint32_t bits, uint32_t point, uint16_t reason,
		   uint16_t direction, uint32_t cause, const char *dst)
{
	uint64_t before = read_drops(ifindex, reason, direction, cause);
	uint8_t frame[PACKET_MAX];
	struct tapped_value t;
	int good = 1;

	begin(BIT_UDP);
	for (uint16_t i = 0; i < MANY && good; i++) {
		size_t n = datagram(frame, dst, (uint16_t)(100 + i));

		frame_send(at_a, frame, n);
		good = copy_is(mark(point, bits | TAP_MARK_DROPPED, reason), frame, n);
	}
	good &= BECOMES("drops counted", read_drops(ifindex, reason, direction, cause) - before, MANY);
	t = tapped_now(ifindex, take);
	good &= same("drops copied", t.copied, MANY) & same("drops seen", t.seen - t.unwanted, MANY);
	good &= BECOMES("forwarded at a", tapped_now(IF_A, TAP_OUT).copied, 0);
	good &= BECOMES("forwarded at b", tapped_now(IF_B, TAP_IN).copied, 0);
	return good;
}

static void drops(void)
{
	int good;

	set_pod("b", 100, 0);
	good = dropped(IF_B, TAP_IN_DROPPED, 0, POINT_B, DROP_POLICY_INGRESS, DIR_TO_POD, 100, B_NOW);
	set_pod("b", 0, 0);
	result(good & quiet(), "each drop at a pod's ingress is one copy with its reason, there (%s)", IP46);
	set_pod("a", 0, 100);
	good = dropped(IF_A, TAP_OUT_DROPPED, TAP_MARK_OUT, POINT_A, DROP_POLICY_EGRESS, DIR_FROM_POD, 100,
		       B_NOW);
	set_pod("a", 0, 0);
	result(good & quiet(), "each drop at a pod's egress is one copy with its reason, there (%s)", IP46);
	set_service(here("10.96.0.1", "fd00:96::1"), 7777, IPPROTO_UDP, 0, 0, "");
	good = dropped(IF_A, TAP_OUT_DROPPED, TAP_MARK_OUT, POINT_A, DROP_NO_BACKEND, DIR_FROM_POD, 0,
		       here("10.96.0.1", "fd00:96::1"));
	result(good & quiet(), "what is refused is copied once, as it was sent, not the refusal (%s)", IP46);
}

static size_t other(uint8_t *to, size_t n, const char *tags)
{
	size_t at = 12;

	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)(i * 7);
	memcpy(to, "\x02\x57\x45\x46\x54\x01\x02\x00\x00\x00\x00\x05", 12);
	for (; *tags; tags++, at += 4) /* a digit: VLAN id; the tag before a second one is a Service's */
		memcpy(to + at,
		       (uint8_t[]){tags[1] ? 0x88 : 0x81, tags[1] ? 0xa8 : 0, 0x60, (uint8_t)(*tags - '0')},
		       4);
	to[at] = OTHER >> 8;
	to[at + 1] = OTHER & 0xff;
	return n;
}

/* What is neither IPv4 nor IPv6, or tagged, is the stack's business, and seen all the same. */
static void others(void)
{
	uint8_t frame[PACKET_MAX];
	size_t n;
	int good, fd;

	begin(BIT_OTHER);
	n = other(frame, 80, "");
	frame_send(at_a, frame, n);
	result(copy_is(mark(POINT_A, TAP_MARK_OUT, 0), frame, n), "BR05 %s of a pod is copied",
	       "an unknown EtherType");
	n = other(frame, 80, "5");
	frame_send(at_a, frame, n);
	good = copy_next(&got) &&
	       same("tagged", (uint64_t)got.tagged, 1) & same("tag", got.tci, 0x6005) &
		   same("TPID", got.tpid, 0x8100) &
		   same_bytes("after the addresses", got.bytes + 12, got.n - 12, frame + 16, n - 16);
	good &= BECOMES("bytes counted", tapped_now(IF_A, TAP_OUT).copied_bytes, 160);
	result(good, "BR68 a VLAN tag that stands beside the bytes %s", "is in the copy's metadata");
	fd = frame_socket(&lab, "node1", "wp102");
	frame_send(fd, frame, other(frame, 90, ""));
	result(copy_is(mark(POINT_B, 0, 0), frame, 90), "BR05 %s to a pod, from the node's stack",
	       "an unknown EtherType");
	close(fd);
	begin(BIT_OTHER);
	tap(IF_A, POINT_A, JUDGE_MISSING, BIT_OTHER);
	frame_send(at_a, frame, other(frame, 80, ""));
	good = BECOMES("failed", tapped_now(IF_A, TAP_OUT).failed, 1) &
	       BECOMES("seen", tapped_now(IF_A, TAP_OUT).seen, 1);
	result(good & quiet(), "BR19 %s: counted as failed, no copy", "where a judge is missing");
}

/* Frames of a of all sizes: to weft-copier, and straight to a tool. */
static void sizes(void)
{
	static const uint32_t all[] = {60, 61, 64, 1514, 1515, 4096, 9000, 9216};
	struct tap_value t = {.judge = JUDGE_ALL,
			      .point = POINT_A,
			      .epoch = EPOCH,
			      .take = {0, BIT_OTHER},
			      .directs = 1,
			      .direct = {{.outlet = TOOL, .take = {0, BIT_OTHER}}}};
	static uint8_t frame[FRAME_MAX];
	uint64_t bytes = 0;
	int good = 1;

	begin(0);
	outlet_put(TOOL, copies_index(&lab, "tool0"), OUTLET_INTERFACE);
	tap_put(IF_A, &t);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		other(frame, all[i], "");
		good &= same("sent", (uint64_t)frame_send(at_a, frame, all[i]), 0);
		good &= copy_is(mark(POINT_A, TAP_MARK_OUT, 0), frame, all[i]);
		good &= gets("the tool", at_tool, OTHER, frame, all[i], 0);
		bytes += all[i];
	}
	good &= BECOMES("bytes to weft-copier", tapped_now(IF_A, TAP_OUT).copied_bytes, bytes);
	good &= BECOMES("bytes straight to the tool", outlet_now(TOOL).direct_bytes, bytes);
	good &= BECOMES("straight to the tool", outlet_now(TOOL).direct, sizeof(all) / sizeof(all[0]));
	result(good & quiet(), "BR69 frames of 60 to 9,216 bytes pass unchanged %s",
	       "to weft-copier and straight to a tool");
}

/* A stream of large segments, none of which is cut before it is copied. */
static void stream(void)
{
	struct talk t = {.from = "", .proto = "tcp", .to = B_NOW, .port = TALK_PORT, .bytes = 1000000};
	uint64_t n = 0, bytes = 0, merged = 0, unfinished = 0, want, lost;
	char ns[64], answer[256];
	struct tapped_value v;
	int good, status = -1;
	pid_t child;

	begin(BIT_TCP);
	lab_ns(&lab, "a", ns, sizeof(ns));
	t.from = ns;
	copies_lost();
	child = fork(); /* the ring is read meanwhile, else a slow machine fills it */
	if (!child) {
		talk(&t, answer, sizeof(answer));
		_exit(strncmp(answer, "seen", 4) != 0);
	}
	for (bool over = false, more = true; more || !over;) {
		over = over || waitpid(child, &status, WNOHANG) == child;
		more = copy_more(&got);
		n += more;
		if (!more || (got.mark & TAP_MARK_POINT) != POINT_A || !(got.mark & TAP_MARK_OUT))
			continue;
		bytes += got.n;
		merged += got.gso_type != VIRTIO_NET_HDR_GSO_NONE && got.gso_size;
		unfinished += got.needs_sum;
	}
	good = same("the pods' own stream is whole", (uint64_t)status, 0);
	v = tapped_now(IF_A, TAP_OUT);
	want = v.copied + tapped_now(IF_A, TAP_IN).copied + tapped_now(IF_B, TAP_IN).copied +
	       tapped_now(IF_B, TAP_OUT).copied;
	lost = copies_lost();
	good &= same("copies in the ring, and lost there", n + lost, want);
	if (!lost)
		good &= same("bytes of them", bytes, v.copied_bytes) & (bytes > 1000000);
	good &= same("each segment is seen at both ends", v.copied, tapped_now(IF_B, TAP_IN).copied);
	if (!merged || !unfinished)
		printf("# of %llu none is merged or none has a checksum to come\n",
		       (unsigned long long)v.copied);
	good &= merged && unfinished;
	result(good & quiet(),
	       "BR65 BR66 a stream's merged packets go whole to weft-copier, with what is left to do (%s)",
	       IP46);
}

/* A tool that is down costs its own copies, counted once each, and nothing else. */
static void direct(void)
{
	struct tap_value t = {
	    .judge = JUDGE_ALL,
	    .point = POINT_A,
	    .epoch = EPOCH,
	    .take = {0, BIT_UDP},
	    .directs = 2,
	    .direct = {{.outlet = TOOL, .take = {0, BIT_UDP}}, {.outlet = POD_B, .take = {0, BIT_UDP}}}};
	uint8_t frame[PACKET_MAX];
	uint64_t host = read_counter(COUNTER_HOST_IN);
	size_t n = datagram(frame, B_NOW, 20);
	int good;

	begin(0);
	outlet_put(TOOL, copies_index(&lab, "tool0"), OUTLET_INTERFACE);
	outlet_put(POD_B, IF_B, OUTLET_POD);
	tap_put(IF_A, &t);
	frame_send(at_a, frame, n);
	good = gets("the tool", at_tool, IP_NOW, frame, n, 0);
	good &= copy_is(mark(POINT_A, TAP_MARK_OUT, 0), frame, n);
	good &= pod_b_gets(20); /* the copy goes another way, and comes after it */
	good &= gets("pod b", at_b, IP_NOW, frame, n, 0);
	good &= BECOMES("straight to the tool", outlet_now(TOOL).direct, 1) &
		BECOMES("to pod b", outlet_now(POD_B).direct, 1);
	good &= BECOMES("Weft's own at pod b", tapped_now(IF_B, TAP_IN).own, 1);
	good &= BECOMES("packets that pod b's hook judged", read_counter(COUNTER_HOST_IN), host);
	result(good,
	       "BR61 straight to a tool and to a tapped pod, as it was sent; its copy is not copied (%s)",
	       IP46);
	copies_link(&lab, "node1", "tool0", "down");
	n = datagram(frame, B_NOW, 21);
	frame_send(at_a, frame, n);
	good = copy_is(mark(POINT_A, TAP_MARK_OUT, 0), frame, n) && pod_b_gets(21);
	good &= BECOMES("to the tool failed", outlet_now(TOOL).direct_failed, 1) &
		BECOMES("straight to the tool", outlet_now(TOOL).direct, 1);
	good &= BECOMES("to pod b failed", outlet_now(POD_B).direct_failed, 0) &
		BECOMES("to pod b", outlet_now(POD_B).direct, 2);
	good &= BECOMES("to weft-copier failed", tapped_now(IF_A, TAP_OUT).failed, 0);
	for (uint16_t i = 0; i < MANY; i++)
		frame_send(at_a, frame, datagram(frame, B_NOW, (uint16_t)(200 + i)));
	good &= BECOMES("to the tool failed", outlet_now(TOOL).direct_failed, 1 + MANY) &
		BECOMES("to pod b", outlet_now(POD_B).direct, 2 + MANY);
	while (copy_more(&got))
		;
	copies_link(&lab, "node1", "tool0", "up");
	for (int ms = 2000; ms && outlet_now(TOOL).direct == 1;
	     ms--) { /* it is tried again with the next tick */
		poll(NULL, 0, 1);
		frame_send(at_a, frame, datagram(frame, B_NOW, 21));
	}
	good &= outlet_now(TOOL).direct > 1;
	while (copy_more(&got))
		;
	result(good, "BR19 BR23 a tool that is down loses its own copies, each counted once (%s)", IP46);
	begin(0);
	outlet_put(TOOL, copies_index(&lab, "tool0"), OUTLET_INTERFACE);
	tap_put(IF_A, &t);
	copies_link(&lab, "node1", "weft-copy0", "down");
	frame_send(at_a, frame, n);
	good = gets("the tool", at_tool, IP_NOW, frame, n, 0) && pod_b_gets(21);
	good &= BECOMES("to weft-copier failed", tapped_now(IF_A, TAP_OUT).failed, 1) &
		BECOMES("copied", tapped_now(IF_A, TAP_OUT).copied, 0);
	copies_link(&lab, "node1", "weft-copy0", "up");
	result(good & quiet(), "BR19 so does weft-copy0 (%s)", IP46);
}

/* As weft-copier sends to a tool: an 802.1ad tag names the outlet. */
static size_t tag_outlet(uint8_t *tagged, uint32_t outlet, const uint8_t *frame, size_t n)
{
	memcpy(tagged, frame, 12);
	memcpy(tagged + 12, (uint8_t[]){0x88, 0xa8, (uint8_t)(outlet >> 8), (uint8_t)outlet}, 4);
	memcpy(tagged + 16, frame + 12, n - 12);
	return n + 4;
}

static int send_back(uint32_t outlet, const uint8_t *frame, size_t n)
{
	uint8_t tagged[PACKET_MAX + 4];

	return !frame_send(at_copy1, tagged, tag_outlet(tagged, outlet, frame, n));
}

static void back(void)
{
	uint8_t frame[PACKET_MAX];
	size_t n;
	int good;

	begin(BIT_OTHER | BIT_UDP);
	outlet_put(TOOL, copies_index(&lab, "tool0"), OUTLET_INTERFACE);
	outlet_put(POD_B, IF_B, OUTLET_POD);
	n = other(frame, 100, "");
	good = send_back(TOOL, frame, n);
	good &= gets("the tool", at_tool, OTHER, frame, n, 0);
	n = other(frame, 110, "57");
	good &= send_back(TOOL, frame, n);
	good &= gets("the tool", at_tool, 0x8100, frame, n, 0);
	good &=
	    BECOMES("sent", outlet_now(TOOL).sent, 2) & BECOMES("bytes", outlet_now(TOOL).sent_bytes, 210);
	result(good, "BR68 weft-copier's frames leave by the outlet that it names, %s",
	       "their own tags kept");
	n = other(frame, 100, "");
	good = send_back(POD_B, frame, n);
	good &= gets("pod b", at_b, OTHER, frame, n, 0);
	good &= BECOMES("sent", outlet_now(POD_B).sent, 1) & BECOMES("own", tapped_now(IF_B, TAP_IN).own, 1);
	good &= BECOMES("copied at pod b", tapped_now(IF_B, TAP_IN).copied, 0);
	result(good, "BR61 what goes to %s is not copied again", "a pod that is tapped");
	copies_link(&lab, "node1", "tool0", "down");
	good = send_back(TOOL, frame, n) && send_back(POD_B, frame, n) && send_back(7, frame, n) &&
	       send_back(2000, frame, n) && !frame_send(at_copy1, frame, n) && send_back(POD_B, frame, n);
	for (int i = 0; i < 2; i++)
		good &= gets("pod b", at_b, OTHER, frame, n, 0);
	good &= BECOMES("failed", outlet_now(TOOL).failed, 1) & BECOMES("sent", outlet_now(TOOL).sent, 2);
	good &= BECOMES("for an outlet whose interface is not there", outlet_now(7).failed, 1) &
		BECOMES("for no outlet", outlet_now(0).failed, 2) &
		BECOMES("to pod b", outlet_now(POD_B).sent, 3);
	copies_link(&lab, "node1", "tool0", "up");
	result(good & quiet(), "BR19 %s: each counted once, by its name",
	       "a tool that is down, and outlets that are not there");
}

/* The ring has copies and nothing else: a frame of mark 0 would be one of place 0. */
static void stray(void)
{
	int fd = frame_socket(&lab, "node1", "weft-copy0"), good;
	uint8_t frame[PACKET_MAX];

	begin(0);
	good = !frame_send(fd, frame, other(frame, 80, ""));
	result(good & quiet(), "what the node's stack sends at weft-copy0 %s", "is no copy");
	close(fd);
	begin(0);
	outlet_put(POD_B, IF_B, OUTLET_POD);
	other(frame, 80, "");
	memcpy(frame, "\x33\x33\x00\x00\x00\x16", 6);
	frame[12] = 0x86;
	frame[13] = 0xdd;
	good = !frame_send(at_copy1, frame, 80) && send_back(POD_B, frame, other(frame, 81, ""));
	good &= gets("pod b", at_b, OTHER, frame, 81, 0);
	good &= BECOMES("to pod b", outlet_now(POD_B).sent, 1) & same("failed", outlet_now(0).failed, 0);
	result(good, "nor what it sends at weft-copy1 %s", "a lost frame");
}

static size_t tunnelled(uint8_t *to, const char *dst)
{
	struct spec s = {UDP, here("192.0.2.1", "2001:db8::1"), dst, 5555, 7777, .payload = 200};

	return packet_build(&s, to);
}

static void routed(void)
{
	const char *far = here("192.0.2.2", "2001:db8::2");
	uint8_t frame[PACKET_MAX];
	char ns[64], out[512];
	size_t n = tunnelled(frame, far);
	int good;

	lab_ns(&lab, "node1", ns, sizeof(ns));
	shell(ns, out, sizeof(out),
	      "sh -c 'ping -c1 -W1 %s; ip route replace unreachable 198.18.0.0/15; "
	      "ip route replace unreachable 2001:db8:dead::/48'",
	      far);
	begin(BIT_UDP);
	tap(uplink, POINT_UPLINK, JUDGE_ALL, BIT_UDP);
	outlet_put(FAR, uplink, OUTLET_ROUTED);
	good = send_back(FAR, frame, n);
	good &= gets("the other node", at_node2, IP_NOW, frame, n, 14);
	good &= same("MACs that are missing", !memcmp(seen, seen + 6, 6) | !memcmp(seen, frame, 6), 0);
	good &=
	    BECOMES("sent", outlet_now(FAR).sent, 1) & BECOMES("sent bytes", outlet_now(FAR).sent_bytes, n);
	good &= BECOMES("Weft's own at the uplink", tapped_now(uplink, TAP_OUT).own, 1);
	result(good,
	       "BR61 a tunnel's packets leave by the node's routes, and its tapped uplink copies none (%s)",
	       IP46);
	n = tunnelled(frame, here("198.18.0.9", "2001:db8:dead::9"));
	good = send_back(FAR, frame, n);
	n = tunnelled(frame, here("192.0.2.250", "2001:db8::250"));
	good &= send_back(FAR, frame, n);
	n = other(frame, 80, "");
	good &= send_back(FAR, frame, n) && send_back(FAR, frame, tunnelled(frame, far));
	good &= gets("the other node", at_node2, IP_NOW, frame, tunnelled(frame, far), 14);
	good &=
	    BECOMES("unreachable", outlet_now(FAR).unreachable, 2) & BECOMES("sent", outlet_now(FAR).sent, 2);
	good &= BECOMES("failed", outlet_now(FAR).failed, 1);
	result(good, "BR19 BR64 a tool without route or neighbour is unreachable, not sent (%s)", IP46);
	taps_off();
}

/* An uplink: all that comes and goes, before any verdict; but not what another node sends to a tool. */
static void interface(void)
{
	struct spec s = {
	    UDP, here("192.0.2.9", "2001:db8::9"), here("192.0.2.1", "2001:db8::1"), 40, 7777, .payload = 60};
	struct tap_value t = {.judge = JUDGE_OWN,
			      .point = POINT_UPLINK,
			      .epoch = EPOCH,
			      .own = BIT_OWN,
			      .take = {TAP_ALWAYS, 0, 0, 0}};
	uint8_t frame[PACKET_MAX];
	size_t n = packet_build(&s, frame);
	struct tapped_value v;
	int good;

	begin(0);
	tap(uplink, POINT_UPLINK, JUDGE_ALL, BIT_UDP);
	memset(frame, 0xff, 6);
	frame_send(at_out, frame, n);
	good = copy_is(mark(POINT_UPLINK, 0, 0), frame, n) &&
	       BECOMES("copied", tapped_now(uplink, TAP_IN).copied, 1);
	result(good, "what comes in at an uplink is copied before any verdict (%s)", IP46);
	begin(0);
	tap_put(uplink, &t);
	s.dport = 4790;
	n = packet_build(&s, frame);
	memset(frame, 0xff, 6);
	frame_send(at_out, frame, n);
	n = other(frame, 77, "");
	memset(frame, 0xff, 6);
	frame_send(at_out, frame, n);
	for (good = 0; !good && copy_next(&got);)
		good = got.n == n && !memcmp(got.bytes, frame, n);
	good &= BECOMES("own", tapped_now(uplink, TAP_IN).own, 1);
	v = tapped_now(uplink, TAP_IN);
	good &= same("seen less copied", v.seen - v.copied, 0);
	result(good & quiet(), "BR61 a copy that another node sends to a tool is known by its filter (%s)",
	       IP46);
}

/* To whom a pod sends, and who sends to it: each way has its copy. */
static void ways(void)
{
	static const struct {
		const char *name, *v4, *v6;
	} to[] = {{"into the tunnel", "10.2.0.7", "fd00:2::7"},
		  {"out of the uplink, translated", "198.51.100.9", "2001:db8:51::9"},
		  {"to its own node", "192.0.2.1", "2001:db8::1"},
		  {"to itself", "10.1.0.5", "fd00:1::5"}};
	struct spec far = {UDP,		  here("10.2.0.7", "fd00:2::7"), B_NOW, 50, 7777, .payload = 30,
			   .dmac = MAC_GW};
	struct spec arrived = far;
	struct talk t = {.proto = "udp", .to = B_NOW, .port = 7777};
	uint8_t frame[PACKET_MAX];
	char ns[64], answer[256], name[96];
	size_t n;

	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
		begin(BIT_UDP);
		n = datagram(frame, here(to[i].v4, to[i].v6), (uint16_t)(30 + i));
		frame_send(at_a, frame, n);
		snprintf(name, sizeof(name), "%s (%s)", to[i].name, IP46);
		result(copy_is(mark(POINT_A, TAP_MARK_OUT, 0), frame, n),
		       "what a pod sends %s is copied as it sent it", name);
	}
	result(copy_next(&got) && same("mark", got.mark, mark(POINT_A, 0, 0)),
	       "and what comes back to it (%s)", IP46);
	begin(BIT_UDP);
	frame_send(at_r, frame, packet_build(&far, frame));
	arrived.ttl = 62;
	arrived.dmac = MAC_B;
	arrived.smac = MAC_GW;
	n = packet_build(&arrived, frame);
	result(copy_is(mark(POINT_B, 0, 0), frame, n),
	       "what comes out of the tunnel is copied as the pod gets it (%s)", IP46);
	lab_ns(&lab, "node1", ns, sizeof(ns));
	t.from = ns;
	begin(BIT_UDP);
	talk(&t, answer, sizeof(answer)); /* nobody answers on that port */
	result(copy_next(&got) && same("mark", got.mark, mark(POINT_B, 0, 0)),
	       "what the node's own sockets send to a pod is copied (%s)", IP46);
	while (copy_more(&got))
		;
}

/* A pod's mark ends at its interface: it cannot pass for a copy of Weft's. */
static void marked(void)
{
	uint32_t own = TAP_MARK_OWN;
	uint8_t frame[PACKET_MAX];
	int fd = frame_socket(&lab, "a", "eth0"), good;
	size_t n = datagram(frame, B_NOW, 60);

	begin(BIT_UDP);
	good = same("the mark is set", (uint64_t)setsockopt(fd, SOL_SOCKET, SO_MARK, &own, sizeof(own)), 0);
	good &= same("sent", (uint64_t)frame_send(fd, frame, n), 0);
	good &= copy_is(mark(POINT_A, TAP_MARK_OUT, 0), frame, n);
	good &= copy_next(&got) && same("mark", got.mark, mark(POINT_B, 0, 0));
	result(good, "a pod that marks its packets as Weft marks copies %s", "is tapped all the same");
	close(fd);
}

/* What names an outlet when weft-copier says it, names nothing in a pod's frame. */
static void forged(void)
{
	uint8_t frame[PACKET_MAX], tagged[PACKET_MAX + 4];
	size_t n = other(frame, 100, "");
	int good;

	begin(BIT_OTHER);
	outlet_put(TOOL, copies_index(&lab, "tool0"), OUTLET_INTERFACE);
	good = !frame_send(at_a, tagged, tag_outlet(tagged, TOOL, frame, n));
	good &= copy_next(&got) && same("mark", got.mark, mark(POINT_A, TAP_MARK_OUT, 0)) &
				       same("TPID", got.tpid, 0x88a8) & same("tag", got.tci, TOOL);
	/* what weft-copier sends after it is the first that the tool gets, and that is counted */
	good &= send_back(TOOL, frame, n) && gets("the tool", at_tool, OTHER, frame, n, 0);
	good &= BECOMES("sent", outlet_now(TOOL).sent, 1) & same("failed", outlet_now(0).failed, 0);
	result(good & quiet(), "a pod's frame with the tag of an outlet %s",
	       "is copied, and goes to no tool");
}

/* A tap stands before its pod's interface is there. */
static void first_packet(void)
{
	enum { POINT_C = 7, IF_C = 104 };
	uint8_t frame[PACKET_MAX];
	char out[512];
	int fd, good;

	begin(0);
	tap(IF_C, POINT_C, JUDGE_ALL, BIT_OTHER);
	if (shell("", out, sizeof(out),
		  "P=%s; set -e; ip netns exec $P-node1 sysctl -qw net.ipv6.conf.default.disable_ipv6=1; "
		  "ip -n $P-node1 link add wp104 index 104 type veth peer name eth1 netns $P-tool; "
		  "ip -n $P-node1 link set wp104 up; ip -n $P-tool link set eth1 up",
		  lab.prefix))
		printf("# %s\n", out);
	good = !copies_attach(&lab, "wp104", lab.node1->progs.weft_from_pod);
	fd = frame_socket(&lab, "tool", "eth1");
	good &= !frame_send(fd, frame, other(frame, 70, ""));
	good &= copy_is(mark(POINT_C, TAP_MARK_OUT, 0), frame, 70);
	result(good, "BR14 a tap that stands before its interface %s", "misses no first packet");
	close(fd);
}

static int sockets(void)
{
	at_a = frame_socket(&lab, "a", "eth0");
	at_b = frame_socket(&lab, "b", "eth0");
	at_r = frame_socket(&lab, "r", "eth0");
	at_tool = frame_socket(&lab, "tool", "tool1");
	at_copy1 = frame_socket(&lab, "node1", "weft-copy1");
	at_out = frame_socket(&lab, "out", "f1");
	at_node2 = frame_socket(&lab, "node2", "uplink0");
	uplink = copies_index(&lab, "uplink0");
	copies_link(&lab, "a", "eth0", "mtu 9300");
	copies_link(&lab, "node1", "wp101", "mtu 9300");
	return at_a < 0 || at_b < 0 || at_r < 0 || at_tool < 0 || at_copy1 < 0 || at_out < 0 ||
	       at_node2 < 0 || !uplink;
}

/* Chains that the kernel runs; labels are beyond it, and go to weft-copier as they were sent. */
static void edited(void)
{
	const struct edit_value e = {.ranges = 1,
				     .range = {{EDIT_PAYLOAD, 2, 0}},
				     .fill = 0xee,
				     .slice = 1,
				     .slice_from = EDIT_PAYLOAD,
				     .slice_bytes = 5};
	struct tap_value t = {.judge = JUDGE_NONE,
			      .point = POINT_A,
			      .epoch = EPOCH,
			      .directs = 1,
			      .direct = {{.outlet = TOOL, .take = {0, TAP_ALWAYS, 0, TAP_ALWAYS}}}};
	uint8_t frame[PACKET_MAX], want[PACKET_MAX];
	size_t n = datagram(frame, B_NOW, 22), left = n - 25;
	int good;

	begin(0);
	edit_put(&lab, TOOL, "tool0", &e);
	tap_put(IF_A, &t);
	memcpy(want, frame, left);
	memset(want + left - 3, 0xee, 3);
	frame_send(at_a, frame, n);
	good = gets("the tool", at_tool, IP_NOW, want, left, 0) && pod_b_gets(22);
	other(frame, 80, "");
	memcpy(frame + 12, "\x88\x47", 2);
	frame_send(at_a, frame, 80);
	good &= copy_is(TAP_POINT_EDIT | TOOL << TAP_REASON_SHIFT, frame, 80);
	good &= BECOMES("handed over", outlet_now(TOOL).handed, 1) &
		BECOMES("to the tool", outlet_now(TOOL).direct, 1) & same("given", outlet_now(TOOL).given, 2);
	good &= same("masked", outlet_now(TOOL).masked, 1) & same("sliced", outlet_now(TOOL).sliced, 1);
	result(good, "a masked and cut copy, its packet as it was sent; what is too hard comes whole (%s)",
	       IP46);
}

int main(void)
{
	pid_t server = -1;
	char ns[64];
	int err;

	if (geteuid()) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	err = copies_up(&lab);
	if (!err && sockets())
		err = -EIO;
	lab_ns(&lab, "b", ns, sizeof(ns));
	if (!err)
		server = talk_serve(ns);
	if (err)
		printf("Bail out! the lab cannot be made: %s\n", strerror(-err));
	for (v6 = 0; !err && v6 < 2; v6++) {
		forwarded();
		drops();
		stream();
		direct();
		edited();
		routed();
		interface();
		ways();
	}
	v6 = 0;
	if (!err) {
		others();
		sizes();
		back();
		stray();
		marked();
		forged();
		first_packet();
		printf("1..%d\n", number);
	}
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	copies_down(&lab);
	return failed || err;
}
