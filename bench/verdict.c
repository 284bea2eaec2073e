/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one packet costs in weft_from_pod, by BPF_PROG_TEST_RUN: an established packet among 10,000 and
 * 1,000,000 live flows, and the first packet of a flow, without policy, with one, and with 10,000 policies of
 * one port and of several.
 * Loads the programs with BPF maps of its own in a namespace of its own, fills them by the records of seam/,
 * and prints one JSON line: samples in ns, interleaved, the feeder's own cost subtracted. A packet that is
 * not delivered ends it. Called by bench/run.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seam/class.h"
#include "seam/config.h"
#include "seam/conn.h"
#include "seam/endpoint.h"
#include "seam/event.h"
#include "seam/policy.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* generated */
#include "verdict.skel.h"
#include "weft.skel.h"
#pragma GCC diagnostic pop

#define PODS	    10000u
#define SOURCE	    0x0af40002u /* 10.244.0.2 */
#define FIRST	    0x0af50000u /* 10.245.0.0 … */
#define CHUNK	    4096u
#define REDIRECT    7u
#define FLOWS_FEW   10000u
#define FLOWS_MANY  1000000u
#define NEW_BASE    2000000u /* flows from here on were never seen */
#define NEW_A_ROUND 16384u   /* half of what BPF map half4 holds: none has to go for another */
#define FLOOD	    65536u

enum { TARGET_WEFT, TARGET_NOTHING };

struct world {
	const char *name;
	uint32_t policies; /* 0, 1 for all, or one a receiver */
	int portsets;	   /* their rules have more than one port */
	uint32_t conns;	   /* 0: room for as many connections as a node has by default */
	struct weft *w;
	struct verdict *v;
	uint32_t fresh; /* next flow that was never seen */
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "verdict: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct addr16 mapped(uint32_t v4)
{
	struct addr16 a = {.w = {0, 0, htonl(0xffff), htonl(v4)}};

	return a;
}

static void put(struct bpf_map *map, const void *key, const void *value)
{
	if (bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY) < 0)
		die(bpf_map__name(map));
}

/* What set `set` says about `class`: TCP 8080. A rule with one port is written in one element; with more it
 * has a port set, which is looked up by port. */
static void add_policy(struct weft *w, uint32_t set, uint32_t class, uint32_t portset)
{
	struct policy_key key = {.set = set, .class = class};
	struct policy_value one = {
	    .portset = PORTSET_ONE, .rule = RULE_FIRST, .proto = IPPROTO_TCP, .port = htons(8080)};
	struct policy_value several = {.portset = portset, .lens = 1u << PORT_LEN(16)};
	struct port_value verdict = {.verdict = VERDICT_ALLOW, .rule = RULE_FIRST};

	put(w->maps.policy, &key, portset ? &several : &one);
	for (uint16_t port = 8080; portset && port < 8082; port++) {
		struct port_key number = {
		    .len = PORT_LEN(16), .portset = portset, .proto = IPPROTO_TCP, .port = htons(port)};

		put(w->maps.port, &number, &verdict);
	}
}

/* One pod that sends, PODS that receive; each receiver has a policy of its own, or all have one, or there is
 * none. */
static void fill(struct weft *w, uint32_t ifindex, uint32_t receiver, uint32_t policies, int portsets)
{
	struct config_value config = {.mtu = 1450, .uplink = ifindex, .mode = MODE_ROUTES};
	struct iface_value iface = {.v4 = mapped(SOURCE), .egress_set = policies ? 16 : SET_NONE};
	struct address_value address = {.class = 16, .flags = ADDRESS_POD};
	struct addr16 addr = mapped(SOURCE);
	uint32_t zero = 0;

	put(w->maps.config, &zero, &config);
	put(w->maps.iface, &ifindex, &iface);
	put(w->maps.address, &addr, &address);
	for (uint32_t i = 0; i < PODS; i++) {
		uint32_t own = policies > 1 ? 17 + i : 16;
		struct endpoint_value endpoint = {.ifindex = receiver,
						  .ingress_set = policies ? own : SET_NONE};

		addr = mapped(FIRST + i);
		address.class = own;
		put(w->maps.address, &addr, &address);
		put(w->maps.endpoint, &addr, &endpoint);
		if (i < policies) {
			add_policy(w, own, 16, portsets ? own : 0); /* ingress of this pod from the sender */
			if (policies > 1)
				add_policy(w, 16, own, portsets ? own : 0); /* egress of the sender */
		}
	}
}

