/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Losses on command at the real applier with real datagrams: as many are lost as asked for, at the pod that
 * was named and nowhere else; they outlive the applier, are no rows of the plan, and go with the pod. Usage:
 * run-fault PATH-OF-weft-applier
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include <bpf/bpf.h>

#include "agent/fdpass.h"
#include "seam/config.h"
#include "test/run/applier_play.h"

enum { MANY = 2000, TENTH = 100000, ALL = 1000000 };

static int lose(struct child *c, uint32_t ifindex, uint32_t millionths)
{
	struct wire_loss l = {.ifindex = ifindex, .millionths = millionths};
	uint8_t msg[256];
	AUTO_BUF b = {0};
	struct wire_head h;
	int32_t result;
	unsigned nfds;
	ssize_t n;

	wire_start(&b, WIRE_LOSE, ++c->txn);
	buf_add(&b, &l, sizeof(l));
	fdpass_send(c->planner, b.p, b.n, NULL, 0);
	n = fdpass_recv(c->planner, msg, sizeof(msg), NULL, &nfds, 0);
	if (n != sizeof(h) + sizeof(result) || wire_head(msg, (size_t)n, &h) || h.type != WIRE_LOST)
		die("no LOST");
	memcpy(&result, msg + sizeof(h), sizeof(result));
	return result;
}

/* How many of MANY datagrams come from pod 0 to pod 1. */
static unsigned come(bool v6)
{
	const struct addr *own = v6 ? &pods[0].link.v6 : &pods[0].link.v4;
	const struct addr *other = v6 ? &pods[1].link.v6 : &pods[1].link.v4;
	AUTO_FD int from = udp_at(pods[0].netns, own), to = udp_at(pods[1].netns, other);
	unsigned got = 0;

	for (unsigned i = 0; i < MANY; i++)
		got += passes(from, other, to, 0) ? 1 : 0;
	return got;
}

static bool flagged(void)
{
	AUTO_FD int map = play_map("config");
	struct config_value v;
	uint32_t zero = 0;

	return !bpf_map_lookup_elem(map, &zero, &v) && v.flags & CONFIG_FAULTS;
}

static void test_order(struct child *c, const struct script *plan)
{
	unsigned got;

	CHECK(come(false) == MANY && !flagged(), "without an order nothing is lost");
	CHECK(!lose(c, pods[1].key.ifindex, TENTH) && flagged(), "a tenth of pod 1's packets shall be lost");
	got = come(false);
	CHECK(got > MANY * 85 / 100 && got < MANY * 95 / 100, "IPv4: %u of %u come", got, MANY);
	got = come(true);
	CHECK(got > MANY * 85 / 100 && got < MANY * 95 / 100, "IPv6: %u of %u come", got, MANY);
	check_readback(c, plan, "losses are no rows:");
	CHECK(!lose(c, pods[1].key.ifindex, ALL) && !come(false), "all of them shall be lost");
	stop_applier(c, SIGKILL);
	*c = start_applier("fault=2", "routes");
	hello(c);
	CHECK(flagged() && !come(false), "they are while the applier is killed and started again");
}

static void test_bounds(struct child *c)
{
	CHECK(lose(c, 1, TENTH) == -ENODEV, "an interface that is not ours is refused");
	CHECK(lose(c, pods[0].key.ifindex, ALL + 1) == -ERANGE, "more than all is refused");
	CHECK(!lose(c, 0, TENTH), "the uplink may lose");
	CHECK(lose(c, pods[0].key.ifindex, TENTH) == -E2BIG && !lose(c, pods[1].key.ifindex, TENTH),
	      "BPF map fault is full: a further pod is refused, one that is there is changed");
	CHECK(!lose(c, 0, 0) && !lose(c, pods[0].key.ifindex, TENTH) && !lose(c, pods[0].key.ifindex, 0),
	      "and there is room again");
}

static void test_end(struct child *c, const struct script *plan)
{
	struct script s = {0};
	struct answer a = {0};

	VEC_EACH (&plan->list, ch)
		if (ch->row.type == ROW_MAP && ch->row.table == PLAN_MAP_config)
			put(&s, CHANGE_SET, ROW_MAP, PLAN_MAP_config, ch->row.key, ch->row.key_len,
			    ch->row.value, ch->row.value_len);
	CHECK(commit(c, &s, &a) && a.done.status == WIRE_APPLIED && flagged(),
	      "new settings of the node leave the losses as they are: %s", a.text);
	script_fini(&s);
	s = (struct script){0};
	put(&s, CHANGE_DEL, ROW_LINK, 0, &pods[1].key, sizeof(pods[1].key), NULL, 0);
	CHECK(commit(c, &s, &a) && a.done.status == WIRE_APPLIED && !flagged(),
	      "with the pod its loss goes: %s", a.text);
	script_fini(&s);
	vec_free(&a.results);
}

int main(int argc, char **argv)
{
	struct script plan = {0};
	struct answer a = {0};
	struct wire_welcome w;
	struct child c;

	if (!play_begin(argc, argv, "fault"))
		return 0;
	c = start_applier("fault=2", "routes");
	w = hello(&c);
	plan_rows(&plan, &w);
	for (unsigned i = 0; i < PODS; i++)
		hand_over(&c, &pods[i]);
	CHECK(commit(&c, &plan, &a) && a.done.status == WIRE_APPLIED, "two pods are wired: %s", a.text);
	test_order(&c, &plan);
	test_bounds(&c);
	test_end(&c, &plan);
	clean_applier(&c);
	vec_free(&a.results);
	script_fini(&plan);
	return play_end();
}
