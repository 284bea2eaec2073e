/* SPDX-License-Identifier: Apache-2.0 */
/* The means of copy_world.h. Everything that it makes goes with the lab's namespaces. */
#include "copy_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "apply/filter.h"
#include "base/own.h"
#include "filter/filter.h"
#include "talk.h"

enum { BLOCK = 1 << 20, BLOCKS = 16, DEADLINE_MS = 2000, SHORT_MS = 200, TAP_PRIORITY = 1, TAGGED = 4 };

static struct {
	int fd;
	uint8_t *map;
	unsigned block;		       /* at hand */
	unsigned left;		       /* packets in it that were not taken */
	const struct tpacket3_hdr *at; /* the next of them */
} ring = {.fd = -1};

static int enter(const struct lab *l, const char *name)
{
	char ns[64], path[128];
	int fd;

	lab_ns(l, name, ns, sizeof(ns));
	snprintf(path, sizeof(path), "/run/netns/%s", ns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		return -errno;
	return close(fd);
}

/* This process' own namespace, to come back to. */
static int home_fd = -1;

static int leave(void)
{
	return setns(home_fd, CLONE_NEWNET) ? -errno : 0;
}

/* `fresh`: the interface has no program yet. */
static int attach(const char *link, bool fresh, enum bpf_tc_attach_point point,
		  const struct bpf_program *prog)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(prog), .priority = TAP_PRIORITY);
	int err;

	hook.ifindex = (int)if_nametoindex(link);
	err = fresh ? bpf_tc_hook_create(&hook) : 0;
	return err ? err : bpf_tc_attach(&hook, &opts);
}

static int attach_all(const struct lab *l)
{
	const struct weft *w = l->node1;
	int err = enter(l, "node1"), home;

	err = err ? err : attach("weft-copy0", true, BPF_TC_EGRESS, w->progs.weft_copy_out);
	err = err ? err : attach("weft-copy0", false, BPF_TC_INGRESS, w->progs.weft_copy_back);
	err = err ? err : attach("weft-copy1", true, BPF_TC_INGRESS, w->progs.weft_copy_stop);
	err = err ? err : attach("weft-edit1", true, BPF_TC_INGRESS, w->progs.weft_edit);
	err = err ? err : attach("uplink0", false, BPF_TC_INGRESS, w->progs.weft_tap_in);
	err = err ? err : attach("uplink0", false, BPF_TC_EGRESS, w->progs.weft_tap_out);
	home = leave();
	return err ? err : home;
}

static int attach_in(const struct lab *l, const char *ns, const char *link, const struct bpf_program *prog)
{
	int err = enter(l, ns);

	err = err ? err : attach(link, true, BPF_TC_INGRESS, prog);
	return leave() ? -EPERM : err;
}

int copies_attach(const struct lab *l, const char *link, const struct bpf_program *prog)
{
	return attach_in(l, "node1", link, prog);
}

int copies_swallow(const struct lab *l, const char *ns, const char *link)
{
	return attach_in(l, ns, link, l->node1->progs.weft_copy_stop);
}

/* As src/apply makes them of filters in force. */
static int judge_put(const struct lab *l, uint32_t number, const char *const *texts, unsigned n)
{
	struct filter_form forms[4] = {};
	struct filter_program programs[4] = {};
	struct filter_code code = {};
	AUTO(remarks_fini) struct remarks remarks = {};
	AUTO_BUF why = {};
	int fd, err = 0;

	for (unsigned i = 0; i < n && !err; i++) {
		struct filter *f = NULL;

		err = filter_parse(&f, str_of(texts[i]), (struct pos){}, &remarks);
		err = err ? err : filter_program(f, &programs[i], &why);
		filter_unref(&f);
		forms[i] = (struct filter_form){programs[i].steps, programs[i].classic, programs[i].n};
	}
	err = err ? err : filter_translate_judge(&code, forms, n, &why);
	fd = err ? err : filter_load(&code, BPF_PROG_TYPE_SCHED_CLS, NULL, &why);
	err = fd < 0 ? fd : bpf_map_update_elem(bpf_map__fd(l->node1->maps.judge), &number, &fd, BPF_ANY);
	if (err)
		printf("# judge %u: %s\n", number, why.p ? why.p : strerror(-err));
	own_fd(&fd);
	filter_code_fini(&code);
	for (unsigned i = 0; i < n; i++)
		filter_program_fini(&programs[i]);
	return err;
}

