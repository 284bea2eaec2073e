/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taps at the real applier: frames at real interfaces, copies at weft-copy1 and at tools, interfaces that
 * come later, another applier in between, a hostile planner, and nothing left behind; then the same programs
 * on a host without a cluster. Usage: run-taps PATH-OF-weft-applier
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent/fdpass.h"
#include "apply/tap.h"
#include "base/clock.h"
#include "test/run/applier_play.h"
#include "test/run/tap_play.h"

/* --- taps, and their way to the applier ------------------------------------------------------------- */

static int memfd(const void *p, size_t n)
{
	int fd = memfd_create("taps", MFD_CLOEXEC);

	if (fd < 0 || write(fd, p, n) != (ssize_t)n)
		die("memfd");
	return fd;
}

struct tapped {
	int32_t result;
	char text[1024];
};

/* False: the applier dropped the planner. */
static bool order(struct child *c, const int *fds, unsigned nfds, struct tapped *out)
{
	static uint8_t msg[WIRE_MESSAGE_MAX];
	AUTO_BUF b = {0};
	struct wire_head h;
	unsigned got;
	ssize_t n;

	*out = (struct tapped){.result = 1};
	wire_start(&b, WIRE_TAPS, ++c->txn);
	fdpass_send(c->planner, b.p, b.n, fds, nfds);
	n = fdpass_recv(c->planner, msg, sizeof(msg), NULL, &got, 0);
	if (n < (ssize_t)(sizeof(h) + sizeof(out->result)) || wire_head(msg, (size_t)n, &h) ||
	    h.type != WIRE_TAPPED || h.txn != c->txn)
		return false;
	memcpy(&out->result, msg + sizeof(h), sizeof(out->result));
	n -= (ssize_t)(sizeof(h) + sizeof(out->result));
	snprintf(out->text, sizeof(out->text), "%.*s", (int)n,
		 (const char *)msg + sizeof(h) + sizeof(out->result));
	return true;
}

static struct tapped put_taps(struct child *c, const struct taps *t)
{
	AUTO_BUF bytes = {0};
	struct tapped out;

	taps_encode(&bytes, t);

	AUTO_FD int fd = memfd(bytes.p, bytes.n);

	if (!order(c, &fd, 1, &out))
		die("no TAPPED");
	return out;
}

/* --- the kernel's side ------------------------------------------------------------------------------ */

static bool on(const char *link, uint32_t what)
{
	AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_value v = {.cmd = what};
	struct ifreq r = {.ifr_data = (void *)&v};

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", link);
	if (ioctl(fd, SIOCETHTOOL, &r) < 0)
		die("ethtool");
	return v.data;
}

static bool element_of(const char *link, struct tap_value *v)
{
	AUTO_FD int map = play_map("tap");
	uint32_t index = if_nametoindex(link);

	return index && !bpf_map_lookup_elem(map, &index, v);
}

static uint32_t hash_of_map(const char *name, uint32_t size)
{
	AUTO_FD int map = play_map(name);
	uint8_t value[256] = {0};
	uint32_t key, *last = NULL, hash = 2166136261u, held;

	while (!bpf_map_get_next_key(map, last, &key)) {
		if (!bpf_map_lookup_elem(map, &key, value))
			for (uint32_t i = 0; i < size; i++)
				hash = (hash ^ value[i]) * 16777619u + key;
		held = key;
		last = &held;
	}
	return hash;
}

/* --- tests ------------------------------------------------------------------------------------------ */

