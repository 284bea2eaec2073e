/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases: what becomes of connections when policies change (strict or not), what staged policies count, what
 * is forgotten when an address changes its owner, and what weft_ask answers. The names begin with the ids of
 * the behaviour that they show.
 */
#include "cases.h"

#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>

#define SET   100u
#define PORTS 200u
#define RULE  300u
#define DENY  400u

static const struct bpf_map *conns(void)
{
	return run_v6 ? world->maps.conn6 : world->maps.conn4;
}

/* b takes nothing any more, and is strict or not; connections are marked as after a change. */
static void cut_b(void)
{
	set_pod("b", SET, 0);
	set_pod_flags("b", ENDPOINT_STRICT);
	world_gc(GC_RECHECK);
}

static void deny_b_by_rule(void)
{
	set_pod("b", SET_OPEN | SET, 0);
	set_policy(SET_OPEN | SET, CLASS_A, PORTSET_NONE, DENY);
	set_pod_flags("b", ENDPOINT_STRICT);
	world_gc(GC_RECHECK);
}

static void cut_a(void)
{
	set_pod("a", 0, SET);
	set_pod_flags("a", ENDPOINT_STRICT);
	world_gc(GC_RECHECK);
}

static void isolate_b(void)
{
	set_pod("b", SET, 0);
	world_gc(GC_RECHECK);
}

/* Only the other end is strict: its own policies still allow. */
static void isolate_b_strict_a(void)
{
	set_pod_flags("a", ENDPOINT_STRICT);
	isolate_b();
}

static void free_b(void)
{
	set_pod("b", 0, 0);
	world_gc(GC_RECHECK);
}

/* b still takes TCP 80 of a, by another rule. */
static void still_allowed(void)
{
	set_pod("b", SET, SET + 1);
	set_pod("a", SET + 2, 0);
	set_policy(SET, CLASS_A, PORTS, 0);
	set_port(PORTS, PORT_LEN(16), IPPROTO_TCP, 80, VERDICT_ALLOW, RULE);
	set_pod_flags("b", ENDPOINT_STRICT);
	set_pod_flags("a", ENDPOINT_STRICT);
	world_gc(GC_RECHECK);
}

static void cut_a_both_ways(void)
{
	set_pod("a", SET, SET + 1);
	set_pod_flags("a", ENDPOINT_STRICT);
	world_gc(GC_RECHECK);
}

static uint32_t only_flags(void)
{
	struct conn_value v = {};
	uint8_t key[40];

	if (bpf_map_get_next_key(bpf_map__fd(conns()), NULL, key) ||
	    bpf_map_lookup_elem(bpf_map__fd(conns()), key, &v))
		return 0;
	return v.flags;
}

/* The entry is there and unmarked. */
static int goes_on(void)
{
	return must_be("flags", only_flags() & (CONN_ANSWERED | CONN_RECHECK | CONN_CUT), CONN_ANSWERED);
}

/* What was cut ages out like what is closed, only later than TCP sends again. */
static int cut_ages_out(void)
{
	int bad = must_be("flags", only_flags() & CONN_CUT, CONN_CUT);

	age_all(1000);
	bad |= must_be("removed after 1,000 s", (uint64_t)world_gc(0), 0);
	age_all(300);
	return bad | must_be("removed after 1,300 s", (uint64_t)world_gc(0), 1);
}

static void staged_denies_a(void)
{
	set_staged("b", SET, 0);
	set_policy(SET, CLASS_R, PORTSET_ALL, RULE);
}

static int staged_counts_drops(void)
{
	struct event e;

	if (!last_event(&e))
		return must_be("events", 0, 1);
	return must_be("would drop", read_staged(IF_B, DROP_POLICY_INGRESS, DIR_TO_POD, SET), 2) |
	       must_be("dropped", map_size(world->maps.drop), 0) | must_be("type", e.type, EVENT_STAGED) |
	       must_be("interface", e.ifindex, IF_B) | must_be("direction", e.direction, DIR_TO_POD) |
	       must_be("reason", e.reason, DROP_POLICY_INGRESS) | must_be("cause", e.cause, SET) |
	       must_be("port", e.dport, htons(53)) |
	       must_be("staged elements", map_size(world->maps.staged), 1);
}

