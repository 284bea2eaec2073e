/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel side end to end: real sockets in real namespaces on two nodes, over the tunnel and over routes,
 * both families. Each line says who talks to whom and what the application must see.
 */
#include "lab.h"
#include "talk.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BULK 1000000

static int number, failed;

struct line {
	const char *name;
	const char *from, *proto, *to;
	int port, bytes;
	const char *answer; /* what must come back */
	int sockets;	    /* in the cgroup whose calls are translated */
	int ttl;
};

static void result(int bad, const char *name, const char *got, const char *want)
{
	if (bad)
		printf("# got:  %s\n# want: %s\n", got, want);
	printf("%sok %d - %s\n", bad ? "not " : "", ++number, name);
	fflush(stdout);
	failed += bad;
}

static void say(const struct lab *l, const struct line *x)
{
	char ns[64], answer[256], name[200];
	struct talk t = {
	    .from = ns, .proto = x->proto, .to = x->to, .port = x->port, .bytes = x->bytes, .ttl = x->ttl};

	lab_ns(l, x->from, ns, sizeof(ns));
	if (x->sockets)
		t.cgroup = l->cgroup;
	talk(&t, answer, sizeof(answer));
	snprintf(name, sizeof(name), "%s: %s %s → %s %d", x->name, x->from, x->proto, x->to, x->port);
	result(strcmp(answer, x->answer) != 0, name, answer, x->answer);
}

static void must_print(const struct lab *l, const char *name, const char *from, const char *command,
		       const char *part)
{
	char ns[64], out[2048];

	lab_ns(l, from, ns, sizeof(ns));
	shell(ns, out, sizeof(out), "%s", command);
	for (char *c = out; *c; c++)
		if (*c == '\n')
			*c = ' ';
	result(!strstr(out, part), name, out, part);
}

#define SEEN(client, server, port) "seen " client " peer " server " " #port
#define P			   TALK_PORT

/* Without services; hold over the tunnel and over routes. */
static const struct line plain[] = {
    {"pods of one node", "a", "tcp", "10.1.0.6", P, BULK, SEEN("10.1.0.5", "10.1.0.6", 8080), 0},
    {"pods of one node", "a", "tcp", "fd00:1::6", P, BULK, SEEN("fd00:1::5", "fd00:1::6", 8080), 0},
    {"pods of one node", "a", "udp", "10.1.0.6", P, 0, SEEN("10.1.0.5", "10.1.0.6", 8080), 0},
    {"pods of one node", "a", "udp", "fd00:1::6", P, 0, SEEN("fd00:1::5", "fd00:1::6", 8080), 0},
    {"NP73 fragments on one node", "a", "udp", "10.1.0.6", P, 5000, SEEN("10.1.0.5", "10.1.0.6", 8080), 0},
    {"NP73 fragments on one node", "a", "udp", "fd00:1::6", P, 5000, SEEN("fd00:1::5", "fd00:1::6", 8080), 0},
    {"NP71 a closed port is told", "a", "udp-connected", "10.1.0.6", 9, 0, "refused", 0},
    {"NP71 a closed port is told", "a", "udp-connected", "fd00:1::6", 9, 0, "refused", 0},
    {"a closed port is told", "a", "tcp", "10.1.0.6", 9, 0, "refused", 0},
    {"NP63 itself", "a", "tcp", "10.1.0.5", P, 0, SEEN("10.1.0.5", "10.1.0.5", 8080), 0},
    {"pods of two nodes", "a", "tcp", "10.2.0.7", P, BULK, SEEN("10.1.0.5", "10.2.0.7", 8080), 0},
    {"pods of two nodes", "a", "tcp", "fd00:2::7", P, BULK, SEEN("fd00:1::5", "fd00:2::7", 8080), 0},
    {"pods of two nodes", "r", "udp", "10.1.0.5", P, 0, SEEN("10.2.0.7", "10.1.0.5", 8080), 0},
    {"pods of two nodes", "r", "udp", "fd00:1::5", P, 0, SEEN("fd00:2::7", "fd00:1::5", 8080), 0},
    {"NP73 fragments between nodes", "a", "udp", "10.2.0.7", P, 5000, SEEN("10.1.0.5", "10.2.0.7", 8080), 0},
    {"NP73 fragments between nodes", "a", "udp", "fd00:2::7", P, 5000, SEEN("fd00:1::5", "fd00:2::7", 8080),
     0},
    {"pod to its own node", "a", "tcp", "192.0.2.1", P, BULK, SEEN("10.1.0.5", "192.0.2.1", 8080), 0},
    {"pod to its own node", "a", "tcp", "2001:db8::1", P, BULK, SEEN("fd00:1::5", "2001:db8::1", 8080), 0},
    {"pod to another node", "a", "tcp", "192.0.2.2", P, BULK, SEEN("10.1.0.5", "192.0.2.2", 8080), 0},
    {"pod to another node", "a", "tcp", "2001:db8::2", P, BULK, SEEN("fd00:1::5", "2001:db8::2", 8080), 0},
    {"NP61 the node's own sockets", "node1", "tcp", "10.1.0.5", P, BULK, SEEN("192.0.2.1", "10.1.0.5", 8080),
     0},
    {"NP61 the node's own sockets", "node1", "tcp", "fd00:1::5", P, BULK,
     SEEN("2001:db8::1", "fd00:1::5", 8080), 0},
    {"another node's sockets", "node2", "tcp", "10.1.0.5", P, BULK, SEEN("192.0.2.2", "10.1.0.5", 8080), 0},
    {"another node's sockets", "node2", "udp", "fd00:1::5", P, 0, SEEN("2001:db8::2", "fd00:1::5", 8080), 0},
    {"masquerade", "a", "tcp", "198.51.100.9", P, BULK, SEEN("192.0.2.1", "198.51.100.9", 8080), 0},
    {"masquerade", "a", "tcp", "2001:db8:51::9", P, BULK, SEEN("2001:db8::1", "2001:db8:51::9", 8080), 0},
    {"masquerade", "r", "udp", "198.51.100.9", P, 0, SEEN("192.0.2.2", "198.51.100.9", 8080), 0},
    {"masquerade", "r", "udp", "2001:db8:51::9", P, 0, SEEN("2001:db8::2", "2001:db8:51::9", 8080), 0},
    {"masqueraded fragments", "a", "udp", "198.51.100.9", P, 5000, SEEN("192.0.2.1", "198.51.100.9", 8080),
     0},
    {"masqueraded fragments", "a", "udp", "2001:db8:51::9", P, 5000,
     SEEN("2001:db8::1", "2001:db8:51::9", 8080), 0},
    {"NP71 errors about masqueraded packets", "a", "udp-connected", "198.51.100.9", 9, 0, "refused", 0},
    {"NP71 errors about masqueraded packets", "a", "udp-connected", "2001:db8:51::9", 9, 0, "refused", 0},
};

