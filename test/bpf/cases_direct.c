/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases: direct return at the node that takes a packet (bpf/lib/direct.h). What the backend's node does with
 * it needs a tunnel, so that is in e2e.c.
 */
#include "cases.h"

#include <netinet/in.h>
#include <stdio.h>

#define NODE_PORT 30080
#define LIST	  64u

static void port_to(const char *backends4, const char *backends6, uint32_t list)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

	for (size_t i = 0; i < 3; i++)
		set_service(here(N1), NODE_PORT, protos[i], SERVICE_OUTSIDE_TOO | SERVICE_DIRECT, list,
			    run_v6 ? backends6 : backends4);
}

static void to_r(void)
{
	port_to("10.2.0.7 8080", "fd00:2::7 8080", LIST);
}

static void to_b(void)
{
	port_to("10.1.0.6 8080", "fd00:1::6 8080", LIST + 32);
}

static void to_node2(void)
{
	port_to("192.0.2.2 8080", "2001:db8::2 8080", LIST + 64);
}

static void to_nobody(void)
{
	port_to("", "", 0);
}

static void routes_to_r(void)
{
	set_mode(MODE_ROUTES);
	to_r();
}

/* Half an address does not name the pods of node-2. */
static void wide_to_r(void)
{
	struct node_value n;
	uint32_t two = 2;

	bpf_map_lookup_elem(bpf_map__fd(world->maps.node), &two, &n);
	n.flags = NODE_WIDE6;
	bpf_map_update_elem(bpf_map__fd(world->maps.node), &two, &n, BPF_EXIST);
	to_r();
}

static int the_conn(struct conn_value *v)
{
	const struct bpf_map *map = run_v6 ? world->maps.half6 : world->maps.half4;
	uint8_t key[40];

	return must_be("connections", map_size(map), 1) ||
	       bpf_map_get_next_key(bpf_map__fd(map), NULL, key) ||
	       bpf_map_lookup_elem(bpf_map__fd(map), key, v);
}

static int is_recorded(void)
{
	struct conn_value v;

	return the_conn(&v) || must_be("flags", v.flags & (CONN_DIRECT | CONN_NAT), CONN_DIRECT | CONN_NAT) ||
	       must_be("packets there", v.there.packets, 3) || must_be("packets back", v.back.packets, 0) ||
	       must_be("handed over", read_counter(COUNTER_DIRECT_OUT), 3) ||
	       must_be("sources that were translated", map_size(world->maps.nat), 2);
}

/* Answers pass elsewhere: nothing is timed, and what the other end sent again is not known. */
static int says_one_way(void)
{
	struct conn_value v;

	return the_conn(&v) || must_be("sent again", v.retransmits[0], 1) ||
	       must_be("timed", v.tcp & 3 * CONN_TCP_PROBE, 0) || must_be("there", v.rtt[0], 0) ||
	       must_be("back", v.rtt[1], 0) || must_be("known", v.tcp & 3 * CONN_TCP_KNOWN, CONN_TCP_KNOWN);
}

static int gone_after(uint64_t seconds, int all)
{
	age_all(seconds);
	world_gc(0);
	return must_be("translations that are left", map_size(world->maps.nat), all ? 0 : 2);
}

/* One way of it is seen: the client that goes on says that it was answered. */
static int lives_six_hours(void)
{
	return gone_after(6 * 3600 - 5, 0) || gone_after(20, 1);
}

static int lives_a_minute(void)
{
	return gone_after(50, 0) || gone_after(30, 1);
}

#define THROUGH_R(t)                                                                                         \
	.out = {t, WORLD, N1, 1000, NODE_PORT, .dmac = "06:00:00:ff:ff:90", .smac = "06:0a:02:00:07:1f"}
#define THROUGH_R6(t)                                                                                        \
	.out = {t, WORLD, N1, 1000, NODE_PORT, .dmac = "06:00:00:00:00:90", .smac = "06:00:00:00:07:1f"}
#define FROM_WORLD(t)                                                                                        \
	{                                                                                                    \
		t, WORLD, N1, 1000, NODE_PORT                                                                \
	}
#define SYN_WORLD                                                                                            \
	{                                                                                                    \
		TCP, WORLD, N1, 1000, NODE_PORT, SYN                                                         \
	}

static const struct spec answer = {UDP, N1, WORLD, NODE_PORT, 1000, .payload = 100};

