/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graph: who talks to whom now. Records come in as they are told; out come ends (workloads, Services, nodes,
 * what is outside) and edges between them, with rates over the last five seconds, as JSON: all of it, or what
 * changed since a frame that a reader has. A pure accumulator: it is told the time. Bounded: edges, ends
 * outside and ports between two ends are limited; what finds no room is folded together or counted. Used by
 * one thread.
 */
#ifndef WEFT_OBSERVE_GRAPH_H
#define WEFT_OBSERVE_GRAPH_H

#include "observe/sight.h"

enum { GRAPH_KEEP_MS = 300000 }; /* an edge without traffic and without a connection stays so long */

struct graph_options {
	uint32_t edges;	    /* at most; 0: 8192 */
	uint32_t outsiders; /* ends outside with a name of their own; 0: 256 */
	/* Whether names of this namespace are shown; NULL: all are. An end in another one is the end
	 * "hidden"; an edge with neither end in a namespace that is shown is none. */
	bool (*shows)(void *ctx, struct str ns);
	/* How many pods a workload has now; NULL: not known. */
	uint32_t (*pods)(void *ctx, struct str ns, struct str kind, struct str name);
	void *ctx;
	uint64_t now_ms; /* of a clock that does not jump */
};

struct graph;
int graph_new(struct graph **out, const struct graph_options *o); /* 0 or -ENOMEM */
void graph_free(struct graph **g);

/* A record that came now. */
void graph_take(struct graph *g, const struct sight *s);
/* A record that was there before the graph: its edge, and that it is open; no rate. age_ms: since its last
 * packet. */
void graph_know(struct graph *g, const struct record *r, uint64_t now_ms, uint64_t age_ms);
/* An open connection ended without a word of its node. */
void graph_end(struct graph *g, const struct record *r, uint64_t now_ms);
/* How many pods workloads have may be another number now. */
void graph_recount(struct graph *g);

/* Whether an edge has traffic of which no frame tells yet that there is any. */
bool graph_has_news(const struct graph *g);
/* Makes the next frame, if anything changed: the number of the newest, which is never 0. news: only of edges
 * that graph_has_news() means. */
uint64_t graph_tick(struct graph *g, uint64_t now_ms, bool news);

/* {"at":…,"seconds":…,"full":…,"ends":[…],"edges":[…],"gone":[…]}: what changed since frame `since`; all when
 * that is 0 or too long ago. Ends without an edge any more are not told as gone. */
void graph_print(const struct graph *g, uint64_t since, int64_t wall_ms, struct buf *out);

struct graph_size {
	size_t edges, ends, warm; /* warm: with traffic in the last seconds */
	uint64_t unshown;	  /* records that found no room */
};
struct graph_size graph_size(const struct graph *g);

#endif
