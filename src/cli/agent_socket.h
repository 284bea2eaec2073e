/* SPDX-License-Identifier: Apache-2.0 */
/* One question to a node's planner over agent.sock (doc/internals.md), for `weft why`, `weft drops` and `weft
 * maps`. */
#ifndef WEFT_CLI_AGENT_SOCKET_H
#define WEFT_CLI_AGENT_SOCKET_H

#include <jansson.h>

#include "base/str.h"

/* Asks and gathers the pieces of the answer's text. 0, or -1 after telling what is wrong on stderr. */
int agent_ask_text(const char *cluster, const char *node, const json_t *question, struct buf *text);
/* The same, and nothing is told: 0; -EPROTO: it refuses, or its answer cannot be read; or another -errno. */
int agent_try_text(const char *cluster, const char *node, const json_t *question, struct buf *text);
/* Why the node's plan is not in force; nothing when it is. Same returns. */
int agent_alarm(const char *cluster, const char *node, struct buf *alarm);
/* The whole answer to "status" (owned), or NULL, untold: nobody answers within a few seconds. */
json_t *agent_status(const char *cluster, const char *node);

#endif
