/* SPDX-License-Identifier: Apache-2.0 */
/* What a graph holds. Private to graph.c, graph_key.c and graph_print.c. */
#ifndef WEFT_OBSERVE_GRAPH_STATE_H
#define WEFT_OBSERVE_GRAPH_STATE_H

#include "base/hash.h"
#include "base/vec.h"
#include "observe/graph.h"
#include "observe/rollup.h"

enum {
	SLOT_MS = 500,
	SLOTS = 10,	   /* the one that runs and those before it */
	TIMES = 8,	   /* that a slot keeps of how long answers took */
	PORTS_OF_TWO = 64, /* edges between two ends with a port of their own, but for Services */
	GONE_KEPT = 4096,  /* edges that went, by which an older frame is brought up to date */
};

enum end_kind { END_WORKLOAD, END_SERVICE, END_NODE, END_OUTSIDE, END_UNKNOWN, END_HIDDEN };

struct graph_end {
	struct str id; /* "shop/Deployment/web"; the texts lie behind the struct */
	enum end_kind kind;
	struct str ns, what_kind, name;
	uint32_t refs; /* edges */
	uint32_t pods;
	size_t at;	  /* in the list */
	uint64_t changed; /* frame; 0: since the last one */
};

struct graph_slot {
	uint64_t number; /* the time by SLOT_MS */
	uint64_t bytes[2], packets[2];
	uint32_t begun, lost;
	uint32_t seen_times; /* of which TIMES are kept, each with the same chance */
	uint32_t times[TIMES];
};

struct graph_drops {
	uint16_t reason; /* 0: all that found no room of their own */
	uint32_t n[SLOTS];
};

struct graph_window { /* of an edge with traffic lately */
	struct graph_slot slots[SLOTS];
	VEC(struct graph_drops) drops;
	bool packets; /* some came; else it has drops only, or nothing yet */
};

struct graph_edge {
	struct str key;		     /* owned */
	uint64_t id;		     /* of what it is between: the same in each run */
	struct graph_end *from, *to; /* counted */
	struct str service;	     /* in the key */
	uint16_t port;
	uint8_t proto;
	bool warm, fresh; /* in the list of those; without a frame that tells of its traffic */
	uint32_t open;
	int64_t last; /* ns since 1970 */
	uint64_t touched_ms;
	struct graph_window *window; /* NULL: nothing lately */
	size_t at;		     /* in the list */
	uint64_t changed;	     /* frame */
	struct buf text;
	size_t head; /* bytes of it that never change */
};

struct gone {
	uint64_t frame, id;
};

struct graph {
	struct graph_options o;
	struct hash by_id, by_key;
	struct hash by_pair; /* from and to → how many edges */
	VEC(struct graph_end *) ends;
	VEC(struct graph_edge *) edges, warm;
	uint32_t outsiders;
	uint64_t frame, began_ms, ticked_ms, swept_ms;
	size_t fresh;
	struct gone *gone;   /* a ring of GONE_KEPT; id 0: it is there again */
	struct hash by_gone; /* id → its place in the ring, + 1 */
	uint64_t gone_n;     /* ever */
	uint64_t unshown;
	uint64_t random;
	struct buf scratch;
};

/* graph_key.c: the edge of a record; made, where `make`. NULL: there is none, no room, or nobody may see it.
 */
struct graph_edge *graph_edge_of(struct graph *g, const struct record *r, bool make);
void graph_edge_free(struct graph *g, struct graph_edge *e);

/* graph.c: an edge of that id is there again. */
void graph_edge_back(struct graph *g, uint64_t id);

/* graph_print.c: puts the edge's text; whether it is another one. */
bool graph_edge_text(struct graph *g, struct graph_edge *e, uint64_t now_ms);

#endif
