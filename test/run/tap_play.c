/* SPDX-License-Identifier: Apache-2.0 */
/* See tap_play.h. */
#include "test/run/tap_play.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "test/run/applier_play.h"

static const struct filter_step to_port = {.op = STEP_RANGE,
					   .slot = SLOT_DPORT,
					   .yes = STEP_YES,
					   .no = STEP_NO,
					   .lo = {PORT_TAKEN},
					   .hi = {PORT_TAKEN}};
static const struct tap_form form = {.steps = &to_port, .n = 1};

/* Port 4000 at src0 goes to weft-copier, and straight to tool0. */
void want(struct wanted *w, uint32_t epoch)
{
	*w = (struct wanted){
	    .judge = {.forms = &form, .n = 1},
	    .places = {{.where = TAP_AT_INTERFACE,
			.name = "src0",
			.point = 5,
			.take = {[TAP_IN] = 1},
			.directs = 1,
			.direct = {{.outlet = 9, .take = {[TAP_IN] = 1}}}},
		       {.where = TAP_AT_POD, .ifindex = 10077, .point = 6, .take = {TAP_ALWAYS}}},
	    .outlets = {{.number = 9, .way = OUTLET_INTERFACE, .name = "tool0", .finish = true},
			{.number = 10, .way = OUTLET_POD, .ifindex = 10002}},
	};
	w->t = (struct taps){.epoch = epoch,
			     .judges = &w->judge,
			     .judges_n = 1,
			     .places = w->places,
			     .places_n = 2,
			     .outlets = w->outlets,
			     .outlets_n = 2};
}

/* --- frames ----------------------------------------------------------------------------------------- */

int packets_of(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)if_nametoindex(name)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || !at.sll_ifindex || bind(fd, (const struct sockaddr *)&at, sizeof(at)))
		die(name);
	return fd;
}

/* UDP over IPv4, 60 bytes. */
static void frame(uint8_t f[60], uint16_t port, uint8_t tag)
{
	static const uint8_t head[] = {2,  0, 0, 0, 0, 2,  2,  0, 0, 0,	 0, 1, 8, 0,  0x45, 0, 0,
				       46, 0, 1, 0, 0, 64, 17, 0, 0, 10, 9, 0, 1, 10, 9,    0, 2};

	memset(f, 0, 60);
	memcpy(f, head, sizeof(head));
	f[35] = 99;
	f[36] = (uint8_t)(port >> 8);
	f[37] = (uint8_t)port;
	f[39] = 26;
	f[59] = tag;
}

void send_frame(int out, uint16_t port, uint8_t tag)
{
	uint8_t f[60];

	frame(f, port, tag);
	if (send(out, f, sizeof(f), 0) != sizeof(f))
		die("send");
}

/* Tag of the next frame that comes in, 0: none within the time. */
int next_tag(int fd, int wait_ms)
{
	uint8_t f[2048];
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t end = clock_ms() + (uint64_t)wait_ms;

	while (clock_ms() <= end && poll(&p, 1, (int)(end - clock_ms())) > 0) {
		ssize_t n = recvfrom(fd, f, sizeof(f), 0, (struct sockaddr *)&from, &len);

		if (n == 60 && f[12] == 8 && f[23] == 17 && from.sll_pkttype != PACKET_OUTGOING)
			return f[59];
	}
	return 0;
}

/* Sends one that is left and one that is taken; the latter alone comes. */
bool taken(int out, int at, uint8_t tag)
{
	send_frame(out, PORT_LEFT, (uint8_t)(tag + 1));
	send_frame(out, PORT_TAKEN, tag);
	return next_tag(at, WAIT_MS) == tag && !next_tag(at, 50);
}

/* --- the world: src0 ↔ gen0 and tool0 ↔ end0, all in the node's namespace --------------------------- */

void tap_links(void)
{
	if (system(
		"ip link add src0 type veth peer name gen0 && ip link add tool0 type veth peer name end0 && "
		"for l in src0 gen0 tool0 end0; do sysctl -qw net.ipv6.conf.$l.disable_ipv6=1 && "
		"ip link set $l up; done"))
		die("links");
}

bool said(const char *command)
{
	return !system(command);
}

/* Whose program is at src0's ingress? The newest of that name. */
bool serves(const char *program)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "bpftool prog show id $(tc filter show dev src0 ingress | sed -n 's/.* id "
		 "\\([0-9]*\\).*/\\1/p') | "
		 "grep -q ' name %s '",
		 program);
	return said(command);
}
