/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the user what the hub remarks on the manifests while the cluster runs. Called by run.c and control.c.
 */
#ifndef WEFT_SANDBOX_MANIFESTS_H
#define WEFT_SANDBOX_MANIFESTS_H

#include "sandbox/cluster.h"

/* Begins to follow. 0 or -errno; without it the cluster runs, and remarks stand in the hub's log only. */
int manifests_start(struct sandbox *s);
/* Before api_fini(): frees all; the handles are closed by the loop's end. */
void manifests_stop(struct sandbox *s);
/* The remarks in force as JSON texts, ",…" each when `comma` or not the first. */
void manifests_print(const struct sandbox *s, struct buf *b, bool comma);

#endif
