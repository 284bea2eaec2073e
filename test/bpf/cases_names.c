/* SPDX-License-Identifier: Apache-2.0 */
/* Cases: domain names, as they are judged and as answers teach them. The cluster is that of names_world.h. */
#include "names_world.h"

#include <netinet/in.h>

/* A rule denies what no name lets through. */
static void names_over_deny(void)
{
	names_in_force();
	set_names(PORTS, PORT_LEN(16), IPPROTO_TCP, 80, RULE + 9, NAMES);
}

static void names_in_routes_mode(void)
{
	names_in_force();
	set_mode(MODE_ROUTES);
}

static void names_not_read(void)
{
	struct config_value *c;

	names_in_force();
	c = config_now();
	c->flags = 0;
	config_put(c);
}

static void b_is_no_dns(void)
{
	names_in_force();
	set_address(here(B), CLASS_B, 0, ADDRESS_POD);
}

#define SAYS(name, question, records, flags)                                                                 \
	static void name(void)                                                                               \
	{                                                                                                    \
		say(question, records, flags);                                                               \
	}

SAYS(api_is_1, "api.example.org", "api.example.org 60 @1", DNS_COMPRESS)
SAYS(api_is_1_whole, "api.example.org", "api.example.org 60 @1", 0)
SAYS(api_is_2, "api.example.org", "api.example.org 60 @2", DNS_COMPRESS)
SAYS(other_is_1, "other.example.org", "other.example.org 60 @1", DNS_COMPRESS)
SAYS(nobody_is_1, "www.example.org", "www.example.org 60 @1", DNS_COMPRESS)
SAYS(xapi_is_1, "xapi.example.org", "xapi.example.org 60 @1", DNS_COMPRESS)
SAYS(below_api_is_1, "x.api.example.org", "x.api.example.org 60 @1", DNS_COMPRESS)
SAYS(capitals_are_1, "API.Example.ORG", "api.eXample.org 60 @1", 0)
SAYS(net_is_1, "example.net", "example.net 60 @1", DNS_COMPRESS)
SAYS(xnet_is_1, "myexample.net", "myexample.net 60 @1", DNS_COMPRESS)
SAYS(a_net_is_2, "a.example.net", "a.example.net 60 @2", DNS_COMPRESS)
SAYS(ab_net_is_3, "a.b.example.net", "a.b.example.net 60 @3", DNS_COMPRESS)
SAYS(chain, "api.example.org",
     "api.example.org 60 CNAME cdn.example.com; cdn.example.com 60 CNAME e7.edge.test; e7.edge.test 60 @1; "
     "e7.edge.test 60 @2",
     DNS_COMPRESS)
SAYS(chain_whole, "api.example.org",
     "API.example.org 60 CNAME cdn.example.com; CDN.example.com 60 CNAME e7.edge.test; e7.Edge.test 60 @1; "
     "e7.edge.test 60 @2",
     0)
SAYS(stranger_in_chain, "api.example.org",
     "api.example.org 60 CNAME cdn.example.com; evil.example.com 60 @1; api.example.org 60 @3; "
     "cdn.example.com 60 @2",
     DNS_COMPRESS)
SAYS(chain_backwards, "api.example.org", "api.example.org 60 CNAME cdn.example.com; cdn.example.com 60 @1",
     DNS_COMPRESS | DNS_REVERSE)

/* The answer about @1 with one byte changed. */
static void api_is_1_with(size_t at, uint8_t byte)
{
	api_is_1();
	answer.bytes[at] = byte;
}

#define WITH(name, at, byte)                                                                                 \
	static void name(void)                                                                               \
	{                                                                                                    \
		api_is_1_with(at, byte);                                                                     \
	}

WITH(a_query, 2, 0x01)
WITH(a_notify, 2, 0xa1)
WITH(an_error, 3, 0x83)
WITH(no_question, 5, 0)
WITH(two_questions, 5, 2)
WITH(another_class, 12 + 17 + 3, 3)
WITH(record_of_another_class, 12 + 17 + 4 + 5, 3)
WITH(address_of_3_bytes, 12 + 17 + 4 + 11, 3)

/* A label "api.example" below "org". */
static void a_dot_in_a_label(void)
{
	api_is_1_with(12, 11);
	answer.bytes[16] = '.';
}

static void names_are_over(void)
{
	age_names(120);
}

static void names_are_over_and_a_is_strict(void)
{
	age_names(120);
	set_pod_flags("a", ENDPOINT_STRICT);
	world_gc(GC_RECHECK);
}

static void nothing_matches_and_a_is_strict(void)
{
	struct name_match_key key = {.names = NAMES, .name = NAME_API};

	bpf_map_delete_elem(bpf_map__fd(world->maps.name_match), &key);
	set_pod_flags("a", ENDPOINT_STRICT);
	world_gc(GC_RECHECK);
}

