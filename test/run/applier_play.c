/* SPDX-License-Identifier: Apache-2.0 */
/* The scripted planner, its node and its pods: see applier_play.h. Holds what all tests of the applier share.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <dirent.h>
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
#include "base/own.h"
#include "seam/class.h"
#include "seam/config.h"
#include "seam/endpoint.h"
#include "test/run/applier_play.h"

enum { FIRST = 10000 };
static const uint8_t gateway_mac[6] = {0x02, 0x57, 0x45, 0x46, 0x54, 0x01};
struct pod pods[PODS];
int node_ns, home_ns, far_ns, checks, failures;
static char *far_path;
static const char *applier_path;
static char bpf_dir[64], pin_dir[80], cgroup_dir[200];

void check(bool ok, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", ok ? "" : "not ", ++checks);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	failures += ok ? 0 : 1;
}

void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- the applier as a child --- */

static void write_pid(const char *dir)
{
	char path[220];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	f = fopen(path, "w");
	if (!f || fprintf(f, "0") < 0 || fclose(f))
		die(path);
}

static void find_cgroup2(char out[128])
{
	FILE *f = fopen("/proc/self/mounts", "r");
	char type[32];

	out[0] = '\0';
	while (f && fscanf(f, "%*s %127s %31s %*[^\n]", out, type) == 2 && strcmp(type, "cgroup2"))
		out[0] = '\0';
	if (f)
		fclose(f);
	if (!out[0])
		die("no cgroup2");
}

void play_cgroup(const char *name)
{
	char root[128];

	find_cgroup2(root);
	snprintf(cgroup_dir, sizeof(cgroup_dir), "%s/weft-t-%s-%d", root, name, getpid());
	if (mkdir(cgroup_dir, 0755))
		die(cgroup_dir);
	write_pid(cgroup_dir);
}

struct child start_applier(const char *entries, const char *mode)
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
		char *argv[16] = {(char *)(uintptr_t)applier_path,
				  "--node",
				  "test",
				  "--bpf",
				  pin_dir,
				  "--uplink",
				  "uplink0",
				  "--mode",
				  (char *)(uintptr_t)mode};
		unsigned n = 9;

		if (entries) {
			argv[n++] = "--entries";
			argv[n++] = (char *)(uintptr_t)entries;
		}
		if (cgroup_dir[0]) {
			argv[n++] = "--cgroup";
			argv[n++] = cgroup_dir;
		}
		execv(applier_path, argv);
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

void stop_applier(struct child *c, int sig)
{
	kill(c->pid, sig);
	waitpid(c->pid, NULL, 0);
	own_fd(&c->control);
	own_fd(&c->planner);
}

void clean_applier(struct child *c)
{
	control_send(c->control, CONTROL_CLEAN, 0, -1);
	waitpid(c->pid, NULL, 0);
	own_fd(&c->control);
	own_fd(&c->planner);
}

bool hear(struct child *c, enum wire_type until, struct answer *a, void (*fn)(const struct row *r, void *ctx),
	  void *ctx)
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

void put(struct script *s, enum change_op op, uint8_t type, uint16_t table, const void *key, size_t key_len,
	 const void *value, size_t value_len)
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

void script_fini(struct script *s)
{
	vec_free(&s->list);
	arena_fini(&s->arena);
}

bool commit(struct child *c, const struct script *s, struct answer *a)
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

struct wire_welcome hello(struct child *c)
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

int ask_kernel(struct child *c, struct ask *asks, size_t n)
{
	static uint8_t msg[WIRE_MESSAGE_MAX];
	AUTO_BUF b = {0};
	struct wire_head h;
	size_t count = 0;
	int32_t result = 0;
	unsigned nfds;
	ssize_t got;

	wire_asks(&b, WIRE_ASK, ++c->txn, 0, asks, n);
	fdpass_send(c->planner, b.p, b.n, NULL, 0);
	got = fdpass_recv(c->planner, msg, sizeof(msg), NULL, &nfds, 0);
	if (got <= 0 || wire_head(msg, (size_t)got, &h) || h.type != WIRE_ANSWER ||
	    wire_asks_read(msg, (size_t)got, &result, asks, &count) || (!result && count != n))
		die("no ANSWER");
	return result;
}

void hand_over(struct child *c, const struct pod *p)
{
	AUTO_BUF b = {0};

	wire_start(&b, WIRE_NAMESPACE, ++c->txn);
	buf_add(&b, p->link.uid, sizeof(p->link.uid));
	fdpass_send(c->planner, b.p, b.n, (int[]){p->netns, p->route, p->diag}, 3);
}

struct addr16 addr16_of(const struct addr *a)
{
	struct addr16 out;

	memcpy(&out, a, sizeof(out));
	return out;
}

static void take(const char *text, struct addr16 *out)
{
	struct addr a;

	if (addr_parse(str_of(text), &a))
		die(text);
	memcpy(out, &a, sizeof(*out));
}