static void test_nothing(struct child *c)
{
	struct tapped t = put_taps(c, &(struct taps){.epoch = 1});

	CHECK(!t.result && !t.text[0] && if_nametoindex("weft-copy0") && if_nametoindex("weft-copy1"),
	      "taps without places make weft-copy0 and weft-copy1 (%d %s)", t.result, t.text);
	CHECK(said("ip link show weft-copy0 | grep -q 'mtu 65535.*state UP'") &&
		  said("test $(cat /proc/sys/net/ipv6/conf/weft-copy0/disable_ipv6 "
		       "/proc/sys/net/ipv6/conf/weft-copy1/disable_ipv6 | tr -d '\n') = 11"),
	      "they are up, with room for whole packets, and say nothing of their own");
	CHECK(on("weft-copy0", ETHTOOL_GTSO) && on("weft-copy0", ETHTOOL_GTXCSUM) &&
		  said("! ethtool -k weft-copy0 2>/dev/null | grep -qE "
		       "'tx-(udp-|sctp-|gre-|ipxip4-|udp_tnl-)?segmentation: on|tx-checksum-sctp: on'"),
	      "merged TCP and unfinished checksums pass; what a virtio header cannot say does not");
}

static void test_taken(struct child *c, int gen, int copy, int end)
{
	struct tap_value v = {0};
	struct wanted w;
	struct tapped t;

	CHECK(on("tool0", ETHTOOL_GTSO) && on("tool0", ETHTOOL_GTXCSUM), "the tool's link has its offloads");
	want(&w, 2);
	t = put_taps(c, &w.t);
	CHECK(!t.result && !t.text[0],
	      "a place, a pod's place that is not there yet and outlets: in force (%d %s)", t.result, t.text);
	CHECK(element_of("src0", &v) && v.point == 5 && v.epoch == 2 && v.directs == 1,
	      "BPF map tap has the place with its epoch");
	CHECK(taken(gen, copy, 11), "BR14 what the filter takes comes to weft-copy1, and nothing else");
	CHECK(next_tag(end, WAIT_MS) == 11 && !next_tag(end, 50), "and once to the tool (BR03)");
	CHECK(!on("tool0", ETHTOOL_GTSO) && !on("tool0", ETHTOOL_GTXCSUM),
	      "BR65 BR66 packets leave to the tool split and finished");
	t = put_taps(c, &w.t);
	CHECK(!t.result && taken(gen, copy, 13) && next_tag(end, WAIT_MS) == 13 && !next_tag(end, 50),
	      "BR11 the same again changes nothing");
}

static void test_later(struct child *c, int copy)
{
	struct tap_value v = {0};
	struct wanted w;
	struct tapped t;
	uint64_t deadline = clock_ms() + WAIT_MS;

	want(&w, 3);
	w.places[1] = (struct tap_place){
	    .where = TAP_AT_INTERFACE, .name = "late0", .point = 6, .take = {[TAP_IN] = TAP_ALWAYS}};
	t = put_taps(c, &w.t);
	CHECK(!t.result && !strcmp(t.text, "interface late0 is not there\n"),
	      "an interface that is missing is told");
	if (system("ip link add late0 type veth peer name late1 && ip link set late0 up && "
		   "ip link set late1 up"))
		die("late0");
	while (!element_of("late0", &v) && clock_ms() < deadline)
		poll(NULL, 0, 5);
	CHECK(v.point == 6, "it is tapped when it comes");

	AUTO_FD int gen = packets_of("late1");

	send_frame(gen, PORT_LEFT, 21);
	CHECK(next_tag(copy, WAIT_MS) == 21, "and its packets are copied");

	uint32_t index = if_nametoindex("late0"), old;

	if (system("ip link del late0"))
		die("late0");

	AUTO_FD int map = play_map("tap");

	for (deadline = clock_ms() + WAIT_MS; clock_ms() < deadline;) {
		old = index;
		if (bpf_map_lookup_elem(map, &old, &v))
			break;
		poll(NULL, 0, 5);
	}
	CHECK(bpf_map_lookup_elem(map, &index, &v), "when it goes its element goes too");
}

static void test_killed(struct child *c, int gen, int copy)
{
	uint32_t before = hash_of_map("tap", sizeof(struct tap_value));
	struct tap_value v = {0};
	struct wanted w;

	stop_applier(c, SIGKILL);
	CHECK(taken(gen, copy, 31), "taps are in force while the applier is dead");
	*c = start_applier(NULL, "vxlan");
	hello(c);
	CHECK(hash_of_map("tap", sizeof(struct tap_value)) == before && taken(gen, copy, 33),
	      "and while the next one knows nothing of them yet");
	want(&w, 4);
	w.t.places_n = 1;
	CHECK(!put_taps(c, &w.t).result && taken(gen, copy, 35) && element_of("src0", &v) && v.epoch == 4,
	      "it puts the next epoch over them");
	CHECK(said("test \"$(tc filter show dev src0 ingress | grep -c weft_tap_in)\" = 1"),
	      "no program runs twice");
}