static int rule_is_written(void)
{
	const struct bpf_map *map = run_v6 ? world->maps.half6 : world->maps.half4;
	struct conn_value v;
	uint8_t key[40];
	int found = 0;

	for (int more = !bpf_map_get_next_key(bpf_map__fd(map), NULL, key); more;
	     more = !bpf_map_get_next_key(bpf_map__fd(map), key, key))
		found |= !bpf_map_lookup_elem(bpf_map__fd(map), key, &v) && v.rule_egress == RULE;
	return must_be("connections by the name's rule", (uint64_t)found, 1);
}

static int nothing_is_learned(void)
{
	return must_be("learned addresses", map_size(world->maps.learned), 0);
}

static int only_2_is_learned(void)
{
	return must_be("learned addresses", map_size(world->maps.learned), 1) |
	       must_be("of them @2", learned_for(here(WORLD2), NAME_API) > 0, 1);
}

#define ASK(port)                                                                                            \
	{                                                                                                    \
		FROM_A, {UDP, A, B, port, 53}, POD                                                           \
	}
#define ANSWER(teach)                                                                                        \
	{                                                                                                    \
		FROM_B, {UDP, B, A, 53, 1000, .body = &answer}, POD, .before = teach                         \
	}
#define REACHED(to, port)                                                                                    \
	{                                                                                                    \
		FROM_A, {TCP, A, to, port, 80, SYN}, OUT, .out = { TCP, N1, to, port, 80, SYN }              \
	}
#define NOT_REACHED(to, port)                                                                                \
	{                                                                                                    \
		FROM_A, {TCP, A, to, port, 80, SYN}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET                  \
	}

#define TAUGHT(name, family, set_up, teach)                                                                  \
	{                                                                                                    \
		name, family, set_up, {ASK(1000), ANSWER(teach), REACHED(WORLD, 40001)}, rule_is_written     \
	}
#define NOT_TAUGHT(name, set_up, teach)                                                                      \
	{                                                                                                    \
		name, BOTH, set_up, {ASK(1000), ANSWER(teach), NOT_REACHED(WORLD, 40001)},                   \
		    nothing_is_learned                                                                       \
	}
