/* SPDX-License-Identifier: Apache-2.0 */
/* Cases: policy. The names begin with the ids of the behaviour that they show. */
#include "cases.h"

#include <netinet/in.h>

#define SET   100u
#define PORTS 200u
#define RULE  300u

/* b takes only TCP 80 from a. */
static void b_takes_80_from_a(void)
{
	set_pod("b", SET, 0);
	set_policy(SET, CLASS_A, PORTS, 0);
	set_port(PORTS, PORT_LEN(16), IPPROTO_TCP, 80, VERDICT_ALLOW, RULE);
}

static void b_takes_nothing(void)
{
	set_pod("b", SET, 0);
}

static void a_sends_nothing(void)
{
	set_pod("a", 0, SET);
}

static void a_isolated(void)
{
	set_pod("a", SET, SET + 1);
}

/* a is isolated both ways and may only send UDP 53 to b. */
static void a_sends_53_to_b(void)
{
	a_isolated();
	set_policy(SET + 1, CLASS_B, PORTS, 0);
	set_port(PORTS, PORT_LEN(16), IPPROTO_UDP, 53, VERDICT_ALLOW, RULE);
}

static void a_sends_all_to_b(void)
{
	a_isolated();
	set_policy(SET + 1, CLASS_B, PORTSET_ALL, RULE);
}

/* Every port of every protocol by an element of 32 bits, but TCP 22. */
static void b_takes_all_but_22(void)
{
	set_pod("b", SET, 0);
	set_policy(SET, CLASS_A, PORTS, 0);
	set_port(PORTS, PORT_LEN_ANY, 0, 0, VERDICT_ALLOW, RULE);
	set_port(PORTS, PORT_LEN(16), IPPROTO_TCP, 22, VERDICT_DENY, RULE + 1);
}

static void b_takes_any_udp(void)
{
	set_pod("b", SET, 0);
	set_policy(SET, CLASS_A, PORTS, 0);
	set_port(PORTS, PORT_LEN(0), IPPROTO_UDP, 0, VERDICT_ALLOW, RULE);
}

/* An element for all "ports" of a protocol that has none, which the planner never writes, opens nothing. */
static void b_takes_icmp_ports(void)
{
	set_pod("b", SET, 0);
	set_policy(SET, CLASS_A, PORTS, 0);
	set_port(PORTS, PORT_LEN(0), IPPROTO_ICMP, 0, VERDICT_ALLOW, RULE);
	set_port(PORTS, PORT_LEN(0), IPPROTO_ICMPV6, 0, VERDICT_ALLOW, RULE);
}

/* TCP 8000 to 8003 as one prefix. */
static void b_takes_a_range(void)
{
	set_pod("b", SET, 0);
	set_policy(SET, CLASS_A, PORTS, 0);
	set_port(PORTS, PORT_LEN(14), IPPROTO_TCP, 8000, VERDICT_ALLOW, RULE);
}

static void world_blocks(void)
{
	if (run_v6) {
		set_block("2001:db8:51::", 64, CLASS_NET);
		set_block("2001:db8:51::a", 128, CLASS_NET + 1);
	} else {
		set_block("198.51.100.0", 24, CLASS_NET);
		set_block("198.51.100.10", 32, CLASS_NET + 1);
	}
	set_pod("a", 0, SET);
	set_policy(SET, CLASS_NET, PORTSET_ALL, RULE);
}

static void world_blocks_in_trie(void)
{
	set_trie();
	world_blocks();
}

/* Everything of the other family. */
static void other_family_block(void)
{
	if (run_v6)
		set_block("0.0.0.0", 0, CLASS_NET);
	else
		set_block("::", 0, CLASS_NET);
	set_pod("a", 0, SET);
	set_policy(SET, CLASS_NET, PORTSET_ALL, RULE);
}

static void other_family_block_in_trie(void)
{
	set_trie();
	if (run_v6)
		return; /* ::/0 covers an IPv6 address rightly */
	other_family_block();
}

static void own_family_block(void)
{
	set_block(run_v6 ? "::" : "0.0.0.0", 0, CLASS_NET);
	set_pod("a", 0, SET);
	set_policy(SET, CLASS_NET, PORTSET_ALL, RULE);
}

static void service_to_itself(void)
{
	a_isolated();
	set_service(here(VIP), 80, IPPROTO_TCP, 0, 64, run_v6 ? "fd00:1::5 8080" : "10.1.0.5 8080");
}

static void two_seconds_later(void)
{
	age_all(2);
	b_takes_nothing();
}

