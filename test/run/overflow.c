/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every BPF map runs full (NP81, DESIGN section 4): what the plan writes and does not fit is refused whole,
 * with the map's name and the numbers; packets go on as before, and it fits again when the change is taken
 * back. What packets write has a defined end: a named drop, a counter, or the oldest that goes. Real packets
 * on small BPF maps. Usage: run-overflow PATH-OF-weft-applier
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "seam/class.h"
#include "seam/config.h"
#include "seam/conn.h"
#include "seam/endpoint.h"
#include "seam/event.h"
#include "seam/name.h"
#include "seam/policy.h"
#include "seam/service.h"
#include "test/run/applier_play.h"

#define SMALL                                                                                                \
	"endpoint=6,iface=2,address=8,block=4,block_trie=4,range=4,node=4,policy=8,port=8,name=4,name_"      \
	"match=4,"                                                                                           \
	"service=6,backend=8,source_range=8,affinity=64,conn4=8,conn6=8,half4=64,half6=64,nat=16,fragment="  \
	"16,drop=4,staged=1,netns=3,"                                                                        \
	"gone=1,"                                                                                            \
	"learned=4"
enum { CONNS = 8, NATS = 16, LEARNED = 4, ISOLATED = 3000, STAGED = 3001 };

/* --- rows that are new, by number --- */

