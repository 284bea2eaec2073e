/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nodes' flows, joined: takes their reports, gives each end the name that it had at the time, keeps the
 * newest records, answers questions with a filter. A node that says nothing is told as unknown, never as
 * without traffic. On the hub's loop.
 */
#ifndef WEFT_HUB_FLOWS_H
#define WEFT_HUB_FLOWS_H

#include "hub/rollup.h"
#include "observe/sight.h"
#include "serve/api.h"

struct flows;
struct alerts;
/* Follows the store's pods, nodes and Services; keeps that many records, and passes all on. 0 or -errno. */
int flows_new(struct flows **out, struct store *s, struct rollups *rollups, uint32_t records);
void flows_free(struct flows **f);
/* A report of a node. Returns and errors as of api_ops.internal. */
int flows_take(struct flows *f, struct str node, struct str body, struct buf *answer, struct api_error *e);
/* {"filter":…,"since":ns,"until":ns,"limit":n,"news":n,"open":b,"drops":b,"again":b} →
 * {"flows":[…],"nodes":[…], "more":b,"news":n,"judged":n,…}, newest first; judged: the records of that time
 * which the filter was asked about. who: NULL may see all; else see sight.h. With "news" of an earlier answer
 * only what began, ended or took another state since. */
int flows_ask(struct flows *f, struct str body, const struct who *who, struct buf *answer,
	      struct api_error *e);
/* {"filter":…,"again":b,"limit":n,"began":ns,"at":[n,n,n],"to":[n,n,n]} → ended records, oldest first, from
 * the place `at` of an earlier answer of the same hub (else from the oldest kept):
 * {"flows":[…],"marks":[[epoch,
 * number],…],"began":ns,"lost":n,"first":[n,n,n],"at":[n,n,n],"newest":[n,n,n],"nodes":[…]}. */
int flows_follow(struct flows *f, struct str body, struct buf *answer, struct api_error *e);
/* Ended records, their packets and bytes since the start, as metrics. */
void flows_sums(const struct flows *f, struct buf *out);
/* They see each record as it comes; not NULL once, after both are there. */
void flows_set_alerts(struct flows *f, struct alerts *a);
/* Who looks at traffic as it goes. While there is one, the nodes look at what is open four times a second. */
struct flow_looker {
	void (*seen)(void *ctx, const struct sight *s);	  /* a record came; history does not know it yet */
	void (*ended)(void *ctx, const struct record *r); /* one that was open ended without a word */
	void (*told)(void *ctx);			  /* all records of a report were seen */
	void *ctx;
};
/* One at a time; NULL: nobody looks. Borrowed. */
void flows_set_looker(struct flows *f, const struct flow_looker *l);
/* Calls fn with the records that are known, newest first: those that are open, or the newest `limit` with a
 * packet since that time (ns since 1970). 0 or -ENOMEM. */
int flows_each_open(const struct flows *f, int (*fn)(void *ctx, const struct record *r), void *ctx);
int flows_each_since(const struct flows *f, int64_t since, uint32_t limit,
		     int (*fn)(void *ctx, const struct record *r), void *ctx);
/* What is known of a node's telling: `lost` records that it took and that never came here. heard_ms: when it
 * told last, by a clock that does not jump. */
void flows_each_node(const struct flows *f,
		     void (*fn)(void *ctx, const char *node, uint64_t heard_ms, uint64_t lost), void *ctx);
/* About once a second: forgets names that no record needs. */
void flows_tick(struct flows *f);

#endif
