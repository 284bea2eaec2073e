/* SPDX-License-Identifier: Apache-2.0 */
/* What a change would mean to a running cluster: open connections, room in the BPF maps. */
#ifndef WEFT_CLI_DIFF_LIVE_H
#define WEFT_CLI_DIFF_LIVE_H

#include "cli/diff.h"

struct live_map { /* a BPF map of a node */
	char *node;
	const char *map;
	size_t before, after; /* rows of the plans */
	size_t added, removed, changed;
	size_t capacity;
};
struct live {
	size_t connections;  /* open and answered, between ends that are compared */
	size_t refused, cut; /* of them: no longer allowed; at a strict pod, where they are cut at once */
	bool strict;	     /* the cluster was started so: every pod is */
	size_t unknown;	     /* open, with an end that is not compared */
	VEC(struct live_map) maps; /* that policies fill */
};
/* Asks the cluster's observers and reads the capacity of its BPF maps where that is allowed. 0, or -1 after
 * telling what is wrong. */
int live_new(struct live *out, const struct compared *c, const char *cluster);
void live_fini(struct live *l);
void live_print(const struct live *l);
json_t *live_json(const struct live *l);

#endif
