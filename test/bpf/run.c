/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the BPF cases: a namespace of its own with the interfaces of world.h, each case in each family, one
 * TAP line for each. Also checks after each case that every hook's packets add up: in = ways out + drops.
 */
#include "cases.h"

#include <errno.h>
#include <linux/pkt_cls.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "seam/tap.h"

/* Generated text that mixes int and size_t. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "place.skel.h"
#pragma GCC diagnostic pop

int run_v6;

static const char *const families[][2] = {
    {A, "fd00:1::5"},	 {B, "fd00:1::6"},	    {R, "fd00:2::7"},		{N1, "2001:db8::1"},
    {N2, "2001:db8::2"}, {WORLD, "2001:db8:51::9"}, {WORLD2, "2001:db8:51::a"}, {ROUTER, "2001:db8:113::1"},
    {VIP, "fd00:96::1"}, {VIP2, "fd00:96::2"},	    {GONE, "fd00:1::99"},	{GONE2, "fd00:2::99"},
    {LINK, "fe80::1"},	 {GROUP, "ff02::fb"},	    {NEAR, "2001:db8::77"},	{VIP3, "2001:db8:200::1"},
};

const char *here(const char *text)
{
	for (size_t i = 0; run_v6 && i < sizeof(families) / sizeof(families[0]); i++)
		if (!strcmp(text, families[i][0]))
			return families[i][1];
	return text;
}

int must_be(const char *what, uint64_t got, uint64_t want)
{
	if (got == want)
		return 0;
	printf("# %s is %llu, must be %llu\n", what, (unsigned long long)got, (unsigned long long)want);
	return 1;
}

/* The literal in the family of this run. */
static struct spec in_family(const struct spec *s, struct spec *inner)
{
	struct spec t = *s;

	if (s->proto == ARP)
		return t;
	t.src = here(s->src);
	t.dst = here(s->dst);
	if (s->inner) {
		*inner = in_family(s->inner, NULL);
		t.inner = inner;
	}
	if (s->proto == ICMP_ERROR && run_v6) { /* RFC 792 → RFC 4443 */
		t.icmp_type = s->icmp_type == 11 ? 3 : s->icmp_code == 4 ? 2 : 1;
		t.icmp_code = s->icmp_type == 3 && s->icmp_code == 3 ? 4 : 0;
	}
	return t;
}

struct hook_counters {
	uint32_t in, pod, tunnel, out, stack, drop; /* COUNTER_MAX: the hook has no such way */
};

static const struct hook_counters hooks[] = {
    [FROM_A] = {COUNTER_POD_IN, COUNTER_POD_TO_POD, COUNTER_POD_TO_TUNNEL, COUNTER_POD_TO_UPLINK,
		COUNTER_POD_TO_STACK, COUNTER_POD_DROP},
    [TO_A] = {COUNTER_HOST_IN, COUNTER_MAX, COUNTER_MAX, COUNTER_MAX, COUNTER_HOST_TO_POD, COUNTER_HOST_DROP},
    [UPLINK] = {COUNTER_UPLINK_IN, COUNTER_UPLINK_TO_POD, COUNTER_UPLINK_TO_TUNNEL, COUNTER_UPLINK_TO_UPLINK,
		COUNTER_UPLINK_TO_STACK, COUNTER_UPLINK_DROP},
    [TUNNEL_OUT] = {COUNTER_STACK_IN, COUNTER_MAX, COUNTER_MAX, COUNTER_MAX, COUNTER_STACK_TO_TUNNEL,
		    COUNTER_STACK_DROP},
    [LEAVE] = {COUNTER_LEAVE_IN, COUNTER_MAX, COUNTER_MAX, COUNTER_MAX, COUNTER_LEAVE_TO_UPLINK,
	       COUNTER_LEAVE_DROP},
};

static const struct hook_counters *hook_of(enum at at)
{
	return &hooks[at == FROM_B || at == FROM_R ? FROM_A : at == TO_B ? TO_A : at];
}

static uint32_t way_counter(const struct step *s)
{
	const struct hook_counters *h = hook_of(s->at);

	switch (s->expect) {
	case POD:
		return h->pod;
	case TUNNEL:
		return h->tunnel;
	case OUT:
		return h->out;
	case STACK:
		return h->stack;
	default:
		return h->drop;
	}
}

static uint16_t direction_of(const struct step *s)
{
	return s->reason == DROP_POLICY_INGRESS || s->reason == DROP_DENY_INGRESS ? DIR_TO_POD : DIR_FROM_POD;
}

static uint64_t drops_of(const struct step *s)
{
	return read_drops(s->judged, (uint16_t)s->reason, direction_of(s), s->cause);
}

