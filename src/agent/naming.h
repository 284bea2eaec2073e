/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Naming: what the DNS messages of this node's pods tell. Makes a record of each question, and remembers
 * which name an address had for whom, so that a connection to it is told with that name. Called by the
 * reporter only. Times are monotonic ns.
 */
#ifndef WEFT_AGENT_NAMING_H
#define WEFT_AGENT_NAMING_H

#include "filter/record.h"
#include "seam/asked.h"

struct naming;
/* fn gets a record of each question that is over; its first and last are monotonic. 0 or -ENOMEM. */
int naming_new(struct naming **out, void (*fn)(void *ctx, struct record *r), void *ctx);
/* A message, of which `n` bytes are there. */
void naming_take(struct naming *m, const struct asked *a, size_t n);
/* Tells the questions that waited long enough. */
void naming_tick(struct naming *m, uint64_t now);
/* Sets the record's dns to the name that one end was told for the other before `at`, and dns_code to which
 * end has it: 0 from, 1 to. Borrowed until the next message. */
void naming_set(const struct naming *m, struct record *r, uint64_t at);
/* Questions that were not kept. */
uint64_t naming_lost(const struct naming *m);
/* {"questions":…,…} */
void naming_stats(const struct naming *m, struct buf *b);

#endif
