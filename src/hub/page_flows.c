/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about traffic, under the rights of who asks: the hub's own, with what he may not see left out. */
#include "hub/page_routes.h"
#include "hub/sight.h"

void page_flows(struct hub *h, const struct who *who, const struct http_request *rq, struct http_reply *rp,
		struct api_error *e)
{
	flows_ask(h->flows, rq->body, who, &rp->body, e);
}

void page_history(struct hub *h, const struct who *who, const struct http_request *rq, struct http_reply *rp,
		  struct api_error *e)
{
	rp->later = rollups_ask(h->rollups, rq->body, who, e);
}
