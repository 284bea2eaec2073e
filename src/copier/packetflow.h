/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet flows: packets of one way added up by who sent them to whom and where they were seen, as an exporter
 * of flow records needs it. A flow is told when it falls silent, has gone on for long, or makes room for
 * another one. Pure: flows have the times of their packets; silence is measured by the caller's clock.
 */
#ifndef WEFT_COPIER_PACKETFLOW_H
#define WEFT_COPIER_PACKETFLOW_H

#include "base/addr.h"

struct packetflow_key {
	struct addr from, to;
	uint16_t from_port, to_port; /* host order; 0 for protocols without, and for later fragments */
	uint16_t vlan;		     /* number of the outer tag; 0: none */
	uint16_t reason;	     /* of a drop */
	uint32_t place;		     /* the caller's number */
	uint8_t proto;
	bool out, dropped;
	uint8_t zero; /* all bytes of a key count: it has no gaps */
};

enum packetflow_end { /* flowEndReason of RFC 5102 */
		      PACKETFLOW_IDLE = 1,
		      PACKETFLOW_ACTIVE = 2,
		      PACKETFLOW_ENDED = 3,
		      PACKETFLOW_FORCED = 4,
		      PACKETFLOW_ROOM = 5,
};

struct packetflow {
	struct packetflow_key key;
	uint64_t packets, bytes;
	uint64_t first, last; /* ns since 1970 */
	uint64_t number;      /* of the flow: the same in each record of it */
	bool ended;	      /* a FIN or RST was seen */
};

struct packetflows;
typedef void packetflow_told(void *ctx, const struct packetflow *f, enum packetflow_end why);
/* `most` flows at once; `idle` and `active` in ns. told() is called from the functions below. 0 or -ENOMEM.
 */
int packetflows_new(struct packetflows **out, uint32_t most, uint64_t idle, uint64_t active,
		    packetflow_told *told, void *ctx);
void packetflows_free(struct packetflows **t);

/* Adds one packet. A flow that has gone on for `active` is told as far as it came before it. */
void packetflows_add(struct packetflows *t, const struct packetflow_key *k, uint64_t time, uint32_t bytes,
		     bool ends);
/* Tells what was silent for `idle`. `now` in ns, of a clock that never goes back: what is added until the
 * next call was seen then. */
void packetflows_tick(struct packetflows *t, uint64_t now);
/* Tells all that is there. */
void packetflows_flush(struct packetflows *t);
uint64_t packetflows_packets(const struct packetflows *t); /* not told yet */

/* forwardingStatus of a flow's packets: why they were dropped, where RFC 7270, section 4.12, has a number for
 * the reason. */
uint8_t packetflow_status(const struct packetflow_key *k);

#endif
