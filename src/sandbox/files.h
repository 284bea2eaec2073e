/* SPDX-License-Identifier: Apache-2.0 */
/* Files: folders and small files of a cluster below /run and in cgroups. All return 0 or -errno. */
#ifndef WEFT_SANDBOX_FILES_H
#define WEFT_SANDBOX_FILES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/str.h"

int file_make_dir(const char *path, mode_t mode);  /* with its parents; an existing one is kept */
int file_write(const char *path, struct str text); /* beside it first, then renamed over it */
int file_poke(const char *path,
	      const char *text); /* one write into an existing file: sysctls, cgroup files */
int file_read(const char *path, struct buf *out);
/* Removes a tree, crossing no mount point. */
int file_remove_tree(const char *path);
/* Opens for appending, made if missing. */
int file_append(const char *path);

#endif
