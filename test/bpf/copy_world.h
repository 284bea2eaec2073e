/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cases of copy.c need beside lab.h: weft-copy0 and weft-copy1 with their programs at node 1, a tool
 * behind tool0, taps and outlets by hand, the ring of a packet socket as weft-copier has it, and sockets that
 * send and take whole frames.
 *
 *   node1: wp101 (pod a), wp102 (pod b), uplink0, weft-copy0 ── weft-copy1, tool0 ── (namespace "a" …-tool)
 * tool1
 */
#ifndef WEFT_TEST_BPF_COPY_WORLD_H
#define WEFT_TEST_BPF_COPY_WORLD_H

#include "lab.h"

#include "seam/tap.h"

#define FRAME_MAX 70000

enum { JUDGE_ALL = 0, JUDGE_NONE = 1, JUDGE_OWN = 2, JUDGE_MISSING = 99 };

/* Bits of JUDGE_ALL: what its filters are. */
#define BIT_UDP	  1u /* udp && port == 7777 */
#define BIT_TCP	  2u /* tcp && port == 8080 */
#define BIT_OTHER 4u /* eth.type == 0x88b5 */
#define BIT_OWN	  1u /* of JUDGE_OWN: udp && dst.port == 4790 */

struct copy {
	uint8_t bytes[FRAME_MAX];
	uint32_t n;
	uint32_t mark;
	int tagged;
	uint16_t tci, tpid;
	uint16_t gso_size;
	uint8_t gso_type, needs_sum; /* of the virtio header */
};

/* 0, 1 when the machine lacks something, negative on failure. copies_down() also after a failure. */
int copies_up(struct lab *l);
void copies_down(struct lab *l);
/* Interface of node 1. */
uint32_t copies_index(const struct lab *l, const char *link);
void copies_link(const struct lab *l, const char *node, const char *link, const char *what);

/* At the ingress of an interface of node 1 that has no program yet. */
int copies_attach(const struct lab *l, const char *link, const struct bpf_program *prog);
/* What comes in there goes no further. */
int copies_swallow(const struct lab *l, const char *ns, const char *link);

void tap_put(uint32_t ifindex, const struct tap_value *v);
void taps_on(const struct lab *l); /* element 0 of BPF map outlet */
void taps_off(void);		   /* and no tap, no outlet, no count */
void outlet_put(uint32_t number, uint32_t ifindex, uint32_t way);
/* To that interface of node 1, edited on its way. */
void edit_put(const struct lab *l, uint32_t number, const char *link, const struct edit_value *e);
struct tapped_value tapped_now(uint32_t ifindex, uint32_t take);
struct outlet_count outlet_now(uint32_t number);

/* Whether they are the same; else it is said what is not. */
int same(const char *what, uint64_t x, uint64_t want);
int same_bytes(const char *what, const uint8_t *x, size_t n, const uint8_t *want, size_t want_n);

/* The next copy that the ring at weft-copy1 holds; 0: none within the deadline, of copy_more() a short one.
 */
int copy_next(struct copy *c);
int copy_more(struct copy *c);
void ring_close(void);
uint32_t copies_lost(void); /* for want of room in the ring, since the last call */

/* Whole frames at an interface of a namespace of the lab. frame_next() waits for one that carries `type`
 * behind the addresses, or behind a tag that it puts back; its length, 0: none within the deadline. */
int frame_socket(const struct lab *l, const char *ns, const char *link);
int frame_send(int fd, const uint8_t *bytes, size_t n);
size_t frame_next(int fd, uint16_t type, uint8_t *to, size_t size);

#endif