static int judges_put(const struct lab *l)
{
	static const char *const all[] = {"udp && port == 7777", "tcp && port == 8080", "eth.type == 0x88b5"};
	static const char *const own[] = {"udp && dst.port == 4790"};
	int err = judge_put(l, JUDGE_ALL, all, 3);

	err = err ? err : judge_put(l, JUDGE_NONE, NULL, 0);
	return err ? err : judge_put(l, JUDGE_OWN, own, 1);
}

static int ring_open(const struct lab *l)
{
	struct tpacket_req3 req = {.tp_block_size = BLOCK,
				   .tp_block_nr = BLOCKS,
				   .tp_frame_size = 2048,
				   .tp_frame_nr = BLOCK / 2048 * BLOCKS,
				   .tp_retire_blk_tov = 1,
				   .tp_feature_req_word = TP_FT_REQ_FILL_RXHASH};
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int version = TPACKET_V3, on = 1, err = enter(l, "node1");

	if (err)
		return err;
	ring.fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	at.sll_ifindex = (int)if_nametoindex("weft-copy1");
	if (ring.fd < 0 || setsockopt(ring.fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
	    setsockopt(ring.fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) ||
	    setsockopt(ring.fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
	    setsockopt(ring.fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) ||
	    bind(ring.fd, (struct sockaddr *)&at, sizeof(at)))
		err = -errno;
	if (!err)
		ring.map = mmap(NULL, (size_t)BLOCK * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, 0);
	if (!err && ring.map == MAP_FAILED) {
		err = -errno;
		ring.map = NULL;
	}
	return leave() ? -EPERM : err;
}

void ring_close(void)
{
	if (ring.map)
		munmap(ring.map, (size_t)BLOCK * BLOCKS);
	ring.map = NULL;
	own_fd(&ring.fd);
}

int copies_up(struct lab *l)
{
	char out[1024];
	int err;

	home_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	err = lab_up(l, MODE_VXLAN);
	if (err)
		return err;
	err =
	    shell("", out, sizeof(out),
		  "P=%s; set -e; ip netns add $P-tool; "
		  "ip -n $P-node1 link add weft-copy0 mtu 65535 type veth peer name weft-copy1 mtu 65535; "
		  "ip -n $P-node1 link add tool0 mtu 9216 type veth peer name tool1 netns $P-tool mtu 9216; "
		  "ip -n $P-node1 link add weft-edit0 mtu 65535 type veth peer name weft-edit1 mtu 65535; "
		  "for i in weft-copy0 weft-copy1 weft-edit0 weft-edit1 tool0; do "
		  "ip netns exec $P-node1 sysctl -qw net.ipv6.conf.$i.disable_ipv6=1; "
		  "ip -n $P-node1 link set $i arp off up; done; "
		  "ip netns exec $P-tool sysctl -qw net.ipv6.conf.tool1.disable_ipv6=1; "
		  "ip -n $P-tool link set tool1 up",
		  l->prefix);
	if (err) {
		printf("# %s\n", out);
		return -EIO;
	}
	err = attach_all(l);
	err = err ? err : judges_put(l);
	return err ? err : ring_open(l);
}

void copies_down(struct lab *l)
{
	char out[128];

	ring_close();
	own_fd(&home_fd);
	shell("", out, sizeof(out), "ip netns del %s-tool", l->prefix);
	lab_down(l);
}

uint32_t copies_index(const struct lab *l, const char *link)
{
	uint32_t index = enter(l, "node1") ? 0 : if_nametoindex(link);

	return leave() ? 0 : index;
}

void copies_link(const struct lab *l, const char *node, const char *link, const char *what)
{
	char ns[64], out[256];

	lab_ns(l, node, ns, sizeof(ns));
	if (shell(ns, out, sizeof(out), "ip link set %s %s", link, what))
		printf("# ip link set %s %s: %s\n", link, what, out);
}

int same(const char *what, uint64_t x, uint64_t want)
{
	if (x != want)
		printf("# %s is %llu (0x%llx), must be %llu (0x%llx)\n", what, (unsigned long long)x,
		       (unsigned long long)x, (unsigned long long)want, (unsigned long long)want);
	return x == want;
}

int same_bytes(const char *what, const uint8_t *x, size_t n, const uint8_t *want, size_t want_n)
{
	size_t at = 0;

	if (!same(what, n, want_n))
		return 0;
	while (at < n && x[at] == want[at])
		at++;
	if (at < n)
		printf("# %s: byte %zu of %zu is %02x, must be %02x\n", what, at, n, x[at], want[at]);
	return at == n;
}

void tap_put(uint32_t ifindex, const struct tap_value *v)
{
	bpf_map_update_elem(bpf_map__fd(world->maps.tap), &ifindex, v, BPF_ANY);
}

void outlet_put(uint32_t number, uint32_t ifindex, uint32_t way)
{
	struct outlet_value v = {.ifindex = ifindex, .way = way};

	bpf_map_update_elem(bpf_map__fd(world->maps.outlet), &number, &v, BPF_ANY);
}

void edit_put(const struct lab *l, uint32_t number, const char *link, const struct edit_value *e)
{
	struct outlet_value v = {
	    .ifindex = copies_index(l, link), .way = OUTLET_INTERFACE, .via = copies_index(l, "weft-edit0")};

	bpf_map_update_elem(bpf_map__fd(world->maps.edit), &number, e, BPF_ANY);
	bpf_map_update_elem(bpf_map__fd(world->maps.outlet), &number, &v, BPF_ANY);
}

void taps_on(const struct lab *l)
{
	outlet_put(0, copies_index(l, "weft-copy0"), OUTLET_INTERFACE);
}

static void forget(const struct bpf_map *map)
{
	struct tapped_key key;

	while (!bpf_map_get_next_key(bpf_map__fd(map), NULL, &key))
		if (bpf_map_delete_elem(bpf_map__fd(map), &key))
			return;
}

void taps_off(void)
{
	static struct outlet_count none[64];
	uint32_t i = 0;

	outlet_put(i, 0, OUTLET_NONE);
	forget(world->maps.tap);
	forget(world->maps.tapped);
	for (; i < 8; i++) {
		outlet_put(i, 0, OUTLET_NONE);
		bpf_map_update_elem(bpf_map__fd(world->maps.outlet_count), &i, none, BPF_ANY);
	}
}

/* A value of `words` 64-bit numbers, summed over all CPUs. */
static void sum(const struct bpf_map *map, const void *key, uint64_t *to, size_t words)
{
	static uint64_t all[64 * 8];

	memset(to, 0, words * sizeof(*to));
	if (bpf_map_lookup_elem(bpf_map__fd(map), key, all))
		return;
	for (size_t i = 0; i < words * (size_t)libbpf_num_possible_cpus(); i++)
		to[i % words] += all[i];
}

struct tapped_value tapped_now(uint32_t ifindex, uint32_t take)
{
	struct tapped_key key = {.ifindex = ifindex, .take = take};
	struct tapped_value v;

	sum(world->maps.tapped, &key, (uint64_t *)&v, sizeof(v) / 8);
	return v;
}

struct outlet_count outlet_now(uint32_t number)
{
	struct outlet_count v;

	sum(world->maps.outlet_count, &number, (uint64_t *)&v, sizeof(v) / 8);
	return v;
}

static struct tpacket_block_desc *block(void)
{
	return (struct tpacket_block_desc *)(ring.map + (size_t)ring.block * BLOCK);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int block_wait(int within_ms)
{
	int64_t until = now_ms() + within_ms;

	for (;;) {
		struct pollfd p = {.fd = ring.fd, .events = POLLIN};
		int64_t left = until - now_ms();

		if (__atomic_load_n(&block()->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)
			return 1;
		if (left <= 0)
			return 0;
		poll(&p, 1, (int)(left < 100 ? left : 100));
	}
}

static int take(struct copy *c, int within_ms)
{
	const struct virtio_net_hdr *v;

	while (!ring.left) {
		if (!block_wait(within_ms))
			return 0;
		ring.left = block()->hdr.bh1.num_pkts;
		ring.at = (void *)((uint8_t *)block() + block()->hdr.bh1.offset_to_first_pkt);
		if (!ring.left) {
			__atomic_store_n(&block()->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
			ring.block = (ring.block + 1) % BLOCKS;
		}
	}
	v = (const void *)((const uint8_t *)ring.at + ring.at->tp_mac - sizeof(*v));
	*c = (struct copy){.n = ring.at->tp_snaplen,
			   .mark = ring.at->hv1.tp_rxhash,
			   .tagged = !!(ring.at->tp_status & TP_STATUS_VLAN_VALID),
			   .tci = (uint16_t)ring.at->hv1.tp_vlan_tci,
			   .tpid = ring.at->hv1.tp_vlan_tpid,
			   .gso_size = v->gso_size,
			   .gso_type = v->gso_type,
			   .needs_sum = v->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM};
	if (c->n > sizeof(c->bytes))
		c->n = sizeof(c->bytes);
	memcpy(c->bytes, (const uint8_t *)ring.at + ring.at->tp_mac, c->n);
	ring.at = (const void *)((const uint8_t *)ring.at + ring.at->tp_next_offset);
	if (!--ring.left) {
		__atomic_store_n(&block()->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		ring.block = (ring.block + 1) % BLOCKS;
	}
	return 1;
}

int copy_next(struct copy *c)
{
	return take(c, DEADLINE_MS);
}

int copy_more(struct copy *c)
{
	return take(c, SHORT_MS);
}

uint32_t copies_lost(void)
{
	struct tpacket_stats_v3 s = {};
	socklen_t n = sizeof(s);

	return getsockopt(ring.fd, SOL_PACKET, PACKET_STATISTICS, &s, &n) ? UINT32_MAX : s.tp_drops;
}

int frame_socket(const struct lab *l, const char *ns, const char *link)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int on = 1, room = 32 << 20, fd = enter(l, ns) ? -1 : socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	at.sll_ifindex = (int)if_nametoindex(link);
	if (fd >= 0 && (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) ||
			setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
			setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
			bind(fd, (struct sockaddr *)&at, sizeof(at))))
		own_fd(&fd);
	if (leave())
		own_fd(&fd);
	if (fd < 0)
		printf("# a packet socket at %s of %s: %s\n", link, ns, strerror(errno));
	return fd;
}

int frame_send(int fd, const uint8_t *bytes, size_t n)
{
	return send(fd, bytes, n, 0) == (ssize_t)n ? 0 : -errno;
}

/* The tag that the kernel put beside the bytes goes back in. */
static size_t put_tag(struct msghdr *m, uint8_t *p, size_t n)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		const struct tpacket_auxdata *a = (const void *)CMSG_DATA(c);

		if (c->cmsg_type != PACKET_AUXDATA || !(a->tp_status & TP_STATUS_VLAN_VALID))
			continue;
		memmove(p + 12 + TAGGED, p + 12, n - 12);
		p[12] = (uint8_t)(a->tp_vlan_tpid >> 8);
		p[13] = (uint8_t)a->tp_vlan_tpid;
		p[14] = (uint8_t)(a->tp_vlan_tci >> 8);
		p[15] = (uint8_t)a->tp_vlan_tci;
		return n + TAGGED;
	}
	return n;
}

size_t frame_next(int fd, uint16_t type, uint8_t *to, size_t size)
{
	int64_t until = now_ms() + DEADLINE_MS, left;
	uint8_t control[256];

	while ((left = until - now_ms()) > 0) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		struct iovec part = {.iov_base = to, .iov_len = size - TAGGED};
		struct msghdr m = {.msg_iov = &part,
				   .msg_iovlen = 1,
				   .msg_control = control,
				   .msg_controllen = sizeof(control)};
		ssize_t n = poll(&p, 1, (int)left) > 0 ? recvmsg(fd, &m, 0) : 0;

		if (n < 14 || (uint16_t)(to[12] << 8 | to[13]) != type)
			continue;
		return put_tag(&m, to, (size_t)n);
	}
	return 0;
}
