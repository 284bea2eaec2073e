/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real weft-applier, played by a scripted planner: rows fed by hand, packets between the pods, a restart
 * under traffic, read-back, refusals, a hostile planner. Needs root; else it skips. Usage: run-apply
 * PATH-OF-weft-applier
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent/fdpass.h"
#include "base/clock.h"
#include "seam/class.h"
#include "seam/endpoint.h"
#include "seam/name.h"
#include "seam/policy.h"
#include "test/run/applier_play.h"

static void test_first(struct child *c, struct script *plan, struct answer *a)
{
	for (unsigned i = 0; i < PODS; i++)
		hand_over(c, &pods[i]);
	CHECK(commit(c, plan, a) && a->done.status == WIRE_APPLIED, "two pods are wired in %u us: %s",
	      a->done.us, a->text);
	VEC_EACH (&a->results, r)
		if (*r)
			printf("# row %td: %s\n", r - a->results.items, strerror(-*r));
	check_readback(c, plan, "after the first plan");
	CHECK(stream(false, 20, 0) == 20, "IPv4 between the pods");
	CHECK(stream(true, 20, 0) == 20, "IPv6 between the pods");
}

static void test_again(struct child *c, const struct script *plan, struct answer *a)
{
	CHECK(commit(c, plan, a) && a->done.status == WIRE_PARTLY,
	      "routes that exist are reported, not doubled");
	check_readback(c, plan, "after the same plan again");
}

static void test_restart(struct child *c, const struct script *plan)
{
	pid_t traffic = stream_begin(1000, 300);
	int status;

	stop_applier(c, SIGKILL);
	*c = start_applier(NULL, "vxlan");
	waitpid(traffic, &status, 0);
	CHECK(status == 0, "not one of 1,000 datagrams is lost while the applier is killed and started");
	CHECK(!hello(c).fresh, "it takes over what is pinned");
	check_readback(c, plan, "after the restart");
}

/* Rows that the programs would read otherwise than they were meant: one byte off is refused, and nothing with
 * it. */
static void test_forms(struct child *c, const struct script *plan)
{
	struct policy_key pk = {.set = 77, .class = 100}, no_set = {.class = 100},
			  open_set = {.set = SET_OPEN, .class = 100};
	struct policy_value all = {.portset = PORTSET_ALL, .rule = 16},
			    none_lens = {.portset = PORTSET_NONE, .lens = 1},
			    one = {.portset = PORTSET_ONE, .rule = 16}, no_lens = {.portset = 20},
			    far_lens = {.portset = 20, .lens = 1U << 18},
			    padded = {.portset = PORTSET_ALL, .pad = 1};
	struct port_key port = {.portset = 20, .proto = 6, .len = 17, .port = 80},
			of_all = {.portset = PORTSET_ALL}, any = {.portset = 20, .port = 80},
			beyond = {.portset = 20, .proto = 6, .len = 1, .port = 80},
			too_long = {.portset = 20, .proto = 6, .len = 18};
	struct port_value allow = {.verdict = VERDICT_ALLOW, .rule = 16}, verdict = {.verdict = 2},
			  names = {.verdict = VERDICT_ALLOW, .names = 20};
	struct name_key name = {.prefixlen = 32, .text = "gro"}, upper = {.prefixlen = 32, .text = "gRo"},
			dots = {.prefixlen = 48, .text = "g..ro"}, bits = {.prefixlen = 31, .text = "gro"},
			rest = {.prefixlen = 24, .text = "gr.o"}, empty = {.prefixlen = 8, .text = "."};
	struct name_value class = {.name = 20}, no_class = {0};
	struct name_match_key match = {.names = 20};
	struct name_match_value rule = {.rule = 16};
	struct address_value nobody = {.flags = ADDRESS_POD},
			     self = {.flags = ADDRESS_POD, .owner = 1, .class = CLASS_SELF};
	struct addr16 address = {.b = {[15] = 9}};
	struct script bad = {0}, good = {0};
	struct answer a = {0};
	size_t refused = 0;

	MAP(&bad, CHANGE_ADD, policy, no_set, all);
	MAP(&bad, CHANGE_ADD, policy, open_set, all);
	MAP(&bad, CHANGE_ADD, policy, pk, none_lens);
	MAP(&bad, CHANGE_ADD, policy, pk, one);
	MAP(&bad, CHANGE_ADD, policy, pk, no_lens);
	MAP(&bad, CHANGE_ADD, policy, pk, far_lens);
	MAP(&bad, CHANGE_ADD, policy, pk, padded);
	MAP(&bad, CHANGE_ADD, port, of_all, allow);
	MAP(&bad, CHANGE_ADD, port, any, allow);
	MAP(&bad, CHANGE_ADD, port, beyond, allow);
	MAP(&bad, CHANGE_ADD, port, too_long, allow);
	MAP(&bad, CHANGE_ADD, port, port, verdict);
	MAP(&bad, CHANGE_ADD, port, port, names);
	MAP(&bad, CHANGE_ADD, name, upper, class);
	MAP(&bad, CHANGE_ADD, name, dots, class);
	MAP(&bad, CHANGE_ADD, name, bits, class);
	MAP(&bad, CHANGE_ADD, name, rest, class);
	MAP(&bad, CHANGE_ADD, name, empty, class);
	MAP(&bad, CHANGE_ADD, name, name, no_class);
	MAP(&bad, CHANGE_ADD, name_match, match, rule);
	MAP(&bad, CHANGE_ADD, address, address, nobody);
	MAP(&bad, CHANGE_ADD, address, address, self);
	VEC_EACH (&bad.list, ch) {
		struct script s = {0};

		MAP(&s, CHANGE_ADD, policy, pk, all);
		vec_push(&s.list, *ch);
		if (commit(c, &s, &a) && a.done.status == WIRE_REFUSED)
			refused++;
		else
			printf("# taken: row %td\n", ch - bad.list.items);
		script_fini(&s);
	}
	CHECK(refused == bad.list.len,
	      "NP82 nonsense rows are refused, each with what came with it: %zu of %zu", refused,
	      bad.list.len);
	check_readback(c, plan, "after nonsense");
	MAP(&good, CHANGE_ADD, policy, pk, all);
	MAP(&good, CHANGE_ADD, port, port, allow);
	MAP(&good, CHANGE_ADD, name, name, class);
	CHECK(commit(c, &good, &a) && a.done.status == WIRE_APPLIED, "rows in their form are taken: %s",
	      a.text);
	VEC_EACH (&good.list, ch)
		ch->op = CHANGE_DEL;
	CHECK(commit(c, &good, &a) && a.done.status == WIRE_APPLIED, "and go again");
	script_fini(&bad);
	script_fini(&good);
	vec_free(&a.results);
}

