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

/* Asks the node's planner for the members "cause" of the items, and sets "why" where that is in force: the
 * answer for its number. Failures are told on stderr and leave the numbers. */
void causes_join(const char *cluster, const char *node, json_t *items);
/* Adds "commit" to whatever in v has a "file" that lies in a work tree of Git as HEAD has it. */
void commits_join(json_t *v);
/* "NetworkPolicy shop/web shop.yaml:3:4; …" of one item; "" where it has no cause. */
void cause_print(struct buf *b, const json_t *item);

#endif
