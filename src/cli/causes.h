/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of drops' causes in words, for `weft drops` and `weft get policies`. */
#ifndef WEFT_CLI_CAUSES_H
#define WEFT_CLI_CAUSES_H

#include <jansson.h>

#include "base/str.h"

/* A GET of a node's observer, decoded (owned), or NULL when it does not answer. */
json_t *observer_get(const char *cluster, const char *node, const char *path);
/* Names of the cluster's nodes (owned array of text). */
json_t *cluster_nodes(const char *cluster);

/* Asks the node's planner for the members "cause" of the items, and sets "why" where it knows that: the
 * answer for its number, of one that is no longer in force with "over". Failures are told on stderr and leave
 * the numbers. */
void causes_join(const char *cluster, const char *node, json_t *items);
/* Adds "commit" to whatever in v has a "file" that lies in a work tree of Git as HEAD has it. */
void commits_join(json_t *v);
/* "NetworkPolicy shop/web shop.yaml:3:4; …" of one item; "" where it has no cause. */
void cause_print(struct buf *b, const json_t *item);

/* Asks the planner of each node that saw some of the flows, or sums of a node, for their rules; sets "rules",
 * a list of items, where there are any. */
void rules_join(const char *cluster, json_t *flows);
/* Appends them in words. */
void rules_text(struct buf *b, const json_t *flow);

#endif
