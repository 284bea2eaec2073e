/* SPDX-License-Identifier: Apache-2.0 */
/* `weft why POD --ready`: its status for the process (ready 0, not ready 1, no answer 2). */
#ifndef WEFT_CLI_WHY_READY_H
#define WEFT_CLI_WHY_READY_H

#include "cli/command.h"

int why_ready(const struct options_why *o);

#endif
