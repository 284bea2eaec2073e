/* SPDX-License-Identifier: Apache-2.0 */
/* From store events to what is dirty. Private to cluster.c. */
#ifndef WEFT_HUB_NOTE_H
#define WEFT_HUB_NOTE_H

#include "hub/cluster.h"

/* store_watcher; ctx is the cluster. Writes nothing to the store. */
void note_event(void *ctx, const struct event *e);
void note_workload(struct cluster *c, const struct object *o);
/* Looks at the workload again at the next cluster_tick(). */
void note_later(struct cluster *c, const struct object *o);

#endif
