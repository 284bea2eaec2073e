/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Canaries: frames that are no copies, by which a tool is asked to show that it is there (`health.answers`).
 * To an interface or a pod goes what any IP stack answers, and what a tool may simply turn around; to a
 * tunnel's far end an echo request. What comes back the kernel counts (seam/tap.h): any frame to the
 * canaries' own MAC address, an echo with the cookie of one of the last canaries.
 */
#ifndef WEFT_COPIER_CANARY_H
#define WEFT_COPIER_CANARY_H

#include "base/addr.h"
#include "copier/outlets.h"

enum canary_kind { CANARY_NONE, CANARY_NEAR, CANARY_FAR };
enum { CANARY_ROOM = 128, CANARY_COOKIES = 4 };

struct canary {
	enum canary_kind kind;
	uint32_t outlet;
	struct addr from;		  /* FAR: the node's address */
	struct addr to;			  /* FAR: the far end; NEAR: the pod's address, or zero: not known */
	uint32_t within;		  /* ms in which an answer must come */
	uint64_t next;			  /* ms of the next one; 0: at once */
	uint64_t heard;			  /* ms of the last answer, at first of the beginning */
	uint64_t answers;		  /* counted when it was heard */
	uint64_t cookies[CANARY_COOKIES]; /* of the last ones */
	unsigned sent;
	bool silent; /* no answer within the time */
};

/* Sets what it is about; where that is as before, what was heard stays. */
void canary_set(struct canary *k, const struct canary *want, uint64_t ms);
/* The frame of the newest cookie: its length. Pure. */
size_t canary_frame(const struct canary *k, uint8_t out[CANARY_ROOM]);
/* About every 100 ms: sends one when it is time for it, and listens. Sets `silent`; while the kernel's
 * counts are not known nothing is. `send` as of struct output_host. */
void canary_tick(struct canary *k, struct outlets *counts,
		 int (*send)(void *ctx, uint32_t outlet, const uint8_t *frame, uint32_t n), void *ctx,
		 uint64_t ms);

#endif
