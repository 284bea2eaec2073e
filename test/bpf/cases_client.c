/* SPDX-License-Identifier: Apache-2.0 */
/* Cases: what a Service does by who its client is: session affinity, traffic policies, source ranges, lists
 * for outside, addresses that nobody has. */
#include "cases.h"

#include <arpa/inet.h>
#include <stdio.h>

#define NODE_PORT 30080
#define SERVICE	  0xabcu
#define STAY	  10800u
#define BOTH_LIST 64u
#define B_LIST	  96u
#define R_LIST	  128u
#define MORE_LIST 160u

static void list_to(uint32_t flags, uint32_t affinity, uint32_t list, const char *v4, const char *v6)
{
	const struct service_more more = {.affinity = affinity, .service = SERVICE};

	set_service(here(VIP), 53, IPPROTO_UDP, flags, list, run_v6 ? v6 : v4);
	set_service_more(here(VIP), 53, IPPROTO_UDP, &more);
}

static void both_stay(void)
{
	list_to(0, STAY, BOTH_LIST, "10.1.0.6 5353 10.2.0.7 5353", "fd00:1::6 5353 fd00:2::7 5353");
}

static void both_free(void)
{
	list_to(0, 0, BOTH_LIST, "10.1.0.6 5353 10.2.0.7 5353", "fd00:1::6 5353 fd00:2::7 5353");
}

static void only_b_stays(void)
{
	list_to(0, STAY, B_LIST, "10.1.0.6 5353", "fd00:1::6 5353");
}

static void only_r_stays(void)
{
	list_to(0, STAY, R_LIST, "10.2.0.7 5353", "fd00:2::7 5353");
}

static void more_stay(void)
{
	list_to(0, STAY, MORE_LIST, "192.0.2.77 5353 10.2.0.7 5353 192.0.2.77 53 10.1.0.6 5353",
		"2001:db8::77 5353 fd00:2::7 5353 2001:db8::77 53 fd00:1::6 5353");
}

static void none_stays(void)
{
	list_to(0, STAY, 0, "", "");
}

/* Where a new datagram flow of a goes: 1 to b, 2 to r, 0 elsewhere. */
static int goes(uint16_t sport)
{
	uint64_t pods = read_counter(COUNTER_POD_TO_POD), tunnels = read_counter(COUNTER_POD_TO_TUNNEL);
	struct spec s = {UDP, here(A), here(VIP), sport, 53};
	uint8_t frame[PACKET_MAX];
	struct run r;

	if (world_run(world->progs.weft_from_pod, IF_A, frame, packet_build(&s, frame), 0, 1, &r))
		return 0;
	if (read_counter(COUNTER_POD_TO_POD) == pods + 1)
		return 1;
	return read_counter(COUNTER_POD_TO_TUNNEL) == tunnels + 1 ? 2 : 0;
}

/* Nonzero: not all of the flows from these ports go to `where`. */
static int all_go(const char *what, int where, uint16_t first, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		if (must_be(what, (uint64_t)goes((uint16_t)(first + i)), (uint64_t)where))
			return 1;
	return 0;
}

static int stays(void)
{
	int first = goes(1000);

	if (all_go("a flow of the same client", first, 1001, 60))
		return 1;
	for (uint16_t i = 0; i < 30; i++) { /* its last use counts, not its first */
		age_all(STAY - 60);
		if (all_go("a flow after a while", first, (uint16_t)(2000 + i), 1))
			return 1;
	}
	both_free(); /* SV29 */
	for (uint16_t port = 3000; port < 3040; port++)
		if (goes(port) != first)
			return 0;
	printf("# without affinity all go the same way\n");
	return 1;
}

/* After the time-out both backends are chosen again, sooner or later. */
static int times_out(void)
{
	int seen = 0;

	for (uint16_t port = 1000; port < 1040; port++) {
		seen |= 1 << goes(port);
		age_all(STAY + 2);
	}
	return must_be("backends that were chosen", (uint64_t)seen, 6);
}

static uint64_t noted_at(void)
{
	struct affinity_key key;
	struct affinity_value v = {0};
	int fd = bpf_map__fd(world->maps.affinity);

	if (!bpf_map_get_next_key(fd, NULL, &key))
		bpf_map_lookup_elem(fd, &key, &v);
	return v.seen;
}

