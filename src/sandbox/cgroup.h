/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroups of a cluster, in the cgroup2 hierarchy wherever it is mounted. All return 0 or -errno. */
#ifndef WEFT_SANDBOX_CGROUP_H
#define WEFT_SANDBOX_CGROUP_H

#include <stddef.h>

/* Folder of a cluster's cgroup. -ENODEV when no cgroup2 is mounted. */
int cgroup_path(const char *cluster, char *out, size_t cap);
int cgroup_make(const char *path);
/* Kills what is in the tree, and goes on when all of it is gone, or after wait_ms: -EBUSY. A missing one is
 * 0. */
int cgroup_kill(const char *path, unsigned wait_ms);
/* The same one by one, for cgroups that go on: since 6.14 a kernel that has seen cgroup.kill ends at once
 * whatever is born into that cgroup from outside (CLONE_INTO_CGROUP). */
int cgroup_kill_members(const char *path, unsigned wait_ms);
/* Removes the empty tree. */
int cgroup_remove(const char *path);

#endif
