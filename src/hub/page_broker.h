/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker for the page: what weft-copiers of the nodes counted, twice in a row, as rates; and whether each
 * tool port's account adds up. Pure; on the hub's loop.
 */
#ifndef WEFT_HUB_PAGE_BROKER_H
#define WEFT_HUB_PAGE_BROKER_H

#include <jansson.h>

#include "serve/access.h"
#include "store/store.h"

struct page_broker;
struct page_broker *page_broker_new(void); /* NULL: no memory */
void page_broker_free(struct page_broker **b);
/* weft-copier's /account (borrowed), at a time of a clock that does not jump; NULL: it did not answer. */
void page_broker_take(struct page_broker *b, const char *node, json_t *account, uint64_t now_ms);
/* Another one after each account. */
uint64_t page_broker_number(const struct page_broker *b);
/* {"at":…,"maps":[…],"tools":[…],"places":[…],"sums":[…]}, of a broker host also "ports":[…] and "stale";
 * places in namespaces that `who` may not see are left out. */
void page_broker_print(const struct page_broker *b, const struct store *s, const struct who *who,
		       int64_t wall_ms, uint64_t now_ms, struct buf *out);

#endif
