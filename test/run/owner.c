/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address given to a new pod inherits nothing (NP21): UDP flows whose ports never change, to and from a
 * pod that is replaced by another one with the same address, on this node and on another; by hand-fed rows
 * and real packets, with BPF map `gone` so small that it is filled many times over. Usage: run-owner
 * PATH-OF-weft-applier
 */
#include <signal.h>
#include <stdio.h>

#include "seam/class.h"
#include "seam/conn.h"
#include "seam/endpoint.h"
#include "seam/policy.h"
#include "test/run/applier_play.h"

enum { SET = 1000, OLD = 500, NEW = 600, NODE = 1 };

static struct addr far_pod[2];

/* Pod 0 is isolated both ways and knows one class: that of the pods before they are replaced. */
static void policy_rows(struct script *s)
{
	struct policy_key k = {.set = SET, .class = OLD};
	struct policy_value v = {.portset = PORTSET_ALL, .rule = 77};
	const struct addr *own[] = {&pods[0].link.v4, &pods[0].link.v6};
	struct iface_value iv = {
	    .v4 = addr16_of(own[0]), .v6 = addr16_of(own[1]), .ingress_set = SET, .egress_set = SET};

	MAP(s, CHANGE_ADD, policy, k, v);
	memcpy(iv.mac, pods[0].link.mac, 6);
	MAP(s, CHANGE_SET, iface, pods[0].key.ifindex, iv);
	for (unsigned f = 0; f < 2; f++) {
		struct endpoint_value ev = {
		    .ifindex = pods[0].key.ifindex, .ingress_set = SET, .egress_set = SET};
		struct addr16 key = addr16_of(own[f]);

		memcpy(ev.mac, pods[0].link.mac, 6);
		MAP(s, CHANGE_SET, endpoint, key, ev);
	}
}

static void address_row(struct script *s, enum change_op op, const struct addr *a, uint32_t class,
			uint32_t node, uint32_t owner)
{
	struct address_value v = {.class = class, .node = node, .flags = ADDRESS_POD, .owner = owner};
	struct addr16 key = addr16_of(a);

	MAP(s, op, address, key, v);
}

/* The other node: where it is reached, its range, its pod. */
static void far_rows(struct script *s)
{
	static const char *const text[2] = {FAR_NODE4, FAR_NODE6}, *const range[2] = {
								       "10.244.9.0/24",
								       "fd57:e7f7:0:244:9::/80"};
	struct addr via[2];
	struct node_value nv;
	uint32_t number = NODE;

	addr_parse(STR(FAR_POD4), &far_pod[0]);
	addr_parse(STR(FAR_POD6), &far_pod[1]);
	for (unsigned f = 0; f < 2; f++)
		addr_parse(str_of(text[f]), &via[f]);
	nv = (struct node_value){.v4 = addr16_of(&via[0]), .v6 = addr16_of(&via[1])};
	MAP(s, CHANGE_ADD, node, number, nv);
	for (unsigned f = 0; f < 2; f++) {
		struct range_value rv = {.kind = RANGE_POD, .node = NODE};
		struct route_value way = {.way = ROUTE_VIA, .via = via[f]};
		struct route_key rk = {0};
		struct block_key bk = {0};

		prefix_parse(str_of(range[f]), &rk.to);
		bk.len = rk.to.len;
		bk.addr = addr16_of(&rk.to.addr);
		MAP(s, CHANGE_ADD, range, bk, rv);
		put(s, CHANGE_ADD, ROW_ROUTE, 0, &rk, sizeof(rk), &way, sizeof(way));
		address_row(s, CHANGE_ADD, &far_pod[f], OLD, NODE, 200);
	}
}

struct flow { /* pod 0 and another end, one address family, one pair of ports */
	int here, there;
	const struct addr *own, *other;
};

static struct flow flow_open(unsigned f, int ns, const struct addr *other)
{
	const struct addr *own = f ? &pods[0].link.v6 : &pods[0].link.v4;

	return (struct flow){
	    .here = udp_at(pods[0].netns, own), .there = udp_at(ns, other), .own = own, .other = other};
}

