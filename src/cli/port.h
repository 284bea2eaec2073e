/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interface of this host as a port of a broker: what the kernel says of it in a message of rtnetlink.
 * Pure: who asks the kernel is broker_ports.c.
 */
#ifndef WEFT_CLI_PORT_H
#define WEFT_CLI_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum port_link { PORT_DOWN, PORT_NO_CARRIER, PORT_UP, PORT_ABSENT };

struct port_count {
	uint64_t packets, bytes, errors, drops;
};

struct port {
	uint32_t index;
	char name[16], kind[16]; /* "ethernet", "loopback", "veth", "vlan", … */
	enum port_link link;
	uint32_t mtu;
	uint32_t speed;		 /* Mbit/s; 0: not known */
	bool address;		 /* has one that is not link-local */
	bool source, feed, tool; /* of the maps and Tools in force */
	struct port_count in, out;
};

/* A message RTM_NEWLINK of `n` bytes, header included. 0; -EINVAL: it is none, or is cut short. */
int port_decode(struct port *out, const void *message, size_t n);
/* A message RTM_NEWADDR: the interface that has an address which is not link-local; 0: it says of none. */
uint32_t port_addressed(const void *message, size_t n);

const char *port_link_word(enum port_link link); /* "up", "no-carrier", "down", "absent" */
const char *port_role(const struct port *p);	 /* "in", "feed", "tool", "both", "none" */
/* eth2 before eth10: -1, 0, 1 as strcmp. */
int port_compare(const char *a, const char *b);

#endif