static void jump_to(struct verdict *v, uint32_t index, const struct bpf_program *prog)
{
	int fd = bpf_program__fd(prog);

	if (bpf_map_update_elem(bpf_map__fd(v->maps.jump), &index, &fd, BPF_ANY) < 0)
		die("jump");
}

static void world_init(struct world *world, uint32_t ifindex)
{
	world->w = weft__open();
	if (!world->w)
		die("open");
	if (world->conns)
		bpf_map__set_max_entries(world->w->maps.conn4, world->conns);
	bpf_map__set_max_entries(world->w->maps.endpoint, 2 * PODS);
	bpf_map__set_max_entries(world->w->maps.address, 2 * PODS);
	if (weft__load(world->w))
		die("load");
	world->v = verdict__open_and_load();
	if (!world->v)
		die("load the feeder");
	jump_to(world->v, TARGET_WEFT, world->w->progs.weft_from_pod);
	jump_to(world->v, TARGET_NOTHING, world->v->progs.nothing);
	world->v->bss->source = SOURCE;
	world->v->bss->first = FIRST;
	world->v->data->pods = PODS;
	world->fresh = NEW_BASE;
	fill(world->w, ifindex, if_nametoindex("bench1"), world->policies, world->portsets);
}

static uint64_t delivered(const struct weft *w)
{
	uint64_t values[1024], sum = 0;
	uint32_t which = COUNTER_POD_TO_POD;
	int cpus = libbpf_num_possible_cpus();

	if (cpus > 1024 || bpf_map_lookup_elem(bpf_map__fd(w->maps.counter), &which, values) < 0)
		die("counter");
	for (int c = 0; c < cpus; c++)
		sum += values[c];
	return sum;
}

/* ns a repetition, gross. */
static double run(struct world *world, uint32_t ifindex, uint32_t target, uint32_t repeat)
{
	uint8_t packet[64] = {0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00};
	struct __sk_buff skb = {.ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = 54, .ctx_in = &skb,
		    .ctx_size_in = sizeof(skb), .repeat = (int)repeat);
	uint64_t before = delivered(world->w), after;

	world->v->bss->target = target;
	world->v->bss->next = 0;
	if (bpf_prog_test_run_opts(bpf_program__fd(world->v->progs.feed), &opts) < 0)
		die("BPF_PROG_TEST_RUN");
	after = delivered(world->w);
	if (opts.retval != REDIRECT || (target == TARGET_WEFT && after - before != repeat)) {
		fprintf(stderr, "verdict: %s: %" PRIu64 " of %u packets were delivered, the last with %u\n",
			world->name, after - before, repeat, opts.retval);
		exit(1);
	}
	return opts.duration;
}

static void shape(struct world *world, uint32_t base, uint32_t count, uint32_t random, uint8_t syn)
{
	world->v->bss->base = base;
	world->v->data->count = count;
	world->v->bss->random = random;
	world->v->bss->syn = syn;
}

/* Takes up to a batch out of half4. */
static uint32_t take(struct weft *w, struct conn4_key *keys, struct conn_value *values)
{
	uint32_t n = 8 * CHUNK, batch;

	if (bpf_map_lookup_and_delete_batch(bpf_map__fd(w->maps.half4), NULL, &batch, keys, values, &n,
					    NULL) < 0 &&
	    errno != ENOENT)
		die("half4");
	return n;
}

static struct conn4_key keys[8 * CHUNK];
static struct conn_value values[8 * CHUNK];

/* Moves what lies in half4 to conn4, as answers would. */
static void answer(struct weft *w)
{
	uint32_t n = take(w, keys, values);

	for (uint32_t i = 0; i < n; i++)
		values[i].flags |= CONN_ANSWERED;
	if (n && bpf_map_update_batch(bpf_map__fd(w->maps.conn4), keys, values, &n, NULL) < 0)
		die("conn4");
}

static void forget(struct weft *w)
{
	while (take(w, keys, values) == 8 * CHUNK)
		;
}

static void establish(struct world *world, uint32_t ifindex, uint32_t from, uint32_t to)
{
	for (uint32_t at = from; at < to; at += CHUNK) {
		uint32_t n = to - at < CHUNK ? to - at : CHUNK;

		shape(world, at, n, 0, 1);
		run(world, ifindex, TARGET_WEFT, n);
		answer(world->w);
	}
}