static void number(struct addr16 *a, uint32_t i)
{
	*a = (struct addr16){
	    .b = {
		[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 99, [14] = (uint8_t)(i >> 8), [15] = (uint8_t)i}};
}

static void add(struct script *s, enum plan_map m, const void *key, size_t key_len, const void *value,
		size_t value_len)
{
	put(s, CHANGE_ADD, ROW_MAP, (uint16_t)m, key, key_len, value, value_len);
}
#define ADD(k, v) add(s, m, &(k), sizeof(k), &(v), sizeof(v))

static void row_address(struct script *s, enum plan_map m, uint32_t i)
{
	struct address_value av = {.flags = ADDRESS_POD, .owner = 1 + i};
	struct endpoint_value ev = {.ifindex = pods[0].key.ifindex, .mac = {2}};
	struct block_value bv = {.class = 9};
	struct range_value rv = {.kind = RANGE_DIRECT};
	struct block_key b = {.len = 128};
	struct addr16 a;

	number(&a, i);
	number(&b.addr, i);
	if (m == PLAN_MAP_address)
		ADD(a, av);
	else if (m == PLAN_MAP_endpoint)
		ADD(a, ev);
	else if (m == PLAN_MAP_range)
		ADD(b, rv);
	else
		ADD(b, bv);
}

static void row_judging(struct script *s, enum plan_map m, uint32_t i)
{
	struct policy_key pk = {.set = 2000, .class = 100 + i};
	struct policy_value pv = {.portset = PORTSET_ALL, .rule = 16};
	struct port_key qk = {.portset = 5000 + i};
	struct port_value qv = {.verdict = VERDICT_ALLOW, .rule = 16};
	struct name_key nk = {.prefixlen = 64};
	struct name_value nv = {.name = 20 + i};
	struct name_match_key mk = {.names = 30, .name = 20 + i};
	struct name_match_value mv = {.rule = 16};

	snprintf((char *)nk.text, sizeof(nk.text), "gro.%03u", i % 1000);
	if (m == PLAN_MAP_policy)
		ADD(pk, pv);
	else if (m == PLAN_MAP_port)
		ADD(qk, qv);
	else if (m == PLAN_MAP_name)
		ADD(nk, nv);
	else
		ADD(mk, mv);
}

static void row_service(struct script *s, enum plan_map m, uint32_t i)
{
	struct service_key sk = {.port = htons(80), .proto = IPPROTO_UDP};
	struct backend_key bk = {.list = 40 + i};
	struct service_value sv = {.list = 40 + i, .count = 1, .service = 7};
	struct source_key rk = {.prefixlen = 32 + 128, .service = 7};
	struct source_value rv = {1};
	struct backend_value bv = {.port = htons(80)};
	struct node_value nv = {.v4 = {.b = {1}}};
	uint32_t n = 100 + i;

	number(&sk.addr, i);
	number(&bv.addr, i);
	number(&rk.addr, i);
	if (m == PLAN_MAP_source_range)
		ADD(rk, rv);
	else if (m == PLAN_MAP_service)
		ADD(sk, sv);
	else if (m == PLAN_MAP_backend)
		ADD(bk, bv);
	else
		ADD(n, nv);
}

static const struct planned {
	enum plan_map map;
	const char *name;
	void (*row)(struct script *s, enum plan_map m, uint32_t i);
} planned[] = {
#define PLANNED(map, row) {PLAN_MAP_##map, #map, row},
    PLANNED(endpoint, row_address) PLANNED(address, row_address) PLANNED(block, row_address)
	PLANNED(block_trie, row_address) PLANNED(range, row_address) PLANNED(node, row_service)
	    PLANNED(policy, row_judging) PLANNED(port, row_judging) PLANNED(name, row_judging)
		PLANNED(name_match, row_judging) PLANNED(service, row_service) PLANNED(backend, row_service)
		    PLANNED(source_range, row_service)
#undef PLANNED
};

/* --- what the programs say --- */

static uint64_t counted(enum counter which)
{
	AUTO_FD int fd = play_map("counter");
	uint64_t each[64] = {0}, sum = 0;
	uint32_t key = which;

	bpf_map_lookup_elem(fd, &key, each);
	for (int i = 0; i < libbpf_num_possible_cpus() && i < 64; i++)
		sum += each[i];
	return sum;
}

static uint64_t dropped(enum drop_reason reason)
{
	AUTO_FD int fd = play_map("drop");
	struct drop_value each[64];
	struct drop_key key;
	uint64_t sum = 0;
	const void *at = NULL;

	while (!bpf_map_get_next_key(fd, at, &key)) {
		at = &key;
		if (key.reason != reason || bpf_map_lookup_elem(fd, &key, each))
			continue;
		for (int i = 0; i < libbpf_num_possible_cpus(); i++)
			sum += each[i].packets;
	}
	return sum;
}

static size_t held(const char *name)
{
	AUTO_FD int fd = play_map(name);
	uint8_t key[300];
	const void *at = NULL;
	size_t n = 0;

	for (; !bpf_map_get_next_key(fd, at, key); n++)
		at = key;
	return n;
}

/* --- planned BPF maps --- */

static bool settled(struct child *c, struct script *s, struct answer *a)
{
	bool ok = commit(c, s, a) && a->done.status == WIRE_APPLIED;

	if (!ok)
		printf("# %s\n", a->text);
	return ok;
}

/* `had` are in force; one more than fits with them is refused, as many as fit are taken. */
static void fill(struct child *c, const struct planned *p, uint32_t room, uint32_t had,
		 const struct script *plan)
{
	struct script s = {0};
	struct answer a = {0};
	char numbers[160];
	bool good;

	for (uint32_t i = 0; i < room - had + 1; i++)
		p->row(&s, p->map, i);
	snprintf(numbers, sizeof(numbers),
		 "BPF map %s has room for %u elements; %u are in force and this change adds %u", p->name,
		 room, had, room - had + 1);
	CHECK(commit(c, &s, &a) && a.done.status == WIRE_REFUSED && strstr(a.text, numbers),
	      "NP81 %s: one too many is refused whole: %s", p->name, a.text);
	CHECK(stream(false, 3, 0) == 3 && stream(true, 3, 0) == 3, "%s: packets go on", p->name);
	check_readback(c, plan, p->name);
	s.list.len--;
	good = settled(c, &s, &a);
	CHECK(good && stream(false, 3, 0) == 3, "%s: %u of %u fit, and packets go on", p->name, room - had,
	      room);
	VEC_EACH (&s.list, ch)
		ch->op = CHANGE_DEL;
	CHECK(settled(c, &s, &a), "%s: taken back, there is room again", p->name);
	vec_free(&a.results);
	script_fini(&s);
}

/* A third pod: neither its interface nor its namespace has room; the node's own has an element too. */
static void third_pod(struct child *c, const struct script *plan)
{
	struct script s = {0};
	struct answer a = {0};
	struct pod third;

	make_pod(&third, 5, "0000-uid-5");
	hand_over(c, &third);
	put(&s, CHANGE_ADD, ROW_LINK, 0, &third.key, sizeof(third.key), &third.link, sizeof(third.link));
	CHECK(commit(c, &s, &a) && a.done.status == WIRE_REFUSED &&
		  strstr(a.text, "BPF map netns has room for 3 elements"),
	      "NP81 netns: a pod too many is refused: %s", a.text);
	struct iface_value iv = {.v4 = addr16_of(&third.link.v4), .mac = {2}};

	MAP(&s, CHANGE_ADD, iface, third.key.ifindex, iv);
	struct change last = s.list.items[1];

	s.list.items[1] = s.list.items[0];
	s.list.items[0] = last;
	CHECK(commit(c, &s, &a) && a.done.status == WIRE_REFUSED &&
		  strstr(a.text, "BPF map iface has room for 2 elements"),
	      "NP81 iface: a pod too many is refused: %s", a.text);
	CHECK(system("ip link show wp10007 >/dev/null 2>&1") != 0 && stream(false, 3, 0) == 3,
	      "no link was made, and packets go on");
	check_readback(c, plan, "after the third pod");
	vec_free(&a.results);
	script_fini(&s);
}

/* --- BPF maps that packets write --- */

struct talk { /* UDP from a port of pod 0 to pod 1's PORT */
	int from, to;
	struct sockaddr_in6 dst;
};

static int bound(int ns, const struct addr *own, uint16_t port)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd;

	enter(ns);
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(&at.sin6_addr, own, 16);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
		die("bind");
	enter(node_ns);
	return fd;
}

