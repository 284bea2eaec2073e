/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases: every form that a verdict has in BPF maps policy and port, and that each refusal carries its cause
 * by number: the policy set whose default it is, or the rule. The names begin with the ids of the behaviour
 * that they show.
 */
#include "cases.h"

#include <netinet/in.h>

#define SET   100u
#define OPEN  (SET_OPEN | 100u)
#define PORTS 200u
#define RULE  300u
#define DENY  400u

/* b is isolated; what a may send is PORTS. */
static void b_takes_ports(void)
{
	set_pod("b", SET, 0);
	set_policy(SET, CLASS_A, PORTS, 0);
}

static void b_denies_a(void)
{
	set_pod("b", SET, 0);
	set_policy(SET, CLASS_A, PORTSET_NONE, DENY);
	set_policy(SET, CLASS_R, PORTSET_ALL, RULE);
}

static void a_denies_b(void)
{
	set_pod("a", 0, OPEN);
	set_policy(OPEN, CLASS_B, PORTSET_NONE, DENY);
}

static void b_denies_by_default(void)
{
	set_pod("b", SET, 0);
	set_policy(SET, CLASS_A, PORTSET_NONE, RULE_NONE);
}

static void b_takes_one(void)
{
	set_pod("b", SET, 0);
	set_policy_one(SET, CLASS_A, IPPROTO_TCP, 80, RULE);
}

static void b_takes_one_sctp(void)
{
	set_pod("b", SET, 0);
	set_policy_one(SET, CLASS_A, IPPROTO_SCTP, 80, RULE);
}

static void b_open(void)
{
	set_pod("b", OPEN, 0);
	set_policy(OPEN, CLASS_A, PORTS, 0);
	set_port(PORTS, PORT_LEN(16), IPPROTO_TCP, 22, VERDICT_DENY, DENY);
	set_policy_one(OPEN, CLASS_R, IPPROTO_TCP, 80, RULE);
}

static void b_takes_several(void)
{
	b_takes_ports();
	set_port(PORTS, PORT_LEN(16), IPPROTO_TCP, 80, VERDICT_ALLOW, RULE);
	set_port(PORTS, PORT_LEN(16), IPPROTO_UDP, 53, VERDICT_ALLOW, RULE);
	set_port(PORTS, PORT_LEN(16), IPPROTO_SCTP, 9, VERDICT_ALLOW, RULE);
}

static void b_takes_by_peer(void)
{
	b_takes_ports();
	set_port(PORTS, PORT_LEN(16), IPPROTO_TCP, 80, VERDICT_ALLOW, RULE);
	set_policy(SET, CLASS_NET, PORTS + 1, 0);
	set_port(PORTS + 1, PORT_LEN(16), IPPROTO_TCP, 81, VERDICT_ALLOW, RULE + 1);
	if (run_v6)
		set_block("2001:db8:51::", 64, CLASS_NET);
	else
		set_block("198.51.100.0", 24, CLASS_NET);
}

/* One element of each length; each holds a range that no other one decides. */
static void b_takes_every_length(void)
{
	b_takes_ports();
	for (uint32_t bits = 1; bits <= 16; bits++)
		set_port(PORTS, PORT_LEN(bits), IPPROTO_TCP, (uint16_t)(0x10000u >> bits), VERDICT_ALLOW,
			 RULE);
}

/* Nested: all TCP, of it 8000 to 8191 refused, of it 8080 allowed again; any other protocol refused. */
static void b_takes_nested(void)
{
	b_takes_ports();
	set_port(PORTS, PORT_LEN_ANY, 0, 0, VERDICT_DENY, DENY);
	set_port(PORTS, PORT_LEN(0), IPPROTO_TCP, 0, VERDICT_ALLOW, RULE);
	set_port(PORTS, PORT_LEN(9), IPPROTO_TCP, 8064, VERDICT_DENY, DENY + 1);
	set_port(PORTS, PORT_LEN(16), IPPROTO_TCP, 8080, VERDICT_ALLOW, RULE + 1);
	set_port(PORTS, PORT_LEN(16), IPPROTO_TCP, 8081, VERDICT_DENY, RULE_NONE);
}

/* 1 to 65535: 16 elements. */
static void b_takes_1_to_65535(void)
{
	b_takes_ports();
	for (uint32_t bits = 1; bits <= 16; bits++)
		set_port(PORTS, PORT_LEN(bits), IPPROTO_UDP, (uint16_t)(1u << (16 - bits)), VERDICT_ALLOW,
			 RULE);
}

