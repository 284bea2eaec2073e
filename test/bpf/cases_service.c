/* SPDX-License-Identifier: Apache-2.0 */
/* Cases: services per packet, NodePorts, masquerade, and the ICMP errors about what they translate. */
#include "cases.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define NODE_PORT 30080
#define LIST	  64u

static void vip_to(const char *backend, uint32_t list)
{
	char text[128];

	snprintf(text, sizeof(text), "%s 8080", here(backend));
	set_service(here(VIP), 80, IPPROTO_TCP, 0, list, text);
	snprintf(text, sizeof(text), "%s 5353", here(backend));
	set_service(here(VIP), 53, IPPROTO_UDP, 0, list + 8, text);
}

static void vip_to_b(void)
{
	vip_to(B, LIST);
}

static void vip_to_r(void)
{
	vip_to(R, LIST + 32);
}

static void vip_to_node(void)
{
	vip_to(N1, LIST);
}

static void vip_to_world(void)
{
	vip_to(WORLD, LIST);
}

static void vip_empty(void)
{
	set_service(here(VIP), 80, IPPROTO_TCP, 0, 0, "");
	set_service(here(VIP), 53, IPPROTO_UDP, 0, 0, "");
}

static void two_vips_to_b(void)
{
	char text[64];

	vip_to_b();
	snprintf(text, sizeof(text), "%s 8080", here(B));
	set_service(here(VIP2), 80, IPPROTO_TCP, 0, LIST, text);
	set_snat(41000, 41000);
}

static void sctp_service(void)
{
	char text[64];

	snprintf(text, sizeof(text), "%s 80", here(B));
	set_service(here(VIP), 80, IPPROTO_SCTP, 0, LIST, text);
	snprintf(text, sizeof(text), "%s 8181", here(B));
	set_service(here(VIP), 81, IPPROTO_SCTP, 0, LIST + 8, text);
}

static void node_port_to(const char *backend, uint32_t list)
{
	char text[64];

	snprintf(text, sizeof(text), "%s 8080", here(backend));
	set_service(here(N1), NODE_PORT, IPPROTO_TCP, SERVICE_OUTSIDE_TOO, list, text);
	set_service(here(N1), NODE_PORT, IPPROTO_UDP, SERVICE_OUTSIDE_TOO, list, text);
}

static void node_port_to_b(void)
{
	node_port_to(B, LIST);
}

static void node_port_to_a(void)
{
	node_port_to(A, LIST + 16);
}

static void node_port_to_r(void)
{
	node_port_to(R, LIST + 32);
}

static void node_port_to_own(void)
{
	char text[64];

	node_port_to(N1, LIST + 64);
	snprintf(text, sizeof(text), "%s 8080", here(N1));
	set_service(here(N1), NODE_PORT, IPPROTO_SCTP, SERVICE_OUTSIDE_TOO, LIST + 80, text);
}

/* As on a node whose sockets never served a Service so. */
static void serve_nothing(void)
{
	uint32_t zero = 0, off = 0;

	bpf_map_update_elem(bpf_map__fd(world->maps.serving), &zero, &off, BPF_ANY);
}

static int own_is_counted(void)
{
	struct spec s = {UDP, here(N1), here(WORLD), 8080, 1000};
	uint8_t frame[PACKET_MAX];
	struct run r;

	serve_nothing();
	if (world_run(world->progs.weft_uplink_out, IF_UPLINK, frame, packet_build(&s, frame), 0, 1, &r))
		return 1;
	return must_be("looked at", read_counter(COUNTER_LEAVE_IN), 4);
}

static void node_port_routes(void)
{
	set_mode(MODE_ROUTES);
	node_port_to_r();
}

static void node_port_empty(void)
{
	set_service(here(N1), NODE_PORT, IPPROTO_TCP, SERVICE_OUTSIDE_TOO, 0, "");
}

static void one_snat_port(void)
{
	set_snat(45000, 45000);
}

/* Sockets of the node in this very namespace. */
static int own_sockets[2] = {-1, -1};

