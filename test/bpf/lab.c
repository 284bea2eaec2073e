/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the namespaces of lab.h with iproute2, attaches with libbpf. Only tests use it; apply/ has its own
 * netlink. */
#include "lab.h"
#include "talk.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GATEWAY_MAC "02:57:45:46:54:01"

void lab_ns(const struct lab *l, const char *name, char *to, size_t size)
{
	snprintf(to, size, "%s-%s", l->prefix, name);
}

static int run(const struct lab *l, const char *script)
{
	char out[2048];
	int err = shell("", out, sizeof(out), "P=%s; set -e; %s", l->prefix, script);

	if (err)
		printf("# lab: %s\n#   %s\n", out, script);
	return err;
}

/* One script a part, so that a failure shows its own. $P is the prefix of the namespaces. */
static const char *const fabric[] = {
    "for n in out node1 node2 a b r; do ip netns add $P-$n; ip -n $P-$n link set lo up; done",
    "for n in out node1 node2; do ip netns exec $P-$n sysctl -qw net.ipv4.ip_forward=1 "
    "net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 "
    "net.ipv6.conf.all.forwarding=1; done",
    "for n in out node1 node2 a b r; do ip netns exec $P-$n sysctl -qw net.ipv6.conf.default.accept_dad=0; "
    "done",
    "ip -n $P-out link add br0 type bridge && ip -n $P-out link set br0 up",
    "for i in 1 2; do ip link add uplink0 netns $P-node$i type veth peer name f$i netns $P-out; "
    "ip -n $P-out link set f$i master br0 up; ip -n $P-node$i link set uplink0 up; "
    "ip -n $P-node$i addr add 192.0.2.$i/24 dev uplink0; ip -n $P-node$i addr add 2001:db8::$i/64 dev "
    "uplink0 nodad; "
    "ip -n $P-node$i route add default via 192.0.2.9; ip -n $P-node$i route add default via 2001:db8::9; "
    "done",
    "ip -n $P-out addr add 192.0.2.9/24 dev br0; ip -n $P-out addr add 2001:db8::9/64 dev br0 nodad; "
    "ip -n $P-out addr add 198.51.100.9/32 dev br0; ip -n $P-out addr add 2001:db8:51::9/128 dev br0 nodad",
};

static const char *const tunnels[] = {
    "for i in 1 2; do ip -n $P-node$i link add weft-vxlan mtu 1450 type vxlan external dstport 4789 "
    "udp6zerocsumrx; "
    "ip -n $P-node$i link set weft-vxlan arp off up; done",
    "ip -n $P-node1 route add 10.2.0.0/16 dev weft-vxlan mtu 1450; ip -n $P-node1 route add fd00:2::/32 dev "
    "weft-vxlan mtu 1450; "
    "ip -n $P-node2 route add 10.1.0.0/16 dev weft-vxlan mtu 1450; ip -n $P-node2 route add fd00:1::/32 dev "
    "weft-vxlan mtu 1450",
};

static const char *const routes[] = {
    "ip -n $P-node1 route add 10.2.0.0/16 via 192.0.2.2; ip -n $P-node1 route add fd00:2::/32 via "
    "2001:db8::2; "
    "ip -n $P-node2 route add 10.1.0.0/16 via 192.0.2.1; ip -n $P-node2 route add fd00:1::/32 via "
    "2001:db8::1",
};