const struct bpf_case names_cases[] = {
    {"CN14 what DNS gave for a name in force is reached, and only on its port",
     BOTH,
     names_in_force,
     {NOT_REACHED(WORLD, 40001),
      ASK(1000),
      ANSWER(api_is_1),
      REACHED(WORLD, 40002),
      NOT_REACHED(WORLD2, 40003),
      {FROM_A, {TCP, A, WORLD, 40004, 81, SYN}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET},
      {FROM_A, {UDP, A, WORLD, 40005, 80}, DROPPED, DROP_POLICY_EGRESS, IF_A, SET},
      ANSWER(api_is_2),
      REACHED(WORLD2, 40006),
      REACHED(WORLD, 40007)},
     rule_is_written},
    {"CN14 a name lets through what a rule denies",
     BOTH,
     names_over_deny,
     {{FROM_A, {TCP, A, WORLD, 40001, 80, SYN}, DROPPED, DROP_DENY_EGRESS, IF_A, RULE + 9},
      ASK(1000),
      ANSWER(api_is_1),
      REACHED(WORLD, 40002),
      {FROM_A, {TCP, A, WORLD2, 40003, 80, SYN}, DROPPED, DROP_DENY_EGRESS, IF_A, RULE + 9}}},
    {"CN14 DNS itself is not looked at: any name may be asked for",
     BOTH,
     names_in_force,
     {ASK(1000), ANSWER(nobody_is_1), ANSWER(other_is_1), ANSWER(net_is_1), ANSWER(an_error)}},
    {"CN14 a name that another policy has opens nothing here",
     BOTH,
     names_in_force,
     {ASK(1000), ANSWER(other_is_1), NOT_REACHED(WORLD, 40001), ANSWER(api_is_1), REACHED(WORLD, 40002)}},
    {"CN15 a wildcard takes one label and more",
     BOTH,
     names_in_force,
     {ASK(1000), ANSWER(a_net_is_2), ANSWER(ab_net_is_3), REACHED(WORLD2, 40001), REACHED(ROUTER, 40002)},
     rule_is_written},
    NOT_TAUGHT("CN15 a wildcard does not take the name itself", names_in_force, net_is_1),
    NOT_TAUGHT("CN15 nor a part of a label", names_in_force, xnet_is_1),
    NOT_TAUGHT("CN15 an exact name takes no part of a label", names_in_force, xapi_is_1),
    NOT_TAUGHT("CN15 nor a name below it", names_in_force, below_api_is_1),
    TAUGHT("CN15 capitals are small letters", BOTH, names_in_force, capitals_are_1),
    TAUGHT("CN17 an answer without compression", BOTH, names_in_force, api_is_1_whole),
    {"CN16 a name that has ended lets no new connection begin, and open ones go on",
     BOTH,
     names_in_force,
     {ASK(1000),
      ANSWER(api_is_1),
      REACHED(WORLD, 40001),
      {UPLINK, {TCP, WORLD, N1, 80, 40001, SYNACK}, POD, .out = {TCP, WORLD, A, 80, 40001, SYNACK}},
      {FROM_A, {TCP, A, WORLD, 40001, 80, ACK}, OUT, .out = {TCP, N1, WORLD, 40001, 80, ACK}},
      {FROM_A,
       {TCP, A, WORLD, 40002, 80, SYN},
       DROPPED,
       DROP_POLICY_EGRESS,
       IF_A,
       SET,
       .before = names_are_over},
      {FROM_A, {TCP, A, WORLD, 40001, 80, ACK}, OUT, .out = {TCP, N1, WORLD, 40001, 80, ACK}},
      {UPLINK, {TCP, WORLD, N1, 80, 40001, ACK}, POD, .out = {TCP, WORLD, A, 80, 40001, ACK}},
      ANSWER(api_is_1),
      REACHED(WORLD, 40003)}},
    {"CN16 NP66 a strict pod keeps what it opened by a name that has ended, not by one that left the policy",
     BOTH,
     names_in_force,
     {ASK(1000),
      ANSWER(api_is_1),
      REACHED(WORLD, 40001),
      {UPLINK, {TCP, WORLD, N1, 80, 40001, SYNACK}, POD, .out = {TCP, WORLD, A, 80, 40001, SYNACK}},
      {FROM_A,
       {TCP, A, WORLD, 40001, 80, ACK},
       OUT,
       .out = {TCP, N1, WORLD, 40001, 80, ACK},
       .before = names_are_over_and_a_is_strict},
      NOT_REACHED(WORLD, 40002),
      {FROM_A,
       {TCP, A, WORLD, 40001, 80, ACK},
       DROPPED,
       DROP_POLICY_EGRESS,
       IF_A,
       SET,
       .before = nothing_matches_and_a_is_strict}}},
    {"CN17 a CNAME chain is followed",
     BOTH,
     names_in_force,
     {ASK(1000), ANSWER(chain), REACHED(WORLD, 40001), REACHED(WORLD2, 40002)},
     rule_is_written},
    {"CN17 also without compression and in any case",
     BOTH,
     names_in_force,
     {ASK(1000), ANSWER(chain_whole), REACHED(WORLD, 40001), REACHED(WORLD2, 40002)}},
    {"CN17 records that are not of the chain teach nothing",
     BOTH,
     names_in_force,
     {ASK(1000), ANSWER(stranger_in_chain), NOT_REACHED(WORLD, 40001), NOT_REACHED(ROUTER, 40002),
      REACHED(WORLD2, 40003)},
     only_2_is_learned},
    NOT_TAUGHT("CN17 a chain is read in its order", names_in_force, chain_backwards),
    {"CN14 an answer from another node, over the uplink",
     BOTH,
     names_in_routes_mode,
     {{FROM_A, {UDP, A, R, 1000, 53}, OUT},
      {UPLINK, {UDP, R, A, 53, 1000, .body = &answer}, POD, .before = api_is_1},
      REACHED(WORLD, 40001)}},
    NOT_TAUGHT("CN14 a pod that is not the cluster's DNS teaches nothing", b_is_no_dns, api_is_1),
    NOT_TAUGHT("CN14 nothing is read while no name is in force", names_not_read, api_is_1),
    {"CN14 nor what comes from another port, or was not asked for",
     BOTH,
     names_in_force,
     {{FROM_A, {UDP, A, B, 1000, 54}, POD},
      {FROM_B, {UDP, B, A, 54, 1000, .body = &answer}, POD, .before = api_is_1},
      {FROM_B, {UDP, B, A, 53, 2000, .body = &answer}, POD},
      {FROM_A, {UDP, A, B, 2000, 53, .body = &answer}, POD},
      NOT_REACHED(WORLD, 40001)},
     nothing_is_learned},
    NOT_TAUGHT("CN14 malformed: a query", names_in_force, a_query),
    NOT_TAUGHT("CN14 malformed: another operation", names_in_force, a_notify),
    NOT_TAUGHT("CN14 malformed: an error", names_in_force, an_error),
    NOT_TAUGHT("CN14 malformed: no question", names_in_force, no_question),
    NOT_TAUGHT("CN14 malformed: two questions", names_in_force, two_questions),
    NOT_TAUGHT("CN14 malformed: a question of another class", names_in_force, another_class),
    NOT_TAUGHT("CN14 malformed: a record of another class", names_in_force, record_of_another_class),
    NOT_TAUGHT("CN14 malformed: an address of another length", names_in_force, address_of_3_bytes),
    NOT_TAUGHT("CN14 malformed: a dot within a label", names_in_force, a_dot_in_a_label),
    {NULL},
};
