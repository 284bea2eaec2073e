/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of Services at the real applier: those in no form are refused; addresses of Services come to the
 * uplink, neighbours on the wire learn at once that they moved, nothing sends from them, what is somebody
 * else's stays, and all go at the end. Usage: run-announce PATH-OF-weft-applier
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "seam/config.h"
#include "seam/service.h"
#include "test/run/applier_play.h"

#define VIP4	"172.31.0.100"
#define VIP6	"fd57:e7f7:0:1::100"
#define THEIRS4 "172.31.0.101"
enum { SOON_MS = 300, TICKS_MS = 2500 };

static struct address_key vip(const char *text)
{
	struct address_key k = {0};

	if (addr_parse(str_of(text), &k.addr))
		die(text);
	return k;
}

static bool sent(struct child *c, const struct script *s, struct answer *a)
{
	return commit(c, s, a) && a->done.status == WIRE_APPLIED;
}

static void address(struct script *s, enum change_op op, const char *text)
{
	struct address_key k = vip(text);

	put(s, op, ROW_ADDRESS, 0, &k, sizeof(k), NULL, 0);
}

/* Each alone is refused, with the good row before it. */
static void test_forms(struct child *c, const struct script *plan)
{
	struct service_key key = {.port = htons(80), .proto = 6}, no_port = {.proto = 6},
			   no_proto = {.port = htons(80)}, marker = {.port = 0};
	struct service_value none = {0}, outside = {.flags = SERVICE_OUTSIDE_TOO},
			     v = {.list = 1, .count = 2, .service = 7}, flags = {.flags = 128, .service = 7},
			     no_list = {.count = 1, .service = 7},
			     out = {.out_list = 1, .out_count = 1, .service = 7},
			     nameless = {.list = 1, .count = 1},
			     long_affinity = {.affinity = 86401, .service = 7},
			     no_out = {.flags = SERVICE_OUTSIDE_TOO, .out_count = 1, .service = 7};
	struct source_key source = {.prefixlen = 32 + 120, .service = 7}, bits = source, shorter = source,
			  longer = source, whose = source;
	struct source_value allow = {1}, deny = {0};
	static const char *const addresses[] = {"127.0.0.1", "169.254.1.1", "224.0.0.1", "255.255.255.255",
						"0.0.0.0",   "::1",	    "fe80::1",	 "ff02::1"};
	struct script bad = {0}, good = {0};
	struct answer a = {0};
	size_t refused = 0;

	addr_parse(STR("198.51.100.0"), (struct addr *)(void *)&source.addr);
	bits = shorter = longer = whose = source;
	addr_parse(STR("198.51.100.1"), (struct addr *)(void *)&bits.addr);
	shorter.prefixlen = 31;
	longer.prefixlen = 161;
	whose.service = 0;
	MAP(&bad, CHANGE_ADD, service, no_port, v);
	MAP(&bad, CHANGE_ADD, service, no_proto, v);
	MAP(&bad, CHANGE_ADD, service, marker, v);
	MAP(&bad, CHANGE_ADD, service, key, none);
	MAP(&bad, CHANGE_ADD, service, key, flags);
	MAP(&bad, CHANGE_ADD, service, key, no_list);
	MAP(&bad, CHANGE_ADD, service, key, out);
	MAP(&bad, CHANGE_ADD, service, key, no_out);
	MAP(&bad, CHANGE_ADD, service, key, nameless);
	MAP(&bad, CHANGE_ADD, service, key, long_affinity);
	MAP(&bad, CHANGE_ADD, source_range, bits, allow);
	MAP(&bad, CHANGE_ADD, source_range, shorter, allow);
	MAP(&bad, CHANGE_ADD, source_range, longer, allow);
	MAP(&bad, CHANGE_ADD, source_range, whose, allow);
	MAP(&bad, CHANGE_ADD, source_range, source, deny);
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
		address(&bad, CHANGE_ADD, addresses[i]);
	VEC_EACH (&bad.list, ch) {
		struct script s = {0};

		MAP(&s, CHANGE_ADD, service, key, v);
		vec_push(&s.list, *ch);
		if (commit(c, &s, &a) && a.done.status == WIRE_REFUSED)
			refused++;
		else
			printf("# taken: row %td\n", ch - bad.list.items);
		script_fini(&s);
	}
	CHECK(refused == bad.list.len, "rows of Services in no form are refused: %zu of %zu", refused,
	      bad.list.len);
	check_readback(c, plan, "after nonsense");
	MAP(&good, CHANGE_ADD, service, marker, none);
	marker.addr.b[15] = 1;
	MAP(&good, CHANGE_ADD, service, marker, outside);
	MAP(&good, CHANGE_ADD, service, key, v);
	MAP(&good, CHANGE_ADD, source_range, source, allow);
	CHECK(sent(c, &good, &a), "rows in their form are taken: %s", a.text);
	VEC_EACH (&good.list, ch)
		ch->op = CHANGE_DEL;
	CHECK(sent(c, &good, &a), "and go again: %s", a.text);
	script_fini(&bad);
	script_fini(&good);
	vec_free(&a.results);
}

