/* SPDX-License-Identifier: Apache-2.0 */
/* What observers have counted as dropped, for `weft drops` and for scenes. */
#ifndef WEFT_CLI_DROPS_H
#define WEFT_CLI_DROPS_H

#include <jansson.h>

#include "cli/command.h"

/* Appends each drop of the nodes that the options name, with node and advice, to list. EXIT_FAILED after
 * telling when a node's observer does not answer. */
int drops_collect(const struct options_drops *o, const char *name, bool kernel, json_t *list);
/* Shows the drops that the hub has records of, found with the filter and the times of the options: who wanted
 * what of whom. An exit status. */
int drops_found(const struct options_drops *o, const char *name);
/* Tells on stderr on which nodes nobody watches what the kernel's own stack drops, so that it is unknown
 * there and not none. filter: NULL, or told only where it asks about such drops. node: NULL, or only of this
 * one. */
void drops_tell_kernel(const char *cluster, const char *filter, const char *node);
/* What to do, of tables/drops.def. */
const char *drops_advice(const char *reason);

#endif
