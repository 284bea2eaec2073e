/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real weft-applier, played by a scripted planner: a node namespace and two pods' namespaces of our own,
 * rows fed by hand, packets between the pods, a restart under traffic, read-back, refusals. Needs root; else
 * it skips. Usage: run-apply PATH-OF-weft-applier
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/fdpass.h"
#include "apply/apply.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/own.h"
#include "seam/class.h"
#include "seam/config.h"
#include "seam/endpoint.h"
#include "seam/policy.h"

enum { PODS = 2, FIRST = 10000, PORT = 4242 };
static const uint8_t gateway_mac[6] = {0x02, 0x57, 0x45, 0x46, 0x54, 0x01};

struct pod {
	int netns, route, diag;
	struct link_key key;
	struct link_value link;
};
static struct pod pods[PODS];
static int node_ns, home_ns;
static const char *applier_path;
static char bpf_dir[64], pin_dir[80];

static int checks, failures;
#define CHECK(cond, ...)                                                                                     \
	do {                                                                                                 \
		bool ok_ = (cond);                                                                           \
		printf("%sok %d - ", ok_ ? "" : "not ", ++checks);                                           \
		printf(__VA_ARGS__);                                                                         \
		printf("\n");                                                                                \
		fflush(stdout);                                                                              \
		failures += ok_ ? 0 : 1;                                                                     \
	} while (0)

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- the applier as a child --- */

struct child {
	pid_t pid;
	int control, planner;
	uint32_t txn;
};

static struct child start_applier(const char *entries, const char *mode)
{
	struct child c = {0};
	int control[2], pair[2];
	struct control_message m;
	AUTO_FD int fd = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		die("socketpair");
	c.pid = fork();
	if (!c.pid) {
		dup2(control[1], CONTROL_FD);
		execl(applier_path, applier_path, "--node", "test", "--bpf", pin_dir, "--uplink", "uplink0",
		      "--mode", mode, entries ? "--entries" : NULL, entries, NULL);
		_exit(127);
	}
	close(control[1]);
	c.control = control[0];
	control_send(c.control, CONTROL_PEER, 0, pair[0]);
	close(pair[0]);
	c.planner = pair[1];
	if (control_recv(c.control, &m, &fd) != 1 || m.type != CONTROL_READY)
		die("the applier did not get ready");
	printf("# applier ready after %d ms\n", m.value);
	return c;
}

static void stop_applier(struct child *c, int sig)
{
	kill(c->pid, sig);
	waitpid(c->pid, NULL, 0);
	own_fd(&c->control);
	own_fd(&c->planner);
}

struct answer {
	struct wire_done done;
	char text[512];
	VEC(int32_t) results;
};

/* Receives until `until`; rows go to fn. */
static bool hear(struct child *c, enum wire_type until, struct answer *a,
		 void (*fn)(const struct row *r, void *ctx), void *ctx)
{
	static uint8_t msg[WIRE_MESSAGE_MAX];
	struct wire_head h;

	for (;;) {
		unsigned nfds;
		ssize_t n = fdpass_recv(c->planner, msg, sizeof(msg), NULL, &nfds, 0);
		size_t text = sizeof(h) + (until == WIRE_DONE ? sizeof(a->done) : 0);

		if (n <= 0 || wire_head(msg, (size_t)n, &h))
			return false;
		if (h.type == WIRE_RESULTS && a)
			for (unsigned i = 0; i < h.count; i++) {
				int32_t r;

				memcpy(&r, msg + sizeof(h) + i * sizeof(r), sizeof(r));
				vec_push(&a->results, r);
			}
		if (h.type == WIRE_ROWS && fn) {
			struct wire_reader rd;
			struct change ch;
			unsigned step;

			wire_reader_init(&rd, msg, (size_t)n);
			while (wire_next(&rd, &step, &ch) == 1)
				fn(&ch.row, ctx);
		}
		if (h.type != until)
			continue;
		if (until == WIRE_DONE && a)
			memcpy(&a->done, msg + sizeof(h), sizeof(a->done));
		if (a && (size_t)n >= text)
			snprintf(a->text, sizeof(a->text), "%.*s", (int)((size_t)n - text),
				 (const char *)msg + text);
		return true;
	}
}