static const struct addr *own_of(const struct pod *p, bool v6)
{
	return v6 ? &p->link.v6 : &p->link.v4;
}

/* One datagram and its answer: 2 where both came. The server answers whom it heard. */
static unsigned exchange(int client, int server, const struct addr *to, uint16_t port)
{
	struct sockaddr_in6 dst = {.sin6_family = AF_INET6, .sin6_port = htons(port)}, who;
	struct pollfd at_server = {.fd = server, .events = POLLIN},
		      at_client = {.fd = client, .events = POLLIN};
	socklen_t len = sizeof(who);
	char byte;

	memcpy(&dst.sin6_addr, to, 16);
	if (sendto(client, "q", 1, 0, (struct sockaddr *)&dst, sizeof(dst)) != 1)
		return 0;
	if (poll(&at_server, 1, 300) <= 0 ||
	    recvfrom(server, &byte, 1, 0, (struct sockaddr *)&who, &len) != 1)
		return 0;
	if (sendto(server, "a", 1, 0, (struct sockaddr *)&who, len) != 1)
		return 1;
	return poll(&at_client, 1, 300) > 0 && recv(client, &byte, 1, 0) == 1 ? 2 : 1;
}

/* Answered connections: those that are there go on, one too many is dropped with its name; gone ones make
 * room. */
static void fill_conns(struct child *c, bool v6)
{
	const char *map = v6 ? "conn6" : "conn4";
	int client[CONNS + 1], server = bound(pods[1].netns, own_of(&pods[1], v6), 5000);
	const struct addr *to = own_of(&pods[1], v6);
	uint64_t before = dropped(DROP_CONN_FULL);
	struct address_value av = {.flags = ADDRESS_POD, .owner = v6 ? 901 : 900};
	struct addr16 key = addr16_of(own_of(&pods[0], v6));
	struct script s = {0};
	struct answer a = {0};
	unsigned good = 0;

	for (unsigned i = 0; i <= CONNS; i++)
		client[i] = bound(pods[0].netns, own_of(&pods[0], v6), (uint16_t)(6000 + i));
	for (unsigned i = 0; i < CONNS; i++)
		good += exchange(client[i], server, to, 5000);
	CHECK(good == 2 * CONNS && held(map) == CONNS, "%s holds %zu answered connections", map, held(map));
	good = exchange(client[CONNS], server, to, 5000);
	before = dropped(DROP_CONN_FULL) - before;
	CHECK(good < 2 && before, "%s: one more is dropped as conn-full, %llu packets", map,
	      (unsigned long long)before);
	good = 0;
	for (unsigned i = 0; i < CONNS; i++)
		good += exchange(client[i], server, to, 5000);
	CHECK(good == 2 * CONNS, "%s: those that are there go on (%u of %u)", map, good, 2 * CONNS);
	/* They go with their pod. */
	MAP(&s, CHANGE_SET, address, key, av);
	CHECK(settled(c, &s, &a) && !held(map), "%s is empty when the pod's connections go", map);
	CHECK(exchange(client[CONNS], server, to, 5000) == 2, "%s: and there is room again", map);
	for (unsigned i = 0; i <= CONNS; i++)
		close(client[i]);
	close(server);
	vec_free(&a.results);
	script_fini(&s);
}