/* Service 80 leads to b, 81 to r, 82 to a itself, 83 nowhere, 84 to a closed port of b. NodePort 30080 leads
 * to b, 30081 to r. */
static const struct line services[] = {
    {"at connect()", "a", "tcp", "10.96.0.1", 80, BULK, SEEN("10.1.0.5", "10.96.0.1", 80), 1},
    {"at connect()", "a", "tcp", "fd00:96::1", 80, BULK, SEEN("fd00:1::5", "fd00:96::1", 80), 1},
    {"at connect(), v4-mapped", "a", "tcp6", "10.96.0.1", 81, 0, SEEN("10.1.0.5", "10.96.0.1", 81), 1},
    {"at connect()", "a", "udp-connected", "10.96.0.1", 80, 0, SEEN("10.1.0.5", "10.96.0.1", 80), 1},
    {"at connect()", "a", "udp-connected", "fd00:96::1", 81, 0, SEEN("fd00:1::5", "fd00:96::1", 81), 1},
    {"at sendmsg()", "a", "udp", "10.96.0.1", 80, 0, SEEN("10.1.0.5", "10.96.0.1", 80), 1},
    {"at sendmsg()", "a", "udp", "fd00:96::1", 80, 0, SEEN("fd00:1::5", "fd00:96::1", 80), 1},
    {"at sendmsg(), v4-mapped", "a", "udp6", "10.96.0.1", 81, 0, SEEN("10.1.0.5", "10.96.0.1", 81), 1},
    {"NP64 SV48 itself at connect()", "a", "tcp", "10.96.0.1", 82, 0, SEEN("10.1.0.5", "10.96.0.1", 82), 1},
    {"NP64 SV48 itself at connect()", "a", "udp", "fd00:96::1", 82, 0, SEEN("fd00:1::5", "fd00:96::1", 82),
     1},
    {"SV06 at connect()", "a", "tcp", "10.96.0.1", 83, 0, "refused", 1},
    {"SV06 at connect()", "a", "tcp", "fd00:96::1", 83, 0, "refused", 1},
    {"SV06 at sendmsg()", "a", "udp", "10.96.0.1", 83, 0, "refused", 1},
    {"a NodePort at connect()", "a", "tcp", "192.0.2.1", 30081, 0, SEEN("10.1.0.5", "192.0.2.1", 30081), 1},
    {"per packet", "a", "tcp", "10.96.0.1", 80, BULK, SEEN("10.1.0.5", "10.96.0.1", 80), 0},
    {"per packet", "a", "tcp", "fd00:96::1", 80, BULK, SEEN("fd00:1::5", "fd00:96::1", 80), 0},
    {"per packet", "a", "tcp", "10.96.0.1", 81, BULK, SEEN("10.1.0.5", "10.96.0.1", 81), 0},
    {"per packet", "a", "udp", "fd00:96::1", 81, 0, SEEN("fd00:1::5", "fd00:96::1", 81), 0},
    {"SV63 fragments per packet", "a", "udp", "10.96.0.1", 81, 5000, SEEN("10.1.0.5", "10.96.0.1", 81), 0},
    {"SV63 fragments per packet", "a", "udp", "fd00:96::1", 80, 5000, SEEN("fd00:1::5", "fd00:96::1", 80), 0},
    {"NP64 SV48 itself per packet", "a", "tcp", "10.96.0.1", 82, BULK, SEEN("192.0.2.1", "10.96.0.1", 82), 0},
    {"NP64 SV48 itself per packet", "a", "udp", "fd00:96::1", 82, 0, SEEN("2001:db8::1", "fd00:96::1", 82),
     0},
    {"SV06 per packet", "a", "tcp", "10.96.0.1", 83, 0, "refused", 0},
    {"SV06 per packet", "a", "tcp", "fd00:96::1", 83, 0, "refused", 0},
    {"SV06 per packet", "a", "udp-connected", "10.96.0.1", 83, 0, "refused", 0},
    {"SV06 per packet", "a", "udp-connected", "fd00:96::1", 83, 0, "refused", 0},
    {"SV16 an address that no pod has", "a", "tcp", "10.1.0.99", P, 0, "refused", 0},
    {"SV16 an address that no pod has", "a", "tcp", "fd00:1::99", P, 0, "refused", 0},
    {"SV16 an address of another node that no pod has", "a", "tcp", "10.2.0.99", P, 0, "refused", 0},
    {"SV16 an address of another node that no pod has", "a", "udp-connected", "fd00:2::99", P, 0, "refused",
     0},
    {"SV10 NodePort to a pod here", "out", "tcp", "192.0.2.1", 30080, BULK,
     SEEN("192.0.2.9", "192.0.2.1", 30080), 0},
    {"SV10 NodePort to a pod here", "out", "tcp", "2001:db8::1", 30080, BULK,
     SEEN("2001:db8::9", "2001:db8::1", 30080), 0},
    {"SV10 NodePort to a pod here", "out", "udp", "192.0.2.1", 30080, 0,
     SEEN("192.0.2.9", "192.0.2.1", 30080), 0},
    {"SV11 NodePort to a pod elsewhere", "out", "tcp", "192.0.2.1", 30081, BULK,
     SEEN("192.0.2.1", "192.0.2.1", 30081), 0},
    {"SV11 NodePort to a pod elsewhere", "out", "tcp", "2001:db8::1", 30081, BULK,
     SEEN("2001:db8::1", "2001:db8::1", 30081), 0},
    {"SV11 NodePort to a pod elsewhere", "out", "udp", "2001:db8::1", 30081, 0,
     SEEN("2001:db8::1", "2001:db8::1", 30081), 0},
    {"SV11 fragments to a NodePort", "out", "udp", "192.0.2.1", 30081, 5000,
     SEEN("192.0.2.1", "192.0.2.1", 30081), 0},
    {"SV49 NodePort to the node's own sockets", "out", "tcp", "192.0.2.1", 30085, BULK,
     SEEN("192.0.2.9", "192.0.2.1", 30085), 0},
    {"SV49 NodePort to the node's own sockets", "out", "tcp", "2001:db8::1", 30085, BULK,
     SEEN("2001:db8::9", "2001:db8::1", 30085), 0},
    {"SV49 NodePort to the node's own sockets, from a pod here", "a", "tcp", "192.0.2.1", 30085, BULK,
     SEEN("10.1.0.5", "192.0.2.1", 30085), 0},
    {"SV49 NodePort to the node's own sockets, from a pod here", "a", "udp", "2001:db8::1", 30085, 0,
     SEEN("fd00:1::5", "2001:db8::1", 30085), 0},
    {"SV49 NodePort to the node's own sockets, from a pod elsewhere", "r", "tcp", "192.0.2.1", 30085, BULK,
     SEEN("10.2.0.7", "192.0.2.1", 30085), 0},
    {"SV49 NodePort to the node's own sockets, from another node", "node2", "tcp", "2001:db8::1", 30085, BULK,
     SEEN("2001:db8::2", "2001:db8::1", 30085), 0},
    {"SV49 a datagram to the node's own sockets", "out", "udp", "192.0.2.1", 30085, 0,
     SEEN("192.0.2.9", "192.0.2.1", 30085), 0},
    {"SV49 a datagram to the node's own sockets", "out", "udp", "2001:db8::1", 30085, 100,
     SEEN("2001:db8::9", "2001:db8::1", 30085), 0},
    {"SV49 SV63 fragments to the node's own sockets", "out", "udp", "192.0.2.1", 30085, 5000,
     SEEN("192.0.2.9", "192.0.2.1", 30085), 0},
    {"SV49 SV63 fragments to the node's own sockets", "out", "udp", "2001:db8::1", 30085, 5000,
     SEEN("2001:db8::9", "2001:db8::1", 30085), 0},
    {"SV49 a datagram to the node's own sockets, from a pod elsewhere", "r", "udp", "192.0.2.1", 30085, 100,
     SEEN("10.2.0.7", "192.0.2.1", 30085), 0},
    {"SV49 a datagram to the node's own sockets, from a pod elsewhere", "r", "udp", "2001:db8::1", 30085, 100,
     SEEN("fd00:2::7", "2001:db8::1", 30085), 0},
    {"SV49 a datagram to the node's own sockets, from another node", "node2", "udp", "192.0.2.1", 30085, 100,
     SEEN("192.0.2.2", "192.0.2.1", 30085), 0},
    {"SV49 the same socket asked by its own port", "out", "udp", "192.0.2.1", P, 100,
     SEEN("192.0.2.9", "192.0.2.1", 8080), 0},
    {"SV49 SV62 a datagram to a port that the node does not serve", "out", "error", "192.0.2.1", 30086, 9,
     "icmp 3 3 from 192.0.2.1 mtu 0", 0},
    {"SV49 SV62 a datagram to a port that the node does not serve", "out", "error", "2001:db8::1", 30086, 9,
     "icmp 1 4 from 2001:db8::1 mtu 0", 0},
    {"SV06 a NodePort to a port that the node does not serve", "out", "tcp", "192.0.2.1", 30086, 0, "refused",
     0},
    {"SV49 a host-network pod at connect()", "node1", "tcp", "10.96.0.1", 80, BULK,
     SEEN("192.0.2.1", "10.96.0.1", 80), 1},
    {"SV49 a host-network pod at connect()", "node1", "tcp", "fd00:96::1", 81, BULK,
     SEEN("2001:db8::1", "fd00:96::1", 81), 1},
    {"SV49 a host-network pod at sendmsg()", "node1", "udp", "10.96.0.1", 81, 0,
     SEEN("192.0.2.1", "10.96.0.1", 81), 1},
    {"SV06 a NodePort without endpoints", "out", "tcp", "192.0.2.1", 30083, 0, "refused", 0},
};