/* A place whose copies go straight to tools: its own program, with the same accounts. */
static void test_own(struct child *c, int gen, int copy, int end)
{
	struct wanted w;

	while (next_tag(end, 0))
		;
	want(&w, 4);
	w.t.places_n = 1;
	w.places[0].take[TAP_IN] = 0;
	CHECK(!put_taps(c, &w.t).result && serves("weft_place_in") && taken(gen, end, 101),
	      "a place of which weft-copier gets nothing has a program of its own (BR03)");
	stop_applier(c, SIGKILL);
	CHECK(taken(gen, end, 103), "which goes on while the applier is dead");
	*c = start_applier(NULL, "vxlan");
	hello(c);
	CHECK(taken(gen, end, 105) && !put_taps(c, &w.t).result && serves("weft_place_in") &&
		  taken(gen, end, 107) &&
		  said("test \"$(tc filter show dev src0 ingress | grep -c weft_tap_in)\" = 1"),
	      "and is replaced by the next one's");
	w.places[0].direct[0].take[TAP_IN] = 0;
	w.t.epoch = 5;
	CHECK(!put_taps(c, &w.t).result && !next_tag(end, 0), "BR12 another epoch is in force");
	send_frame(gen, PORT_TAKEN, 109);
	CHECK(!next_tag(end, 100), "at once: the tool gets nothing any more");
	want(&w, 6);
	w.t.places_n = 1;
	CHECK(!put_taps(c, &w.t).result && serves("weft_tap_in") && taken(gen, copy, 111) &&
		  next_tag(end, WAIT_MS) == 111 && !next_tag(end, 50),
	      "one of which weft-copier gets copies, too, has the common program");
}

/* Filters of others at an interface stay, whatever we do there. */
static void test_foreign(struct child *c)
{
	struct wanted w;
	struct tapped t;

	if (system("ip link add odd0 type veth peer name odd1 && tc qdisc add dev odd0 clsact && "
		   "tc filter add dev odd0 ingress pref 1 protocol all u32 match u32 0 0 flowid 1:1"))
		die("odd0");
	want(&w, 4);
	w.places[1] = (struct tap_place){
	    .where = TAP_AT_INTERFACE, .name = "odd0", .point = 6, .take = {[TAP_IN] = TAP_ALWAYS}};
	t = put_taps(c, &w.t);
	CHECK(!t.result && strstr(t.text, "interface odd0 cannot be tapped"),
	      "priority 1 is another's: told (%d)", t.result);
	want(&w, 4);
	t = put_taps(c, &w.t);
	CHECK(!t.result && said("tc filter show dev odd0 ingress | grep -q u32") &&
		  said("! tc filter show dev odd0 egress | grep -q weft"),
	      "the other's filter and its clsact stay, ours went");
	if (system("ip link del odd0"))
		die("odd0");
}

/* An epoch that must be refused, and changes nothing. */
static void refused(struct child *c, const struct taps *t, int32_t result, const char *words,
		    const char *what)
{
	uint32_t tap = hash_of_map("tap", sizeof(struct tap_value)),
		 outlet = hash_of_map("outlet", sizeof(struct outlet_value));
	struct tapped got = put_taps(c, t);

	CHECK(got.result == result && strstr(got.text, words) &&
		  hash_of_map("tap", sizeof(struct tap_value)) == tap &&
		  hash_of_map("outlet", sizeof(struct outlet_value)) == outlet,
	      "BR12 refused whole: %s (%d: %s)", what, got.result, got.text);
}

