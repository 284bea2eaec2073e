/* SPDX-License-Identifier: Apache-2.0 */
/* Cases: the way of a packet without policy or translation, and what is refused because of how it looks. */
#include "cases.h"

#include <stdio.h>

#include <string.h>

static void routes_mode(void)
{
	set_mode(MODE_ROUTES);
}

static void pod_a_unwired(void)
{
	uint32_t key = IF_A;

	bpf_map_delete_elem(bpf_map__fd(world->maps.iface), &key);
}

static void node2_without_address(void)
{
	uint32_t two = 2;

	bpf_map_delete_elem(bpf_map__fd(world->maps.node), &two);
}

static void pod_b_gone(void)
{
	remove_pod("b");
}

static void a_loses_all(void)
{
	set_fault(IF_A, 1000000);
}

static void uplink_loses_all(void)
{
	set_fault(0, 1000000);
}

/* The flag is off again: elements alone do nothing. */
static void faults_over(void)
{
	struct config_value *c = config_now();

	c->flags &= ~CONFIG_FAULTS;
	config_put(c);
}

static void a_loses_some(void)
{
	set_fault(IF_A, 250000);
}

static int a_quarter_is_lost(void)
{
	uint64_t lost;
	struct run r;

	for (int i = 0; i < 2000; i++) {
		struct spec s = {UDP, here(A), here(B), 1000, 53};
		uint8_t frame[PACKET_MAX];

		if (world_run(world->progs.weft_from_pod, IF_A, frame, packet_build(&s, frame), 0, 1, &r))
			return 1;
	}
	lost = read_drops(IF_A, DROP_FAULT, DIR_FROM_POD, 0);
	if (lost > 400 && lost < 600)
		return 0;
	printf("# %llu of 2000 were lost\n", (unsigned long long)lost);
	return 1;
}

static int lost_at_a(void)
{
	return must_be("lost to a", read_drops(IF_A, DROP_FAULT, DIR_TO_POD, 0), 3);
}

#define LOST(judged) DROPPED, DROP_FAULT, (judged)

static const struct spec to_gone = {UDP, A, GONE, 1000, 80}, to_b = {UDP, A, B, 1000, 53};
#define UNREACHABLE(from, about)                                                                             \
	{                                                                                                    \
		ICMP_ERROR, from, A, .icmp_type = 3, .icmp_code = 3, .inner = &(about), .dont_fragment = 1   \
	}