/* What the far machine believes of an address: the MAC of another node. */
static void believe(const char *text)
{
	char command[160];

	enter(far_ns);
	snprintf(command, sizeof(command),
		 "ip neigh replace %s lladdr 02:00:00:00:00:99 nud reachable dev far0", text);
	if (system(command))
		die("neighbour");
	enter(node_ns);
}

/* Whether the far machine comes to know the MAC of our uplink for it, without asking. */
static bool learns(const char *text, const struct wire_welcome *w, uint64_t ms)
{
	uint64_t end = clock_ms() + ms;
	const uint8_t *m = w->uplink_mac;
	char command[200];
	int bad;

	enter(far_ns);
	snprintf(command, sizeof(command),
		 "ip neigh show %s dev far0 | grep -q '%02x:%02x:%02x:%02x:%02x:%02x'", text, m[0], m[1],
		 m[2], m[3], m[4], m[5]);
	do {
		bad = system(command);
		if (bad)
			usleep(20000);
	} while (bad && clock_ms() < end);
	enter(node_ns);
	return !bad;
}

static void test_move(struct child *c, struct script *plan, const struct wire_welcome *w)
{
	struct script s = {0};
	struct answer a = {0};

	believe(VIP4);
	believe(VIP6);
	address(&s, CHANGE_ADD, VIP4);
	address(&s, CHANGE_ADD, VIP6);
	CHECK(sent(c, &s, &a), "two addresses of Services come to the uplink: %s", a.text);
	CHECK(learns(VIP4, w, SOON_MS),
	      "IPv4: the neighbour's entry for the former node is overwritten at once");
	CHECK(learns(VIP6, w, SOON_MS),
	      "IPv6: the neighbour's entry for the former node is overwritten at once");
	believe(VIP4);
	believe(VIP6);
	CHECK(learns(VIP4, w, TICKS_MS) && learns(VIP6, w, TICKS_MS),
	      "a neighbour that missed it is told again");
	CHECK(!system("ip route get " FAR_NODE4 " | grep -q 'src " NODE4 "' && "
		      "ip route get " FAR_NODE6 " | grep -q 'src " NODE6 "'"),
	      "nothing of the node sends from them");
	enter(far_ns);
	CHECK(!system("ip neigh del " VIP4 " dev far0; ip neigh del " VIP6 " dev far0; "
		      "ping -c1 -W1 " VIP4 " >/dev/null; ping -c1 -W1 " VIP6 " >/dev/null; "
		      "ip neigh show " VIP4 " | grep -q lladdr && ip neigh show " VIP6 " | grep -q lladdr"),
	      "who asks by ARP or NDP gets an answer");
	enter(node_ns);
	address(plan, CHANGE_ADD, VIP4);
	address(plan, CHANGE_ADD, VIP6);
	check_readback(c, plan, "with the addresses");
	CHECK(sent(c, &s, &a), "the same once more changes nothing: %s", a.text);
	stop_applier(c, SIGKILL);
	*c = start_applier(NULL, "routes");
	hello(c);
	check_readback(c, plan, "after a restart");
	script_fini(&s);
	vec_free(&a.results);
}

static void test_theirs(struct child *c, struct script *plan)
{
	struct script s = {0};
	struct answer a = {0};

	CHECK(!system("ip addr add " THEIRS4 "/32 dev uplink0"), "an administrator adds an address");
	check_readback(c, plan, "an address of somebody else is no row:");
	address(&s, CHANGE_ADD, THEIRS4);
	CHECK(commit(c, &s, &a) && a.done.status == WIRE_PARTLY && a.results.items[0] == -EEXIST,
	      "it is not taken over: %s", a.text);
	s.list.items[0].op = CHANGE_DEL;
	CHECK(commit(c, &s, &a) && !system("ip addr show dev uplink0 | grep -q '" THEIRS4 "/32'"),
	      "and not removed");
	script_fini(&s);
	s = (struct script){0};
	address(&s, CHANGE_DEL, VIP4);
	CHECK(sent(c, &s, &a) && system("ip addr show dev uplink0 | grep -q '" VIP4 "/'"),
	      "one of ours goes: %s", a.text);
	script_fini(&s);
	vec_free(&a.results);
}

int main(int argc, char **argv)
{
	struct script plan = {0};
	struct answer a = {0};
	struct wire_welcome w;
	struct child c;

	if (!play_begin(argc, argv, "announce"))
		return 0;
	c = start_applier(NULL, "routes");
	w = hello(&c);
	plan_rows(&plan, &w);
	for (unsigned i = 0; i < PODS; i++)
		hand_over(&c, &pods[i]);
	CHECK(sent(&c, &plan, &a), "two pods are wired: %s", a.text);
	test_forms(&c, &plan);
	test_move(&c, &plan, &w);
	test_theirs(&c, &plan);
	clean_applier(&c);
	CHECK(!system("ip addr show dev uplink0 | grep -q '" THEIRS4 "/32'") &&
		  system("ip addr show dev uplink0 | grep -qE '" VIP4 "|" VIP6 "'"),
	      "after cleaning none of ours is left, and theirs is");
	vec_free(&a.results);
	script_fini(&plan);
	return play_end();
}