static void test_refusals(struct child *c, int gen, int copy)
{
	struct filter_step bad = {.op = STEP_OPS, .yes = STEP_YES, .no = STEP_NO};
	struct tap_form forms[2] = {{0}, {.steps = &bad, .n = 1}};
	struct wanted w;

	want(&w, 5);
	memcpy(w.places[0].name, "lo\0\0", 5);
	refused(c, &w.t, -EPERM, "point 5", "a tap at lo");
	want(&w, 5);
	w.places[1].ifindex = if_nametoindex("uplink0");
	refused(c, &w.t, -EPERM, "point 6", "an interface that is no pod's, by its number");
	want(&w, 5);
	memcpy(w.outlets[0].name, "weft-copy0", 11);
	refused(c, &w.t, -EPERM, "outlet 9", "an outlet to weft-copy0");
	want(&w, 5);
	w.outlets[1].ifindex = 1;
	refused(c, &w.t, -EPERM, "outlet 10", "an outlet into something that is no pod");
	want(&w, 5);
	forms[0] = w.judge.forms[0];
	w.judge = (struct tap_judge){.forms = forms, .n = 2};
	refused(c, &w.t, -EINVAL, "judge 0", "a filter that is none");
	want(&w, 5);
	w.places[1].point = 5;
	refused(c, &w.t, -EPROTO, "point 5", "a point twice");
	want(&w, 5);
	w.t.places_n = 1;
	memcpy(w.places[0].name, "weft-vxlan", 11);
	CHECK(strstr(put_taps(c, &w.t).text, "interface weft-vxlan is Weft's own"),
	      "Weft's own device is not tapped, and that is told");
	want(&w, 6);
	CHECK(!put_taps(c, &w.t).result && taken(gen, copy, 41), "what is in force goes on");
}

static void test_hostile(struct child *c, int gen, int copy)
{
	AUTO_BUF bytes = {0};
	AUTO_FD int null = open("/dev/zero", O_RDONLY | O_CLOEXEC), disk = open("/proc/self/exe", O_RDONLY);
	uint64_t random = 88172645463325252u;
	int pipes[2], same[2];
	struct tapped t;
	struct wanted w;
	unsigned in_force = 0, answered = 0;
	enum { ROUNDS = 3000 };

	if (pipe(pipes))
		die("pipe");
	CHECK(order(c, NULL, 0, &t) && t.result == -EPROTO, "no descriptor is refused");
	CHECK(order(c, &null, 1, &t) && t.result == -EPROTO, "a device is refused, not read");
	CHECK(order(c, &pipes[0], 1, &t) && t.result == -EPROTO, "a pipe is refused, not waited for");
	CHECK(order(c, &disk, 1, &t) && t.result == -EPROTO, "a file on a disk is refused");

	AUTO_FD int big = memfd("x", 1);

	if (ftruncate(big, 1ll << 40))
		die("ftruncate");
	CHECK(order(c, &big, 1, &t) && t.result == -EFBIG, "a terabyte is refused");
	want(&w, 7);
	taps_encode(&bytes, &w.t);

	AUTO_FD int fd = memfd(bytes.p, bytes.n);

	same[0] = same[1] = fd;
	CHECK(order(c, same, 2, &t) && t.result == -EPROTO, "two descriptors are refused");
	for (unsigned i = 0; i < ROUNDS; i++) {
		char copy_of[4096];
		size_t n = bytes.n;

		memcpy(copy_of, bytes.p, n);
		for (unsigned k = 0; k < 1 + i % 3; k++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			copy_of[random % n] = (char)(random >> 32);
		}

		AUTO_FD int junk = memfd(copy_of, i % 5 ? n : random % n);

		answered += order(c, &junk, 1, &t);
		in_force += t.result == 0;
	}
	CHECK(answered == ROUNDS && in_force < ROUNDS,
	      "%u of %u epochs with wrong bytes are answered, %u in force", answered, (unsigned)ROUNDS,
	      in_force);
	CHECK(waitpid(c->pid, NULL, WNOHANG) == 0, "the applier lives");
	want(&w, 8);
	CHECK(!put_taps(c, &w.t).result && taken(gen, copy, 51),
	      "and what is asked for properly is in force");
	close(pipes[0]);
	close(pipes[1]);
}

