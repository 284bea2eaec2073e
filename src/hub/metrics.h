/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nodes' metrics in one text, so that one scrape suffices: each observer tells its own every two seconds,
 * the newest is kept. A node that has told nothing lately is down, and its numbers are left out: they are
 * unknown. On the hub's loop.
 */
#ifndef WEFT_HUB_METRICS_H
#define WEFT_HUB_METRICS_H

#include "hub/exporters.h"
#include "hub/flows.h"

struct metrics;
/* 0 or -errno. All outlive it. */
int metrics_new(struct metrics **out, struct store *s, struct flows *f, const struct exporters *x);
void metrics_free(struct metrics **m);
/* A node's text. Returns and errors as of api_ops.internal. */
int metrics_take(struct metrics *m, struct str node, struct str text, struct buf *answer,
		 struct api_error *e);
int metrics_answer(struct metrics *m, struct buf *out);
/* Calls fn with each node that is heard, and how many of its sums (`weft account`) do not match. */
void metrics_each_sum(const struct metrics *m, void (*fn)(void *ctx, struct str node, unsigned wrong),
		      void *ctx);

#endif