static bool out(const struct flow *w, int wait_ms)
{
	return passes(w->here, w->other, w->there, wait_ms);
}

static bool back(const struct flow *w, int wait_ms)
{
	return passes(w->there, w->own, w->here, wait_ms);
}

static void flow_close(struct flow *w)
{
	own_fd(&w->here);
	own_fd(&w->there);
}

static void send_rows(struct child *c, struct script *s, const char *what)
{
	struct answer a = {0};
	bool ok = commit(c, s, &a) && a.done.status == WIRE_APPLIED;

	VEC_EACH (&a.results, r)
		if (*r)
			printf("# row %td: %s\n", r - a.results.items, strerror(-*r));
	check(ok, "%s, %u us%s%s", what, a.done.us, a.text[0] ? ": " : "", a.text);
	vec_free(&a.results);
	script_fini(s);
	*s = (struct script){0};
}

static void say_kept(unsigned f, const char *where, const struct flow *w)
{
	CHECK(out(w, 1000), "%s IPv%u: from pod to pod", where, f ? 6 : 4);
	CHECK(back(w, 1000), "%s IPv%u: and back", where, f ? 6 : 4);
}

static void say_cut(unsigned f, const char *where, const struct flow *w)
{
	CHECK(!back(w, 200), "NP21 %s IPv%u: what the new pod sends is no answer to the old flow", where,
	      f ? 6 : 4);
	CHECK(!out(w, 200), "NP21 %s IPv%u: the old flow does not reach the new pod", where, f ? 6 : 4);
}

static bool has_route(const struct addr *to)
{
	char text[ADDR_TEXT], command[160];

	addr_print(to, text);
	snprintf(command, sizeof(command), "ip %s route show %s proto 87 | grep -q 'dev wp10003'",
		 addr_is4(to) ? "-4" : "-6", text);
	return !system(command);
}

/* Pod 1 ends, and another one with its address, interface and MAC begins: in one transaction, or in two with
 * a pause in which the old pod's last packets still come. */
static void replace_here(struct child *c, bool at_once)
{
	const char *where = at_once ? "this node, at once," : "this node, later,";
	const struct addr *own[] = {&pods[1].link.v4, &pods[1].link.v6};
	static const char *const uids[] = {"0000-heir-0", "0000-heir-1"};
	struct flow w[2];
	struct script s = {0};
	struct pod heir;

	for (unsigned f = 0; f < 2; f++)
		address_row(&s, CHANGE_SET, own[f], OLD, 0, 101);
	send_rows(c, &s, "the pod has the class that pod 0 may meet");
	for (unsigned f = 0; f < 2; f++) {
		w[f] = flow_open(f, pods[1].netns, own[f]);
		say_kept(f, where, &w[f]);
		own_fd(&w[f].there);
	}
	make_pod(&heir, 1, uids[at_once]);
	hand_over(c, &heir);
	if (!at_once) {
		for (unsigned f = 0; f < 2; f++)
			address_row(&s, CHANGE_DEL, own[f], OLD, 0, 101);
		put(&s, CHANGE_DEL, ROW_LINK, 0, &pods[1].key, sizeof(pods[1].key), NULL, 0);
		send_rows(c, &s, "the old pod goes");
	}
	for (unsigned f = 0; f < 2; f++)
		address_row(&s, at_once ? CHANGE_SET : CHANGE_ADD, own[f], NEW, 0, 102);
	if (at_once)
		put(&s, CHANGE_SET, ROW_LINK, 0, &heir.key, sizeof(heir.key), &heir.link, sizeof(heir.link));
	else
		put(&s, CHANGE_ADD, ROW_LINK, 0, &heir.key, sizeof(heir.key), &heir.link, sizeof(heir.link));
	/* A route goes with its link; where the link is only replaced, the plan does not mention it. */
	for (unsigned f = 0; f < 2 && !at_once; f++) {
		struct route_key rk = {.to = {.addr = *own[f], .len = 128}};
		struct route_value rv = {.way = ROUTE_POD, .ifindex = heir.key.ifindex, .mtu = heir.link.mtu};

		put(&s, CHANGE_ADD, ROW_ROUTE, 0, &rk, sizeof(rk), &rv, sizeof(rv));
	}
	send_rows(c, &s, "a new pod has its address");
	own_fd(&pods[1].netns);
	own_fd(&pods[1].route);
	own_fd(&pods[1].diag);
	pods[1] = heir;
	for (unsigned f = 0; f < 2; f++) {
		w[f].there = udp_at(pods[1].netns, own[f]);
		say_cut(f, where, &w[f]);
		flow_close(&w[f]);
		CHECK(has_route(own[f]), "%s IPv%u: the node has a route to the new pod", where, f ? 6 : 4);
	}
}

