/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a packet costs in the loaded programs, by BPF_PROG_TEST_RUN: of an established connection among many,
 * and the first of a new one, beside an empty program in the same run (the harness). Prints median and
 * spread; judges nothing, since bench/ and a person do that. "speed N" takes N live connections (default
 * 10,000).
 */
#include "world.h"
#include "speed.skel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apply/filter.h"
#include "base/own.h"
#include "filter/filter.h"
#include "seam/tap.h"

#define ROUNDS 9
#define REPEAT 10000
#define V4     "10.1.0.5", "10.1.0.6"
#define V6     "fd00:1::5", "fd00:1::6"

static struct speed *speed;

static void policies(void);

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void show(const char *name, uint32_t *ns)
{
	qsort(ns, ROUNDS, sizeof(*ns), compare);
	printf("%-64s %5u ns  (%u to %u)\n", name, ns[ROUNDS / 2], ns[0], ns[ROUNDS - 1]);
}

/* Runs `target` behind speed_next over `flows` flows; `before` each round. */
static void measure(const char *name, const struct bpf_program *target, const char *src, const char *dst,
		    uint8_t proto, uint32_t flows, int shuffled, void (*before)(void))
{
	struct spec s = {proto == IPPROTO_TCP ? TCP : UDP, src, dst, 0, 80, ACK, .payload = 20};
	int fd = bpf_program__fd(target);
	uint8_t frame[PACKET_MAX];
	uint32_t ns[ROUNDS], zero = 0;
	struct run r;

	bpf_map_update_elem(bpf_map__fd(speed->maps.jump), &zero, &fd, BPF_ANY);
	speed->bss->flows = flows;
	speed->bss->shuffled = (uint32_t)shuffled;
	for (int i = 0; i < ROUNDS; i++) {
		if (before)
			before();
		world_run(speed->progs.speed_next, IF_A, frame, packet_build(&s, frame), 0, REPEAT, &r);
		ns[i] = r.nanoseconds;
	}
	show(name, ns);
}

static void forget(void)
{
	world_reset();
	policies();
}

static void fill(int v6, uint32_t n)
{
	struct conn_value v = {.flags = CONN_ANSWERED, .ifindex = IF_A};
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	v.seen = (uint64_t)now.tv_sec * 1000000000u;

	for (uint32_t i = 0; i < n; i++) {
		struct conn4_key k4 = {.a = htonl(0x0a010005),
				       .b = htonl(0x0a010006),
				       .aport = htons((uint16_t)i),
				       .bport = htons((uint16_t)(i >> 16 ? 81 : 80)),
				       .proto = IPPROTO_TCP};
		struct conn6_key k6 = {.a = addr("fd00:1::5"),
				       .b = addr("fd00:1::6"),
				       .aport = k4.aport,
				       .bport = k4.bport,
				       .proto = IPPROTO_TCP};

		bpf_map_update_elem(bpf_map__fd(v6 ? world->maps.conn6 : world->maps.conn4),
				    v6 ? (void *)&k6 : (void *)&k4, &v, BPF_ANY);
	}
}

static void policies(void)
{
	for (uint32_t i = 0; i < 10000; i++) {
		set_policy(1000 + i % 100, CLASS_A + i, 5000 + i % 100, 0);
		set_port_only(5000 + i % 100, PORT_LEN(16), i & 1 ? IPPROTO_TCP : IPPROTO_UDP,
			      (uint16_t)(80 + i / 200), VERDICT_ALLOW, 16 + i);
	}
	set_pod("a", 0, 1001);
	set_pod("b", 1000, 0);
	set_policy(1001, CLASS_B, 5001, 0);
	set_policy(1000, CLASS_A, 5000, 0);
	set_port_only(5000, PORT_LEN(16), IPPROTO_UDP, 80, VERDICT_ALLOW, 16);
	set_port_only(5001, PORT_LEN(16), IPPROTO_UDP, 80, VERDICT_ALLOW, 17);
}

