/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BPF case: how the cluster of world.h is changed, then packets, each with what must become of it. Cases
 * are written in IPv4 and run in both families; here() gives an address in the family of the present run.
 * Every frame that goes on is compared whole: where a step says nothing else, it must be what came in with
 * one hop less.
 */
#ifndef WEFT_TEST_BPF_CASES_H
#define WEFT_TEST_BPF_CASES_H

#include "world.h"

enum at { FROM_A = 1, FROM_B, FROM_R, TO_A, TO_B, UPLINK, TUNNEL_OUT, LEAVE };

enum expect {
	POD,	  /* handed to a pod */
	TUNNEL,	  /* into the tunnel */
	OUT,	  /* out of the uplink */
	STACK,	  /* to the node's stack; from it, let through */
	DROPPED,  /* with `reason` */
	REFUSED,  /* counted as dropped with `reason`, and left to the stack, which tells the sender */
	ANSWERED, /* counted as dropped with `reason`, and turned into its own refusal, `out` */
};

struct step {
	enum at at; /* 0 ends the list */
	struct spec in;
	enum expect expect;
	enum drop_reason reason;
	uint32_t judged; /* DROPPED by policy: interface of the pod; 0: not looked at */
	uint32_t cause;	 /* as in drop_key: the policy set, the rule, or 0 where no policy drops */
	struct spec out; /* NOTHING: as in */
	void (*before)(void);
};

enum family { BOTH, ONLY_V4, ONLY_V6 };

struct bpf_case {
	const char *name;
	enum family family;
	void (*set_up)(void);
	struct step steps[12];
	int (*check)(void); /* nonzero: failed, with a TAP comment */
};

extern const struct bpf_case path_cases[], policy_cases[], port_cases[], change_cases[], names_cases[],
    learn_cases[], service_cases[], client_cases[], direct_cases[], asked_cases[], state_cases[],
    tcp_cases[]; /* end with a NULL name */

extern int run_v6; /* the family of the present run */
const char *here(const char *v4_text);
/* A value that must be; prints what it is where it is not. Returns nonzero then. */
int must_be(const char *what, uint64_t got, uint64_t want);

/* The addresses of world.h and a few more, for the literals. */
#define A      "10.1.0.5"
#define B      "10.1.0.6"
#define R      "10.2.0.7"
#define N1     "192.0.2.1"
#define N2     "192.0.2.2"
#define WORLD  "198.51.100.9"
#define WORLD2 "198.51.100.10"
#define NEAR   "192.0.2.77" /* in the nodes' own network, no node */
#define ROUTER "203.0.113.1"
#define VIP    "10.96.0.1"
#define VIP2   "10.96.0.2"
#define VIP3   "203.0.113.200" /* a balancer's */
#define GONE   "10.1.0.99"     /* in this node's pod range, nobody's */
#define GONE2  "10.2.0.99"     /* in node-2's */
#define LINK   "169.254.1.1"
#define GROUP  "224.0.0.251"

#define RSTACK 0x14
#define MAC_A  "02:00:00:00:00:05"
#define MAC_B  "02:00:00:00:00:06"
#define MAC_GW "02:57:45:46:54:01"

#endif
