/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graphs for who looks at the page: one for all who may see the same namespaces, kept while somebody looks
 * and a little longer. Begins with what history knows; then each record that comes goes in. On the hub's
 * loop.
 */
#ifndef WEFT_HUB_PAGE_GRAPH_H
#define WEFT_HUB_PAGE_GRAPH_H

#include <uv.h>

#include "hub/flows.h"
#include "observe/graph.h"
#include "serve/access.h"

struct page_graphs;
struct page_graph;
/* news: called when traffic was seen on an edge without any: frames were made between two ticks. 0 or
 * -ENOMEM. */
int page_graphs_new(struct page_graphs **out, uv_loop_t *loop, struct store *s, struct flows *f,
		    void (*news)(void *ctx), void *ctx);
void page_graphs_free(struct page_graphs **g); /* behind the loop's end */
/* Twice a second, until it says that no graph is kept: makes frames; of large graphs once a second. */
bool page_graphs_tick(struct page_graphs *g);

/* The graph of what `who` may see, counted. NULL: too many different ones, or no memory. */
struct page_graph *page_graph_get(struct page_graphs *g, const struct who *who);
void page_graph_put(struct page_graph **g);
uint64_t page_graph_frame(const struct page_graph *g); /* number of the newest */
/* As graph_print() does. */
void page_graph_print(const struct page_graph *g, uint64_t since, struct buf *out);
struct graph_size page_graph_size(const struct page_graph *g);

#endif