static int check_drop(const struct step *s, uint64_t before)
{
	struct event e;
	int bad = 0;

	if (!last_event(&e)) {
		printf("# no event\n");
		return 1;
	}
	bad |= must_be("event's reason", e.reason, s->reason);
	bad |= must_be("event's cause", e.cause, s->cause);
	if (s->judged) {
		bad |= must_be("event's interface", e.ifindex, s->judged);
		bad |= must_be("drops of the interface", drops_of(s), before + 1);
	}
	return bad;
}

static int check_frame(const struct step *s, const struct run *r)
{
	struct spec inner, out = in_family(s->out.proto == NOTHING ? &s->in : &s->out, &inner);
	int forwarded = s->expect == POD || s->expect == TUNNEL || s->expect == OUT;
	uint8_t want[PACKET_MAX];
	size_t len;

	if (forwarded && !s->out.ttl)
		out.ttl = (uint8_t)((s->in.ttl ? s->in.ttl : 64) - 1);
	len = packet_build(&out, want);
	return packet_differs(r->out, r->out_len, want, len, s->out.dmac != NULL);
}

static int run_step(const struct step *s)
{
	static const uint32_t ifindex[] = {
	    [FROM_A] = IF_A, [FROM_B] = IF_B,	   [FROM_R] = IF_R,	     [TO_A] = IF_A,
	    [TO_B] = IF_B,   [UPLINK] = IF_UPLINK, [TUNNEL_OUT] = IF_TUNNEL, [LEAVE] = IF_UPLINK};
	const struct bpf_program *const programs[] = {
	    [FROM_A] = world->progs.weft_from_pod,	 [FROM_B] = world->progs.weft_from_pod,
	    [FROM_R] = world->progs.weft_from_pod,	 [TO_A] = world->progs.weft_to_pod,
	    [TO_B] = world->progs.weft_to_pod,		 [UPLINK] = world->progs.weft_uplink,
	    [TUNNEL_OUT] = world->progs.weft_tunnel_out, [LEAVE] = world->progs.weft_uplink_out};
	static const int verdicts[] = {
	    [POD] = TC_ACT_REDIRECT,	 [TUNNEL] = TC_ACT_REDIRECT, [OUT] = TC_ACT_REDIRECT,
	    [STACK] = TC_ACT_OK,	 [DROPPED] = TC_ACT_SHOT,    [REFUSED] = TC_ACT_OK,
	    [ANSWERED] = TC_ACT_REDIRECT};
	uint32_t way = way_counter(s);
	uint64_t before = read_counter(way), dropped = drops_of(s);
	struct spec inner, in = in_family(&s->in, &inner);
	uint8_t frame[PACKET_MAX];
	struct event e;
	struct run r = {};
	int err, bad;

	if (s->before)
		s->before();
	err = world_run(programs[s->at], ifindex[s->at], frame, packet_build(&in, frame), 0, 1, &r);
	if (err) {
		printf("# the program did not run: %s\n", strerror(-err));
		return 1;
	}
	bad = must_be("verdict", (uint64_t)r.verdict, (uint64_t)verdicts[s->expect]);
	bad |= must_be("counter of the way", read_counter(way), before + 1);
	if (s->expect >= DROPPED)
		bad |= check_drop(s, dropped);
	if (s->expect < DROPPED || s->expect == ANSWERED)
		bad |= check_frame(s, &r);
	if (bad && s->expect < DROPPED && last_event(&e))
		printf("# last drop: reason %u, direction %u\n", e.reason, e.direction);
	return bad;
}

static int sums_differ(void)
{
	static const enum at all[] = {FROM_A, TO_A, UPLINK, TUNNEL_OUT, LEAVE};
	int bad = 0;

	for (size_t i = 0; i < 5; i++) {
		const struct hook_counters *h = &hooks[all[i]];
		const uint32_t out[] = {h->pod, h->tunnel, h->out, h->stack, h->drop};
		uint64_t sum = 0;

		for (size_t n = 0; n < 5; n++)
			sum += out[n] == COUNTER_MAX ? 0 : read_counter(out[n]);
		bad |= must_be("sum of ways out and drops", sum, read_counter(h->in));
	}
	return bad;
}

static int run_case(const struct bpf_case *c)
{
	int bad = 0;

	world_reset();
	if (c->set_up)
		c->set_up();
	for (int i = 0; i < 12 && c->steps[i].at && !bad; i++) {
		bad = run_step(&c->steps[i]);
		if (bad)
			printf("# in step %d\n", i + 1);
	}
	if (!bad && c->check)
		bad = c->check();
	return bad | sums_differ();
}