const struct bpf_case direct_cases[] = {
    {"SV10 direct return: to the backend's node as it came, the choice in the frame's MACs",
     ONLY_V4,
     to_r,
     {{UPLINK, FROM_WORLD(UDP), TUNNEL, THROUGH_R(UDP)},
      {UPLINK, FROM_WORLD(UDP), TUNNEL, THROUGH_R(UDP)},
      {UPLINK, FROM_WORLD(UDP), TUNNEL, THROUGH_R(UDP)}},
     is_recorded},
    {"SV10 direct return: to the backend's node as it came, the choice in the frame's MACs",
     ONLY_V6,
     to_r,
     {{UPLINK, FROM_WORLD(UDP), TUNNEL, THROUGH_R6(UDP)},
      {UPLINK, FROM_WORLD(UDP), TUNNEL, THROUGH_R6(UDP)},
      {UPLINK, FROM_WORLD(UDP), TUNNEL, THROUGH_R6(UDP)}},
     is_recorded},
    {"SV10 SV64 direct return of SCTP: its checksum is not touched",
     ONLY_V4,
     to_r,
     {{UPLINK, FROM_WORLD(SCTP), TUNNEL, THROUGH_R(SCTP)}}},
    {"SV10 direct return: fragments go the way of the first one",
     ONLY_V4,
     to_r,
     {{UPLINK,
       {UDP, WORLD, N1, 1000, NODE_PORT, .payload = 64, .fragment_id = 9, .fragment_more = 1},
       TUNNEL},
      {UPLINK,
       {UDP, WORLD, N1, .payload = 64, .fragment_id = 9, .fragment_at = 72},
       TUNNEL,
       .out = {UDP, WORLD, N1, .payload = 64, .fragment_id = 9, .fragment_at = 72,
	       .dmac = "06:00:00:ff:ff:90", .smac = "06:0a:02:00:07:1f"}}}},
    {"SV10 direct return: a backend of this node is served as ever",
     BOTH,
     to_b,
     {{UPLINK, SYN_WORLD, POD, .out = {TCP, WORLD, B, 1000, 8080, SYN}}}},
    {"SV11 no direct return to clients of the cluster, whose addresses belong to a node",
     BOTH,
     to_r,
     {{UPLINK, {TCP, N2, N1, 45000, NODE_PORT, SYN}, TUNNEL, .out = {TCP, N1, R, 45000, 8080, SYN}}}},
    {"SV11 no direct return from a backend on its node's network",
     BOTH,
     to_node2,
     {{UPLINK, {TCP, WORLD, N1, 45000, NODE_PORT, SYN}, TUNNEL, .out = {TCP, N1, N2, 45000, 8080, SYN}}}},
    {"SV11 no direct return with routes",
     BOTH,
     routes_to_r,
     {{UPLINK, {TCP, WORLD, N1, 45000, NODE_PORT, SYN}, OUT, .out = {TCP, N1, R, 45000, 8080, SYN}}}},
    {"SV11 no direct return over IPv6 where the pod range is wide",
     ONLY_V6,
     wide_to_r,
     {{UPLINK, {TCP, WORLD, N1, 45000, NODE_PORT, SYN}, TUNNEL, .out = {TCP, N1, R, 45000, 8080, SYN}}}},
    {"a wide IPv6 range is nothing to IPv4",
     ONLY_V4,
     wide_to_r,
     {{UPLINK, FROM_WORLD(UDP), TUNNEL, THROUGH_R(UDP)}}},
    {"SV62 direct return: errors about answers go to the backend's node as they came",
     BOTH,
     to_r,
     {{UPLINK, FROM_WORLD(UDP), TUNNEL},
      {UPLINK, {ICMP_ERROR, ROUTER, N1, .icmp_type = 3, .icmp_code = 4, .inner = &answer}, TUNNEL}}},
    {"SV52 direct return: a datagram sender moves with its backend, and back",
     BOTH,
     to_r,
     {{UPLINK, FROM_WORLD(UDP), TUNNEL},
      {UPLINK, FROM_WORLD(UDP), POD, .before = to_b, .out = {UDP, WORLD, B, 1000, 8080}},
      {UPLINK, FROM_WORLD(UDP), REFUSED, DROP_NO_BACKEND, .before = to_nobody},
      {UPLINK, FROM_WORLD(UDP), TUNNEL, .before = to_r}}},
    {"SV53 direct return: an open connection stays when its Service's backends change",
     BOTH,
     to_r,
     {{UPLINK, SYN_WORLD, TUNNEL},
      {UPLINK, {TCP, WORLD, N1, 1000, NODE_PORT, ACK}, TUNNEL, .before = to_b},
      {UPLINK, {TCP, WORLD, N1, 1000, NODE_PORT, FIN}, TUNNEL}}},
    {"a connection from its middle goes where its beginning would have gone",
     BOTH,
     to_r,
     {{UPLINK, {TCP, WORLD, N1, 1000, NODE_PORT, ACK, .payload = 9}, TUNNEL}}},
    {"direct return: a connection that goes on lives 6 hours without packets",
     BOTH,
     to_r,
     {{UPLINK, SYN_WORLD, TUNNEL}, {UPLINK, {TCP, WORLD, N1, 1000, NODE_PORT, ACK}, TUNNEL}},
     lives_six_hours},
    {"direct return: one way of it is measured",
     BOTH,
     to_r,
     {{UPLINK, SYN_WORLD, TUNNEL},
      {UPLINK, {TCP, WORLD, N1, 1000, NODE_PORT, ACK, .seq = 1, .payload = 10}, TUNNEL},
      {UPLINK, {TCP, WORLD, N1, 1000, NODE_PORT, ACK, .seq = 11, .payload = 10}, TUNNEL},
      {UPLINK, {TCP, WORLD, N1, 1000, NODE_PORT, ACK, .seq = 1, .payload = 10}, TUNNEL},
      {UPLINK, {TCP, WORLD, N1, 1000, NODE_PORT, ACK, .seq = 21, .payload = 10}, TUNNEL}},
     says_one_way},
    {"direct return: a beginning that only comes again lives a minute",
     BOTH,
     to_r,
     {{UPLINK, SYN_WORLD, TUNNEL}, {UPLINK, SYN_WORLD, TUNNEL}},
     lives_a_minute},
    {NULL},
};