/* The same for the pod of the other node: only its address row tells. */
static void replace_there(struct child *c, bool at_once, uint32_t owner)
{
	const char *where = at_once ? "another node, at once," : "another node, later,";
	struct script s = {0};
	struct flow w[2];

	for (unsigned f = 0; f < 2; f++)
		address_row(&s, CHANGE_SET, &far_pod[f], OLD, NODE, owner);
	send_rows(c, &s, "the far pod has the class that pod 0 may meet");
	for (unsigned f = 0; f < 2; f++) {
		w[f] = flow_open(f, far_ns, &far_pod[f]);
		say_kept(f, where, &w[f]);
	}
	if (!at_once) {
		for (unsigned f = 0; f < 2; f++)
			address_row(&s, CHANGE_DEL, &far_pod[f], OLD, NODE, owner);
		send_rows(c, &s, "the old pod goes");
	}
	for (unsigned f = 0; f < 2; f++)
		address_row(&s, at_once ? CHANGE_SET : CHANGE_ADD, &far_pod[f], NEW, NODE, owner + 1);
	send_rows(c, &s, "a new pod has its address");
	for (unsigned f = 0; f < 2; f++) {
		say_cut(f, where, &w[f]);
		flow_close(&w[f]);
	}
}

/* Another class for the same owner is no new pod: an answered flow goes on (NP67). */
static void keep(struct child *c)
{
	struct script s = {0};
	struct flow w[2];

	for (unsigned f = 0; f < 2; f++)
		address_row(&s, CHANGE_SET, &far_pod[f], OLD, NODE, 300);
	send_rows(c, &s, "the far pod is what it was");
	for (unsigned f = 0; f < 2; f++) {
		w[f] = flow_open(f, far_ns, &far_pod[f]);
		say_kept(f, "the same pod,", &w[f]);
		address_row(&s, CHANGE_SET, &far_pod[f], NEW, NODE, 300);
	}
	send_rows(c, &s, "its labels change");
	for (unsigned f = 0; f < 2; f++) {
		say_kept(f, "NP67 the same pod with other labels,", &w[f]);
		flow_close(&w[f]);
	}
}

static int by_op(const void *x, const void *y)
{
	return ((const struct change *)x)->op - ((const struct change *)y)->op;
}

int main(int argc, char **argv)
{
	struct script plan = {0}, s = {0};
	struct wire_welcome w;
	struct child c;

	if (!play_begin(argc, argv, "owner"))
		return 0;
	c = start_applier("gone=1", "routes");
	w = hello(&c);
	plan_rows(&plan, &w);
	for (unsigned i = 0; i < PODS; i++)
		hand_over(&c, &pods[i]);
	send_rows(&c, &plan, "two pods are wired");
	far_rows(&s);
	policy_rows(&s);
	/* In a step ADDs come first. */
	qsort(s.list.items, s.list.len, sizeof(*s.list.items), by_op);
	send_rows(&c, &s, "a policy, and a pod on another node");
	replace_here(&c, true);
	replace_here(&c, false);
	replace_there(&c, true, 400);
	replace_there(&c, false, 500);
	keep(&c);
	stop_applier(&c, SIGKILL);
	c = start_applier(NULL, "routes");
	hello(&c);
	replace_there(&c, false, 600);
	clean_applier(&c);
	return play_end();
}
