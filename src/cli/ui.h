/* SPDX-License-Identifier: Apache-2.0 */
/* Links that log in to the page of a running cluster. */
#ifndef WEFT_CLI_UI_H
#define WEFT_CLI_UI_H

#include "base/str.h"

/* A fresh link as this User, or (NULL) as who runs this process. 0, or -1 (told); its own failure to be
 * there, --page off, is -1 and not told. */
int ui_link(const char *cluster, const char *user, struct buf *url);

#endif