/* The kernel answers how it would judge, before and after a policy; the namespace of each pod is known by its
 * cookie. */
static void test_ask(struct child *c)
{
	struct addr16 own = addr16_of(&pods[0].link.v4), other = addr16_of(&pods[1].link.v4);
	struct endpoint_value ev = {.ifindex = pods[1].key.ifindex, .ingress_set = 77};
	struct ask asks[3] = {
	    {.src = own, .dst = other, .dport = 80, .proto = 6, .direction = 0},
	    {.src = own, .dst = other, .dport = 80, .proto = 6, .direction = 1},
	    {.src = own, .dst = {.b = {[15] = 9}}, .dport = 80, .proto = 6, .direction = 1}};
	AUTO_FD int netns = play_map("netns");
	struct script s = {0};
	struct answer a = {0};
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	uint32_t index = 0;

	memcpy(ev.mac, pods[1].link.mac, 6);
	CHECK(!ask_kernel(c, asks, 3) && asks[0].found && asks[0].verdict == VERDICT_ALLOW && !asks[0].set &&
		  asks[1].found && asks[1].verdict == VERDICT_ALLOW && !asks[2].found,
	      "without policies the kernel says that both ends allow, and that nobody is at another address");
	MAP(&s, CHANGE_SET, endpoint, other, ev);
	CHECK(commit(c, &s, &a) && a.done.status == WIRE_APPLIED, "pod 1 is isolated");
	CHECK(!ask_kernel(c, asks, 3) && asks[0].verdict == VERDICT_ALLOW &&
		  asks[1].verdict == VERDICT_DENY && asks[1].set == 77 && asks[1].rule == RULE_NONE,
	      "then the kernel says that pod 1 denies, by the default of its set");
	script_fini(&s);
	s = (struct script){0};
	ev.ingress_set = SET_NONE;
	MAP(&s, CHANGE_SET, endpoint, other, ev);
	CHECK(commit(c, &s, &a) && a.done.status == WIRE_APPLIED, "pod 1 is free again");
	for (unsigned i = 0; i < PODS; i++)
		CHECK(!getsockopt(pods[i].route, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) &&
			  !bpf_map_lookup_elem(netns, &cookie, &index) && index == pods[i].key.ifindex,
		      "the cookie of pod %u's namespace leads to its interface", i);
	script_fini(&s);
	vec_free(&a.results);
}