static int follows_the_list(void)
{
	int first = goes(1000), other = 3 - first;
	uint64_t seen;

	more_stay(); /* its backend is in there as well, elsewhere */
	if (all_go("a flow after the list grew", first, 1100, 30))
		return 1;
	seen = noted_at();
	none_stays();
	age_all(STAY - 60);
	if (all_go("a flow to nobody", 0, 1200, 3) ||
	    must_be("noted use", noted_at(), seen - (STAY - 60) * 1000000000ull))
		return 1;
	first == 1 ? only_r_stays() : only_b_stays();
	if (all_go("a flow after its backend left", other, 1300, 5))
		return 1;
	both_stay();
	return all_go("a flow after it came back", other, 1400, 30);
}

#define TABLE 251 /* slots of a Maglev table */

/* Every other slot is b's; `taken` more are. */
static void table(uint32_t list, int taken)
{
	static char text[TABLE * 24];
	size_t at = 0;

	for (int i = 0; i < TABLE; i++) {
		int to_b = i % 2 || i / 2 < taken;

		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s 5353 ", here(to_b ? B : R));
	}
	set_service(here(VIP), 53, IPPROTO_UDP, SERVICE_MAGLEV, list, text);
}

#define CLIENTS 500

/* New flows, after the table has changed in 25 of 251 slots, go where they would have gone, but for a tenth.
 */
static int few_move(void)
{
	static int was[CLIENTS];
	int moved = 0;

	table(BOTH_LIST, 0);
	for (uint16_t i = 0; i < CLIENTS; i++)
		was[i] = goes((uint16_t)(1000 + i));
	world_reset();
	table(MORE_LIST, 25);
	for (uint16_t i = 0; i < CLIENTS; i++)
		moved += goes((uint16_t)(1000 + i)) != was[i];
	if (moved > CLIENTS / 20 && moved < CLIENTS * 3 / 20)
		return 0;
	printf("# %d of %d flows moved\n", moved, CLIENTS);
	return 1;
}

/* A flow that is open stays, though its slot is another's now: its backend is still in the table. */
static int open_flows_stay(void)
{
	static int was[CLIENTS];

	table(BOTH_LIST, 0);
	for (uint16_t i = 0; i < CLIENTS; i++)
		was[i] = goes((uint16_t)(1000 + i));
	table(MORE_LIST, 25);
	for (uint16_t i = 0; i < CLIENTS; i++)
		if (must_be("an open flow", (uint64_t)goes((uint16_t)(1000 + i)), (uint64_t)was[i]))
			return 1;
	return 0;
}

#define FROM_WORLD(port)                                                                                     \
	{                                                                                                    \
		UDP, WORLD, N1, port, NODE_PORT                                                              \
	}

/* A NodePort with affinity and both lists: from outside only b, from inside both. */
static void node_port_local(void)
{
	const struct service_more more = {.affinity = STAY,
					  .service = SERVICE,
					  .out_list = B_LIST,
					  .out = run_v6 ? "fd00:1::6 5353" : "10.1.0.6 5353"};

	set_service(here(N1), NODE_PORT, IPPROTO_UDP, SERVICE_OUTSIDE_TOO, R_LIST,
		    run_v6 ? "fd00:2::7 5353" : "10.2.0.7 5353");
	set_service_more(here(N1), NODE_PORT, IPPROTO_UDP, &more);
}

static void node_port_nobody_here(void)
{
	const struct service_more more = {.service = SERVICE, .out = ""};

	set_service(here(N1), NODE_PORT, IPPROTO_UDP, SERVICE_OUTSIDE_TOO | SERVICE_DROP_OUT, R_LIST,
		    run_v6 ? "fd00:2::7 5353" : "10.2.0.7 5353");
	set_service_more(here(N1), NODE_PORT, IPPROTO_UDP, &more);
}

static void internal_nobody_here(void)
{
	list_to(SERVICE_DROP, 0, 0, "", "");
}

