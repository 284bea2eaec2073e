/* SPDX-License-Identifier: Apache-2.0 */
/* `weft plan --traffic`: see forecast.c. */
#ifndef WEFT_CLI_FORECAST_H
#define WEFT_CLI_FORECAST_H

#include <jansson.h>

#include "cli/command.h"

int plan_traffic(const struct options_plan *o);
/* The document as text. */
void forecast_show(const json_t *doc);

#endif