/* In force: nothing; staged: TCP 80 is allowed by RULE and TCP 22 denied by DENY. */
static void staged_allows_a(void)
{
	set_pod("b", SET, 0);
	set_staged("b", SET + 1, 0);
	set_policy(SET + 1, CLASS_A, PORTS, 0);
	set_port(PORTS, PORT_LEN(16), IPPROTO_TCP, 80, VERDICT_ALLOW, RULE);
	set_port(PORTS, PORT_LEN(16), IPPROTO_TCP, 22, VERDICT_DENY, DENY);
}

static int staged_counts_passes(void)
{
	return must_be("would pass", read_staged(IF_B, 0, DIR_TO_POD, RULE), 1) |
	       must_be("staged elements", map_size(world->maps.staged), 1);
}

static void staged_egress_by_rule(void)
{
	set_staged("a", 0, SET_OPEN | SET);
	set_policy(SET_OPEN | SET, CLASS_B, PORTSET_NONE, DENY);
}

static int staged_names_the_rule(void)
{
	return must_be("would drop", read_staged(IF_A, DROP_DENY_EGRESS, DIR_FROM_POD, DENY), 1) |
	       must_be("staged elements", map_size(world->maps.staged), 1);
}

static void stage_for_b(void)
{
	set_staged("b", SET, 0);
	world_gc(GC_RECHECK);
}

static int staged_sees_open_connections(void)
{
	return must_be("would drop", read_staged(IF_B, DROP_POLICY_INGRESS, DIR_TO_POD, SET), 1);
}

static void fill_staged(void)
{
	struct drop_value values[512] = {{0}};
	struct drop_key key = {.ifindex = 1};

	staged_denies_a();
	for (uint32_t i = 0; i < bpf_map__max_entries(world->maps.staged); i++) {
		key.cause = i;
		bpf_map_update_elem(bpf_map__fd(world->maps.staged), &key, values, BPF_ANY);
	}
}

static int staged_is_full(void)
{
	return must_be("counted", read_counter(COUNTER_STAGED_UNTOLD), 1);
}

static void fill_drops(uint32_t but)
{
	struct drop_value values[512] = {{0}};
	struct drop_key key = {.ifindex = 1};

	set_pod("b", SET, 0);
	for (uint32_t i = 0; i + but < bpf_map__max_entries(world->maps.drop); i++) {
		key.cause = i;
		bpf_map_update_elem(bpf_map__fd(world->maps.drop), &key, values, BPF_ANY);
	}
}

/* No room at all, but the reason's own element is there. */
static void drops_full(void)
{
	struct drop_value values[512] = {{0}};
	struct drop_key key = {.ifindex = IF_B, .reason = DROP_POLICY_INGRESS, .direction = DIR_TO_POD};

	bpf_map_update_elem(bpf_map__fd(world->maps.drop), &key, values, BPF_ANY);
	fill_drops(1);
}

static void drops_all_full(void)
{
	fill_drops(0);
}

static int counted_without_cause(void)
{
	return must_be("under its cause", read_drops(IF_B, DROP_POLICY_INGRESS, DIR_TO_POD, SET), 0) |
	       must_be("under its reason", read_drops(IF_B, DROP_POLICY_INGRESS, DIR_TO_POD, 0), 1) |
	       must_be("untold", read_counter(COUNTER_DROPS_UNTOLD), 0);
}

static int counted_as_untold(void)
{
	return must_be("untold", read_counter(COUNTER_DROPS_UNTOLD), 1);
}

static int run_one(const struct spec *s, int *verdict)
{
	struct spec in = *s;
	uint8_t frame[PACKET_MAX];
	struct run r;
	int err;

	in.src = here(s->src);
	in.dst = here(s->dst);
	err = world_run(world->progs.weft_from_pod, IF_A, frame, packet_build(&in, frame), 0, 1, &r);
	*verdict = r.verdict;
	return err;
}