const struct bpf_case path_cases[] = {
    {"to a pod of this node: one hop less, its MAC, ours as sender",
     BOTH,
     NULL,
     {{FROM_A,
       {TCP, A, B, 1000, 80, SYN},
       POD,
       .out = {TCP, A, B, 1000, 80, SYN, .dmac = MAC_B, .smac = MAC_GW}},
      {FROM_B,
       {TCP, B, A, 80, 1000, SYNACK},
       POD,
       .out = {TCP, B, A, 80, 1000, SYNACK, .dmac = MAC_A, .smac = MAC_GW}},
      {FROM_A, {UDP, A, B, 1000, 53, .payload = 100}, POD},
      {FROM_A, {PING, A, B, 77, .payload = 56}, POD},
      {FROM_B, {PONG, B, A, 77, .payload = 56}, POD},
      {FROM_A, {SCTP, A, B, 1000, 80}, POD},
      {FROM_A, {GRE, A, B}, POD}}},
    {"to a pod of another node: into the tunnel",
     BOTH,
     NULL,
     {{FROM_A, {TCP, A, R, 1000, 80, SYN}, TUNNEL},
      {FROM_A, {UDP, A, R, 1000, 53}, TUNNEL},
      {FROM_A, {PING, A, R, 5}, TUNNEL}}},
    {"to a pod of another node with routes: out of the uplink",
     BOTH,
     routes_mode,
     {{FROM_A, {TCP, A, R, 1000, 80, SYN}, OUT}, {FROM_A, {UDP, A, R, 1000, 53}, OUT}}},
    {"to this node and to another one",
     BOTH,
     NULL,
     {{FROM_A, {TCP, A, N1, 1000, 80, SYN}, STACK}, {FROM_A, {TCP, A, N2, 1000, 80, SYN}, TUNNEL}}},
    {"to the link's other end: the stack", BOTH, NULL, {{FROM_A, {PING, A, LINK, 1}, STACK}}},
    {"the last hop is the stack's, which answers",
     BOTH,
     NULL,
     {{FROM_A, {UDP, A, B, 1000, 53, .ttl = 1}, STACK, .out = {UDP, A, B, 1000, 53, .ttl = 1}},
      {FROM_A, {UDP, A, R, 1000, 53, .ttl = 1}, STACK, .out = {UDP, A, R, 1000, 53, .ttl = 1}},
      {FROM_A, {UDP, A, R, 1000, 53, .ttl = 2}, TUNNEL}}},
    {"too big for the tunnel: the stack answers or cuts",
     BOTH,
     NULL,
     {{FROM_A, {UDP, A, R, 1000, 53, .payload = 1460}, STACK},
      {FROM_A, {UDP, A, R, 1000, 53, .payload = 1400}, TUNNEL},
      {FROM_A, {UDP, A, B, 1000, 53, .payload = 1460}, POD}}},
    {"SV16 an address that no pod has is refused, on whatever node it would be",
     BOTH,
     NULL,
     {{FROM_A, {UDP, A, GONE, 1000, 80}, ANSWERED, DROP_NO_ENDPOINT, IF_A, .out = UNREACHABLE(GONE, to_gone)},
      {FROM_A, {GRE, A, GONE}, REFUSED, DROP_NO_ENDPOINT, IF_A},
      {FROM_A,
       {TCP, A, GONE, 1000, 80, SYN},
       ANSWERED,
       DROP_NO_ENDPOINT,
       IF_A,
       .out = {TCP, GONE, A, 80, 1000, RSTACK, .ack = 1, .dont_fragment = 1, .dmac = MAC_A, .smac = MAC_GW}},
      {FROM_A,
       {TCP, A, GONE2, 1000, 80, SYN},
       ANSWERED,
       DROP_NO_ENDPOINT,
       IF_A,
       .out = {TCP, GONE2, A, 80, 1000, RSTACK, .ack = 1, .dont_fragment = 1}},
      {FROM_A, {PING, A, GONE2, 1}, DROPPED, DROP_NO_ENDPOINT, IF_A},
      {FROM_A,
       {UDP, A, GONE2, 1000, 80, .payload = 200, .fragment_id = 5, .fragment_more = 1},
       DROPPED,
       DROP_NO_ENDPOINT,
       IF_A},
      {UPLINK, {TCP, WORLD, GONE2, 1000, 80, SYN}, STACK}}},
    {"SV16 SV55 a pod that goes is refused at once, with what a connected socket takes for an error",
     BOTH,
     NULL,
     {{FROM_A, {UDP, A, B, 1000, 53}, POD},
      {FROM_A,
       {UDP, A, B, 1000, 53},
       ANSWERED,
       DROP_NO_ENDPOINT,
       IF_A,
       .out = UNREACHABLE(B, to_b),
       .before = pod_b_gone}}},
    {"and so are packets of its open connections",
     BOTH,
     NULL,
     {{FROM_A, {UDP, A, B, 1000, 53}, POD},
      {FROM_B, {UDP, B, A, 53, 1000}, POD},
      {FROM_A, {UDP, A, B, 1000, 53}, POD, .out = {UDP, A, B, 1000, 53, .dmac = MAC_B, .smac = MAC_GW}},
      {FROM_A, {UDP, A, B, 1000, 53}, POD, .out = {UDP, A, B, 1000, 53, .dmac = MAC_B, .smac = MAC_GW}},
      {FROM_A,
       {UDP, A, B, 1000, 53},
       ANSWERED,
       DROP_NO_ENDPOINT,
       IF_A,
       .out = UNREACHABLE(B, to_b),
       .before = pod_b_gone}}},
    {"a node without an address on the underlay",
     BOTH,
     node2_without_address,
     {{FROM_A, {TCP, A, R, 1000, 80, SYN}, DROPPED, DROP_NO_NODE, IF_A}}},
    {"a foreign source is dropped",
     BOTH,
     NULL,
     {{FROM_A, {TCP, B, WORLD, 1000, 80, SYN}, DROPPED, DROP_SPOOFED, IF_A},
      {FROM_A, {UDP, N1, B, 1000, 80}, DROPPED, DROP_SPOOFED, IF_A},
      {FROM_B, {UDP, A, B, 1000, 80}, DROPPED, DROP_SPOOFED, IF_B}}},
    {"a pod whose rules are not in force has no network",
     BOTH,
     pod_a_unwired,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, DROPPED, DROP_NOT_WIRED, IF_A},
      {TO_A, {TCP, N1, A, 1000, 80, SYN}, DROPPED, DROP_NOT_WIRED}}},
    {"ARP is the stack's",
     ONLY_V4,
     NULL,
     {{FROM_A, {ARP}, STACK}, {TO_A, {ARP}, STACK}, {UPLINK, {ARP}, STACK}}},
    {"headers cut short",
     BOTH,
     NULL,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN, .cut = 8}, DROPPED, DROP_MALFORMED, IF_A},
      {FROM_A, {UDP, A, B, 1000, 80, .cut = 4}, DROPPED, DROP_MALFORMED, IF_A},
      {FROM_A, {PING, A, B, 1, .cut = 4}, DROPPED, DROP_MALFORMED, IF_A}}},
    {"an options header comes before the transport",
     ONLY_V6,
     NULL,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN, .hop_by_hop = 1}, POD},
      {FROM_B, {TCP, B, A, 80, 1000, SYNACK}, POD}}},
    {"a TCP header may not be spread over fragments",
     ONLY_V4,
     NULL,
     {{FROM_A,
       {TCP, A, B, 1000, 80, SYN, .payload = 100, .fragment_id = 9, .fragment_at = 8},
       DROPPED,
       DROP_MALFORMED,
       IF_A}}},
    {"from outside to a pod, and back without translation",
     BOTH,
     NULL,
     {{UPLINK,
       {TCP, WORLD, A, 1000, 80, SYN},
       POD,
       .out = {TCP, WORLD, A, 1000, 80, SYN, .dmac = MAC_A, .smac = MAC_GW}},
      {FROM_A, {TCP, A, WORLD, 80, 1000, SYNACK}, OUT},
      {UPLINK, {TCP, WORLD, A, 1000, 80, ACK}, POD}}},
    {"what the uplink leaves to the stack",
     BOTH,
     NULL,
     {{UPLINK, {TCP, WORLD, N1, 1000, 22, SYN}, STACK},
      {UPLINK, {UDP, N2, N1, 5000, 4789, .payload = 50}, STACK},
      {UPLINK, {TCP, WORLD, R, 1000, 22, SYN}, STACK}}},
    {"sources that cannot come from the uplink",
     BOTH,
     NULL,
     {{UPLINK, {TCP, N1, A, 1000, 80, SYN}, DROPPED, DROP_SPOOFED},
      {UPLINK, {TCP, R, A, 1000, 80, SYN}, DROPPED, DROP_SPOOFED},
      {UPLINK, {TCP, B, A, 1000, 80, SYN}, DROPPED, DROP_SPOOFED},
      {UPLINK, {TCP, R, A, 1000, 80, SYN}, POD, .before = routes_mode},
      {UPLINK, {TCP, B, A, 1000, 80, SYN}, DROPPED, DROP_SPOOFED}}},
    {"the stack's own packets into the tunnel",
     BOTH,
     NULL,
     {{TUNNEL_OUT, {TCP, N1, R, 1000, 80, SYN}, STACK},
      {TUNNEL_OUT, {TCP, N1, GONE2, 1000, 80, SYN}, STACK},
      {TUNNEL_OUT, {TCP, N1, WORLD, 1000, 80, SYN}, DROPPED, DROP_NO_NODE}}},
    {"multicast of the tunnel's own device is no drop",
     BOTH,
     NULL,
     {{TUNNEL_OUT, {UDP, N1, GROUP, 1000, 5353}, STACK},
      {TUNNEL_OUT, {PING, N1, GROUP, 1}, STACK},
      {TUNNEL_OUT, {ARP}, DROPPED, DROP_NO_NODE}}},
    {"faults: what a pod sends and gets is lost and counted with it",
     BOTH,
     a_loses_all,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, LOST(IF_A)},
      {FROM_A, {TCP, A, R, 1000, 80, SYN}, LOST(IF_A)},
      {FROM_B, {TCP, B, R, 1000, 80, SYN}, TUNNEL},
      {FROM_B, {TCP, B, A, 1000, 80, SYN}, DROPPED, DROP_FAULT},
      {TO_A, {TCP, N1, A, 1000, 80, SYN}, DROPPED, DROP_FAULT},
      {UPLINK, {TCP, NEAR, A, 1000, 80, SYN}, DROPPED, DROP_FAULT},
      {FROM_A, {TCP, A, B, 1001, 80, SYN}, POD, .before = faults_over}},
     lost_at_a},
    {"faults: at the uplink, for pods and not for the node",
     BOTH,
     uplink_loses_all,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, POD},
      {FROM_A, {TCP, A, R, 1000, 80, SYN}, LOST(IF_A)},
      {FROM_A, {TCP, A, WORLD, 1000, 80, SYN}, LOST(IF_A)},
      {FROM_A, {TCP, A, N1, 1000, 80, SYN}, STACK},
      {UPLINK, {TCP, NEAR, A, 1000, 80, SYN}, DROPPED, DROP_FAULT},
      {UPLINK, {UDP, N2, N1, 1000, 4789}, DROPPED, DROP_FAULT},
      {UPLINK, {TCP, WORLD, N1, 1000, 22, SYN}, STACK}}},
    {"faults: a quarter is a quarter", BOTH, a_loses_some, {{0}}, a_quarter_is_lost},
    {NULL},
};