static void add_service(const char *v4, const char *v6, uint16_t port, uint32_t flags, uint32_t list,
			const char *to4, const char *to6)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP};

	for (size_t i = 0; i < 2; i++) {
		set_service(v4, port, protos[i], flags, list, to4);
		set_service(v6, port, protos[i], flags, list ? list + 8 : 0, to6);
	}
}

static void add_services(void)
{
	add_service("10.96.0.1", "fd00:96::1", 80, 0, 64, "10.1.0.6 8080", "fd00:1::6 8080");
	add_service("10.96.0.1", "fd00:96::1", 81, 0, 96, "10.2.0.7 8080", "fd00:2::7 8080");
	add_service("10.96.0.1", "fd00:96::1", 82, 0, 128, "10.1.0.5 8080", "fd00:1::5 8080");
	add_service("10.96.0.1", "fd00:96::1", 83, 0, 0, "", "");
	add_service("10.96.0.1", "fd00:96::1", 84, 0, 160, "10.1.0.6 9", "fd00:1::6 9");
	add_service("192.0.2.1", "2001:db8::1", 30080, SERVICE_OUTSIDE_TOO, 64, "10.1.0.6 8080",
		    "fd00:1::6 8080");
	add_service("192.0.2.1", "2001:db8::1", 30081, SERVICE_OUTSIDE_TOO, 96, "10.2.0.7 8080",
		    "fd00:2::7 8080");
	add_service("192.0.2.1", "2001:db8::1", 30085, SERVICE_OUTSIDE_TOO, 256, "192.0.2.1 8080",
		    "2001:db8::1 8080");
	add_service("192.0.2.1", "2001:db8::1", 30086, SERVICE_OUTSIDE_TOO, 288, "192.0.2.1 9",
		    "2001:db8::1 9");
	add_service("192.0.2.1", "2001:db8::1", 30083, SERVICE_OUTSIDE_TOO, 0, "", "");
}

