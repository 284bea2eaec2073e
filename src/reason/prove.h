/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves an assertion for all pairs and ports, or finds one packet for which it does not hold. Pairs that no
 * policy can judge are left out: an end and itself, a node and its own pods, two ends outside of the cluster.
 */
#ifndef WEFT_REASON_PROVE_H
#define WEFT_REASON_PROVE_H

#include "reason/assertion.h"
#include "reason/ends.h"

struct packet {
	size_t src, dst; /* ends */
	int family;	 /* 0: IPv4 */
	uint8_t proto;	 /* one of port_protos */
	uint16_t port;
};
struct decision {     /* why it passes or not */
	uint8_t word; /* enum port_word, of both sides */
	struct fn_range egress, ingress;
};
struct proof {
	bool holds;
	uint64_t pairs;	      /* of ends, of which it was proven; all there are where it holds */
	size_t from, to;      /* ends that the two selections mean; 0: nobody, and it does not hold */
	struct packet packet; /* where it does not hold; of all such the easiest to replay */
	struct decision decision;
};

/* Blocks that the assertion names, to be put into `extra` of ends_new(). 0 or -ENOMEM. */
int assertion_regions(const struct assertion *a, struct regions *out);
/* e has one engine. 0 or -ENOMEM. */
int prove(const struct ends *e, const struct assertion *a, struct proof *out);
/* What the engine says of one packet. 0 or -ENOMEM. */
int decide(const struct ends *e, const struct packet *p, struct decision *out);
/* The pod declares that port. */
bool end_declares(const struct end *end, uint8_t proto, uint16_t port);

#endif
