/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of `weft why --copy` share: packets that stand for a question, the places that see them, and
 * the answer, one document that text is made from. Failures are told by the function that met them.
 */
#ifndef WEFT_CLI_COPIES_H
#define WEFT_CLI_COPIES_H

#include <jansson.h>

#include "broker/explain.h"
#include "cli/why.h"

enum { COPIES_FRAME = 192, COPIES_PORT = 40000 };

/* The first packet of a flow, one way: a SYN, a datagram, an echo request; Ethernet, without payload. */
struct copies_flow {
	struct addr from, to;
	uint16_t from_port, to_port;
	uint8_t proto;
	bool answer; /* SYN and ACK; echo reply */
};
struct chain_packet copies_packet(uint8_t frame[COPIES_FRAME], const struct copies_flow *f);

/* The same within the tunnel of two nodes: in VXLAN, from a port that stands for any. `frame`: another one.
 */
struct chain_packet copies_outer(uint8_t frame[COPIES_FRAME], const struct chain_packet *inner,
				 const struct addr *from, const struct addr *to);

/* Packet `number` (from 1) of a capture; its bytes are *bytes (owned). The process seals itself before it
 * reads: it can open nothing any more. 0 or -1 (told). */
int copies_capture(const char *path, long number, struct chain_packet *out, uint8_t **bytes);

/* A packet as a place sees it. */
struct copies_seen {
	const char *place, *kind, *node;  /* kind: pod, uplink, interface, capture */
	const struct chain_packet *inner; /* that the packet carries, or NULL */
	const char *way;		  /* "there", "back", "packet 7 of FILE" */
	const struct chain_packet *packet;
	const uint32_t *sources;
	uint32_t sources_n;
	unsigned direction, fate; /* BROKER_… */
	const bool *down;	  /* by tool port; NULL: not known */
};
/* One entry of the document's "places" (owned), or NULL when out of memory. */
json_t *copies_explain(const struct broker *b, const struct copies_seen *s);

void copies_print(const json_t *answer);
int cmd_why_copy(const struct options_why *o);

#endif