/* Room follows the options at the next start, with all that is in force and under traffic. */
static void test_grow(struct child *c, const struct script *plan)
{
	pid_t traffic = stream_begin(1000, 300);
	struct wire_welcome w;
	int status;

	stop_applier(c, SIGKILL);
	*c = start_applier("node=64,endpoint=2048,policy=4096,range=8", "vxlan");
	waitpid(traffic, &status, 0);
	w = hello(c);
	CHECK(status == 0, "not one of 1,000 datagrams is lost while BPF maps get more room");
	CHECK(!w.fresh && w.entries[PLAN_MAP_node] == 64 && w.entries[PLAN_MAP_endpoint] == 2048 &&
		  w.entries[PLAN_MAP_range] == 8,
	      "NP81 BPF maps have the room that the options say");
	check_readback(c, plan, "after the growth");
}

static void test_guard(struct child *c, const struct script *plan, struct answer *a)
{
	struct script s = {0};
	struct endpoint_value ev = {.ifindex = 1, .mac = {2}};
	struct addr16 key = {.b = {[15] = 9}};
	struct policy_key pk = {.set = 77, .class = 1};
	struct policy_value pv = {.portset = 1};
	struct route_key rk = {.to = {.addr = addr_from4(0), .len = 96}};
	struct route_value rv = {.way = ROUTE_UNREACHABLE};
	struct link_key lk = {.ifindex = 1};

	MAP(&s, CHANGE_ADD, policy, pk, pv);
	MAP(&s, CHANGE_ADD, endpoint, key, ev);
	CHECK(commit(c, &s, a) && a->done.status == WIRE_REFUSED && a->results.items[1] == -EPERM,
	      "an endpoint on an interface that is not ours is refused: %s", a->text);
	script_fini(&s);
	s = (struct script){0};
	put(&s, CHANGE_ADD, ROW_ROUTE, 0, &rk, sizeof(rk), &rv, sizeof(rv));
	CHECK(commit(c, &s, a) && a->done.status == WIRE_REFUSED, "a default route is refused: %s", a->text);
	script_fini(&s);
	s = (struct script){0};
	put(&s, CHANGE_DEL, ROW_LINK, 0, &lk, sizeof(lk), NULL, 0);
	CHECK(commit(c, &s, a) && a->done.status == WIRE_REFUSED, "the end of a foreign link is refused: %s",
	      a->text);
	script_fini(&s);
	s = (struct script){0};
	prefix_parse(STR("198.51.100.0/24"), &rk.to);
	put(&s, CHANGE_SET, ROW_ROUTE, 0, &rk, sizeof(rk), &rv, sizeof(rv));
	CHECK(
	    !system("ip route add 198.51.100.0/24 dev uplink0") && commit(c, &s, a) &&
		a->done.status == WIRE_PARTLY &&
		!system("ip route | grep -q '^198.51.100.0/24 dev uplink0' && ip route del 198.51.100.0/24"),
	    "a route of somebody else is not replaced");
	script_fini(&s);
	check_readback(c, plan, "after what was refused");
}

static void test_full(struct child *c, const struct script *plan, struct answer *a)
{
	struct script s = {0};
	uint32_t room = hello(c).entries[PLAN_MAP_node];

	for (uint32_t i = 1; i <= room + 1; i++) {
		struct node_value nv = {.v4 = {.b = {[10] = 0xff, [11] = 0xff, [12] = 10}}};

		MAP(&s, CHANGE_ADD, node, i, nv);
	}
	CHECK(commit(c, &s, a) && a->done.status == WIRE_REFUSED, "a plan that does not fit is refused: %s",
	      a->text);
	check_readback(c, plan, "after the full map");
	s.list.len--;
	CHECK(commit(c, &s, a) && a->done.status == WIRE_APPLIED, "%u elements fit exactly, %u us: %s", room,
	      a->done.us, a->text);
	VEC_EACH (&s.list, ch)
		ch->op = CHANGE_DEL;
	CHECK(commit(c, &s, a) && a->done.status == WIRE_APPLIED, "and go again, %u us", a->done.us);
	script_fini(&s);
	check_readback(c, plan, "after they went");
}

/* --- a hostile planner --- */

static uint64_t seed;
static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void random_bytes(uint8_t *p, size_t n)
{
	/* Small numbers and zeros are the interesting ones. */
	for (size_t i = 0; i < n; i++)
		p[i] = next_random() % 3 ? (uint8_t)(next_random() % 4) : (uint8_t)next_random();
}