static int drop_without_room(void (*fill)(void), int (*check)(void))
{
	static const struct spec s = {UDP, A, B, 1000, 53};
	int verdict = 0;

	fill();
	return must_be("error", (uint64_t)run_one(&s, &verdict), 0) |
	       must_be("verdict", (uint64_t)verdict, TC_ACT_SHOT) | check();
}

static int drops_without_cause(void)
{
	return drop_without_room(drops_full, counted_without_cause);
}

static int drops_untold(void)
{
	return drop_without_room(drops_all_full, counted_as_untold);
}

static void gone(const char *text)
{
	struct addr16 key = addr(here(text));
	uint32_t one = 1;

	bpf_map_update_elem(bpf_map__fd(world->maps.gone), &key, &one, BPF_ANY);
}

static int forgets_gone_owner(void)
{
	int bad = must_be("connections", map_size(conns()), 2);

	gone(B);
	bad |= must_be("removed without order", (uint64_t)world_gc(0), 0);
	bad |= must_be("removed", (uint64_t)world_gc(GC_GONE), 2);
	return bad | must_be("connections left", map_size(conns()), 1) |
	       must_be("unanswered left", map_size(run_v6 ? world->maps.half6 : world->maps.half4), 0) |
	       must_be("removed counter", read_counter(COUNTER_CONN_REMOVED), 1);
}

static void vip_to_b(void)
{
	set_service(here(VIP), 80, IPPROTO_UDP, 0, 64, run_v6 ? "fd00:1::6 8080" : "10.1.0.6 8080");
}

static int forgets_translations(void)
{
	int bad = must_be("translations", map_size(world->maps.nat), 2);

	gone(B);
	bad |= must_be("removed", (uint64_t)world_gc(GC_GONE), 3);
	return bad | must_be("translations left", map_size(world->maps.nat), 0);
}

static int forgets_fragments(void)
{
	int bad = must_be("fragments", map_size(world->maps.fragment), 1);

	gone(B);
	world_gc(GC_GONE);
	return bad | must_be("fragments left", map_size(world->maps.fragment), 0);
}

static struct ask asked(const char *src, const char *dst, uint8_t proto, uint16_t port, uint8_t direction)
{
	struct ask a = {.src = addr(here(src)),
			.dst = addr(here(dst)),
			.dport = htons(port),
			.proto = proto,
			.direction = direction,
			.found = 77,
			.rule = 77};

	if (must_be("answered", (uint64_t)world_ask(&a), 0))
		memset(&a, 0xff, sizeof(a));
	return a;
}

static int answers_set(const struct ask *a, uint32_t set, uint32_t portset, uint32_t verdict, uint32_t rule)
{
	return must_be("found", a->found, 1) | must_be("set", a->set, set) |
	       must_be("portset", a->portset, portset) | must_be("verdict", a->verdict, verdict) |
	       must_be("rule", a->rule, rule);
}

static int asks(void)
{
	struct ask a;
	int bad = 0;

	staged_allows_a();
	a = asked(A, B, IPPROTO_TCP, 80, DIR_TO_POD);
	bad |= answers_set(&a, SET, 0, VERDICT_DENY, RULE_NONE) | must_be("class", a.class, CLASS_A) |
	       must_be("staged set", a.staged_set, SET + 1) |
	       must_be("staged verdict", a.staged_verdict, VERDICT_ALLOW) |
	       must_be("staged rule", a.staged_rule, RULE);
	a = asked(A, B, IPPROTO_TCP, 80, DIR_FROM_POD);
	bad |= answers_set(&a, 0, 0, VERDICT_ALLOW, RULE_NONE) | must_be("class", a.class, CLASS_B) |
	       must_be("staged set", a.staged_set, 0);
	a = asked(N1, B, IPPROTO_TCP, 80, DIR_TO_POD);
	bad |= answers_set(&a, 0, 0, VERDICT_ALLOW, RULE_NODE);
	a = asked(B, B, IPPROTO_TCP, 80, DIR_TO_POD);
	bad |= answers_set(&a, 0, 0, VERDICT_ALLOW, RULE_SELF);
	a = asked(A, WORLD, IPPROTO_TCP, 80, DIR_TO_POD);
	bad |= must_be("found outside", a.found, 0) | must_be("rule", a.rule, 0);
	set_pod("b", SET + 1, 0);
	a = asked(A, B, IPPROTO_TCP, 22, DIR_TO_POD);
	bad |= answers_set(&a, SET + 1, PORTS, VERDICT_DENY, DENY);
	a = asked(A, B, IPPROTO_ICMP, 0, DIR_TO_POD);
	bad |= answers_set(&a, SET + 1, PORTS, VERDICT_DENY, RULE_NONE);
	return bad | must_be("drops", map_size(world->maps.drop), 0) |
	       must_be("staged", map_size(world->maps.staged), 0) |
	       must_be("connections", map_size(run_v6 ? world->maps.half6 : world->maps.half4), 0) |
	       must_be("packets", read_counter(COUNTER_POD_IN) + read_counter(COUNTER_HOST_IN), 0);
}

