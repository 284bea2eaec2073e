/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Canaries, end to end in the kernel: weft-copier's own bytes go through weft_copy_back to a tool's
 * interface, a pod and the far end of a tunnel, whose real stacks answer; each answer is counted for its
 * outlet, is seen by no tap and reaches no stack. What is no answer is left alone.
 */
#include "copy_world.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "copier/canary.h"
#include "talk.h"

enum { OTHER = 0x88b5, TOOL = 1, POD_B = 2, FAR = 3, NOBODY = 4, POINT = 9 };

static struct lab lab;
static int number, failed, at_tool, at_a, at_copy1;
static uint32_t tool0, uplink;

static void result(int good, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++number, what);
	fflush(stdout);
	failed += !good;
}

/* It comes to pass within two seconds. */
static int becomes(const char *what, uint32_t outlet, uint64_t want)
{
	for (int ms = 2000; ms && outlet_now(outlet).answers != want; ms--)
		poll(NULL, 0, 1);
	return same(what, outlet_now(outlet).answers, want);
}

static void begin(void)
{
	struct tap_value t = {.judge = JUDGE_ALL, .point = POINT, .take = {TAP_ALWAYS, 0, TAP_ALWAYS, 0}};

	taps_off();
	tap_put(tool0, &t);
	tap_put(uplink, &t);
	outlet_put(TOOL, tool0, OUTLET_INTERFACE);
	outlet_put(POD_B, IF_B, OUTLET_POD);
	outlet_put(FAR, uplink, OUTLET_ROUTED);
}

static int send_back(uint32_t tag, const uint8_t *frame, size_t n)
{
	uint8_t tagged[512];

	memcpy(tagged, frame, 12);
	memcpy(tagged + 12, (uint8_t[]){0x88, 0xa8, (uint8_t)(tag >> 8), (uint8_t)tag}, 4);
	memcpy(tagged + 16, frame + 12, n - 12);
	return !frame_send(at_copy1, tagged, n + 4);
}

static int give(void *ctx, uint32_t outlet, const uint8_t *frame, uint32_t n)
{
	*(int *)ctx = send_back(outlet, frame, n);
	return 0;
}

/* A canary of weft-copier, answered by whoever is there. */
static int asked(enum canary_kind kind, uint32_t outlet, const char *from, const char *to)
{
	struct canary k = {.kind = kind, .outlet = outlet, .cookies = {0, 0x1122334455667788ull}, .sent = 1};
	uint8_t frame[CANARY_ROOM];
	int sent = 0;

	if (from)
		addr_parse(str_of(from), &k.from);
	if (to)
		addr_parse(str_of(to), &k.to);
	give(&sent, outlet | OUTLET_CANARY, frame, (uint32_t)canary_frame(&k, frame));
	return sent;
}

/* A stack that has just come up is asked again; whoever is asked twice may answer twice. */
static void answered(const char *what, enum canary_kind kind, uint32_t outlet, const char *from,
		     const char *to)
{
	uint64_t tries = 0;
	struct outlet_count n;
	int good = 1;

	begin();
	do {
		good &= asked(kind, outlet, from, to);
		for (int ms = 200; ms && !outlet_now(outlet).answers; ms--)
			poll(NULL, 0, 1);
		n = outlet_now(outlet);
	} while (++tries < 50 && !n.answers);
	good &= same("answered", n.answers > 0, 1) & same("canaries", n.canaries, tries);
	good &= same("sent", n.sent + n.failed + n.unreachable, 0);
	if (kind == CANARY_FAR)
		good &= same("cookie", n.cookie, 0x1122334455667788ull);
	result(good, what);
}

static size_t frame_to(uint8_t *p, uint32_t head, uint32_t outlet)
{
	for (uint32_t i = 0; i < 100; i++)
		p[i] = (uint8_t)(i * 3);
	memcpy(p,
	       (uint8_t[]){(uint8_t)(head >> 24), (uint8_t)(head >> 16), (uint8_t)(head >> 8), (uint8_t)head,
			   (uint8_t)(outlet >> 8), (uint8_t)outlet},
	       6);
	memcpy(p + 6, "\x02\x00\x00\x00\x00\x77", 6);
	p[12] = OTHER >> 8;
	p[13] = OTHER & 0xff;
	return 100;
}

static int seen_becomes(uint32_t ifindex, uint64_t want)
{
	for (int ms = 2000; ms && tapped_now(ifindex, TAP_IN).seen < want; ms--)
		poll(NULL, 0, 1);
	return same("seen", tapped_now(ifindex, TAP_IN).seen, want);
}