/* A row of the right sizes: anything, or a row of the plan with some bytes changed. */
static void random_row(struct buf *b, const struct script *plan)
{
	uint8_t key[264], value[128];
	const struct change *base = &plan->list.items[next_random() % plan->list.len];
	struct change c = {.op = (uint8_t)(next_random() % 3)};
	uint16_t key_len, value_len;

	c.row.type = (uint8_t)(next_random() % 3);
	c.row.table = c.row.type == ROW_MAP ? (uint16_t)(next_random() % PLAN_MAP_COUNT) : 0;
	if (row_sizes(c.row.type, c.row.table, &key_len, &value_len) || next_random() % 2) {
		c.row = base->row;
		key_len = base->row.key_len;
		value_len = base->row.value_len;
		memcpy(key, base->row.key, key_len);
		memcpy(value, base->row.value, value_len);
		if (next_random() % 2)
			key[next_random() % key_len] = (uint8_t)next_random();
		else
			value[next_random() % value_len] = (uint8_t)next_random();
	} else {
		random_bytes(key, key_len);
		random_bytes(value, value_len);
	}
	c.row.key = key;
	c.row.value = value;
	c.row.key_len = key_len;
	c.row.value_len = value_len;
	wire_put(b, (unsigned)(next_random() % 2), &c);
}

static void random_message(struct child *c, const struct script *plan)
{
	static const enum wire_type types[] = {WIRE_BEGIN, WIRE_ROWS,	  WIRE_ROWS,	  WIRE_COMMIT,
					       WIRE_HELLO, WIRE_READBACK, WIRE_NAMESPACE, WIRE_DONE};
	int strange[3] = {home_ns, STDIN_FILENO, c->control};
	AUTO_BUF b = {0};
	uint64_t r = next_random();

	if (r % 50 == 0) {
		uint8_t junk[200];

		random_bytes(junk, sizeof(junk));
		fdpass_send(c->planner, junk, next_random() % sizeof(junk), strange,
			    (unsigned)(next_random() % 4));
		return;
	}
	wire_start(&b, types[next_random() % (r % 20 ? 6 : ARRAY_LEN(types))], c->txn);
	if (r % 3 == 0)
		c->txn++;
	if (((struct wire_head *)(void *)b.p)->type == WIRE_ROWS)
		for (unsigned i = 0; i < 1 + r % 5; i++)
			random_row(&b, plan);
	if (((struct wire_head *)(void *)b.p)->type == WIRE_NAMESPACE)
		buf_add(&b, pods[0].link.uid, sizeof(pods[0].link.uid));
	fdpass_send(c->planner, b.p, b.n, strange, r % 7 ? 0 : 3);
}

/* A whole transaction of random rows, so that many pass the protocol and meet the guard. */
static void random_transaction(struct child *c, const struct script *plan)
{
	AUTO_BUF b = {0};

	wire_start(&b, WIRE_BEGIN, ++c->txn);
	fdpass_send(c->planner, b.p, b.n, NULL, 0);
	wire_start(&b, WIRE_ROWS, c->txn);
	random_row(&b, plan);
	fdpass_send(c->planner, b.p, b.n, NULL, 0);
	wire_start(&b, WIRE_COMMIT, c->txn);
	fdpass_send(c->planner, b.p, b.n, NULL, 0);
}

/* Takes what the applier says; when it dropped us, gives it a new planner. */
static void drain(struct child *c)
{
	static uint8_t msg[WIRE_MESSAGE_MAX];
	struct pollfd p = {.fd = c->planner, .events = POLLIN};
	int pair[2];

	while (poll(&p, 1, 0) > 0) {
		unsigned nfds;

		if (fdpass_recv(c->planner, msg, sizeof(msg), NULL, &nfds, 0) > 0)
			continue;
		own_fd(&c->planner);
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
			die("socketpair");
		control_send(c->control, CONTROL_PEER, 0, pair[0]);
		close(pair[0]);
		c->planner = pair[1];
		return;
	}
}

static char *output_of(const char *command)
{
	FILE *f = popen(command, "r");
	char *text = calloc(1, 8192);

	if (f && text)
		text[fread(text, 1, 8191, f)] = '\0';
	if (f)
		pclose(f);
	return text;
}

