/* SPDX-License-Identifier: Apache-2.0 */
/* Cases: what the connection tables hold, how entries age, and what happens when tables are full. */
#include "cases.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const struct bpf_map *conns(void)
{
	return run_v6 ? world->maps.conn6 : world->maps.conn4;
}

static const struct bpf_map *halves(void)
{
	return run_v6 ? world->maps.half6 : world->maps.half4;
}

static int only_conn(const struct bpf_map *map, struct conn_value *v)
{
	uint8_t key[40];

	if (map_size(map) != 1 || bpf_map_get_next_key(bpf_map__fd(map), NULL, key) ||
	    bpf_map_lookup_elem(bpf_map__fd(map), key, v))
		return must_be(bpf_map__name(map), map_size(map), 1) | 1;
	return 0;
}

static int answered_once(void)
{
	struct conn_value v;

	if (only_conn(conns(), &v))
		return 1;
	return must_be("unanswered", map_size(halves()), 0) | must_be("packets there", v.there.packets, 3) |
	       must_be("packets back", v.back.packets, 1) | must_be("retransmits", v.retransmits[0], 1) |
	       must_be("interface", v.ifindex, IF_A) |
	       must_be("flags", v.flags & CONN_ANSWERED, CONN_ANSWERED) |
	       must_be("bytes back", v.back.bytes, run_v6 ? 74 : 54) |
	       must_be("inserted", read_counter(COUNTER_CONN_INSERTED), 1) |
	       must_be("half inserted", read_counter(COUNTER_HALF_INSERTED), 1);
}

static int answer_failed(void)
{
	return must_be("answered", map_size(conns()), 0) | must_be("unanswered", map_size(halves()), 1);
}

static int nothing_begun(void)
{
	return must_be("unanswered", map_size(halves()), 0) |
	       must_be("half inserted", read_counter(COUNTER_HALF_INSERTED), 0);
}

static void fill_conns(void)
{
	struct conn_value v = {.flags = CONN_ANSWERED};
	struct conn4_key k4 = {};
	struct conn6_key k6 = {};
	uint32_t max = bpf_map__max_entries(conns());

	for (uint32_t i = 0; i < max; i++) {
		k4.a = k6.a.w[0] = i;
		bpf_map_update_elem(bpf_map__fd(conns()), run_v6 ? (void *)&k6 : &k4, &v, BPF_ANY);
	}
}

static void fill_nat(void)
{
	struct nat_value v = {.flags = NAT_SNAT};
	struct nat_key k = {};
	uint32_t max = bpf_map__max_entries(world->maps.nat);

	for (uint32_t i = 0; i < max; i++) {
		k.src.w[0] = i + 1;
		bpf_map_update_elem(bpf_map__fd(world->maps.nat), &k, &v, BPF_ANY);
	}
}

static int gc_after(uint64_t seconds, int must_remove)
{
	char what[64];

	snprintf(what, sizeof(what), "removed %llu s later", (unsigned long long)seconds);
	age_all(seconds);
	return must_be(what, (uint64_t)world_gc(0), (uint64_t)must_remove);
}

static int ages_established(void)
{
	return gc_after(5 * 3600, 0) | gc_after(2 * 3600, 1) |
	       must_be("removed counter", read_counter(COUNTER_CONN_REMOVED), 1) |
	       must_be("live", map_size(conns()),
		       read_counter(COUNTER_CONN_INSERTED) - read_counter(COUNTER_CONN_REMOVED));
}

static int ages_half_closed(void)
{
	return gc_after(1800, 0) | gc_after(2400, 1);
}

static int ages_closed(void)
{
	return gc_after(5, 0) | gc_after(6, 1);
}

static int ages_datagrams(void)
{
	return gc_after(100, 0) | gc_after(30, 1);
}

static int ages_unanswered(void)
{
	return gc_after(50, 0) | gc_after(20, 1) |
	       must_be("removed counter", read_counter(COUNTER_CONN_REMOVED), 0);
}

/* Both translations, both directions: four elements live as long as the connection and not longer. */
static int frees_translations(void)
{
	if (must_be("translations", map_size(world->maps.nat), 4) | gc_after(3600, 0))
		return 1;
	return gc_after(6 * 3600, 5) | must_be("translations", map_size(world->maps.nat), 0);
}