static void pings(const struct lab *l)
{
	must_print(l, "ping on one node", "a", "ping -c1 -W1 10.1.0.6", " 0% packet loss");
	must_print(l, "ping on one node, IPv6", "a", "ping -c1 -W1 fd00:1::6", " 0% packet loss");
	must_print(l, "ping between nodes", "a", "ping -c1 -W1 10.2.0.7", " 0% packet loss");
	must_print(l, "ping between nodes, IPv6", "a", "ping -c1 -W1 fd00:2::7", " 0% packet loss");
	must_print(l, "ping outside", "a", "ping -c1 -W1 198.51.100.9", " 0% packet loss");
	must_print(l, "ping outside, IPv6", "a", "ping -c1 -W1 2001:db8:51::9", " 0% packet loss");
}

/* Whom the stack tells why a packet goes no further: the answers of RFC 792 and RFC 4443 reach the pod's
 * sockets. */
static const struct line errors[] = {
    {"an address that no pod has", "a", "error", "10.1.0.99", P, 9, "icmp 3 3 from 10.1.0.99 mtu 0", 0},
    {"an address that no pod has", "a", "error", "fd00:1::99", P, 9, "icmp 1 4 from fd00:1::99 mtu 0", 0},
    {"SV06 per packet", "a", "error", "10.96.0.1", 83, 9, "icmp 3 3 from 10.96.0.1 mtu 0", 0},
    {"SV06 per packet", "a", "error", "fd00:96::1", 83, 9, "icmp 1 4 from fd00:96::1 mtu 0", 0},
    {"SV62 a closed port behind a service", "a", "error", "10.96.0.1", 84, 9, "icmp 3 3 from 10.96.0.1 mtu 0",
     0},
    {"SV62 a closed port behind a service", "a", "error", "fd00:96::1", 84, 9,
     "icmp 1 4 from fd00:96::1 mtu 0", 0},
    {"the last hop", "a", "error", "10.2.0.7", P, 9, "icmp 11 0 from 192.0.2.1 mtu 0", 0, .ttl = 1},
    {"the last hop", "a", "error", "fd00:2::7", P, 9, "icmp 3 0 from 2001:db8::1 mtu 0", 0, .ttl = 1},
    {"SV62 the last hop behind a service", "a", "error", "10.96.0.1", 81, 9, "icmp 11 0 from 192.0.2.1 mtu 0",
     0, .ttl = 1},
    {"SV62 the last hop behind a service", "a", "error", "fd00:96::1", 81, 9,
     "icmp 3 0 from 2001:db8::1 mtu 0", 0, .ttl = 1},
};

