/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the page's stream share. Private to hub/page_live*.c. */
#ifndef WEFT_HUB_PAGE_LIVE_STATE_H
#define WEFT_HUB_PAGE_LIVE_STATE_H

#include "hub/page_graph.h"
#include "hub/page_live.h"

struct live { /* a reader */
	struct http_stream stream;
	struct page_live *all;
	const struct who *who; /* a reference */
	struct live *next, **prev;

	uint64_t kinds;	   /* asked for, a bit each */
	uint64_t snapshot; /* of them: of which the state is still to be told */
	uint64_t since;	   /* version of the store that is told */
	bool begun;	   /* of the kind that is told now: a part of its state */
	char after_ns[64], after_name[254];
	bool synced;

	struct page_graph *graph; /* NULL: not asked for */
	uint64_t frame;		  /* told; 0: none */

	bool broker;	    /* asked for */
	uint64_t broker_n;  /* told; 0: none */
	uint64_t broker_ms; /* when */

	uint64_t state_ms; /* when it was told; 0: never */
	uint64_t state;	   /* hash of what was told, without what always changes */
};

/* page_live_objects.c: appends events of objects until there are many bytes. -ESTALE: the store's history
 * does not go back so far. 0 or -errno. */
int live_objects(struct live *l, struct store *s);
/* Sets kinds by their plurals, with commas between. 0, or e says why. */
int live_kinds(const char *text, uint64_t *out, struct api_error *e);

/* page_live_standing.c: appends the event "state" if it is time. */
void live_standing(struct live *l, struct hub *h);

static inline void live_event(struct buf *b, const char *name)
{
	buf_printf(b, "event: %s\ndata: ", name);
}
static inline void live_event_end(struct buf *b)
{
	buf_addz(b, "\n\n");
}

#endif
