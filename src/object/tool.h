/* SPDX-License-Identifier: Apache-2.0 */
/* What members of a Tool say as text. See tool.c. */
#ifndef WEFT_OBJECT_TOOL_H
#define WEFT_OBJECT_TOOL_H

#include "base/addr.h"
#include "object/object.h"

/* "10.0.0.9:4739" or "[fd00::9]:4739". 0 or -EINVAL. */
int collector_parse(struct str text, struct addr *a, uint16_t *port);

#endif
