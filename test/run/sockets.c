/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets whose backend goes, at the real applier with real sockets: connected UDP sockets that came through
 * the Service end at once (SV55), all others stay; a TCP connection stays while its pod is only not ready
 * (SV54) and ends when the pod is no more; also after a restart. Usage: run-sockets PATH-OF-weft-applier
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "agent/fdpass.h"
#include "base/clock.h"
#include "seam/class.h"
#include "seam/service.h"
#include "test/run/applier_play.h"

#define VIP4	   "10.96.0.10"
#define VIP6	   "fd57:e7f7:0:96::10"
#define OTHER4	   "10.96.0.11"
#define ELSEWHERE4 "10.244.0.77"
#define ELSEWHERE6 "fd57:e7f7:0:244::77"
enum { LIST = 100, SERVICE = 5, SOON_MS = 1000, STAY_MS = 300 };

static struct addr addr_of(const char *text)
{
	struct addr a;

	if (addr_parse(str_of(text), &a))
		die(text);
	return a;
}

static struct addr16 raw(const char *text)
{
	struct addr a = addr_of(text);

	return addr16_of(&a);
}

/* List `list` has one backend. */
static void list_row(struct script *s, enum change_op op, uint32_t list, struct addr16 addr)
{
	struct backend_key k = {.list = list};
	struct backend_value v = {.addr = addr, .port = htons(PORT)};

	MAP(s, op, backend, k, v);
}

static void service_row(struct script *s, enum change_op op, const char *vip, uint8_t proto, uint32_t list)
{
	struct service_key k = {.addr = raw(vip), .port = htons(PORT), .proto = proto};
	struct service_value v = {.list = list, .count = 1, .service = SERVICE};

	MAP(s, op, service, k, v);
}

static void send_rows(struct child *c, struct script *s, const char *what)
{
	struct answer a = {0};

	CHECK(commit(c, s, &a) && a.done.status == WIRE_APPLIED, "%s: %s", what, a.text);
	script_fini(s);
	*s = (struct script){0};
	vec_free(&a.results);
}

static int caller(int ns, int family, int type, const char *to)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	struct addr a = addr_of(to);
	int fd, bad;

	enter(ns);
	fd = socket(family, type | SOCK_CLOEXEC, 0);
	memcpy(&in.sin_addr, a.b + 12, 4);
	memcpy(&in6.sin6_addr, a.b, 16);
	bad = family == AF_INET ? connect(fd, (struct sockaddr *)&in, sizeof(in))
				: connect(fd, (struct sockaddr *)&in6, sizeof(in6));
	if (bad)
		printf("# connect to %s: %s\n", to, strerror(errno));
	enter(node_ns);
	return fd;
}

static int listener(int ns, const struct addr *own)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	int fd, one = 1;

	enter(ns);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(&at.sin6_addr, own, 16);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 8))
		die("listen");
	enter(node_ns);
	return fd;
}

/* Whether it gets an error within that time, and which. */
static int error_of(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = 0};
	int err = 0;
	socklen_t len = sizeof(err);

	poll(&p, 1, ms);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	return err;
}

static bool answers(int fd, int peer)
{
	struct pollfd p = {.fd = peer, .events = POLLIN};
	char byte;

	return send(fd, "x", 1, MSG_NOSIGNAL) == 1 && poll(&p, 1, 1000) == 1 &&
	       recv(peer, &byte, 1, MSG_DONTWAIT) == 1;
}

static void lists(struct script *plan)
{
	for (unsigned f = 0; f < 2; f++)
		list_row(plan, CHANGE_ADD, LIST + f, addr16_of(f ? &pods[1].link.v6 : &pods[1].link.v4));
	list_row(plan, CHANGE_ADD, LIST + 2, raw(ELSEWHERE4));
	list_row(plan, CHANGE_ADD, LIST + 3, raw(ELSEWHERE6));
	service_row(plan, CHANGE_ADD, VIP4, IPPROTO_UDP, LIST);
	service_row(plan, CHANGE_ADD, VIP4, IPPROTO_TCP, LIST);
	service_row(plan, CHANGE_ADD, VIP6, IPPROTO_UDP, LIST + 1);
	service_row(plan, CHANGE_ADD, OTHER4, IPPROTO_UDP, LIST);
}

