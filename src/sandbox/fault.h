/* SPDX-License-Identifier: Apache-2.0 */
/* Faults on command (`weft fault`): of a pod by its stand-ins, its agent or a signal; of a node by its power
 * or cable. */
#ifndef WEFT_SANDBOX_FAULT_H
#define WEFT_SANDBOX_FAULT_H

#include "sandbox/control.h"

struct fault_wait;
/* {"op":"fault",…}: answers when it is in force. doc/internals.md has the members. */
void fault_request(struct client *c, const json_t *request);
/* The client went away. */
void fault_cancel(struct fault_wait *w);

#endif
