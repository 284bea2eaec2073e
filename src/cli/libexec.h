/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the private programs (weft-hub, weft-agent, …) are: WEFT_LIBEXEC, else libexec/weft beside bin/, else
 * the build tree that this program lies in.
 */
#ifndef WEFT_CLI_LIBEXEC_H
#define WEFT_CLI_LIBEXEC_H

#include "base/str.h"

/* Appends the folder's path; false when none holds weft-hub (then `out` tells where it looked). */
bool libexec_find(struct buf *out);
/* Appends the path of one private program, whether it exists or not; false when it cannot be run. */
bool libexec_program(struct buf *out, const char *name);

#endif
