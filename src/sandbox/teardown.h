/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Teardown: what a cluster leaves on the machine, written down in state.json before it is made, and its
 * removal, which needs nothing but that file: after a normal end and after a kill alike.
 */
#ifndef WEFT_SANDBOX_TEARDOWN_H
#define WEFT_SANDBOX_TEARDOWN_H

#include <stdbool.h>

#define RUN_DIR "/run/weft"

/* Takes the cluster's lock, making its folder if `make`: the descriptor; -EBUSY when a process holds it (*pid
 * is that process, or 0); -ENOENT; other -errno. */
int lock_take(const char *name, bool make, int *pid);
/* Writes state.json: 0 or -errno. */
int state_write(const char *name, const char *cgroup, unsigned nodes, bool attached, bool strict,
		bool made_netns_dir);
/* Removes everything of the cluster but the lock file's lock: 0, or -errno after telling what remained. */
int teardown(const char *name);

#endif