static void test_gone(struct child *c, int gen, int end)
{
	struct tapped t = put_taps(c, &(struct taps){.epoch = 9});

	while (next_tag(end, 0))
		;
	send_frame(gen, PORT_TAKEN, 61);
	CHECK(!t.result && !next_tag(end, 100), "without places nothing is copied");
	CHECK(on("tool0", ETHTOOL_GTSO) && on("tool0", ETHTOOL_GTXCSUM),
	      "the tool's link has its offloads back");
	CHECK(said("test -z \"$(tc qdisc show dev src0 clsact; tc filter show dev src0 ingress)\""),
	      "nothing of ours is left at the source");
}

static void test_clean(struct child *c)
{
	struct wanted w;

	want(&w, 10);
	put_taps(c, &w.t);
	clean_applier(c);
	CHECK(!if_nametoindex("weft-copy0") && !if_nametoindex("weft-copy1") &&
		  said("test -z \"$(tc filter show dev src0 ingress; tc filter show dev src0 egress)\"") &&
		  on("tool0", ETHTOOL_GTSO),
	      "a clean end leaves no link, no program and no changed offload");
}

/* --- without a cluster ------------------------------------------------------------------------------ */

static void test_plain(int gen, int end)
{
	struct tap_plain p = {0};
	struct tapper *t = NULL, *second = NULL;
	AUTO_BUF why = {0}, said_second = {0}, bytes = {0};
	struct taps taps;
	struct wanted w;
	uint64_t began = clock_us();
	int err = tap_plain_open(&p, TAP_XDP_AUTO, &why);

	if (!err)
		err = tapper_new(&t, &p.kernel, &why);
	CHECK(!err, "taps on a plain host: ready after %llu us (%s)",
	      (unsigned long long)(clock_us() - began), why.p ? why.p : "");
	if (err)
		return;
	err = tapper_new(&second, &p.kernel, &said_second);
	CHECK(err == -EADDRINUSE, "only one at a time: %s", said_second.p);
	want(&w, 1);
	w.t.places_n = w.t.outlets_n = 1;
	taps_encode(&bytes, &w.t);
	if (taps_decode(&taps, bytes.p, bytes.n, &why))
		die("decode");
	CHECK(!tapper_apply(t, &taps, &why) && !why.n, "in force (%s)", why.p ? why.p : "");

	AUTO_FD int copy = packets_of("weft-copy1");

	while (next_tag(end, 0))
		;
	CHECK(taken(gen, copy, 71) && next_tag(end, WAIT_MS) == 71,
	      "copies come to weft-copier and to the tool");
	want(&w, 2);
	taps_encode(&bytes, &(struct taps){0});
	taps =
	    (struct taps){.epoch = 3, .places = w.places, .places_n = 2, .judges = &w.judge, .judges_n = 1};
	buf_clear(&why);
	err = tapper_apply(t, &taps, &why);
	CHECK(err == -EPERM, "there are no pods here: %s", why.p);
	CHECK(taken(gen, copy, 73), "what was in force stays");
	tapper_clean(t);
	tapper_free(&t);
	tap_plain_close(&p);
	CHECK(!if_nametoindex("weft-copy0") && said("test -z \"$(tc qdisc show dev src0 clsact)\"") &&
		  on("tool0", ETHTOOL_GTSO),
	      "nothing is left");
}

int main(int argc, char **argv)
{
	struct child c;

	if (!play_begin(argc, argv, "taps"))
		return 0;
	tap_links();
	c = start_applier(NULL, "vxlan");
	hello(&c);
	test_nothing(&c);

	AUTO_FD int gen = packets_of("gen0"), copy = packets_of("weft-copy1"), end = packets_of("end0");

	test_taken(&c, gen, copy, end);
	test_later(&c, copy);
	test_killed(&c, gen, copy);
	test_own(&c, gen, copy, end);
	test_foreign(&c);
	test_refusals(&c, gen, copy);
	test_hostile(&c, gen, copy);
	test_gone(&c, gen, end);
	test_clean(&c);
	test_plain(gen, end);
	return play_end();
}