/* --- rows --- */

struct script {
	VEC(struct change) list;
	struct arena arena;
};

static void put(struct script *s, enum change_op op, uint8_t type, uint16_t table, const void *key,
		size_t key_len, const void *value, size_t value_len)
{
	uint8_t *k = arena_alloc(&s->arena, key_len), *v = arena_alloc(&s->arena, value_len + 1);

	memcpy(k, key, key_len);
	if (value_len)
		memcpy(v, value, value_len);
	vec_push(&s->list, (struct change){.op = (uint8_t)op,
					   .row = {.type = type,
						   .table = table,
						   .key_len = (uint16_t)key_len,
						   .value_len = (uint16_t)value_len,
						   .key = k,
						   .value = v}});
}
#define MAP(s, op, map, k, v) put(s, op, ROW_MAP, PLAN_MAP_##map, &(k), sizeof(k), &(v), sizeof(v))

static void script_fini(struct script *s)
{
	vec_free(&s->list);
	arena_fini(&s->arena);
}

static bool commit(struct child *c, const struct script *s, struct answer *a)
{
	AUTO_BUF b = {0};

	vec_free(&a->results);
	*a = (struct answer){0};
	wire_start(&b, WIRE_BEGIN, ++c->txn);
	fdpass_send(c->planner, b.p, b.n, NULL, 0);
	wire_start(&b, WIRE_ROWS, c->txn);
	VEC_EACH (&s->list, ch) {
		if (wire_put(&b, 0, ch) == -EMSGSIZE) {
			fdpass_send(c->planner, b.p, b.n, NULL, 0);
			wire_start(&b, WIRE_ROWS, c->txn);
			wire_put(&b, 0, ch);
		}
	}
	fdpass_send(c->planner, b.p, b.n, NULL, 0);
	wire_start(&b, WIRE_COMMIT, c->txn);
	fdpass_send(c->planner, b.p, b.n, NULL, 0);
	return hear(c, WIRE_DONE, a, NULL, NULL);
}

static struct wire_welcome hello(struct child *c)
{
	static uint8_t msg[WIRE_MESSAGE_MAX];
	struct wire_welcome w = {0};
	AUTO_BUF b = {0};
	unsigned nfds;

	wire_start(&b, WIRE_HELLO, ++c->txn);
	fdpass_send(c->planner, b.p, b.n, NULL, 0);
	if (fdpass_recv(c->planner, msg, sizeof(msg), NULL, &nfds, 0) !=
	    (ssize_t)(sizeof(struct wire_head) + sizeof(w)))
		die("no WELCOME");
	memcpy(&w, msg + sizeof(struct wire_head), sizeof(w));
	return w;
}

static void hand_over(struct child *c, const struct pod *p)
{
	AUTO_BUF b = {0};

	wire_start(&b, WIRE_NAMESPACE, ++c->txn);
	buf_add(&b, p->link.uid, sizeof(p->link.uid));
	fdpass_send(c->planner, b.p, b.n, (int[]){p->netns, p->route, p->diag}, 3);
}

static struct addr16 addr16_of(const struct addr *a)
{
	struct addr16 out;

	memcpy(&out, a, sizeof(out));
	return out;
}