static int frees_of_gone_pod(void)
{
	remove_pod("a");
	return must_be("removed", (uint64_t)world_gc(0), 1) | must_be("live", map_size(conns()), 0);
}

static void vip_to_world(void)
{
	set_service(here(VIP), 80, IPPROTO_TCP, 0, 64, run_v6 ? "2001:db8:51::9 8080" : "198.51.100.9 8080");
}

/* r lives here as well. */
static void third_pod(void)
{
	set_pod("r", 0, 0);
}

static int reopened(void)
{
	struct conn_value v;

	if (only_conn(halves(), &v))
		return 1;
	return must_be("answered", map_size(conns()), 0) | must_be("packets there", v.there.packets, 1) |
	       must_be("removed", read_counter(COUNTER_CONN_REMOVED), 1);
}

static int started_by_responder_side(void)
{
	struct conn_value v;

	if (only_conn(conns(), &v))
		return 1;
	return must_be("started by b", v.flags & CONN_STARTED_BY_B, CONN_STARTED_BY_B) |
	       must_be("packets there", v.there.packets, 1) | must_be("packets back", v.back.packets, 1) |
	       must_be("interface", v.ifindex, IF_B);
}

/* Events that find no room are counted, and drops are counted all the same. */
static int events_are_lost_not_drops(void)
{
	struct spec s = {UDP, here(B), here(A), 1000, 53};
	uint8_t frame[PACKET_MAX];
	struct run r;

	world_run(world->progs.weft_from_pod, IF_A, frame, packet_build(&s, frame), 0, 200, &r);
	return must_be("drops", read_drops(IF_A, DROP_SPOOFED, DIR_FROM_POD, 0), 200) |
	       must_be("some events lost", read_counter(COUNTER_EVENTS_LOST) > 0, 1) |
	       must_be("all events lost", read_counter(COUNTER_EVENTS_LOST) >= 200, 0);
}

/* A packet of 1450 bytes to the tunnel fits; as one that is cut later it counts by segment. */
static int segments_are_measured(void)
{
	struct spec s = {TCP, here(A), here(R), 1000, 80, ACK, .payload = 1800};
	uint8_t frame[PACKET_MAX];
	size_t len = packet_build(&s, frame);
	struct run r;
	int bad = 0;

	world_run(world->progs.weft_from_pod, IF_A, frame, len, run_v6 ? 1390 : 1410, 1, &r);
	bad |= must_be("segments that fit", read_counter(COUNTER_POD_TO_TUNNEL), 1);
	world_run(world->progs.weft_from_pod, IF_A, frame, len, run_v6 ? 1391 : 1411, 1, &r);
	return bad | must_be("segments that do not", read_counter(COUNTER_POD_TO_STACK), 1);
}

#define OPEN                                                                                                 \
	{FROM_A, {TCP, A, B, 1000, 80, SYN}, POD}, {FROM_B, {TCP, B, A, 80, 1000, SYNACK}, POD},             \
	{                                                                                                    \
		FROM_A, {TCP, A, B, 1000, 80, ACK}, POD                                                      \
	}

