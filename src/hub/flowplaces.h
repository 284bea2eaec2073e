/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places of Services, over time: where they are called (their addresses and ports, node ports) and where
 * their endpoints listen. Says of a record which Service was called. Private to flownames.c; on the hub's
 * loop.
 */
#ifndef WEFT_HUB_FLOWPLACES_H
#define WEFT_HUB_FLOWPLACES_H

#include "observe/identity.h"
#include "store/store.h"

struct flow_places;
int flow_places_new(struct flow_places **out, struct store *s, struct identities *ids); /* 0 or -errno */
void flow_places_free(struct flow_places **p);
/* An EndpointSlice or a Service is that way from then on; now NULL: gone; old NULL: new. */
void flow_places_note(struct flow_places *p, enum kind kind, const struct object *now,
		      const struct object *old, int64_t at);
/* Sets r->service, r->via and r->via_port, where there was one Service at the place that was called; else
 * there is none. r->to.who is set. */
void flow_places_set(const struct flow_places *p, struct record *r);
void flow_places_forget(struct flow_places *p, int64_t before);

#endif