/* Net cost: the program's run minus the feeder's alone, both of this moment. */
static double net(struct world *world, uint32_t ifindex, uint32_t repeat)
{
	double gross = run(world, ifindex, TARGET_WEFT, repeat);

	return gross - run(world, ifindex, TARGET_NOTHING, repeat);
}

static double established(struct world *world, uint32_t ifindex, uint32_t flows, uint32_t repeat)
{
	shape(world, 0, flows, 1, 0);
	return net(world, ifindex, repeat);
}

static double fresh(struct world *world, uint32_t ifindex, uint32_t flows)
{
	shape(world, world->fresh, flows, 0, 1);
	world->fresh += flows;
	return net(world, ifindex, flows);
}

/* The first packet of flows that are answered, as most are. */
static double first_packet(struct world *world, uint32_t ifindex)
{
	forget(world->w);
	return fresh(world, ifindex, NEW_A_ROUND);
}

/* Of flows that nobody answers: BPF map half4 is full, each new one takes the place of an old one. */
static double flooded(struct world *world, uint32_t ifindex)
{
	fresh(world, ifindex, FLOOD);
	return fresh(world, ifindex, FLOOD);
}

static void print(const char *name, const double *samples, int n, const char *end)
{
	printf("\"%s\":[", name);
	for (int i = 0; i < n; i++)
		printf("%s%.1f", i ? "," : "", samples[i]);
	printf("]%s", end);
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

static uint32_t own_interface(void)
{
	uint32_t ifindex;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0 || unshare(CLONE_NEWNET) < 0)
		die("unshare");
	if (system("ip link add bench0 type veth peer name bench1") != 0)
		die("ip link add");
	ifindex = if_nametoindex("bench0");
	if (!ifindex)
		die("bench0");
	return ifindex;
}

enum { NONE, ONE, MANY, SETS, MILLION, WORLDS };

static struct world worlds[WORLDS] = {
    [NONE] = {.name = "none"},
    [ONE] = {.name = "one", .policies = 1},
    [MANY] = {.name = "many", .policies = PODS},
    [SETS] = {.name = "sets", .policies = PODS, .portsets = 1},
    [MILLION] = {.name = "million", .policies = PODS, .conns = 2 * FLOWS_MANY},
};

/* Samples of each round: [world][round]. */
static double few[WORLDS][64], first[WORLDS][64], flood[64], many[64];

static void measure(uint32_t ifindex, int rounds, uint32_t repeat)
{
	for (int r = 0; r < rounds; r++) {
		for (int k = 0; k < MILLION; k++) {
			int i = (r + k) % MILLION;

			few[i][r] = established(&worlds[i], ifindex, FLOWS_FEW, repeat);
			first[i][r] = first_packet(&worlds[i], ifindex);
		}
		flood[r] = flooded(&worlds[MANY], ifindex);
	}
	establish(&worlds[MILLION], ifindex, FLOWS_FEW, FLOWS_MANY);
	for (int r = 0; r < rounds; r++)
		many[r] = established(&worlds[MILLION], ifindex, FLOWS_MANY, repeat);
}

static void print_all(int rounds)
{
	char name[64];

	printf("{");
	for (int i = 0; i < MILLION; i++) {
		snprintf(name, sizeof(name), "established_%s", worlds[i].name);
		print(name, few[i], rounds, ",");
		snprintf(name, sizeof(name), "new_%s", worlds[i].name);
		print(name, first[i], rounds, ",");
	}
	print("new_flood", flood, rounds, ",");
	print("established_million", many, rounds, "}\n");
}

int main(int argc, char **argv)
{
	int rounds = argc == 3 ? atoi(argv[1]) : 0;
	uint32_t repeat = argc == 3 ? (uint32_t)atoi(argv[2]) : 0, ifindex;

	if (rounds < 1 || rounds > 64 || repeat < 1) {
		fputs("usage: bench-verdict ROUNDS REPEAT\n", stderr);
		return 2;
	}
	libbpf_set_print(quiet);
	ifindex = own_interface();
	for (int i = 0; i < WORLDS; i++) {
		world_init(&worlds[i], ifindex);
		establish(&worlds[i], ifindex, 0, FLOWS_FEW);
	}
	measure(ifindex, rounds, repeat);
	print_all(rounds);
	for (int i = 0; i < WORLDS; i++) {
		verdict__destroy(worlds[i].v);
		weft__destroy(worlds[i].w);
	}
	return 0;
}