static int rules_are_written(void)
{
	struct conn_value v;
	uint8_t key[40];
	const struct bpf_map *map = run_v6 ? world->maps.half6 : world->maps.half4;

	if (bpf_map_get_next_key(bpf_map__fd(map), NULL, key) ||
	    bpf_map_lookup_elem(bpf_map__fd(map), key, &v))
		return must_be("connections", 0, 1);
	return must_be("ingress rule", v.rule_ingress, RULE) | must_be("egress rule", v.rule_egress, 0);
}

static int node_rule_is_written(void)
{
	struct conn_value v;
	uint8_t key[40];
	const struct bpf_map *map = run_v6 ? world->maps.conn6 : world->maps.conn4;

	if (bpf_map_get_next_key(bpf_map__fd(map), NULL, key) ||
	    bpf_map_lookup_elem(bpf_map__fd(map), key, &v))
		return must_be("connections", 0, 1);
	return must_be("ingress rule", v.rule_ingress, RULE_NODE) |
	       must_be("packets back", v.back.packets, 1);
}

#define TCP_A_B	   TCP, A, B, 1000, 80
#define TCP_B_A	   TCP, B, A, 80, 1000
#define BIG_UDP	   UDP, A, B, 1000, 53, .payload = 200, .fragment_id = 7
#define DENIED_UDP UDP, A, B, 1000, 99, .payload = 200, .fragment_id = 8

static const struct spec a_to_r = {UDP, A, R, 1000, 53, .payload = 8};
static const struct spec b_to_a = {UDP, B, A, 80, 1000, .payload = 8};

static void a_isolated_after(void)
{
	a_isolated();
}

