/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page's stream: objects, the graph, the broker and the cluster's state, as they change. A reader that is
 * slow is told the newest graph and broker only, and each change of an object; one that is slower than the
 * store's history is ended. On the hub's loop.
 */
#ifndef WEFT_HUB_PAGE_LIVE_H
#define WEFT_HUB_PAGE_LIVE_H

#include <jansson.h>

#include "hub/page.h"

struct page_live;
int page_live_new(struct page_live **out, struct hub *h); /* 0 or -ENOMEM */
/* All streams have ended (http_free), and the loop. */
void page_live_free(struct page_live **l);
/* After changes of objects, before the loop waits. */
void page_live_flush(struct page_live *l);
/* GET /page/live?kinds=pods,services&graph=1&broker=1 */
page_handler page_live_get;

/* Of weft-copier of a node, or of the host that this hub is of (borrowed; hub/page_broker.h). */
void page_live_account(struct page_live *all, const char *node, json_t *account);

#endif