static int run_cases(const struct bpf_case *c, int *number)
{
	int failed = 0;

	for (; c->name; c++) {
		for (run_v6 = 0; run_v6 < 2; run_v6++) {
			int bad;

			if ((c->family == ONLY_V4 && run_v6) || (c->family == ONLY_V6 && !run_v6))
				continue;
			bad = run_case(c);
			printf("%sok %d - %s (IPv%d)\n", bad ? "not " : "", ++*number, c->name,
			       run_v6 ? 6 : 4);
			fflush(stdout);
			failed += bad;
		}
	}
	return failed;
}

/* What the verifier walked, beside the ceilings of test/lint/verifier.def; a program without one fails. */
static int check_ceiling(const char *name, int fd, int number)
{
	static const struct {
		const char *name;
		uint32_t most;
	} ceilings[] = {
#define CEILING(program, instructions) {#program, instructions},
#include "test/lint/verifier.def"
#undef CEILING
	};
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info), most = 0;
	int bad;

	bpf_obj_get_info_by_fd(fd, &info, &size);
	for (size_t i = 0; i < sizeof(ceilings) / sizeof(ceilings[0]); i++)
		if (!strcmp(ceilings[i].name, name))
			most = ceilings[i].most;
	bad = !info.verified_insns || info.verified_insns > most;
	printf("%sok %d - verifier: %s walked %u of %u instructions\n", bad ? "not " : "", number, name,
	       info.verified_insns, most);
	return bad;
}

static int check_ceilings(const struct bpf_object *o, int *number)
{
	struct bpf_program *prog;
	int failed = 0;

	bpf_object__for_each_program(prog, o) failed +=
	    check_ceiling(bpf_program__name(prog), bpf_program__fd(prog), ++*number);
	return failed;
}

/* The pattern with constants that leave nothing out. */
static int check_place_ceilings(int *number)
{
	struct weft_place *p = weft_place__open();
	struct bpf_map *m;
	int failed;

	if (!p)
		return must_be("the pattern", 0, 1);
	p->rodata->place.answers = 1;
	p->rodata->place.tap.directs = TAP_DIRECT_MAX;
	for (__u32 i = 0; i < TAP_DIRECT_MAX; i++)
		p->rodata->place.tap.direct[i] =
		    (struct tap_direct){.outlet = i + 1, .take = {1u << i, 1u << i}};
	bpf_object__for_each_map(m, p->obj)
	{
		const struct bpf_map *same = bpf_object__find_map_by_name(world->obj, bpf_map__name(m));

		if (!bpf_map__is_internal(m) && same)
			bpf_map__reuse_fd(m, bpf_map__fd(same));
	}
	failed = must_be("the pattern's load", (uint64_t)-weft_place__load(p), 0);
	if (!failed)
		failed = check_ceilings(p->obj, number);
	weft_place__destroy(p);
	return failed;
}

static int make_interfaces(void)
{
	static const char *const links[] = {"2 name uplink0", "3 name tunnel0", "101 name wp101",
					    "102 name wp102", "103 name wp103"};
	char command[128];

	if (unshare(CLONE_NEWNET) || system("ip link set lo up"))
		return 1;
	for (size_t i = 0; i < 5; i++) {
		snprintf(command, sizeof(command),
			 "ip link add index %s type veth peer name end%zu index 20%zu", links[i], i, i);
		if (system(command))
			return 1;
	}
	return 0;
}

int main(void)
{
	int number = 0, failed = 0, err;

	if (geteuid()) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	if (make_interfaces()) {
		printf("1..0 # SKIP needs a network namespace of its own and veth interfaces\n");
		return 0;
	}
	err = world_load();
	if (err == -EPERM || err == -ENOSYS) {
		printf("1..0 # SKIP needs eBPF: %s\n", strerror(-err));
		return 0;
	}
	if (err) {
		printf("Bail out! the programs do not load: %s\n", strerror(-err));
		return 1;
	}
	failed += check_ceilings(world->obj, &number);
	failed += check_place_ceilings(&number);
	failed += run_cases(path_cases, &number);
	failed += run_cases(policy_cases, &number);
	failed += run_cases(port_cases, &number);
	failed += run_cases(change_cases, &number);
	failed += run_cases(names_cases, &number);
	failed += run_cases(learn_cases, &number);
	failed += run_cases(service_cases, &number);
	failed += run_cases(client_cases, &number);
	failed += run_cases(direct_cases, &number);
	failed += run_cases(asked_cases, &number);
	failed += run_cases(state_cases, &number);
	failed += run_cases(tcp_cases, &number);
	printf("1..%d\n", number);
	return failed != 0;
}
