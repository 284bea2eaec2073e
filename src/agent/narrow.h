/* SPDX-License-Identifier: Apache-2.0 */
/* What the planner keeps of an object. */
#ifndef WEFT_AGENT_NARROW_H
#define WEFT_AGENT_NARROW_H

#include "object/object.h"

/* Drops from an unpublished object the members that neither the compiler nor agent.sock reads. */
void narrow(struct object *o);

#endif
