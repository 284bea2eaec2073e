/* SPDX-License-Identifier: Apache-2.0 */
/* The program after its descriptors are open and its privileges gone. */
#ifndef WEFT_HUB_RUN_H
#define WEFT_HUB_RUN_H

#include "hub/hub.h"

/* Serves on the listening Unix socket until SIGTERM or SIGINT; h has options, persist, source (may be NULL)
 * and the TLS descriptors (-1: none) set, and gives them all back. 0 or -errno. */
int hub_run(struct hub *h, int unix_fd);

#endif
