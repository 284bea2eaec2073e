/* SPDX-License-Identifier: Apache-2.0 */
/* What request.c lends to files that answer some of agent.sock's questions. Private to the planner. */
#ifndef WEFT_AGENT_REQUEST_H
#define WEFT_AGENT_REQUEST_H

#include <jansson.h>

#include "agent/planner.h"

struct client; /* of agent.sock */
/* While an answer is on its way the client is held; sending to one that went does nothing. */
void client_hold(struct client *c);
void client_release(struct client *c);
void client_ok(struct client *c, json_int_t id);
void client_fail(struct client *c, json_int_t id, const char *why);
/* Long texts go in pieces, all but the last with "more":true. */
void client_text(struct client *c, json_int_t id, struct str text);

/* explain.c: {"op":"why",…} and {"op":"causes","ids":[…]}; o is borrowed. */
void explain_why(struct planner *p, struct client *c, json_int_t id, const json_t *o);
void explain_causes(struct planner *p, struct client *c, json_int_t id, const json_t *o);

/* fault.c: {"op":"fault","namespace":…,"pod":…,"loss":0.05}, or "node":true for the uplink. */
void fault_order(struct planner *p, struct client *c, json_int_t id, const json_t *o);

#endif
