/* SPDX-License-Identifier: Apache-2.0 */
/* Findings of checks in the form that CI services read. */
#ifndef WEFT_CLI_CHECK_H
#define WEFT_CLI_CHECK_H

#include <jansson.h>

#include "reason/check.h"

/* A log of the Static Analysis Results Interchange Format, version 2.1.0 (OASIS): one run, with all checks as
 * its rules. */
json_t *sarif_json(const struct findings *f);

#endif