static void heartbeats(void)
{
	uint8_t frame[128];
	size_t n;
	int good;

	begin();
	taps_on(&lab);
	n = frame_to(frame, CANARY_MAC_HEAD, TOOL);
	good = !frame_send(at_tool, frame, n) && becomes("answers", TOOL, 1);
	result(good & same("seen", tapped_now(tool0, TAP_IN).seen, 0),
	       "any frame of a tool to the canaries' address is an answer, and no packet of a tapped place");
	n = frame_to(frame, CANARY_MAC_HEAD, POD_B);
	good = !frame_send(at_tool, frame, n);
	n = frame_to(frame, CANARY_MAC_HEAD, FAR);
	good &= !frame_send(at_tool, frame, n);
	n = frame_to(frame, CANARY_MAC_HEAD, NOBODY);
	good &= !frame_send(at_tool, frame, n) && seen_becomes(tool0, 3);
	good &= same("for pod b", outlet_now(POD_B).answers, 0) &
		same("for the tunnel", outlet_now(FAR).answers, 0);
	result(good & same("for the tool", outlet_now(TOOL).answers, 1),
	       "one tool cannot answer for another, nor for a tunnel, nor for none: such frames are seen as "
	       "any");
	good = send_back(NOBODY | OUTLET_CANARY, frame, n) && send_back(NOBODY, frame, n);
	for (int ms = 2000; ms && !outlet_now(NOBODY).failed; ms--)
		poll(NULL, 0, 1);
	result(good & same("lost frames", outlet_now(NOBODY).failed, 1),
	       "a canary for an outlet that is not there is no lost copy");
	n = frame_to(frame, CANARY_ASK_HEAD, TOOL);
	good = !frame_send(at_tool, frame, n) && seen_becomes(tool0, 4);
	result(good & same("answers", outlet_now(TOOL).answers, 1),
	       "what only shares the multicast address of the canaries' questions is no answer");
	n = frame_to(frame, CANARY_MAC_HEAD, TOOL);
	good = !frame_send(at_a, frame, n);
	n = frame_to(frame, CANARY_MAC_HEAD, POD_B);
	good &= !frame_send(at_a, frame, n) && send_back(POD_B, frame, n);
	for (int ms = 2000; ms && outlet_now(POD_B).sent != 1; ms--)
		poll(NULL, 0, 1);
	result(good & same("for pod b", outlet_now(POD_B).answers, 0) &
		   same("for the tool", outlet_now(TOOL).answers, 1) &
		   same("copies", outlet_now(POD_B).sent, 1) &
		   same("canaries", outlet_now(POD_B).canaries, 0),
	       "another pod cannot answer for it; a copy is no canary");
	taps_off();
}

int main(void)
{
	int err;

	if (geteuid()) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	err = copies_up(&lab);
	if (!err) {
		char ns[64], out[512];

		at_tool = frame_socket(&lab, "tool", "tool1");
		at_a = frame_socket(&lab, "a", "eth0");
		at_copy1 = frame_socket(&lab, "node1", "weft-copy1");
		tool0 = copies_index(&lab, "tool0");
		uplink = copies_index(&lab, "uplink0");
		lab_ns(&lab, "tool", ns, sizeof(ns));
		shell(ns, out, sizeof(out), "sysctl -qw net.ipv6.conf.tool1.disable_ipv6=0");
		err = copies_attach(&lab, "tool0", lab.node1->progs.weft_tap_in);
		lab_ns(&lab, "node1", ns, sizeof(ns));
		shell(ns, out, sizeof(out), "sh -c 'ping -c1 -W1 192.0.2.2; ping -c1 -W1 2001:db8::2'");
	}
	if (err) {
		printf("Bail out! the lab cannot be made: %s\n", strerror(-err));
	} else {
		heartbeats();
		answered("an IPv6 stack behind a tool's interface answers", CANARY_NEAR, TOOL, NULL, NULL);
		answered("a pod answers for its IPv4 address", CANARY_NEAR, POD_B, NULL, "10.1.0.6");
		answered("a pod answers for its IPv6 address", CANARY_NEAR, POD_B, NULL, "fd00:1::6");
		answered("a tunnel's far end answers, with the cookie", CANARY_FAR, FAR, "192.0.2.1",
			 "192.0.2.2");
		answered("so it does over IPv6", CANARY_FAR, FAR, "2001:db8::1", "2001:db8::2");
		printf("1..%d\n", number);
	}
	copies_down(&lab);
	return failed || err;
}
