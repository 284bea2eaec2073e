/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files a folder offers and whether they changed, and the inotify watches on its folders. Never parses.
 * Private to source/.
 */
#ifndef WEFT_SOURCE_FILES_H
#define WEFT_SOURCE_FILES_H

#include <sys/types.h>
#include <time.h>

#include "base/hash.h"
#include "base/remark.h"
#include "base/vec.h"

/* What tells one content of a file from another without reading it. */
struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

struct found {
	char *path; /* owned; as the user wrote the start of it */
	struct stamp stamp;
};
struct found_list {
	VEC(struct found) list;
};
void found_fini(struct found_list *l);

/* Appends the manifests under `path` (a file or a folder) in name order. Remarks on what cannot be read. 0,
 * -ENOENT when the path itself is missing (a remark too), or -ENOMEM. watch: an inotify descriptor that gets
 * a watch on each folder and on each folder of a single file, or -1. */
int files_find(const char *path, int watch, struct found_list *out, struct remarks *rs);
/* The file's bytes, at most `limit`: 0, -EFBIG or -errno. *out is owned by the caller. */
int files_read(const char *path, size_t limit, char **out, size_t *len);

#endif