/* Connections that nobody answers push out each other, never an answered one. */
static void flood(bool v6)
{
	int client = bound(pods[0].netns, own_of(&pods[0], v6), 7000);
	int server = bound(pods[1].netns, own_of(&pods[1], v6), 5001);
	const struct addr *to = own_of(&pods[1], v6);
	struct sockaddr_in6 dst = {.sin6_family = AF_INET6};
	uint64_t inserted = counted(COUNTER_HALF_INSERTED), drops = counted(COUNTER_POD_DROP);
	unsigned good = exchange(client, server, to, 5001), sent = 0;

	memcpy(&dst.sin6_addr, to, 16);
	for (uint16_t port = 10000; port < 12000; port++) {
		dst.sin6_port = htons(port);
		sent += sendto(client, "x", 1, 0, (struct sockaddr *)&dst, sizeof(dst)) == 1;
	}
	inserted = counted(COUNTER_HALF_INSERTED) - inserted;
	CHECK(inserted >= 2000 && held(v6 ? "half6" : "half4") <= 64 && counted(COUNTER_POD_DROP) == drops,
	      "half%u: of %llu unanswered connections %zu are kept, no packet is dropped", v6 ? 6 : 4,
	      (unsigned long long)inserted, held(v6 ? "half6" : "half4"));
	CHECK(good == 2 && exchange(client, server, to, 5001) == 2,
	      "half%u: the answered one goes on (%u sent)", v6 ? 6 : 4, sent);
	close(client);
	close(server);
}

/* Through a Service, translated packet by packet: two elements a connection. */
static void fill_nat(struct child *c)
{
	struct service_key sk = {.port = htons(80), .proto = IPPROTO_UDP};
	struct service_value sv = {.list = 77, .count = 1, .service = 7};
	struct backend_key bk = {.list = 77};
	struct backend_value bv = {.addr = addr16_of(&pods[1].link.v4), .port = htons(5002)};
	int client[NATS], server = bound(pods[1].netns, &pods[1].link.v4, 5002);
	uint64_t before = dropped(DROP_NAT_FULL), until;
	struct addr service = addr_from4(0x0a600001);
	struct script s = {0};
	struct answer a = {0};
	unsigned good = 0;

	memcpy(&sk.addr, &service, 16);
	MAP(&s, CHANGE_ADD, backend, bk, bv);
	MAP(&s, CHANGE_ADD, service, sk, sv);
	CHECK(settled(c, &s, &a), "a Service is there");
	for (unsigned i = 0; i < NATS; i++)
		client[i] = bound(pods[0].netns, &pods[0].link.v4, (uint16_t)(8000 + i));
	for (unsigned i = 0; i < 4; i++)
		good += exchange(client[i], server, &service, 80);
	CHECK(good == 8 && held("nat") >= 8, "nat holds %zu translations of 4 connections", held("nat"));
	/* Unanswered from here on: conn4 must not fill before nat does. */
	for (unsigned i = 4; i < NATS; i++) {
		struct sockaddr_in6 dst = {.sin6_family = AF_INET6, .sin6_port = htons(80)};

		memcpy(&dst.sin6_addr, &service, 16);
		sendto(client[i], "q", 1, 0, (struct sockaddr *)&dst, sizeof(dst));
	}
	CHECK(held("nat") == NATS && dropped(DROP_NAT_FULL) > before,
	      "nat is full with %zu; what finds no room is dropped as nat-full, %llu packets", held("nat"),
	      (unsigned long long)(dropped(DROP_NAT_FULL) - before));
	char rest[64];
	while (recv(server, rest, sizeof(rest), MSG_DONTWAIT) > 0)
		;
	good = 0;
	for (unsigned i = 0; i < 4; i++)
		good += exchange(client[i], server, &service, 80);
	CHECK(good == 8, "nat: the connections that are there go on (%u of 8)", good);
	/* The pod's connections go, and with them their translations. */
	struct address_value av = {.flags = ADDRESS_POD, .owner = 910};
	struct addr16 key = addr16_of(&pods[0].link.v4);

	script_fini(&s);
	s = (struct script){0};
	MAP(&s, CHANGE_SET, address, key, av);
	CHECK(settled(c, &s, &a), "the pod is another one");
	until = clock_ms() + 3000;
	while (held("nat") && clock_ms() < until)
		usleep(50000);
	CHECK(!held("nat") && exchange(client[NATS - 1], server, &service, 80) == 2, "nat has room again");
	for (unsigned i = 0; i < NATS; i++)
		close(client[i]);
	close(server);
	vec_free(&a.results);
	script_fini(&s);
}

