/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The little cluster that each BPF case starts from, and the means to change it: node-1 (this one) with pods
 * a and b, node-2 with pod r, an outside host. Loads the programs once, empties the BPF maps between cases.
 *
 *   node-1  192.0.2.1   2001:db8::1        a  10.1.0.5  fd00:1::5  interface 101
 *   node-2  192.0.2.2   2001:db8::2        b  10.1.0.6  fd00:1::6  interface 102
 *   uplink 2, tunnel 3                     r  10.2.0.7  fd00:2::7  on node-2
 */
#ifndef WEFT_TEST_BPF_WORLD_H
#define WEFT_TEST_BPF_WORLD_H

#include "packet.h"
#include "weft.skel.h"
#include <bpf/bpf.h>

#include "seam/ask.h"
#include "seam/class.h"
#include "seam/config.h"
#include "seam/conn.h"
#include "seam/endpoint.h"
#include "seam/event.h"
#include "seam/name.h"
#include "seam/policy.h"
#include "seam/service.h"

#define IF_UPLINK 2
#define IF_TUNNEL 3
#define IF_A	  101
#define IF_B	  102

#define CLASS_A	  11u
#define CLASS_B	  12u
#define CLASS_R	  13u
#define CLASS_N1  21u
#define CLASS_N2  22u
#define CLASS_NET 31u /* of a block that a case adds */

#define IF_R 103

extern struct weft *world; /* the node that all functions here speak of */

int world_load(void);	/* 0, or negative errno with a TAP comment */
void world_reset(void); /* the cluster as above */
struct addr16 addr(const char *text);

void set_pod(const char *name, uint32_t ingress_set, uint32_t egress_set); /* "a", "b" or, on node-2, "r" */
void set_staged(const char *name, uint32_t ingress_set, uint32_t egress_set); /* of a pod that is there */
void set_pod_flags(const char *name, uint32_t flags);			      /* the same */
void remove_pod(const char *name);
void set_address(const char *text, uint32_t class, uint32_t node, uint32_t flags);
void set_range(const char *text, uint32_t len, uint32_t kind,
	       uint32_t node);	       /* len in the family's own form */
struct config_value *config_now(void); /* a copy, valid until the next call */
void config_put(const struct config_value *c);
void set_mode(uint32_t mode);
void set_snat(uint16_t low, uint16_t high);
void set_policy(uint32_t set, uint32_t class, uint32_t portset, uint32_t rule);
void set_policy_one(uint32_t set, uint32_t class, uint8_t proto, uint16_t port, uint32_t rule);
/* len as in struct port_key; port in host order. The elements of BPF map policy that are there already learn
 * the length; _only() leaves them at whole ports. */
void set_port_only(uint32_t portset, uint32_t len, uint8_t proto, uint16_t port, uint32_t verdict,
		   uint32_t rule);
void set_port(uint32_t portset, uint32_t len, uint8_t proto, uint16_t port, uint32_t verdict, uint32_t rule);
void set_names(uint32_t portset, uint32_t len, uint8_t proto, uint16_t port, uint32_t rule, uint32_t names);
void set_block(const char *prefix, uint32_t len, uint32_t class); /* len in the family's own form */
void set_trie(void);						  /* the blocks move to the trie */
/* backends: "addr port addr port …" */
void set_service(const char *addr_text, uint16_t port, uint8_t proto, uint32_t flags, uint32_t list,
		 const char *backends);

/* The rest of a service that is there. */
struct service_more {
	uint32_t affinity, service;
	uint32_t out_list;
	const char *out; /* backends for clients from outside; NULL: as they are */
};
void set_service_more(const char *addr_text, uint16_t port, uint8_t proto, const struct service_more *more);
void set_fault(uint32_t ifindex, uint32_t millionths);
void set_source_range(uint32_t service, const char *prefix, uint32_t len); /* len in the family's own form */

struct run {
	int verdict;
	uint8_t out[PACKET_MAX];
	size_t out_len;
	uint32_t nanoseconds;
};
/* Runs a tc program over a frame. gso_size 0: not a packet that is cut later. */
int world_run(const struct bpf_program *prog, uint32_t ifindex, const uint8_t *frame, size_t len,
	      uint32_t gso_size, int repeat, struct run *r);
int world_gc(uint32_t flags); /* GC_…; entries removed */
/* Asks weft_ask; 0 or negative errno. */
int world_ask(struct ask *a);

uint64_t read_counter(uint32_t which);
uint64_t read_drops(uint32_t ifindex, uint16_t reason, uint16_t direction, uint32_t cause);
uint64_t read_staged(uint32_t ifindex, uint16_t reason, uint16_t direction, uint32_t cause);
size_t map_size(const struct bpf_map *map); /* elements, by walking */
size_t map_keys(const struct bpf_map *map, void *keys, size_t key_len, size_t most);
int last_event(struct event *e); /* 1: there was one since the last reset; the last one */
/* Ages every connection, translation and affinity by so many seconds. */
void age_all(uint64_t seconds);

#endif
