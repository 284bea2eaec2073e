/* SPDX-License-Identifier: Apache-2.0 */
/* `weft why POD --ready`: its status for the process (ready 0, not ready 1, no answer 2). */
#ifndef WEFT_CLI_WHY_READY_H
#define WEFT_CLI_WHY_READY_H

#include <jansson.h>

#include "cli/command.h"

int why_ready(const struct options_why *o);
/* Why that pod is not ready, as an array of texts (owned); empty: it is. NULL: the hub does not know it. */
json_t *why_ready_reasons(const char *cluster, struct str ns, struct str name);

#endif