/* Pod a believes in 1500 bytes, the tunnel takes 1450: the stack must say so (NP71, RFC 1191, RFC 8201). */
static const struct line too_big[] = {
    {"NP71 too big for the tunnel", "a", "error", "10.2.0.7", P, 1440, "icmp 3 4 from 192.0.2.1 mtu 1450", 0},
    {"NP71 too big for the tunnel", "a", "error", "fd00:2::7", P, 1440, "icmp 2 0 from 2001:db8::1 mtu 1450",
     0},
    {"SV62 too big behind a service", "a", "error", "10.96.0.1", 81, 1440, "icmp 3 4 from 192.0.2.1 mtu 1450",
     0},
    {"SV62 too big behind a service", "a", "error", "fd00:96::1", 81, 1440,
     "icmp 2 0 from 2001:db8::1 mtu 1450", 0},
    {"a stream finds its size", "a", "tcp", "10.2.0.7", P, BULK, SEEN("10.1.0.5", "10.2.0.7", 8080), 0},
    {"a stream finds its size", "a", "tcp", "fd00:2::7", P, BULK, SEEN("fd00:1::5", "fd00:2::7", 8080), 0},
};

#define SAY_ALL(l, lines) say_all(l, lines, sizeof(lines) / sizeof((lines)[0]))
static void say_all(const struct lab *l, const struct line *lines, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!lines[i].sockets || l->cgroup[0])
			say(l, &lines[i]);
}

static void path_mtu(const struct lab *l)
{
	must_print(l, "the pod gets a larger MTU", "a", "ip link set eth0 mtu 1500", "");
	must_print(l, "at both ends", "node1", "ip link set wp101 mtu 1500", "");
	SAY_ALL(l, too_big);
}

/* 30087 leads to r, 30088 to a closed port of r; the pod's policy lets the client's own address in and no
 * node. */