/* First fragments leave their ports; past the room the oldest go, and their later fragments are dropped by
 * name. */
static void flood_fragments(void)
{
	struct sockaddr_in dst = {.sin_family = AF_INET};
	uint8_t packet[20 + 16] = {0};
	struct iphdr *ip = (struct iphdr *)(void *)packet;
	uint64_t before = dropped(DROP_FRAGMENT);
	AUTO_FD int raw = -1;

	enter(pods[0].netns);
	raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	enter(node_ns);
	*ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP};
	memcpy(&ip->saddr, pods[0].link.v4.b + 12, 4);
	memcpy(&ip->daddr, pods[1].link.v4.b + 12, 4);
	memcpy(&dst.sin_addr, &ip->daddr, 4);
	ip->tot_len = htons(sizeof(packet));
	memcpy(packet + 20, (uint8_t[]){0x20, 0, PORT >> 8, PORT & 255, 0, 32}, 6);
	for (unsigned round = 0; round < 2; round++)
		for (uint16_t id = 1; id <= 500; id++) {
			ip->id = htons(id);
			ip->frag_off = htons(round ? 2 : 0x2000);
			sendto(raw, packet, sizeof(packet), 0, (struct sockaddr *)&dst, sizeof(dst));
		}
	before = dropped(DROP_FRAGMENT) - before;
	CHECK(held("fragment") <= 16 && before >= 500 - 16 && before <= 500,
	      "fragment: %zu are kept; %llu later ones whose first is forgotten are dropped as fragment",
	      held("fragment"), (unsigned long long)before);
}

/* Pod 1 has these sets for what comes in: its two records say the same. */
static void isolate(struct script *s, uint32_t set, uint32_t staged)
{
	const struct addr *own[] = {&pods[1].link.v4, &pods[1].link.v6};
	struct endpoint_value ev = {
	    .ifindex = pods[1].key.ifindex, .ingress_set = set, .staged_ingress = staged};
	struct iface_value iv = {.v4 = addr16_of(own[0]), .v6 = addr16_of(own[1]), .ingress_set = set};
	struct addr16 key = addr16_of(own[0]);

	memcpy(ev.mac, pods[1].link.mac, 6);
	memcpy(iv.mac, pods[1].link.mac, 6);
	MAP(s, CHANGE_SET, endpoint, key, ev);
	MAP(s, CHANGE_SET, iface, pods[1].key.ifindex, iv);
}

/* More causes than BPF map drop has room for: the packets are dropped all the same, and counted as what
 * nobody named. */
static void fill_drops(struct child *c)
{
	AUTO_FD int from = bound(pods[0].netns, &pods[0].link.v4, 9000);
	struct sockaddr_in6 dst = {.sin6_family = AF_INET6, .sin6_port = htons(5003)};
	AUTO_FD int server = bound(pods[1].netns, &pods[1].link.v4, 5003);
	uint64_t untold = counted(COUNTER_DROPS_UNTOLD), drops = counted(COUNTER_POD_DROP), named = 0;
	struct script s = {0};
	struct answer a = {0};
	char byte;

	memcpy(&dst.sin6_addr, &pods[1].link.v4, 16);
	for (unsigned i = 0; i < 10; i++) {
		isolate(&s, ISOLATED + i, SET_NONE);
		if (!settled(c, &s, &a))
			break;
		script_fini(&s);
		s = (struct script){0};
		sendto(from, "x", 1, 0, (struct sockaddr *)&dst, sizeof(dst));
	}
	drops = counted(COUNTER_POD_DROP) - drops;
	untold = counted(COUNTER_DROPS_UNTOLD) - untold;
	named = dropped(DROP_POLICY_INGRESS);
	CHECK(recv(server, &byte, 1, MSG_DONTWAIT) < 0 && drops == 10 && held("drop") == 4 &&
		  untold + named == 10,
	      "drop: 10 packets are refused; %llu have a name in %zu elements, %llu are counted without",
	      (unsigned long long)named, held("drop"), (unsigned long long)untold);
	/* Staged sets that would refuse: one element fits. */
	untold = counted(COUNTER_STAGED_UNTOLD);
	for (unsigned i = 0; i < 5; i++) {
		isolate(&s, SET_NONE, STAGED + 100 + i);
		if (!settled(c, &s, &a))
			break;
		script_fini(&s);
		s = (struct script){0};
		dst.sin6_port = htons((uint16_t)(5003 + (i ? 100 + i : 0)));
		sendto(from, "x", 1, 0, (struct sockaddr *)&dst, sizeof(dst));
	}
	untold = counted(COUNTER_STAGED_UNTOLD) - untold;
	CHECK(recv(server, &byte, 1, MSG_DONTWAIT) == 1 && held("staged") == 1 && untold == 4,
	      "staged: packets pass; 1 judgement is kept, %llu are counted", (unsigned long long)untold);
	vec_free(&a.results);
	script_fini(&s);
}