static void open_own(int at, int type)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(45000)};

	own_sockets[at] = socket(AF_INET6, type | SOCK_CLOEXEC, 0);
	if (bind(own_sockets[at], (struct sockaddr *)&a, sizeof(a)) ||
	    (type == SOCK_STREAM && listen(own_sockets[at], 1)))
		printf("# no socket of the node's own\n");
}

static void close_own(void)
{
	for (int i = 0; i < 2; i++)
		close(own_sockets[i]);
}

static void two_snat_ports(void)
{
	set_snat(45000, 45001);
	open_own(0, SOCK_STREAM);
	open_own(1, SOCK_DGRAM);
}

static void b_takes_world(void)
{
	set_pod("b", 100, 0);
	if (run_v6)
		set_block("2001:db8:51::", 64, CLASS_NET);
	else
		set_block("198.51.100.0", 24, CLASS_NET);
	set_policy(100, CLASS_NET, 200, 0);
	set_port(200, PORT_LEN(16), IPPROTO_TCP, 8080, VERDICT_ALLOW, 300);
	node_port_to_b();
}

static void two_backends(void)
{
	set_service(here(VIP), 53, IPPROTO_UDP, 0, LIST,
		    run_v6 ? "fd00:1::6 5353 fd00:2::7 5353" : "10.1.0.6 5353 10.2.0.7 5353");
}

/* Many new datagram flows are spread evenly (SV31) and each stays where it is. */
static int spread_is_even(void)
{
	uint64_t pods = 0, tunnels = 0;
	struct run r;

	for (int round = 0; round < 2; round++) {
		for (uint16_t port = 1000; port < 3000; port += 2) { /* as clients choose them */
			struct spec s = {UDP, here(A), here(VIP), port, 53};
			uint8_t frame[PACKET_MAX];

			if (world_run(world->progs.weft_from_pod, IF_A, frame, packet_build(&s, frame), 0, 1,
				      &r))
				return 1;
		}
		pods = read_counter(COUNTER_POD_TO_POD) - pods;
		tunnels = read_counter(COUNTER_POD_TO_TUNNEL) - tunnels;
		if (pods < 400 || pods > 600 || pods + tunnels != 1000) {
			printf("# round %d: %llu to b, %llu to r\n", round + 1, (unsigned long long)pods,
			       (unsigned long long)tunnels);
			return 1;
		}
	}
	return must_be("second round to b", read_counter(COUNTER_POD_TO_POD), pods * 2);
}

static const struct spec node_port_big = {
    UDP, WORLD, N1, 45001, NODE_PORT, .payload = 1440, .dont_fragment = 1, .cut = 1440};
static const struct spec own_asked = {UDP, WORLD, N1, 1000, 8080},
			 port_asked = {UDP, WORLD, N1, 1000, NODE_PORT};
static const struct spec masqueraded = {UDP, N1, WORLD, 40001, 53, .ttl = 60, .payload = 8};
static const struct spec masqueraded_back = {UDP, A, WORLD, 40001, 53, .ttl = 60, .payload = 8};
static const struct spec at_backend = {UDP, A, B, 1000, 5353, .ttl = 63, .payload = 8};
static const struct spec at_client = {UDP, A, VIP, 1000, 53, .ttl = 63, .payload = 8};
static const struct spec tcp_at_backend = {TCP, A, B, 1000, 8080, ACK, .ttl = 63, .payload = 8};
static const struct spec tcp_at_client = {TCP, A, VIP, 1000, 80, ACK, .ttl = 63, .payload = 8};
static const struct spec refused_udp = {UDP, A, VIP, 1000, 53};
static const struct spec ping_out = {PING, N1, WORLD, 41001, .ttl = 60};
static const struct spec ping_back = {PING, A, WORLD, 41001, .ttl = 60};

#define LONG_UDP UDP, A, VIP, 1000, 53, .payload = 200, .fragment_id = 7
#define LONG_OUT UDP, A, B, 1000, 5353, .payload = 200, .fragment_id = 7

