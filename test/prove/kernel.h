/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel as a witness: the real programs and BPF maps of several nodes at once, loaded once each. Rows go
 * in as the applier would write them; frames run through the hooks with BPF_PROG_TEST_RUN. Needs root; the
 * caller is in a network namespace of its own.
 */
#ifndef WEFT_TEST_PROVE_KERNEL_H
#define WEFT_TEST_PROVE_KERNEL_H

#include "compile/plan.h"
#include "seam/ask.h"

enum { KERNEL_UPLINK = 2, FRAME_MAX = 512, TOLD_MAX = 8 };

struct kernel_node;
/* Makes the interfaces that frames come in at: the uplink, and those of pods from `first` on. 0 or -errno. */
int kernel_interfaces(uint32_t first, uint32_t n);
int kernel_open(struct kernel_node **out);
void kernel_close(struct kernel_node **k);
/* Nothing is there but what the programs were made with. */
void kernel_reset(struct kernel_node *k);
/* Connections that nobody answered and translations; all: also those that are answered, fragments and counts.
 */
void kernel_forget(struct kernel_node *k, bool all);
/* The addresses that DNS answers gave. */
void kernel_unlearn(struct kernel_node *k);
/* 0 or -errno. */
int kernel_change(struct kernel_node *k, const struct change *c);
/* The elements of all planned BPF maps are those of the plan: 0, else what differs is told in `why`. */
int kernel_holds(struct kernel_node *k, const struct plan *p, struct buf *why);

enum kernel_hook { HOOK_FROM_POD, HOOK_TO_POD, HOOK_UPLINK };
struct told { /* an event */
	uint32_t type, ifindex, reason, direction, cause;
};
struct ran {
	int action; /* TC_ACT_… */
	uint8_t frame[FRAME_MAX];
	size_t len;
	struct told told[TOLD_MAX];
	size_t n;
};
int kernel_run(struct kernel_node *k, enum kernel_hook hook, uint32_t ifindex, const uint8_t *frame,
	       size_t len, struct ran *r);
/* Says that the owner of an address changed. */
int kernel_gone(struct kernel_node *k, const void *addr);
/* Runs weft_gc with GC_… of seam/conn.h, and forgets who is gone. 0 or -errno. */
int kernel_gc(struct kernel_node *k, uint32_t order);
bool kernel_get(struct kernel_node *k, enum plan_map m, const void *key, void *value);
/* Takes an element of a BPF map away behind everybody's back; false: it is empty. */
bool kernel_spoil(struct kernel_node *k, enum plan_map m);
/* weft_ask. 0 or -errno. */
int kernel_ask(struct kernel_node *k, struct ask *a);
/* Events that found no room, which would make a drop look like none. */
uint64_t kernel_lost(struct kernel_node *k);

#endif