/* Events that nobody reads: what finds no room in the rings is counted, and each packet is dropped all the
 * same. */
static void fill_rings(struct child *c)
{
	AUTO_FD int from = bound(pods[0].netns, &pods[0].link.v4, 9001);
	struct sockaddr_in6 dst = {.sin6_family = AF_INET6, .sin6_port = htons(5004)};
	uint64_t lost = counted(COUNTER_EVENTS_LOST), drops = counted(COUNTER_POD_DROP);
	struct script s = {0};
	struct answer a = {0};
	unsigned sent = 0;

	memcpy(&dst.sin6_addr, &pods[1].link.v4, 16);
	isolate(&s, ISOLATED, SET_NONE);
	CHECK(settled(c, &s, &a), "pod 1 is isolated");
	for (unsigned i = 0; i < 20000; i++)
		sent += sendto(from, "x", 1, 0, (struct sockaddr *)&dst, sizeof(dst)) == 1;
	lost = counted(COUNTER_EVENTS_LOST) - lost;
	drops = counted(COUNTER_POD_DROP) - drops;
	CHECK(sent == 20000 && drops == sent && lost && lost < sent,
	      "events: of %u drops %llu found no room in the rings, and are counted", sent,
	      (unsigned long long)lost);
	vec_free(&a.results);
	script_fini(&s);
}

/* The cluster's DNS answers with more addresses than BPF map learned has room for: the answer reaches the
 * pod, what is not learned is counted, and stays denied. */
static void fill_learned(struct child *c, const struct script *plan)
{
	static const uint8_t question[] = {0, 7,   0x81, 0x80, 0,   1,	 0,   LEARNED + 2, 0,	0,
					   0, 0,   7,	 'e',  'x', 'a', 'm', 'p',	   'l', 'e',
					   3, 'o', 'r',	 'g',  0,   0,	 1,   0,	   1};
	int client = bound(pods[0].netns, &pods[0].link.v4, 9002),
	    server = bound(pods[1].netns, &pods[1].link.v4, 53);
	struct sockaddr_in6 dst = {.sin6_family = AF_INET6, .sin6_port = htons(53)}, who;
	struct pollfd at_server = {.fd = server, .events = POLLIN},
		      at_client = {.fd = client, .events = POLLIN};
	struct address_value av = {.flags = ADDRESS_POD | ADDRESS_DNS, .owner = 920};
	struct addr16 key = addr16_of(&pods[1].link.v4);
	struct name_key nk = {.prefixlen = 12 * 8, .text = "gro.elpmaxe"};
	struct name_value nv = {.name = 20};
	uint64_t lost = counted(COUNTER_NAMES_LOST);
	struct config_value cfg;
	uint32_t zero = 0;
	socklen_t len = sizeof(who);
	struct script s = {0};
	struct answer a = {0};
	AUTO_BUF b = {0};
	char byte[600];
	bool came;

	memcpy(&cfg, plan->list.items[0].row.value, sizeof(cfg));
	cfg.flags = CONFIG_NAMES;
	MAP(&s, CHANGE_ADD, name, nk, nv);
	isolate(&s, SET_NONE, SET_NONE);
	MAP(&s, CHANGE_SET, address, key, av);
	MAP(&s, CHANGE_SET, config, zero, cfg);
	CHECK(settled(c, &s, &a), "pod 1 serves the cluster's DNS");
	memcpy(&dst.sin6_addr, &pods[1].link.v4, 16);
	sendto(client, "q", 1, 0, (struct sockaddr *)&dst, sizeof(dst));
	if (poll(&at_server, 1, 500) > 0)
		recvfrom(server, byte, sizeof(byte), 0, (struct sockaddr *)&who, &len);
	buf_add(&b, question, sizeof(question));
	for (uint8_t i = 0; i < LEARNED + 2; i++) {
		uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 198, 51, 100, i};

		buf_add(&b, record, sizeof(record));
	}
	sendto(server, b.p, b.n, 0, (struct sockaddr *)&who, len);
	came = poll(&at_client, 1, 500) > 0 && recv(client, byte, sizeof(byte), 0) == (ssize_t)b.n;
	lost = counted(COUNTER_NAMES_LOST) - lost;
	CHECK(came && held("learned") == LEARNED && lost == 2,
	      "learned: %zu addresses are kept, %llu are counted, and the answer arrives", held("learned"),
	      (unsigned long long)lost);
	close(client);
	close(server);
	vec_free(&a.results);
	script_fini(&s);
}