/* The Services' lists get another backend: pod 1 is no longer ready. */
static void test_list(struct child *c)
{
	struct {
		const char *name;
		int fd;
		bool ends;
	} udp[] = {
	    {"IPv4 by the Service", caller(pods[0].netns, AF_INET, SOCK_DGRAM, VIP4), true},
	    {"IPv6 by the Service", caller(pods[0].netns, AF_INET6, SOCK_DGRAM, VIP6), true},
	    {"IPv4 in an IPv6 socket by the Service",
	     caller(pods[0].netns, AF_INET6, SOCK_DGRAM, "::ffff:" VIP4), true},
	    {"the node's own by the Service", caller(node_ns, AF_INET, SOCK_DGRAM, VIP4), true},
	    {"by a Service that still has the pod", caller(pods[0].netns, AF_INET, SOCK_DGRAM, OTHER4),
	     false},
	    {"straight to the pod", caller(pods[0].netns, AF_INET, SOCK_DGRAM, "10.244.0.3"), false},
	};
	AUTO_FD int at = listener(pods[1].netns, &pods[1].link.v4);
	AUTO_FD int tcp = caller(pods[0].netns, AF_INET, SOCK_STREAM, VIP4), peer = accept(at, NULL, NULL);
	AUTO_FD int server = udp_at(pods[1].netns, &pods[1].link.v4);
	struct script s = {0};
	uint64_t start;

	CHECK(answers(udp[0].fd, server) && answers(udp[4].fd, server) && answers(tcp, peer),
	      "the pod behind the Services gets what is sent");
	service_row(&s, CHANGE_SET, VIP4, IPPROTO_UDP, LIST + 2);
	service_row(&s, CHANGE_SET, VIP4, IPPROTO_TCP, LIST + 2);
	service_row(&s, CHANGE_SET, VIP6, IPPROTO_UDP, LIST + 3);
	send_rows(c, &s, "two Services get other backends");
	start = clock_us();
	poll(&(struct pollfd){.fd = udp[0].fd}, 1, SOON_MS);
	printf("# the first ends %llu us after the commit\n", (unsigned long long)(clock_us() - start));
	for (size_t i = 0; i < ARRAY_LEN(udp); i++) {
		int err = error_of(udp[i].fd, udp[i].ends ? SOON_MS : STAY_MS);

		CHECK(err == (udp[i].ends ? ECONNABORTED : 0), "SV55 a connected UDP socket, %s, %s (%s)",
		      udp[i].name, udp[i].ends ? "ends" : "stays", strerror(err));
	}
	CHECK(answers(udp[4].fd, server), "SV55 and what stays goes on");
	CHECK(!error_of(tcp, STAY_MS) && answers(tcp, peer),
	      "SV54 the TCP connection to a pod that is only not ready stays");
	for (size_t i = 0; i < ARRAY_LEN(udp); i++)
		close(udp[i].fd);
	service_row(&s, CHANGE_SET, VIP4, IPPROTO_UDP, LIST);
	service_row(&s, CHANGE_SET, VIP4, IPPROTO_TCP, LIST);
	service_row(&s, CHANGE_SET, VIP6, IPPROTO_UDP, LIST + 1);
	send_rows(c, &s, "they have the pod again");
}

/* The address of the pod goes from the cluster. */
static void test_pod(struct child *c)
{
	AUTO_FD int at = listener(pods[1].netns, &pods[1].link.v4);
	AUTO_FD int tcp = caller(pods[0].netns, AF_INET, SOCK_STREAM, VIP4), peer = accept(at, NULL, NULL);
	AUTO_FD int straight = caller(pods[0].netns, AF_INET, SOCK_STREAM, "10.244.0.3");
	AUTO_FD int idle = accept(at, NULL, NULL);
	struct address_value v = {.flags = ADDRESS_POD, .owner = 101};
	struct addr16 key = addr16_of(&pods[1].link.v4);
	struct script s = {0};

	CHECK(answers(tcp, peer) && answers(straight, idle), "two TCP connections to the pod");
	MAP(&s, CHANGE_DEL, address, key, v);
	send_rows(c, &s, "the pod is no more");
	CHECK(error_of(tcp, SOON_MS) == ECONNABORTED, "the TCP connection by the Service ends at once");
	CHECK(!error_of(straight, STAY_MS), "one that no Service led there is the caller's matter");
	MAP(&s, CHANGE_ADD, address, key, v);
	send_rows(c, &s, "the pod is back");
}

/* A Service that goes leaves nobody behind; the namespaces' sockets come back from who kept them. */
static void test_restart(struct child *c, const int *kept, size_t n)
{
	AUTO_FD int udp = caller(pods[0].netns, AF_INET, SOCK_DGRAM, VIP4);
	struct script s = {0};
	uint64_t cookie;
	socklen_t len = sizeof(cookie);

	stop_applier(c, SIGKILL);
	*c = start_applier(NULL, "routes");
	hello(c);
	for (size_t i = 0; i < n; i++) {
		getsockopt(kept[i], SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len);
		control_send(c->control, CONTROL_KEEP, (int32_t)cookie, kept[i]);
	}
	service_row(&s, CHANGE_DEL, VIP4, IPPROTO_UDP, LIST);
	send_rows(c, &s, "a Service goes, after a restart of the applier");
	CHECK(error_of(udp, SOON_MS) == ECONNABORTED, "SV55 its connected UDP socket ends");
}

int main(int argc, char **argv)
{
	struct script plan = {0};
	struct wire_welcome w;
	int kept[PODS];
	struct child c;

	if (!play_begin(argc, argv, "sockets"))
		return 0;
	play_cgroup("sockets");
	c = start_applier(NULL, "routes");
	w = hello(&c);
	plan_rows(&plan, &w);
	lists(&plan);
	for (unsigned i = 0; i < PODS; i++) {
		hand_over(&c, &pods[i]);
		kept[i] = pods[i].diag;
	}
	send_rows(&c, &plan, "two pods behind Services");
	test_list(&c);
	test_pod(&c);
	test_restart(&c, kept, PODS);
	clean_applier(&c);
	return play_end();
}
