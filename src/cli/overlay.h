/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlay: changes laid over a world, as they would be if they were made: objects of files in the place of
 * those with their names, and objects that are gone. What depends on them (pods of a changed workload) stays
 * as it is. Failures are told on stderr.
 */
#ifndef WEFT_CLI_OVERLAY_H
#define WEFT_CLI_OVERLAY_H

#include "store/store.h"

struct overlay {
	const char *over;	    /* a file or folder, "-" (the standard input), or NULL */
	const char *const *without; /* each "KIND/NAMESPACE/NAME" or "KIND/NAME" */
	size_t without_n;
	size_t max_file; /* MiB */
};
/* 0 or -1. */
int overlay_lay(struct store *s, const struct overlay *o);

#endif