const struct bpf_case state_cases[] = {
    {"an answer moves the connection; packets, bytes and repeated SYNs are counted",
     BOTH,
     NULL,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 80, SYN}, POD},
      {FROM_B, {TCP, B, A, 80, 1000, SYNACK}, POD},
      {FROM_A, {TCP, A, B, 1000, 80, ACK}, POD}},
     answered_once},
    {"the upper end may have started",
     BOTH,
     NULL,
     {{FROM_B, {UDP, B, A, 1000, 80}, POD}, {FROM_A, {UDP, A, B, 80, 1000}, POD}},
     started_by_responder_side},
    {"a refusal is no answer",
     BOTH,
     NULL,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, POD}, {FROM_B, {TCP, B, A, 80, 1000, RST}, POD}},
     answer_failed},
    {"BR24 an answer to what made room passes, and is no connection of the other end",
     BOTH,
     NULL,
     {{FROM_B, {TCP, B, A, 80, 1000, SYNACK}, POD}},
     nothing_begun},
    {"a full table of connections drops by name",
     BOTH,
     fill_conns,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, POD},
      {FROM_B, {TCP, B, A, 80, 1000, SYNACK}, POD},
      {FROM_A, {TCP, A, B, 1000, 80, ACK}, DROPPED, DROP_CONN_FULL, IF_A}}},
    {"an answer that nobody confirms takes no place among the answered",
     BOTH,
     NULL,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, POD},
      {FROM_B, {TCP, B, A, 80, 1000, SYNACK}, POD},
      {FROM_A, {TCP, A, B, 1000, 80, SYN}, POD},
      {FROM_B, {TCP, B, A, 80, 1000, SYNACK}, POD}},
     answer_failed},
    {"a full table of translations drops by name",
     BOTH,
     fill_nat,
     {{FROM_A, {TCP, A, WORLD, 1000, 80, SYN}, DROPPED, DROP_NAT_FULL, IF_A}}},
    {"an established connection lives 6 hours without packets", BOTH, NULL, {OPEN}, ages_established},
    {"SV56 a half-closed connection lives an hour",
     BOTH,
     NULL,
     {OPEN, {FROM_A, {TCP, A, B, 1000, 80, FIN}, POD}},
     ages_half_closed},
    {"a connection that both ends closed lives 10 s",
     BOTH,
     NULL,
     {OPEN, {FROM_A, {TCP, A, B, 1000, 80, FIN}, POD}, {FROM_B, {TCP, B, A, 80, 1000, FIN}, POD}},
     ages_closed},
    {"a connection that was reset lives 10 s",
     BOTH,
     NULL,
     {OPEN, {FROM_B, {TCP, B, A, 80, 1000, RST}, POD}},
     ages_closed},
    {"answered datagrams live 2 minutes",
     BOTH,
     NULL,
     {{FROM_A, {UDP, A, B, 1000, 53}, POD}, {FROM_B, {UDP, B, A, 53, 1000}, POD}},
     ages_datagrams},
    {"what nobody answers lives a minute",
     BOTH,
     NULL,
     {{FROM_A, {UDP, A, B, 1000, 53}, POD}},
     ages_unanswered},
    {"translations go with their connection",
     BOTH,
     vip_to_world,
     {{FROM_A, {TCP, A, VIP, 40001, 80, SYN}, OUT, .out = {TCP, N1, WORLD, 40001, 8080, SYN}},
      {UPLINK, {TCP, WORLD, N1, 8080, 40001, SYNACK}, POD, .out = {TCP, VIP, A, 80, 40001, SYNACK}},
      {FROM_A, {TCP, A, VIP, 40001, 80, ACK}, OUT, .out = {TCP, N1, WORLD, 40001, 8080, ACK}}},
     frees_translations},
    {"NP21 connections go with their pod", BOTH, NULL, {OPEN}, frees_of_gone_pod},
    {"a closed connection that begins anew is a new one",
     BOTH,
     NULL,
     {OPEN,
      {FROM_A, {TCP, A, B, 1000, 80, FIN}, POD},
      {FROM_B, {TCP, B, A, 80, 1000, FIN}, POD},
      {FROM_A, {TCP, A, B, 1000, 80, SYN}, POD}},
     reopened},
    {"a known connection is no way around the check of the source",
     BOTH,
     third_pod,
     {{FROM_A, {TCP, A, R, 1000, 80, SYN}, POD},
      {FROM_R, {TCP, R, A, 80, 1000, SYNACK}, POD},
      {FROM_B, {TCP, A, R, 1000, 80, ACK}, DROPPED, DROP_SPOOFED, IF_B},
      {FROM_B, {TCP, R, A, 80, 1000, ACK}, DROPPED, DROP_SPOOFED, IF_B},
      {UPLINK, {TCP, WORLD, A, 1000, 80, SYN}, POD},
      {FROM_A, {TCP, A, WORLD, 80, 1000, SYNACK}, OUT},
      {FROM_A, {TCP, WORLD, A, 1000, 80, ACK}, DROPPED, DROP_SPOOFED, IF_A}}},
    {"events are lost by number, drops are not", BOTH, NULL, {{0}}, events_are_lost_not_drops},
    {"segments of a packet that is cut later are measured", BOTH, NULL, {{0}}, segments_are_measured},
    {NULL},
};