static void direct_return(const struct lab *l)
{
	static const struct line lines[] = {
	    {"SV10 direct return", "out", "tcp", "192.0.2.1", 30087, BULK,
	     SEEN("192.0.2.9", "192.0.2.1", 30087), 0},
	    {"SV10 direct return", "out", "tcp", "2001:db8::1", 30087, BULK,
	     SEEN("2001:db8::9", "2001:db8::1", 30087), 0},
	    {"SV10 direct return", "out", "udp", "192.0.2.1", 30087, 1300,
	     SEEN("192.0.2.9", "192.0.2.1", 30087), 0},
	    {"SV10 direct return", "out", "udp", "2001:db8::1", 30087, 1300,
	     SEEN("2001:db8::9", "2001:db8::1", 30087), 0},
	    {"SV10 direct return of a refusal", "out", "tcp", "192.0.2.1", 30088, 0, "refused", 0},
	    {"SV10 SV62 direct return of an error", "out", "error", "192.0.2.1", 30088, 9,
	     "icmp 3 3 from 192.0.2.1 mtu 0", 0},
	    {"SV10 SV62 direct return of an error", "out", "error", "2001:db8::1", 30088, 9,
	     "icmp 1 4 from 2001:db8::1 mtu 0", 0},
	    {"too big for the tunnel is told to the client", "out", "error", "192.0.2.1", 30087, 1440,
	     "icmp 3 4 from 192.0.2.1 mtu 1450", 0},
	    {"too big for the tunnel is told to the client", "out", "error", "2001:db8::1", 30087, 1440,
	     "icmp 2 0 from 2001:db8::1 mtu 1450", 0},
	    {"SV10 SV63 direct return of fragments", "out", "udp", "192.0.2.1", 30087, 5000,
	     SEEN("192.0.2.9", "192.0.2.1", 30087), 0},
	    {"SV10 SV63 direct return of fragments", "out", "udp", "2001:db8::1", 30087, 5000,
	     SEEN("2001:db8::9", "2001:db8::1", 30087), 0},
	    {"SV11 clients of the cluster are translated", "b", "tcp", "192.0.2.2", 30087, BULK,
	     SEEN("192.0.2.2", "192.0.2.2", 30087), 0},
	};
	static const struct line cut[] = {
	    {"fragments that are too big are told", "out", "udp", "2001:db8::1", 30087, 5000, "timeout", 0},
	    {"and fit then", "out", "udp", "2001:db8::1", 30087, 5000,
	     SEEN("2001:db8::9", "2001:db8::1", 30087), 0},
	};
	uint64_t back;
	char got[64];

	world = l->node2;
	set_pod("r", 100, 0);
	set_block("192.0.2.9", 32, CLASS_NET);
	set_block("2001:db8::9", 128, CLASS_NET);
	set_policy(100, CLASS_NET, PORTSET_ALL, 300);
	add_service("192.0.2.2", "2001:db8::2", 30087, SERVICE_OUTSIDE_TOO | SERVICE_DIRECT, 384,
		    "10.1.0.5 8080", "fd00:1::5 8080");
	world = l->node1;
	add_service("192.0.2.1", "2001:db8::1", 30087, SERVICE_OUTSIDE_TOO | SERVICE_DIRECT, 320,
		    "10.2.0.7 8080", "fd00:2::7 8080");
	add_service("192.0.2.1", "2001:db8::1", 30088, SERVICE_OUTSIDE_TOO | SERVICE_DIRECT, 352,
		    "10.2.0.7 9", "fd00:2::7 9");
	back = read_counter(COUNTER_TUNNEL_TO_UPLINK);
	SAY_ALL(l, lines);
	must_print(l, "the client forgets what it was told", "out", "ip -6 route flush cache", "");
	SAY_ALL(l, cut);
	back = read_counter(COUNTER_TUNNEL_TO_UPLINK) - back;
	snprintf(got, sizeof(got), "%llu packets", (unsigned long long)back);
	result(back != 0, "SV10 no answer passes the node that took the packets", got, "none");
	result(!read_counter(COUNTER_DIRECT_OUT), "it handed them over as they came", "none", "some");
	world = l->node2;
	result(!read_counter(COUNTER_DIRECT_IN), "and the other node took them so", "none", "some");
	set_pod("r", 0, 0);
	world = l->node1;
}

static void forget_v4(struct weft *w, uint32_t node)
{
	struct node_value n;
	int fd = bpf_map__fd(w->maps.node);

	bpf_map_lookup_elem(fd, &node, &n);
	memset(&n.v4, 0, sizeof(n.v4));
	bpf_map_update_elem(fd, &node, &n, BPF_EXIST);
}

/* Nodes that have only IPv6 on the underlay. */
static void underlay_v6(const struct lab *l)
{
	static const struct line lines[] = {
	    {"the tunnel over IPv6", "a", "tcp", "10.2.0.7", P, 100, SEEN("10.1.0.5", "10.2.0.7", 8080), 0},
	    {"the tunnel over IPv6", "r", "udp", "fd00:1::6", P, 100, SEEN("fd00:2::7", "fd00:1::6", 8080),
	     0},
	    {"the tunnel over IPv6", "node1", "tcp", "10.2.0.7", P, 100, SEEN("192.0.2.1", "10.2.0.7", 8080),
	     0},
	};

	forget_v4(l->node1, 2);
	forget_v4(l->node2, 1);
	SAY_ALL(l, lines);
}

static void policy(const struct lab *l)
{
	static const struct line denied[] = {
	    {"NP02 default deny", "a", "tcp", "10.1.0.6", P, 0, "timeout", 0},
	    {"NP74 default deny in both families", "a", "tcp", "fd00:1::6", P, 0, "timeout", 0},
	    {"NP02 default deny", "r", "udp", "10.1.0.6", P, 0, "timeout", 0},
	    {"NP61 but the node gets in", "node1", "tcp", "10.1.0.6", P, 0,
	     SEEN("192.0.2.1", "10.1.0.6", 8080), 0},
	    {"NP02 and it sends freely", "b", "tcp", "10.2.0.7", P, 0, SEEN("10.1.0.6", "10.2.0.7", 8080), 0},
	};
	struct event e = {0};
	char got[32];

	world = l->node1;
	set_pod("b", 100, 0);
	SAY_ALL(l, denied);
	last_event(&e);
	snprintf(got, sizeof(got), "reason %u", e.reason);
	result(e.reason != DROP_POLICY_INGRESS, "the drop is told", got, "policy-ingress");
	set_pod("b", 0, 0);
}