static void balancer(uint32_t flags)
{
	const struct service_more more = {.service = SERVICE};

	set_service(here(VIP3), 80, IPPROTO_TCP, SERVICE_OUTSIDE_TOO | flags, B_LIST,
		    run_v6 ? "fd00:1::6 8080" : "10.1.0.6 8080");
	set_service_more(here(VIP3), 80, IPPROTO_TCP, &more);
	set_service(here(VIP3), 53, IPPROTO_UDP, SERVICE_OUTSIDE_TOO | flags, B_LIST + 8,
		    run_v6 ? "fd00:1::6 5353" : "10.1.0.6 5353");
	set_service_more(here(VIP3), 53, IPPROTO_UDP, &more);
}

static void balancer_ranges(void)
{
	balancer(SERVICE_RANGES);
	if (run_v6)
		set_source_range(SERVICE, "2001:db8:51::", 64);
	else
		set_source_range(SERVICE, "198.51.100.0", 29); /* holds neither .9 nor .10 */
	if (!run_v6)
		set_source_range(SERVICE, "198.51.100.9", 32);
	set_source_range(SERVICE + 1, run_v6 ? "2001:db8:113::" : "203.0.113.0", run_v6 ? 64 : 24);
}

/* The client is let in no more. */
static void balancer_closed(void)
{
	struct source_key key;
	int fd = bpf_map__fd(world->maps.source_range);

	while (!bpf_map_get_next_key(fd, NULL, &key))
		bpf_map_delete_elem(fd, &key);
}

static void balancer_proxy(void)
{
	balancer(SERVICE_INSIDE_NOT);
}

static void balancer_vip(void)
{
	balancer(0);
}

static void balancer_moved(void)
{
	balancer(0);
	set_service(here(VIP3), 53, IPPROTO_UDP, SERVICE_OUTSIDE_TOO, MORE_LIST,
		    run_v6 ? "fd00:1::5 5353" : "10.1.0.5 5353");
}

static void balancer_empty(void)
{
	balancer(0);
	set_service(here(VIP3), 53, IPPROTO_UDP, SERVICE_OUTSIDE_TOO, 0, "");
}