/* While packets run, b is switched between two sets as the applier does it: the new one is written beside the
 * old one, then the pod's element, then the old one goes. Both allow TCP 80 of a, and none TCP 81. */
static void *switch_b(void *stop)
{
	for (uint32_t n = 0; !__atomic_load_n((int *)stop, __ATOMIC_RELAXED); n++) {
		struct policy_key old = {.set = SET + n % 2, .class = CLASS_A};
		uint32_t next = SET + (n + 1) % 2;

		set_policy_one(next, CLASS_A, IPPROTO_TCP, 80, RULE + next);
		set_pod("b", next, 0);
		bpf_map_delete_elem(bpf_map__fd(world->maps.policy), &old);
	}
	return NULL;
}

static int switches_whole(void)
{
	struct spec s = {TCP, A, B, 0, 80, SYN}, denied = {TCP, A, B, 0, 81, SYN};
	int stop = 0, verdict, bad = 0;
	uint32_t passed = 0, dropped = 0, unknown = 0;
	pthread_t other;

	/* So many others that b is not alone where the table looks for it. */
	for (uint32_t i = 0; i < 900; i++) {
		struct addr16 many = {.w = {0, 0, htonl(0xffff), htonl(0x0a420000 + i)}};
		struct endpoint_value e = {.ifindex = 1000000 + i};

		bpf_map_update_elem(bpf_map__fd(world->maps.endpoint), &many, &e, BPF_ANY);
	}
	set_policy_one(SET, CLASS_A, IPPROTO_TCP, 80, RULE);
	set_pod("b", SET, 0);
	bad = pthread_create(&other, NULL, switch_b, &stop);
	for (uint16_t port = 1; port <= 20000 && !bad; port++) {
		s.sport = denied.sport = port;
		if (run_one(&s, &verdict))
			unknown++;
		else
			passed += verdict == TC_ACT_REDIRECT;
		if (run_one(&denied, &verdict))
			unknown++;
		else if (verdict == TC_ACT_SHOT)
			dropped++;
		else
			printf("# the packet from port %u that must be dropped: verdict %d\n", port, verdict);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	if (!bad)
		pthread_join(other, NULL);
	return bad | must_be("not run", unknown, 0) | must_be("passed", passed, 20000) |
	       must_be("dropped", dropped, 20000);
}

#define OPEN                                                                                                 \
	{FROM_A, {TCP, A, B, 1000, 80, SYN}, POD}, {FROM_B, {TCP, B, A, 80, 1000, SYNACK}, POD},             \
	{                                                                                                    \
		FROM_A, {TCP, A, B, 1000, 80, ACK}, POD                                                      \
	}
#define CUT_AT_B DROPPED, DROP_POLICY_INGRESS, IF_B, SET

const struct bpf_case change_cases[] = {
    {"NP66 a strict pod's connection is cut at its next packet, and stays cut both ways",
     BOTH,
     NULL,
     {OPEN,
      {FROM_A, {TCP, A, B, 1000, 80, ACK}, CUT_AT_B, .before = cut_b},
      {FROM_A, {TCP, A, B, 1000, 80, ACK}, CUT_AT_B},
      {FROM_B, {TCP, B, A, 80, 1000, ACK}, CUT_AT_B},
      {FROM_A, {TCP, A, B, 1000, 80, SYN}, CUT_AT_B}},
     cut_ages_out},
    {"NP66 and when that packet is a reply, it is judged by the way that the connection began",
     BOTH,
     NULL,
     {OPEN,
      {FROM_B, {TCP, B, A, 80, 1000, ACK}, CUT_AT_B, .before = cut_b},
      {FROM_B, {TCP, B, A, 80, 1000, ACK, .payload = 10}, CUT_AT_B},
      {FROM_A, {TCP, A, B, 1000, 80, ACK}, CUT_AT_B}}},
    {"NP66 a reply of UDP or ICMP does not open anew what was cut",
     BOTH,
     NULL,
     {{FROM_A, {UDP, A, B, 1000, 53}, POD},
      {FROM_B, {UDP, B, A, 53, 1000}, POD},
      {FROM_A, {PING, A, B, 7}, POD},
      {FROM_B, {PONG, B, A, 7}, POD},
      {FROM_B, {UDP, B, A, 53, 1000}, CUT_AT_B, .before = cut_b},
      {FROM_B, {UDP, B, A, 53, 1000}, CUT_AT_B},
      {FROM_A, {UDP, A, B, 1000, 53}, CUT_AT_B},
      {FROM_B, {PONG, B, A, 7}, CUT_AT_B},
      {FROM_B, {PONG, B, A, 7}, CUT_AT_B},
      {FROM_A, {PING, A, B, 7}, CUT_AT_B}}},
    {"NP66 an answer to what is no longer allowed does not come through",
     BOTH,
     NULL,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, POD},
      {FROM_B, {TCP, B, A, 80, 1000, SYNACK}, CUT_AT_B, .before = cut_b}}},
    {"NP66 a rule that cuts is named",
     BOTH,
     NULL,
     {OPEN,
      {FROM_B,
       {TCP, B, A, 80, 1000, ACK},
       DROPPED,
       DROP_DENY_INGRESS,
       IF_B,
       DENY,
       .before = deny_b_by_rule}}},
    {"NP66 cut at the sender's end, to a pod of another node",
     BOTH,
     NULL,
     {{FROM_A, {TCP, A, R, 1000, 80, SYN}, TUNNEL},
      {TO_A, {TCP, R, A, 80, 1000, SYNACK}, STACK},
      {TO_A, {TCP, R, A, 80, 1000, ACK}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET, .before = cut_a},
      {FROM_A, {TCP, A, R, 1000, 80, ACK}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET}}},
    {"NP66 cut where it comes from outside",
     BOTH,
     NULL,
     {{UPLINK, {TCP, WORLD, B, 1000, 80, SYN}, POD},
      {FROM_B, {TCP, B, WORLD, 80, 1000, SYNACK}, OUT},
      {UPLINK, {TCP, WORLD, B, 1000, 80, ACK}, CUT_AT_B, .before = cut_b},
      {FROM_B, {TCP, B, WORLD, 80, 1000, ACK}, CUT_AT_B}}},
    {"NP66 by default an answered connection goes on",
     BOTH,
     NULL,
     {OPEN,
      {FROM_A, {TCP, A, B, 1000, 80, ACK}, POD, .before = isolate_b},
      {FROM_B, {TCP, B, A, 80, 1000, ACK}, POD},
      {FROM_A, {TCP, A, B, 1001, 80, SYN}, CUT_AT_B}},
     goes_on},
    {"NP66 strict is a matter of the pod whose policies refuse",
     BOTH,
     NULL,
     {OPEN, {FROM_A, {TCP, A, B, 1000, 80, ACK}, POD, .before = isolate_b_strict_a}},
     goes_on},
    {"NP66 what is still allowed goes on, by its replies too",
     BOTH,
     NULL,
     {OPEN,
      {FROM_B, {TCP, B, A, 80, 1000, ACK}, POD, .before = still_allowed},
      {FROM_A, {TCP, A, B, 1000, 80, ACK}, POD}},
     goes_on},
    {"NP66 what was cut goes on when it is allowed again",
     BOTH,
     NULL,
     {OPEN,
      {FROM_A, {TCP, A, B, 1000, 80, ACK}, CUT_AT_B, .before = cut_b},
      {FROM_B, {TCP, B, A, 80, 1000, ACK}, CUT_AT_B, .before = isolate_b},
      {FROM_A, {TCP, A, B, 1000, 80, ACK}, POD, .before = free_b},
      {FROM_B, {TCP, B, A, 80, 1000, ACK}, POD}},
     goes_on},
    {"NP61 NP66 the node's own connections are never cut",
     BOTH,
     NULL,
     {{TO_B, {TCP, N1, B, 1000, 80, SYN}, STACK},
      {FROM_B, {TCP, B, N1, 80, 1000, SYNACK}, STACK},
      {FROM_B, {TCP, B, N1, 80, 1000, ACK}, STACK, .before = cut_b},
      {TO_B, {TCP, N1, B, 1000, 80, ACK}, STACK}},
     goes_on},
    {"NP63 NP66 nor a pod's with itself",
     BOTH,
     NULL,
     {{FROM_A, {TCP, A, A, 1000, 80, SYN}, POD},
      {FROM_A, {TCP, A, A, 80, 1000, SYNACK}, POD},
      {FROM_A, {TCP, A, A, 1000, 80, ACK}, POD, .before = cut_a_both_ways}}},
    {"a staged policy drops nothing and counts what it would drop",
     BOTH,
     staged_denies_a,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, POD},
      {FROM_B, {TCP, B, A, 80, 1000, SYNACK}, POD},
      {FROM_A, {TCP, A, B, 1000, 80, ACK}, POD},
      {FROM_A, {UDP, A, B, 1000, 53}, POD},
      {TO_B, {TCP, R, B, 1000, 80, SYN}, STACK},
      {TO_B, {TCP, N1, B, 1000, 80, SYN}, STACK}},
     staged_counts_drops},
    {"a staged policy counts what it would let pass",
     BOTH,
     staged_allows_a,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET},
      {FROM_A, {TCP, A, B, 1000, 22, SYN}, DROPPED, DROP_POLICY_INGRESS, IF_B, SET}},
     staged_counts_passes},
    {"a staged rule is named",
     BOTH,
     staged_egress_by_rule,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, POD}, {FROM_A, {TCP, A, R, 1000, 80, SYN}, TUNNEL}},
     staged_names_the_rule},
    {"a policy that is staged later sees connections that are open",
     BOTH,
     NULL,
     {OPEN,
      {FROM_A, {TCP, A, B, 1000, 80, ACK}, POD, .before = stage_for_b},
      {FROM_A, {TCP, A, B, 1000, 80, ACK}, POD}},
     staged_sees_open_connections},
    {"what staged policies find is lost by number when it has no room",
     BOTH,
     fill_staged,
     {{FROM_A, {TCP, A, B, 1000, 80, SYN}, POD}},
     staged_is_full},
    {"a drop without room for its cause counts under its reason", BOTH, NULL, {{0}}, drops_without_cause},
    {"and without room for that by number", BOTH, NULL, {{0}}, drops_untold},
    {"NP21 connections go with the owner of an address",
     BOTH,
     NULL,
     {OPEN,
      {FROM_A, {UDP, A, B, 1000, 53}, POD},
      {FROM_A, {UDP, A, R, 1000, 53}, TUNNEL},
      {TO_A, {UDP, R, A, 53, 1000}, STACK}},
     forgets_gone_owner},
    {"NP21 so do translations",
     BOTH,
     vip_to_b,
     {{FROM_A, {UDP, A, VIP, 40001, 80}, POD, .out = {UDP, A, B, 40001, 8080}}},
     forgets_translations},
    {"NP21 so do the ports of fragments",
     BOTH,
     NULL,
     {{FROM_A, {UDP, A, B, 1000, 53, .payload = 200, .fragment_id = 7, .fragment_more = 1}, POD}},
     forgets_fragments},
    {"NP79 no packet sees half of a change", BOTH, NULL, {{0}}, switches_whole},
    {"a question is answered as a packet is judged, and changes nothing", BOTH, NULL, {{0}}, asks},
    {NULL},
};