/* Everything that two pods without policies need. */
static void plan_rows(struct script *s, const struct wire_welcome *w)
{
	struct config_value cfg = {.uplink = w->uplink, .tunnel = w->tunnel, .mode = w->mode, .mtu = w->mtu};
	uint32_t zero = 0;

	cfg.snat_low = 32768;
	cfg.snat_high = 60999;
	memcpy(cfg.gateway_mac, gateway_mac, 6);
	memcpy(cfg.uplink_mac, w->uplink_mac, 6);
	MAP(s, CHANGE_ADD, config, zero, cfg);
	for (unsigned i = 0; i < PODS; i++) {
		struct pod *p = &pods[i];
		const struct addr *own[] = {&p->link.v4, &p->link.v6};
		struct iface_value iv = {.v4 = addr16_of(own[0]), .v6 = addr16_of(own[1])};

		memcpy(iv.mac, p->link.mac, 6);
		MAP(s, CHANGE_ADD, iface, p->key.ifindex, iv);
		put(s, CHANGE_ADD, ROW_LINK, 0, &p->key, sizeof(p->key), &p->link, sizeof(p->link));
		for (unsigned f = 0; f < 2; f++) {
			struct endpoint_value ev = {.ifindex = p->key.ifindex};
			struct address_value av = {.flags = ADDRESS_POD};
			struct route_key rk = {.to = {.addr = *own[f], .len = 128}};
			struct route_value rv = {
			    .way = ROUTE_POD, .ifindex = p->key.ifindex, .mtu = p->link.mtu};
			struct addr16 key = addr16_of(own[f]);

			memcpy(ev.mac, p->link.mac, 6);
			MAP(s, CHANGE_ADD, endpoint, key, ev);
			MAP(s, CHANGE_ADD, address, key, av);
			put(s, CHANGE_ADD, ROW_ROUTE, 0, &rk, sizeof(rk), &rv, sizeof(rv));
		}
	}
	struct route_key rk = {0};
	struct route_value rv = {.way = ROUTE_UNREACHABLE};

	prefix_parse(STR("10.96.0.0/16"), &rk.to);
	put(s, CHANGE_ADD, ROW_ROUTE, 0, &rk, sizeof(rk), &rv, sizeof(rv));
	prefix_parse(STR("fd57:e7f7:0:96::/112"), &rk.to);
	put(s, CHANGE_ADD, ROW_ROUTE, 0, &rk, sizeof(rk), &rv, sizeof(rv));
}

/* --- namespaces and traffic --- */

static void enter(int ns)
{
	if (setns(ns, CLONE_NEWNET))
		die("setns");
}

static int new_ns(void)
{
	int fd;

	if (unshare(CLONE_NEWNET))
		die("unshare");
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (system("ip link set lo up") || fd < 0)
		die("new namespace");
	return fd;
}

static void make_world(void)
{
	home_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	for (unsigned i = 0; i < PODS; i++) {
		struct pod *p = &pods[i];

		p->netns = new_ns();
		p->route = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
		p->diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
		p->key.ifindex = FIRST + 2 + i;
		p->link.mtu = 1450;
		memcpy(p->link.gateway_mac, gateway_mac, 6);
		memcpy(p->link.mac, (uint8_t[]){2, 0x57, 0, 0, 0, (uint8_t)(i + 2)}, 6);
		p->link.v4 = addr_from4(0x0af40002 + i);
		addr_parse(i ? STR("fd57:e7f7:0:244::3") : STR("fd57:e7f7:0:244::2"), &p->link.v6);
		snprintf(p->link.uid, sizeof(p->link.uid), "0000-uid-%u", i);
	}
	node_ns = new_ns();
	if (system("ip link add uplink0 type veth peer name far0 && ip link set uplink0 up && ip link set "
		   "far0 up && "
		   "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"))
		die("node");
}

/* A UDP socket in a pod, bound to its address. */
static int pod_udp(unsigned i, bool v6)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	int fd, one = 1;

	enter(pods[i].netns);
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(&at.sin6_addr, v6 ? &pods[i].link.v6 : &pods[i].link.v4, 16);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)))
		fprintf(stderr, "bind: %s\n", strerror(errno));
	enter(node_ns);
	return fd;
}

