/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health of tools: what the nodes' weft-copiers say of their tool ports, put together. A node that was silent
 * once is taken at its last word; one that was silent twice is unknown. Pure; one thread.
 */
#ifndef WEFT_HUB_TOOLHEALTH_H
#define WEFT_HUB_TOOLHEALTH_H

#include <jansson.h>

#include "base/str.h"

struct toolhealth;
struct toolhealth *toolhealth_new(void); /* NULL: no memory */
void toolhealth_free(struct toolhealth **h);

/* A round over all nodes: begin; then a word for each; end forgets the nodes without one, which have no
 * weft-copier. */
void toolhealth_begin(struct toolhealth *h);
/* `account` is weft-copier's /account, taken over; NULL: it did not answer. 0 or -ENOMEM. */
int toolhealth_node(struct toolhealth *h, const char *node, json_t *account);
void toolhealth_end(struct toolhealth *h);

struct toolhealth_word {
	const char *status, *reason; /* of condition Healthy */
};
/* Appends the sentence to `message`. */
struct toolhealth_word toolhealth_of(const struct toolhealth *h, struct str tool, struct buf *message);

#endif
