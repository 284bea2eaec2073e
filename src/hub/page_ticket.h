/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tickets: an address that gives packets once, to a program that has no session: `curl … | wireshark -k -i
 * -`. Who has a session gets one for a Capture that is to be made or that runs; whoever opens it first,
 * within ten minutes, gets the stream, with the rights of who asked for it as they are then. Only the hash of
 * its word is kept. On the hub's loop.
 */
#ifndef WEFT_HUB_PAGE_TICKET_H
#define WEFT_HUB_PAGE_TICKET_H

#include "hub/page_state.h"

enum { TICKETS = 32, TICKET_S = 600 }; /* at a time; a further one takes the oldest's place */

struct tickets;
struct tickets *tickets_new(void); /* NULL: no memory */
void tickets_free(struct tickets **t);
/* POST /page/ticket {"spec": of a Capture} or {"capture": NAME} → {"path":…,"seconds":…} */
void ticket_make(struct page *p, const struct who *who, const struct http_request *rq, struct http_reply *rp,
		 struct api_error *e);
/* GET /capture/WORD */
void ticket_open(struct page *p, const struct http_request *rq, struct http_reply *rp, struct api_error *e);
/* Once a second: streams of those end whose rights changed since. */
void tickets_tick(struct tickets *t, const struct store *s);

#endif
