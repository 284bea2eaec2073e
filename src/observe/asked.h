/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS questions of pods and their answers, joined: a record for each question, told when it is answered, or
 * ASKED_WAIT_NS later as one that nobody answered. A question that a pod sends again, with the same number
 * from the same port, is the same one. Bounded; what is not kept is counted. Times are monotonic ns.
 */
#ifndef WEFT_OBSERVE_ASKED_H
#define WEFT_OBSERVE_ASKED_H

#include "filter/record.h"
#include "observe/dnsmessage.h"

#define ASKED_WAIT_NS 10000000000ull
enum { ASKED_WAITING_MAX = 16384 };

struct asked_ends {
	struct addr asker, server;
	uint16_t asker_port, server_port; /* host order */
	uint16_t proto, pad;
};

struct asked_told { /* a question that is over */
	struct asked_ends ends;
	const char *name;
	uint16_t type;
	uint8_t code;		    /* or DNS_NO_ANSWER */
	uint64_t at, again_at;	    /* first asked, last asked or answered */
	uint64_t answer_ns;	    /* from the first question to the answer; valid when there is one */
	uint32_t packets, bytes[2]; /* questions sent; bytes of them, of the answer */
	const struct addr *addresses;
	unsigned addresses_len;
};

struct asked_counts {
	uint64_t questions, again; /* messages: first ones, and the same sent again */
	uint64_t answered, unanswered;
	uint64_t unasked; /* answers to no question that is waited for: too late, or not asked */
	uint64_t odd;	  /* messages that are no standard query or answer with one question */
	uint64_t no_room; /* questions that were not kept */
	size_t waiting;
};

struct asked_list;
int asked_new(struct asked_list **out, void (*fn)(void *ctx, const struct asked_told *t), void *ctx);
void asked_free(struct asked_list **list); /* what waits is not told */
/* A message, of which `n` bytes are there; `len`: its length on its way. */
void asked_take(struct asked_list *list, const struct asked_ends *e, bool answer, uint64_t at,
		const uint8_t *p, size_t n, uint32_t len);
/* Tells the questions that have waited long enough. */
void asked_tick(struct asked_list *list, uint64_t now);
struct asked_counts asked_counts(const struct asked_list *list);

#endif