const struct bpf_case service_cases[] = {
    {"SV12 a service: the client keeps its address, the reply comes from the service",
     BOTH,
     vip_to_b,
     {{FROM_A,
       {TCP, A, VIP, 1000, 80, SYN},
       POD,
       .out = {TCP, A, B, 1000, 8080, SYN, .dmac = MAC_B, .smac = MAC_GW}},
      {FROM_B,
       {TCP, B, A, 8080, 1000, SYNACK},
       POD,
       .out = {TCP, VIP, A, 80, 1000, SYNACK, .dmac = MAC_A, .smac = MAC_GW}},
      {FROM_A,
       {TCP, A, VIP, 1000, 80, ACK, .payload = 33},
       POD,
       .out = {TCP, A, B, 1000, 8080, ACK, .payload = 33}},
      {FROM_A, {UDP, A, VIP, 1000, 53, .payload = 9}, POD, .out = {UDP, A, B, 1000, 5353, .payload = 9}},
      {FROM_B, {UDP, B, A, 5353, 1000, .payload = 9}, POD, .out = {UDP, VIP, A, 53, 1000, .payload = 9}}}},
    {"a service with its backend on another node",
     BOTH,
     vip_to_r,
     {{FROM_A, {TCP, A, VIP, 1000, 80, SYN}, TUNNEL, .out = {TCP, A, R, 1000, 8080, SYN}}}},
    {"a service with its backend in this node's own namespace",
     BOTH,
     vip_to_node,
     {{FROM_A, {TCP, A, VIP, 1000, 80, SYN}, STACK, .out = {TCP, A, N1, 1000, 8080, SYN}},
      {TO_A, {TCP, N1, A, 8080, 1000, SYNACK}, STACK, .out = {TCP, VIP, A, 80, 1000, SYNACK}}}},
    {"a service with its backend outside: both translations at once",
     BOTH,
     vip_to_world,
     {{FROM_A, {TCP, A, VIP, 40001, 80, SYN}, OUT, .out = {TCP, N1, WORLD, 40001, 8080, SYN}},
      {UPLINK, {TCP, WORLD, N1, 8080, 40001, SYNACK}, POD, .out = {TCP, VIP, A, 80, 40001, SYNACK}},
      {FROM_A, {TCP, A, VIP, 40001, 80, ACK}, OUT, .out = {TCP, N1, WORLD, 40001, 8080, ACK}}}},
    {"SV06 a service without endpoints refuses at once",
     BOTH,
     vip_empty,
     {{FROM_A,
       {TCP, A, VIP, 1000, 80, SYN, .payload = 6},
       ANSWERED,
       DROP_NO_BACKEND,
       IF_A,
       .out = {TCP, VIP, A, 80, 1000, RSTACK, .ack = 7, .dont_fragment = 1, .dmac = MAC_A, .smac = MAC_GW}},
      {FROM_A,
       {UDP, A, VIP, 1000, 53, .payload = 600, .fragment_id = 5, .fragment_more = 1},
       REFUSED,
       DROP_NO_BACKEND,
       IF_A},
      {FROM_A, {TCP, A, VIP, 1000, 80, RST}, REFUSED, DROP_NO_BACKEND, IF_A},
      {FROM_A,
       {UDP, A, VIP, 1000, 53},
       ANSWERED,
       DROP_NO_BACKEND,
       IF_A,
       .out = {ICMP_ERROR, VIP, A, .icmp_type = 3, .icmp_code = 3, .inner = &refused_udp, .dont_fragment = 1,
	       .dmac = MAC_A, .smac = MAC_GW}}}},
    {"SV44 a port that the service does not have is refused",
     BOTH,
     vip_to_b,
     {{FROM_A,
       {TCP, A, VIP, 1000, 81, SYN},
       ANSWERED,
       DROP_NO_BACKEND,
       IF_A,
       .out = {TCP, VIP, A, 81, 1000, RSTACK, .ack = 1, .dont_fragment = 1}},
      {FROM_A, {PING, A, VIP, 1}, REFUSED, DROP_PROTOCOL, IF_A}}},
    {"SV31 new connections are spread evenly, known ones stay", BOTH, two_backends, {{0}}, spread_is_even},
    {"SV50 a datagram sender moves when its backend leaves",
     BOTH,
     vip_to_b,
     {{FROM_A, {UDP, A, VIP, 1000, 53}, POD, .out = {UDP, A, B, 1000, 5353}},
      {FROM_B, {UDP, B, A, 5353, 1000}, POD, .out = {UDP, VIP, A, 53, 1000}},
      {FROM_A, {UDP, A, VIP, 1000, 53}, TUNNEL, .before = vip_to_r, .out = {UDP, A, R, 1000, 5353}}}},
    {"SV51 a datagram sender gets through once there is a backend",
     BOTH,
     vip_empty,
     {{FROM_A,
       {UDP, A, VIP, 1000, 53},
       ANSWERED,
       DROP_NO_BACKEND,
       IF_A,
       .out = {ICMP_ERROR, VIP, A, .icmp_type = 3, .icmp_code = 3, .inner = &refused_udp, .dont_fragment = 1,
	       .dmac = MAC_A, .smac = MAC_GW}},
      {FROM_A, {UDP, A, VIP, 1000, 53}, POD, .before = vip_to_b, .out = {UDP, A, B, 1000, 5353}}}},
    {"SV53 SV54 an open TCP connection stays when the list changes",
     BOTH,
     vip_to_b,
     {{FROM_A, {TCP, A, VIP, 1000, 80, SYN}, POD, .out = {TCP, A, B, 1000, 8080, SYN}},
      {FROM_B, {TCP, B, A, 8080, 1000, SYNACK}, POD, .out = {TCP, VIP, A, 80, 1000, SYNACK}},
      {FROM_A, {TCP, A, VIP, 1000, 80, ACK}, POD, .before = vip_to_r, .out = {TCP, A, B, 1000, 8080, ACK}},
      {FROM_A, {TCP, A, VIP, 1001, 80, SYN}, TUNNEL, .out = {TCP, A, R, 1001, 8080, SYN}}}},
    {"SV58 two services with one backend from one port do not collide",
     BOTH,
     two_vips_to_b,
     {{FROM_A, {TCP, A, VIP, 1000, 80, SYN}, POD, .out = {TCP, A, B, 1000, 8080, SYN}},
      {FROM_A, {TCP, A, VIP2, 1000, 80, SYN}, POD, .out = {TCP, A, B, 41000, 8080, SYN}},
      {FROM_B, {TCP, B, A, 8080, 1000, SYNACK}, POD, .out = {TCP, VIP, A, 80, 1000, SYNACK}},
      {FROM_B, {TCP, B, A, 8080, 41000, SYNACK}, POD, .out = {TCP, VIP2, A, 80, 1000, SYNACK}},
      {FROM_A, {TCP, A, B, 1001, 8080, SYN}, POD},
      {FROM_A, {TCP, A, VIP, 1001, 80, SYN}, DROPPED, DROP_SNAT_PORTS, IF_A}}},
    {"SV57 what comes late or out of window is translated as the good flow is",
     BOTH,
     vip_to_b,
     {{FROM_A, {TCP, A, VIP, 1000, 80, SYN}, POD, .out = {TCP, A, B, 1000, 8080, SYN}},
      {FROM_B, {TCP, B, A, 8080, 1000, SYNACK}, POD, .out = {TCP, VIP, A, 80, 1000, SYNACK}},
      {FROM_B,
       {TCP, B, A, 8080, 1000, ACK, .ack = 0x7fffffff},
       POD,
       .out = {TCP, VIP, A, 80, 1000, ACK, .ack = 0x7fffffff}},
      {FROM_B, {TCP, B, A, 8080, 1000, FIN}, POD, .out = {TCP, VIP, A, 80, 1000, FIN}},
      {FROM_A, {TCP, A, VIP, 1000, 80, FIN}, POD, .out = {TCP, A, B, 1000, 8080, FIN}},
      {FROM_B, {TCP, B, A, 8080, 1000, ACK}, POD, .out = {TCP, VIP, A, 80, 1000, ACK}},
      {FROM_A, {TCP, A, VIP, 1000, 80, RST}, POD, .out = {TCP, A, B, 1000, 8080, RST}},
      {FROM_B, {TCP, B, A, 8080, 1000, RST}, POD, .out = {TCP, VIP, A, 80, 1000, RST}},
      {FROM_A, {TCP, A, WORLD, 40001, 80, ACK}, OUT, .out = {TCP, N1, WORLD, 40001, 80, ACK}},
      {FROM_A, {TCP, A, WORLD, 40002, 80, RST}, OUT, .out = {TCP, N1, WORLD, 40002, 80, RST}}}},
    {"SV63 a fragmented datagram goes whole to one backend",
     BOTH,
     vip_to_b,
     {{FROM_A, {LONG_UDP, .fragment_more = 1}, POD, .out = {LONG_OUT, .fragment_more = 1}},
      {FROM_A,
       {LONG_UDP, .fragment_at = 64, .fragment_more = 1},
       POD,
       .out = {LONG_OUT, .fragment_at = 64, .fragment_more = 1}},
      {FROM_A, {LONG_UDP, .fragment_at = 128}, POD, .out = {LONG_OUT, .fragment_at = 128}}}},
    {"SV62 NP71 an ICMP error about a translated packet is translated back",
     BOTH,
     vip_to_b,
     {{FROM_A, {UDP, A, VIP, 1000, 53, .payload = 8}, POD, .out = {UDP, A, B, 1000, 5353, .payload = 8}},
      {FROM_B,
       {ICMP_ERROR, B, A, .icmp_type = 3, .icmp_code = 3, .inner = &at_backend},
       POD,
       .out = {ICMP_ERROR, VIP, A, .icmp_type = 3, .icmp_code = 3, .inner = &at_client}},
      {FROM_A, {TCP, A, VIP, 1000, 80, SYN}, POD, .out = {TCP, A, B, 1000, 8080, SYN}},
      {TO_A,
       {ICMP_ERROR, ROUTER, A, .icmp_type = 3, .icmp_code = 4, .inner = &tcp_at_backend},
       STACK,
       .out = {ICMP_ERROR, ROUTER, A, .icmp_type = 3, .icmp_code = 4, .inner = &tcp_at_client}}}},
    {"SV64 SCTP with another target port: ports and checksum, whatever the length",
     BOTH,
     sctp_service,
     {{FROM_A, {SCTP, A, VIP, 1000, 80}, POD, .out = {SCTP, A, B, 1000, 80}},
      {FROM_A, {SCTP, A, VIP, 1000, 81}, POD, .out = {SCTP, A, B, 1000, 8181}},
      {FROM_B, {SCTP, B, A, 8181, 1000, .payload = 1}, POD, .out = {SCTP, VIP, A, 81, 1000, .payload = 1}},
      {FROM_A, {SCTP, A, VIP, 1001, 81, .payload = 20}, POD, .out = {SCTP, A, B, 1001, 8181, .payload = 20}},
      {FROM_A,
       {SCTP, A, VIP, 1001, 81, .payload = 999},
       POD,
       .out = {SCTP, A, B, 1001, 8181, .payload = 999}},
      {FROM_A,
       {SCTP, A, VIP, 1001, 81, .payload = 1400},
       POD,
       .out = {SCTP, A, B, 1001, 8181, .payload = 1400}},
      {FROM_B,
       {SCTP, B, A, 8181, 1001, .payload = 1333},
       POD,
       .out = {SCTP, VIP, A, 81, 1001, .payload = 1333}}}},
    {"SV64 an SCTP checksum that the device will make is left to it",
     BOTH,
     sctp_service,
     {{FROM_A,
       {SCTP, A, VIP, 1000, 81, .payload = 100, .no_sum = 1},
       POD,
       .out = {SCTP, A, B, 1000, 8181, .payload = 100, .no_sum = 1}}}},
    {"SV64 a fragment of SCTP cannot get another port, one that keeps it passes",
     BOTH,
     sctp_service,
     {{FROM_A,
       {SCTP, A, VIP, 1000, 80, .payload = 200, .fragment_id = 7, .fragment_more = 1},
       POD,
       .out = {SCTP, A, B, 1000, 80, .payload = 200, .fragment_id = 7, .fragment_more = 1}},
      {FROM_A,
       {SCTP, A, VIP, 1000, 81, .payload = 200, .fragment_id = 7, .fragment_more = 1},
       DROPPED,
       DROP_PROTOCOL,
       IF_A}}},
    {"SV59 masquerade spares the ports of the node's own sockets",
     BOTH,
     two_snat_ports,
     {{FROM_A, {TCP, A, WORLD, 45000, 80, SYN}, OUT, .out = {TCP, N1, WORLD, 45001, 80, SYN}},
      {FROM_A, {UDP, A, WORLD, 45000, 53}, OUT, .out = {UDP, N1, WORLD, 45001, 53}},
      {FROM_B, {TCP, B, WORLD, 45000, 80, SYN}, DROPPED, DROP_SNAT_PORTS, IF_B},
      {FROM_B,
       {TCP, B, WORLD2, 45000, 80, SYN},
       OUT,
       .before = close_own,
       .out = {TCP, N1, WORLD2, 45000, 80, SYN}}}},
    {"SV64 SCTP goes out with another source port",
     BOTH,
     one_snat_port,
     {{FROM_A,
       {SCTP, A, WORLD, 1000, 80, .payload = 64},
       OUT,
       .out = {SCTP, N1, WORLD, 45000, 80, .payload = 64}},
      {UPLINK,
       {SCTP, WORLD, N1, 80, 45000, .payload = 65},
       POD,
       .out = {SCTP, WORLD, A, 80, 1000, .payload = 65}}}},
    {"SV10 a NodePort with its backend here keeps the client's address",
     BOTH,
     node_port_to_b,
     {{UPLINK, {TCP, WORLD, N1, 1000, NODE_PORT, SYN}, POD, .out = {TCP, WORLD, B, 1000, 8080, SYN}},
      {FROM_B, {TCP, B, WORLD, 8080, 1000, SYNACK}, OUT, .out = {TCP, N1, WORLD, NODE_PORT, 1000, SYNACK}},
      {UPLINK, {TCP, WORLD, N1, 1000, NODE_PORT, ACK}, POD, .out = {TCP, WORLD, B, 1000, 8080, ACK}},
      {UPLINK, {UDP, WORLD, N1, 1000, NODE_PORT}, POD, .out = {UDP, WORLD, B, 1000, 8080}},
      {FROM_B, {UDP, B, WORLD, 8080, 1000}, OUT, .out = {UDP, N1, WORLD, NODE_PORT, 1000}},
      {UPLINK, {TCP, WORLD, N1, 1000, NODE_PORT + 1, SYN}, STACK}}},
    {"NP39 SV10 a NodePort is judged by the client's address and the backend's port",
     BOTH,
     b_takes_world,
     {{UPLINK, {TCP, WORLD, N1, 1000, NODE_PORT, SYN}, POD, .out = {TCP, WORLD, B, 1000, 8080, SYN}},
      {UPLINK, {TCP, ROUTER, N1, 1000, NODE_PORT, SYN}, DROPPED, DROP_POLICY_INGRESS, IF_B, 100}}},
    {"SV11 a NodePort with its backend elsewhere: replies come back through this node",
     BOTH,
     node_port_routes,
     {{UPLINK, {TCP, WORLD, N1, 45001, NODE_PORT, SYN}, OUT, .out = {TCP, N1, R, 45001, 8080, SYN}},
      {UPLINK, {TCP, R, N1, 8080, 45001, SYNACK}, OUT, .out = {TCP, N1, WORLD, NODE_PORT, 45001, SYNACK}},
      {UPLINK, {TCP, WORLD, N1, 45001, NODE_PORT, ACK}, OUT, .out = {TCP, N1, R, 45001, 8080, ACK}}}},
    {"SV35 a NodePort on a node without backend goes into the tunnel",
     BOTH,
     node_port_to_r,
     {{UPLINK, {TCP, WORLD, N1, 45001, NODE_PORT, SYN}, TUNNEL, .out = {TCP, N1, R, 45001, 8080, SYN}},
      {UPLINK,
       {UDP, WORLD, N1, 45001, NODE_PORT, .payload = 1440, .dont_fragment = 1},
       ANSWERED,
       DROP_TOO_BIG,
       .out = {ICMP_ERROR, N1, WORLD, .icmp_type = 3, .icmp_code = 4, .mtu = 1450, .inner = &node_port_big,
	       .dont_fragment = 1}}}},
    {"SV49 a datagram for the node's own sockets, and their answer",
     BOTH,
     node_port_to_own,
     {{UPLINK, {UDP, WORLD, N1, 1000, NODE_PORT}, STACK, .out = {UDP, WORLD, N1, 1000, 8080}},
      {LEAVE, {UDP, N1, WORLD, 8080, 1000}, STACK, .out = {UDP, N1, WORLD, NODE_PORT, 1000}},
      {LEAVE, {UDP, N1, WORLD, 8080, 1001}, STACK},
      {LEAVE, {TCP, N1, WORLD, 8080, 1000, ACK}, STACK},
      {LEAVE, {UDP, A, WORLD, 8080, 1000}, STACK},
      {UPLINK, {UDP, WORLD, N1, 1000, NODE_PORT}, STACK, .out = {UDP, WORLD, N1, 1000, 8080}}},
     own_is_counted},
    {"SV49 SV62 what the stack says about it quotes the node port",
     BOTH,
     node_port_to_own,
     {{UPLINK, {UDP, WORLD, N1, 1000, NODE_PORT}, STACK, .out = {UDP, WORLD, N1, 1000, 8080}},
      {LEAVE,
       {ICMP_ERROR, N1, WORLD, .icmp_type = 3, .icmp_code = 3, .inner = &own_asked},
       STACK,
       .out = {ICMP_ERROR, N1, WORLD, .icmp_type = 3, .icmp_code = 3, .inner = &port_asked}}}},
    {"SV49 SV64 SCTP to the node's own sockets",
     BOTH,
     node_port_to_own,
     {{UPLINK,
       {SCTP, WORLD, N1, 1000, NODE_PORT, .payload = 40},
       STACK,
       .out = {SCTP, WORLD, N1, 1000, 8080, .payload = 40}},
      {LEAVE,
       {SCTP, N1, WORLD, 8080, 1000, .payload = 40},
       STACK,
       .out = {SCTP, N1, WORLD, NODE_PORT, 1000, .payload = 40}}}},
    {"SV52 a datagram sender to a NodePort moves with its backend",
     BOTH,
     node_port_to_b,
     {{UPLINK, {UDP, WORLD, N1, 1000, NODE_PORT}, POD, .out = {UDP, WORLD, B, 1000, 8080}},
      {UPLINK,
       {UDP, WORLD, N1, 1000, NODE_PORT},
       POD,
       .before = node_port_to_a,
       .out = {UDP, WORLD, A, 1000, 8080}}}},
    {"SV06 a NodePort without endpoints: the stack refuses",
     BOTH,
     node_port_empty,
     {{UPLINK, {TCP, WORLD, N1, 1000, NODE_PORT, SYN}, REFUSED, DROP_NO_BACKEND}}},
    {"a ClusterIP is not taken from outside",
     BOTH,
     vip_to_b,
     {{UPLINK, {TCP, WORLD, VIP, 1000, 80, SYN}, STACK}}},
    {"a pod reaches the NodePort of its own node",
     BOTH,
     node_port_to_b,
     {{FROM_A, {TCP, A, N1, 1000, NODE_PORT, SYN}, POD, .out = {TCP, A, B, 1000, 8080, SYN}},
      {FROM_B, {TCP, B, A, 8080, 1000, SYNACK}, POD, .out = {TCP, N1, A, NODE_PORT, 1000, SYNACK}}}},
    {"masquerade: out with the node's address, back to the pod",
     BOTH,
     NULL,
     {{FROM_A, {TCP, A, WORLD, 40001, 80, SYN}, OUT, .out = {TCP, N1, WORLD, 40001, 80, SYN}},
      {UPLINK,
       {TCP, WORLD, N1, 80, 40001, SYNACK},
       POD,
       .out = {TCP, WORLD, A, 80, 40001, SYNACK, .dmac = MAC_A, .smac = MAC_GW}},
      {FROM_A,
       {TCP, A, WORLD, 40001, 80, ACK, .payload = 5},
       OUT,
       .out = {TCP, N1, WORLD, 40001, 80, ACK, .payload = 5}},
      {FROM_A,
       {UDP, A, WORLD, 40001, 53, .payload = 5},
       OUT,
       .out = {UDP, N1, WORLD, 40001, 53, .payload = 5}},
      {UPLINK,
       {UDP, WORLD, N1, 53, 40001, .payload = 5},
       POD,
       .out = {UDP, WORLD, A, 53, 40001, .payload = 5}},
      {FROM_A, {PING, A, WORLD, 41001, .payload = 56}, OUT, .out = {PING, N1, WORLD, 41001, .payload = 56}},
      {UPLINK, {PONG, WORLD, N1, 41001, .payload = 56}, POD, .out = {PONG, WORLD, A, 41001, .payload = 56}}}},
    {"masquerade changes a port that is taken, and says when none is left",
     BOTH,
     one_snat_port,
     {{FROM_A, {TCP, A, WORLD, 1000, 80, SYN}, OUT, .out = {TCP, N1, WORLD, 45000, 80, SYN}},
      {FROM_B, {TCP, B, WORLD2, 1000, 80, SYN}, OUT, .out = {TCP, N1, WORLD2, 45000, 80, SYN}},
      {FROM_B, {TCP, B, WORLD, 1000, 80, SYN}, DROPPED, DROP_SNAT_PORTS, IF_B},
      {FROM_B, {UDP, B, WORLD, 1000, 80}, OUT, .out = {UDP, N1, WORLD, 45000, 80}},
      {FROM_A, {PING, A, WORLD, 5}, OUT, .out = {PING, N1, WORLD, 45000}},
      {UPLINK, {PONG, WORLD, N1, 45000}, POD, .out = {PONG, WORLD, A, 5}}}},
    {"the nodes' own network is reached without masquerade",
     BOTH,
     NULL,
     {{FROM_A, {TCP, A, NEAR, 1000, 80, SYN}, OUT}}},
    {"NP71 ICMP errors from outside about masqueraded packets reach the pod",
     BOTH,
     NULL,
     {{FROM_A,
       {UDP, A, WORLD, 40001, 53, .payload = 8},
       OUT,
       .out = {UDP, N1, WORLD, 40001, 53, .payload = 8}},
      {UPLINK,
       {ICMP_ERROR, ROUTER, N1, .icmp_type = 3, .icmp_code = 4, .inner = &masqueraded},
       POD,
       .out = {ICMP_ERROR, ROUTER, A, .icmp_type = 3, .icmp_code = 4, .inner = &masqueraded_back}},
      {FROM_A, {PING, A, WORLD, 41001}, OUT, .out = {PING, N1, WORLD, 41001}},
      {UPLINK,
       {ICMP_ERROR, ROUTER, N1, .icmp_type = 11, .inner = &ping_out},
       POD,
       .out = {ICMP_ERROR, ROUTER, A, .icmp_type = 11, .inner = &ping_back}},
      {UPLINK, {ICMP_ERROR, ROUTER, N1, .icmp_type = 3, .icmp_code = 3, .inner = &at_client}, STACK}}},
    {NULL},
};