void plan_rows(struct script *s, const struct wire_welcome *w)
{
	struct config_value cfg = {.uplink = w->uplink, .tunnel = w->tunnel, .mode = w->mode, .mtu = w->mtu};
	uint32_t zero = 0;

	take(NODE4, &cfg.node4);
	take(NODE6, &cfg.node6);
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
			struct address_value av = {.flags = ADDRESS_POD, .owner = 100 + i};
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

void enter(int ns)
{
	if (setns(ns, CLONE_NEWNET))
		die("setns");
}

int new_ns(void)
{
	int fd;

	if (unshare(CLONE_NEWNET))
		die("unshare");
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (system("ip link set lo up") || fd < 0)
		die("new namespace");
	return fd;
}

void make_pod(struct pod *p, unsigned number, const char *uid)
{
	*p = (struct pod){.key = {.ifindex = FIRST + 2 + number}, .link = {.mtu = 1450}};
	p->netns = new_ns();
	p->route = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	p->diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	memcpy(p->link.gateway_mac, gateway_mac, 6);
	memcpy(p->link.mac, (uint8_t[]){2, 0x57, 0, 0, 0, (uint8_t)(number + 2)}, 6);
	p->link.v4 = addr_from4(0x0af40002 + number);
	addr_parse(number ? STR("fd57:e7f7:0:244::3") : STR("fd57:e7f7:0:244::2"), &p->link.v6);
	snprintf(p->link.uid, sizeof(p->link.uid), "%s", uid);
	enter(node_ns);
}

static void make_world(void)
{
	home_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	node_ns = new_ns();
	if (system("ip link add uplink0 type veth peer name far0 && ip link set uplink0 up && "
		   "ip addr add " NODE4 "/24 dev uplink0 && ip addr add " NODE6 "/64 dev uplink0 nodad && "
		   "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 "
		   "net.ipv4.conf.all.rp_filter=0"))
		die("node");
	far_ns = new_ns();
	enter(node_ns);
	if (asprintf(&far_path, "/proc/%d/fd/%d", getpid(), far_ns) < 0)
		die("far");
	char command[128];
	snprintf(command, sizeof(command), "ip link set far0 netns %s", far_path);
	if (system(command))
		die("far0");
	enter(far_ns);
	if (system("ip link set far0 up && ip addr add " FAR_NODE4 "/24 dev far0 && "
		   "ip addr add " FAR_NODE6 "/64 dev far0 nodad && ip addr add " FAR_POD4 "/32 dev lo && "
		   "ip addr add " FAR_POD6 "/128 dev lo nodad && ip route add 10.244.0.0/24 via " NODE4 " && "
		   "ip route add fd57:e7f7:0:244::/112 via " NODE6))
		die("far node");
	enter(node_ns);
	make_pod(&pods[0], 0, "0000-uid-0");
	make_pod(&pods[1], 1, "0000-uid-1");
}

int udp_at(int ns, const struct addr *own)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	int fd, one = 1;

	enter(ns);
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(&at.sin6_addr, own, 16);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)))
		fprintf(stderr, "bind: %s\n", strerror(errno));
	enter(node_ns);
	return fd;
}

bool passes(int from, const struct addr *to, int at, int wait_ms)
{
	struct sockaddr_in6 dst = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	struct pollfd p = {.fd = at, .events = POLLIN};
	char byte;

	memcpy(&dst.sin6_addr, to, 16);
	if (sendto(from, "x", 1, 0, (struct sockaddr *)&dst, sizeof(dst)) < 0)
		return false;
	return poll(&p, 1, wait_ms) > 0 && recv(at, &byte, 1, MSG_DONTWAIT) == 1;
}

unsigned stream(bool v6, unsigned n, unsigned pause_us)
{
	const struct addr *own = v6 ? &pods[0].link.v6 : &pods[0].link.v4;
	const struct addr *other = v6 ? &pods[1].link.v6 : &pods[1].link.v4;
	AUTO_FD int from = udp_at(pods[0].netns, own), to = udp_at(pods[1].netns, other);
	unsigned got = 0;

	for (unsigned i = 0; i < n; i++) {
		got += passes(from, other, to, 1000) ? 1 : 0;
		if (pause_us)
			usleep(pause_us);
	}
	return got;
}

/* The same in a child process while the caller does something else; the count is its exit status in hundreds.
 */
pid_t stream_begin(unsigned n, unsigned pause_us)
{
	pid_t pid = fork();

	if (!pid)
		_exit(stream(false, n, pause_us) == n ? 0 : 1);
	return pid;
}
/* --- what is in force --- */

struct compare {
	const struct script *want;
	size_t found, strange;
};

static void compare_row(const struct row *r, void *ctx)
{
	struct compare *c = ctx;

	VEC_EACH (&c->want->list, ch)
		if (!row_cmp(&ch->row, r) && ch->row.value_len == r->value_len &&
		    (!r->value_len || !memcmp(ch->row.value, r->value, r->value_len))) {
			c->found++;
			return;
		}
	c->strange++;
	printf("# not in the plan: type %u table %u\n", r->type, r->table);
}

void check_readback(struct child *c, const struct script *want, const char *when)
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

bool play_begin(int argc, char **argv, const char *name)
{
	if (argc < 2 || geteuid()) {
		printf("1..0 # SKIP needs root and the path of weft-applier\n");
		return false;
	}
	applier_path = argv[1];
	snprintf(bpf_dir, sizeof(bpf_dir), "/tmp/weft-t-%s-%d", name, getpid());
	snprintf(pin_dir, sizeof(pin_dir), "%s/node", bpf_dir);
	if (mkdir(bpf_dir, 0700) || unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("bpf", bpf_dir, "bpf", 0, NULL))
		die("bpffs");
	make_world();
	return true;
}

int play_end(void)
{
	if (cgroup_dir[0]) {
		char root[128];

		find_cgroup2(root);
		write_pid(root);
		rmdir(cgroup_dir);
	}
	umount(bpf_dir);
	rmdir(bpf_dir);
	printf("1..%d\n", checks);
	return failures ? 1 : 0;
}

const char *play_pins(void)
{
	return pin_dir;
}

int play_map(const char *name)
{
	char path[400];
	DIR *d = opendir(pin_dir);
	const struct dirent *e;
	int fd = -1;

	while (d && fd < 0 && (e = readdir(d)))
		if (e->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s/%s", pin_dir, e->d_name, name);
			fd = bpf_obj_get(path);
		}
	if (d)
		closedir(d);
	if (fd < 0)
		die(name);
	return fd;
}