static void test_hostile(struct child *c, const struct script *plan)
{
	/* What is not ours: every link, address and route but the pods' and those with our protocol number.
	 */
	static const char foreign[] = "ip link show | grep -v -A1 -E 'wp[0-9]+' | grep -E "
				      "'lo|uplink0|far0|foreign0|weft-vxlan' | cut -d' ' -f2,4,5; "
				      "ip -4 route | grep -v 'proto 87'; ip -6 route | grep -v 'proto 87'; "
				      "ip addr show uplink0 | grep -c inet; "
				      "tc filter show dev uplink0 ingress | grep -c weft_uplink";
	AUTO_MEM char *before = NULL, *after = NULL;
	uint64_t began = clock_us();
	unsigned messages = 0;

	if (system("ip link add foreign0 type veth peer name foreign1 && ip link set foreign0 up && "
		   "ip addr add 192.0.2.1/24 dev foreign0 nodad"))
		die("foreign0");
	before = output_of(foreign);
	seed = getenv("WEFT_SEED") ? strtoull(getenv("WEFT_SEED"), NULL, 0) : began | 1;
	printf("# WEFT_SEED=%llu\n", (unsigned long long)seed);
	for (; clock_us() - began < 3 * 1000 * 1000; messages += 4) {
		random_message(c, plan);
		random_transaction(c, plan);
		drain(c);
	}
	after = output_of(foreign);
	CHECK(waitpid(c->pid, NULL, WNOHANG) == 0, "the applier lives after %u messages of a hostile planner",
	      messages);
	CHECK(before && after && *before && !strcmp(before, after), "what is not ours is untouched");
	if (strcmp(before, after))
		printf("# before:\n%s# after:\n%s", before, after);
	system("ip link del foreign0");
}

/* Whatever is in force goes, by a plan that is empty. */
struct dels {
	struct script s;
};

static void del_row(const struct row *r, void *ctx)
{
	struct dels *d = ctx;

	put(&d->s, CHANGE_DEL, r->type, r->table, r->key, r->key_len, NULL, 0);
}

static void test_unwire(struct child *c, struct answer *a)
{
	struct dels d = {0};
	struct script none = {0};
	AUTO_BUF b = {0};

	wire_start(&b, WIRE_READBACK, ++c->txn);
	fdpass_send(c->planner, b.p, b.n, NULL, 0);
	hear(c, WIRE_FAULTS, a, del_row, &d);
	CHECK(commit(c, &d.s, a) && a->done.status == WIRE_APPLIED, "everything goes: %s", a->text);
	check_readback(c, &none, "after the end");
	CHECK(system("ip -o link | grep -q wp100") != 0, "no host-side interface is left");
	script_fini(&d.s);
}

static void test_clean(struct child *c, const struct script *plan)
{
	struct answer a = {0};
	char command[256];

	hello(c);
	for (unsigned i = 0; i < PODS; i++)
		hand_over(c, &pods[i]);
	CHECK(commit(c, plan, &a) && a.done.status == WIRE_APPLIED, "the pods are wired once more: %s",
	      a.text);
	vec_free(&a.results);
	clean_applier(c);
	snprintf(command, sizeof(command), "test -d %s && test -z \"$(ls -A %s)\"", play_pins(), play_pins());
	CHECK(!system(command), "after cleaning no pin is left");
	CHECK(system("ip -o link | grep -qE 'wp[0-9]|weft-vxlan'") != 0 &&
		  system("ip route | grep -q 'proto 87'") != 0 &&
		  system("tc filter show dev uplink0 ingress | grep -q weft_") != 0,
	      "after cleaning no link, route and filter is left");
}

int main(int argc, char **argv)
{
	struct script plan = {0};
	struct answer a = {0};
	struct child c;
	struct wire_welcome w;

	if (!play_begin(argc, argv, "apply"))
		return 0;
	c = start_applier("node=16", "vxlan");
	w = hello(&c);
	CHECK(w.fresh && w.uplink && w.tunnel && w.entries[PLAN_MAP_node] == 16,
	      "a fresh start finds uplink and tunnel");
	plan_rows(&plan, &w);
	test_first(&c, &plan, &a);
	test_again(&c, &plan, &a);
	test_restart(&c, &plan);
	test_grow(&c, &plan);
	test_forms(&c, &plan);
	test_ask(&c);
	test_guard(&c, &plan, &a);
	test_full(&c, &plan, &a);
	test_hostile(&c, &plan);
	drain(&c);
	stop_applier(&c, SIGKILL);
	c = start_applier(NULL, "vxlan");
	test_unwire(&c, &a);
	test_clean(&c, &plan);
	script_fini(&plan);
	vec_free(&a.results);
	return play_end();
}
