/* SPDX-License-Identifier: Apache-2.0 */
/* One question to a node's planner over agent.sock (doc/internals.md), for `weft why` and `weft drops`. */
#ifndef WEFT_CLI_AGENT_SOCKET_H
#define WEFT_CLI_AGENT_SOCKET_H

#include <jansson.h>

#include "base/str.h"

/* Asks and gathers the pieces of the answer's text. 0, or -1 after telling what is wrong on stderr. */
int agent_ask_text(const char *cluster, const char *node, const json_t *question, struct buf *text);

#endif