const struct bpf_case client_cases[] = {
    {"SV26 SV29 a client stays with its backend until the time after its last use runs out",
     BOTH,
     both_stay,
     {{0}},
     stays},
    {"SV27 after the time-out a new choice is made", BOTH, both_stay, {{0}}, times_out},
    {"SV28 affinity to a backend that is gone is dropped at once, and not renewed by retries",
     BOTH,
     both_stay,
     {{0}},
     follows_the_list},
    {"a changed Maglev table moves few new flows", BOTH, NULL, {{0}}, few_move},
    {"SV50 SV53 and no open one whose backend is still in it", BOTH, NULL, {{0}}, open_flows_stay},
    {"SV30 SV09 affinity of a NodePort with policy Local: outside the backends here, inside all",
     BOTH,
     node_port_local,
     {{UPLINK, FROM_WORLD(1000), POD, .out = {UDP, WORLD, B, 1000, 5353}},
      {FROM_A, {UDP, A, N1, 1000, NODE_PORT}, TUNNEL, .out = {UDP, A, R, 1000, 5353}},
      {UPLINK, FROM_WORLD(1001), POD, .out = {UDP, WORLD, B, 1001, 5353}},
      {UPLINK, FROM_WORLD(1002), POD, .out = {UDP, WORLD, B, 1002, 5353}},
      {FROM_A, {UDP, A, N1, 1001, NODE_PORT}, TUNNEL, .out = {UDP, A, R, 1001, 5353}}}},
    {"SV08 SV09 policy Local without a backend here: dropped for outside, served inside",
     BOTH,
     node_port_nobody_here,
     {{UPLINK, FROM_WORLD(1000), DROPPED, DROP_NO_BACKEND},
      {FROM_A, {UDP, A, N1, 1000, NODE_PORT}, TUNNEL, .out = {UDP, A, R, 1000, 5353}}}},
    {"SV07 internal policy Local without a backend here drops",
     BOTH,
     internal_nobody_here,
     {{FROM_A, {UDP, A, VIP, 1000, 53}, DROPPED, DROP_NO_BACKEND, IF_A}}},
    {"SV42 source ranges let in who is in them, and pods and nodes",
     BOTH,
     balancer_ranges,
     {{UPLINK, {TCP, WORLD, VIP3, 1000, 80, SYN}, POD, .out = {TCP, WORLD, B, 1000, 8080, SYN}},
      {UPLINK, {TCP, ROUTER, VIP3, 1000, 80, SYN}, DROPPED, DROP_SOURCE_RANGE},
      {UPLINK, {TCP, N2, VIP3, 1000, 80, SYN}, POD, .out = {TCP, N2, B, 1000, 8080, SYN}},
      {FROM_A, {TCP, A, VIP3, 1000, 80, SYN}, POD, .out = {TCP, A, B, 1000, 8080, SYN}},
      {UPLINK, {UDP, WORLD, VIP3, 1000, 53}, POD, .out = {UDP, WORLD, B, 1000, 5353}},
      {UPLINK, {UDP, WORLD, VIP3, 1000, 53}, DROPPED, DROP_SOURCE_RANGE, .before = balancer_closed}}},
    {"SV42 a single address of the range's edge",
     ONLY_V4,
     balancer_ranges,
     {{UPLINK, {TCP, WORLD2, VIP3, 1000, 80, SYN}, DROPPED, DROP_SOURCE_RANGE},
      {UPLINK,
       {TCP, "198.51.100.7", VIP3, 1000, 80, SYN},
       POD,
       .out = {TCP, "198.51.100.7", B, 1000, 8080, SYN}}}},
    {"SV43 ipMode Proxy: pods' packets leave the node, those from outside are served",
     BOTH,
     balancer_proxy,
     {{FROM_A, {TCP, A, VIP3, 40001, 80, SYN}, OUT, .out = {TCP, N1, VIP3, 40001, 80, SYN}},
      {UPLINK, {TCP, WORLD, VIP3, 1000, 80, SYN}, POD, .out = {TCP, WORLD, B, 1000, 8080, SYN}}}},
    {"SV43 ipMode VIP: short-circuited",
     BOTH,
     balancer_vip,
     {{FROM_A, {TCP, A, VIP3, 1000, 80, SYN}, POD, .out = {TCP, A, B, 1000, 8080, SYN}}}},
    {"SV44 a balancer's address has the Service's ports alone, none of the node's",
     BOTH,
     balancer_vip,
     {{UPLINK, {TCP, WORLD, VIP3, 1000, 22, SYN}, DROPPED, DROP_NO_BACKEND},
      {UPLINK, {UDP, WORLD, VIP3, 1000, 22}, DROPPED, DROP_NO_BACKEND},
      {UPLINK, {PING, WORLD, VIP3, 1}, STACK},
      {UPLINK, {TCP, WORLD, N1, 1000, 22, SYN}, STACK}}},
    {"SV52 SV50 a datagram sender to a balancer's address moves with its backend",
     BOTH,
     balancer_vip,
     {{UPLINK, {UDP, WORLD, VIP3, 1000, 53}, POD, .out = {UDP, WORLD, B, 1000, 5353}},
      {UPLINK,
       {UDP, WORLD, VIP3, 1000, 53},
       POD,
       .before = balancer_moved,
       .out = {UDP, WORLD, A, 1000, 5353}}}},
    {"SV52 SV51 and gets through at once when there is one",
     BOTH,
     balancer_empty,
     {{UPLINK, {UDP, WORLD, VIP3, 1000, 53}, REFUSED, DROP_NO_BACKEND},
      {UPLINK,
       {UDP, WORLD, VIP3, 1000, 53},
       POD,
       .before = balancer_moved,
       .out = {UDP, WORLD, A, 1000, 5353}}}},
    {"SV44 an address in the Service range that no Service has is dropped, whatever comes",
     BOTH,
     both_free,
     {{FROM_A, {TCP, A, VIP2, 1000, 80, SYN}, DROPPED, DROP_NO_SERVICE, IF_A},
      {FROM_A, {UDP, A, VIP2, 1000, 53}, DROPPED, DROP_NO_SERVICE, IF_A},
      {FROM_A, {PING, A, VIP2, 1}, DROPPED, DROP_NO_SERVICE, IF_A}}},
    {NULL},
};
