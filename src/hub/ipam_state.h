/* SPDX-License-Identifier: Apache-2.0 */
/* What is given out. Private to ipam.c (pods) and ipam_service.c. */
#ifndef WEFT_HUB_IPAM_STATE_H
#define WEFT_HUB_IPAM_STATE_H

#include "base/hash.h"
#include "hub/ipam.h"

struct node_range {
	struct prefix v4, v6;
	bool has4, has6, known;
	uint32_t slots;	 /* host parts 2 to slots - 1 are for pods */
	uint32_t cursor; /* where the next search begins */
	uint32_t used;
	uint32_t words;
	uint64_t *bits;
};

struct ipam {
	struct prefix services4, services6;
	struct hash balancers; /* 16 address bytes of status.loadBalancer → "ns/name", owned */
	struct hash addrs;     /* 16 address bytes → "ns/name", owned */
	struct hash ports;     /* "TCP:30080" → "ns/name", owned */
	struct hash ranges;    /* node → struct node_range */
};

/* "TCP:30080" into out[24]. */
struct str ipam_port_key(char out[24], struct str protocol, int64_t port);

#endif