/* b leads its own service 80 to itself; b's cluster policies deny that at its ingress, in both families. */
static void deny_itself(void)
{
	set_pod("b", SET_OPEN | 100, SET_OPEN | 101);
	set_pod_flags("b", ENDPOINT_SELF);
	set_policy(SET_OPEN | 100, CLASS_SELF, PORTSET_NONE, 300);
	set_policy(SET_OPEN | 100, CLASS_SELF6, PORTSET_NONE, 301);
	set_policy(SET_OPEN | 101, CLASS_SELF, PORTSET_ALL, 302);
	set_policy(SET_OPEN | 101, CLASS_SELF6, PORTSET_ALL, 302);
}

/* CN18: sockets of the pod itself are refused in connect() and sendto(), those of others are not. */
static void to_itself(const struct lab *l)
{
	static const struct line free[] = {
	    {"NP64 no policy, no refusal", "b", "tcp", "10.96.0.1", 80, 0, SEEN("10.1.0.6", "10.96.0.1", 80),
	     1},
	};
	static const struct line denied[] = {
	    {"CN18 itself through its service", "b", "tcp", "10.96.0.1", 80, 0, "Operation not permitted", 1},
	    {"CN18 itself through its service", "b", "udp", "10.96.0.1", 80, 0, "Operation not permitted", 1},
	    {"CN18 itself through its service", "b", "udp", "fd00:96::1", 80, 0, "Operation not permitted",
	     1},
	    {"CN18 itself through its service", "b", "tcp6", "10.96.0.1", 80, 0, "Operation not permitted",
	     1},
	    {"CN18 NP63 but never by its own address", "b", "tcp", "10.1.0.6", P, 0,
	     SEEN("10.1.0.6", "10.1.0.6", 8080), 1},
	    {"CN18 nor do others suffer", "a", "tcp", "10.96.0.1", 80, 0, SEEN("10.1.0.5", "10.96.0.1", 80),
	     1},
	    {"CN18 itself through its service", "b", "tcp", "fd00:96::1", 80, 0, "Operation not permitted",
	     1},
	};
	uint32_t index = IF_B;
	struct event e = {0};
	uint64_t cookie;
	char ns[64];

	if (!l->cgroup[0])
		return;
	lab_ns(l, "b", ns, sizeof(ns));
	cookie = talk_cookie(ns);
	bpf_map_update_elem(bpf_map__fd(world->maps.netns), &cookie, &index, BPF_ANY);
	SAY_ALL(l, free);
	deny_itself();
	SAY_ALL(l, denied);
	last_event(&e);
	result(e.reason != DROP_DENY_INGRESS || e.cause != 301 || e.ifindex != IF_B ||
		   e.direction != DIR_TO_POD,
	       "CN18 the refused call is told with its rule", "another event", "deny-ingress by rule 301");
	result(read_drops(IF_B, DROP_DENY_INGRESS, DIR_TO_POD, 300) != 3 ||
		   read_drops(IF_B, DROP_DENY_INGRESS, DIR_TO_POD, 301) != 2 ||
		   read_counter(COUNTER_CALL_DROP) != 5,
	       "CN18 and counted", "other numbers", "3 under rule 300, 2 under rule 301");
	set_pod("b", 0, 0);
}

#define TRIES 24

/* Service `port` leads to b and r. */
static void add_spread(uint16_t port, uint32_t list, uint32_t flags, uint32_t affinity)
{
	const struct service_more more = {.affinity = affinity, .service = list};

	add_service("10.96.0.1", "fd00:96::1", port, flags, list, "10.1.0.6 8080 10.2.0.7 8080",
		    "fd00:1::6 8080 fd00:2::7 8080");
	set_service_more("10.96.0.1", port, IPPROTO_TCP, &more);
	set_service_more("fd00:96::1", port, IPPROTO_TCP, &more);
}

/* How many backends sockets were told for this port of a service address. */
static size_t backends_told(const char *service, uint16_t port)
{
	static struct socket_key keys[4096];
	size_t n = map_keys(world->maps.socket_origin, keys, sizeof(keys[0]), 4096), told = 0;
	struct addr16 seen[16], at = addr(service);
	struct socket_value v;

	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		if (bpf_map_lookup_elem(bpf_map__fd(world->maps.socket_origin), &keys[i], &v) ||
		    v.port != htons(port) || memcmp(&v.addr, &at, sizeof(at)))
			continue;
		while (k < told && memcmp(&seen[k], &keys[i].addr, sizeof(at)))
			k++;
		if (k == told && told < 16)
			seen[told++] = keys[i].addr;
	}
	return told;
}

/* TRIES calls of pod a, each `later` seconds after the one before. */
static void must_tell(const struct lab *l, const char *name, const char *to, int port, uint64_t later,
		      size_t backends)
{
	char ns[64], answer[256], got[300] = "", want[32];
	struct talk t = {.from = ns, .cgroup = l->cgroup, .proto = "tcp", .to = to, .port = port};

	lab_ns(l, "a", ns, sizeof(ns));
	for (int i = 0; i < TRIES; i++) {
		talk(&t, answer, sizeof(answer));
		if (strncmp(answer, "seen", 4))
			snprintf(got, sizeof(got), "%s", answer);
		if (later)
			age_all(later);
	}
	snprintf(want, sizeof(want), "%zu backends", backends);
	if (!got[0])
		snprintf(got, sizeof(got), "%zu backends", backends_told(to, (uint16_t)port));
	result(strcmp(got, want) != 0, name, got, want);
}