static void b_takes_all_protocols(void)
{
	b_takes_ports();
	set_port(PORTS, PORT_LEN_ANY, 0, 0, VERDICT_ALLOW, RULE);
}

/* The sender's cluster policy accepts, the receiver's denies. */
static void accept_and_deny(void)
{
	set_pod("a", 0, OPEN);
	set_policy(OPEN, CLASS_B, PORTSET_ALL, RULE);
	set_pod("b", OPEN + 1, 0);
	set_policy(OPEN + 1, CLASS_A, PORTSET_NONE, DENY);
}

/* b's cluster policies accept TCP 80 from a; a takes nothing itself. */
static void accepted_both_isolated(void)
{
	set_pod("a", SET, 0);
	set_pod("b", 0, SET + 1);
	set_policy(SET, CLASS_N1, PORTSET_NONE, DENY);
	set_pod("b", OPEN, SET + 1);
	set_policy(OPEN, CLASS_A, PORTSET_ALL, RULE);
}

static void fragments_denied(void)
{
	b_takes_ports();
	set_port(PORTS, PORT_LEN(16), IPPROTO_UDP, 53, VERDICT_ALLOW, RULE);
	set_port(PORTS, PORT_LEN(16), IPPROTO_UDP, 99, VERDICT_DENY, DENY);
}

static void group_is_a_block(void)
{
	set_pod("a", 0, SET);
	if (run_v6)
		set_block("ff00::", 8, CLASS_NET);
	else
		set_block("224.0.0.0", 4, CLASS_NET);
	set_policy_one(SET, CLASS_NET, IPPROTO_UDP, 5353, RULE);
}

static void group_is_none(void)
{
	set_pod("a", 0, SET);
}

/* a's service leads to a; a cluster policy denies that at the one or the other end. */
static void self_denied_egress(void)
{
	set_pod("a", OPEN, OPEN + 1);
	set_pod_flags("a", ENDPOINT_SELF);
	set_policy(OPEN + 1, run_v6 ? CLASS_SELF6 : CLASS_SELF, PORTSET_NONE, DENY);
	set_service(here(VIP), 80, IPPROTO_TCP, 0, 64, run_v6 ? "fd00:1::5 8080" : "10.1.0.5 8080");
}

static void self_denied_ingress(void)
{
	self_denied_egress();
	set_policy(OPEN + 1, run_v6 ? CLASS_SELF6 : CLASS_SELF, PORTS, 0);
	set_port(PORTS, PORT_LEN(16), IPPROTO_TCP, 8080, VERDICT_ALLOW, RULE);
	set_policy(OPEN, run_v6 ? CLASS_SELF6 : CLASS_SELF, PORTSET_NONE, DENY + 1);
}

static void self_allowed(void)
{
	self_denied_ingress();
	set_policy(OPEN, run_v6 ? CLASS_SELF6 : CLASS_SELF, PORTSET_ALL, RULE);
}

static int rule_written(uint32_t egress, uint32_t ingress)
{
	const struct bpf_map *map = run_v6 ? world->maps.half6 : world->maps.half4;
	struct conn_value v;
	uint8_t key[40];

	if (bpf_map_get_next_key(bpf_map__fd(map), NULL, key) ||
	    bpf_map_lookup_elem(bpf_map__fd(map), key, &v))
		return must_be("connections", 0, 1);
	return must_be("egress rule", v.rule_egress, egress) |
	       must_be("ingress rule", v.rule_ingress, ingress);
}

static int one_is_written(void)
{
	return rule_written(0, RULE);
}

#define NO_RULE(set)  DROPPED, DROP_POLICY_INGRESS, IF_B, (set)
#define BY_RULE(rule) DROPPED, DROP_DENY_INGRESS, IF_B, (rule)

