/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roll-up: what records add up to, by second, minute and hour, under the names of their time. Connections
 * that are open add what they grew by, so that the sums over all buckets are the connections' own totals, to
 * the byte. A pure accumulator: it is told times and keeps what was not yet written; rollup_file.h writes it.
 * Times are the nodes' own: a hub whose clock jumps changes nothing. Used by one thread.
 */
#ifndef WEFT_OBSERVE_ROLLUP_H
#define WEFT_OBSERVE_ROLLUP_H

#include "base/vec.h"
#include "filter/record.h"
#include "observe/report.h"

enum rollup_level { ROLLUP_SECOND, ROLLUP_MINUTE, ROLLUP_HOUR, ROLLUP_LEVELS };
extern const int64_t rollup_span[ROLLUP_LEVELS]; /* seconds of a bucket */

/* X(member, "jsonName"): sums; the last ROLLUP_MAXES are largest values. events: drops, and what staged
 * policies would have done. */
#define ROLLUP_SUMS(X)                                                                                       \
	X(begun, "begun")                                                                                    \
	X(closed, "closed")                                                                                  \
	X(reset, "reset")                                                                                    \
	X(unanswered, "unanswered")                                                                          \
	X(cut, "cut")                                                                                        \
	X(unseen, "endUnseen")                                                                               \
	X(events, "events")                                                                                  \
	X(bytes_there, "bytesThere")                                                                         \
	X(bytes_back, "bytesBack")                                                                           \
	X(packets_there, "packetsThere")                                                                     \
	X(packets_back, "packetsBack")                                                                       \
	X(retransmits, "retransmits")                                                                        \
	X(resets, "resets")                                                                                  \
	X(zero_windows, "zeroWindows")                                                                       \
	X(handshakes, "handshakes")                                                                          \
	X(handshake_us, "handshakeMicroseconds")                                                             \
	X(rtts, "roundTrips")                                                                                \
	X(rtt_us, "roundTripMicroseconds")                                                                   \
	X(handshake_max, "handshakeMaxMicroseconds")                                                         \
	X(rtt_max, "roundTripMaxMicroseconds")

enum rollup_sum {
#define X(member, name) ROLLUP_##member,
	ROLLUP_SUMS(X)
#undef X
	    ROLLUP_SUM_COUNT
};
enum { ROLLUP_MAXES = 2 };
/* Adds y to x. */
void rollup_add(uint64_t x[ROLLUP_SUM_COUNT], const uint64_t y[ROLLUP_SUM_COUNT]);

struct rollup_end {
	enum identity_kind kind;
	struct str ns, what_kind,
	    what; /* "shop", "Deployment", "web"; outside: "", "Prefix" or "Domain", it */
};
enum { ROLLUP_NETWORK_TEXT = ADDR_TEXT + 4 };
/* Who an end is added up as: the workload of a pod; the network of an address without a name, whose text is
 * put into `network`. */
void rollup_end_of(const struct record_end *e, char network[ROLLUP_NETWORK_TEXT], struct rollup_end *out);

/* What is added up together. Shared and counted; lives as long as a cell or connection that has it. */
struct rollup_key {
	uint32_t refs;
	int64_t file_id;   /* of the file's own; 0: not in it */
	int64_t file_hour; /* the newest hour for which the file knows that it is used */
	struct rollup_end from, to;
	struct str service_ns, service, node;
	uint16_t port, service_port, reason;
	uint8_t proto, verdict, kind;
	uint32_t cause, rule_egress, rule_ingress;
	char text[]; /* all texts */
};

struct rollup_cell {
	int64_t t; /* the bucket's first second since 1970 */
	struct rollup_key *key;
	enum rollup_level level;
	uint64_t v[ROLLUP_SUM_COUNT];
};

struct rollup_open { /* an open connection as it was last told */
	uint64_t id;
	struct str node; /* of its key */
	struct rollup_key *key;
	uint64_t bytes[2], packets[2];
	uint32_t retransmits, resets, zero_windows, epoch;
	bool handshake; /* was counted */
};

struct rollup_node { /* what is known of one */
	char *name;
	uint32_t epoch;
	uint64_t next, lost; /* number of the record that comes next; lost ones of this epoch */
	int64_t from, to;    /* ns: without a gap since then, until then */
	uint64_t mono;	     /* ns: of the last report */
	int64_t epoch_since;
	bool dirty, old_open; /* has connections that this epoch did not tell yet */
};

struct rollup_limits {
	uint32_t open;	   /* connections that are followed; others count at their end */
	uint32_t fresh;	   /* new cells between two drains; more are folded together */
	uint32_t networks; /* new keys with an outside network in an hour; more are folded together */
	uint32_t cells;	   /* cells of seconds that wait; older ones are given up */
};
struct rollup;
int rollup_new(struct rollup **out, const struct rollup_limits *limits); /* 0 or -ENOMEM */
void rollup_free(struct rollup **r);

/* A report begins: whether something is missing before it. mono: ns of a clock that does not jump. NULL: out
 * of memory. */
struct rollup_node *rollup_report(struct rollup *r, struct str node, const struct report *report,
				  uint64_t mono);
/* Record `number` of the report's epoch; a known one is skipped. Ends' `who` are set. 0 or -ENOMEM. */
int rollup_take(struct rollup *r, struct rollup_node *node, uint64_t number, const struct record *record);

/* What waits to be written. The holder gives it back, or frees it. */
struct rollup_batch {
	VEC(struct rollup_cell) cells;
	VEC(struct rollup_open) open;  /* changed ones */
	VEC(struct rollup_open) over;  /* ended ones: node and id, with a key that holds the node's name */
	VEC(struct rollup_node) nodes; /* their names are borrowed from the roll-up */
};
/* Takes all of it out. 0 or -ENOMEM (then it stays). */
int rollup_drain(struct rollup *r, struct rollup_batch *out);
/* It could not be written: back into what waits. */
void rollup_restore(struct rollup *r, struct rollup_batch *batch);
/* It was written: lets it go. */
void rollup_written(struct rollup *r, struct rollup_batch *batch);
/* Calls fn with each cell that waits. */
void rollup_each(const struct rollup *r, void (*fn)(void *ctx, const struct rollup_cell *c), void *ctx);
/* The nodes that told something, in no order. */
struct rollup_node *const *rollup_nodes(const struct rollup *r, size_t *n);

/* For the file, at the start: a shared key of these values (texts are copied); counted. NULL: no memory. */
struct rollup_key *rollup_key_get(struct rollup *r, const struct rollup_key *like);
int rollup_load_open(struct rollup *r, const struct rollup_open *o);	 /* takes its key over, if 0 */
int rollup_load_node(struct rollup *r, const struct rollup_node *known); /* copies the name */
/* The file begins now: connections that are older count from what is told of them first. mono as above. */
void rollup_begins(struct rollup *r, uint64_t mono);

/* Another file: it knows nothing of what the last one knew. */
void rollup_forget_file(struct rollup *r);

struct rollup_counts {
	uint64_t taken, folded, gave_up, untracked, baselines;
	size_t open, waiting, keys;
};
struct rollup_counts rollup_counts(const struct rollup *r);

#endif
