/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a copy costs the sender's CPU: a flood of datagrams between two pods of a node, without a tap, with
 * copies straight to a tool and to weft-copy0, and with the kernel's own mirred beside them in the same run.
 * Prints median and spread of interleaved rounds; judges nothing. "copy-speed FLOOD [ROUNDS]", where FLOOD is
 * the path of bench-flood.
 */
#include "copy_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "talk.h"

enum { WAYS = 7, ROUNDS_MAX = 31, TOOL = 1 };

static struct lab lab;

static void mirred(bool on)
{
	char ns[64], out[512];

	lab_ns(&lab, "node1", ns, sizeof(ns));
	if (shell(ns, out, sizeof(out),
		  on ? "tc filter add dev wp101 ingress pref 5 protocol all u32 match u32 0 0 action mirred "
		       "egress "
		       "mirror dev tool0"
		     : "tc filter del dev wp101 ingress pref 5 2>/dev/null; true"))
		printf("# mirred: %s\n", out);
}

static void tap(uint32_t judge, uint32_t take, uint32_t direct)
{
	struct tap_value t = {.judge = judge,
			      .point = 1,
			      .take = {0, take},
			      .directs = direct ? 1 : 0,
			      .direct = {{.outlet = TOOL, .take = {0, direct}}}};

	tap_put(IF_A, &t);
	outlet_put(TOOL, copies_index(&lab, "tool0"), OUTLET_INTERFACE);
	taps_on(&lab);
}

static double round_of(const char *flood, unsigned way)
{
	uint64_t sent = 0, cpu = 0, soft = 0;
	char ns[64], out[512];

	taps_off();
	mirred(way == 1);
	if (way == 2)
		tap(JUDGE_ALL, 0, 0);
	if (way == 3)
		tap(JUDGE_ALL, 0, BIT_UDP);
	if (way == 4)
		tap(JUDGE_ALL, BIT_UDP, 0);
	if (way == 5)
		tap(JUDGE_NONE, 0, TAP_ALWAYS);
	if (way == 6) {
		tap(JUDGE_ALL, 0, BIT_UDP);
		copies_link(&lab, "node1", "tool0", "down");
	}
	lab_ns(&lab, "a", ns, sizeof(ns));
	if (shell(ns, out, sizeof(out), "%s 10.1.0.6 7777 1 200 64", flood) ||
	    sscanf(out,
		   "{\"sent\":%" SCNu64 ",\"failed\":%*u,\"wall_ns\":%*u,\"cpu_ns\":%" SCNu64
		   ",\"ksoftirqd_ns\":%" SCNu64,
		   &sent, &cpu, &soft) != 3 ||
	    !sent) {
		printf("# %s: %s\n", flood, out);
		sent = 0;
	}
	if (way == 6)
		copies_link(&lab, "node1", "tool0", "up");
	return !sent ? 0 : (double)(cpu + soft) / (double)sent;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static const char *const names[WAYS] = {"no tap",
						"tc mirred to the tool",
						"tapped, nobody wants it",
						"a copy straight to the tool",
						"a copy to weft-copy0",
						"a copy straight to the tool, no filter",
						"a copy straight to a tool that is down"};
	static double ns[WAYS][ROUNDS_MAX], sorted[ROUNDS_MAX];
	unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 9;

	if (argc < 2 || !rounds || rounds > ROUNDS_MAX || copies_up(&lab)) {
		printf("# usage, as root: copy-speed PATH-OF-BENCH-FLOOD [ROUNDS up to %d]\n", ROUNDS_MAX);
		copies_down(&lab);
		return 2;
	}
	ring_close();
	if (copies_swallow(&lab, "b", "eth0") || copies_swallow(&lab, "tool", "tool1"))
		printf("# what arrives is not swallowed: it costs more\n");
	for (unsigned i = 0; i < rounds; i++)
		for (unsigned w = 0; w < WAYS; w++)
			ns[w][i] = round_of(argv[1], w);
	for (unsigned w = 0; w < WAYS; w++) {
		for (unsigned i = 0; i < rounds; i++)
			sorted[i] = ns[w][i];
		qsort(sorted, rounds, sizeof(*sorted), compare);
		printf("%-40s %6.0f ns  (%.0f to %.0f)", names[w], sorted[rounds / 2], sorted[0],
		       sorted[rounds - 1]);
		for (unsigned i = 0; i < rounds; i++)
			sorted[i] = ns[w][i] - ns[0][i];
		qsort(sorted, rounds, sizeof(*sorted), compare);
		printf("   + %.0f (%.0f to %.0f)\n", sorted[rounds / 2], sorted[0], sorted[rounds - 1]);
	}
	copies_down(&lab);
	return 0;
}