static const char *const wires[] = {
    "ip -n $P-node1 route add unreachable 10.96.0.0/16; ip -n $P-node1 route add unreachable fd00:96::/112; "
    "ip -n $P-node1 route add unreachable 10.1.0.0/16; ip -n $P-node1 route add unreachable fd00:1::/32",
    "wire() { ip link add wp$3 index $3 netns $P-$1 type veth peer name eth0 netns $P-$2; "
    "ip -n $P-$1 link set wp$3 address " GATEWAY_MAC " addrgenmode none mtu $6; "
    "ip -n $P-$2 link set eth0 address 02:00:00:00:00:0$7 mtu $6; ip -n $P-$1 link set wp$3 up; ip -n $P-$2 "
    "link set eth0 up; "
    "ip -n $P-$2 addr add $4/32 dev eth0; ip -n $P-$2 addr add $5/128 dev eth0 nodad; "
    "ip -n $P-$2 neigh add 169.254.1.1 lladdr " GATEWAY_MAC " dev eth0 nud permanent; "
    "ip -n $P-$2 neigh add fe80::1 lladdr " GATEWAY_MAC " dev eth0 nud permanent; "
    "ip -n $P-$2 route add default via 169.254.1.1 dev eth0 onlink; ip -n $P-$2 route add default via "
    "fe80::1 dev eth0 onlink; "
    "ip -n $P-$1 route add $4/32 dev wp$3; ip -n $P-$1 route add $5/128 dev wp$3; "
    "ip -n $P-$1 neigh add $4 lladdr 02:00:00:00:00:0$7 dev wp$3 nud permanent; "
    "ip -n $P-$1 neigh add $5 lladdr 02:00:00:00:00:0$7 dev wp$3 nud permanent; }; "
    "wire node1 a 101 10.1.0.5 fd00:1::5 1450 5; wire node1 b 102 10.1.0.6 fd00:1::6 1450 6; "
    "wire node2 r 103 10.2.0.7 fd00:2::7 1450 7",
};

static int run_all(const struct lab *l, const char *const *scripts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (run(l, scripts[i]))
			return -EIO;
	return 0;
}
#define RUN_ALL(l, scripts) run_all(l, scripts, sizeof(scripts) / sizeof((scripts)[0]))

static uint32_t index_of(const struct lab *l, const char *node, const char *link)
{
	char ns[64], out[64];
	unsigned int index = 0;

	lab_ns(l, node, ns, sizeof(ns));
	shell(ns, out, sizeof(out), "cat /sys/class/net/%s/ifindex", link);
	sscanf(out, "%u", &index);
	return index;
}

static int attach(const char *link, enum bpf_tc_attach_point point, const struct bpf_program *prog)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(prog));

	hook.ifindex = (int)if_nametoindex(link);
	if (!hook.ifindex)
		return -errno;
	if (point == BPF_TC_INGRESS &&
	    bpf_tc_hook_create(&hook)) /* one for both sides; ingress comes first */
		return -errno;
	return bpf_tc_attach(&hook, &opts);
}

static int attach_node(const struct lab *l, const char *node, struct weft *w, const char *const *pods,
		       uint32_t mode)
{
	char path[128];
	int fd, home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), err = 0;

	snprintf(path, sizeof(path), "/run/netns/%s-%s", l->prefix, node);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		return -errno;
	for (; *pods && !err; pods++) {
		err = attach(*pods, BPF_TC_INGRESS, w->progs.weft_from_pod);
		err = err ? err : attach(*pods, BPF_TC_EGRESS, w->progs.weft_to_pod);
	}
	err = err ? err : attach("uplink0", BPF_TC_INGRESS, w->progs.weft_uplink);
	err = err ? err : attach("uplink0", BPF_TC_EGRESS, w->progs.weft_uplink_out);
	if (mode == MODE_VXLAN) {
		err = err ? err : attach("weft-vxlan", BPF_TC_INGRESS, w->progs.weft_tunnel_in);
		err = err ? err : attach("weft-vxlan", BPF_TC_EGRESS, w->progs.weft_tunnel_out);
	}
	if (setns(home, CLONE_NEWNET))
		err = -errno;
	close(fd);
	close(home);
	return err;
}