const struct bpf_case policy_cases[] = {
    {"NP01 NP02 nobody reaches an isolated pod, which sends freely",
     BOTH,
     b_takes_nothing,
     {{FROM_A, {TCP_A_B, SYN}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET},
      {FROM_A, {UDP, A, B, 1000, 53}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET},
      {FROM_A, {PING, A, B, 1}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET},
      {UPLINK, {TCP, WORLD, B, 1000, 80, SYN}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET},
      {FROM_B, {TCP, B, A, 1001, 80, SYN}, POD},
      {FROM_B, {UDP, B, R, 1000, 53}, TUNNEL}}},
    {"NP07 no egress at all",
     BOTH,
     a_sends_nothing,
     {{FROM_A, {TCP_A_B, SYN}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET},
      {FROM_A, {UDP, A, R, 1000, 53}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET},
      {FROM_A, {PING, A, WORLD, 1}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET},
      {FROM_A, {UDP, A, N1, 1000, 53}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET},
      {FROM_B, {TCP, B, A, 1000, 80, SYN}, POD}}},
    {"NP09 the rule of the receiver names port and protocol",
     BOTH,
     b_takes_80_from_a,
     {{FROM_A, {TCP_A_B, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 81, SYN}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET}},
     rules_are_written},
    {"NP46 a rule for TCP opens neither UDP nor SCTP",
     BOTH,
     b_takes_80_from_a,
     {{FROM_A, {UDP, A, B, 1000, 80}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET},
      {FROM_A, {SCTP, A, B, 1000, 80}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET}}},
    {"NP45 all ports of one protocol",
     BOTH,
     b_takes_any_udp,
     {{FROM_A, {UDP, A, B, 1000, 1}, POD},
      {FROM_A, {UDP, A, B, 1000, 65535}, POD},
      {FROM_A, {TCP_A_B, SYN}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET}}},
    {"NP56 NP58 a range holds both its bounds and no more",
     BOTH,
     b_takes_a_range,
     {{FROM_A, {TCP, A, B, 1000, 7999, SYN}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET},
      {FROM_A, {TCP, A, B, 1000, 8000, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 8003, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 8004, SYN}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET}}},
    {"NP61 the node's own sockets get in, default deny included",
     BOTH,
     b_takes_nothing,
     {{TO_B, {TCP, N1, B, 1000, 80, SYN}, STACK},
      {FROM_B, {TCP, B, N1, 80, 1000, SYNACK}, STACK},
      {TO_B, {TCP, N1, B, 1000, 80, ACK}, STACK},
      {TO_B, {UDP, N1, B, 1000, 80}, STACK},
      {TO_B, {PING, N1, B, 1}, STACK},
      {TO_B, {TCP, N2, B, 1000, 80, SYN}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET},
      {TO_B, {TCP, WORLD, B, 1000, 80, SYN}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET}},
     node_rule_is_written},
    {"NP62 probes are answered under default-deny egress",
     BOTH,
     a_isolated,
     {{TO_A, {TCP, N1, A, 1000, 80, SYN}, STACK},
      {FROM_A, {TCP, A, N1, 80, 1000, SYNACK}, STACK},
      {TO_A, {TCP, N1, A, 1000, 80, ACK}, STACK},
      {FROM_A, {TCP, A, N1, 1000, 80, SYN}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET + 1}}},
    {"NP63 a pod reaches itself whatever the policies",
     BOTH,
     a_isolated,
     {{FROM_A, {TCP, A, A, 1000, 80, SYN}, POD},
      {FROM_A, {UDP, A, A, 1000, 53}, POD},
      {FROM_A, {PING, A, A, 1}, POD}}},
    {"NP64 SV48 a pod reaches itself through its service, and is answered by it",
     BOTH,
     service_to_itself,
     {{FROM_A,
       {TCP, A, VIP, 40001, 80, SYN},
       POD,
       .out = {TCP, N1, A, 40001, 8080, SYN, .dmac = MAC_A, .smac = MAC_GW}},
      {FROM_A, {TCP, A, N1, 8080, 40001, SYNACK}, POD, .out = {TCP, VIP, A, 80, 40001, SYNACK}},
      {FROM_A, {TCP, A, VIP, 40001, 80, ACK}, POD, .out = {TCP, N1, A, 40001, 8080, ACK}}}},
    {"NP65 replies need no rule",
     BOTH,
     b_takes_80_from_a,
     {{FROM_A, {TCP_A_B, SYN}, POD},
      {FROM_B, {TCP_B_A, SYNACK}, POD, .before = a_isolated_after},
      {FROM_A, {TCP_A_B, ACK}, POD},
      {FROM_B, {TCP_B_A, ACK, .payload = 50}, POD},
      {FROM_B, {TCP, B, A, 81, 1000, SYNACK}, DROPPED, DROP_POLICY_INGRESS, IF_A, SET}}},
    {"NP67 a one-way sender that is denied is cut",
     BOTH,
     NULL,
     {{FROM_A, {UDP, A, B, 1000, 53}, POD},
      {FROM_A, {UDP, A, B, 1000, 53}, POD},
      {FROM_A, {UDP, A, B, 1000, 53}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET, .before = two_seconds_later},
      {FROM_A, {UDP, A, B, 1000, 53}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET}}},
    {"a SYN is judged even where the connection is known",
     BOTH,
     NULL,
     {{FROM_A, {TCP_A_B, SYN}, POD},
      {FROM_B, {TCP_B_A, SYNACK}, POD},
      {FROM_A, {TCP_A_B, ACK}, POD},
      {FROM_A, {TCP_A_B, ACK}, POD, .before = b_takes_nothing},
      {FROM_A, {TCP_A_B, SYN}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET}}},
    {"NP70 NP75 other protocols pass only where no port is asked for",
     BOTH,
     b_takes_all_but_22,
     {{FROM_A, {PING, A, B, 1}, POD},
      {FROM_A, {GRE, A, B}, POD},
      {FROM_A, {TCP_A_B, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 22, SYN}, DROPPED, DROP_DENY_INGRESS, IF_B, RULE + 1}}},
    {"NP70 NP75 a rule with ports opens no other protocol",
     BOTH,
     b_takes_80_from_a,
     {{FROM_A, {PING, A, B, 1}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET},
      {FROM_A, {GRE, A, B}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET}}},
    {"NP75 nor does a port of ICMP",
     BOTH,
     b_takes_icmp_ports,
     {{FROM_A, {PING, A, B, 1}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET}}},
    {"NP75 a rule without ports opens every protocol",
     BOTH,
     a_sends_all_to_b,
     {{FROM_A, {PING, A, B, 1}, POD},
      {FROM_A, {GRE, A, B}, POD},
      {FROM_A, {SCTP, A, B, 1, 2}, POD},
      {FROM_A, {PING, A, R, 1}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET + 1}}},
    {"NP71 an ICMP error about an allowed flow passes",
     BOTH,
     a_sends_53_to_b,
     {{FROM_A, {UDP, A, B, 1000, 53, .payload = 8}, POD},
      {FROM_B,
       {ICMP_ERROR, B, A, .icmp_type = 3, .icmp_code = 3,
	.inner = &(const struct spec){UDP, A, B, 1000, 53, .ttl = 63, .payload = 8}},
       POD},
      {TO_A,
       {ICMP_ERROR, ROUTER, A, .icmp_type = 3, .icmp_code = 4,
	.inner = &(const struct spec){UDP, A, B, 1000, 53, .ttl = 63, .payload = 8}},
       STACK},
      {FROM_B,
       {ICMP_ERROR, B, A, .icmp_type = 3, .icmp_code = 3,
	.inner = &(const struct spec){UDP, A, B, 1001, 53, .ttl = 63, .payload = 8}},
       DROPPED,
       DROP_POLICY_INGRESS,
       IF_A,
       SET},
      {UPLINK,
       {ICMP_ERROR, ROUTER, A, .icmp_type = 11, .inner = &a_to_r},
       DROPPED,
       DROP_POLICY_INGRESS,
       IF_A,
       SET},
      {FROM_A,
       {ICMP_ERROR, A, B, .icmp_type = 3, .icmp_code = 3, .inner = &b_to_a},
       DROPPED,
       DROP_POLICY_EGRESS,
       IF_A,
       SET + 1}}},
    {"NP72 neighbour discovery and router messages are never dropped",
     ONLY_V6,
     a_isolated,
     {{FROM_A, {ND, "fe80::5", "ff02::1:ff00:1", .icmp_type = 135, .payload = 16}, STACK},
      {FROM_A, {ND, "fd00:1::5", "fe80::1", .icmp_type = 136, .payload = 16}, STACK},
      {FROM_A, {ND, "::", "ff02::2", .icmp_type = 133}, STACK},
      {TO_A, {ND, "fe80::1", "fe80::5", .icmp_type = 135, .payload = 16}, STACK},
      {TO_A, {ND, "fe80::1", "ff02::1", .icmp_type = 134, .payload = 8}, STACK},
      {UPLINK, {ND, "fe80::9", "ff02::1", .icmp_type = 135, .payload = 16}, STACK},
      {FROM_A, {ND, "fe80::5", "ff02::16", .icmp_type = 143, .payload = 16}, STACK}}},
    {"NP73 later fragments go with their first one",
     BOTH,
     a_sends_53_to_b,
     {{FROM_A, {BIG_UDP, .fragment_more = 1}, POD},
      {FROM_A, {BIG_UDP, .fragment_at = 64, .fragment_more = 1}, POD},
      {FROM_A, {BIG_UDP, .fragment_at = 128}, POD},
      {FROM_A, {DENIED_UDP, .fragment_more = 1}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET + 1},
      {FROM_A, {DENIED_UDP, .fragment_at = 64}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET + 1},
      {FROM_A,
       {UDP, A, B, 1000, 53, .payload = 200, .fragment_id = 9, .fragment_at = 64},
       DROPPED,
       DROP_FRAGMENT,
       IF_A}}},
    {"NP35 NP36 the longest block decides",
     BOTH,
     world_blocks,
     {{FROM_A, {TCP, A, WORLD, 40001, 80, SYN}, OUT, .out = {TCP, N1, WORLD, 40001, 80, SYN}},
      {FROM_A, {TCP, A, WORLD2, 40001, 80, SYN}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET},
      {FROM_A, {TCP, A, ROUTER, 40001, 80, SYN}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET}}},
    {"NP35 NP36 the longest block decides, in the trie",
     BOTH,
     world_blocks_in_trie,
     {{FROM_A, {TCP, A, WORLD, 40001, 80, SYN}, OUT, .out = {TCP, N1, WORLD, 40001, 80, SYN}},
      {FROM_A, {TCP, A, WORLD2, 40001, 80, SYN}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET},
      {FROM_A, {TCP, A, ROUTER, 40001, 80, SYN}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET}}},
    {"NP38 everything of one family is nothing of the other",
     BOTH,
     other_family_block,
     {{FROM_A, {TCP, A, WORLD, 40001, 80, SYN}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET}}},
    {"NP38 nor in the trie",
     ONLY_V4,
     other_family_block_in_trie,
     {{FROM_A, {TCP, A, WORLD, 40001, 80, SYN}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET}}},
    {"NP38 and everything of its own",
     BOTH,
     own_family_block,
     {{FROM_A, {TCP, A, WORLD, 40001, 80, SYN}, OUT, .out = {TCP, N1, WORLD, 40001, 80, SYN}}}},
    {"NP76 multicast of an isolated pod is dropped",
     ONLY_V4,
     a_isolated,
     {{FROM_A, {UDP, A, "239.1.2.3", 1000, 5353}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET + 1}}},
    {NULL},
};