/* Sends n datagrams from pod 0 to pod 1, one every `pause_us`; answers how many came. */
static unsigned stream(bool v6, unsigned n, unsigned pause_us)
{
	AUTO_FD int from = pod_udp(0, v6), to = pod_udp(1, v6);
	struct sockaddr_in6 dst = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	unsigned got = 0;
	char byte;

	memcpy(&dst.sin6_addr, v6 ? &pods[1].link.v6 : &pods[1].link.v4, 16);
	for (unsigned i = 0; i < n; i++) {
		struct pollfd p = {.fd = to, .events = POLLIN};

		if (sendto(from, "x", 1, 0, (struct sockaddr *)&dst, sizeof(dst)) < 0)
			continue;
		if (poll(&p, 1, 200) > 0 && recv(to, &byte, 1, MSG_DONTWAIT) == 1)
			got++;
		if (pause_us)
			usleep(pause_us);
	}
	return got;
}

/* The same in a child process while the caller does something else; the count is its exit status in hundreds.
 */
static pid_t stream_begin(unsigned n, unsigned pause_us)
{
	pid_t pid = fork();

	if (!pid)
		_exit(stream(false, n, pause_us) == n ? 0 : 1);
	return pid;
}

/* --- the tests --- */

struct compare {
	const struct script *want;
	size_t found, strange;
};

static void compare_row(const struct row *r, void *ctx)
{
	struct compare *c = ctx;

	VEC_EACH (&c->want->list, ch)
		if (!row_cmp(&ch->row, r) && ch->row.value_len == r->value_len &&
		    !memcmp(ch->row.value, r->value, r->value_len)) {
			c->found++;
			return;
		}
	c->strange++;
	printf("# not in the plan: type %u table %u\n", r->type, r->table);
}

static void check_readback(struct child *c, const struct script *want, const char *when)
{
	struct compare cmp = {.want = want};
	struct answer a = {0};
	AUTO_BUF b = {0};

	wire_start(&b, WIRE_READBACK, ++c->txn);
	fdpass_send(c->planner, b.p, b.n, NULL, 0);
	hear(c, WIRE_FAULTS, &a, compare_row, &cmp);
	CHECK(cmp.found == want->list.len && !cmp.strange,
	      "%s the kernel's rows equal the plan (%zu of %zu, %zu strange)", when, cmp.found,
	      want->list.len, cmp.strange);
	CHECK(!a.text[0], "%s no filter and no link is missing: %s", when, a.text);
}

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
	uint8_t key[64], value[128];
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
	control_send(c->control, CONTROL_CLEAN, 0, -1);
	waitpid(c->pid, NULL, 0);
	own_fd(&c->control);
	own_fd(&c->planner);
	snprintf(command, sizeof(command), "test -d %s && test -z \"$(ls -A %s)\"", pin_dir, pin_dir);
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

	if (argc < 2 || geteuid()) {
		printf("1..0 # SKIP needs root and the path of weft-applier\n");
		return 0;
	}
	applier_path = argv[1];
	snprintf(bpf_dir, sizeof(bpf_dir), "/tmp/weft-t-apply-%d", getpid());
	snprintf(pin_dir, sizeof(pin_dir), "%s/node", bpf_dir);
	if (mkdir(bpf_dir, 0700) || unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("bpf", bpf_dir, "bpf", 0, NULL))
		die("bpffs");
	make_world();
	c = start_applier("node=16", "vxlan");
	w = hello(&c);
	CHECK(w.fresh && w.uplink && w.tunnel && w.entries[PLAN_MAP_node] == 16,
	      "a fresh start finds uplink and tunnel");
	plan_rows(&plan, &w);
	test_first(&c, &plan, &a);
	test_again(&c, &plan, &a);
	test_restart(&c, &plan);
	test_guard(&c, &plan, &a);
	test_full(&c, &plan, &a);
	test_hostile(&c, &plan);
	drain(&c);
	stop_applier(&c, SIGKILL);
	c = start_applier(NULL, "vxlan");
	test_unwire(&c, &a);
	test_clean(&c, &plan);
	umount(bpf_dir);
	rmdir(bpf_dir);
	script_fini(&plan);
	vec_free(&a.results);
	printf("1..%d\n", checks);
	return failures ? 1 : 0;
}
