/* SPDX-License-Identifier: Apache-2.0 */
/* How history keeps its records. Private to history.c, history_record.c and history_ask.c. */
#ifndef WEFT_OBSERVE_HISTORY_STATE_H
#define WEFT_OBSERVE_HISTORY_STATE_H

#include "base/hash.h"
#include "base/vec.h"
#include "observe/history.h"

enum { NOBODY = 0, SUMS = 2 * (RECORD_DNS + 1) };

struct end { /* an address and who had it */
	struct addr addr;
	const struct identity *who; /* a reference */
	uint32_t refs;
};

struct text {
	char *p; /* owned */
	uint32_t n, refs;
};

struct kept {
	uint64_t id, bytes[2], packets[2];
	int64_t first, last;
	uint32_t from, to, via; /* ends; via 0: none */
	uint32_t dns;		/* text; 0: none */
	uint32_t cause, rule_egress, rule_ingress, epoch;
	uint32_t handshake_us, rtt_us[2], retransmits[2];
	uint16_t from_port, to_port, via_port, reason, resets, zero_windows[2], node, dns_type;
	uint8_t proto, verdict, state, dns_code;
	uint8_t kind, ended, again, doubted, reset_by, tcp_seen;
	uint32_t number;
	uint64_t news; /* number of the last time that it began, ended or took another state */
};
_Static_assert(sizeof(struct kept) == 152, "a record of history");

enum { ANSWERED, LESSER, QUESTIONS, RINGS };

struct circle { /* of ended ones */
	struct kept *items;
	uint32_t max, len, next;
	uint64_t entered; /* ever */
	int64_t since;
};

struct node_sums {
	struct history_sum of[SUMS]; /* by kind and again */
};

struct history {
	struct identities *ids;
	struct circle rings[RINGS];
	VEC(struct kept) open;
	uint32_t open_max, open_lesser;
	struct hash by_id; /* (node, id) → index in open, + 1 */
	VEC(struct end) ends;
	VEC(uint32_t) free_ends;
	struct hash by_end;
	VEC(struct text) texts; /* 0: none */
	VEC(uint32_t) free_texts;
	struct hash by_text;
	VEC(char *) nodes;
	VEC(struct node_sums) sums; /* one for each node */
	uint64_t put, pushed_out, no_room, news;
	size_t text_bytes;
	void (*on_silent_end)(void *ctx, const struct record *r); /* or NULL */
	void *silent_ctx;
};

static inline unsigned kept_ring(const struct kept *k)
{
	if (k->kind == RECORD_DNS)
		return QUESTIONS;
	return k->kind == RECORD_FLOW && k->state != STATE_UNANSWERED ? ANSWERED : LESSER;
}

/* A number as the value of a hash, in which NULL is nothing. */
static inline void *as_value(uint32_t n)
{
	return (void *)(uintptr_t)(n + 1);
}

/* history_record.c: packs r, whose ends are looked up where they have no name; what k refers to is counted. 0
 * or -ENOMEM. */
int kept_pack(struct history *h, const struct record *r, struct kept *k);
/* The record is valid until the history changes. */
void kept_unpack(const struct history *h, const struct kept *k, struct record *r);
/* What k refers to has one reference less. */
void kept_let_go(struct history *h, const struct kept *k);
/* The number of a node's name, made if it is new. 0 or -ENOMEM. */
int history_node(struct history *h, const char *name, uint16_t *out);

#endif
