/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrivals: copies that other nodes send to tools of this one (relay.h), by a UDP socket that weft-agent has
 * bound to the uplink. A copy reaches a tool only if it comes from the address of another node of the
 * cluster, from a privileged port, and with the key of a tool port that is here. Nothing that arrives is
 * judged again.
 */
#ifndef WEFT_COPIER_ARRIVALS_H
#define WEFT_COPIER_ARRIVALS_H

#include <uv.h>

#include "base/addr.h"

struct copier;

/* What an epoch says of them. Arrays are owned. */
struct arrivals_tool {
	uint64_t key;
	uint32_t port; /* of the broker's */
};
struct arrivals_wants {
	struct addr own4, own6; /* this node's; zero: none */
	struct addr *nodes;	/* all others', of both families */
	struct arrivals_tool *tools;
	size_t nodes_n, tools_n;
	uint32_t outlet; /* by which answers leave; 0: none is given */
};
void arrivals_wants_fini(struct arrivals_wants *w);

struct arrivals_counts { /* received = whole + parts + asks + answers + stranger + unknown + malformed */
	uint64_t received;
	uint64_t whole, parts, asks, answers;
	uint64_t stranger;  /* of no node of the cluster */
	uint64_t unknown;   /* for no tool port of this node */
	uint64_t malformed; /* nothing that a weft-copier sends */
	/* Copies: arrived at tool ports = whole + joined. */
	uint64_t joined, incomplete; /* of parts; some of which did not come in time */
	uint64_t waiting;	     /* copies of which parts are still to come */
	uint64_t overflow;	     /* found no room in the socket, and are not among those received */
};

struct arrivals;
/* Takes the socket over. 0 or -errno. */
int arrivals_new(struct arrivals **out, struct copier *c, int fd);
void arrivals_free(struct arrivals **a);
/* Now and then, in ms: parts that wait for too long are given up. */
void arrivals_tick(struct arrivals *a, uint64_t ms);
const struct arrivals_counts *arrivals_counts(struct arrivals *a);

/* One datagram, as the socket gives it: for arrivals.c and tests. */
void arrivals_take(struct arrivals *a, const struct addr *from, uint16_t port, const uint8_t *p, size_t n);

#endif
