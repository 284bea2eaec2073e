/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Since when a verdict is as it is: the newest changes of rows by which packets are judged, each with the
 * time at which it was in force. What is older than they, or happened before this process knew the kernel,
 * counts as changed then. Times are ns since 1970, by the node's clock: those of packets.
 */
#ifndef WEFT_AGENT_SINCE_H
#define WEFT_AGENT_SINCE_H

#include "base/addr.h"
#include "base/vec.h"
#include "compile/plan.h"

enum { SINCE_MAX = 4096 };

struct since_change {
	uint8_t whom; /* enum since_whom of since.c */
	uint32_t set;
	struct addr addr;
	uint64_t at;
};
struct since {
	struct since_change ring[SINCE_MAX];
	uint64_t n;	/* that were ever noted: the newest stands at (n - 1) % SINCE_MAX */
	uint64_t begun; /* n when the changes under way began */
	uint64_t floor; /* all may have been otherwise before this; 0: nothing is in force yet */
	uint64_t newest;
};

/* The rows of a commit that goes out. */
void since_begin(struct since *s, const struct plan_delta *d);
/* They are in force; or nobody knows what is, until the next that are. */
void since_end(struct since *s, bool in_force, uint64_t now);
/* Of verdicts about these two addresses by this policy set. 0: not known. */
uint64_t since_of(const struct since *s, const struct addr *a, const struct addr *b, uint32_t set);
/* Of any. */
uint64_t since_any(const struct since *s);

#endif