/* Elements of BPF map affinity for this client. */
static size_t affinities_of(const char *client)
{
	static struct affinity_key keys[64];
	size_t n = map_keys(world->maps.affinity, keys, sizeof(keys[0]), 64), of = 0;
	struct addr16 at = addr(client);

	for (size_t i = 0; i < n; i++)
		of += !memcmp(&keys[i].client, &at, sizeof(at));
	return of;
}

/* What connect() chooses, for sockets in the namespace of pod a. */
static void choices(const struct lab *l)
{
	static const struct line gone[] = {
	    {"SV55 a connected socket whose endpoint is gone gets an error", "a", "udp-connected",
	     "10.96.0.1", 88, 0, "refused", 1},
	    {"SV55 a connected socket whose endpoint is gone gets an error", "a", "udp-connected",
	     "fd00:96::1", 88, 0, "refused", 1},
	    {"SV07 dropped, not refused", "a", "tcp", "10.96.0.1", 89, 0, "timeout", 1},
	    {"SV43 ipMode Proxy leaves the call alone", "a", "tcp", "10.96.0.1", 90, 0, "refused", 1},
	};
	uint32_t index = IF_A;
	uint64_t cookie;
	char ns[64];

	if (!l->cgroup[0])
		return;
	lab_ns(l, "a", ns, sizeof(ns));
	cookie = talk_cookie(ns);
	add_spread(85, 192, 0, 10800);
	add_spread(86, 192, 0, 0);
	add_spread(87, 192, SERVICE_MAGLEV, 0);
	add_service("10.96.0.1", "fd00:96::1", 88, 0, 224, "10.1.0.99 8080", "fd00:1::99 8080");
	add_service("10.96.0.1", "fd00:96::1", 89, SERVICE_DROP, 0, "", "");
	add_service("10.96.0.1", "fd00:96::1", 90, SERVICE_INSIDE_NOT, 64, "10.1.0.6 8080", "fd00:1::6 8080");
	must_tell(l, "SV26 at connect(), by namespace", "10.96.0.1", 85, 0, 1);
	bpf_map_update_elem(bpf_map__fd(world->maps.netns), &cookie, &index, BPF_ANY);
	must_tell(l, "SV26 at connect(), by the pod's address", "fd00:96::1", 85, 0, 1);
	must_tell(l, "SV31 at connect(), without affinity", "10.96.0.1", 86, 0, 2);
	must_tell(l, "a Maglev table at connect()", "fd00:96::1", 87, 0, 2);
	result(affinities_of("fd00:1::5") != 1, "SV26 the pod's address is the client", "another", "one");
	must_tell(l, "SV26 at connect(), its last use counts", "fd00:96::1", 85, 10000, 1);
	must_tell(l, "SV27 at connect(), after the time-out", "fd00:96::1", 85, 10802, 2);
	SAY_ALL(l, gone);
}

static int run_mode(uint32_t mode)
{
	static const char *const servers[] = {"a", "b", "r", "out", "node1", "node2"};
	pid_t pids[6];
	struct lab l;
	char ns[64];
	int err = lab_up(&l, mode);

	if (err) {
		printf("Bail out! the lab does not stand: %s\n", strerror(-err));
		lab_down(&l);
		return 1;
	}
	for (size_t i = 0; i < 6; i++) {
		lab_ns(&l, servers[i], ns, sizeof(ns));
		pids[i] = talk_serve(ns);
	}
	SAY_ALL(&l, plain);
	add_services();
	SAY_ALL(&l, services);
	SAY_ALL(&l, errors);
	policy(&l);
	to_itself(&l);
	choices(&l);
	pings(&l);
	if (mode == MODE_VXLAN)
		direct_return(&l);
	if (mode == MODE_VXLAN)
		path_mtu(&l);
	if (mode == MODE_VXLAN)
		underlay_v6(&l);
	for (size_t i = 0; i < 6; i++)
		if (pids[i] > 0 && !kill(pids[i], SIGKILL))
			waitpid(pids[i], NULL, 0);
	if (failed && getenv("WEFT_KEEP")) {
		printf("# kept: namespaces %s-*\n", l.prefix);
		exit(1);
	}
	lab_down(&l);
	return 0;
}

int main(void)
{
	if (geteuid()) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	if (world_load()) {
		printf("1..0 # SKIP needs eBPF: %s\n", strerror(errno));
		return 0;
	}
	weft__destroy(world); /* each mode loads its own */
	printf("# over the tunnel\n");
	if (run_mode(MODE_VXLAN))
		return 1;
	printf("# over routes\n");
	if (run_mode(MODE_ROUTES))
		return 1;
	printf("1..%d\n", number);
	return failed != 0;
}
