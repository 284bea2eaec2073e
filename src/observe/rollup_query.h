/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the roll-ups: a filter over what they know, a step of time, what to tell apart; the answer as
 * JSON. A node that told nothing at a time is unknown then, never zero. Pure; one thread at a time.
 */
#ifndef WEFT_OBSERVE_ROLLUP_QUERY_H
#define WEFT_OBSERVE_ROLLUP_QUERY_H

#include "filter/filter.h"
#include "observe/rollup.h"

/* X(ID, "name") */
#define ROLLUP_COLUMNS(X)                                                                                    \
	X(FROM, "from")                                                                                      \
	X(TO, "to")                                                                                          \
	X(SERVICE, "service")                                                                                \
	X(PORT, "port")                                                                                      \
	X(PROTOCOL, "protocol")                                                                              \
	X(NODE, "node")                                                                                      \
	X(VERDICT, "verdict")                                                                                \
	X(REASON, "reason")                                                                                  \
	X(RULE, "rule")
enum rollup_column {
#define X(id, name) ROLLUP_BY_##id,
	ROLLUP_COLUMNS(X)
#undef X
	    ROLLUP_BY_COUNT
};
/* "from,to,port", "workload" is from,to; "": none. 0, or -EINVAL with the names that there are in why. */
int rollup_by_parse(struct str text, unsigned *mask, struct buf *why);

/* Whether roll-ups know all fields of the filter: 0, or -ENOTSUP with the field and the reason. */
int rollup_filter_check(const struct filter *f, struct buf *why);
bool rollup_filter_match(const struct filter *f, const struct rollup_key *k);

struct rollup_ask {
	const struct filter *filter; /* NULL: all */
	int64_t since, until;	     /* seconds since 1970; until: INT64_MAX is open */
	int64_t step;		     /* seconds; 0: one sum */
	unsigned by;		     /* 1 << enum rollup_column */
	size_t limit;		     /* rows; 0: none */
	/* As history_query.view; on the thread that asks. */
	bool (*view)(const void *ctx, struct rollup_key *k);
	const void *view_ctx;
};
enum rollup_level rollup_ask_level(const struct rollup_ask *a, int64_t now);

struct rollup_answer;
int rollup_answer_new(struct rollup_answer **out, const struct rollup_ask *a);
void rollup_answer_free(struct rollup_answer **a);
/* ctx is the answer: the members of struct rollup_query. */
bool rollup_answer_want(void *ctx, const struct rollup_key *key, void **tag);
void rollup_answer_row(void *ctx, void *tag, enum rollup_level level, int64_t t,
		       const uint64_t v[ROLLUP_SUM_COUNT]);
void rollup_answer_known(void *ctx, struct str node, int64_t from, int64_t to);
/* A cell that waits, of that level. */
void rollup_answer_cell(struct rollup_answer *a, const struct rollup_cell *c);
/* A node that is there, heard of or not; from then on (ns). */
void rollup_answer_node(struct rollup_answer *a, struct str node, int64_t since);
/* {"rows":[…],"unknown":[{"node":…,"from":…,"to":…}]: without the closing brace. now: ns. 0 or -ENOMEM. */
int rollup_answer_print(struct rollup_answer *a, struct buf *out, int64_t now);

#endif