const struct bpf_case port_cases[] = {
    {"CN01 a rule denies every protocol, and is named",
     BOTH,
     b_denies_a,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, BY_RULE(DENY)},
      {FROM_A, {UDP, A, B, 1000, 53}, BY_RULE(DENY)},
      {FROM_A, {SCTP, A, B, 1000, 9}, BY_RULE(DENY)},
      {FROM_A, {PING, A, B, 1}, BY_RULE(DENY)},
      {FROM_A, {GRE, A, B}, BY_RULE(DENY)},
      {UPLINK, {TCP, WORLD, B, 1000, 80, SYN}, NO_RULE(SET)}}},
    {"CN01 a rule denies at the sender, and is named",
     BOTH,
     a_denies_b,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, DROPPED, DROP_DENY_EGRESS, IF_A, DENY},
      {FROM_A, {PING, A, B, 1}, DROPPED, DROP_DENY_EGRESS, IF_A, DENY},
      {FROM_A, {TCP, A, R, 1000, 80, SYN}, TUNNEL}}},
    {"denied by no rule is the set's default",
     BOTH,
     b_denies_by_default,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, NO_RULE(SET)}}},
    {"NP46 NP60 one protocol and port, written in one element",
     BOTH,
     b_takes_one,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 81, SYN}, NO_RULE(SET)},
      {FROM_A, {UDP, A, B, 1000, 80}, NO_RULE(SET)},
      {FROM_A, {SCTP, A, B, 1000, 80}, NO_RULE(SET)},
      {FROM_A, {PING, A, B, 80}, NO_RULE(SET)},
      {FROM_A, {GRE, A, B}, NO_RULE(SET)}},
     one_is_written},
    {"NP47 SCTP 80 opens SCTP 80 alone, and the pod is isolated",
     BOTH,
     b_takes_one_sctp,
     {{FROM_A, {SCTP, A, B, 1000, 80}, POD},
      {FROM_B, {SCTP, B, A, 80, 1000}, POD},
      {FROM_A, {SCTP, A, B, 1000, 81}, NO_RULE(SET)},
      {FROM_A, {TCP, A, B, 1000, 80, SYN}, NO_RULE(SET)},
      {FROM_A, {UDP, A, B, 1000, 80}, NO_RULE(SET)}}},
    {"CN07 under cluster policies alone what no rule decides is allowed",
     BOTH,
     b_open,
     {{FROM_A, {TCP, A, B, 1000, 22, SYN}, BY_RULE(DENY)},
      {FROM_A, {TCP, A, B, 1000, 23, SYN}, POD},
      {FROM_A, {UDP, A, B, 1000, 22}, POD},
      {FROM_A, {PING, A, B, 22}, POD},
      {UPLINK, {TCP, WORLD, B, 1000, 80, SYN}, POD},
      {TO_B, {TCP, R, B, 1000, 80, SYN}, STACK},
      {TO_B, {TCP, R, B, 1000, 81, SYN}, STACK}}},
    {"NP48 several ports are each open, and no other",
     BOTH,
     b_takes_several,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, POD},
      {FROM_A, {UDP, A, B, 1000, 53}, POD},
      {FROM_A, {SCTP, A, B, 1000, 9}, POD},
      {FROM_A, {TCP, A, B, 1000, 53, SYN}, NO_RULE(SET)},
      {FROM_A, {UDP, A, B, 1000, 9}, NO_RULE(SET)},
      {FROM_A, {SCTP, A, B, 1000, 80}, NO_RULE(SET)},
      {UPLINK, {TCP, WORLD, B, 1000, 80, SYN}, NO_RULE(SET)}}},
    {"NP49 no peer gains the ports of another",
     BOTH,
     b_takes_by_peer,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 81, SYN}, NO_RULE(SET)},
      {UPLINK, {TCP, WORLD, B, 1000, 81, SYN}, POD},
      {UPLINK, {TCP, WORLD, B, 1000, 80, SYN}, NO_RULE(SET)}}},
    {"NP58 ranges of every length hold both their bounds",
     BOTH,
     b_takes_every_length,
     {{FROM_A, {TCP, A, B, 1000, 0x8000, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 0xffff, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 0x7fff, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 0x4000, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 0x0100, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 0x01ff, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 3, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 2, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 1, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 0, SYN}, NO_RULE(SET)},
      {FROM_A, {UDP, A, B, 1000, 0x8000}, NO_RULE(SET)}}},
    {"CN01 the narrowest element decides, whether it allows or denies",
     BOTH,
     b_takes_nested,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 8063, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 8064, SYN}, BY_RULE(DENY + 1)},
      {FROM_A, {TCP, A, B, 1000, 8191, SYN}, BY_RULE(DENY + 1)},
      {FROM_A, {TCP, A, B, 1000, 8192, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 8080, SYN}, POD},
      {FROM_A, {TCP, A, B, 1000, 8081, SYN}, NO_RULE(SET)},
      {FROM_A, {UDP, A, B, 1000, 80}, BY_RULE(DENY)},
      {FROM_A, {PING, A, B, 1}, BY_RULE(DENY)},
      {FROM_A, {GRE, A, B}, BY_RULE(DENY)}}},
    {"NP59 1 to 65535 in 16 elements",
     BOTH,
     b_takes_1_to_65535,
     {{FROM_A, {UDP, A, B, 1000, 1}, POD},
      {FROM_A, {UDP, A, B, 1000, 65535}, POD},
      {FROM_A, {UDP, A, B, 1000, 0}, NO_RULE(SET)},
      {FROM_A, {TCP, A, B, 1000, 1, SYN}, NO_RULE(SET)}}},
    {"NP43 NP70 NP75 without ports: every protocol",
     BOTH,
     b_takes_all_protocols,
     {{FROM_A, {TCP, A, B, 1000, 0, SYN}, POD},
      {FROM_A, {UDP, A, B, 1000, 65535}, POD},
      {FROM_A, {SCTP, A, B, 1000, 7}, POD},
      {FROM_A, {PING, A, B, 1}, POD},
      {FROM_A, {GRE, A, B}, POD},
      {UPLINK, {PING, WORLD, B, 1}, NO_RULE(SET)}}},
    {"CN08 accepted at the sender, denied at the receiver: denied",
     BOTH,
     accept_and_deny,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, BY_RULE(DENY)}, {FROM_A, {PING, A, B, 1}, BY_RULE(DENY)}}},
    {"CN09 NP65 NP71 what is accepted is answered, by ICMP errors too, with no rule for the way back",
     BOTH,
     accepted_both_isolated,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, POD},
      {FROM_B, {TCP, B, A, 80, 1000, SYNACK}, POD},
      {FROM_A, {UDP, A, B, 1000, 53, .payload = 8}, POD},
      {FROM_B,
       {ICMP_ERROR, B, A, .icmp_type = 3, .icmp_code = 3,
	.inner = &(const struct spec){UDP, A, B, 1000, 53, .ttl = 63, .payload = 8}},
       POD},
      {FROM_A, {PING, A, B, 7}, POD},
      {FROM_B, {PONG, B, A, 7}, POD},
      {FROM_B, {PONG, B, A, 8}, DROPPED, DROP_POLICY_EGRESS, IF_B, SET + 1},
      {FROM_B, {TCP, B, A, 80, 1001, SYN}, DROPPED, DROP_POLICY_EGRESS, IF_B, SET + 1}}},
    {"NP73 fragments of what a rule denies carry its number",
     BOTH,
     fragments_denied,
     {{FROM_A, {UDP, A, B, 1000, 53, .payload = 200, .fragment_id = 7, .fragment_more = 1}, POD},
      {FROM_A, {UDP, A, B, 1000, 53, .payload = 200, .fragment_id = 7, .fragment_at = 64}, POD},
      {FROM_A, {UDP, A, B, 1000, 99, .payload = 200, .fragment_id = 8, .fragment_more = 1}, BY_RULE(DENY)},
      {FROM_A, {UDP, A, B, 1000, 99, .payload = 200, .fragment_id = 8, .fragment_at = 64}, BY_RULE(DENY)},
      {FROM_A, {UDP, A, B, 1000, 98, .payload = 200, .fragment_id = 9, .fragment_more = 1}, NO_RULE(SET)}}},
    {"NP76 multicast of an isolated pod passes by its block",
     BOTH,
     group_is_a_block,
     {{FROM_A, {UDP, A, GROUP, 1000, 5353}, STACK},
      {FROM_A, {UDP, A, GROUP, 1000, 5354}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET}}},
    {"NP76 and without one it is dropped",
     BOTH,
     group_is_none,
     {{FROM_A, {UDP, A, GROUP, 1000, 5353}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET}}},
    {"CN18 a cluster policy denies the pod that reaches itself through its service",
     BOTH,
     self_denied_egress,
     {{FROM_A, {TCP, A, VIP, 40001, 80, SYN}, DROPPED, DROP_DENY_EGRESS, IF_A, DENY},
      {FROM_A, {TCP, A, A, 40001, 8080, SYN}, POD}}},
    {"CN18 at its ingress as well",
     BOTH,
     self_denied_ingress,
     {{FROM_A, {TCP, A, VIP, 40001, 80, SYN}, DROPPED, DROP_DENY_INGRESS, IF_A, DENY + 1}}},
    {"CN18 NP64 and it passes where no rule denies",
     BOTH,
     self_allowed,
     {{FROM_A,
       {TCP, A, VIP, 40001, 80, SYN},
       POD,
       .out = {TCP, N1, A, 40001, 8080, SYN, .dmac = MAC_A, .smac = MAC_GW}}}},
    {NULL},
};
