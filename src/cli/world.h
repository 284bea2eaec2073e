/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world: the objects that a command judges, in a store of its own; read from a running hub or made from
 * files. Failures are told on stderr by the function that met them.
 */
#ifndef WEFT_CLI_WORLD_H
#define WEFT_CLI_WORLD_H

#include "store/store.h"

/* The host behind the fabric's router, as doc/internals.md says. */
#define OUTSIDE_V4 "203.0.113.10"
#define OUTSIDE_V6 "2001:db8:113::10"

/* What the hub has now, of the kinds that policies and addresses depend on. 0 or -1. */
int world_from_cluster(struct store **out, const char *name);

/* Adds the hub's Tools, ToolGroups, TrafficFilters, TrafficMaps and Captures. 0 or -1. */
int world_add_maps(struct store *s, const char *name);

struct world_files {
	const char *const *paths; /* "-" alone: the standard input */
	size_t n;
	unsigned
	    nodes; /* expand workloads into pods on this many nodes, with addresses; 0: only what files say */
	bool quiet;	      /* warnings are not shown */
	size_t max_file;      /* MiB; 0: 64 */
	const char *revision; /* of Git, in place of what lies in the folders; or NULL */
};
/* Remarks go to stderr. 0, or -1 when a file had errors: nothing is judged by halves. */
int world_from_files(struct store **out, const struct world_files *f);

/* The same with all remarks in rs, sorted, and none told: what has errors is left out of the store, the rest
 * is there. 0, or -errno where nothing could be loaded (with or without remarks). */
int world_load(struct store **out, const struct world_files *f, struct remarks *rs);

#endif