static int attach_cgroup(struct lab *l, struct weft *w)
{
	const struct {
		struct bpf_program *prog;
		enum bpf_attach_type type;
	} all[] = {
	    {w->progs.weft_connect4, BPF_CGROUP_INET4_CONNECT},
	    {w->progs.weft_connect6, BPF_CGROUP_INET6_CONNECT},
	    {w->progs.weft_sendmsg4, BPF_CGROUP_UDP4_SENDMSG},
	    {w->progs.weft_sendmsg6, BPF_CGROUP_UDP6_SENDMSG},
	    {w->progs.weft_recvmsg4, BPF_CGROUP_UDP4_RECVMSG},
	    {w->progs.weft_recvmsg6, BPF_CGROUP_UDP6_RECVMSG},
	    {w->progs.weft_getpeername4, BPF_CGROUP_INET4_GETPEERNAME},
	    {w->progs.weft_getpeername6, BPF_CGROUP_INET6_GETPEERNAME},
	};
	static const char *const roots[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
	int fd, err = 0;

	for (size_t i = 0; i < 2 && !l->cgroup[0]; i++) {
		snprintf(l->cgroup, sizeof(l->cgroup), "%s/cgroup.procs", roots[i]);
		if (access(l->cgroup, F_OK))
			l->cgroup[0] = 0;
		else
			snprintf(l->cgroup, sizeof(l->cgroup), "%s/%s", roots[i], l->prefix);
	}
	if (!l->cgroup[0])
		return 0;
	if (mkdir(l->cgroup, 0755))
		return -errno;
	fd = open(l->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && !err; i++)
		err = bpf_prog_attach(bpf_program__fd(all[i].prog), fd, all[i].type, 0);
	close(fd);
	return err;
}

/* The other node's view of the same cluster: `world` is node-2. */
static void see_from_node2(void)
{
	struct node_value n1 = {.v4 = addr("192.0.2.1"), .v6 = addr("2001:db8::1")};
	struct config_value *c = config_now();
	uint32_t one = 1;

	c->node4 = addr("192.0.2.2");
	c->node6 = addr("2001:db8::2");
	memcpy(c->pods6, addr("fd00:2::").w, sizeof(c->pods6));
	config_put(c);
	bpf_map_update_elem(bpf_map__fd(world->maps.node), &one, &n1, BPF_ANY);
	remove_pod("a");
	remove_pod("b");
	set_pod("r", 0, 0);
	set_address("10.1.0.5", CLASS_A, 1, ADDRESS_POD);
	set_address("fd00:1::5", CLASS_A, 1, ADDRESS_POD);
	set_address("10.1.0.6", CLASS_B, 1, ADDRESS_POD);
	set_address("fd00:1::6", CLASS_B, 1, ADDRESS_POD);
	set_address("10.2.0.7", CLASS_R, 0, ADDRESS_POD);
	set_address("fd00:2::7", CLASS_R, 0, ADDRESS_POD);
	set_address("192.0.2.1", CLASS_N1, 1, ADDRESS_NODE);
	set_address("2001:db8::1", CLASS_N1, 1, ADDRESS_NODE);
	set_address("192.0.2.2", CLASS_N2, 0, ADDRESS_NODE | ADDRESS_SELF);
	set_address("2001:db8::2", CLASS_N2, 0, ADDRESS_NODE | ADDRESS_SELF);
	set_range("10.1.0.0", 16, RANGE_POD, 1);
	set_range("fd00:1::", 32, RANGE_POD, 1);
	set_range("10.2.0.0", 16, RANGE_POD, 0);
	set_range("fd00:2::", 32, RANGE_POD, 0);
}

static struct weft *load_node(const struct lab *l, const char *node, uint32_t mode)
{
	struct config_value *c;

	if (world_load())
		return NULL;
	world_reset();
	set_mode(mode);
	c = config_now();
	c->uplink = index_of(l, node, "uplink0");
	c->tunnel = mode == MODE_VXLAN ? index_of(l, node, "weft-vxlan") : 0;
	config_put(c);
	return world;
}

int lab_up(struct lab *l, uint32_t mode)
{
	static const char *const pods1[] = {"wp101", "wp102", NULL}, *const pods2[] = {"wp103", NULL};
	int err;

	memset(l, 0, sizeof(*l));
	snprintf(l->prefix, sizeof(l->prefix), "weft-t-bpf-%d", getpid());
	err = RUN_ALL(l, fabric);
	err = err ? err : mode == MODE_VXLAN ? RUN_ALL(l, tunnels) : RUN_ALL(l, routes);
	err = err ? err : RUN_ALL(l, wires);
	if (err)
		return err;
	l->node1 = load_node(l, "node1", mode);
	l->node2 = l->node1 ? load_node(l, "node2", mode) : NULL;
	if (!l->node2)
		return -EIO;
	see_from_node2();
	world = l->node1;
	err = attach_node(l, "node1", l->node1, pods1, mode);
	err = err ? err : attach_node(l, "node2", l->node2, pods2, mode);
	return err ? err : attach_cgroup(l, l->node1);
}

void lab_down(struct lab *l)
{
	char out[1024];

	shell("", out, sizeof(out), "for n in out node1 node2 a b r; do ip netns del %s-$n; done", l->prefix);
	if (l->cgroup[0])
		rmdir(l->cgroup);
	weft__destroy(l->node1);
	weft__destroy(l->node2);
}
