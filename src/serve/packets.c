/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of Captures, and of Tools that keep some in memory: captures/NAME/stream?node=N,
 * tools/NAME/stream?node=N &port=P&last=S, as pcapng; with clock in place of stream the time of that node.
 * Without a node those of all nodes, merged by time. Checks the parameters; where the packets come from, and
 * who may see them, is the owner's.
 */
#include <errno.h>
#include <stdio.h>

#include "base/own.h"
#include "serve/access.h"
#include "serve/api_state.h"

OWN_DEFINE(object, struct object, object_unref)

enum { LAST_MAX = 86400 };

/* The sandbox's own process: what it makes is nobody's doing. Only root comes in with that uid. */
static bool is_weft(const struct http_request *rq)
{
	return !(unsigned)rq->client && !strcmp(rq->agent, "weft-sandbox");
}

void user_of(char out[API_USER], const struct http_request *rq)
{
	*out = 0;
	if (rq->door == HTTP_PAGE)
		snprintf(out, API_USER, "%s", who_of(rq)->user);
	else if (rq->local && rq->client && !is_weft(rq))
		person_name(out, (unsigned)rq->client);
	else if (!rq->local)
		snprintf(out, API_USER, "weft:admin");
}

const struct who *who_of(const struct http_request *rq)
{
	if (rq->who)
		return rq->who;
	return rq->door == HTTP_PAGE ? &access_nothing : &access_everything;
}

bool packets_is(const struct target *t)
{
	return t->kind && t->named && (t->kind->kind == KIND_capture || t->kind->kind == KIND_tool) &&
	       (!strcmp(t->sub, "stream") || !strcmp(t->sub, "clock"));
}

void packets_handle(struct api *a, const struct target *t, const struct http_request *rq,
		    struct http_reply *rp, struct api_error *e)
{
	const struct object *found = api_find(a, t, e);
	AUTO(own_object) struct object *of = object_ref(found);
	const char *last = http_query(rq, "last");
	struct api_packets q = {.of = of,
				.clock = !strcmp(t->sub, "clock"),
				.node = http_query(rq, "node"),
				.port = http_query(rq, "port")};

	if (!of)
		return;
	user_of(q.user, rq);
	q.who = who_of(rq);
	if (strcmp(rq->method, "GET"))
		api_fail(e, 405, "MethodNotAllowed", "packets can only be read: GET");
	else if (!a->ops->packets)
		api_fail(e, 503, "ServiceUnavailable",
			 "this server has no nodes that packets could come from");
	else if (q.clock && (!q.node || !*q.node))
		api_fail(e, 400, "BadRequest", "node=NAME says whose clock is asked for");
	else if (q.node && !store_get(a->store, KIND_node, STR(""), str_of(q.node)))
		api_fail(e, 404, "NotFound", "nodes \"%s\" not found", q.node);
	else if (t->kind->kind == KIND_tool && !of->tool->spec->ring)
		api_fail(e, 422, "Invalid", "tool \"%s\" keeps no packets: only one with ring does", t->name);
	else if (last && str_to_i64(str_of(last), 1, LAST_MAX, &q.last))
		api_fail(e, 400, "BadRequest", "last \"%s\" is no number of seconds from 1 to %d", last,
			 LAST_MAX);
	else
		rp->later = a->ops->packets(a->ctx, &q, e);
}