/* One pass of ageing over all live connections, none of which is over. */
static void measure_gc(uint32_t live)
{
	struct timespec a, b;
	int removed;

	clock_gettime(CLOCK_MONOTONIC, &a);
	removed = world_gc(0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("weft_gc over %u connections: %ld us, removed %d\n", live * 2,
	       (b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000, removed);
}

/* As the applier makes it of so many filters, of which the first matches what is measured. */
static void judge(uint32_t number, unsigned filters)
{
	struct filter_form forms[TAP_FILTERS_MAX] = {};
	struct filter_program programs[TAP_FILTERS_MAX] = {};
	struct filter_code code = {};
	AUTO_BUF why = {};
	int fd = -1;

	for (unsigned i = 0; i < filters; i++) {
		AUTO(remarks_fini) struct remarks remarks = {};
		struct filter *f = NULL;
		char text[80];

		snprintf(text, sizeof(text),
			 i ? "dst.ip == 10.9.%u.0/24 && tcp && dst.port == %u" : "tcp && dst.port == 80", i,
			 1000 + i);
		if (filter_parse(&f, str_of(text), (struct pos){}, &remarks) ||
		    filter_program(f, &programs[i], &why))
			printf("# %s: %s\n", text, why.p ? why.p : "not a filter");
		filter_unref(&f);
		forms[i] = (struct filter_form){programs[i].steps, programs[i].classic, programs[i].n};
	}
	if (!filter_translate_judge(&code, forms, filters, &why))
		fd = filter_load(&code, BPF_PROG_TYPE_SCHED_CLS, NULL, &why);
	if (fd < 0 || bpf_map_update_elem(bpf_map__fd(world->maps.judge), &number, &fd, BPF_ANY))
		printf("# no judge: %s\n", why.p ? why.p : strerror(errno));
	own_fd(&fd);
	filter_code_fini(&code);
	for (unsigned i = 0; i < filters; i++)
		filter_program_fini(&programs[i]);
}

static void outlet(uint32_t number, uint32_t ifindex)
{
	struct outlet_value v = {.ifindex = ifindex, .way = OUTLET_INTERFACE};

	bpf_map_update_elem(bpf_map__fd(world->maps.outlet), &number, &v, BPF_ANY);
}

/* A copy to an interface whose other end lets go of it at once, as weft-copy1 does. */
static void taps(uint32_t flows)
{
	static const struct {
		const char *name;
		uint32_t ifindex;
		struct tap_value v;
	} rows[] = {
	    {"established, IPv4, another place is tapped", 999, {.judge = 1}},
	    {"established, IPv4, tapped: 1 filter, nobody wants it", IF_A, {.judge = 1}},
	    {"established, IPv4, tapped: 30 filters, nobody wants it", IF_A, {.judge = 30}},
	    {"established, IPv4, tapped: a copy to weft-copier", IF_A, {.judge = 1, .take = {0, 1}}},
	    {"established, IPv4, tapped: a copy straight to a tool",
	     IF_A,
	     {.judge = 1, .directs = 1, .direct = {{.outlet = 1, .take = {0, 1}}}}},
	};
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, stop, .prog_fd = bpf_program__fd(world->progs.weft_copy_stop));
	LIBBPF_OPTS(bpf_tc_opts, out, .prog_fd = bpf_program__fd(world->progs.weft_copy_out));
	uint32_t copy0 = if_nametoindex("copy0");

	hook.ifindex = (int)if_nametoindex("copy1");
	if (!copy0 || bpf_tc_hook_create(&hook) || bpf_tc_attach(&hook, &stop)) {
		printf("# no way for copies\n");
		return;
	}
	judge(1, 1);
	judge(30, 30);
	speed->bss->clone_to = copy0;
	measure("a bare clone to the same interface", speed->progs.speed_clone, V4, IPPROTO_TCP, 1, 0, NULL);
	measure("established, IPv4, no tap", world->progs.weft_from_pod, V4, IPPROTO_TCP, flows, 1, NULL);
	outlet(0, copy0);
	outlet(1, copy0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bpf_map_update_elem(bpf_map__fd(world->maps.tap), &rows[i].ifindex, &rows[i].v, BPF_ANY);
		measure(rows[i].name, world->progs.weft_from_pod, V4, IPPROTO_TCP, flows, 1, NULL);
		bpf_map_delete_elem(bpf_map__fd(world->maps.tap), &rows[i].ifindex);
	}
	hook.ifindex = (int)copy0;
	hook.attach_point = BPF_TC_EGRESS;
	if (bpf_tc_hook_create(&hook) || bpf_tc_attach(&hook, &out))
		printf("# weft_copy_out is not attached\n");
	bpf_map_update_elem(bpf_map__fd(world->maps.tap), &rows[3].ifindex, &rows[3].v, BPF_ANY);
	measure("established, IPv4, tapped: the same through weft_copy_out", world->progs.weft_from_pod, V4,
		IPPROTO_TCP, flows, 1, NULL);
}

int main(int argc, char **argv)
{
	uint32_t live = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10000;

	if (unshare(CLONE_NEWNET) ||
	    system("ip link set lo up && ip link add index 101 name wp101 type veth peer name e0 && "
		   "ip link add copy0 type veth peer name copy1 && ip link set copy0 up && ip link set copy1 "
		   "up") ||
	    world_load() || !(speed = speed__open_and_load())) {
		printf("1..0 # SKIP needs root, eBPF and veth\n");
		return 0;
	}
	world_reset();
	fill(0, live);
	fill(1, live);
	policies();
	printf("# %u live connections in each family, 10,000 policy elements\n", live);
	measure_gc(live);
	measure("harness", speed->progs.speed_empty, V4, IPPROTO_TCP, live, 1, NULL);
	measure("established, pod to pod of this node, IPv4", world->progs.weft_from_pod, V4, IPPROTO_TCP,
		live, 1, NULL);
	measure("established, pod to pod of this node, IPv6", world->progs.weft_from_pod, V6, IPPROTO_TCP,
		live, 1, NULL);
	measure("established, one flow, IPv4", world->progs.weft_from_pod, V4, IPPROTO_TCP, 1, 0, NULL);
	measure("established, one flow, IPv6", world->progs.weft_from_pod, V6, IPPROTO_TCP, 1, 0, NULL);
	measure("new connection, judged at both ends, IPv4", world->progs.weft_from_pod, V4, IPPROTO_UDP,
		10000, 0, forget);
	measure("new connection, judged at both ends, IPv6", world->progs.weft_from_pod, V6, IPPROTO_UDP,
		10000, 0, forget);
	measure("new connection from outside, IPv4", world->progs.weft_uplink, "198.51.100.9", "10.1.0.5",
		IPPROTO_UDP, 10000, 0, forget);
	forget();
	fill(0, live);
	taps(live);
	return 0;
}
