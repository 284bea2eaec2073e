/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tools: whether each is healthy, as condition Healthy of its status. While there are Tools, the weft-copier
 * of each node is asked every two seconds; nothing waits for it, and what it says is bounded. On the hub's
 * loop.
 */
#ifndef WEFT_HUB_TOOLSTATUS_H
#define WEFT_HUB_TOOLSTATUS_H

#include <jansson.h>
#include <uv.h>

#include "store/store.h"

struct toolstatus;
/* dir: the cluster's runtime folder, below which DIR/NODE/copier.sock are. 0 or -errno. */
int toolstatus_new(struct toolstatus **out, uv_loop_t *loop, struct store *s, const char *dir);
void toolstatus_stop(struct toolstatus *t); /* its timer closes; then the loop runs to its end, then: */
void toolstatus_free(struct toolstatus **t);
/* Called with each account of a weft-copier (borrowed) as it comes. */
void toolstatus_on_account(struct toolstatus *t, void (*fn)(void *ctx, const char *node, json_t *account),
			   void *ctx);
/* About each second. */
void toolstatus_tick(struct toolstatus *t);

#endif
