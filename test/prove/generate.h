/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random clusters: three nodes, up to twelve pods in four namespaces, policies of both kinds with all their
 * fields, over alphabets so small that things match. Each change is an object's whole text.
 */
#ifndef WEFT_TEST_PROVE_GENERATE_H
#define WEFT_TEST_PROVE_GENERATE_H

#include "base/addr.h"
#include "dice.h"
#include "history.h"

enum {
	NODES = 3,
	SPACES = 4,
	PODS = 12,
	POLICIES = 10,
	CLUSTER_POLICIES = 6,
	SERVICES = 4,
	SLOTS = 16,
	SLOT_FIRST = 4
};

struct generator {
	struct dice dice;
	struct {
		bool live, v4; /* it has its addresses; one of IPv4 */
		uint32_t node, slot;
	} pods[PODS];
	uint32_t lives;		       /* of pods, for uids */
	VEC(uint16_t) ports;	       /* that rules and pods name */
	VEC(struct addr) known;	       /* addresses that may be asked about */
	bool cluster_policies, staged; /* are made */
	uint32_t closeness; /* percent of rules that are wide, so that seeds differ in what they allow */
};

void generator_init(struct generator *g, uint64_t seed);
void generator_fini(struct generator *g);
void generate_cluster(struct generator *g, struct batch *b); /* the first batch */
void generate_answers(struct generator *g, struct batch *b); /* of DNS, after the changes */
void generate_change(struct generator *g, struct batch *b);  /* one more change */

/* policies.c */
void generate_policy(struct generator *g, struct batch *b, uint32_t i);
void generate_cluster_policy(struct generator *g, struct batch *b, uint32_t i);
extern const char *const cluster_policy_names[CLUSTER_POLICIES];
/* services.c: one port, one endpoint, and the endpoint of a pod that may be gone */
void generate_service(struct generator *g, struct batch *b, uint32_t i);
/* selectors.c */
void generate_labels(struct generator *g, struct buf *b, bool space, bool dns);
void generate_selector(struct generator *g, struct buf *b, bool space);
void generate_prefix(struct generator *g, struct buf *b, struct prefix *out); /* as text in quotes */
void generate_block(struct generator *g, struct buf *b);
uint16_t generate_port(struct generator *g); /* one that others name too; never 0 */

const char *space_name(uint32_t i);
extern const char *const port_names[4];
extern const char *const domain_patterns[6];

#endif