/* More clients from outside than BPF map affinity has room for: the oldest are forgotten, the last is known.
 */
static void flood_affinity(struct child *c)
{
	struct service_key sk = {.port = htons(81), .proto = IPPROTO_UDP};
	struct service_value sv = {
	    .flags = SERVICE_OUTSIDE_TOO, .out_list = 78, .out_count = 1, .affinity = 1000, .service = 9};
	struct backend_key bk = {.list = 78};
	struct backend_value bv = {.addr = addr16_of(&pods[1].link.v4), .port = htons(5005)};
	struct affinity_key last = {.service = 9, .outside = 1};
	struct sockaddr_in dst = {.sin_family = AF_INET};
	struct affinity_value known;
	uint8_t packet[20 + 9] = {0};
	struct iphdr *ip = (struct iphdr *)(void *)packet;
	AUTO_FD int raw = -1, map = play_map("affinity");
	struct script s = {0};
	struct answer a = {0};
	struct addr node, client;

	addr_parse(STR(NODE4), &node);
	sk.addr = addr16_of(&node);
	MAP(&s, CHANGE_ADD, backend, bk, bv);
	MAP(&s, CHANGE_ADD, service, sk, sv);
	CHECK(settled(c, &s, &a), "a Service for outside keeps clients with their pod: %s", a.text);
	enter(far_ns);
	raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	enter(node_ns);
	*ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP};
	memcpy(&ip->daddr, node.b + 12, 4);
	memcpy(&dst.sin_addr, &ip->daddr, 4);
	ip->tot_len = htons(sizeof(packet));
	memcpy(packet + 20, (uint8_t[]){0x20, 0, 0, 81, 0, 9}, 6);
	for (unsigned i = 1; i <= 500; i++) {
		client = addr_from4(0xc6336400 + i);
		memcpy(&ip->saddr, client.b + 12, 4);
		sendto(raw, packet, sizeof(packet), 0, (struct sockaddr *)&dst, sizeof(dst));
	}
	last.client = addr16_of(&client);
	CHECK(held("affinity") <= 64 && held("affinity") >= 16 && !bpf_map_lookup_elem(map, &last, &known) &&
		  known.port == htons(5005),
	      "affinity: of 500 clients %zu are remembered, the last among them", held("affinity"));
	vec_free(&a.results);
	script_fini(&s);
}

int main(int argc, char **argv)
{
	struct script plan = {0};
	struct answer a = {0};
	struct wire_welcome w;
	struct child c;

	if (!play_begin(argc, argv, "overflow"))
		return 0;
	c = start_applier(SMALL, "routes");
	w = hello(&c);
	plan_rows(&plan, &w);
	for (unsigned i = 0; i < PODS; i++)
		hand_over(&c, &pods[i]);
	CHECK(settled(&c, &plan, &a), "two pods are wired");
	for (size_t i = 0; i < ARRAY_LEN(planned); i++) {
		uint32_t had = 0;

		VEC_EACH (&plan.list, ch)
			had += ch->row.type == ROW_MAP && ch->row.table == planned[i].map;
		fill(&c, &planned[i], w.entries[planned[i].map], had, &plan);
	}
	third_pod(&c, &plan);
	fill_conns(&c, false);
	fill_conns(&c, true);
	flood(false);
	flood(true);
	fill_nat(&c);
	flood_fragments();
	fill_drops(&c);
	fill_rings(&c);
	fill_learned(&c, &plan);
	flood_affinity(&c);
	clean_applier(&c);
	vec_free(&a.results);
	script_fini(&plan);
	return play_end();
}
